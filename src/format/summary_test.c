/* summary: whole messages in, IMAP text and part tables out; hostile ones; every prefix of everything. */
#include "format/summary.h"

#include "base/limits.h"
#include "base/str.h"
#include "format/charset.h"
#include "format/format_testing.h"
#include "format/mime.h"

#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define IN(lit) {"" lit, sizeof(lit) - 1}
#define CRLF "\r\n"

static const struct row {
    const char *name;
    struct span in;
    uint32_t flags;
    struct span envelope, structure, preview; /* p NULL: not asked */
} rows[] = {
    {"empty", IN(""), SUMMARY_NO_FROM, IN("(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"),
     IN("(\"text\" \"plain\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 0 0 NIL NIL NIL NIL)"), IN("")},
    {"plain",
     IN("From: Joe <joe@x.test>" CRLF "To: a@b, c@d" CRLF "To: e@f" CRLF "Subject: say \"hi\"" CRLF " again" CRLF
        "Date: Tue, 1 Jul 2003 10:52:37 +0200" CRLF "Message-ID: <1@x.test>" CRLF "In-Reply-To:" CRLF CRLF "one" CRLF " two" CRLF),
     SUMMARY_HAS_DATE | SUMMARY_HAS_MSGID,
     IN("(\"Tue, 1 Jul 2003 10:52:37 +0200\" \"say \\\"hi\\\" again\" ((\"Joe\" NIL \"joe\" \"x.test\")) ((\"Joe\" NIL \"joe\" "
        "\"x.test\")) ((\"Joe\" NIL \"joe\" \"x.test\")) ((NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")(NIL NIL \"e\" \"f\")) NIL NIL "
        "\"\" \"<1@x.test>\")"),
     IN("(\"text\" \"plain\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 11 2 NIL NIL NIL NIL)"), IN("one two")},
    {"groups and 8 bits",
     IN("From: a@b" CRLF "Sender: s@b" CRLF "To: G: x@y;, Z <z@y>" CRLF "Cc: none:;" CRLF "Subject: \xc3\xbc" CRLF CRLF "\xfc"),
     SUMMARY_UTF8 | SUMMARY_8BIT,
     IN("(NIL {2}" CRLF "\xc3\xbc ((NIL NIL \"a\" \"b\")) ((NIL NIL \"s\" \"b\")) ((NIL NIL \"a\" \"b\")) ((NIL NIL \"G\" NIL)(NIL NIL "
        "\"x\" \"y\")(NIL NIL NIL NIL)(\"Z\" NIL \"z\" \"y\")) ((NIL NIL \"none\" NIL)(NIL NIL NIL NIL)) NIL NIL NIL)"),
     {NULL, 0}, IN("\xc3\xbc")},
    {"mixed with an attachment",
     IN("From: a@b" CRLF "Content-Type: multipart/mixed; boundary=x" CRLF CRLF "preamble" CRLF "--x" CRLF
        "Content-Type: text/plain; charset=utf-8" CRLF "Content-Transfer-Encoding: quoted-printable" CRLF CRLF "H=C3=B6=" CRLF "y" CRLF
        "--x" CRLF "Content-Type: application/pdf; name*=utf-8''%C3%B6.pdf" CRLF "Content-Disposition: attachment; filename=\"a b\"" CRLF
        "Content-ID: <id@x>" CRLF "Content-Description: des" CRLF " cr" CRLF "Content-Language: en, de (x)" CRLF
        "Content-Location: http://x/" CRLF "Content-MD5: Q2hl" CRLF "Content-Transfer-Encoding: base64" CRLF CRLF "AAAA" CRLF
        "--x--" CRLF "epilogue"),
     SUMMARY_ATTACHMENT, {NULL, 0},
     IN("((\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"QUOTED-PRINTABLE\" 11 1 NIL NIL NIL NIL)(\"application\" \"pdf\" (\"name*\" "
        "{6}" CRLF "\xc3\xb6.pdf) \"<id@x>\" \"des cr\" \"BASE64\" 4 \"Q2hl\" (\"attachment\" (\"filename\" \"a b\")) (\"en\" \"de\") "
        "\"http://x/\") \"mixed\" (\"boundary\" \"x\") NIL NIL NIL)"),
     IN("H\xc3\xb6y")},
    {"message in digest, nested boundaries where one begins like the other",
     IN("From: a@b" CRLF "Content-Type: multipart/digest; boundary=b" CRLF CRLF "--b" CRLF CRLF "Subject: in" CRLF
        "Content-Type: multipart/alternative; boundary=bb" CRLF CRLF "--bb" CRLF CRLF "t" CRLF "--bb" CRLF
        "Content-Type: text/html" CRLF CRLF "<p>t" CRLF "--b" CRLF "Content-Type: text/plain" CRLF CRLF "last" CRLF "--b--"),
     SUMMARY_ATTACHMENT, {NULL, 0},
     IN("((\"message\" \"rfc822\" NIL NIL NIL \"7BIT\" 113 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) ((\"text\" \"plain\" (\"CHARSET\" "
        "\"US-ASCII\") NIL NIL \"7BIT\" 1 0 NIL NIL NIL NIL)(\"text\" \"html\" NIL NIL NIL \"7BIT\" 4 0 NIL NIL NIL NIL) \"alternative\" "
        "(\"boundary\" \"bb\") NIL NIL NIL) 9 NIL NIL NIL NIL)(\"text\" \"plain\" NIL NIL NIL \"7BIT\" 4 0 NIL NIL NIL NIL) \"digest\" "
        "(\"boundary\" \"b\") NIL NIL NIL)"),
     IN("t")},
    {"a boundary inside a part's header, parts without bodies",
     IN("From: a@b" CRLF "Content-Type: multipart/mixed; boundary=\"x:y\"" CRLF CRLF "--x:y" CRLF "--x:y" CRLF "Content-ID: <1>" CRLF
        "--x:y" CRLF "Content-Type: message/rfc822" CRLF CRLF "--x:y--" CRLF),
     SUMMARY_ATTACHMENT, {NULL, 0},
     IN("((\"text\" \"plain\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 0 0 NIL NIL NIL NIL)(\"text\" \"plain\" (\"CHARSET\" \"US-ASCII\") "
        "\"<1>\" NIL \"7BIT\" 0 0 NIL NIL NIL NIL)(\"message\" \"rfc822\" NIL NIL NIL \"7BIT\" 0 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) "
        "(\"text\" \"plain\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 0 0 NIL NIL NIL NIL) 0 NIL NIL NIL NIL) \"mixed\" (\"boundary\" "
        "\"x:y\") NIL NIL NIL)"),
     IN("")},
    {"a multipart without parts, and one without boundary",
     IN("From: a@b" CRLF "Content-Type: multipart/mixed; boundary=x" CRLF CRLF "only text" CRLF), 0, {NULL, 0},
     IN("(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 11 1 NIL NIL NIL NIL)"), {NULL, 0}},
    {"message/rfc822 in base64 is opaque",
     IN("From: a@b" CRLF "Content-Type: message/rfc822" CRLF "Content-Transfer-Encoding: base64" CRLF CRLF "AAAA"), SUMMARY_ATTACHMENT,
     {NULL, 0}, IN("(\"APPLICATION\" \"OCTET-STREAM\" NIL NIL NIL \"BASE64\" 4 NIL NIL NIL NIL)"), IN("")},
    {"related pictures are no attachments",
     IN("From: a@b" CRLF "From: c@d" CRLF "Content-Type: multipart/related; boundary=x" CRLF CRLF "--x" CRLF "Content-Type: text/html" CRLF
        CRLF "<style>p{}</style><p>Hi &amp; <b>you</b></p>" CRLF "--x" CRLF "Content-Type: image/png" CRLF CRLF "--x--"),
     SUMMARY_MANY_FROM, IN("(NIL NIL ((NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")) ((NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")) ((NIL NIL \"a\" "
     "\"b\")(NIL NIL \"c\" \"d\")) NIL NIL NIL NIL NIL)"), {NULL, 0}, IN("Hi & you")},
    {"LF only",
     IN("From: a@b\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\na\n\n--x \t\nContent-Type: text/plain\n\nb\n--x--\n"), 0, {NULL, 0},
     IN("((\"text\" \"plain\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 2 1 NIL NIL NIL NIL)(\"text\" \"plain\" NIL NIL NIL \"7BIT\" 1 0 NIL "
        "NIL NIL NIL) \"mixed\" (\"boundary\" \"x\") NIL NIL NIL)"), IN("a")},
};

static void check(const char *name, const char *what, struct span got, struct span want)
{
    if (want.p != NULL && !span_eq(got, want))
        fail_msg("%s: %s:\n%.*s\nwanted:\n%.*s", name, what, SPAN_ARGS(got), SPAN_ARGS(want));
}

static void table(void **state)
{
    struct arena mem;
    struct summary s;
    arena_init(&mem);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        summarize(rows[i].in, &s, &mem);
        const char *bad = format_testing_check(rows[i].in, &s);
        if (bad != NULL || s.flags != rows[i].flags)
            fail_msg("%s: %s, flags %u", rows[i].name, bad ? bad : "", s.flags);
        check(rows[i].name, "envelope", s.envelope, rows[i].envelope);
        check(rows[i].name, "structure", summary_pack_text(s.structure), rows[i].structure);
        check(rows[i].name, "preview", s.preview, rows[i].preview);
    }
    arena_done(&mem);
}

static void prefix(struct span in, struct arena *mem)
{
    struct summary s;
    summarize(in, &s, mem);
    const char *bad = format_testing_check(in, &s);
    if (bad != NULL)
        fail_msg("%s: %.*s", bad, SPAN_ARGS(in));
}

static void truncated(void **state)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        format_testing_prefixes(rows[i].in, prefix);
}

static void facts(void **state)
{
    struct arena mem;
    struct summary s;
    struct summary_part p;
    struct summary_field f;
    size_t at = 0;
    arena_init(&mem);
    summarize(rows[1].in, &s, &mem);
    assert_int_equal(s.date_s, 1057049557);
    assert_int_equal(s.msgid_hash, span_hash(SPAN("1@x.test")));
    assert_int_equal(s.hops, 0);
    assert_true(summary_pack_next_field(s.headers, &at, &f));
    assert_int_equal(f.name, HEADER_FROM);
    assert_int_equal(f.length, 24);
    assert_true(summary_pack_next_field(s.headers, &at, &f));
    assert_int_equal(f.at, 24);
    summarize(rows[3].in, &s, &mem);
    assert_int_equal(summary_pack_parts(s.structure), 3);
    assert_int_equal(summary_pack_get_part(s.structure, 2, &p), 0);
    assert_int_equal(p.type, MIME_APPLICATION);
    assert_int_equal(p.encoding, MIME_BASE64);
    assert_memory_equal(rows[3].in.p + p.body_at, "AAAA\r\n--x--", 11);
    assert_int_equal(p.body_end - p.body_at, 4);
    assert_int_equal(summary_pack_get_part(s.structure, 3, &p), -1);
    summarize(SPAN("Received: a\r\nDate: never\r\nReceived: b\r\n\r\nReceived: c\r\n"), &s, &mem);
    assert_int_equal(s.hops, 2);
    assert_int_equal(s.date_s, INT64_MIN);
    assert_int_equal(s.flags, SUMMARY_NO_FROM | SUMMARY_HAS_DATE);
    arena_done(&mem);
}

/* ---- hostile ----------------------------------------------------------------------------------------------------- */

static struct summary hostile(struct str *in)
{
    struct summary s;
    int64_t before = clock();
    summarize(str_span(in), &s, in->mem);
    const char *bad = format_testing_check(str_span(in), &s);
    if (bad != NULL)
        fail_msg("%s", bad);
    assert_true((clock() - before) / (CLOCKS_PER_SEC / 1000) < 5000); /* far above what it takes, far below quadratic */
    return s;
}

/* n times the item; each `#` in it is the number. */
static void repeat(struct str *s, size_t n, const char *item)
{
    for (size_t i = 0; i < n; i++) {
        struct span rest = span_z(item);
        while (rest.p != NULL) {
            str_add(s, span_split(&rest, '#'));
            if (rest.p != NULL)
                str_addu(s, i);
        }
    }
}

static void bombs(void **state)
{
    static const struct {
        const char *name, *head;
        size_t n;
        const char *item;
        size_t parts; /* at most */
    } cases[] = {
        {"1,000 multiparts in each other", "", 1000, "Content-Type: multipart/mixed; boundary=b#\r\n\r\n--b#\r\n", 60},
        {"the same with one boundary", "", 1000, "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", 1000},
        {"1,000 messages in each other", "", 1000, "Content-Type: message/rfc822\r\n\r\n", 60},
        {"30,000 parts", "Content-Type: multipart/mixed; boundary=b\r\n\r\n", 30000, "--b\r\n\r\n\r\n", 1000},
        {"a million almost boundaries", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n", 1000000, "--b-\n", 2},
        {"20,000 fields", "", 20000, "To: a@b\r\n", 1},
        {"one field, 100,000 addresses", "From: ", 100000, "a@b,", 1},
        {"one address of 1 MB", "From: ", 200000, "aaaaa", 1},
        {"a million quotes", "From: ", 1000000, "\"", 1},
        {"a million parentheses", "Date: ", 1000000, "(", 1},
        {"many groups", "From: ", 100000, "g:;", 1},
        {"backslashes", "Subject: ", 90000, "\\", 1},
        {"parameters", "Content-Type: a/b", 100000, ";n*#*=%41#", 1},
        {"half encoded words", "Content-Type: text/plain\r\nSubject: ", 100000, "=?a?q?", 1},
        {"open tags", "Content-Type: text/html\r\n\r\n", 300000, "<a \"", 1},
        {"open scripts", "Content-Type: text/html\r\n\r\n", 100000, "<script>", 1},
        {"a line without end", "From: a@b\r\n\r\n", 1000000, "-----", 1},
        {"parts with long parameters", "Content-Type: multipart/mixed; boundary=b\r\n\r\n", 900,
         "--b\r\nContent-Type: text/plain; name=\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\"\r\n\r\n", 1000},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena mem;
        struct str in;
        arena_init(&mem);
        str_init(&in, &mem);
        str_addz(&in, cases[i].head);
        repeat(&in, cases[i].n, cases[i].item);
        struct summary s = hostile(&in);
        if (summary_pack_parts(s.structure) > cases[i].parts)
            fail_msg("%s: %zu parts", cases[i].name, summary_pack_parts(s.structure));
        arena_done(&mem);
    }
}

/* All six address fields, all texts, all kinds of parameters as large as they get, at once. */
static void full(void **state)
{
    static const char *const names[] = {"From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Subject", "Date", "Message-ID", "In-Reply-To",
                                        "Content-ID", "Content-Description", "Content-Location", "Content-MD5"};
    struct arena mem;
    struct str in;
    arena_init(&mem);
    for (int kind = 0; kind < 3; kind++) {
        static const char *const item[] = {"\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\" <a@b>, ", "\xc3\xbc@\xc3\xbc,", "\\\\\\\\\\\\\\\\\\\\\\\\"};
        str_init(&in, &mem);
        for (size_t i = 0; i < COUNT_OF(names); i++) {
            str_addf(&in, "%s: ", names[i]);
            repeat(&in, 1000, item[kind]);
            str_addz(&in, "\r\n");
        }
        str_addz(&in, "Content-Language: ");
        repeat(&in, 1000, "\"\"\"\"\",");
        str_addz(&in, "\r\nContent-Type: a/b");
        repeat(&in, 100, "; n#=\"\\\"\\\"#\"");
        str_addz(&in, "\r\nContent-Disposition: attachment");
        repeat(&in, 100, "; n#=\"\\\"\\\"#\"");
        str_addz(&in, "\r\n");
        repeat(&in, 2000, "X: y\r\n");
        str_addz(&in, "From: hidden@x\r\n\r\n");
        struct summary s = hostile(&in);
        assert_true((s.flags & SUMMARY_TRUNCATED) && (s.flags & SUMMARY_MANY_FROM));
        assert_int_equal(summary_pack_parts(s.structure), 1);
        arena_reset(&mem);
    }
    arena_done(&mem);
}

/* The ids that decide a thread: In-Reply-To first, then References from its end, each once, the message's own left out. */
static void refs(void **state)
{
    static const struct {
        struct span in;
        const char *want[6];
    } cases[] = {
        {IN("Message-ID: <me>" CRLF CRLF), {NULL}},
        {IN("In-Reply-To: <p>" CRLF "References: <a> <b> <p>" CRLF CRLF), {"p", "b", "a"}},
        {IN("References: <a>" CRLF " <b>" CRLF CRLF), {"b", "a"}},
        {IN("Message-ID: <me>" CRLF "References: <a> <me> <a>" CRLF CRLF), {"a"}},
        {IN("In-Reply-To: your message <x> of <y>" CRLF CRLF), {"y", "x"}},
        {IN("In-Reply-To: <p>" CRLF "In-Reply-To: <q>" CRLF CRLF), {"p"}},
    };
    struct arena mem;
    struct summary s;
    arena_init(&mem);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        summarize(cases[i].in, &s, &mem);
        size_t n = 0;
        for (; cases[i].want[n] != NULL; n++) {
            uint64_t v;
            assert_true(s.refs.n >= (n + 1) * 8);
            memcpy(&v, s.refs.p + n * 8, 8);
            assert_true(le64toh(v) == span_hash(span_z(cases[i].want[n])));
        }
        assert_int_equal(s.refs.n, n * 8);
    }
    struct str in;
    str_init(&in, &mem);
    str_addz(&in, "References:");
    for (int i = 0; i < 5000; i++)
        str_addf(&in, " <%d>", i);
    str_addz(&in, "\r\n\r\n");
    summarize(str_span(&in), &s, &mem);
    uint64_t first, last, want_last = span_hash(arena_printf(&mem, "%d", 5000 - (int)LIMIT(THREAD_REFS)));
    assert_int_equal(s.refs.n, 8 * LIMIT(THREAD_REFS));
    memcpy(&first, s.refs.p, 8);
    memcpy(&last, s.refs.p + s.refs.n - 8, 8);
    assert_true(le64toh(first) == span_hash(SPAN("4999")) && le64toh(last) == want_last);
    arena_done(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(table), cmocka_unit_test(facts), cmocka_unit_test(truncated),
                                       cmocka_unit_test(bombs), cmocka_unit_test(refs), cmocka_unit_test(full)};
    charset_open_all();
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    charset_close_all();
    return r;
}
