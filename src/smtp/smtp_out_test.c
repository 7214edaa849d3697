/* Tests of the client's side of SMTP: a peer in a second thread plays a script, our end runs in a coroutine. */
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/limits.h"
#include "run/loop.h"
#include "smtp/smtp_out_data.h"

/* A script: what the peer expects ("C: ...", a line, "*" at its end matches the rest) and says ("S: ..."); "D" reads a
 * text up to its dot and keeps it; "B" reads as many bytes as the message has; "X" closes at once; "R" resets. */
struct play {
    const char *script;
    struct span message;
    uint32_t flags, ret;
    const char *sender, *envid;
    struct smtp_out_rcpt *rcpts;
    size_t n;
    enum smtp_out_tls tls;
    const char *user, *password;
    int attempt_fails;
    struct smtp_out_rcpt *behind; /* the recipient of a second message, which is the same; NULL: there is none */
    bool dropped;                 /* it does not follow after all */
    /* what came of it */
    enum smtp_out_scope scope;
    struct smtp_out_answer why;
    struct smtp_out out;
    bool over, ready;
    unsigned attempts, accepted;
    char got[200000];
    size_t got_n;
    char complaint[400];
    int listener;
    struct conn_addr addr;
};

struct peer { int fd; char buf[70000]; size_t n, at; };

static int peer_byte(struct peer *p)
{
    if (p->at == p->n) {
        ssize_t n = read(p->fd, p->buf, sizeof p->buf);
        if (n <= 0)
            return -1;
        p->n = (size_t)n;
        p->at = 0;
    }
    return (unsigned char)p->buf[p->at++];
}

static bool peer_line(struct peer *p, char *out, size_t cap)
{
    size_t n = 0;
    int b = 0;
    while (b != '\n' && (b = peer_byte(p)) >= 0 && n + 1 < cap)
        out[n++] = (char)b;
    while (n > 0 && (out[n - 1] == '\n' || out[n - 1] == '\r'))
        n--;
    out[n] = 0;
    return b == '\n';
}

static void keep_text(struct play *t, struct peer *p)
{
    int b;
    while ((b = peer_byte(p)) >= 0) {
        t->got[t->got_n++] = (char)b;
        if (t->got_n >= 5 && memcmp(t->got + t->got_n - 5, "\r\n.\r\n", 5) == 0)
            return;
        if (t->got_n == 3 && memcmp(t->got, ".\r\n", 3) == 0)
            return;
    }
}

static bool act(struct play *t, struct peer *p, const char *what, size_t n)
{
    char line[3000], want[3000];
    struct linger reset = {1, 0};
    snprintf(want, sizeof want, "%.*s", n > 3 ? (int)n - 3 : 0, n > 3 ? what + 3 : "");
    switch (what[0]) {
    case 'S':
        return dprintf(p->fd, "%s\r\n", want) > 0;
    case 'C':
        if (!peer_line(p, line, sizeof line))
            snprintf(line, sizeof line, "(end)");
        if (strcmp(line, want) != 0 && !(want[0] && want[strlen(want) - 1] == '*' && strncmp(line, want, strlen(want) - 1) == 0))
            return snprintf(t->complaint, sizeof t->complaint, "\"%.150s\" came, not \"%.150s\"", line, want) < 0;
        return true;
    case 'D': keep_text(t, p); return true;
    case 'B':
        for (size_t left = t->message.n; left > 0; left--)
            t->got[t->got_n++] = (char)peer_byte(p);
        return true;
    case 'R': setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset); return false;
    default: return false;
    }
}

static void *peer_main(void *arg)
{
    struct play *t = arg;
    struct peer *p = calloc(1, sizeof *p);
    p->fd = accept4(t->listener, NULL, NULL, SOCK_CLOEXEC);
    for (const char *at = t->script; *at;) {
        const char *end = strchr(at, '\n');
        size_t n = end ? (size_t)(end - at) : strlen(at);
        if (!act(t, p, at, n))
            break;
        at += n + (end != NULL);
    }
    close(p->fd);
    free(p);
    return NULL;
}

static int give(void *arg, uint64_t offset, struct span *out, struct fail *f)
{
    struct play *t = arg;
    *out = span_sub(t->message, (size_t)offset, 5000);
    return 0;
}

static int attempt(void *arg, struct fail *f)
{
    struct play *t = arg;
    t->attempts++;
    for (size_t i = 0; i < t->n; i++)
        t->accepted += t->rcpts[i].accepted;
    return t->attempt_fails ? fail_temp(f, "4.3.0", "no disk") : 0;
}

static void our_end(void *arg)
{
    struct play *t = arg;
    struct fail f;
    struct conn *c = conn_connect(&t->addr, NULL, 5000, &f);
    struct smtp_out_want want = {.helo = SPAN("us.example"), .tls = t->tls, .user = span_z(t->user), .password = span_z(t->password)};
    t->scope = smtp_out_open(&t->out, c, &want, &t->why);
    if (t->scope == SMTP_OUT_FINE) {
        struct smtp_out_mail m = {.sender = span_z(t->sender), .envid = span_z(t->envid), .size = t->message.n, .flags = t->flags,
                                  .ret = t->ret, .rcpts = t->rcpts, .n = t->n, .arg = t, .read = give, .attempt = attempt};
        struct smtp_out_mail second = m;
        second.rcpts = t->behind;
        second.n = 1;
        m.next = t->behind != NULL ? &second : NULL;
        smtp_out_send(&t->out, &m);
        if (t->behind != NULL && !t->dropped && smtp_out_ready(&t->out))
            smtp_out_send(&t->out, &second);
        t->over = t->out.over;
        t->ready = smtp_out_ready(&t->out);
        smtp_out_close(&t->out);
    }
    loop_stop();
}

static void play(struct play *t)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    pthread_t thread;
    if (t->sender == NULL)
        t->sender = "ann@us.example";
    if (t->message.p == NULL)
        t->message = SPAN("Subject: x\r\n\r\n.dot\r\n..\r\ntext\r\n");
    assert_int_equal(loop_init(), 0);
    t->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(t->listener, (struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(listen(t->listener, 1), 0);
    getsockname(t->listener, (struct sockaddr *)&in, &len);
    conn_addr_from(&t->addr, &in);
    assert_int_equal(pthread_create(&thread, NULL, peer_main, t), 0);
    coro_start(our_end, t);
    loop_run();
    pthread_join(thread, NULL);
    close(t->listener);
    loop_done();
    if (t->complaint[0])
        fail_msg("%s", t->complaint);
}

#define RCPTS(...)                                                                                                     \
    struct smtp_out_rcpt rcpts[] = {__VA_ARGS__};                                                                      \
    struct play *t = calloc(1, sizeof *t);                                                                             \
    t->rcpts = rcpts;                                                                                                  \
    t->n = COUNT_OF(rcpts)
#define TO(a) {.address = SPAN(a)}

#define EHLO(caps) "S: 220 them.example ESMTP\nC: EHLO us.example\nS: 250-them.example greets you\n" caps "S: 250 HELP\n"
#define PIPE "S: 250-PIPELINING\n"

static void answer_is(const struct smtp_out_answer *a, enum queue_outcome outcome, uint32_t code, const char *status, const char *text)
{
    if (a->outcome != outcome || a->code != code || strcmp(a->status, status) != 0 || strstr(a->text, text) == NULL)
        fail_msg("%d %u %s \"%s\", not %d %u %s \"%s\"", a->outcome, a->code, a->status, a->text, outcome, code, status, text);
}

/* ---- replies ----------------------------------------------------------------------------------------------------- */

static void reply_lines(void **state)
{
    static const struct {
        const char *line;
        int code; /* -1: none */
        bool more;
        const char *words;
    } rows[] = {
        {"250 ok", 250, false, "ok"}, {"250-more", 250, true, "more"}, {"250", 250, false, ""}, {"250 ", 250, false, ""},
        {"599 x", 599, false, "x"}, {"200 x", 200, false, "x"}, {"199 x", -1, false, ""}, {"600 x", -1, false, ""},
        {"25", -1, false, ""}, {"", -1, false, ""}, {"2500 x", -1, false, ""}, {"25a x", -1, false, ""}, {"250_x", -1, false, ""},
        {" 250 x", -1, false, ""}, {"-250 x", -1, false, ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int code;
        bool more;
        struct span words;
        int r = smtp_out_reply_line(span_z(rows[i].line), &code, &more, &words);
        assert_int_equal(r, rows[i].code < 0 ? -1 : 0);
        if (r == 0) {
            assert_int_equal(code, rows[i].code);
            assert_int_equal(more, rows[i].more);
            assert_true(span_eq(words, span_z(rows[i].words)));
        }
    }
}

static void reply_words(void **state)
{
    static const struct {
        int code;
        const char *words, *status, *text;
    } rows[] = {
        {550, "5.1.1 no such user", "5.1.1", "no such user"}, {550, "no such user", "5.0.0", "no such user"},
        {550, "4.1.1 odd", "5.0.0", "4.1.1 odd"}, {421, "4.7.0", "4.7.0", ""}, {250, "2.0.0 Ok: queued", "2.0.0", "Ok: queued"},
        {550, "5.1.1no", "5.0.0", "5.1.1no"}, {550, "5.1234.1 x", "5.0.0", "5.1234.1 x"}, {550, "5..1 x", "5.0.0", "5..1 x"},
        {550, "5.7.1 a\001\033[31mb\xff\xc3\xa4", "5.7.1", "a??[31mb???"}, {550, "5.999.999 x", "5.999.999", "x"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct smtp_out_reply r;
        smtp_out_reply_begin(&r);
        smtp_out_reply_add(&r, rows[i].code, span_z(rows[i].words));
        assert_string_equal(r.status, rows[i].status);
        assert_string_equal(r.text, rows[i].text);
    }
}

static void stuffing(void **state)
{
    struct arena mem;
    struct str out;
    bool bol = true;
    arena_init(&mem);
    str_init(&out, &mem);
    smtp_out_data_stuff(&out, SPAN(".a\r\n..\r\nb.\r\n"), &bol);
    smtp_out_data_stuff(&out, SPAN("."), &bol);
    smtp_out_data_stuff(&out, SPAN(".\r\n."), &bol);
    assert_true(span_eq(str_span(&out), SPAN("..a\r\n...\r\nb.\r\n...\r\n..")));
    arena_done(&mem);
}

/* ---- whole sessions ------------------------------------------------------------------------------------------------ */

static void delivered_with_pipelining(void **state)
{
    RCPTS(TO("bob@them.example"), TO("no@them.example"), TO("later@them.example"));
    t->script = EHLO(PIPE "S: 250-SIZE 1000\nS: 250-8BITMIME\n")
        "C: MAIL FROM:<ann@us.example> SIZE=30\nC: RCPT TO:<bob@them.example>\nC: RCPT TO:<no@them.example>\n"
        "C: RCPT TO:<later@them.example>\nC: DATA\nS: 250 2.1.0 ok\nS: 250 2.1.5 ok\nS: 550 5.1.1 nobody\nS: 450 4.2.1 later\n"
        "S: 354 go\nD\nS: 250 2.0.0 Ok: 1234\nC: QUIT\nS: 221 bye\n";
    play(t);
    answer_is(&rcpts[0].answer, QUEUE_DELIVERED, 250, "2.0.0", "Ok: 1234");
    answer_is(&rcpts[1].answer, QUEUE_FAILED, 550, "5.1.1", "nobody");
    answer_is(&rcpts[2].answer, QUEUE_DEFERRED, 450, "4.2.1", "later");
    assert_true(span_eq(span_of(t->got, t->got_n), SPAN("Subject: x\r\n\r\n..dot\r\n...\r\ntext\r\n.\r\n")));
    assert_int_equal(t->attempts, 1);
    assert_int_equal(t->accepted, 1);
    assert_true(t->ready);
    free(t);
}

static void delivered_step_by_step_to_an_old_server(void **state)
{
    RCPTS(TO("bob@them.example"));
    t->script = "S: 220 old\nC: EHLO us.example\nS: 502 what\nC: HELO us.example\nS: 250 old\nC: MAIL FROM:<>\nS: 250 ok\n"
        "C: RCPT TO:<bob@them.example>\nS: 251 will forward\nC: DATA\nS: 354 go\nD\nS: 250 ok\nC: QUIT\nS: 221 bye\n";
    t->sender = "";
    play(t);
    answer_is(&rcpts[0].answer, QUEUE_DELIVERED, 250, "2.0.0", "ok");
    free(t);
}

static void delivered_in_chunks(void **state)
{
    RCPTS(TO("bob@them.example"));
    t->script = EHLO(PIPE "S: 250-CHUNKING\n")
        "C: MAIL FROM:<ann@us.example>\nC: RCPT TO:<bob@them.example>\nS: 250 ok\nS: 250 ok\nC: BDAT 30 LAST\nB\nS: 250 done\n"
        "C: QUIT\nS: 221 bye\n";
    play(t);
    answer_is(&rcpts[0].answer, QUEUE_DELIVERED, 250, "2.0.0", "done");
    assert_true(span_eq(span_of(t->got, t->got_n), t->message)); /* no dots are doubled there */
    free(t);
}

#define FIRST "C: MAIL FROM:<ann@us.example>\nC: RCPT TO:<bob@them.example>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nD\n"
#define SECOND "C: MAIL FROM:<ann@us.example>\nC: RCPT TO:<eve@them.example>\nC: DATA\n"

/* RFC 2920 3.1: the next envelope comes behind the text, before that is answered, where it can and will be used. */
static void the_next_envelope_behind_the_text(void **state)
{
    static const struct {
        const char *script;
        bool dropped;
        uint32_t first, second; /* codes; 0: not tried */
    } rows[] = {
        {EHLO(PIPE) FIRST SECOND "S: 250 one\nS: 250 ok\nS: 250 ok\nS: 354 go\nD\nS: 251 two\nC: QUIT\nS: 221 bye\n", false, 250, 251},
        {EHLO(PIPE) FIRST SECOND "S: 554 one\nS: 250 ok\nS: 250 ok\nS: 354 go\nD\nS: 251 two\nC: QUIT\nS: 221 bye\n", false, 554, 251},
        {EHLO(PIPE) FIRST SECOND "S: 250 one\nS: 250 ok\nS: 550 no\nS: 554 none\nC: RSET\nS: 250 ok\nC: QUIT\nS: 221 bye\n", false, 250, 550},
        {EHLO(PIPE) FIRST SECOND "S: 250 one\nS: 450 no\nS: 503 no\nS: 503 no\nC: RSET\nS: 250 ok\nC: QUIT\nS: 221 bye\n", false, 250, 450},
        {EHLO(PIPE "S: 250-CHUNKING\n") "C: MAIL FROM:<ann@us.example>\nC: RCPT TO:<bob@them.example>\nS: 250 ok\nS: 250 ok\n"
            "C: BDAT 30 LAST\nB\nS: 250 one\nC: QUIT\nS: 221 bye\n", true, 250, 0},
        /* an answer too many shows where 354 is due */
        {EHLO(PIPE) FIRST SECOND "S: 250 one\nS: 250 one\nS: 250 ok\nS: 250 ok\nS: 354 go\nC: RSET\nC: (end)\n", false, 250, 250},
        /* dropped: no command is sent where a text is due, and no text that would end the transaction */
        {EHLO(PIPE) FIRST SECOND "S: 250 one\nS: 250 ok\nS: 250 ok\nS: 354 go\nC: (end)\n", true, 250, 0},
        {EHLO(PIPE) FIRST SECOND "S: 421 no\nC: (end)\n", false, 421, 0},
        {EHLO(PIPE) FIRST SECOND "R\n", false, 0, 0},
        /* not where it would have to be taken back */
        {EHLO("") "C: MAIL FROM:<ann@us.example>\nS: 250 ok\nC: RCPT TO:<bob@them.example>\nS: 250 ok\nC: DATA\nS: 354 go\nD\nS: 250 one\n"
            "C: QUIT\nS: 221 bye\n", true, 250, 0},
        {EHLO(PIPE "S: 250-LIMITS MAILMAX=1\n") FIRST "S: 250 one\nC: QUIT\nS: 221 bye\n", false, 250, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        RCPTS(TO("bob@them.example"));
        struct smtp_out_rcpt behind = TO("eve@them.example");
        t->script = rows[i].script;
        t->behind = &behind;
        t->dropped = rows[i].dropped;
        play(t);
        assert_int_equal(rcpts[0].answer.code, rows[i].first);
        assert_int_equal(rcpts[0].answer.maybe_sent, rows[i].first == 0);
        assert_int_equal(behind.tried ? behind.answer.code : 0, rows[i].second);
        free(t);
    }
}

/* Whom the server did not want to take with the others comes first. */
static void not_before_those_left_over(void **state)
{
    RCPTS(TO("bob@them.example"), TO("too@them.example"));
    struct smtp_out_rcpt behind = TO("eve@them.example");
    t->script = EHLO(PIPE) "C: MAIL FROM:<ann@us.example>\nC: RCPT TO:<bob@them.example>\nC: RCPT TO:<too@them.example>\nC: DATA\n"
        "S: 250 ok\nS: 250 ok\nS: 452 4.5.3 too many\nS: 354 go\nD\nS: 250 one\nC: QUIT\nS: 221 bye\n";
    t->behind = &behind;
    t->dropped = true;
    play(t);
    assert_true(rcpts[0].tried && !rcpts[1].tried && !behind.tried);
    free(t);
}

static void envelope_parameters(void **state)
{
    RCPTS({.address = SPAN("bob@them.example"), .notify = DSN_SUCCESS | DSN_DELAY, .orcpt = SPAN("rfc822;bo+b=x@them.example")},
          {.address = SPAN("\"o d\\\"d\"@them.example"), .notify = DSN_NEVER}, {.address = SPAN("o d\"d@them.example")},
          {.address = SPAN("\"open@them.example")});
    t->script = EHLO(PIPE "S: 250-DSN\nS: 250-8BITMIME\nS: 250-SMTPUTF8\nS: 250-SIZE\n")
        "C: MAIL FROM:<ann@us.example> SIZE=30 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb+3D+20c\n"
        "C: RCPT TO:<bob@them.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;bo+2Bb+3Dx@them.example\n"
        "C: RCPT TO:<\"o d\\\"d\"@them.example> NOTIFY=NEVER\nC: RCPT TO:<\"o d\\\"d\"@them.example>\n"
        "C: RCPT TO:<\"\\\"open\"@them.example>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\nD\n"
        "S: 250 ok\nC: QUIT\nS: 221 bye\n";
    t->flags = ENVELOPE_8BIT | ENVELOPE_SMTPUTF8;
    t->ret = DSN_RET_HDRS;
    t->envid = "a+b= c";
    play(t);
    assert_true(rcpts[0].dsn_sent && rcpts[1].dsn_sent);
    answer_is(&rcpts[1].answer, QUEUE_DELIVERED, 250, "2.0.0", "ok");
    free(t);
}

static void what_a_server_cannot_take(void **state)
{
    static const struct {
        const char *caps;
        uint32_t flags;
        const char *status;
    } rows[] = {
        {"S: 250-SIZE 29\n", 0, "5.3.4"},
        {"", ENVELOPE_8BIT, "5.6.3"},
        {"S: 250-8BITMIME\n", ENVELOPE_SMTPUTF8, "5.6.7"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char script[500];
        RCPTS(TO("bob@them.example"), TO("eve@them.example"));
        snprintf(script, sizeof script, "S: 220 x\nC: EHLO us.example\nS: 250-x\n%sS: 250 HELP\nC: QUIT\nS: 221 bye\n", rows[i].caps);
        t->script = script;
        t->flags = rows[i].flags;
        play(t);
        answer_is(&rcpts[0].answer, QUEUE_FAILED, 0, rows[i].status, "");
        answer_is(&rcpts[1].answer, QUEUE_FAILED, 0, rows[i].status, "");
        assert_int_equal(t->attempts, 0);
        free(t);
    }
}

static void everybody_refused_and_still_354(void **state)
{
    RCPTS(TO("a@them.example"), TO("b@them.example"));
    t->script = EHLO(PIPE) "C: MAIL*\nC: RCPT*\nC: RCPT*\nC: DATA\nS: 250 ok\nS: 550 5.1.1 no a\nS: 550 5.1.1 no b\nS: 354 go\n"
        "D\nS: 554 5.5.1 no valid recipients\nC: QUIT\nS: 221 bye\n";
    play(t);
    answer_is(&rcpts[0].answer, QUEUE_FAILED, 550, "5.1.1", "no a");
    answer_is(&rcpts[1].answer, QUEUE_FAILED, 550, "5.1.1", "no b");
    assert_true(span_eq(span_of(t->got, t->got_n), SPAN(".\r\n")));
    assert_int_equal(t->attempts, 0);
    assert_true(t->ready);
    free(t);
}

static void the_sender_is_refused(void **state)
{
    RCPTS(TO("a@them.example"), TO("b@them.example"));
    t->script = EHLO(PIPE) "C: MAIL*\nC: RCPT*\nC: RCPT*\nC: DATA\nS: 550 5.7.1 not you\nS: 503 bad\nS: 503 bad\nS: 503 bad\n"
        "C: RSET\nS: 250 ok\nC: QUIT\nS: 221 bye\n";
    play(t);
    answer_is(&rcpts[0].answer, QUEUE_FAILED, 550, "5.7.1", "not you");
    answer_is(&rcpts[1].answer, QUEUE_FAILED, 550, "5.7.1", "not you");
    free(t);
}

static void data_is_refused(void **state)
{
    RCPTS(TO("a@them.example"));
    t->script = EHLO(PIPE) "C: MAIL*\nC: RCPT*\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 451 4.3.0 busy\nC: RSET\nS: 250 ok\nC: QUIT\nS: 221 bye\n";
    play(t);
    answer_is(&rcpts[0].answer, QUEUE_DEFERRED, 451, "4.3.0", "busy");
    assert_int_equal(t->attempts, 0);
    free(t);
}

static void the_text_is_refused(void **state)
{
    RCPTS(TO("a@them.example"), TO("b@them.example"));
    t->script = EHLO(PIPE) "C: MAIL*\nC: RCPT*\nC: RCPT*\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 450 4.2.2 full\nS: 354 go\nD\n"
        "S: 554-5.7.1 spam,\nS: 554 5.7.1 we think\nC: QUIT\nS: 221 bye\n";
    play(t);
    answer_is(&rcpts[0].answer, QUEUE_FAILED, 554, "5.7.1", "spam, we think");
    answer_is(&rcpts[1].answer, QUEUE_DEFERRED, 450, "4.2.2", "full");
    free(t);
}

static void too_many_recipients_go_another_time(void **state)
{
    RCPTS(TO("a@them.example"), TO("b@them.example"), TO("c@them.example"));
    t->script = EHLO(PIPE) "C: MAIL*\nC: RCPT*\nC: RCPT*\nC: RCPT*\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 452 4.5.3 too many\n"
        "S: 452 4.5.3 too many\nS: 354 go\nD\nS: 250 ok\nC: QUIT\nS: 221 bye\n";
    play(t);
    assert_true(rcpts[0].tried && !rcpts[1].tried && !rcpts[2].tried);
    answer_is(&rcpts[0].answer, QUEUE_DELIVERED, 250, "2.0.0", "ok");
    free(t);
}

static void announced_limits_are_kept(void **state)
{
    RCPTS(TO("a@them.example"), TO("b@them.example"), TO("c@them.example"));
    t->script = EHLO(PIPE "S: 250-LIMITS MAILMAX=1 RCPTMAX=2 OTHER=x\n") "C: MAIL*\nC: RCPT TO:<a@*\nC: RCPT TO:<b@*\nC: DATA\n"
        "S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\nD\nS: 250 ok\nC: QUIT\nS: 221 bye\n";
    play(t);
    assert_true(rcpts[1].tried && !rcpts[2].tried);
    assert_false(t->ready); /* MAILMAX */
    free(t);
}

/* ---- when it breaks ---------------------------------------------------------------------------------------------- */

static void breaks(const char *script, bool maybe, const char *text)
{
    RCPTS(TO("a@them.example"), TO("b@them.example"));
    t->script = script;
    play(t);
    assert_true(t->scope == SMTP_OUT_FINE && t->over);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(rcpts[i].answer.outcome, QUEUE_DEFERRED);
        assert_int_equal(rcpts[i].answer.maybe_sent, maybe);
        if (strstr(rcpts[i].answer.text, text) == NULL)
            fail_msg("%s", rcpts[i].answer.text);
    }
    free(t);
}

#define ENVELOPE "C: MAIL*\nC: RCPT*\nC: RCPT*\nC: DATA\n"

static void broken_connections(void **state)
{
    breaks(EHLO(PIPE) "C: MAIL*\nX", false, "answer to MAIL");
    breaks(EHLO(PIPE) ENVELOPE "S: 250 ok\nR", false, "answer to RCPT");
    breaks(EHLO(PIPE) ENVELOPE "S: 250 ok\nS: 250 ok\nS: 250 ok\nX", false, "answer to DATA");
    breaks(EHLO(PIPE) ENVELOPE "S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\nD\nX", true, "the end of the message");
    breaks(EHLO(PIPE) ENVELOPE "S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\nD\nR", true, "the end of the message");
    breaks(EHLO(PIPE) ENVELOPE "S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\nD\nS: garbage\n", true, "none that SMTP knows");
    breaks(EHLO(PIPE) ENVELOPE "S: 421 4.3.2 going down\nX", false, "going down");
    breaks(EHLO(PIPE) ENVELOPE "S: 250 ok\nS: 250 ok\nS: 421 4.3.2 going down\nX", false, "");
    breaks(EHLO(PIPE) ENVELOPE "S: 250-ok\nS: 251 other\n", false, "none that SMTP knows");
}

static void no_session(void **state)
{
    static const struct {
        const char *script;
        enum queue_outcome outcome;
        uint32_t code;
        const char *text;
    } rows[] = {
        {"S: 554 5.7.1 go away\n", QUEUE_DEFERRED, 554, "go away"},
        {"S: 521 5.3.2 takes no mail\n", QUEUE_FAILED, 521, "takes no mail"},
        {"S: 421 4.7.0 busy\n", QUEUE_DEFERRED, 421, "busy"},
        {"S: hello\n", QUEUE_DEFERRED, 0, "none that SMTP knows"},
        {"X", QUEUE_DEFERRED, 0, "broke"},
        {"S: 220 x\nC: EHLO*\nS: 502 no\nC: HELO*\nS: 502 no\nC: QUIT\nS: 221 bye\n", QUEUE_FAILED, 502, "no"},
        {"S: 220 x\nC: EHLO*\nX", QUEUE_DEFERRED, 0, "EHLO"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        RCPTS(TO("a@them.example"));
        t->script = rows[i].script;
        play(t);
        assert_int_equal(t->scope, SMTP_OUT_HOST);
        answer_is(&t->why, rows[i].outcome, rows[i].code, t->why.status, rows[i].text);
        free(t);
    }
}

static void an_endless_reply(void **state)
{
    static const char line[] = "S: 220-x\n";
    size_t n = sizeof line - 1;
    char *script = calloc(1, 10000 * n + 1);
    RCPTS(TO("a@them.example"));
    for (size_t i = 0; i < 10000; i++)
        memcpy(script + i * n, line, n);
    t->script = script;
    play(t);
    assert_int_equal(t->scope, SMTP_OUT_HOST);
    answer_is(&t->why, QUEUE_DEFERRED, 0, "4.5.0", "too long");
    free(t);
    free(script);
}

static void our_own_store_fails(void **state)
{
    RCPTS(TO("a@them.example"));
    t->script = EHLO(PIPE) "C: MAIL*\nC: RCPT*\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nD\n";
    t->attempt_fails = 1;
    play(t);
    answer_is(&rcpts[0].answer, QUEUE_DEFERRED, 0, "4.3.0", "no disk");
    assert_null(memmem(t->got, t->got_n, "\r\n.\r\n", 5)); /* it never came to the dot */
    assert_false(rcpts[0].answer.maybe_sent);
    free(t);
}

static void tls_must_be_offered(void **state)
{
    RCPTS(TO("a@them.example"));
    t->script = EHLO(PIPE) "C: QUIT\nS: 221 bye\n";
    t->tls = SMTP_OUT_TLS_MUST;
    play(t);
    assert_int_equal(t->scope, SMTP_OUT_HOST);
    answer_is(&t->why, QUEUE_DEFERRED, 0, "4.7.4", "no TLS");
    free(t);
}

static void answers_before_tls_are_no_answers(void **state)
{
    RCPTS(TO("a@them.example"));
    t->script = "S: 220 x\nC: EHLO us.example\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\r\n250 forged\r\n250 forged\nX";
    t->tls = SMTP_OUT_TLS_MAY;
    play(t);
    assert_int_equal(t->scope, SMTP_OUT_PLAIN);
    free(t);
}

static void no_password_in_clear(void **state)
{
    RCPTS(TO("a@them.example"));
    t->script = EHLO("S: 250-AUTH PLAIN LOGIN\n") "C: QUIT\nS: 221 bye\n";
    t->user = "us";
    t->password = "secret";
    play(t);
    assert_int_equal(t->scope, SMTP_OUT_HOST);
    answer_is(&t->why, QUEUE_DEFERRED, 0, "4.7.0", "without TLS");
    free(t);
}

static void control_characters_never_leave(void **state)
{
    RCPTS({.address = {"a@them.example>\r\nRSET", 20}});
    t->script = EHLO(PIPE) "C: QUIT\nS: 221 bye\n";
    play(t);
    answer_is(&rcpts[0].answer, QUEUE_FAILED, 0, "5.1.3", "control");
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reply_lines), cmocka_unit_test(reply_words), cmocka_unit_test(stuffing),
        cmocka_unit_test(delivered_with_pipelining), cmocka_unit_test(delivered_step_by_step_to_an_old_server),
        cmocka_unit_test(delivered_in_chunks), cmocka_unit_test(the_next_envelope_behind_the_text),
        cmocka_unit_test(not_before_those_left_over), cmocka_unit_test(envelope_parameters),
        cmocka_unit_test(what_a_server_cannot_take), cmocka_unit_test(everybody_refused_and_still_354),
        cmocka_unit_test(the_sender_is_refused), cmocka_unit_test(data_is_refused), cmocka_unit_test(the_text_is_refused),
        cmocka_unit_test(too_many_recipients_go_another_time), cmocka_unit_test(announced_limits_are_kept),
        cmocka_unit_test(broken_connections), cmocka_unit_test(no_session), cmocka_unit_test(an_endless_reply),
        cmocka_unit_test(our_own_store_fails), cmocka_unit_test(tls_must_be_offered),
        cmocka_unit_test(answers_before_tls_are_no_answers), cmocka_unit_test(no_password_in_clear),
        cmocka_unit_test(control_characters_never_leave),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
