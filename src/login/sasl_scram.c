/* sasl_scram: the server's side of a SCRAM dialogue (RFC 5802 5): first message, proof, and an empty line at the end, since
 * none of our protocols carries the server's signature with its success (RFC 4422 5, RFC 4954 4). */
#include "base/base64.h"
#include "base/rand.h"
#include "login/sasl_inner.h"

enum { FIRST, FINAL, DONE };

/* RFC 5802 6. -1 and the state to answer with. */
static int check_binding(const struct sasl_dialog_state *d, const struct scram_first *first, uint32_t flags,
                         struct sasl_step *out)
{
    out->state = SASL_SYNTAX;
    if ((first->flag == 'p') != d->mech->plus)
        return -1;
    out->state = SASL_BAD;
    if (first->flag == 'y' && (flags & SASL_PLUS)) /* it could have, and believes that we could not: somebody told it so */
        return -1;
    if (first->flag == 'p' && !span_eq(first->binding, SPAN("tls-exporter"))) /* RFC 9266 2 */
        return -1;
    return 0;
}

static void client_first(struct sasl_dialog_state *d, const struct msg_sasl *in, struct sasl_step *out)
{
    char name[SCRAM_NAME], authzid[SCRAM_NAME];
    struct scram_first first;
    size_t n, m;

    if (scram_first_parse(in->response, &first) < 0) {
        out->state = SASL_SYNTAX;
        return;
    }
    if (check_binding(d, &first, in->flags, out) < 0)
        return;
    n = scram_name_decode(first.name, name);
    m = scram_name_decode(first.authzid, authzid);
    if (n == 0 || (first.authzid.n > 0 && !sasl_same_name(span_of(authzid, m), span_of(name, n)))) {
        out->state = SASL_BAD; /* nobody acts for another here */
        return;
    }
    d->name = arena_copy(&d->mem, span_of(name, n));
    d->gs2 = arena_copy(&d->mem, first.gs2);
    d->bare = arena_copy(&d->mem, first.bare);
    d->nonce = arena_copy(&d->mem, first.nonce);
    d->phase = FINAL;
    out->want = SASL_WANT_SALT;
    out->name = d->name;
}

void sasl_scram_salt(struct sasl_dialog_state *d, struct sasl_step *step, struct span salt, uint32_t iterations)
{
    unsigned char ours[18];
    struct str s;

    rand_bytes(ours, sizeof ours);
    str_init(&s, &d->mem);
    str_addz(&s, "r=");
    str_add(&s, d->nonce);
    base64_encode(&s, span_of(ours, sizeof ours));
    d->nonce = span_from(str_span(&s), 2);
    d->nonce = arena_copy(&d->mem, d->nonce);
    str_addz(&s, ",s=");
    base64_encode(&s, salt);
    str_addf(&s, ",i=%u", iterations);
    d->server_first = str_span(&s);
    step->challenge = d->server_first;
}

/* c=: the header again, and with p= the channel's bytes. */
static bool same_channel(const struct sasl_dialog_state *d, const struct msg_sasl *in, struct span said)
{
    struct str bytes;
    struct arena mem;
    bool same;

    arena_init(&mem);
    str_init(&bytes, &mem);
    same = base64_decode(&bytes, said) == 0 && bytes.n >= d->gs2.n &&
           span_eq(span_sub(str_span(&bytes), 0, d->gs2.n), d->gs2) &&
           span_eq(span_from(str_span(&bytes), d->gs2.n), d->mech->plus ? in->binding : SPAN(""));
    arena_done(&mem);
    return same;
}

static void client_final(struct sasl_dialog_state *d, const struct msg_sasl *in, struct arena *mem, struct sasl_step *out)
{
    struct scram_final final;
    struct str proof, message;

    str_init(&proof, mem);
    if (scram_final_parse(in->response, &final) < 0 || base64_decode(&proof, final.proof) != 0) {
        out->state = SASL_SYNTAX;
        return;
    }
    if (!span_eq(final.nonce, d->nonce) || !same_channel(d, in, final.binding)) {
        out->state = SASL_BAD;
        return;
    }
    str_init(&message, mem); /* RFC 5802 3: AuthMessage */
    str_add(&message, d->bare);
    str_addc(&message, ',');
    str_add(&message, d->server_first);
    str_addc(&message, ',');
    str_add(&message, final.without_proof);
    d->phase = DONE;
    out->want = SASL_WANT_PROOF;
    out->name = d->name;
    out->proof = str_span(&proof);
    out->auth_message = str_span(&message);
}

void sasl_scram_sign(struct sasl_dialog_state *d, struct sasl_step *step, const unsigned char *server_key, struct arena *mem)
{
    unsigned char signature[SCRAM_KEY];
    size_t n = scram_sign(step->hash, server_key, step->auth_message, signature);
    struct str s;

    str_init(&s, mem);
    str_addz(&s, "v=");
    base64_encode(&s, span_of(signature, n));
    step->challenge = str_span(&s);
}

void sasl_scram_step(struct sasl_dialog_state *d, const struct msg_sasl *in, struct arena *mem, struct sasl_step *out)
{
    if (d->phase == FIRST) {
        client_first(d, in, out);
    } else if (d->phase == FINAL) {
        client_final(d, in, mem, out);
    } else if (in->response.n > 0) {
        out->state = SASL_SYNTAX;
    } else {
        out->want = SASL_WANT_SESSION;
        out->name = d->name;
        out->account = d->account;
        out->credential = d->credential;
    }
}
