/* RFC 5321 4.1.2 and 4.1.3, whole and cut at every byte. */
#include "smtp/smtp_grammar.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct path_case {
    const char *args; /* behind "RCPT " or "MAIL " */
    int mail, rcpt;   /* 1: good; else the smtp_error */
    const char *address;
};

#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define D63 "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0"

static const struct path_case path_cases[] = {
    {"<a@b.example>", 1, 1, "a@b.example"},
    {" <a@b.example>", 1, 1, "a@b.example"},
    {"<a@b>", 1, 1, "a@b"},
    {"<A.b+c!d%e@B.EXAMPLE>", 1, 1, "A.b+c!d%e@B.EXAMPLE"},
    {"<>", 1, SMTP_BAD_ADDRESS, ""},
    {"<postmaster>", SMTP_BAD_ADDRESS, 1, "postmaster"},
    {"<POSTmaster>", SMTP_BAD_ADDRESS, 1, "POSTmaster"},
    {"<@x.example:postmaster>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<a>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<@>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<a@>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<@a>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"< @a>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<a@ >", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<a @b>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<a@b@c>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<.a@b>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<a.@b>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<a..b@c>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<a@b.>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<a@.b>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<a@-b>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<a@b->", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<a@b_c>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<a@b", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"a@b>", SMTP_BAD_SYNTAX, SMTP_BAD_SYNTAX, NULL},
    {"a@b", SMTP_BAD_SYNTAX, SMTP_BAD_SYNTAX, NULL},
    {"", SMTP_BAD_SYNTAX, SMTP_BAD_SYNTAX, NULL},
    {"<a@b>x", SMTP_BAD_SYNTAX, SMTP_BAD_SYNTAX, NULL},
    {"<@r.example:a@b>", 1, 1, "a@b"},
    {"<@r.example,@s.example:a@b>", 1, 1, "a@b"},
    {"<@r.example,a@b>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<@r.example,:a@b>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<whatever:a@b>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<\"a b\"@c>", 1, 1, "a b@c"},
    {"<\"a\\\"b\\\\\"@c>", 1, 1, "a\"b\\@c"},
    {"<\"a@b\"@c>", 1, 1, "a@b@c"},
    {"<\"\"@c>", 1, 1, "@c"},
    {"<\"a\"b@c>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<\"a@c>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<\"a\\\"@c>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<\"a\tb\"@c>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<a@[192.0.2.1]>", 1, 1, "a@[192.0.2.1]"},
    {"<a@[IPv6:2001:db8::1]>", 1, 1, "a@[IPv6:2001:db8::1]"},
    {"<a@[ipv6:::ffff:192.0.2.1]>", 1, 1, "a@[ipv6:::ffff:192.0.2.1]"},
    {"<a@[x-tag:what.ever]>", 1, 1, "a@[x-tag:what.ever]"},
    {"<a@[256.0.2.1]>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<a@[192.0.2]>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<a@[IPv6:2001:db8::1::2]>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<a@[2001:db8::1]>", 1, 1, NULL}, /* a General-address-literal with the tag "2001" */
    {"<a@[]>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<a@[x-:y]>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<a@[x:]>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<a@[192.0.2.1>", SMTP_BAD_ADDRESS, SMTP_BAD_ADDRESS, NULL},
    {"<\xc3\xa9@b>", SMTP_8BIT, SMTP_8BIT, NULL},
    {"<a@\xc3\xa9>", SMTP_8BIT, SMTP_8BIT, NULL},
    {"<\"\xc3\xa9\"@b>", SMTP_8BIT, SMTP_8BIT, NULL},
    {"<" A63 "a@b>", 1, 1, A63 "a@b"},
    {"<" A63 "aa@b>", 1, SMTP_TOO_LONG, NULL}, /* VERP of others */
    {"<a@" D63 "." D63 "." D63 "." A63 ">", SMTP_TOO_LONG, SMTP_TOO_LONG, NULL}, /* 255 + 4: the path is above 256 */
    {"<a@" D63 "a>", SMTP_TOO_LONG, SMTP_TOO_LONG, NULL},
    {"<a@" D63 "." D63 "." D63 "." D63 "." D63 ">", SMTP_TOO_LONG, SMTP_TOO_LONG, NULL},
    {"<a@b> ", 1, 1, "a@b"},
    {"<a@b> FOO=bar", SMTP_PARAM_UNKNOWN, SMTP_PARAM_UNKNOWN, NULL},
    {"<a@b> FOO", SMTP_PARAM_UNKNOWN, SMTP_PARAM_UNKNOWN, NULL},
    {"<a@b> SIZE=1000", 1, SMTP_PARAM_UNKNOWN, "a@b"},
    {"<a@b> size=1000 body=8bitmime", 1, SMTP_PARAM_UNKNOWN, "a@b"},
    {"<a@b> BODY=7bit", 1, SMTP_PARAM_UNKNOWN, "a@b"},
    {"<a@b>  BODY=7bit", 1, SMTP_PARAM_UNKNOWN, "a@b"},
    {"<a@b> BODY=9BIT", SMTP_PARAM_BAD, SMTP_PARAM_UNKNOWN, NULL},
    {"<a@b> BODY=BINARYMIME", SMTP_PARAM_BAD, SMTP_PARAM_UNKNOWN, NULL},
    {"<a@b> BODY", SMTP_PARAM_BAD, SMTP_PARAM_UNKNOWN, NULL},
    {"<a@b> SIZE=", SMTP_PARAM_BAD, SMTP_PARAM_BAD, NULL},
    {"<a@b> SIZE=1 SIZE=1", SMTP_PARAM_BAD, SMTP_PARAM_UNKNOWN, NULL},
    {"<a@b> SIZE=-1", SMTP_PARAM_BAD, SMTP_PARAM_UNKNOWN, NULL},
    {"<a@b> SIZE=+1", SMTP_PARAM_BAD, SMTP_PARAM_UNKNOWN, NULL},
    {"<a@b> SIZE=9223372036854775807", 1, SMTP_PARAM_UNKNOWN, "a@b"},
    {"<a@b> SIZE=9223372036854775808", SMTP_PARAM_BAD, SMTP_PARAM_UNKNOWN, NULL},
    {"<a@b> SIZE=18446744073709551616", SMTP_PARAM_BAD, SMTP_PARAM_UNKNOWN, NULL},
    {"<a@b> SIZE=10000000000000000000000000000000000000000", SMTP_PARAM_BAD, SMTP_PARAM_UNKNOWN, NULL},
    {"<a@b> =x", SMTP_BAD_SYNTAX, SMTP_BAD_SYNTAX, NULL},
    {"<a@b> -x=1", SMTP_BAD_SYNTAX, SMTP_BAD_SYNTAX, NULL},
    {"<a@b> SIZE=1=2", SMTP_BAD_SYNTAX, SMTP_PARAM_UNKNOWN, NULL},
};

static ptrdiff_t run_path(bool rcpt, struct span args, struct smtp_path *path)
{
    struct smtp_params params;
    return rcpt ? smtp_grammar_rcpt(args, SMTP_EXT_CORE, path, &params) : smtp_grammar_mail(args, SMTP_EXT_CORE, path, &params);
}

/* The line in memory of exactly its size, so that ASan sees every byte read too far. */
static ptrdiff_t run_exact(bool rcpt, struct span args, size_t n)
{
    struct smtp_path path;
    char *copy = malloc(n + 1);
    memcpy(copy, args.p, n);
    char *exact = realloc(copy, MAX_OF(n, (size_t)1));
    ptrdiff_t r = run_path(rcpt, span_of(exact, n), &path);
    free(exact);
    return r;
}

static void test_paths(void **state)
{
    struct arena mem;
    arena_init(&mem);
    for (size_t i = 0; i < COUNT_OF(path_cases); i++)
        for (int rcpt = 0; rcpt <= 1; rcpt++) {
            const struct path_case *c = &path_cases[i];
            struct span args = arena_printf(&mem, "%s%s", rcpt ? "tO:" : "From:", c->args);
            struct smtp_path path;
            ptrdiff_t r = run_path(rcpt, args, &path), want = rcpt ? c->rcpt : c->mail;
            if (want == 1 ? r != (ptrdiff_t)args.n : r != want)
                fail_msg("%.*s: %td, not %td", SPAN_ARGS(args), r, want);
            if (r > 0 && c->address != NULL) {
                struct str address;
                str_init(&address, &mem);
                smtp_grammar_address(&address, &path);
                assert_string_equal(str_z(&address), c->address);
            }
            for (size_t n = 0; n < args.n; n++) { /* every beginning: its length, or an error; never more */
                r = run_exact(rcpt, args, n);
                assert_true(r <= (ptrdiff_t)n && r != 0);
            }
        }
    arena_done(&mem);
}

static void test_params(void **state)
{
    struct smtp_path path;
    struct smtp_params p;
    assert_true(smtp_grammar_mail(SPAN("FROM:<a@b> SIZE=123 BODY=8BITMIME"), SMTP_EXT_CORE, &path, &p) > 0);
    assert_true(p.has_size && p.size == 123 && p.body == SMTP_BODY_8BITMIME);
    assert_true(smtp_grammar_mail(SPAN("FROM:<a@b>"), SMTP_EXT_CORE, &path, &p) > 0);
    assert_true(!p.has_size && p.body == SMTP_BODY_7BIT && !path.null);
    assert_true(smtp_grammar_mail(SPAN("FROM:<>"), SMTP_EXT_CORE, &path, &p) > 0 && path.null);
}

#define E20 "aaaaaaaaaaaaaaaaaaaa"
#define E100 E20 E20 E20 E20 E20
#define ALL (SMTP_EXT_CORE | SMTP_EXT_UTF8 | SMTP_EXT_DSN | SMTP_EXT_AUTH)

/* Extensions: what their RFCs allow, and that without them nothing of theirs is known. */
static const struct { bool rcpt; unsigned ext; const char *args; int want; } ext_cases[] = {
    {false, ALL, "<\xc3\xa9@b> SMTPUTF8", 1},
    {false, ALL, "<\xc3\xa9@b\xc3\xbc.example> SMTPUTF8", 1},
    {false, ALL, "<\"\xc3\xa9 x\"@b> SMTPUTF8", 1},
    {false, ALL, "<\xc3\xa9@b>", SMTP_8BIT},
    {false, ALL, "<\xc3@b> SMTPUTF8", SMTP_8BIT},
    {false, ALL, "<a@\xed\xa0\x80> SMTPUTF8", SMTP_8BIT}, /* a surrogate */
    {false, ALL, "<a@b> SMTPUTF8=x", SMTP_PARAM_BAD},
    {false, SMTP_EXT_CORE, "<a@b> SMTPUTF8", SMTP_PARAM_UNKNOWN},
    {true, ALL, "<\xc3\xa9@b>", 1},
    {true, ALL & ~SMTP_EXT_UTF8, "<\xc3\xa9@b>", SMTP_8BIT},
    {true, ALL, "<a@b> SMTPUTF8", SMTP_PARAM_UNKNOWN},
    {false, ALL, "<a@b> RET=FULL ENVID=QQ314159", 1},
    {false, ALL, "<a@b> RET=hdrs", 1},
    {false, ALL, "<a@b> RET=BODY", SMTP_PARAM_BAD},
    {false, ALL, "<a@b> RET=FULL RET=FULL", SMTP_PARAM_BAD},
    {false, ALL, "<a@b> ENVID=a+2Bb+3Dc+20d", 1},
    {false, ALL, "<a@b> ENVID=" E100, 1},
    {false, ALL, "<a@b> ENVID=" E100 "a", SMTP_PARAM_BAD},
    {false, ALL, "<a@b> ENVID=a+2b", SMTP_PARAM_BAD},  /* small letters */
    {false, ALL, "<a@b> ENVID=a+2", SMTP_PARAM_BAD},
    {false, ALL, "<a@b> ENVID=a+0D+0A", SMTP_PARAM_BAD}, /* would be a line of a report */
    {false, ALL, "<a@b> ENVID=a+7F", SMTP_PARAM_BAD},
    {false, ALL, "<a@b> ENVID=+C3+A9", SMTP_PARAM_BAD},
    {false, ALL, "<a@b> ENVID=\xc3\xa9", SMTP_PARAM_BAD},
    {false, ALL & ~SMTP_EXT_DSN, "<a@b> RET=FULL", SMTP_PARAM_UNKNOWN},
    {false, ALL, "<a@b> NOTIFY=NEVER", SMTP_PARAM_UNKNOWN},
    {false, ALL, "<a@b> AUTH=<>", 1},
    {false, ALL, "<a@b> AUTH=e+3Dmc2@example.com", 1},
    {false, ALL, "<a@b> AUTH=a+b", SMTP_PARAM_BAD},
    {false, ALL & ~SMTP_EXT_AUTH, "<a@b> AUTH=<>", SMTP_PARAM_UNKNOWN},
    {true, ALL, "<a@b> NOTIFY=NEVER", 1},
    {true, ALL, "<a@b> NOTIFY=success,Failure,DELAY ORCPT=rfc822;a+2Bb@c", 1},
    {true, ALL, "<a@b> NOTIFY=NEVER,DELAY", SMTP_PARAM_BAD},
    {true, ALL, "<a@b> NOTIFY=SUCCESS,", SMTP_PARAM_BAD},
    {true, ALL, "<a@b> NOTIFY=ALWAYS", SMTP_PARAM_BAD},
    {true, ALL, "<a@b> NOTIFY=DELAY NOTIFY=DELAY", SMTP_PARAM_BAD},
    {true, ALL, "<a@b> ORCPT=rfc822", SMTP_PARAM_BAD},
    {true, ALL, "<a@b> ORCPT=;a@b", SMTP_PARAM_BAD},
    {true, ALL, "<a@b> ORCPT=rfc822;", SMTP_PARAM_BAD},
    {true, ALL, "<a@b> ORCPT=rf_c;a@b", SMTP_PARAM_BAD},
    {true, ALL, "<a@b> ORCPT=rfc822;a+0Ab", SMTP_PARAM_BAD},
    {true, ALL, "<a@b> ORCPT=rfc822;" E100 E100 E100 E100 E100, SMTP_PARAM_BAD},
    {true, ALL, "<a@b> ORCPT=utf-8;\xc3\xa9@b", 1},
    {true, ALL, "<a@b> ORCPT=utf-8;\\x{e9}\\x{1F600}@b", 1},
    {true, ALL, "<a@b> ORCPT=utf-8;\\x{0A}@b", SMTP_PARAM_BAD},
    {true, ALL, "<a@b> ORCPT=utf-8;\\x{e9@b", SMTP_PARAM_BAD},
    {true, ALL, "<a@b> ORCPT=utf-8;\\x{110000}@b", SMTP_PARAM_BAD},
    {true, ALL, "<a@b> ORCPT=utf-8;\\x{d800}@b", SMTP_PARAM_BAD},
    {true, ALL, "<a@b> ORCPT=utf-8;\xc3@b", SMTP_PARAM_BAD},
    {true, ALL, "<a@b> ORCPT=rfc822;\xc3\xa9@b", SMTP_PARAM_BAD},
    {true, ALL & ~SMTP_EXT_UTF8, "<a@b> ORCPT=utf-8;\xc3\xa9@b", SMTP_PARAM_BAD},
};

static void test_extensions(void **state)
{
    for (size_t i = 0; i < COUNT_OF(ext_cases); i++) {
        struct smtp_path path;
        struct smtp_params p;
        char line[800];
        bool rcpt = ext_cases[i].rcpt;
        snprintf(line, sizeof line, "%s%s", rcpt ? "TO:" : "FROM:", ext_cases[i].args);
        ptrdiff_t r = rcpt ? smtp_grammar_rcpt(span_z(line), ext_cases[i].ext, &path, &p)
                           : smtp_grammar_mail(span_z(line), ext_cases[i].ext, &path, &p);
        if ((r > 0) != (ext_cases[i].want == 1) || (r < 0 && r != ext_cases[i].want))
            fail_msg("%s: %td", line, r);
    }
}

static void test_decoded(void **state)
{
    static const struct { const char *coded, *text; } cases[] = {
        {"rfc822;a+2Bb+20c@d", "rfc822;a+b c@d"},
        {"utf-8;\\x{e9}\\x{2b}@b", "utf-8;\xc3\xa9+@b"},
        {"x400;+2B+3D", "x400;+="},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena mem;
        struct str out;
        arena_init(&mem);
        str_init(&out, &mem);
        smtp_param_orcpt(&out, span_z(cases[i].coded));
        assert_string_equal(str_z(&out), cases[i].text);
        arena_done(&mem);
    }
}

static void test_bdat(void **state)
{
    static const struct { const char *args; bool good; uint64_t size; bool last; } cases[] = {
        {"0", true, 0, false}, {"0 LAST", true, 0, true}, {"86 last", true, 86, true}, {"86  LAST ", true, 86, true},
        {"9223372036854775807", true, INT64_MAX, false}, {"9223372036854775808", false, 0, false}, {"", false, 0, false},
        {"LAST", false, 0, false}, {"-1", false, 0, false}, {"+1", false, 0, false}, {"1LAST", false, 0, false},
        {"1 FIRST", false, 0, false}, {"1 LAST x", false, 0, false}, {"1\tLAST", false, 0, false}, {"0x10", false, 0, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint64_t size = 0;
        bool last = false;
        bool good = smtp_grammar_bdat(span_z(cases[i].args), &size, &last) >= 0;
        if (good != cases[i].good || (good && (size != cases[i].size || last != cases[i].last)))
            fail_msg("BDAT %s", cases[i].args);
    }
}

static void test_command(void **state)
{
    struct span verb, args;
    static const struct {
        struct span line;
        bool good;
        const char *verb, *args;
    } cases[] = {
        {SPAN("NOOP"), true, "NOOP", ""},          {SPAN("NOOP "), true, "NOOP", ""},
        {SPAN("mail  FROM:<> "), true, "mail", "FROM:<>"}, {SPAN("NOOP\ta"), true, "NOOP\ta", ""},
        {SPAN(""), false, NULL, NULL},             {SPAN(" NOOP"), false, NULL, NULL},
        {SPAN("NOOP\0x"), false, NULL, NULL},      {SPAN("NO\rOP"), false, NULL, NULL},
        {SPAN("NOOP \x7f"), false, NULL, NULL},    {SPAN("\x80\xff"), false, NULL, NULL},
        {SPAN("\x16\x03\x01"), false, NULL, NULL}, {SPAN("NOOP \xff"), true, "NOOP", "\xff"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        ptrdiff_t r = smtp_grammar_command(cases[i].line, &verb, &args);
        assert_int_equal(r > 0, cases[i].good);
        if (r > 0) {
            assert_true(span_eq(verb, span_z(cases[i].verb)));
            assert_true(span_eq(args, span_z(cases[i].args)));
        }
    }
}

static void test_helo(void **state)
{
    static const struct {
        const char *args;
        bool good;
    } cases[] = {
        {"client.example.org", true}, {"localhost", true},  {"[192.0.2.1]", true}, {"[IPv6:2001:db8::1]", true},
        {"192.0.2.1", true},          {"my_pc", true},      {"", false},           {"bad_host!name", false},
        {"a b", false},               {"[192.0.2.1", false}, {"a.", false},        {"\xc3\xa9", false},
        {"-", false},                 {"[192.0.2.1]x", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct span name;
        assert_int_equal(smtp_grammar_helo(span_z(cases[i].args), &name) > 0, cases[i].good);
        for (size_t n = 0; n < strlen(cases[i].args); n++)
            assert_true(smtp_grammar_helo(span_of(cases[i].args, n), &name) <= (ptrdiff_t)n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_params),
        cmocka_unit_test(test_extensions),
        cmocka_unit_test(test_decoded),
        cmocka_unit_test(test_bdat),
        cmocka_unit_test(test_command),
        cmocka_unit_test(test_helo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
