/* Tests of crc32c: known values, and the instruction against the tables. */
#include "store/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void known(void **state)
{
    unsigned char b[32];
    /* RFC 3720 B.4 */
    memset(b, 0, 32);
    assert_int_equal(crc32c(0, b, 32), 0x8a9136aa);
    memset(b, 0xff, 32);
    assert_int_equal(crc32c(0, b, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        b[i] = (unsigned char)i;
    assert_int_equal(crc32c(0, b, 32), 0x46dd794e);
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, b, 0), 0);
}

static void soft_and_pieces(void **state)
{
    unsigned char b[1000];
    for (size_t i = 0; i < sizeof b; i++)
        b[i] = (unsigned char)(i * 31 + (i >> 3));
    for (size_t n = 0; n < sizeof b; n += 7) {
        uint32_t whole = crc32c(0, b, n);
        assert_int_equal(crc32c_soft(0, b, n), whole);
        size_t cut = n / 3;
        assert_int_equal(crc32c(crc32c(0, b, cut), b + cut, n - cut), whole);
        assert_int_equal(crc32c_soft(crc32c(0, b, cut), b + cut, n - cut), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(known), cmocka_unit_test(soft_and_pieces)};
    return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
