/* sasl: the table of mechanisms, and the dialogues that take more than one step. */
#include "login/sasl.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/rand.h"
#include "base/utf8.h"
#include "login/login_name.h"
#include "login/sasl_inner.h"
#include "login/sasl_mech.h"

enum { DIALOG_MS = 120 * 1000, DIALOGS_MOST = 20000 };

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

bool sasl_same_name(struct span a, struct span b)
{
    char x[LOGIN_NAME_BYTES], y[LOGIN_NAME_BYTES];
    size_t at, n = login_name_fold(a, x, &at), m = login_name_fold(b, y, &at);

    return span_eq(a, b) || (n > 0 && span_eq(span_of(x, n), span_of(y, m)));
}

static void plain_step(struct sasl_dialog_state *d, const struct msg_sasl *in, struct arena *mem, struct sasl_step *out)
{
    struct sasl_plain p;

    if (sasl_plain_parse(in->response, &p) < 0) {
        out->state = SASL_SYNTAX;
        return;
    }
    if (p.authzid.n > 0 && !sasl_same_name(p.authzid, p.authcid)) { /* nobody acts for another here */
        out->state = SASL_BAD;
        return;
    }
    out->want = SASL_WANT_CHECK;
    out->name = p.authcid;
    out->password = p.password;
}

/* LOGIN, which no RFC describes: two questions, whose words clients do not read (draft-murchison-sasl-login 2). */
static void login_step(struct sasl_dialog_state *d, const struct msg_sasl *in, struct arena *mem, struct sasl_step *out)
{
    out->state = SASL_SYNTAX;
    if (in->response.n == 0 || in->response.n > (size_t)LIMIT(PASSWORD_BYTES) || !utf8_valid(in->response) ||
        memchr(in->response.p, 0, in->response.n) != NULL)
        return;
    if (d->phase++ == 0) {
        d->name = arena_copy(&d->mem, in->response);
        out->state = SASL_MORE;
        out->challenge = SPAN("Password:");
        return;
    }
    out->want = SASL_WANT_CHECK;
    out->name = d->name;
    out->password = in->response;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static const struct sasl_mech mechs[] = {
#define X(name, plus, step, hash) {name, plus, step, hash},
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

static void dialog_free(struct sasl_dialog_state *d)
{
    arena_done(&d->mem);
    free(d);
}

static void dialog_end(struct sasl *s, struct sasl_dialog_state *d)
{
    if (d->id != 0) {
        map_take_u64(&s->dialogs, d->id);
        list_remove(&d->age);
    }
    dialog_free(d);
}

void sasl_free(struct sasl *s)
{
    if (s == NULL)
        return;
    while (!list_empty(&s->age))
        dialog_end(s, LIST_ITEM(s->age.next, struct sasl_dialog_state, age));
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
        struct sasl_dialog_state *d = LIST_ITEM(s->age.next, struct sasl_dialog_state, age);
        if (d->until_ms > now && map_count(&s->dialogs) < DIALOGS_MOST)
            return;
        dialog_end(s, d);
    }
}

static struct sasl_dialog_state *dialog_new(const struct sasl_mech *m, uint64_t owner, int64_t now)
{
    struct sasl_dialog_state *d = base_alloc(sizeof *d);

    d->owner = owner;
    d->mech = m;
    d->until_ms = now + DIALOG_MS;
    arena_init(&d->mem);
    return d;
}

/* It goes on: from now on it has a number. */
static void dialog_keep(struct sasl *s, struct sasl_dialog_state *d)
{
    if (d->id != 0)
        return;
    do
        d->id = rand_u64();
    while (d->id == 0 || map_get_u64(&s->dialogs, d->id) != NULL);
    map_put_u64(&s->dialogs, d->id, d);
    list_push(&s->age, &d->age);
}

static struct sasl_dialog_state *dialog_of(struct sasl *s, const struct msg_sasl *in, uint64_t owner, struct sasl_step *out)
{
    struct sasl_dialog_state *d = map_get_u64(&s->dialogs, in->dialog);
    const struct sasl_mech *m;

    if (in->dialog != 0 && (d == NULL || d->owner != owner)) {
        out->state = SASL_SYNTAX;
        return NULL;
    }
    m = in->dialog != 0 ? d->mech : mech_find(in->mech);
    if (m == NULL || !mech_allowed(s, m, in)) {
        out->state = SASL_MECH;
        return NULL;
    }
    return in->dialog != 0 ? d : dialog_new(m, owner, clock_mono_ms());
}

void sasl_step(struct sasl *s, const struct msg_sasl *in, uint64_t owner, struct arena *mem, struct sasl_step *out)
{
    struct sasl_dialog_state *d;

    memset(out, 0, sizeof *out);
    dialogs_expire(s, clock_mono_ms());
    d = dialog_of(s, in, owner, out);
    if (d == NULL)
        return;
    out->mech = d->mech->name;
    out->hash = d->mech->hash;
    if (d->id == 0 && in->response.n == 0) { /* RFC 4422 5: no initial response came, so ask for it */
        out->state = SASL_MORE;
        out->challenge = d->mech->step == login_step ? SPAN("Username:") : SPAN("");
    } else {
        d->mech->step(d, in, mem, out);
    }
    if (out->want == SASL_WANT_SALT || out->want == SASL_WANT_PROOF ||
        (out->want == SASL_WANT_NOTHING && out->state == SASL_MORE)) {
        dialog_keep(s, d);
        out->dialog = d->id;
        return;
    }
    if (out->want != SASL_WANT_NOTHING)
        out->name = arena_copy(mem, out->name); /* the dialogue's, which ends here */
    dialog_end(s, d);
}

void sasl_salt(struct sasl *s, struct sasl_step *step, struct span salt, uint32_t iterations, struct arena *mem)
{
    sasl_scram_salt(map_get_u64(&s->dialogs, step->dialog), step, salt, iterations);
    step->challenge = arena_copy(mem, step->challenge);
    step->state = SASL_MORE;
}

void sasl_proven(struct sasl *s, struct sasl_step *step, const unsigned char *server_key, uint64_t account,
                 uint64_t credential, struct arena *mem)
{
    struct sasl_dialog_state *d = map_get_u64(&s->dialogs, step->dialog);

    d->account = account;
    d->credential = credential;
    sasl_scram_sign(d, step, server_key, mem);
    step->state = SASL_MORE;
}

void sasl_refused(struct sasl *s, struct sasl_step *step)
{
    dialog_end(s, map_get_u64(&s->dialogs, step->dialog));
    step->dialog = 0;
}
