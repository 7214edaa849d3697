/* Tests of reports: their form as Python's email package reads it, their words, and what cannot break them. */
#include "format/dsn.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

static struct arena mem;

static const char oracle[] =
    "import sys, email, email.policy\n"
    "raw = open(sys.argv[1], 'rb').read()\n"
    "assert b'\\n' not in raw.replace(b'\\r\\n', b'') and b'\\0' not in raw\n"
    "m = email.message_from_bytes(raw, policy=email.policy.SMTP)\n"
    "assert not m.defects, m.defects\n"
    "assert m.get_content_type() == 'multipart/report' and m.get_param('report-type') == 'delivery-status'\n"
    "assert m['auto-submitted'] == 'auto-replied'\n"
    "text, status, original = m.iter_parts()\n"
    "assert not any(p.defects for p in m.walk()), [p.defects for p in m.walk()]\n"
    "print(m['subject']); print(m['to']); print(text.get_content().replace('\\r\\n', '\\n'))\n"
    "print(status.get_content_type())\n"
    "blocks = status.get_payload() if status.get_content_type() == 'message/delivery-status' else [status.get_payload(0), status.get_payload(0).get_payload(decode=True).decode()]\n"
    "for b in blocks:\n"
    "    print(b if isinstance(b, str) else '\\n'.join(f'{k}: {v}' for k, v in b.items()))\n"
    "print(original.get_content_type()); print(original.get_payload() if not original.is_multipart() else original.get_payload(0)['subject'])\n";

/* What Python makes of the report. */
static const char *read_back(const struct dsn *d)
{
    char dir[] = "/tmp/dsn_test.XXXXXX", path[64], script[64];
    static char got[20000];
    struct str out;
    str_init(&out, &mem);
    dsn_write(&out, d);
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/mail", dir);
    snprintf(script, sizeof script, "%s/oracle.py", dir);
    FILE *f = fopen(path, "w");
    fwrite(out.p, 1, out.n, f);
    fclose(f);
    f = fopen(script, "w");
    fputs(oracle, f);
    fclose(f);
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1), dup2(ends[1], 2), close(ends[0]);
        setenv("PYTHONIOENCODING", "utf-8", 1);
        execlp("python3", "python3", script, path, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    size_t n = 0;
    for (ssize_t some; (some = read(ends[0], got + n, sizeof got - 1 - n)) > 0;)
        n += (size_t)some;
    got[n] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status != 0)
        fail_msg("%s\n%.*s", got, SPAN_ARGS(str_span(&out)));
    unlink(path), unlink(script), rmdir(dir);
    return got;
}

static void has(const char *text, const char *what)
{
    bool there = span_find(span_z(text), span_z(what)) >= 0;
    if (!there)
        print_error("not in it: %s\n%s", what, text);
    assert_true(there);
}

static struct dsn report(const struct dsn_rcpt *r, size_t n)
{
    return (struct dsn){.hostname = SPAN("mail.example.org"), .lang = SPAN("en"), .to = SPAN("jon@example.org"), .id = SPAN("abc"),
        .boundary = SPAN("=_1234"), .envid = SPAN("QQ314159"), .trace = SPAN("abcdefghijkl"), .now_s = 1700000000, .arrived_s = 1699999000,
        .whole = true, .original = SPAN("Subject: the first\r\n\r\nBody\r\n"), .rcpts = r, .n = n};
}

static void failed(void **state)
{
    struct dsn_rcpt r = {.address = SPAN("louisl@larry.test"), .orcpt = SPAN("rfc822;louisl@larry.test"), .status = SPAN("5.1.1"),
        .code = 550, .text = SPAN("No such user"), .host = SPAN("mx.larry.test [192.0.2.1]"), .at_s = 1700000000};
    struct dsn d = report(&r, 1);
    const char *got = read_back(&d);
    has(got, "Not delivered: louisl@larry.test");
    has(got, "Your message to <louisl@larry.test> could not be delivered.\nThat server said:\n    mx.larry.test [192.0.2.1]\n    550 5.1.1 No such user\n");
    has(got, "Reporting-MTA: dns; mail.example.org\nOriginal-Envelope-Id: QQ314159\nArrival-Date: Tue, 14 Nov 2023 21:56:40 +0000\n"
             "Original-Recipient: rfc822;louisl@larry.test\nFinal-Recipient: rfc822; louisl@larry.test\nAction: failed\nStatus: 5.1.1\n"
             "Remote-MTA: dns; mx.larry.test\nDiagnostic-Code: smtp; 550 5.1.1 No such user\n");
    has(got, "message/rfc822\nthe first");
    d.lang = SPAN("de-AT");
    has(read_back(&d), "Ihre Nachricht an <louisl@larry.test> konnte nicht zugestellt werden.\nDieser Server sagte:");
}

static void five_actions(void **state)
{
    struct dsn_rcpt r[5];
    for (uint32_t i = 0; i < 5; i++)
        r[i] = (struct dsn_rcpt){.action = 4 - i, .address = arena_printf(&mem, "u%u@a.test", 4 - i), .until_s = 1700400000};
    struct dsn d = report(r, 5);
    d.whole = false;
    d.original = SPAN("Subject: the first\r\n");
    const char *got = read_back(&d);
    has(got, "Not delivered: u0@a.test, ...");
    has(got, "Action: failed\nStatus: 5.0.0"), has(got, "Action: delivered\nStatus: 2.0.0"), has(got, "Action: relayed"), has(got, "Action: expanded");
    has(got, "Action: delayed\nStatus: 4.0.0");
    has(got, "Will-Retry-Until: Sun, 19 Nov 2023 13:20:00 +0000");
    has(got, "text/rfc822-headers\nSubject: the first");
    d.rcpts = &r[3];
    d.n = 1;
    has(read_back(&d), "Not yet delivered: u1@a.test");
}

/* Tried for five days in vain: the class stays what the far side said, the reason is the time (RFC 3463 3.5). */
static void expired(void **state)
{
    struct dsn_rcpt r = {.address = SPAN("a@b.test"), .status = SPAN("4.2.2"), .code = 452, .text = SPAN("full")};
    struct dsn d = report(&r, 1);
    const char *got = read_back(&d);
    has(got, "Action: failed\nStatus: 4.4.7\n");
    has(got, "Diagnostic-Code: smtp; 452 4.2.2 full");
}

static void unicode(void **state)
{
    struct dsn_rcpt r = {.address = SPAN("j\xc3\xb6rg@b\xc3\xbc""cher.test"), .status = SPAN("5.1.1"), .code = 550, .text = SPAN("gibt's nicht: j\xc3\xb6rg")};
    struct dsn d = report(&r, 1);
    const char *got = read_back(&d);
    has(got, "message/delivery-status");
    has(got, "Final-Recipient: utf-8; j\\x{F6}rg@b\\x{FC}cher.test\n");
    has(got, "Your message to <j\xc3\xb6rg@b\xc3\xbc""cher.test>");
    d.utf8 = true;
    d.original = SPAN("Subject: \xc3\xa4\r\n\r\nBody\r\n");
    got = read_back(&d);
    has(got, "message/global-delivery-status");
    has(got, "utf-8; j\xc3\xb6rg@b\xc3\xbc""cher.test");
}

static const char *raw(const struct dsn *d)
{
    struct str out;
    str_init(&out, &mem);
    dsn_write(&out, d);
    return arena_z(&mem, str_span(&out));
}

/* RFC 3834 3.1.5: it is a reply to the message that it is about; ids that would make it anything else are left out. */
static void replies(void **state)
{
    struct dsn_rcpt r = {.address = SPAN("a@b.test")};
    struct dsn d = report(&r, 1);
    struct span ids[30];
    assert_null(strstr(raw(&d), "In-Reply-To"));
    ids[0] = SPAN("the.first@a.test"), ids[1] = SPAN("own.one@a.test");
    d.thread = ids, d.n_thread = 1;
    has(raw(&d), "\r\nIn-Reply-To: <the.first@a.test>\r\nReferences: <the.first@a.test>\r\n");
    d.n_thread = 2;
    has(raw(&d), "\r\nIn-Reply-To: <own.one@a.test>\r\nReferences: <the.first@a.test> <own.one@a.test>\r\n");
    for (unsigned i = 0; i < COUNT_OF(ids); i++)
        ids[i] = arena_printf(&mem, "%u.%0200u@a.test", i, i);
    ids[27] = SPAN("two words@a.test"), ids[28] = SPAN("x>\r\nBcc: <y@a.test");
    d.n_thread = COUNT_OF(ids);
    const char *got = raw(&d);
    has(got, "\r\n <29.0");
    assert_null(strstr(got, "Bcc")), assert_null(strstr(got, "two words")), assert_null(strstr(got, "<9.0"));
    has(got, "<10.0"), has(got, "In-Reply-To: <29.0");
    read_back(&d);
    ids[29] = SPAN("\xc3\xa4@a.test"); /* RFC 6532 3.3: only for who knows of it */
    assert_null(strstr(raw(&d), "In-Reply-To"));
    d.utf8 = true;
    has(raw(&d), "In-Reply-To: <\xc3\xa4@a.test>");
    ids[29] = SPAN("\xc3@a.test");
    assert_null(strstr(raw(&d), "In-Reply-To"));
}

/* SEC-10: what a far side says stays one value, however it tries. */
static void hostile(void **state)
{
    static char big[5000];
    memset(big, 'x', sizeof big);
    struct dsn_rcpt r = {.address = SPAN("a@b.test\r\nBcc: x@y.test"), .status = SPAN("5.1.1\r\nX: y"), .code = 550,
        .text = SPAN("bad\r\n--=_1234\r\nContent-Type: text/html\r\n\r\n<script>\0\x01\x1b[31m\xff\xfe"), .host = SPAN("h\r\nI: j")};
    struct dsn d = report(&r, 1);
    d.envid = SPAN("a\r\nb");
    d.to = SPAN("x@y.test>\r\nCc: z@z.test");
    const char *got = read_back(&d);
    assert_null(strstr(got, "\nBcc"));
    assert_null(strstr(got, "\nContent-Type: text/html"));
    has(got, "Status: 5.0.0\n");
    r.text = span_of(big, sizeof big);
    r.address = span_of(big, 320);
    read_back(&d);
    for (int i = 0; i < 20; i++) { /* the form holds for any bytes */
        rand_bytes(big, 400);
        r.text = span_of(big, 300), r.address = span_of(big + 50, 100), r.host = span_of(big + 300, 50), r.orcpt = span_of(big + 350, 50);
        struct str out;
        str_init(&out, &mem);
        dsn_write(&out, &d);
        struct span rest = str_span(&out);
        size_t marks = 0;
        for (ptrdiff_t at; (at = span_find(rest, SPAN("\r\n--=_1234"))) >= 0; rest = span_from(rest, (size_t)at + 2))
            marks++;
        assert_int_equal(marks, 4);
    }
}

int main(void)
{
    arena_init(&mem);
    const struct CMUnitTest tests[] = {cmocka_unit_test(failed), cmocka_unit_test(five_actions), cmocka_unit_test(expired),
                                       cmocka_unit_test(unicode), cmocka_unit_test(replies), cmocka_unit_test(hostile)};
    int rc = cmocka_run_group_tests_name("dsn", tests, NULL, NULL);
    arena_done(&mem);
    return rc;
}
