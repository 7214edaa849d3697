/* FETCH items: what is read, what is refused; sections of real messages; BODY out of BODYSTRUCTURE. */
#include "format/summary.h"
#include "format/summary_pack.h"
#include "imap/imap_part.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
    const char *text, *names; /* names: of the answer, joined by "|"; NULL: refused */
    bool seen;
} attr_cases[] = {
    {"FLAGS", "FLAGS", false},
    {"(uid flags)", "UID|FLAGS", false},
    {"ALL", "FLAGS|INTERNALDATE|RFC822.SIZE|ENVELOPE", false},
    {"fast", "FLAGS|INTERNALDATE|RFC822.SIZE", false},
    {"FULL", "FLAGS|INTERNALDATE|RFC822.SIZE|ENVELOPE|BODY", false},
    {"BODY", "BODY", false},
    {"BODY[]", "BODY[]", true},
    {"BODY.PEEK[]", "BODY[]", false},
    {"body.peek[text]<5.10>", "BODY[TEXT]<5>", false},
    {"BODY[1.2.HEADER]", "BODY[1.2.HEADER]", true},
    {"BODY.PEEK[4.1.mime]", "BODY[4.1.MIME]", false},
    {"BODY.PEEK[HEADER.FIELDS (From \"To\")]", "BODY[HEADER.FIELDS (From To)]", false},
    {"BODY.PEEK[1.HEADER.FIELDS.NOT (\"a b\")]<0.1>", "BODY[1.HEADER.FIELDS.NOT (\"a b\")]<0>", false},
    {"BODY.PEEK[HEADER.FIELDS ({2}\r\nTo)]", "BODY[HEADER.FIELDS (To)]", false},
    {"RFC822", "RFC822", true},
    {"(RFC822.HEADER RFC822.TEXT)", "RFC822.HEADER|RFC822.TEXT", true},
    {"RFC822.HEADER", "RFC822.HEADER", false},
    {"BINARY.PEEK[1]<1.2>", "BINARY[1]<1>", false},
    {"BINARY[]", "BINARY[]", true},
    {"BINARY.SIZE[1.2]", "BINARY.SIZE[1.2]", false},
    {"", NULL, false},
    {"()", NULL, false},
    {"(FLAGS", NULL, false},
    {"FLAGS UID", NULL, false},
    {"(ALL)", NULL, false},
    {"BODY[", NULL, false},
    {"BODY[1", NULL, false},
    {"BODY[0]", NULL, false},
    {"BODY[01]", NULL, false},
    {"BODY[1.]", NULL, false},
    {"BODY[.1]", NULL, false},
    {"BODY[1..2]", NULL, false},
    {"BODY[4294967296]", NULL, false},
    {"BODY[MIME]", NULL, false},
    {"BODY[HEADER.FIELDS]", NULL, false},
    {"BODY[HEADER.FIELDS ()]", NULL, false},
    {"BODY[HEADER.FIELDS (a)", NULL, false},
    {"BODY[1]<0.0>", NULL, false},
    {"BODY[1]<4294967296.1>", NULL, false},
    {"BODY[1]<-1.1>", NULL, false},
    {"BODY[1]<1>", NULL, false},
    {"BINARY[TEXT]", NULL, false},
    {"BINARY.SIZE[1]<0.1>", NULL, false},
    {"BINARY", NULL, false},
    {"BODY.PEEK", NULL, false},
    {"RFC822[]", NULL, false},
    {"NONSENSE", NULL, false},
};

static bool read_attrs(struct span text, struct imap_attrs *out, struct arena *mem)
{
    struct imap_lex in;
    imap_grammar_init(&in, text, mem);
    in.depth_max = 16;
    return imap_attr_read(&in, out) && imap_grammar_end(&in);
}

static void test_attrs(void **state)
{
    for (size_t i = 0; i < COUNT_OF(attr_cases); i++) {
        struct arena mem;
        struct imap_attrs got;
        struct str names;
        arena_init(&mem);
        str_init(&names, &mem);
        bool ok = read_attrs(span_z(attr_cases[i].text), &got, &mem);
        if (ok != (attr_cases[i].names != NULL))
            fail_msg("%s", attr_cases[i].text);
        for (uint32_t k = 0; ok && k < got.n; k++) {
            if (k > 0)
                str_addc(&names, '|');
            str_add(&names, got.v[k].name);
        }
        if (ok) {
            assert_string_equal(str_z(&names), attr_cases[i].names);
            assert_int_equal(got.seen, attr_cases[i].seen);
        }
        for (size_t n = 0; n < strlen(attr_cases[i].text); n++) /* every prefix is refused or read, and ends */
            read_attrs(span_of(attr_cases[i].text, n), &got, &mem);
        arena_done(&mem);
    }
}

#define HEAD "From: a@example.org\r\nSubject: top\r\n"
#define INNER "Subject: in\r\nTo: b@example.org\r\n\r\nInner text\r\n"
#define MIXED                                                                                                          \
    HEAD "Content-Type: multipart/mixed; boundary=x\r\n\r\npre\r\n--x\r\nContent-Type: text/plain\r\n\r\none\r\n"      \
         "--x\r\nContent-Type: message/rfc822\r\n\r\n" INNER "\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n"         \
         "Content-Type: multipart/alternative; boundary=y\r\n\r\n--y\r\nX: 1\r\n\r\nalt1\r\n--y\r\n\r\nalt2\r\n--y--\r\n" \
         "--x--\r\nafter\r\n"

static const struct {
    struct span message;
    const char *section, *want; /* NULL: not there */
} part_cases[] = {
    {SPAN(HEAD "\r\nbody\r\n"), "BODY[HEADER]", HEAD "\r\n"},
    {SPAN(HEAD "\r\nbody\r\n"), "BODY[TEXT]", "body\r\n"},
    {SPAN(HEAD "\r\nbody\r\n"), "BODY[1]", "body\r\n"},
    {SPAN(HEAD "\r\nbody\r\n"), "BODY[1.MIME]", HEAD "\r\n"},
    {SPAN(HEAD "\r\nbody\r\n"), "BODY[1.1]", NULL},
    {SPAN(HEAD "\r\nbody\r\n"), "BODY[2]", NULL},
    {SPAN(HEAD "\r\nbody\r\n"), "BODY[1.TEXT]", NULL},
    {SPAN(HEAD "\r\nbody\r\n"), "BODY[]", HEAD "\r\nbody\r\n"},
    {SPAN(MIXED), "BODY[1]", "one"},
    {SPAN(MIXED), "BODY[1.MIME]", "Content-Type: text/plain\r\n\r\n"},
    {SPAN(MIXED), "BODY[2]", INNER},
    {SPAN(MIXED), "BODY[2.HEADER]", "Subject: in\r\nTo: b@example.org\r\n\r\n"},
    {SPAN(MIXED), "BODY[2.TEXT]", "Inner text\r\n"},
    {SPAN(MIXED), "BODY[2.1]", "Inner text\r\n"},
    {SPAN(MIXED), "BODY[2.1.MIME]", "Subject: in\r\nTo: b@example.org\r\n\r\n"},
    {SPAN(MIXED), "BODY[2.2]", NULL},
    {SPAN(MIXED), "BODY[3.1]", "alt1"},
    {SPAN(MIXED), "BODY[3.1.MIME]", "X: 1\r\n\r\n"},
    {SPAN(MIXED), "BODY[3.2]", "alt2"},
    {SPAN(MIXED), "BODY[3.3]", NULL},
    {SPAN(MIXED), "BODY[4]", NULL},
    {SPAN("Content-Type: message/rfc822\r\n\r\n" INNER), "BODY[1]", INNER},
    {SPAN("Content-Type: message/rfc822\r\n\r\n" INNER), "BODY[1.1]", "Inner text\r\n"},
    {SPAN("Content-Type: message/rfc822\r\n\r\n" INNER), "BODY[1.TEXT]", "Inner text\r\n"},
    {SPAN("no header at all"), "BODY[TEXT]", "no header at all"},
};

/* What a client reads begins with two lines that are not in the stored message. */
#define PREFIX "Return-Path: <x@example.org>\r\nDelivered-To: y@example.org\r\n"

static void check_part(size_t i, bool prefixed)
{
    struct arena mem;
    struct imap_attrs attrs;
    struct summary s;
    arena_init(&mem);
    struct span m = part_cases[i].message;
    summarize(m, &s, &mem);
    struct span read = prefixed ? arena_printf(&mem, PREFIX "%.*s", SPAN_ARGS(m)) : m;
    assert_true(read_attrs(span_z(part_cases[i].section), &attrs, &mem));
    struct imap_place at = imap_part_find(&attrs.v[0], s.structure, read.n);
    if (at.there != (part_cases[i].want != NULL))
        fail_msg("case %zu %s", i, part_cases[i].section);
    if (at.there) {
        struct span got = span_sub(read, (size_t)at.from, (size_t)(at.to - at.from));
        bool whole = at.from == 0 && prefixed;
        if (whole) { /* the message's own header, and the whole message, have them */
            assert_true(span_starts(got, SPAN(PREFIX)));
            got = span_from(got, sizeof PREFIX - 1);
        }
        if (!span_eq(got, span_z(part_cases[i].want)))
            fail_msg("case %zu %s: %.*s", i, part_cases[i].section, SPAN_ARGS(got));
    }
    arena_done(&mem);
}

static void test_parts(void **state)
{
    for (size_t i = 0; i < COUNT_OF(part_cases); i++) {
        check_part(i, false);
        check_part(i, true);
    }
}

static void test_fields(void **state)
{
    static const struct { const char *section, *want; } cases[] = {
        {"BODY[HEADER.FIELDS (a)]", "A: 1\r\n 2\r\n\tc\r\na : 4\r\n\r\n"},
        {"BODY[HEADER.FIELDS.NOT (a)]", "B: 3\r\n:\r\nplain\r\n\r\n"},
        {"BODY[HEADER.FIELDS (x)]", "\r\n"},
        {"BODY[HEADER.FIELDS.NOT (a b plain)]", ":\r\nplain\r\n\r\n"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena mem;
        struct imap_attrs attrs;
        struct str out;
        arena_init(&mem);
        str_init(&out, &mem);
        assert_true(read_attrs(span_z(cases[i].section), &attrs, &mem));
        imap_part_fields(&out, SPAN("A: 1\r\n 2\r\n\tc\r\nB: 3\r\na : 4\r\n:\r\nplain\r\n\r\nA: not in the header\r\n"), &attrs.v[0]);
        assert_string_equal(str_z(&out), cases[i].want);
        arena_done(&mem);
    }
}

static void test_body(void **state)
{
    static const struct { const char *in, *want; } cases[] = {
        {"(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 1 2 NIL NIL NIL NIL)", "(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 1 2)"},
        {"(\"IMAGE\" \"PNG\" (\"NAME\" \"a)\\\"\") NIL NIL \"BASE64\" 9 NIL (\"x\" NIL) NIL NIL)",
         "(\"IMAGE\" \"PNG\" (\"NAME\" \"a)\\\"\") NIL NIL \"BASE64\" 9)"},
        {"((\"A\" \"B\" NIL NIL NIL \"7BIT\" 1 NIL NIL NIL NIL)(\"C\" \"D\" NIL NIL {3}\r\n)\"( \"7BIT\" 1) \"MIXED\" (\"b\" \"c\") NIL NIL NIL)",
         "((\"A\" \"B\" NIL NIL NIL \"7BIT\" 1)(\"C\" \"D\" NIL NIL {3}\r\n)\"( \"7BIT\" 1) \"MIXED\")"},
        {"(\"MESSAGE\" \"RFC822\" NIL NIL NIL \"7BIT\" 5 (NIL NIL) (\"TEXT\" \"X\" NIL NIL NIL \"7BIT\" 1 2 NIL) 3 NIL NIL NIL NIL)",
         "(\"MESSAGE\" \"RFC822\" NIL NIL NIL \"7BIT\" 5 (NIL NIL) (\"TEXT\" \"X\" NIL NIL NIL \"7BIT\" 1 2) 3)"},
        {"", NULL}, {"(", NULL}, {"(\"TEXT\"", NULL}, {"(\"A\" \"B\" NIL NIL NIL {9}\r\nx", NULL}, {"((((", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena mem;
        struct str out;
        arena_init(&mem);
        str_init(&out, &mem);
        assert_int_equal(imap_part_body(&out, span_z(cases[i].in)), cases[i].want != NULL);
        if (cases[i].want != NULL)
            assert_string_equal(str_z(&out), cases[i].want);
        else
            assert_int_equal(out.n, 0);
        arena_done(&mem);
    }
}

/* For a session without UTF-8: only values of RFC 2231 parameters change, wherever they stand. */
static void test_encoded(void **state)
{
    static const struct { const char *in, *want; } cases[] = {
        {"(\"TEXT\" \"PLAIN\" (\"NAME*\" \"a b\") NIL NIL \"7BIT\" 1 2 NIL NIL NIL NIL)", NULL},
        {"((\"A\" \"B\" (\"X\" \"*\" \"NAME*\" {5}\r\n\xc3\xbc 'x \"Y\" {2}\r\n\xc3\xbc) NIL NIL \"7BIT\" 1 NIL (\"ATTACHMENT\" (\"FILENAME*\" {2}\r\n\xc3\xbc)) NIL NIL) \"MIXED\")",
         "((\"A\" \"B\" (\"X\" \"*\" \"NAME*\" \"UTF-8''%C3%BC%20%27x\" \"Y\" {2}\r\n\xc3\xbc) NIL NIL \"7BIT\" 1 NIL (\"ATTACHMENT\" (\"FILENAME*\" \"UTF-8''%C3%BC\")) NIL NIL) \"MIXED\")"},
        {"(\"A\" \"B\" NIL \"id*\" {2}\r\n\xc3\xbc \"7BIT\" 1)", NULL},
        {"(\"A\" \"B\" (\"x\" \"y\") \"id*\" {2}\r\n\xc3\xbc \"7BIT\" 1)", NULL},
        {"(\"NAME*\" {9}\r\n\xc3", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena mem;
        arena_init(&mem);
        struct span got = imap_part_encoded(span_z(cases[i].in), &mem);
        struct span want = span_z(cases[i].want != NULL ? cases[i].want : cases[i].in);
        if (!span_eq(got, want))
            fail_msg("case %zu: %.*s", i, SPAN_ARGS(got));
        arena_done(&mem);
    }
}

/* Every structure that scan makes has a BODY. */
static void test_body_of_messages(void **state)
{
    for (size_t i = 0; i < COUNT_OF(part_cases); i++) {
        struct arena mem;
        struct summary s;
        struct str out;
        arena_init(&mem);
        str_init(&out, &mem);
        summarize(part_cases[i].message, &s, &mem);
        assert_true(imap_part_body(&out, summary_pack_text(s.structure)));
        arena_done(&mem);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attrs), cmocka_unit_test(test_parts), cmocka_unit_test(test_fields),
        cmocka_unit_test(test_body),  cmocka_unit_test(test_body_of_messages),
        cmocka_unit_test(test_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
