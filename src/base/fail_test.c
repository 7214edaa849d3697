/* fail: one clean line whatever goes in; limits: the table keeps its promises. */
#include "base/fail.h"
#include "base/limits.h"
#include "base/utf8.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void texts(void **state)
{
    struct fail f;
    assert_int_equal(fail_temp(&f, "4.2.1", "try %d", 5), -1);
    assert_int_equal(f.kind, FAIL_TEMP);
    assert_string_equal(f.code, "4.2.1");
    assert_string_equal(f.text, "try 5");
    assert_int_equal(fail_perm(&f, "5.1.1", "a\r\nb\tc\x7f"), -1);
    assert_int_equal(f.kind, FAIL_PERM);
    assert_string_equal(f.text, "a  b c ");
    assert_int_equal(fail_perm(NULL, "5.1.1", "nobody listens"), -1);
    char big[400];
    for (int shift = 0; shift < 4; shift++) { /* cut between characters wherever they stand */
        memset(big, 'x', 4);
        for (int i = shift; i + 2 < (int)sizeof big; i += 2)
            memcpy(big + i, "\xc3\xbc", 2);
        big[sizeof big - 3] = '\0';
        fail_temp(&f, "4.0.0", "%s", big);
        assert_in_range(strlen(f.text), 150, sizeof f.text - 1);
        assert_true(utf8_valid(span_z(f.text)));
    }
}

static void system_errors(void **state)
{
    struct fail f;
    assert_int_equal(fail_errno(&f, "write log", EIO), -1);
    assert_int_equal(f.kind, FAIL_TEMP);
    assert_string_equal(f.code, "4.3.0");
    assert_string_equal(f.text, "write log: Input/output error");
    fail_errno(&f, "write", ENOSPC);
    assert_string_equal(f.code, "4.3.1");
    fail_errno(&f, "write", EDQUOT);
    assert_string_equal(f.code, "4.3.1");
    fail_errno(&f, "write", 99999);
    assert_string_equal(f.text, "write: error 99999");
}

static void limits(void **state)
{
    assert_string_equal(limit_table[LIMIT_SMTP_LINE].name, "smtp_line");
    for (int i = 0; i < LIMIT_COUNT; i++) {
        const struct limit *l = &limit_table[i];
        assert_true(limit_value[i] == l->def && l->least <= l->def && l->def <= l->most);
        for (const char *p = l->name; *p; p++)
            assert_true((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_');
        for (int k = 0; k < i; k++)
            assert_string_not_equal(l->name, limit_table[k].name);
        assert_true(strlen(l->unit) > 0 && strlen(l->reason) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts), cmocka_unit_test(system_errors), cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
