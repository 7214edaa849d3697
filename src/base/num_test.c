/* SEC-06: the boundary table of numbers, for each reader. */
#include "base/num.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NO UINT64_C(0xdeadbeef) /* refused; the out parameter must keep its value */
#define M64 UINT64_MAX
#define M63 ((uint64_t)INT64_MAX)

struct row {
    const char *in;
    uint64_t max, want;
};

static void u64(void **state)
{
    static const struct row rows[] = {
        {"0", M64, 0},
        {"1", M64, 1},
        {"00", M64, 0},
        {"007", M64, 7},
        {"2147483647", M64, 2147483647},
        {"2147483648", M64, 2147483648},
        {"2147483649", M64, 2147483649},
        {"2147483648", INT32_MAX, NO},
        {"4294967295", UINT32_MAX, 4294967295},
        {"4294967296", UINT32_MAX, NO},
        {"4294967296", M64, 4294967296},
        {"4294967297", M64, 4294967297},
        {"9223372036854775807", M63, M63},
        {"9223372036854775808", M63, NO},
        {"9223372036854775808", M64, M63 + 1},
        {"9223372036854775809", M64, M63 + 2},
        {"18446744073709551615", M64, M64},
        {"18446744073709551616", M64, NO},
        {"18446744073709551617", M64, NO},
        {"18446744073709551625", M64, NO},
        {"99999999999999999999", M64, NO},
        {"10000000000000000000000000000000000000000", M64, NO}, /* 10^40 */
        {"00000000000000000001", M64, 1},                       /* 20 digits */
        {"000000000000000000001", M64, NO},                     /* 21 */
        {"0", 0, 0},
        {"1", 0, NO},
        {"9", 9, 9},
        {"10", 9, NO},
        {"-1", M64, NO},
        {"+1", M64, NO},
        {"", M64, NO},
        {" 1", M64, NO},
        {"1 ", M64, NO},
        {"1a", M64, NO},
        {"0x10", M64, NO},
        {"1.0", M64, NO},
        {"1e3", M64, NO},
        {"\xd9\xa1", M64, NO}, /* U+0661, a digit elsewhere */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t out = NO;
        int rc = num_u64(span_z(rows[i].in), rows[i].max, &out);
        if (out != rows[i].want || rc != (rows[i].want == NO ? -1 : 0))
            fail_msg("\"%s\" up to %llu: rc %d, %llx", rows[i].in, (unsigned long long)rows[i].max, rc, (unsigned long long)out);
    }
    uint64_t out = NO;
    assert_int_equal(num_u64(span_of("1\0", 2), M64, &out), -1); /* NUL is a byte like any other */
    assert_int_equal(num_u64(SPAN_NONE, M64, &out), -1);
    assert_int_equal(num_u64(span_of("123", 2), M64, &out), 0); /* the span's end counts, not a NUL */
    assert_int_equal(out, 12);
}

static void prefix(void **state)
{
    static const struct {
        const char *in;
        uint64_t max;
        ptrdiff_t used;
        uint64_t want;
    } rows[] = {
        {"12}", M64, 2, 12},
        {"12", M64, 2, 12},
        {"1 2", M64, 1, 1},
        {"0:5", M64, 1, 0},
        {"256x", 255, -1, NO},
        {"18446744073709551616x", M64, -1, NO},
        {"x", M64, -1, NO},
        {"", M64, -1, NO},
        {"-1", M64, -1, NO},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t out = NO;
        assert_int_equal(num_u64_prefix(span_z(rows[i].in), rows[i].max, &out), rows[i].used);
        assert_true(out == rows[i].want);
    }
}

static void hex(void **state)
{
    static const struct row rows[] = {
        {"0", M64, 0},
        {"ff", M64, 255},
        {"FF", M64, 255},
        {"fF", 254, NO},
        {"ffffffffffffffff", M64, M64},
        {"10000000000000000", M64, NO}, /* 17 digits */
        {"00000000000000001", M64, NO},
        {"8000000000000000", M63, NO},
        {"g", M64, NO},
        {"0x1", M64, NO},
        {"", M64, NO},
        {"-1", M64, NO},
        {" 1", M64, NO},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t out = NO;
        assert_int_equal(num_hex(span_z(rows[i].in), rows[i].max, &out), rows[i].want == NO ? -1 : 0);
        assert_true(out == rows[i].want);
    }
}

static void sizes(void **state)
{
    static const struct row rows[] = {
        {"10", M64, 10},
        {"10B", M64, 10},
        {"50MB", M64, 50000000},
        {"64KiB", M64, 65536},
        {"64kib", M64, 65536},
        {"1KB", M64, 1000},
        {"3GiB", M64, 3221225472},
        {"2GB", M64, 2000000000},
        {"0MB", 0, 0},
        {"1KiB", 1023, NO},
        {"17179869183GiB", M64, UINT64_C(17179869183) << 30},
        {"17179869184GiB", M64, NO}, /* 2^64 */
        {"5 MB", M64, NO},
        {"MB", M64, NO},
        {"-5MB", M64, NO},
        {"5MBx", M64, NO},
        {"5T", M64, NO},
        {"", M64, NO},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t out = NO;
        assert_int_equal(num_size(span_z(rows[i].in), rows[i].max, &out), rows[i].want == NO ? -1 : 0);
        assert_true(out == rows[i].want);
    }
}

static void seconds(void **state)
{
    static const struct row rows[] = {
        {"90", M64, 90},
        {"90s", M64, 90},
        {"5m", M64, 300},
        {"4h", M64, 14400},
        {"5d", M64, 432000},
        {"213503982334601d", M64, UINT64_C(213503982334601) * 86400},
        {"213503982334602d", M64, NO},
        {"1m", 59, NO},
        {"5w", M64, NO},
        {"5ms", M64, NO},
        {"h", M64, NO},
        {"", M64, NO},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t out = NO;
        assert_int_equal(num_seconds(span_z(rows[i].in), rows[i].max, &out), rows[i].want == NO ? -1 : 0);
        assert_true(out == rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(u64), cmocka_unit_test(prefix), cmocka_unit_test(hex),
        cmocka_unit_test(sizes), cmocka_unit_test(seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
