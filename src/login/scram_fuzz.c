/* scram_fuzz: both messages of a client, and whole dialogues cut out of the input at each LF. */
#include "login/login_name.h"
#include "login/password.h"
#include "login/sasl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void messages(struct span in)
{
    struct scram_first first;
    struct scram_final final;
    char name[SCRAM_NAME];

    if (scram_first_parse(in, &first) == 0) {
        assert(first.gs2.n + first.bare.n == in.n && first.nonce.n > 0 && first.nonce.n <= SCRAM_NONCE);
        assert(first.name.n > SCRAM_NAME || scram_name_decode(first.name, name) > 0);
    }
    if (scram_final_parse(in, &final) == 0)
        assert(final.without_proof.n + 3 + final.proof.n == in.n);
}

static void dialogue(struct span in)
{
    static const unsigned char key[SCRAM_KEY] = "a key";
    struct sasl *s = sasl_new(false);
    struct msg_sasl ask = {.mech = span_split(&in, '\n'), .flags = SASL_IN_TLS | SASL_PLUS, .binding = SPAN("binding")};
    struct arena mem;

    arena_init(&mem);
    for (int i = 0; i < 6 && in.p != NULL; i++) {
        struct sasl_step step;
        ask.response = span_split(&in, '\n');
        sasl_step(s, &ask, 1, &mem, &step);
        if (step.want == SASL_WANT_SALT) {
            sasl_salt(s, &step, SPAN("0123456789abcdef"), 4096, &mem);
        } else if (step.want == SASL_WANT_PROOF) {
            scram_proves(step.hash, key, step.auth_message, step.proof);
            sasl_proven(s, &step, key, 1, 2, &mem);
        }
        assert(step.want != SASL_WANT_SESSION || (step.account == 1 && step.credential == 2));
        if (step.want != SASL_WANT_NOTHING)
            assert(step.name.n > 0);
        ask.dialog = step.dialog;
    }
    arena_done(&mem);
    sasl_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    messages(span_of(data, size));
    dialogue(span_of(data, size));
    return 0;
}
