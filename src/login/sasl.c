/* sasl: the table of mechanisms, and the dialogues that take more than one step. */
#include "login/sasl.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/map.h"
#include "base/rand.h"
#include "base/utf8.h"
#include "login/login_name.h"
#include "login/sasl_mech.h"

enum { DIALOG_MS = 120 * 1000, DIALOGS_MOST = 20000 };

struct dialog {
    struct list age;
    uint64_t id, owner;
    int64_t until_ms;
    const struct sasl_mech *mech;
};

struct sasl_mech {
    const char *name;
    bool plus;
    /* d: NULL in the first step. */
    void (*step)(struct dialog *d, struct span response, struct sasl_step *out);
};

struct sasl {
    struct map dialogs;
    struct list age; /* oldest first */
    bool cleartext_loopback;
};

/* ---- PLAIN ------------------------------------------------------------------------------------------------------ */

int sasl_plain_parse(struct span in, struct sasl_plain *out)
{
    struct span rest = in;

    /* RFC 4616 2: message = [authzid] UTF8NUL authcid UTF8NUL passwd */
    out->authzid = span_split(&rest, 0);
    if (rest.p == NULL)
        return -1;
    out->authcid = span_split(&rest, 0);
    if (rest.p == NULL)
        return -1;
    out->password = rest;
    if (out->authcid.n == 0 || rest.n == 0 || memchr(rest.p, 0, rest.n) != NULL)
        return -1;
    /* RFC 4616 2: each up to 255 octets; passwords go as far as our own limit */
    if (out->authzid.n > 255 || out->authcid.n > 255 || rest.n > (size_t)LIMIT(PASSWORD_BYTES))
        return -1;
    return utf8_valid(in) ? 0 : -1;
}

static bool same_name(struct span a, struct span b)
{
    char x[LOGIN_NAME_BYTES], y[LOGIN_NAME_BYTES];
    size_t at, n = login_name_fold(a, x, &at), m = login_name_fold(b, y, &at);

    return span_eq(a, b) || (n > 0 && span_eq(span_of(x, n), span_of(y, m)));
}

static void plain_step(struct dialog *d, struct span response, struct sasl_step *out)
{
    struct sasl_plain p;

    /* RFC 4422 5: the client speaks first; no initial response came, so ask for it with an empty challenge */
    if (d == NULL && response.n == 0) {
        out->state = SASL_MORE;
        return;
    }
    if (sasl_plain_parse(response, &p) < 0) {
        out->state = SASL_SYNTAX;
        return;
    }
    if (p.authzid.n > 0 && !same_name(p.authzid, p.authcid)) { /* nobody acts for another here */
        out->state = SASL_BAD;
        return;
    }
    out->check = true;
    out->name = p.authcid;
    out->password = p.password;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static const struct sasl_mech mechs[] = {
#define X(name, plus, step) {name, plus, step##_step},
    SASL_MECH_TABLE(X)
#undef X
};

static const struct sasl_mech *mech_find(struct span name)
{
    for (size_t i = 0; i < COUNT_OF(mechs); i++)
        if (span_eq(name, span_z(mechs[i].name)))
            return &mechs[i];
    return NULL;
}

/* SEC-13: nobody logs in where others listen: in TLS, or between loopback ends when the configuration says so. */
static bool mech_allowed(const struct sasl *s, const struct sasl_mech *m, const struct msg_sasl *in)
{
    bool closed = (in->flags & SASL_IN_TLS) || ((in->flags & SASL_LOOPBACK) && s->cleartext_loopback);

    return closed && (!m->plus || ((in->flags & SASL_PLUS) && in->binding.n > 0));
}

/* ---- dialogues --------------------------------------------------------------------------------------------------- */

struct sasl *sasl_new(bool cleartext_loopback)
{
    struct sasl *s = base_alloc(sizeof *s);

    map_init(&s->dialogs);
    list_init(&s->age);
    s->cleartext_loopback = cleartext_loopback;
    return s;
}

static void dialog_end(struct sasl *s, struct dialog *d)
{
    map_take_u64(&s->dialogs, d->id);
    list_remove(&d->age);
    free(d);
}

void sasl_free(struct sasl *s)
{
    if (s == NULL)
        return;
    while (!list_empty(&s->age))
        dialog_end(s, LIST_ITEM(s->age.next, struct dialog, age));
    map_done(&s->dialogs);
    free(s);
}

size_t sasl_dialogs(const struct sasl *s)
{
    return map_count(&s->dialogs);
}

static void dialogs_expire(struct sasl *s, int64_t now)
{
    while (!list_empty(&s->age)) {
        struct dialog *d = LIST_ITEM(s->age.next, struct dialog, age);
        if (d->until_ms > now && map_count(&s->dialogs) < DIALOGS_MOST)
            return;
        dialog_end(s, d);
    }
}

static struct dialog *dialog_new(struct sasl *s, const struct sasl_mech *m, uint64_t owner, int64_t now)
{
    struct dialog *d = base_alloc(sizeof *d);

    do
        d->id = rand_u64();
    while (d->id == 0 || map_get_u64(&s->dialogs, d->id) != NULL);
    d->owner = owner;
    d->mech = m;
    d->until_ms = now + DIALOG_MS;
    map_put_u64(&s->dialogs, d->id, d);
    list_push(&s->age, &d->age);
    return d;
}

void sasl_step(struct sasl *s, const struct msg_sasl *in, uint64_t owner, struct sasl_step *out)
{
    int64_t now = clock_mono_ms();
    struct dialog *d = NULL;
    const struct sasl_mech *m;

    memset(out, 0, sizeof *out);
    dialogs_expire(s, now);
    if (in->dialog != 0) {
        d = map_get_u64(&s->dialogs, in->dialog);
        if (d == NULL || d->owner != owner) {
            out->state = SASL_SYNTAX;
            return;
        }
    }
    m = d != NULL ? d->mech : mech_find(in->mech);
    if (m == NULL || !mech_allowed(s, m, in)) {
        out->state = SASL_MECH;
        return;
    }
    m->step(d, in->response, out);
    if (!out->check && out->state == SASL_MORE) {
        if (d == NULL)
            d = dialog_new(s, m, owner, now);
        out->dialog = d->id;
    } else if (d != NULL) {
        dialog_end(s, d);
    }
}
