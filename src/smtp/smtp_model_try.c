/* The model beside the session: the same input to both, and what they disagree about. */
#include "smtp/smtp_model.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/log.h"
#include "run/config.h"
#include "run/tls_testing.h"
#include "smtp/smtp_in_session.h"
#include "smtp/smtp_in_testing.h"

static struct tls_service *tls;

static const struct { enum limit_id id; int64_t value; } limits[] = {
    {LIMIT_MESSAGE_BYTES, 300}, /* so that small inputs reach them */
    {LIMIT_SMTP_ERRORS_SOFT, 1000},
    {LIMIT_SMTP_ERRORS_HARD, 20},
    {LIMIT_SMTP_IDLE_COMMANDS, 30},
};

int smtp_model_setup(void)
{
    struct fail f;
    struct tls_chain chain = tls_testing_cert("DNS:mx.example.test");
    config_use(config_parse(SPAN("[server]\nhostname = mx.example.test\nno_limits = 192.0.2.0/24\ncleartext_loopback = yes\n"),
                            "test", &f));
    log_setup("test", LOG_ERROR);
    for (size_t i = 0; i < COUNT_OF(limits); i++)
        limit_value[limits[i].id] = limits[i].value;
    tls = tls_service_new("smtp", SPAN_NONE, tls_testing_sign);
    int r = tls_service_load(tls, &chain, 1, &f);
    free((char *)(uintptr_t)chain.pem.p);
    return r;
}

/* The next whole line that ends a reply, or NONE. */
static struct span next_reply(struct span *said)
{
    for (;;) {
        ptrdiff_t end = span_find(*said, SPAN("\r\n"));
        if (end < 0)
            return SPAN_NONE;
        struct span line = span_sub(*said, 0, (size_t)end);
        *said = span_from(*said, (size_t)end + 2);
        bool digits = line.n >= 4;
        for (size_t i = 0; digits && i < 3; i++)
            digits = line.p[i] >= '0' && line.p[i] <= '9';
        if (digits && line.p[3] == ' ')
            return line;
    }
}

bool smtp_model_heard(struct span said, size_t n)
{
    while (n > 0 && next_reply(&said).p != NULL)
        n--;
    return n == 0;
}

struct span smtp_model_codes(struct span said, struct arena *mem)
{
    struct str out;
    struct span line;
    str_init(&out, mem);
    while ((line = next_reply(&said)).p != NULL)
        str_addf(&out, out.n > 0 ? " %.3s" : "%.3s", line.p);
    return str_span(&out);
}

/* The sendmail command's user: auth and the front have seen to who he is. */
static WAITS void run_of_bob(struct conn *c, struct session_env *env)
{
    static const struct session_login bob = {.handle = "0123456789abcdef", .uid = 33, .address_n = 16, .address = "bob@example.test"};
    env->login = &bob;
    smtp_in_session_run(c, env);
}

WAITS struct span smtp_model_try(struct span input, struct arena *mem)
{
    static const enum service_id services[] = {SERVICE_smtp, SERVICE_submission, SERVICE_lmtp, SERVICE_submissions};
    static const size_t steps[] = {0, 1, 7, 100};
    struct smtp_model model;
    unsigned how = input.n > 0 ? (unsigned char)input.p[0] : 0;
    enum service_id service = (how & 35) == 33 ? SERVICE_sendmail : services[how & 3];
    bool loopback = how & 16;
    smtp_model_run(service, loopback, true, span_from(input, 1), &model, mem);
    smtp_in_seen->log_n = 0;
    struct span said = session_testing_flights(service == SERVICE_sendmail ? run_of_bob : smtp_in_session_run, service,
                                               loopback, tls, model.flights, model.n, steps[how >> 2 & 3], mem);
    struct span codes = smtp_model_codes(said, mem), stored = span_of(smtp_in_seen->log, smtp_in_seen->log_n);
    bool same = span_eq(codes, str_span(&model.codes)) && span_eq(stored, str_span(&model.stored));
    for (size_t i = 0; i + 1 < said.n && same; i++) /* RFC 5321 2.3.8; in TLS as well, but behind it there is anything */
        same = said.p[i + 1] != '\n' || said.p[i] == '\r' || model.n > 1;
    if (same)
        return SPAN("");
    return arena_printf(mem, "%s, step %zu, codes:\n  model   %.*s\n  session %.*s\nstored, the model:\n%.*sstored, the session:\n%.*ssaid:\n%.*s\n",
                        service_table[service].name, steps[how >> 2 & 3], SPAN_ARGS(str_span(&model.codes)), SPAN_ARGS(codes),
                        SPAN_ARGS(str_span(&model.stored)), SPAN_ARGS(stored), SPAN_ARGS(said));
}
