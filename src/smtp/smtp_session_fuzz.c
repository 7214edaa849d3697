/* libFuzzer: whole sessions of SMTP, submission and LMTP, TLS included, beside the model of smtp_model.h (SEC-05): the codes
 * of all replies and everything that was stored must be what the model says. The input's first octet chooses service, peer
 * and pieces; octets 1 and 2 are a handshake and a close_notify. Dictionary: tests/corpus/smtp_session_fuzz.dict. */
#include <stdio.h>

#include "smtp/smtp_in_testing.h"
#include "smtp/smtp_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 8192 };

static WAITS void one(void *arg)
{
    struct arena mem;
    arena_init(&mem);
    struct span differs = smtp_model_try(*(struct span *)arg, &mem);
    if (differs.n > 0) {
        fprintf(stderr, "%.*s", SPAN_ARGS(differs));
        abort();
    }
    arena_done(&mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    struct span in = span_of(data, size);
    if (size < 2 || size > INPUT_MAX)
        return 0;
    if (!started && (smtp_model_setup() < 0 || smtp_in_testing_start() < 0))
        abort();
    started = true;
    smtp_in_testing_go(one, &in);
    return 0;
}
