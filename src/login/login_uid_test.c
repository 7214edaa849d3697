/* login_uid_test: the table of users and accounts, and every mistake in it. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/str.h"
#include "login/login_uid.h"

static const struct { const char *text, *want; } rows[] = {
    {"", ""},
    {"   ", ""},
    {"1001=Ann@Example.ORG", "1001=ann@example.org "},
    {"root=ann@example.org  1001=bob@b\xc3\xbc" "cher.test 4294967294=c@example.org",
     "0=ann@example.org 1001=bob@xn--bcher-kva.test 4294967294=c@example.org "},
    {"1001=ann@example.org 1002=ann@example.org", "1001=ann@example.org 1002=ann@example.org "},
    {"1001=a@example.org 1001=b@example.org", "!uid 1001 is there twice"},
    {"root=a@example.org 0=b@example.org", "!uid 0 is there twice"},
    {"nobody=a@example.org", "!cannot name"},
    {"65534=a@example.org", "!cannot name"},
    {"4294967295=a@example.org", "!there is no user \"4294967295\""}, /* (uid_t)-1 is nobody's */
    {"no-such-user=a@example.org", "!there is no user \"no-such-user\""},
    {"-1=a@example.org", "!there is no user \"-1\""},
    {"+1=a@example.org", "!there is no user"},
    {"=a@example.org", "!write user=address"},
    {"1001", "!is no user=address"},
    {"1001=", "!is no user=address"},
    {"1001=ann", "!is no user=address"},
    {"1001=@example.org", "!is no user=address"},
    {"1001=ann@example.org=x", "!is no user=address"},
    {"1001=*@example.org", "!is no user=address"},
    {"a-name-that-is-longer-than-any-user-of-any-system-may-have-by-far-and-then-some=a@example.org", "!write user=address"},
};

static void tables(void **state)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct login_uids t = {0};
        struct arena mem;
        struct str got;
        struct fail f = {0};

        arena_init(&mem);
        str_init(&got, &mem);
        if (login_uid_parse(&t, span_z(rows[i].text), &f) < 0)
            str_addf(&got, "!%s", f.text);
        else
            for (size_t k = 0; k < t.rows.n; k++)
                str_addf(&got, "%u=%s ", t.rows.v[k].uid, t.rows.v[k].address);
        if (rows[i].want[0] == '!' ? got.n == 0 || got.p[0] != '!' || strstr(str_z(&got), rows[i].want + 1) == NULL
                                   : !span_eq(str_span(&got), span_z(rows[i].want)))
            fail_msg("%s: %s", rows[i].text, str_z(&got));
        login_uid_done(&t);
        arena_done(&mem);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tables)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
