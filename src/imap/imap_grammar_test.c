/* IMAP's grammar: each piece whole and cut at every byte. */
#include "imap/imap_grammar.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/limits.h"
#include "run/ipc_table.h"

static struct arena mem;

typedef bool reader(struct imap_lex *in, struct span *out);

struct text_case {
    const char *name;
    reader *read;
    struct span in;
    const char *want; /* NULL: bad */
    size_t left;
};

static const struct text_case texts[] = {
    {"atom", imap_grammar_atom, SPAN("abc def"), "abc", 4},
    {"atom ends at ]", imap_grammar_atom, SPAN("a]"), "a", 1},
    {"atom, none", imap_grammar_atom, SPAN("(a"), NULL, 0},
    {"atom, 8 bit", imap_grammar_atom, SPAN("\xc3\xa9"), NULL, 0},
    {"tag", imap_grammar_tag, SPAN("a.1] NOOP"), "a.1]", 5},
    {"tag, +", imap_grammar_tag, SPAN("+ x"), NULL, 0},
    {"word", imap_grammar_word, SPAN("BODY.PEEK[1]"), "BODY.PEEK", 3},
    {"astring, atom with ]", imap_grammar_astring, SPAN("a]b c"), "a]b", 2},
    {"astring, %", imap_grammar_astring, SPAN("a%"), "a", 1},
    {"pattern", imap_grammar_pattern, SPAN("a/%*"), "a/%*", 0},
    {"quoted", imap_grammar_astring, SPAN("\"a b\" c"), "a b", 2},
    {"quoted, empty", imap_grammar_astring, SPAN("\"\""), "", 0},
    {"quoted, escapes", imap_grammar_string, SPAN("\"a\\\"b\\\\c\""), "a\"b\\c", 0},
    {"quoted, bad escape", imap_grammar_string, SPAN("\"a\\b\""), NULL, 0},
    {"quoted, no end", imap_grammar_string, SPAN("\"ab"), NULL, 0},
    {"quoted, end escaped", imap_grammar_string, SPAN("\"ab\\\""), NULL, 0},
    {"quoted, CR", imap_grammar_string, SPAN("\"a\rb\""), NULL, 0},
    {"quoted, UTF-8", imap_grammar_string, SPAN("\"\xc3\xa9\""), "\xc3\xa9", 0},
    {"quoted, bad UTF-8", imap_grammar_string, SPAN("\"\xc3\""), NULL, 0},
    {"literal", imap_grammar_string, SPAN("{3}\r\na\"b c"), "a\"b", 2},
    {"literal, {n+}", imap_grammar_string, SPAN("{2+}\r\nab"), "ab", 0},
    {"literal, empty", imap_grammar_string, SPAN("{0}\r\n"), "", 0},
    {"literal, short", imap_grammar_string, SPAN("{4}\r\nabc"), NULL, 0},
    {"literal, NUL", imap_grammar_string, SPAN("{3}\r\na\0b"), NULL, 0},
    {"literal, no CR", imap_grammar_string, SPAN("{1}\na"), NULL, 0},
    {"literal, binary", imap_grammar_string, SPAN("~{1}\r\na"), NULL, 0},
    {"literal, 2^63", imap_grammar_string, SPAN("{9223372036854775808}\r\na"), NULL, 0},
    {"literal, 2^63-1", imap_grammar_string, SPAN("{9223372036854775807}\r\na"), NULL, 0},
    {"literal, sign", imap_grammar_string, SPAN("{-1}\r\na"), NULL, 0},
    {"string is no atom", imap_grammar_string, SPAN("abc"), NULL, 0},
};

static void test_texts(void **state)
{
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        const struct text_case *c = &texts[i];
        struct imap_lex in;
        struct span out;
        imap_grammar_init(&in, c->in, &mem);
        if (c->read(&in, &out) != (c->want != NULL) || (c->want != NULL && (!span_eq(out, span_z(c->want)) || in.at.n != c->left)))
            fail_msg("%s: got \"%.*s\", %zu left, %s", c->name, SPAN_ARGS(out), in.at.n, in.error);
        if (c->want == NULL)
            assert_true(in.error != NULL && in.at.n == 0);
        for (size_t n = 0; n < c->in.n; n++) { /* a copy of its own, so that a byte too many is found */
            char *cut = malloc(n + 1);
            memcpy(cut, c->in.p, n);
            imap_grammar_init(&in, span_of(cut, n), &mem);
            assert_true(!c->read(&in, &out) || in.at.n <= n);
            free(cut);
        }
    }
    arena_reset(&mem);
}

static void test_nstring(void **state)
{
    struct imap_lex in;
    struct span out;
    imap_grammar_init(&in, SPAN("nil \"NIL\" NILX"), &mem);
    assert_true(imap_grammar_nstring(&in, &out) && out.p == NULL);
    assert_true(imap_grammar_sp(&in) && imap_grammar_nstring(&in, &out) && span_eq(out, SPAN("NIL")));
    assert_true(imap_grammar_sp(&in) && !imap_grammar_nstring(&in, &out));
}

static void test_sets(void **state)
{
    static const struct {
        const char *text, *want; /* NULL: bad */
    } cases[] = {
        {"1", "1:1"},           {"1:3", "1:3"},          {"3:1", "1:3"},     {"*", "*:*"},
        {"5:*", "5:*"},         {"*:5", "5:*"},          {"1,3:4,*", "1:1 3:4 *:*"},
        {"4294967295", "4294967295:4294967295"},         {"4294967296", NULL},
        {"0", NULL},            {"1:", NULL},            {"", NULL},         {",1", NULL},
        {"1,", NULL},           {"a", NULL},             {"1:0", NULL},      {"-1", NULL},
        {"18446744073709551617", NULL},                  {"*:*", "*:*"},     {"$", ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct imap_lex in;
        struct imap_set set;
        struct str got;
        str_init(&got, &mem);
        imap_grammar_init(&in, span_z(cases[i].text), &mem);
        bool ok = imap_grammar_set(&in, &set) && imap_grammar_end(&in);
        for (uint32_t k = 0; ok && k < set.n; k++) {
            char a[12], b[12];
            snprintf(a, sizeof a, "%u", set.v[k].first);
            snprintf(b, sizeof b, "%u", set.v[k].last);
            str_addf(&got, "%s%s:%s", k > 0 ? " " : "", set.v[k].first == IMAP_STAR ? "*" : a, set.v[k].last == IMAP_STAR ? "*" : b);
        }
        if (ok != (cases[i].want != NULL) || (ok && !span_eq(str_span(&got), span_z(cases[i].want))))
            fail_msg("%s: %d, got %.*s", cases[i].text, ok, SPAN_ARGS(str_span(&got)));
    }
    arena_reset(&mem);
}

static void test_set_limit(void **state)
{
    struct imap_lex in;
    struct imap_set set;
    struct str text;
    str_init(&text, &mem);
    for (int64_t i = 0; i < LIMIT(IMAP_RANGES); i++)
        str_addz(&text, i > 0 ? ",1" : "1");
    imap_grammar_init(&in, str_span(&text), &mem);
    assert_true(imap_grammar_set(&in, &set) && set.n == LIMIT(IMAP_RANGES));
    str_addz(&text, ",1");
    imap_grammar_init(&in, str_span(&text), &mem);
    assert_false(imap_grammar_set(&in, &set));
    arena_reset(&mem);
}

static void test_flags(void **state)
{
    static const struct {
        const char *text;
        int flags; /* -1: bad */
        const char *keywords;
        bool list;
    } cases[] = {
        {"()", 0, "", true},
        {"(\\Seen \\dELETED)", FLAG_SEEN | FLAG_DELETED, "", true},
        {"($Forwarded \\Draft x)", FLAG_DRAFT, "$Forwarded x", true},
        {"\\Flagged", FLAG_FLAGGED, "", false},
        {"a b", 0, "a b", false},
        {"(a b)", 0, "a b", false},
        {"(\\Recent)", 0, "", true},
        {"(\\Bad)", -1, NULL, true},
        {"(a", -1, NULL, true},
        {"(a  b)", -1, NULL, true},
        {"(a b", -1, NULL, false},
        {"\\", -1, NULL, false},
        {"", -1, NULL, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct imap_lex in;
        struct imap_flags f;
        imap_grammar_init(&in, span_z(cases[i].text), &mem);
        bool ok = (cases[i].list ? imap_grammar_flag_list(&in, &f) : imap_grammar_flags(&in, &f)) && imap_grammar_end(&in);
        if (ok != (cases[i].flags >= 0) ||
            (ok && (f.flags != (uint32_t)cases[i].flags || !span_eq(f.keywords, span_z(cases[i].keywords)))))
            fail_msg("%s: %d %s", cases[i].text, ok, in.error);
    }
    arena_reset(&mem);
}

static void test_dates(void **state)
{
    static const struct {
        const char *text;
        int64_t want; /* -1: bad */
        bool time;
    } cases[] = {
        {"1-Feb-1970", 31, false},      {"\"01-feb-1970\"", 31, false},  {"29-Feb-2023", -1, false},
        {"29-Feb-2024", 19782, false},  {"0-Jan-1970", -1, false},       {"32-Jan-1970", -1, false},
        {"1-Foo-1970", -1, false},      {"1-Jan-70", -1, false},         {"\"1-Jan-1970", -1, false},
        {"1-Jan-1970 ", -1, false},     {"\"01-Jan-1970 00:00:10 +0000\"", 10000, true},
        {"\" 1-Jan-1970 01:00:00 +0100\"", 0, true}, {"\"01-Jan-1970 00:00:00 -0130\"", 5400000, true},
        {"\"01-Jan-1970 24:00:00 +0000\"", -1, true}, {"\"1-Jan-1970 00:00:00 +0000\"", -1, true},
        {"01-Jan-1970 00:00:00 +0000", -1, true}, {"\"01-Jan-1970 00:00:00 0000\"", -1, true}, {"\"", -1, true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct span text = span_z(cases[i].text);
        for (size_t n = 0; n <= text.n; n++) {
            struct imap_lex in;
            int64_t got = 0;
            imap_grammar_init(&in, span_sub(text, 0, n), &mem);
            bool ok = (cases[i].time ? imap_grammar_date_time(&in, &got) : imap_grammar_date(&in, &got)) && imap_grammar_end(&in);
            if (n == text.n && (ok != (cases[i].want >= 0) || (ok && got != cases[i].want)))
                fail_msg("%s: %d %lld", cases[i].text, ok, (long long)got);
            assert_true(!ok || n == text.n || !cases[i].time);
        }
    }
}

static void test_literal_at_the_end(void **state)
{
    static const struct {
        const char *line;
        int kind;
        uint64_t size;
        bool waits, binary;
        size_t header;
    } cases[] = {
        {"a LOGIN {5}", 1, 5, true, false, 3},      {"a LOGIN {5+}", 1, 5, false, false, 4},
        {"a APPEND x ~{12+}", 1, 12, false, true, 6}, {"a LOGIN \"x{5}", 0, 0, false, false, 0},
        {"a LOGIN \"x\\\"{5}", 0, 0, false, false, 0}, {"a LOGIN \"x\" {5}", 1, 5, true, false, 3},
        {"a {x}", -1, 0, false, false, 0},          {"a {}", -1, 0, false, false, 0},
        {"a }", 0, 0, false, false, 0},             {"a {99999999999999999999}", -1, 0, false, false, 0},
        {"a {5} ", 0, 0, false, false, 0},          {"", 0, 0, false, false, 0},
        {"{0}", 1, 0, true, false, 3},              {"a {5-}", -1, 0, false, false, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct imap_literal l;
        int kind = imap_grammar_literal(span_z(cases[i].line), &l);
        if (kind != cases[i].kind || l.header != cases[i].header || (kind > 0 && (l.size != cases[i].size ||
            l.waits != cases[i].waits || l.binary != cases[i].binary)))
            fail_msg("%s: %d", cases[i].line, kind);
    }
}

static void test_depth(void **state)
{
    struct imap_lex in;
    imap_grammar_init(&in, SPAN("(((((((((((((((((((("), &mem);
    int depth = 0;
    while (imap_grammar_open(&in))
        depth++;
    assert_int_equal(depth, LIMIT(IMAP_DEPTH));
    imap_grammar_init(&in, SPAN("()"), &mem);
    assert_true(imap_grammar_open(&in) && imap_grammar_close(&in) && imap_grammar_end(&in));
    imap_grammar_init(&in, SPAN("("), &mem);
    assert_true(imap_grammar_open(&in));
    assert_false(imap_grammar_end(&in));
    imap_grammar_init(&in, SPAN(")"), &mem);
    assert_false(imap_grammar_close(&in));
}

/* What we say can be read again and is the same. */
static void test_say(void **state)
{
    static const struct span cases[] = {
        SPAN(""), SPAN("abc"), SPAN("a b"), SPAN("a\"\\"), SPAN("a\r\nb"), SPAN("\xc3\xa9"), SPAN("NIL"), SPAN("a{5}"), SPAN("%"),
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (int utf8 = 0; utf8 < 2; utf8++) {
            struct imap_lex in;
            struct str said;
            struct span back;
            str_init(&said, &mem);
            imap_grammar_add_astring(&said, cases[i], utf8);
            imap_grammar_init(&in, str_span(&said), &mem);
            assert_true(imap_grammar_astring(&in, &back) && imap_grammar_end(&in) && span_eq(back, cases[i]));
            imap_grammar_init(&in, str_span(&said), &mem);
            assert_false(imap_grammar_may_word(&in, SPAN("NIL")));
        }
    struct str said;
    str_init(&said, &mem);
    imap_grammar_add_flags(&said, FLAG_SEEN | FLAG_DRAFT, SPAN("x y"));
    imap_grammar_add_flags(&said, 0, SPAN("x"));
    imap_grammar_add_flags(&said, 0, SPAN(""));
    imap_grammar_add_date_time(&said, 5400000);
    imap_grammar_add_date_time(&said, -1000);
    assert_true(span_eq(str_span(&said), SPAN("(\\Seen \\Draft x y)(x)()\"01-Jan-1970 01:30:00 +0000\"\"31-Dec-1969 23:59:59 +0000\"")));
    arena_reset(&mem);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts), cmocka_unit_test(test_nstring), cmocka_unit_test(test_sets),
        cmocka_unit_test(test_set_limit), cmocka_unit_test(test_flags), cmocka_unit_test(test_dates),
        cmocka_unit_test(test_literal_at_the_end), cmocka_unit_test(test_depth), cmocka_unit_test(test_say),
    };
    arena_init(&mem);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_done(&mem);
    return failed;
}
