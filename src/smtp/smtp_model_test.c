/* SEC-05: random sessions against the model, 2,000 or as many as the first argument says; seeds in the second. */
#include "smtp/smtp_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/num.h"
#include "smtp/smtp_in_testing.h"

static uint64_t rounds = 2000, seed = 4711;

/* What brings a message on: a sender, recipients, a text. */
static const char *const senders[] = {
    "MAIL FROM:<a@b.example>\r\n", "MAIL FROM:<bob@example.test>\r\n", "MAIL FROM:<>\r\n", "MAIL FROM:<robert@example.test> RET=HDRS ENVID=a+2Bb\r\n",
    "MAIL FROM:<BOB@example.test> SIZE=200 BODY=8BITMIME\r\n", "MAIL FROM:<bob@example.test> SMTPUTF8\r\n", "MAIL FROM:<SENDER-FULL@b>\r\n",
};
static const char *const recipients[] = {
    "RCPT TO:<bob@example.test>\r\n", "RCPT TO:<list@example.test>\r\n", "RCPT TO:<both@example.test>\r\n", "RCPT TO:<away@example.test>\r\n",
    "RCPT TO:<carol@example.test> NOTIFY=SUCCESS ORCPT=rfc822;c+2B@x.example\r\n", "RCPT TO:<list@example.test> NOTIFY=SUCCESS,DELAY\r\n",
    "RCPT TO:<a@other.example>\r\n", "RCPT TO:<A@Other.Example> NOTIFY=SUCCESS\r\n", "RCPT TO:<fullbox@example.test>\r\n", "RCPT TO:<small@example.test>\r\n",
};
static const char *const texts[] = {
    "DATA\r\nFrom: bob@example.test\r\n\r\n..x\r\n.\r\n", "BDAT 26 LAST\r\nFrom: bob@example.test\r\n\r\n", "DATA\r\n.\r\n",
    "BDAT 9\r\nFrom: bobBDAT 13 LAST\r\n@example.test", "BDAT 23\r\nFrom: bob@example.test\rBDAT 5\r\n\n\r\nxBDAT 0 LAST\r\n",
    "DATA\r\nFrom: carol@example.test\r\nFrom: bob@example.test\r\n.\r\n", "DATA\r\nFrom: BOB@example.test\r\n. \r\n.\r\n", "BDAT 2 LAST\r\na\n",
    "DATA\r\nFrom: x@y\r\n\n.\r\n",
};
static const struct { const char *const *v; size_t n; } stages[] = {
    {senders, COUNT_OF(senders)}, {recipients, COUNT_OF(recipients)}, {texts, COUNT_OF(texts)},
};

/* And what does not. */
static const char *const commands[] = {
    "EHLO c.example\r\n", "STARTTLS\r\n\1", "AUTH PLAIN AGJvYgBzZWNyZXQ=\r\n", "DATA\r\n", "\r\n.\r\n", ".\r\n", "BDAT 5\r\nabcde",
    "HELO c\r\n", "LHLO c.example\r\n", "EHLO\r\n", "RSET\r\n", "NOOP\r\n", "VRFY a\r\n", "HELP\r\n", "QUIT\r\n", "EXPN l\r\n", "FROB\r\n",
    "MAIL FROM:<a@b> SIZE=200 BODY=8BITMIME\r\n",
    "MAIL FROM:<a@b> SIZE=301\r\n", "MAIL FROM:<\xc3\xa4@b\xc3\xbc.example> SMTPUTF8\r\n", "MAIL FROM:<SENDER-FULL@b>\r\n",
    "MAIL FROM:<SENDER-NEVER@b>\r\n", "MAIL FROM:<a@b> AUTH=<>\r\n", "MAIL FROM:<a@b> RET=FULL RET=FULL\r\n", "RCPT TO:<no@example.test>\r\n",
    "RCPT TO:<carol@example.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;c+3Dd@x.example\r\n", "RCPT TO:<both@example.test> NOTIFY=SUCCESS\r\n",
    "RCPT TO:<away@example.test> NOTIFY=NEVER\r\n", "RCPT TO:<a@other.example>\r\n", "RCPT TO:<A@Other.Example> NOTIFY=DELAY\r\n",
    "RCPT TO:<a@null.example>\r\n", "RCPT TO:<a@gone.example>\r\n", "RCPT TO:<enough@other.example>\r\n", "RCPT TO:<a@[198.51.100.1]>\r\n",
    "RCPT TO:<fullbox@example.test>\r\n", "RCPT TO:<small@example.test>\r\n", "RCPT TO:<postmaster>\r\n", "RCPT TO:<postmaster@[192.0.2.7]>\r\n",
    "RCPT TO:<postmaster@[127.0.0.1]>\r\n", "RCPT TO:<\"a@b\"@example.test>\r\n", "RCPT TO:<disabled@example.test>\r\n",
    "RCPT TO:<@r.example:dave@example.test>\r\n", "RCPT TO:<\xc3\xa4@example.test>\r\n", "From: x@y\r\n", "..dots\r\n", ".", "text", "\r\n",
    "\r", "\n", "\r\n.\n", "\n.\r\n", "\r.\r\n", "BDAT 10\r\n", "BDAT 2\r\na\r", "BDAT 1 LAST\r\n\n", "BDAT 290\r\n", "BDAT 301 LAST\r\n",
    "BDAT 99999\r\n", "BDAT x\r\n", "BDAT 3 LAST\r\na\nb", "AUTH PLAIN\r\n", "AUTH PLAIN AGJvYgB3cm9uZw==\r\n", "AGJvYgBzZWNyZXQ=\r\n", "*\r\n",
    "AUTH PLAIN =\r\n", "AUTH PLAIN bW9yZQ==\r\n", "dGhhdA==\r\n", "AUTH XYZ\r\n", "AUTH PLAIN AGJvYgBidXN5\r\n", "STARTTLS\r\n", "STARTTLS x\r\n",
    "\1", "\2", "QUIT x\r\n", "RSET x\r\n", "DATA x\r\n", "XCLIENT ADDR=192.0.2.1\r\n", "01234567890123456789012345678901234567890123456789",
};

static uint64_t next(uint64_t *state, uint64_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (*state >> 33) % below;
}

/* A dialogue, sometimes cut anywhere, sometimes with a wrong octet. */
static struct span dialogue(uint64_t number, struct arena *mem)
{
    uint64_t random = number * 2654435761u + 1;
    struct str s;
    str_init(&s, mem);
    next(&random, 2);
    str_addc(&s, (char)next(&random, 64));
    uint64_t n = 3 + next(&random, 40);
    if (next(&random, 4) != 0)
        str_addz(&s, (s.p[0] & 3) == 2 ? "LHLO c.example\r\n" : "EHLO c.example\r\n");
    if ((s.p[0] & 1) != 0 && next(&random, 3) != 0)
        str_addz(&s, "AUTH PLAIN AGJvYgBzZWNyZXQ=\r\n");
    for (size_t stage = 0; n-- > 0;) {
        if (next(&random, 4) == 0) {
            str_addz(&s, commands[next(&random, COUNT_OF(commands))]);
            continue;
        }
        str_addz(&s, stages[stage].v[next(&random, stages[stage].n)]);
        if (stage != 1 || next(&random, 2) == 0)
            stage = (stage + 1) % COUNT_OF(stages);
    }
    if (next(&random, 8) == 0)
        s.p[1 + next(&random, s.n - 1)] = (char)next(&random, 256);
    if (next(&random, 4) == 0)
        s.n = 1 + next(&random, s.n);
    return str_span(&s);
}

static WAITS void random_sessions(void)
{
    struct arena mem;
    arena_init(&mem);
    for (uint64_t i = 0; i < rounds && ipc_testing_failed < 3; i++) {
        struct span in = dialogue(seed + i, &mem), differs = smtp_model_try(in, &mem);
        if (differs.n > 0)
            fprintf(stderr, "seed %llu:\n%.*s\n%.*s", (unsigned long long)(seed + i), SPAN_ARGS(in), SPAN_ARGS(differs));
        CHECK(differs.n == 0);
        arena_reset(&mem);
    }
    arena_done(&mem);
    fprintf(stderr, "%u messages stored\n", smtp_in_seen->ingests);
    CHECK(smtp_in_seen->ingests > rounds / 8 || rounds < 100); /* else it tried nothing */
}

static void test_random_sessions(void **state)
{
    assert_int_equal(smtp_in_testing_run(random_sessions), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_sessions)};
    if (argc > 1 && num_u64(span_z(argv[1]), UINT32_MAX, &rounds) < 0)
        return 2;
    if (argc > 2 && num_u64(span_z(argv[2]), UINT64_MAX / 2, &seed) < 0)
        return 2;
    if (smtp_model_setup() < 0)
        return 2;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
