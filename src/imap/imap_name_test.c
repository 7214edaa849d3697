/* Mailbox names: modified UTF-7 both ways, paths, patterns. */
#include "imap/imap_name.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct arena mem;

static void test_utf7(void **state)
{
    static const struct {
        struct span coded, plain; /* plain.p NULL: not well formed */
    } cases[] = {
        {SPAN("INBOX"), SPAN("INBOX")},
        {SPAN("a&-b"), SPAN("a&b")},
        {SPAN("Entw&APw-rfe"), SPAN("Entw\xc3\xbcrfe")},
        {SPAN("~peter/mail/&U,BTFw-/&ZeVnLIqe-"), SPAN("~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e")}, /* RFC 3501 5.1.3 */
        {SPAN("&2D3eCQ-"), SPAN("\xf0\x9f\x98\x89")},
        {SPAN("&Jjo-!"), SPAN("\xe2\x98\xba!")},
        {SPAN("&"), SPAN_NONE},        {SPAN("&APw"), SPAN_NONE},   {SPAN("&AP-"), SPAN_NONE},
        {SPAN("&AGE-"), SPAN_NONE},    {SPAN("&2D0-"), SPAN_NONE},  {SPAN("&3gk-"), SPAN_NONE},
        {SPAN("&APx-"), SPAN_NONE},    {SPAN("&AP w-"), SPAN_NONE}, {SPAN("a\xc3\xbc"), SPAN_NONE},
        {SPAN("a\tb"), SPAN_NONE},     {SPAN("&AP/-"), SPAN_NONE},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str out;
        str_init(&out, &mem);
        bool ok = imap_name_decode(&out, cases[i].coded);
        if (ok != (cases[i].plain.p != NULL) || (ok && !span_eq(str_span(&out), cases[i].plain)))
            fail_msg("%.*s: %d %.*s", SPAN_ARGS(cases[i].coded), ok, SPAN_ARGS(str_span(&out)));
        for (size_t n = 0; n < cases[i].coded.n; n++) { /* cut anywhere: an answer, and no byte too far */
            char *cut = malloc(n + 1);
            memcpy(cut, cases[i].coded.p, n);
            struct str part;
            str_init(&part, &mem);
            (void)imap_name_decode(&part, span_of(cut, n));
            free(cut);
        }
        if (!ok)
            continue;
        struct str back;
        str_init(&back, &mem);
        imap_name_encode(&back, cases[i].plain);
        assert_true(span_eq(str_span(&back), cases[i].coded));
    }
    arena_reset(&mem);
}

static void test_read(void **state)
{
    static const struct {
        struct span wire;
        bool utf8;
        const char *want;
    } cases[] = {
        {SPAN("inbox"), false, "INBOX"},          {SPAN("InBox/x"), false, "INBOX/x"},    {SPAN("inboxes"), false, "inboxes"},
        {SPAN("a/b/"), false, "a/b"},             {SPAN("a//b"), false, NULL},            {SPAN("/a"), false, NULL},
        {SPAN(""), false, NULL},                  {SPAN("/"), false, NULL},               {SPAN("Entw&APw-rfe"), false, "Entw\xc3\xbcrfe"},
        {SPAN("Entw&APw-rfe"), true, "Entw&APw-rfe"}, {SPAN("u\xcc\x88"), true, "\xc3\xbc"}, {SPAN("\xc3"), true, NULL},
        {SPAN("a\x7f"), true, NULL},              {SPAN("\xc3\xbc"), false, "\xc3\xbc"},  {SPAN("../x"), false, "../x"},
        {SPAN("a&b"), false, "a&b"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct span path;
        bool ok = imap_name_read(cases[i].wire, cases[i].utf8, &mem, &path);
        if (ok != (cases[i].want != NULL) || (ok && !span_eq(path, span_z(cases[i].want))))
            fail_msg("%.*s: %d", SPAN_ARGS(cases[i].wire), ok);
    }
    assert_true(span_eq(imap_name_leaf(SPAN("a/b")), SPAN("b")) && span_eq(imap_name_parent(SPAN("a/b/c")), SPAN("a/b")));
    assert_true(span_eq(imap_name_leaf(SPAN("a")), SPAN("a")) && imap_name_parent(SPAN("a")).n == 0);
    arena_reset(&mem);
}

static void test_match(void **state)
{
    static const struct {
        const char *pattern, *path;
        bool want;
    } cases[] = {
        {"*", "a/b", true},        {"%", "a/b", false},       {"%", "a", true},          {"%/%", "a/b", true},
        {"a*", "a", true},         {"a%", "a/b", false},      {"a/%", "a/b", true},      {"*b", "a/b", true},
        {"*/b", "a/c/b", true},    {"%/b", "a/c/b", false},   {"inbox", "INBOX", true},  {"InB*", "INBOX", true},
        {"inbox/X", "INBOX/X", true}, {"inbox/x", "INBOX/X", false}, {"foo", "Foo", false}, {"", "a", false},
        {"**%%*", "a/b", true},    {"a**b", "ab", true},      {"INBOX%", "INBOXES", true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (imap_name_match(span_z(cases[i].pattern), span_z(cases[i].path)) != cases[i].want)
            fail_msg("%s on %s", cases[i].pattern, cases[i].path);
    char stars[IMAP_NAME_PATTERN + 2], name[2000]; /* SEC-08: no way back, so this ends at once */
    for (size_t i = 0; i < sizeof stars; i++)
        stars[i] = i % 2 ? 'a' : '*';
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = 'b';
    assert_false(imap_name_match(span_of(stars, IMAP_NAME_PATTERN), span_of(name, sizeof name)));
    assert_false(imap_name_match(span_of(stars, IMAP_NAME_PATTERN + 1), SPAN("a")));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf7), cmocka_unit_test(test_read), cmocka_unit_test(test_match),
    };
    arena_init(&mem);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_done(&mem);
    return failed;
}
