/* SEARCH keys: what is read and refused, and what it finds, with a row and without. */
#include "imap/imap_view_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ENV                                                                                                            \
    "(\"Mon, 7 Feb 1994 23:52:25 -0800\" \"Hello World\" ((\"Ann Bee\" NIL \"ann\" \"example.org\")) NIL NIL "          \
    "((NIL NIL \"bob\" \"example.org\")(NIL NIL \"eve\" \"b.example\")) NIL NIL NIL \"<1@example.org>\")"

enum { BAD = 9 };

static const struct {
    const char *keys;
    unsigned view, row;     /* of message 4 (flags 3: seen, answered): what the view knows, what its row adds */
} cases[] = {
    {"ALL", 1, 1}, {"SEEN", 1, 1}, {"UNSEEN", 0, 0}, {"ANSWERED UNDELETED", 1, 1}, {"FLAGGED", 0, 0}, {"DRAFT", 0, 0},
    {"NEW", 0, 0}, {"RECENT", 0, 0}, {"OLD", 1, 1}, {"KEYWORD $Forwarded", 1, 1}, {"UNKEYWORD work", 0, 0},
    {"KEYWORD wor", 0, 0}, {"4", 1, 1}, {"1:3", 0, 0}, {"*", 0, 0}, {"1,4:5", 1, 1}, {"UID 40", 1, 1}, {"UID 4", 0, 0},
    {"11", 0, 0}, {"4:11", 1, 1}, {"NOT 11:12", 1, 1}, {"UID 11", 0, 0}, {"NOT 4", 0, 0}, {"OR 1 4", 1, 1}, {"OR 1 2", 0, 0}, {"(4 SEEN)", 1, 1},
    {"OR (1 2) (3 4)", 0, 0}, {"NOT (OR 4 5)", 0, 0}, {"NOT NOT NOT SEEN", 0, 0},
    {"LARGER 99", 2, 1}, {"LARGER 100", 2, 0}, {"SMALLER 101", 2, 1}, {"SMALLER 100", 2, 0},
    {"UNSEEN LARGER 5", 0, 0}, {"OR SEEN LARGER 5", 1, 1}, {"NOT LARGER 5", 2, 0},
    {"BEFORE 1-Jan-2000", 2, 0}, {"ON 1-Jan-2000", 2, 1}, {"SINCE 1-Jan-2000", 2, 1}, {"SINCE 2-Jan-2000", 2, 0},
    {"SENTON 7-Feb-1994", 2, 1}, {"SENTON 8-Feb-1994", 2, 0}, {"SENTBEFORE 8-Feb-1994", 2, 1}, {"SENTSINCE \"7-Feb-1994\"", 2, 1},
    {"SUBJECT hello", 2, 1}, {"SUBJECT \"lo wo\"", 2, 1}, {"SUBJECT hellow", 2, 0}, {"SUBJECT \"\"", 2, 1},
    {"FROM ann", 2, 1}, {"FROM \"bee <ann@example.org>\"", 2, 1}, {"FROM bob", 2, 0}, {"TO eve@b.example", 2, 1}, {"CC x", 2, 0},
    {"BCC \"\"", 2, 0}, {"HEADER MESSAGE-ID <1@EXAMPLE.org>", 2, 1}, {"HEADER Subject World", 2, 1},
    {"HEADER X-Other y", 2, 2}, {"BODY x", 2, 2}, {"TEXT x", 2, 2}, {"HEADER FROM ann", 2, 2}, {"SUBJECT \xc3\xa9", BAD, 0},
    {"SUBJECT {2}\r\n\xc3\xa9", 2, 2}, {"SUBJECT {1}\r\n\xff", BAD, 0}, {"SEEN BODY x", 2, 2}, {"UNSEEN BODY x", 0, 0},
    {"", BAD, 0}, {"SEEN ", BAD, 0}, {" SEEN", BAD, 0}, {"NOT", BAD, 0}, {"OR SEEN", BAD, 0}, {"(SEEN", BAD, 0}, {"SEEN)", BAD, 0},
    {"()", BAD, 0}, {"LARGER x", BAD, 0}, {"LARGER -1", BAD, 0}, {"BEFORE 30-Feb-2000", BAD, 0}, {"NONSENSE", BAD, 0}, {"SUBJECT", BAD, 0},
    {"HEADER x", BAD, 0}, {"0", BAD, 0},
};

static bool read_keys(struct span text, struct imap_view *v, struct imap_keys *keys, struct arena *mem)
{
    struct imap_lex in;
    imap_grammar_init(&in, text, mem);
    in.depth_max = 16;
    return imap_key_read(&in, v, keys);
}

static void test_keys(void **state)
{
    struct imap_message m[10];
    struct imap_view v;
    struct msg_member_row row = {.size = 100, .internal_ms = 946684800000, .envelope = SPAN(ENV)};
    imap_view_testing(&v, m);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena mem;
        struct imap_keys keys;
        struct imap_key_facts facts = {.index = 3, .view = &v};
        arena_init(&mem);
        bool ok = read_keys(span_z(cases[i].keys), &v, &keys, &mem);
        if (ok != (cases[i].view != BAD))
            fail_msg("%s", cases[i].keys);
        if (ok) {
            if (imap_key_run(&keys, &facts) != cases[i].view)
                fail_msg("%s by the view: %d", cases[i].keys, imap_key_run(&keys, &facts));
            facts.row = &row;
            if (imap_key_run(&keys, &facts) != cases[i].row)
                fail_msg("%s by the row: %d", cases[i].keys, imap_key_run(&keys, &facts));
            uint64_t none = 0;
            facts.found = &none;
            assert_int_not_equal(imap_key_run(&keys, &facts), IMAP_KEY_UNKNOWN);
        }
        for (size_t n = 0; n < strlen(cases[i].keys); n++)
            read_keys(span_of(cases[i].keys, n), &v, &keys, &mem);
        arena_done(&mem);
    }
}

/* What scan found decides, by the number of the string. */
static void test_found(void **state)
{
    struct imap_message m[10];
    struct imap_view v;
    struct arena mem;
    struct imap_keys keys;
    arena_init(&mem);
    imap_view_testing(&v, m);
    assert_true(read_keys(SPAN("OR BODY a (BODY b NOT TEXT c)"), &v, &keys, &mem));
    assert_int_equal(keys.n_strings, 3);
    for (uint64_t found = 0; found < 8; found++) {
        bool want = (found & 1) || ((found & 2) && !(found & 4));
        struct imap_key_facts facts = {.index = 0, .view = &v, .found = &found};
        assert_int_equal(imap_key_run(&keys, &facts), want);
    }
    arena_done(&mem);
}

/* An envelope that is none, as a damaged store may have it: scan is asked. */
static void test_damaged(void **state)
{
    static const struct span envelopes[] = {
        SPAN(""), SPAN("("), SPAN("(\x13\0\0"), SPAN("(\"a"), SPAN("(\"a\\"), SPAN("({9}\r\nx"), SPAN("({99999999999999999999}"),
        SPAN("(NIL"), SPAN("(N"), SPAN("(NIL NIL ((("), SPAN("))"), SPAN("x"), SPAN("(NIL NIL \0"),
    };
    struct imap_message m[10];
    struct imap_view v;
    struct arena mem;
    struct imap_keys keys;
    arena_init(&mem);
    imap_view_testing(&v, m);
    assert_true(read_keys(SPAN("TO x"), &v, &keys, &mem));
    for (size_t i = 0; i < COUNT_OF(envelopes); i++) {
        struct msg_member_row row = {.envelope = envelopes[i]};
        assert_int_equal(imap_key_run(&keys, &(struct imap_key_facts){.index = 3, .view = &v, .row = &row}), IMAP_KEY_UNKNOWN);
    }
    arena_done(&mem);
}

/* Nesting and the number of keys end in a refusal, not in the stack. */
static void test_limits(void **state)
{
    struct imap_message m[10];
    struct imap_view v;
    struct arena mem;
    struct imap_keys keys;
    struct str text;
    arena_init(&mem);
    imap_view_testing(&v, m);
    str_init(&text, &mem);
    for (int i = 0; i < 1000; i++)
        str_addz(&text, "NOT ");
    str_addz(&text, "SEEN");
    assert_false(read_keys(str_span(&text), &v, &keys, &mem));
    str_clear(&text);
    str_addz(&text, "SEEN");
    for (int i = 0; i < 400; i++)
        str_addz(&text, " SEEN");
    assert_true(read_keys(str_span(&text), &v, &keys, &mem));
    for (int i = 0; i < 400; i++)
        str_addz(&text, " SEEN");
    assert_false(read_keys(str_span(&text), &v, &keys, &mem));
    assert_non_null(keys.refused);
    str_clear(&text);
    for (int i = 0; i < 45; i++)
        str_addz(&text, "OR SEEN ");
    str_addz(&text, "SEEN");
    assert_true(read_keys(str_span(&text), &v, &keys, &mem));
    assert_int_equal(imap_key_run(&keys, &(struct imap_key_facts){.index = 3, .view = &v}), IMAP_KEY_YES);
    arena_done(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
