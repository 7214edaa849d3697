/* login_session_test: who may end what, and the bound per front. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/limits.h"
#include "login/login_session.h"

static void count(const struct login_session *s, void *arg)
{
    ++*(int *)arg;
}

static void ends(void **state)
{
    struct login_sessions *t = login_session_table();
    unsigned char handle[LOGIN_HANDLE];
    const struct login_session *s;
    int n = 0;

    for (uint64_t account = 1; account <= 3; account++)
        for (uint64_t boot = 10; boot <= 12; boot++)
            assert_non_null(login_session_add(t, account, boot, 1, SPAN("de")));
    s = login_session_add(t, 9, 10, 1, SPAN("en"));
    assert_string_equal(s->lang, "en");
    memcpy(handle, s->handle, sizeof handle);

    login_session_end(t, span_of(handle, sizeof handle), 11, count, &n); /* another front's: SEC-24 */
    login_session_end(t, span_of(handle, 15), 10, count, &n);
    login_session_end(t, SPAN_NONE, 10, count, &n);
    assert_int_equal(n, 0);
    assert_int_equal(login_session_count(t), 10);
    login_session_end(t, span_of(handle, sizeof handle), 10, count, &n);
    login_session_end(t, span_of(handle, sizeof handle), 10, count, &n);
    assert_int_equal(n, 1);

    login_session_end_all(t, 2, 0, count, &n);
    assert_int_equal(n, 4);
    login_session_end_all(t, 0, 12, count, &n);
    assert_int_equal(n, 6);
    n = 0;
    login_session_each(t, count, &n);
    assert_int_equal(n, 4);
    login_session_done(t);
}

static void bounded_per_front(void **state)
{
    struct login_sessions *t = login_session_table();

    limit_value[LIMIT_SESSIONS] = 10;
    for (int i = 0; i < 10; i++)
        assert_non_null(login_session_add(t, 1, 10, 1, SPAN("de")));
    assert_null(login_session_add(t, 1, 10, 1, SPAN("de")));
    assert_non_null(login_session_add(t, 1, 11, 1, SPAN("de")));
    login_session_end_all(t, 0, 10, NULL, NULL);
    assert_non_null(login_session_add(t, 1, 10, 1, SPAN("de")));
    limit_value[LIMIT_SESSIONS] = limit_table[LIMIT_SESSIONS].def;
    login_session_done(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ends), cmocka_unit_test(bounded_per_front)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
