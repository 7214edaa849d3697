/* base64: RFC 4648 10 vectors, what strict refuses, what lenient skips. */
#include "base/base64.h"
#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct arena mem;

static void vectors(void **state)
{
    static const char *const rows[][3] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"fooba", "Zm9vYmE=", "Zm9vYmE"},
        {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
        {"\xfb\xef\xff", "++//", "--__"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct str s;
        str_init(&s, &mem);
        base64_encode(&s, span_z(rows[i][0]));
        assert_string_equal(str_z(&s), rows[i][1]);
        str_clear(&s);
        base64url_encode(&s, span_z(rows[i][0]));
        assert_string_equal(str_z(&s), rows[i][2]);
        str_clear(&s);
        assert_int_equal(base64_decode(&s, span_z(rows[i][1])), 0);
        assert_string_equal(str_z(&s), rows[i][0]);
        str_clear(&s);
        assert_int_equal(base64url_decode(&s, span_z(rows[i][2])), 0);
        assert_string_equal(str_z(&s), rows[i][0]);
    }
}

static void strict_refuses(void **state)
{
    static const char *const standard[] = {"Z",     "Zg",    "Zg=",   "Zm8",   "Zh==",     "Zm9=",     "====", "=", "==",  "Zg==Zg==",
                                           "Zm9v=", "Z===",  "Zm 9v", "Zm9v\n", "\nZm9v",  "--__",     "Zg=a", "Zm9\xc3",
                                           "Zm9vYg==\r\n", "*",    "A===", "AA=A"};
    static const char *const url[] = {"Z", "Zg==", "Zh", "Zm9", "++//", "Zm9v=", "Zm 9", "Zm9v\n", "Zm9vY"};
    for (size_t i = 0; i < COUNT_OF(standard); i++) {
        struct str s;
        str_init(&s, &mem);
        if (base64_decode(&s, span_z(standard[i])) != -1)
            fail_msg("accepted \"%s\"", standard[i]);
    }
    for (size_t i = 0; i < COUNT_OF(url); i++) {
        struct str s;
        str_init(&s, &mem);
        if (base64url_decode(&s, span_z(url[i])) != -1)
            fail_msg("accepted \"%s\"", url[i]);
    }
}

static void lenient(void **state)
{
    static const char *const rows[][2] = {
        {"Zm9v\r\nYmFy\r\n", "foobar"}, {"Z m\t9*v", "foo"}, {"Zm9vYg==", "foob"}, {"Zm9vYg", "foob"}, {"Zm9vYmE", "fooba"},
        {"Zm9vY", "foo"}, {"Zm9vYg==Zm9v", "foob"}, {"Zh==", "f"}, {"", ""}, {"=", ""}, {"\xff\xfe", ""}, {"Zm-9_v", "foo"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct str s;
        str_init(&s, &mem);
        base64_decode_mime(&s, span_z(rows[i][0]));
        assert_string_equal(str_z(&s), rows[i][1]);
    }
}

static void round_trip(void **state)
{
    for (size_t n = 0; n < 300; n++) {
        unsigned char in[300];
        struct str coded, back;
        str_init(&coded, &mem);
        str_init(&back, &mem);
        rand_bytes(in, n);
        base64_encode(&coded, span_of(in, n));
        assert_int_equal(base64_decode(&back, str_span(&coded)), 0);
        assert_true(span_eq(str_span(&back), span_of(in, n)));
        str_clear(&back);
        base64_decode_mime(&back, str_span(&coded));
        assert_true(span_eq(str_span(&back), span_of(in, n)));
        str_clear(&coded);
        str_clear(&back);
        base64url_encode(&coded, span_of(in, n));
        assert_int_equal(base64url_decode(&back, str_span(&coded)), 0);
        assert_true(span_eq(str_span(&back), span_of(in, n)));
        arena_reset(&mem);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors), cmocka_unit_test(strict_refuses), cmocka_unit_test(lenient), cmocka_unit_test(round_trip),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_done(&mem);
    return failed;
}
