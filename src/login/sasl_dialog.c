/* sasl_dialog: wraps and unwraps base64, and waits as long as auth says before it tells a failure. */
#include "login/sasl_dialog.h"

#include "base/base64.h"
#include "base/clock.h"
#include "login/sasl_mech.h"

static const struct mech {
    const char *name;
    bool plus;
} mechs[] = {
#define X(name, plus, step, hash) {name, plus},
    SASL_MECH_TABLE(X)
#undef X
};

bool sasl_dialog_allowed(const struct conn *c)
{
    return conn_tls(c) || (conn_loopback(c) && config_bool(CONFIG_server_cleartext_loopback));
}

/* RFC 9266 3: what binds to the channel is defined for TLS 1.3. */
static bool offered(const struct conn *c, const struct mech *m)
{
    unsigned char binding[TLS_BINDING];

    return sasl_dialog_allowed(c) && (!m->plus || conn_tls_binding(c, binding));
}

void sasl_dialog_list(const struct conn *c, const char *before, struct str *out)
{
    for (size_t i = 0; i < COUNT_OF(mechs); i++)
        if (offered(c, &mechs[i]))
            str_addf(out, "%s%s", before, mechs[i].name);
}

/* The mechanism of that name in whatever case (RFC 4422 3.1 has capitals; people type others), offered or not. */
static const struct mech *find(struct span name)
{
    for (size_t i = 0; i < COUNT_OF(mechs); i++)
        if (span_eq_nocase(name, span_z(mechs[i].name)))
            return &mechs[i];
    return NULL;
}

/* ---- auth --------------------------------------------------------------------------------------------------------- */

static WAITS int ask(const struct sasl_dialog *d, uint64_t dialog, struct span mech, struct span response,
                     struct msg_sasl_r *out)
{
    unsigned char binding[TLS_BINDING];
    bool bound = conn_tls_binding(d->c, binding);
    struct fail f;
    struct msg_sasl in = {
        .dialog = dialog,
        .service = d->service,
        .mech = mech,
        .response = response,
        .ip = span_of(conn_peer(d->c)->ip, sizeof conn_peer(d->c)->ip),
        /* what is possible here was announced, so an attacker who hid it shows (RFC 5802 6) */
        .flags = (conn_tls(d->c) ? SASL_IN_TLS : 0) | (conn_loopback(d->c) ? SASL_LOOPBACK : 0) | (bound ? SASL_PLUS : 0),
        .binding = span_of(binding, bound ? sizeof binding : 0),
    };

    return IPC_CALL(ROLE_AUTH, sasl, &in, out, d->mem, &f);
}

static WAITS int finish(const struct sasl_dialog *d, int answered, const struct msg_sasl_r *r, struct sasl_dialog_result *out)
{
    static const enum sasl_dialog_end ends[] = {
        [SASL_OK] = SASL_DIALOG_IN,       [SASL_MORE] = SASL_DIALOG_SYNTAX,   [SASL_BAD] = SASL_DIALOG_REFUSED,
        [SASL_BUSY] = SASL_DIALOG_LATER,  [SASL_SYNTAX] = SASL_DIALOG_SYNTAX, [SASL_MECH] = SASL_DIALOG_NO_MECH,
    };
    int waited = WAIT_TIMEOUT;

    out->end = answered < 0 || r->state >= COUNT_OF(ends) ? SASL_DIALOG_LATER : ends[r->state];
    if (out->end == SASL_DIALOG_IN) {
        out->handle = r->handle;
        out->address = r->address;
        out->lang = r->lang;
        out->account = r->account;
    } else if (answered == 0 && r->wait_ms > 0) {
        int64_t left = d->until_ms - clock_mono_ms();
        waited = coro_sleep(MAX_OF(MIN_OF((int64_t)r->wait_ms, left), (int64_t)0));
    }
    return waited == WAIT_TIMEOUT ? 0 : waited;
}

/* ---- the client ----------------------------------------------------------------------------------------------------- */

/* 0 and the decoded answer to a challenge; 1: it ended here, out->end says how; WAIT_*. */
static WAITS int challenge(const struct sasl_dialog *d, struct span bytes, struct str *response,
                           struct sasl_dialog_result *out)
{
    struct span line;
    struct str text;
    int r;

    str_init(&text, d->mem);
    base64_encode(&text, bytes);
    r = d->exchange(d->arg, str_span(&text), &line);
    if (r == CONN_LINE_LONG)
        out->end = SASL_DIALOG_LONG;
    else if (r != 0)
        return r;
    else if (span_eq(line, SPAN("*")))
        out->end = SASL_DIALOG_CANCELLED;
    else if (str_clear(response), base64_decode(response, line) != 0)
        out->end = SASL_DIALOG_BASE64;
    else
        return 0;
    return 1;
}

WAITS int sasl_dialog_run(const struct sasl_dialog *d, struct span mech, struct span initial,
                          struct sasl_dialog_result *out)
{
    const struct mech *m = find(mech);
    struct msg_sasl_r answer = {0};
    struct str response;
    int r = 0;

    *out = (struct sasl_dialog_result){.end = SASL_DIALOG_NO_MECH};
    if (m != NULL && !sasl_dialog_allowed(d->c))
        out->end = SASL_DIALOG_NO_TLS;
    if (m == NULL || !offered(d->c, m))
        return 0;
    str_init(&response, d->mem);
    if (span_eq(initial, SPAN("="))) { /* a response that is there and empty: no mechanism here begins so */
        out->end = SASL_DIALOG_SYNTAX;
        return 0;
    }
    if (base64_decode(&response, initial) != 0) {
        out->end = SASL_DIALOG_BASE64;
        return 0;
    }
    for (uint64_t dialog = 0; r == 0; dialog = answer.dialog) {
        int answered = ask(d, dialog, span_z(m->name), str_span(&response), &answer);
        if (response.n > 0)
            explicit_bzero(response.p, response.n);
        if (answered < 0 || answer.state != SASL_MORE)
            return finish(d, answered, &answer, out);
        r = challenge(d, answer.challenge, &response, out);
    }
    return r == 1 ? 0 : r;
}

WAITS int sasl_dialog_password(const struct sasl_dialog *d, struct span name, struct span password,
                               struct sasl_dialog_result *out)
{
    struct msg_sasl_r answer = {0};
    struct str plain; /* RFC 4616: no authorization identity, NUL, name, NUL, password */
    int answered;

    *out = (struct sasl_dialog_result){.end = SASL_DIALOG_NO_TLS};
    if (!sasl_dialog_allowed(d->c))
        return 0;
    str_init(&plain, d->mem);
    str_reserve(&plain, name.n + password.n + 2);
    str_addc(&plain, 0);
    str_add(&plain, name);
    str_addc(&plain, 0);
    str_add(&plain, password);
    answered = ask(d, 0, SPAN("PLAIN"), str_span(&plain), &answer);
    explicit_bzero(plain.p, plain.n);
    if (answered == 0 && answer.state == SASL_SYNTAX) /* an empty name, say: it is nobody's */
        answer.state = SASL_BAD;
    return finish(d, answered, &answer, out);
}
