/* Whole SMTP sessions against played roles: at once, and a byte at a time. */
#include "smtp/smtp_in_session.h"
#include "smtp/smtp_in_domain.h"
#include "smtp/smtp_in_rcpt.h"
#include "smtp/smtp_in_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/log.h"
#include "run/config.h"
#include "run/shared.h"

#define HELLO "EHLO c.example\r\n"
#define TO_BOB "MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"
#define ENVELOPE "MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@example.test>\r\n"
#define QUIT "QUIT\r\n"

static const struct talk {
    const char *name, *input, *codes;
} talks[] = {
    {"nothing", "", "220"},
    {"one message", HELLO TO_BOB "Subject: x\r\n\r\ny\r\n.\r\n" QUIT, "220 250 250 250 354 250 221"},
    {"HELO", "HELO c\r\n" TO_BOB "x\r\n.\r\n", "220 250 250 250 354 250"},
    {"two messages", HELLO TO_BOB "x\r\n.\r\n" TO_BOB "y\r\n.\r\n" QUIT, "220 250 250 250 354 250 250 250 354 250 221"},
    {"no hello", "MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n" QUIT, "220 503 503 503 221"},
    {"order", HELLO "RCPT TO:<bob@example.test>\r\nDATA\r\nMAIL FROM:<>\r\nDATA\r\nMAIL FROM:<>\r\n" QUIT,
     "220 250 503 503 250 503 503 221"},
    {"RSET", HELLO "MAIL FROM:<>\r\nRSET\r\nRCPT TO:<bob@example.test>\r\n", "220 250 250 250 503"},
    {"EHLO ends a transaction", HELLO "MAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\n" HELLO "DATA\r\n",
     "220 250 250 250 250 503"},
    {"recipients", HELLO "MAIL FROM:<>\r\nRCPT TO:<no@example.test>\r\nRCPT TO:<x@other.example>\r\n"
     "RCPT TO:<\"a@b\"@example.test>\r\nRCPT TO:<disabled@example.test>\r\nRCPT TO:<loop@example.test>\r\n"
     "RCPT TO:<Postmaster>\r\nRCPT TO:<>\r\n", "220 250 250 550 550 550 550 550 250 501"},
    {"all refused", HELLO "MAIL FROM:<>\r\nRCPT TO:<no@example.test>\r\nDATA\r\nRSET\r\n", "220 250 250 550 503 250"},
    {"noise", "\r\n\x80\xff\r\nNO\rOP\r\nNOOP\nNOOP\r\n", "220 500 500 500 500 250"},
    {"small ones", "NOOP x\r\nVRFY a\r\nVRFY\r\nEXPN l\r\nHELP\r\nFROB\r\nRSET x\r\nQUIT x\r\n",
     "220 250 252 501 502 214 500 501 501"},
    {"STARTTLS without a certificate", HELLO "STARTTLS\r\n", "220 250 454"},
    {"SIZE", HELLO "MAIL FROM:<> SIZE=99999999999\r\nMAIL FROM:<> SIZE=100\r\n", "220 250 552 250"},
    {"parameters", HELLO "MAIL FROM:<> X=1\r\nMAIL FROM:<> BODY=8BITMIME\r\nRCPT TO:<bob@example.test> X=Y\r\n",
     "220 250 555 250 555"},
    {"8 bit", HELLO "MAIL FROM:<\xc3\xa9@b>\r\n", "220 250 553"},
    {"bare LF", HELLO TO_BOB "x\ny\r\n.\r\nNOOP\r\n", "220 250 250 250 354 550"},
    {"smuggled", HELLO TO_BOB "x\r\n\r\ny\n.\r\nMAIL FROM:<e@v.il>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nz\r\n.\r\n",
     "220 250 250 250 354 550"},
    {"half a command", HELLO "MAIL FR", "220 250"},
    {"half a message", HELLO TO_BOB "x\r\n.\r", "220 250 250 250 354"},
    {"store is full", HELLO "MAIL FROM:<SENDER-FULL@b>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nx\r\n.\r\nNOOP\r\n",
     "220 250 250 250 354 452 250"},
    {"BDAT", HELLO ENVELOPE "BDAT 3\r\nab\rBDAT 5 LAST\r\n\nc\r\n.NOOP\r\n", "220 250 250 250 250 250 250"},
    {"BDAT of nothing", HELLO ENVELOPE "BDAT 0 LAST\r\n", "220 250 250 250 250"},
    {"BDAT LAST 0", HELLO ENVELOPE "BDAT 3\r\na\r\nBDAT 0 LAST\r\nNOOP\r\n", "220 250 250 250 250 250 250"},
    {"BDAT bare LF", HELLO ENVELOPE "BDAT 3 LAST\r\na\nb" ENVELOPE, "220 250 250 250 550"},
    {"BDAT bare CR at a chunk's end", HELLO ENVELOPE "BDAT 2\r\na\rBDAT 1 LAST\r\nb" ENVELOPE, "220 250 250 250 250 550"},
    {"BDAT bare CR at the end", HELLO ENVELOPE "BDAT 2 LAST\r\na\r" ENVELOPE, "220 250 250 250 550"},
    {"BDAT out of place", "BDAT 6\r\nNOOP\r\n" HELLO "BDAT 6 LAST\r\nNOOP\r\nMAIL FROM:<>\r\nBDAT 6\r\nNOOP\r\nRCPT TO:<bob@example.test>\r\n"
     "BDAT 3 LAST\r\nx\r\n", "220 503 250 503 250 503 250 250"},
    {"BDAT without a size", HELLO ENVELOPE "BDAT x\r\nNOOP\r\n", "220 250 250 250 501"},
    {"BDAT without a size, out of place", HELLO "BDAT x\r\nNOOP\r\n", "220 250 503"},
    {"BDAT too big", HELLO ENVELOPE "BDAT 99999999\r\nNOOP\r\n", "220 250 250 250"},
    {"DATA behind BDAT", HELLO ENVELOPE "BDAT 3\r\na\r\nDATA\r\nRCPT TO:<bob@example.test>\r\nMAIL FROM:<>\r\nRSET\r\nBDAT 3 LAST\r\nb\r\n",
     "220 250 250 250 250 503 503 503 250 503"},
    {"BDAT cut", HELLO ENVELOPE "BDAT 10 LAST\r\nabc", "220 250 250 250"},
    {"BDAT refused at the end", HELLO "MAIL FROM:<SENDER-FULL@b>\r\nRCPT TO:<bob@example.test>\r\nBDAT 3\r\na\r\nBDAT 3 LAST\r\nb\r\nBDAT 5 LAST\r\nQUIT\nNOOP\r\n",
     "220 250 250 250 250 452 503 250"},
    {"SMTPUTF8", HELLO "MAIL FROM:<\xc3\xa9@b\xc3\xbc.example> SMTPUTF8\r\nRCPT TO:<\xc3\xa9@example.test>\r\nRCPT TO:<bob@example.test>\r\n"
     "RSET\r\nMAIL FROM:<>\r\nRCPT TO:<\xc3\xa9@example.test>\r\n", "220 250 250 550 250 250 250 553"},
    {"not on this port", HELLO "LHLO x\r\nAUTH PLAIN\r\nXCLIENT ADDR=192.0.2.9\r\nMAIL FROM:<> AUTH=<>\r\n", "220 250 500 500 500 555"},
    {"no room", HELLO "MAIL FROM:<> SIZE=101\r\nRCPT TO:<small@example.test>\r\nRSET\r\nMAIL FROM:<> SIZE=100\r\nRCPT TO:<small@example.test>\r\n",
     "220 250 250 452 250 250 250"},
    {"literals", HELLO "MAIL FROM:<>\r\nRCPT TO:<postmaster@[192.0.2.7]>\r\nRCPT TO:<x@[192.0.2.7]>\r\nRCPT TO:<postmaster@[192.0.2.8]>\r\n",
     "220 250 250 250 550 550"},
    {"store says no", HELLO "MAIL FROM:<SENDER-NEVER@b>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nx\r\n.\r\nNOOP\r\n",
     "220 250 250 250 354 550 250"},
};

static size_t count(struct span said, const char *what)
{
    size_t n = 0;
    for (ptrdiff_t at; (at = span_find(said, span_z(what))) >= 0; n++)
        said = span_from(said, (size_t)at + 1);
    return n;
}

static WAITS struct span talk(struct span input, size_t step, struct arena *mem)
{
    return session_testing_talk(smtp_in_session_run, SERVICE_smtp, false, input, step, mem);
}

static WAITS void talk_all(void)
{
    struct arena mem;
    arena_init(&mem);
    for (size_t i = 0; i < COUNT_OF(talks); i++)
        for (size_t step = 0; step <= 1; step++) {
            const struct talk *t = &talks[i];
            unsigned before = smtp_in_seen->ingests;
            struct span said = talk(span_z(t->input), step, &mem);
            struct span codes = smtp_in_testing_codes(said, &mem);
            bool same = span_eq(codes, span_z(t->codes));
            if (!same)
                fprintf(stderr, "%s, step %zu: %.*s\n%.*s", t->name, step, SPAN_ARGS(codes), SPAN_ARGS(said));
            CHECK(same);
            CHECK(smtp_in_seen->ingests - before == count(said, "stored as"));
            arena_reset(&mem);
        }
    arena_done(&mem);
}

/* What is kept is our trace field and what was sent, without the dots; each account once. */
static WAITS void kept(void)
{
    struct arena mem;
    arena_init(&mem);
    talk(SPAN(HELLO "MAIL FROM:<a@b.example>\r\nRCPT TO:<list@example.test>\r\nRCPT TO:<bob@example.test>\r\n"
                                    "RCPT TO:<@r.example:BOB@example.test>\r\nDATA\r\n..a\r\n.b\r\n.\r\n"),
                         0, &mem);
    const struct smtp_in_seen *s = smtp_in_seen;
    struct span body = span_of(s->body, s->body_n);
    CHECK(s->targets == 3 && s->accounts[0] == 1 && s->accounts[1] == 2 && s->accounts[2] == 3);
    CHECK(strcmp(s->sender, "a@b.example") == 0);
    CHECK(span_starts(body, SPAN("Received: from c.example")));
    CHECK(span_find(body, SPAN("192.0.2.7")) > 0 && span_find(body, SPAN("mx.example.test")) > 0);
    CHECK(span_find(body, SPAN("ESMTP")) > 0 && span_find(body, SPAN(" for ")) < 0);
    CHECK(span_ends_nocase(body, SPAN("\r\n.a\r\nb\r\n")));
    struct span said = talk(SPAN(HELLO TO_BOB ".\r\n"), 0, &mem);
    ptrdiff_t at = span_find(said, SPAN("stored as "));
    CHECK(at > 0);
    body = span_of(s->body, s->body_n);
    CHECK(span_find(body, SPAN("for <bob@example.test>")) > 0);
    CHECK(span_find(body, span_sub(said, (size_t)at + 10, 12)) > 0); /* the trace id is the same */
    CHECK(span_ends_nocase(body, SPAN("\r\n")));
    arena_done(&mem);
}

/* One message of n bytes of text; true when store has exactly it. */
static WAITS bool big(size_t n, bool spool, const char *code)
{
    struct arena mem;
    struct str in;
    arena_init(&mem);
    str_init(&in, &mem);
    str_addz(&in, HELLO TO_BOB);
    size_t text = in.n;
    for (size_t i = 0; in.n - text < n; i++)
        str_addf(&in, "%060zu\r\n", i);
    size_t end = in.n;
    str_addz(&in, ".\r\nNOOP\r\n");
    unsigned before = smtp_in_seen->ingests;
    struct span said = talk(str_span(&in), 0, &mem);
    struct span codes = smtp_in_testing_codes(said, &mem);
    const struct smtp_in_seen *s = smtp_in_seen;
    bool good = span_ends_nocase(codes, arena_printf(&mem, "354 %s 250", code));
    if (*code == '2') {
        size_t field = (size_t)s->size - (end - text);
        struct str whole; /* the trace field as store has it, then the text */
        str_init(&whole, &mem);
        str_add(&whole, span_of(s->body, MIN_OF(field, s->body_n)));
        str_add(&whole, span_of(in.p + text, end - text));
        bool file = s->size > (LIMIT(BODY_SHARED) > 0 ? (uint64_t)LIMIT(BODY_INLINE) : 8192) && !spool;
        good = good && s->ingests == before + 1 && s->file == file && s->spool == spool &&
               s->hash == span_hash(str_span(&whole));
    } else {
        good = good && s->ingests == before;
    }
    if (!good)
        fprintf(stderr, "%zu bytes: %.*s file %d spool %d\n", n, SPAN_ARGS(codes), s->file, s->spool);
    arena_done(&mem);
    return good;
}

static WAITS void sizes(void)
{
    CHECK(big(100, false, "250"));
    CHECK(big(60000, false, "250"));
    for (size_t n = 65000; n < 66000; n += 62) /* around body_inline, our trace field included */
        CHECK(big(n, false, "250"));
    CHECK(big(300000, false, "250"));
    CHECK(big(1000000, false, "250"));
    CHECK(big(1048000, false, "250"));
    CHECK(big(1048576, true, "250"));
    CHECK(big(1100000, true, "250"));
    CHECK(big(3000000, true, "250"));
    limit_value[LIMIT_BODY_SHARED] = 0; /* the others have it all (SEC-07) */
    for (size_t n = 7900; n < 8300; n += 62)
        CHECK(big(n, false, "250"));
    CHECK(big(60000, false, "250"));
    CHECK(big(3000000, true, "250"));
    limit_value[LIMIT_BODY_SHARED] = limit_table[LIMIT_BODY_SHARED].def;
    limit_value[LIMIT_MESSAGE_BYTES] = 65536;
    CHECK(big(70000, false, "552"));
    limit_value[LIMIT_MESSAGE_BYTES] = 2000000;
    CHECK(big(2500000, true, "552")); /* some of it was spooled already */
    limit_value[LIMIT_MESSAGE_BYTES] = limit_table[LIMIT_MESSAGE_BYTES].def;
    limit_value[LIMIT_MEMFD_BUDGET] = 70000; /* no room for a memfd: straight to the spool */
    CHECK(big(200000, true, "250"));
    limit_value[LIMIT_MEMFD_BUDGET] = limit_table[LIMIT_MEMFD_BUDGET].def;
    CHECK(body_room());
}

static WAITS bool says(struct span input, const char *codes)
{
    struct arena mem;
    arena_init(&mem);
    struct span said = smtp_in_testing_codes(talk(input, 0, &mem), &mem);
    bool good = span_eq(said, span_z(codes));
    if (!good)
        fprintf(stderr, "%.*s\n", SPAN_ARGS(said));
    arena_done(&mem);
    return good;
}

/* SEC-25: what brings scan down once is tried alone; what does so twice is refused for now, and others go on. */
static WAITS void poison(void)
{
    CHECK(says(SPAN(HELLO TO_BOB "CRASH-ONCE\r\n.\r\n"), "220 250 250 250 354 250"));
    CHECK(smtp_in_seen->scans_alone == 1);
    CHECK(says(SPAN(HELLO TO_BOB "CRASH-ALWAYS\r\n.\r\n" TO_BOB "x\r\n.\r\n"), "220 250 250 250 354 451 250 250 354 250"));
    CHECK(smtp_in_seen->scans_alone == 2);
}

static struct span repeated(const char *what, size_t n, struct arena *mem)
{
    struct str s;
    str_init(&s, mem);
    for (size_t i = 0; i < n; i++)
        str_addz(&s, what);
    return str_span(&s);
}

static WAITS void limits(void)
{
    struct arena mem;
    arena_init(&mem);
    limit_value[LIMIT_SMTP_ERRORS_SOFT] = 19;
    struct span said = talk(repeated("FROB\r\n", 40, &mem), 0, &mem);
    CHECK(count(said, "500 5.5.2") == 20 && count(said, "421 4.7.0") == 1);
    said = talk(repeated("NOOP\r\n", 5000, &mem), 0, &mem);
    CHECK(count(said, "250 2.0.0") == 101 && count(said, "421 4.7.0") == 1);
    said = talk(repeated("x", 60000, &mem), 0, &mem);
    CHECK(count(said, "220 ") == 1 && count(said, "\r\n") == 1); /* it ended inside the line */
    said = talk(repeated("x", 80000, &mem), 0, &mem);
    CHECK(count(said, "421 4.7.0") == 1);
    struct str s;
    str_init(&s, &mem);
    str_add(&s, repeated("x", 3000, &mem));
    str_addz(&s, "\r\nNOOP\r\n");
    said = talk(str_span(&s), 0, &mem);
    CHECK(count(said, "500 5.5.2") == 1 && count(said, "250 2.0.0") == 1);
    limit_value[LIMIT_SMTP_RCPTS] = 100;
    str_clear(&s);
    str_addz(&s, HELLO "MAIL FROM:<>\r\n");
    str_add(&s, repeated("RCPT TO:<bob@example.test>\r\n", 150, &mem));
    str_addz(&s, "DATA\r\nx\r\n.\r\n");
    said = talk(str_span(&s), 0, &mem);
    CHECK(count(said, "250 2.1.5") == 100 && count(said, "452 4.5.3") == 50 && count(said, "250 2.0.0") == 1);
    CHECK(smtp_in_seen->targets == 1);
    limit_value[LIMIT_SMTP_RCPTS] = limit_table[LIMIT_SMTP_RCPTS].def;
    limit_value[LIMIT_SMTP_RCPT_HELD] = 10; /* SEC-07: the first may be wide, what is too much behind it is refused whole */
    said = talk(SPAN(HELLO "MAIL FROM:<>\r\nRCPT TO:<list@example.test>\r\nRCPT TO:<away@example.test>\r\n"
                     "RCPT TO:<bob@example.test>\r\nDATA\r\nx\r\n.\r\n"), 0, &mem);
    CHECK(count(said, "250 2.1.5") == 2 && count(said, "452 4.5.3") == 1 && count(said, "250 2.0.0") == 1);
    CHECK(smtp_in_seen->targets == 3 && smtp_in_seen->remotes[0] == 0); /* bob is one of the list */
    limit_value[LIMIT_SMTP_RCPT_HELD] = limit_table[LIMIT_SMTP_RCPT_HELD].def;
    arena_done(&mem);
}

/* SEC-05: random sessions against a model of a few lines: codes and what was stored agree with it. */
static WAITS void model(void)
{
    enum { NEW, GREETED, MAIL, RCPT };
    struct arena mem;
    arena_init(&mem);
    limit_value[LIMIT_SMTP_ERRORS_SOFT] = 999;
    limit_value[LIMIT_SMTP_ERRORS_HARD] = 1000;
    limit_value[LIMIT_SMTP_IDLE_COMMANDS] = 10000;
    uint64_t random = 4711;
    for (int round = 0; round < 150; round++) {
        struct str in, want;
        str_init(&in, &mem);
        str_init(&want, &mem);
        str_addz(&want, "220");
        int state = NEW;
        unsigned rcpts = 0, stored = 0;
        int sender = 0, last_sender = -1;
        for (int i = 0; i < 40; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            unsigned what = (unsigned)(random >> 33) % 10, code;
            if (what == 0) {
                str_addz(&in, HELLO), code = 250, state = GREETED;
            } else if (what <= 2) {
                str_addf(&in, "MAIL FROM:<s%d@b>\r\n", i);
                code = state == GREETED ? 250 : 503;
                if (state == GREETED)
                    state = MAIL, rcpts = 0, sender = i;
            } else if (what <= 4) {
                str_addz(&in, "RCPT TO:<bob@example.test>\r\n");
                code = state >= MAIL ? 250 : 503;
                if (state >= MAIL)
                    state = RCPT, rcpts++;
            } else if (what == 5) {
                str_addz(&in, "RCPT TO:<no@example.test>\r\n"), code = state >= MAIL ? 550 : 503;
            } else if (what <= 7) {
                str_addz(&in, "DATA\r\n");
                code = 503;
                if (state == RCPT) {
                    str_addf(&want, " 354");
                    str_addz(&in, "x\r\n.\r\n");
                    code = 250, state = GREETED, stored++, last_sender = sender;
                }
            } else if (what == 8) {
                str_addz(&in, "RSET\r\n"), code = 250;
                state = state == NEW ? NEW : GREETED;
            } else {
                str_addz(&in, "FROB\r\n"), code = 500;
            }
            str_addf(&want, " %u", code);
        }
        unsigned before = smtp_in_seen->ingests;
        struct span said = talk(str_span(&in), round % 3 == 0 ? 7 : 0, &mem);
        CHECK(span_eq(smtp_in_testing_codes(said, &mem), str_span(&want)));
        CHECK(smtp_in_seen->ingests - before == stored);
        char name[16];
        snprintf(name, sizeof name, "s%d@b", last_sender);
        CHECK(stored == 0 || (strcmp(smtp_in_seen->sender, name) == 0 && smtp_in_seen->targets == 1));
        arena_reset(&mem);
    }
    arena_done(&mem);
}

/* Answers are remembered while auth's counter says that the directory is the same, and no longer. */
static WAITS void memory(void)
{
    int rw, ro;
    CHECK(shared_make(sizeof(struct shared_page), &rw, &ro) == 0);
    struct shared_page *page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, rw, 0);
    CHECK(page != MAP_FAILED && shared_map_peer(ROLE_AUTH, ro) == 0);
    static const char ask[] = HELLO "MAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\nRCPT TO:<no@example.test>\r\n"
                                    "RCPT TO:<bob@example.test>\r\nRCPT TO:<no@example.test>\r\n";
    static const char codes[] = "220 250 250 250 550 250 550";
    limit_value[LIMIT_RCPT_CACHE_MS] = 60000;
    smtp_in_rcpt_forget(); /* the tests before left some */
    page->counter[COUNTER_DIRECTORY_GENERATION] = 7; /* what the played auth says of itself */
    CHECK(says(span_z(ask), codes) && smtp_in_seen->rcpt_checks == 2);
    CHECK(says(span_z(ask), codes) && smtp_in_seen->rcpt_checks == 2);
    page->counter[COUNTER_DIRECTORY_GENERATION] = 8;
    CHECK(says(span_z(ask), codes) && smtp_in_seen->rcpt_checks == 6);
    page->counter[COUNTER_DIRECTORY_GENERATION] = 7;
    limit_value[LIMIT_RCPT_CACHE_MS] = 0;
    CHECK(says(span_z(ask), codes) && smtp_in_seen->rcpt_checks == 10);
    limit_value[LIMIT_RCPT_CACHE_MS] = limit_table[LIMIT_RCPT_CACHE_MS].def;
    smtp_in_rcpt_forget();
    munmap(page, sizeof *page);
}

/* ---- the other services ------------------------------------------------------------------------------------------------- */

/* As auth and the front begin a session of the sendmail command: bob is there before the first word. */
static WAITS void run_of_bob(struct conn *c, struct session_env *env)
{
    static const struct session_login bob = {.handle = "0123456789abcdef", .uid = 33, .address_n = 16, .address = "bob@example.test"};
    env->login = &bob;
    smtp_in_session_run(c, env);
}

static WAITS bool says_on(enum service_id service, struct span input, const char *codes)
{
    session_fn *run = service == SERVICE_sendmail ? run_of_bob : smtp_in_session_run;
    struct arena mem;
    arena_init(&mem);
    bool good = true;
    for (size_t step = 0; step <= 1; step++) {
        struct span said = session_testing_talk(run, service, true, input, step, &mem);
        good = good && span_eq(smtp_in_testing_codes(said, &mem), span_z(codes));
        if (!good)
            fprintf(stderr, "%.*s", SPAN_ARGS(said));
    }
    arena_done(&mem);
    return good;
}

#define LHLO "LHLO c.example\r\nMAIL FROM:<a@b.example>\r\n"

/* RFC 2033: an answer for each recipient that was accepted. */
static WAITS void lmtp(void)
{
    const struct smtp_in_seen *s = smtp_in_seen;
    CHECK(says_on(SERVICE_lmtp, SPAN("EHLO x\r\nHELO x\r\n" LHLO "RCPT TO:<bob@example.test>\r\nRCPT TO:<no@example.test>\r\n"
                                     "RCPT TO:<carol@example.test>\r\nDATA\r\nx\r\n.\r\nNOOP\r\n"),
                  "220 500 500 250 250 250 550 250 354 250 250 250"));
    CHECK(s->targets == 2 && span_find(span_of(s->body, s->body_n), SPAN("with LMTP")) > 0);
    CHECK(says_on(SERVICE_lmtp, SPAN(LHLO "RCPT TO:<no@example.test>\r\nDATA\r\n"), "220 250 250 550 503"));
    unsigned before = s->ingests;
    CHECK(says_on(SERVICE_lmtp, SPAN(LHLO "RCPT TO:<list@example.test>\r\nRCPT TO:<fullbox@example.test>\r\n"
                                     "RCPT TO:<dave@example.test>\r\nBDAT 3\r\nx\r\nBDAT 3 LAST\r\ny\r\n"),
                  "220 250 250 250 250 250 250 250 452 250"));
    CHECK(s->ingests == before + 2); /* dave had his by the list; twice, for the two ways of sending */
    CHECK(says_on(SERVICE_lmtp, SPAN(LHLO "RCPT TO:<bob@example.test>\r\nRCPT TO:<carol@example.test>\r\n"
                                     "BDAT 3\r\nx\nyBDAT 3 LAST\r\ny\r\n"), "220 250 250 250 250 550"));
}

#define LOGIN "EHLO c.example\r\nAUTH PLAIN AGJvYgBzZWNyZXQ=\r\n"
#define FROM_BOB "MAIL FROM:<bob@example.test>\r\n"

static const struct talk submissions[] = {
    {"login first", HELLO "MAIL FROM:<bob@example.test>\r\nRCPT TO:<a@other.example>\r\nDATA\r\nBDAT 6\r\nNOOP\r\nVRFY a\r\nNOOP\r\n",
     "220 250 530 530 530 530 530 250"},
    {"no hello", "AUTH PLAIN\r\n", "220 503"},
    {"initial response", LOGIN FROM_BOB "RCPT TO:<a@other.example>\r\nDATA\r\nFrom: bob@example.test\r\n\r\nx\r\n.\r\n",
     "220 250 235 250 250 354 250"},
    {"334", HELLO "AUTH PLAIN\r\nAGJvYgBzZWNyZXQ=\r\n", "220 250 334 235"},
    {"given up", HELLO "AUTH PLAIN\r\n*\r\nNOOP\r\n", "220 250 334 501 250"},
    {"empty responses", HELLO "AUTH PLAIN =\r\nAUTH PLAIN\r\n\r\nNOOP\r\n", "220 250 501 334 501 250"},
    {"wrong", HELLO "AUTH PLAIN AGJvYgB3cm9uZw==\r\nAUTH PLAIN !\r\nAUTH PLAIN bW9yZQ==\r\ndGhhdA==\r\nAUTH XYZ\r\nAUTH\r\nAUTH PLAIN AGJvYgBidXN5\r\n",
     "220 250 535 501 334 535 504 501 454"},
    {"once", LOGIN "AUTH PLAIN AGJvYgBzZWNyZXQ=\r\n", "220 250 235 503"},
    {"not inside a transaction", LOGIN FROM_BOB "AUTH PLAIN AGJvYgBzZWNyZXQ=\r\n", "220 250 235 250 503"},
    {"EHLO keeps the login", LOGIN HELLO FROM_BOB, "220 250 235 250 250"},
    {"reverse-path", LOGIN "MAIL FROM:<robert@example.test>\r\nRSET\r\nMAIL FROM:<BOB@example.test>\r\nRSET\r\nMAIL FROM:<>\r\nRSET\r\n"
     "MAIL FROM:<carol@example.test>\r\nMAIL FROM:<x@other.example> AUTH=<>\r\nRCPT TO:<bob@example.test>\r\n",
     "220 250 235 250 250 250 250 250 250 550 550 503"},
    {"domains", LOGIN FROM_BOB "RCPT TO:<a@null.example>\r\nRCPT TO:<a@gone.example>\r\nRCPT TO:<a@slow.example>\r\n"
     "RCPT TO:<a@bare.example>\r\nRCPT TO:<a@[198.51.100.1]>\r\nRCPT TO:<enough@other.example>\r\nRCPT TO:<no@example.test>\r\n",
     "220 250 235 250 556 550 250 250 250 450 550"},
    {"From", LOGIN FROM_BOB "RCPT TO:<a@other.example>\r\nDATA\r\nFrom: carol@example.test\r\n.\r\n"
     FROM_BOB "RCPT TO:<a@other.example>\r\nDATA\r\nx: y\r\n.\r\n"
     FROM_BOB "RCPT TO:<a@other.example>\r\nDATA\r\nFrom: bob@example.test\r\nFrom: bob@example.test\r\n.\r\n"
     FROM_BOB "RCPT TO:<a@other.example>\r\nDATA\r\nFrom: robert@example.test\r\n.\r\n",
     "220 250 235 250 250 354 550 250 250 354 554 250 250 354 554 250 250 354 250"},
    {"bare LF", LOGIN FROM_BOB "RCPT TO:<a@other.example>\r\nDATA\r\nFrom: bob@example.test\n.\r\nNOOP\r\n",
     "220 250 235 250 250 354 550"},
};

/* Posts come when they come: the played store may still be at them when the session is over. */
static WAITS bool noted(unsigned notes)
{
    for (int i = 0; i < 1000 && (smtp_in_seen->notes_posted < notes || smtp_in_seen->logouts == 0); i++)
        coro_sleep(5);
    return smtp_in_seen->notes_posted == notes && smtp_in_seen->logouts > 0;
}

static WAITS void submission(void)
{
    const struct smtp_in_seen *s = smtp_in_seen;
    for (size_t i = 0; i < COUNT_OF(submissions); i++) {
        bool good = says_on(SERVICE_submission, span_z(submissions[i].input), submissions[i].codes);
        if (!good)
            fprintf(stderr, "submission: %s\n", submissions[i].name);
        CHECK(good);
    }
    CHECK(says_on(SERVICE_submission, SPAN(LOGIN FROM_BOB "RCPT TO:<A@b\xc3\xbc.Example>\r\nRSET\r\n"), "220 250 235 250 553 250"));
    CHECK(says_on(SERVICE_submission, SPAN(LOGIN FROM_BOB "RCPT TO:<A@Other.Example>\r\nRCPT TO:<carol@example.test>\r\nRCPT TO:<away@example.test>\r\n"
                                           "RCPT TO:<A@Other.Example>\r\nDATA\r\nFrom: bob@example.test\r\n.\r\n"),
                  "220 250 235 250 250 250 250 250 354 250"));
    CHECK(strcmp(s->remotes, "A@Other.Example other.example 0  \nx@other.example other.example 0  away@example.test\n") == 0);
    CHECK(s->targets == 1 && s->handle && s->edits && (s->flags & ENVELOPE_VERIFIED));
    struct span body = span_of(s->body, s->body_n);
    CHECK(span_find(body, SPAN("127.0.0.1")) < 0 && span_find(body, SPAN("c.example")) < 0);
    CHECK(span_find(body, SPAN("with ESMTPA ")) > 0);
    unsigned notes = s->notes_posted;
    CHECK(says_on(SERVICE_submission, SPAN(LOGIN FROM_BOB "RCPT TO:<a@gmial.com>\r\n"), "220 250 235 250 550"));
    CHECK(noted(notes + 2));
    CHECK(strcmp(s->refusal, "550 5.1.2 a@gmial.com There is no domain gmial.com for mail. Did you mean gmail.com?") == 0);
    CHECK(says_on(SERVICE_submission, SPAN(LOGIN FROM_BOB "RCPT TO:<bbo@example.test>\r\n"), "220 250 235 250 550"));
    CHECK(noted(notes + 4));
    CHECK(strcmp(s->refusal, "550 5.1.1 bbo@example.test No such user here. Did you mean bob@example.test?") == 0);
    CHECK(says_on(SERVICE_submission, SPAN(LOGIN FROM_BOB "RCPT TO:<enough@other.example>\r\n"), "220 250 235 250 450"));
    CHECK(noted(notes + 6));
    CHECK(strcmp(s->refusal, "450 4.7.1 enough@other.example That is as many new recipients as one day allows, "
                             "try again after 2026-11-25 10:00 UTC") == 0);
}

/* A user whom the kernel named: submission in all, but for what belongs to a net. */
static const struct talk locals[] = {
    {"at once", HELLO FROM_BOB "RCPT TO:<a@other.example>\r\nDATA\r\nFrom: bob@example.test\r\n\r\nx\r\n.\r\n", "220 250 250 250 354 250"},
    {"no second login, no TLS", HELLO "AUTH PLAIN AGJvYgBzZWNyZXQ=\r\nSTARTTLS\r\nXCLIENT ADDR=192.0.2.1\r\nLHLO x\r\n", "220 250 500 500 500 500"},
    {"reverse-path", HELLO "MAIL FROM:<robert@example.test>\r\nRSET\r\nMAIL FROM:<>\r\nRSET\r\nMAIL FROM:<carol@example.test>\r\n"
     "MAIL FROM:<root@localhost>\r\n", "220 250 250 250 250 250 550 550"},
    {"From", HELLO FROM_BOB "RCPT TO:<a@other.example>\r\nDATA\r\nFrom: carol@example.test\r\n.\r\n" FROM_BOB, "220 250 250 250 354 550 250"},
    {"domains, limits", HELLO FROM_BOB "RCPT TO:<a@null.example>\r\nRCPT TO:<a@gone.example>\r\nRCPT TO:<enough@other.example>\r\n"
     "RCPT TO:<no@example.test>\r\n", "220 250 250 556 550 450 550"},
    {"HELO", "HELO c.example\r\n" FROM_BOB, "220 250 250"},
};

static WAITS void sendmail(void)
{
    const struct smtp_in_seen *s = smtp_in_seen;
    struct arena mem;
    arena_init(&mem);
    for (size_t i = 0; i < COUNT_OF(locals); i++) {
        unsigned before = s->logouts;
        bool good = says_on(SERVICE_sendmail, span_z(locals[i].input), locals[i].codes);
        if (!good)
            fprintf(stderr, "sendmail: %s\n", locals[i].name);
        CHECK(good);
        for (int k = 0; k < 1000 && s->logouts < before + 2; k++)
            coro_sleep(5);
        CHECK(s->logouts == before + 2); /* the session ends at the other roles, too; once in each way of sending */
    }
    CHECK(says_on(SERVICE_sendmail, SPAN(HELLO FROM_BOB "RCPT TO:<a@other.example>\r\nDATA\r\nFrom: bob@example.test\r\n\r\nx\r\n.\r\n"),
                  "220 250 250 250 354 250"));
    CHECK(strcmp(s->remotes, "a@other.example other.example 0  \n") == 0);
    CHECK(s->handle && s->edits && (s->flags & ENVELOPE_VERIFIED));
    CHECK(span_find(span_of(s->body, s->body_n), SPAN("with ESMTPA ")) > 0);
    CHECK(span_find(span_of(s->body, s->body_n), SPAN("c.example")) < 0);
    struct span said = session_testing_talk(run_of_bob, SERVICE_sendmail, true, SPAN(HELLO), 0, &mem);
    CHECK(span_find(said, SPAN("XLOGIN bob@example.test\r\n")) > 0 && span_find(said, SPAN("DSN\r\n")) > 0);
    CHECK(span_find(said, SPAN("AUTH")) < 0 && span_find(said, SPAN("STARTTLS")) < 0 && span_find(said, SPAN("XCLIENT")) < 0);
    arena_done(&mem);
}

/* Without a login only aliases of ours lead elsewhere. */
static WAITS void forwards(void)
{
    const struct smtp_in_seen *s = smtp_in_seen;
    CHECK(says(SPAN(HELLO "MAIL FROM:<a@b.example>\r\nRCPT TO:<away@example.test>\r\nRCPT TO:<x@other.example>\r\n"
                    "RCPT TO:<both@example.test>\r\nDATA\r\nx\r\n.\r\n"), "220 250 250 250 550 250 354 250"));
    CHECK(strcmp(s->remotes, "x@other.example other.example 0  away@example.test\n") == 0 && s->targets == 1);
    CHECK(!s->handle && !(s->flags & ENVELOPE_VERIFIED));
}

static void distances(void **state)
{
    static const struct { const char *a, *b; unsigned d; } rows[] = {
        {"", "", 0}, {"a", "", 1}, {"gmail.com", "gmail.com", 0}, {"gmial.com", "gmail.com", 1}, {"gmai.com", "gmail.com", 1},
        {"gmaill.com", "gmail.com", 1}, {"gmsil.com", "gmail.com", 1}, {"ca", "abc", 3}, {"kitten", "sitting", 3},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(smtp_in_domain_distance(span_z(rows[i].a), span_z(rows[i].b)), rows[i].d);
        assert_int_equal(smtp_in_domain_distance(span_z(rows[i].b), span_z(rows[i].a)), rows[i].d);
    }
    assert_true(span_eq(smtp_in_domain_suggest(SPAN("exmaple.test"), SPAN("example.test")), SPAN("example.test")));
    assert_true(span_eq(smtp_in_domain_suggest(SPAN("hotmial.com"), SPAN("example.test")), SPAN("hotmail.com")));
    assert_int_equal(smtp_in_domain_suggest(SPAN("something.example"), SPAN("example.test")).n, 0);
    assert_int_equal(smtp_in_domain_suggest(SPAN("gmail.com"), SPAN("example.test")).n, 0);
}

static void test_lmtp(void **state) { assert_int_equal(smtp_in_testing_run(lmtp), 0); }
static void test_submission(void **state) { assert_int_equal(smtp_in_testing_run(submission), 0); }
static void test_sendmail(void **state) { assert_int_equal(smtp_in_testing_run(sendmail), 0); }
static void test_forwards(void **state) { assert_int_equal(smtp_in_testing_run(forwards), 0); }
static void test_talks(void **state) { assert_int_equal(smtp_in_testing_run(talk_all), 0); }
static void test_kept(void **state) { assert_int_equal(smtp_in_testing_run(kept), 0); }
static void test_sizes(void **state) { assert_int_equal(smtp_in_testing_run(sizes), 0); }
static void test_poison(void **state) { assert_int_equal(smtp_in_testing_run(poison), 0); }
static void test_limits(void **state) { assert_int_equal(smtp_in_testing_run(limits), 0); }
static void test_memory(void **state) { assert_int_equal(smtp_in_testing_run(memory), 0); }
static void test_model(void **state) { assert_int_equal(smtp_in_testing_run(model), 0); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_talks),  cmocka_unit_test(test_kept),   cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_poison), cmocka_unit_test(test_limits), cmocka_unit_test(test_model),
        cmocka_unit_test(test_memory), cmocka_unit_test(test_lmtp),   cmocka_unit_test(test_submission),
        cmocka_unit_test(test_sendmail),
        cmocka_unit_test(test_forwards), cmocka_unit_test(distances),
    };
    struct fail f;
    config_use(config_parse(SPAN("[server]\nhostname = mx.example.test\nno_limits = 192.0.2.0/24\ncleartext_loopback = yes\n"), "test", &f));
    log_setup("test", LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
