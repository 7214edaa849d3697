/* arena, str and vec: alignment, growth in place, what a reset keeps. */
#include "base/arena.h"
#include "base/str.h"
#include "base/vec.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void aligned_and_apart(void **state)
{
    struct arena a;
    unsigned char *p[200];
    arena_init(&a);
    assert_null(a.last);
    size_t sum = 0;
    for (size_t i = 0; i < COUNT_OF(p); i++) {
        size_t n = i * i % 3001;
        p[i] = arena_alloc(&a, n);
        assert_int_equal((uintptr_t)p[i] % 16, 0);
        memset(p[i], (int)i, n);
        sum += n;
    }
    assert_int_equal(a.used, sum);
    for (size_t i = 0; i < COUNT_OF(p); i++)
        for (size_t k = 0; k < i * i % 3001; k++)
            assert_int_equal(p[i][k], (unsigned char)i);
    assert_ptr_not_equal(arena_alloc(&a, 0), arena_alloc(&a, 0));
    arena_done(&a);
    assert_null(a.last);
}

static void reset(void **state)
{
    struct arena a;
    arena_init(&a);
    char *first = arena_alloc(&a, 100);
    for (int i = 0; i < 50; i++)
        memset(arena_alloc(&a, 3000), 1, 3000);
    arena_reset(&a);
    assert_int_equal(a.used, 0);
    assert_true(a.end - a.next > 0 && a.end - a.next <= 4096);
    char *again = arena_zalloc(&a, 4000); /* from the chunk that was kept; zeroed though it was used */
    assert_ptr_equal(again, first);
    for (int i = 0; i < 4000; i++)
        assert_int_equal(again[i], 0);
    arena_done(&a);
    memset(arena_alloc(&a, 1 << 20), 1, 1 << 20); /* one big block first: a reset keeps none of it */
    arena_reset(&a);
    assert_null(a.last);
    arena_reset(&a);
    arena_done(&a);
}

static void texts(void **state)
{
    struct arena a;
    arena_init(&a);
    struct span s = arena_copy(&a, SPAN("a\0b"));
    assert_int_equal(s.n, 3);
    assert_memory_equal(s.p, "a\0b", 4);
    assert_string_equal(arena_z(&a, SPAN("a\0b")), "a");
    assert_string_equal(arena_z(&a, SPAN_NONE), "");
    assert_string_equal(arena_printf(&a, "%d-%s", 7, "x").p, "7-x");
    for (int n = 250; n < 260; n++) { /* across the size of the short buffer */
        s = arena_printf(&a, "%*d", n, 5);
        assert_int_equal(s.n, n);
        assert_int_equal(strlen(s.p), n);
        assert_int_equal(s.p[n - 1], '5');
    }
    arena_done(&a);
}

static void extend(void **state)
{
    struct arena a;
    arena_init(&a);
    char *p = arena_alloc(&a, 10);
    assert_true(arena_extend(&a, p, 10, 1000));
    memset(p, 1, 1000);
    assert_int_equal(a.used, 1000);
    assert_false(arena_extend(&a, p, 1000, 5000)); /* no room in this chunk */
    assert_false(arena_extend(&a, p, 1000, 10));
    char *q = arena_alloc(&a, 1);
    assert_int_equal(q - p, 1008);
    assert_false(arena_extend(&a, p, 1000, 1010)); /* no more the last block */
    assert_true(arena_extend(&a, q, 1, 16));
    assert_false(arena_extend(&a, NULL, 0, 16));
    arena_done(&a);
}

static void str_grows(void **state)
{
    struct arena a;
    struct str s, other;
    arena_init(&a);
    str_init(&s, &a);
    str_init(&other, &a);
    assert_string_equal(str_z(&s), "");
    for (unsigned i = 0; i < 3000; i++) {
        str_addc(&s, (char)('a' + i % 26));
        if (i % 100 == 0)
            str_addz(&other, "in between");
    }
    for (unsigned i = 0; i < 3000; i++)
        assert_int_equal(s.p[i], 'a' + i % 26);
    assert_int_equal(other.n, 300);
    str_clear(&s);
    str_addu(&s, 0);
    str_addc(&s, ' ');
    str_addu(&s, UINT64_MAX);
    str_addf(&s, " %s=%d", "n", -5);
    str_add(&s, SPAN_NONE);
    assert_string_equal(str_z(&s), "0 18446744073709551615 n=-5");
    str_init(&s, &a);
    for (int i = 0; i < 100; i++)
        str_addf(&s, "%0100d", i);
    assert_int_equal(s.n, 10000);
    assert_memory_equal(s.p + 9998, "99", 2);
    for (int n = 60; n < 70; n++) { /* across the first capacity, 64: vsnprintf wants a byte more */
        str_init(&s, &a);
        str_reserve(&s, 1);
        str_addf(&s, "%*dx", n - 1, 5);
        assert_int_equal(s.n, n);
        assert_memory_equal(s.p + n - 2, "5x", 2);
    }
    arena_done(&a);
}

static void vec_grows(void **state)
{
    VEC(uint64_t) v = {0};
    for (uint64_t i = 0; i < 1000; i++)
        *VEC_PUSH(&v) = i * i;
    assert_int_equal(v.n, 1000);
    for (uint64_t i = 0; i < 1000; i++)
        assert_int_equal(v.v[i], i * i);
    for (size_t i = v.n; i < v.cap; i++)
        assert_int_equal(v.v[i], 0);
    VEC_FREE(&v);
    assert_int_equal(v.cap, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aligned_and_apart), cmocka_unit_test(reset), cmocka_unit_test(texts),
        cmocka_unit_test(extend), cmocka_unit_test(str_grows), cmocka_unit_test(vec_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
