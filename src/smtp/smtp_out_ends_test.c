/* SEC-03: what we send is one message to every reader of it, however that takes the end of data. Many messages go over one
 * connection, by DATA and by BDAT, in pieces cut anywhere; then six readers go through all that was said, as servers would. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/rand.h"
#include "run/loop.h"
#include "smtp/smtp_out.h"

enum { MESSAGES = 1000, BODY_MOST = 20000, STREAM_MOST = 64 << 20 };

/* ---- the readers ------------------------------------------------------------------------------------------------- */

/* The end of data is a dot with one of these before it and one of those behind it; what stands before it also begins a line,
 * whose first dot is doubled. */
static const struct reader {
    const char *name;
    const char *before[3], *behind[3];
} readers[] = {
    {"CRLF.CRLF only", {"\r\n"}, {"\r\n"}},
    {"LF.LF too", {"\r\n", "\n"}, {"\r\n", "\n"}},
    {"LF.CRLF too", {"\r\n", "\n"}, {"\r\n"}},
    {"CRLF.LF too", {"\r\n"}, {"\r\n", "\n"}},
    {"CR.CR too", {"\r\n", "\r"}, {"\r\n", "\r"}},
    {"CR alone, LF alone and both end lines", {"\r\n", "\r", "\n"}, {"\r\n", "\r", "\n"}},
};

/* Octets of the first of v that `in` begins with; 0: none. */
static size_t begins(struct span in, const char *const v[3])
{
    for (size_t i = 0; i < 3 && v[i] != NULL; i++)
        if (span_starts(in, span_z(v[i])))
            return strlen(v[i]);
    return 0;
}

/* Text from *in up to its end, dots taken away, every line's end as CRLF. False: it never ends. */
static bool read_text(const struct reader *r, struct span *in, struct str *out)
{
    bool start = true;
    while (in->n > 0) {
        size_t n = 0;
        if (start && in->p[0] == '.') {
            *in = span_from(*in, 1);
            if ((n = begins(*in, r->behind)) > 0) {
                *in = span_from(*in, n);
                return true;
            }
        }
        n = begins(*in, r->before);
        start = n > 0;
        if (start)
            str_addz(out, "\r\n");
        else if (in->n > 0)
            str_addc(out, in->p[0]);
        *in = span_from(*in, MAX_OF(n, (size_t)1));
    }
    return false;
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

struct body { char *p; size_t n; };

/* Of such pieces, as the store may hold them: CR and LF only together. */
static struct body random_body(void)
{
    static const char *const pieces[] = {
        ".", "..", "...", "\r\n", "\r\n", "\r\n.", "\r\n.\r\n", "\r\n..\r\n", "\r\n\r\n", "\r\n. \r\n", ".\r\n", "\r\n.x", "x", " ",
        "QUIT\r\n", "RSET\r\n.\r\n", "\r\nMAIL FROM:<eve@evil.example>\r\nRCPT TO:<all@them.example>\r\nDATA\r\n", "BDAT 5 LAST\r\n",
        "\xc3\xa4", "\xff", "\t", "\\r\\n.\\r\\n", "=0A.=0D", "the quick brown fox",
    };
    struct body b = {.p = base_alloc(BODY_MOST + 3000)};
    size_t most = rand_u64() % 8 == 0 ? rand_u64() % BODY_MOST : rand_u64() % 200;
    while (b.n < most) {
        const char *piece = pieces[rand_u64() % COUNT_OF(pieces)];
        size_t n = strlen(piece);
        if (rand_u64() % 50 == 0) { /* a line longer than any reader's buffer would like */
            n = 998 + rand_u64() % 1500;
            memset(b.p + b.n, rand_u64() % 2 ? '.' : 'y', n);
        } else {
            memcpy(b.p + b.n, piece, n);
        }
        b.n += n;
    }
    return b;
}

/* ---- the other side ---------------------------------------------------------------------------------------------- */

struct talk {
    struct body v[MESSAGES];
    bool chunking, pipelining;
    int listener;
    struct conn_addr addr;
    size_t at;           /* of the message that is sent */
    size_t accepted;
    char *stream;        /* all that we said */
    size_t n, seen;
};

static bool more(struct talk *t, int fd)
{
    ssize_t n = read(fd, t->stream + t->n, STREAM_MOST - t->n);
    t->n += n > 0 ? (size_t)n : 0;
    return n > 0;
}

static bool whole_line(struct talk *t, int fd, struct span *line)
{
    ptrdiff_t at;
    while ((at = span_find(span_of(t->stream + t->seen, t->n - t->seen), SPAN("\r\n"))) < 0)
        if (!more(t, fd))
            return false;
    *line = span_of(t->stream + t->seen, (size_t)at);
    t->seen += (size_t)at + 2;
    return true;
}

/* RFC 5321 4.1.1.4, to the letter. */
static bool take_text(struct talk *t, int fd)
{
    struct span line;
    do
        if (!whole_line(t, fd, &line))
            return false;
    while (!span_eq(line, SPAN(".")));
    return true;
}

static bool take_chunk(struct talk *t, int fd, size_t n)
{
    while (t->n - t->seen < n)
        if (!more(t, fd))
            return false;
    t->seen += n;
    return true;
}

static void *server_main(void *arg)
{
    struct talk *t = arg;
    struct span line;
    int fd = accept4(t->listener, NULL, NULL, SOCK_CLOEXEC), on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    dprintf(fd, "220 them.example\r\n");
    while (whole_line(t, fd, &line)) {
        bool good = true;
        if (span_starts(line, SPAN("EHLO")))
            dprintf(fd, "250-them.example\r\n%s%s250 8BITMIME\r\n", t->chunking ? "250-CHUNKING\r\n" : "",
                    t->pipelining ? "250-PIPELINING\r\n" : "");
        else if (span_starts(line, SPAN("DATA")))
            good = dprintf(fd, "354 go\r\n") > 0 && take_text(t, fd) && dprintf(fd, "250 taken\r\n") > 0;
        else if (span_starts(line, SPAN("BDAT")))
            good = take_chunk(t, fd, strtoul(line.p + 5, NULL, 10)) && dprintf(fd, "250 taken\r\n") > 0;
        else
            good = dprintf(fd, "250 ok\r\n") > 0;
        if (!good)
            break;
    }
    close(fd);
    return NULL;
}

/* ---- our side ---------------------------------------------------------------------------------------------------- */

static int give(void *arg, uint64_t offset, struct span *out, struct fail *f)
{
    struct talk *t = arg;
    const struct body *b = &t->v[t->at];
    *out = span_sub(span_of(b->p, b->n), (size_t)offset, 1 + rand_u64() % (rand_u64() % 4 ? 9 : 4000));
    return 0;
}

static int attempt(void *arg, struct fail *f) { return 0; }

static void our_end(void *arg)
{
    struct talk *t = arg;
    struct fail f;
    struct smtp_out out;
    struct smtp_out_answer why;
    struct conn *c = conn_connect(&t->addr, NULL, 5000, &f);
    struct smtp_out_want want = {.helo = SPAN("us.example")};
    if (smtp_out_open(&out, c, &want, &why) == SMTP_OUT_FINE) {
        for (t->at = 0; t->at < MESSAGES && !out.over; t->at++) {
            struct smtp_out_rcpt rcpt = {.address = SPAN("bob@them.example")};
            struct smtp_out_mail m = {.sender = SPAN("ann@us.example"), .size = t->v[t->at].n, .rcpts = &rcpt, .n = 1, .arg = t,
                                      .read = give, .attempt = attempt};
            smtp_out_send(&out, &m);
            t->accepted += rcpt.answer.outcome == QUEUE_DELIVERED;
        }
        smtp_out_close(&out);
    }
    loop_stop();
}

static void hold(struct talk *t)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    pthread_t thread;
    t->stream = malloc(STREAM_MOST);
    for (size_t i = 0; i < MESSAGES; i++)
        t->v[i] = random_body();
    t->v[1].n = 0;
    assert_int_equal(loop_init(), 0);
    t->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(t->listener, (struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(listen(t->listener, 1), 0);
    getsockname(t->listener, (struct sockaddr *)&in, &len);
    conn_addr_from(&t->addr, &in);
    assert_int_equal(pthread_create(&thread, NULL, server_main, t), 0);
    coro_start(our_end, t);
    loop_run();
    pthread_join(thread, NULL);
    close(t->listener);
    loop_done();
    assert_int_equal(t->accepted, MESSAGES);
}

/* The text of message b as the reader has it. */
static void next_text(const struct talk *t, const struct reader *r, const struct body *b, size_t size, struct span *in, struct str *text)
{
    if (t->chunking) {
        str_add(text, span_sub(*in, 0, size));
        *in = span_from(*in, size);
        return;
    }
    assert_true(read_text(r, in, text));
    if (b->n > 0 && b->p[b->n - 1] != '\n') /* its last line was no line: it got its end */
        text->n -= 2;
}

static bool ours(struct span line)
{
    return span_eq(line, SPAN("EHLO us.example")) || span_eq(line, SPAN("MAIL FROM:<ann@us.example>")) ||
           span_eq(line, SPAN("RCPT TO:<bob@them.example>")) || span_eq(line, SPAN("QUIT"));
}

/* One reader goes through it all: commands until one brings text, that text, commands again. */
static void read_all(const struct talk *t, const struct reader *r)
{
    struct span in = span_of(t->stream, t->n);
    struct str text;
    struct arena mem;
    size_t messages = 0, commands = 0;
    arena_init(&mem);
    for (; in.n > 0; commands++) {
        ptrdiff_t n = span_find(in, SPAN("\r\n"));
        assert_true(n >= 0);
        struct span line = span_sub(in, 0, (size_t)n);
        in = span_from(in, (size_t)n + 2);
        if (span_eq(line, SPAN("DATA")) || span_starts(line, SPAN("BDAT "))) {
            assert_true(messages < MESSAGES);
            const struct body *b = &t->v[messages++];
            str_init(&text, &mem);
            next_text(t, r, b, t->chunking ? strtoul(line.p + 5, NULL, 10) : 0, &in, &text);
            if (!span_eq(str_span(&text), span_of(b->p, b->n)))
                fail_msg("%s: message %zu is another one", r->name, messages - 1);
            arena_reset(&mem);
        } else if (!ours(line)) {
            fail_msg("%s: behind message %zu \"%.*s\" is a command", r->name, messages, SPAN_ARGS(span_sub(line, 0, 60)));
        }
    }
    if (messages != MESSAGES)
        fail_msg("%s: %zu messages", r->name, messages);
    assert_int_equal(commands, 2 + 3 * MESSAGES);
    arena_done(&mem);
}

static void one_message_each(void **state)
{
    for (unsigned kind = 0; kind < 4; kind++) {
        struct talk *t = base_alloc(sizeof *t);
        t->chunking = kind & 1;
        t->pipelining = kind & 2;
        hold(t);
        for (size_t i = 0; i < COUNT_OF(readers); i++)
            read_all(t, &readers[i]);
        for (size_t i = 0; i < MESSAGES; i++)
            free(t->v[i].p);
        free(t->stream);
        free(t);
    }
}

/* The readers themselves: each sees the end that it is named for, and the strict one does not. */
static void readers_differ(void **state)
{
    static const char *const ends[] = {"a\r\n.\r\n", "a\n.\n", "a\n.\r\n", "a\r\n.\n", "a\r.\r", "a\r.\n"};
    struct arena mem;
    arena_init(&mem);
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        struct span in = span_z(ends[i]), again = in;
        struct str out;
        str_init(&out, &mem);
        assert_true(read_text(&readers[i], &in, &out));
        assert_true(in.n == 0 && span_eq(str_span(&out), SPAN("a\r\n")));
        assert_int_equal(read_text(&readers[0], &again, &out), i == 0);
    }
    arena_done(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(readers_differ), cmocka_unit_test(one_message_each)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
