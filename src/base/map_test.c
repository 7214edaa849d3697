/* map: 10^5 random operations against a plain array, and removal while walking. */
#include "base/map.h"
#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { KEYS = 700 };

/* Key i; lengths 0 to 69, so that both inline and far keys occur, NUL bytes included. */
static struct span key_of(size_t i, char buf[80])
{
    memset(buf, (int)(i % 3), 80);
    int n = snprintf(buf, 16, "%zu", i / 70);
    buf[n] = (char)i;
    return span_of(buf, i % 70);
}

/* Two keys of the model may be the same bytes (short ones): the first index with these bytes stands for all. */
static size_t canon[KEYS];

static void find_canon(void)
{
    char a[80], b[80];
    for (size_t i = 0; i < KEYS; i++)
        for (canon[i] = 0; !span_eq(key_of(i, a), key_of(canon[i], b)); canon[i]++)
            ;
}

static void check_walk(const struct map *m, void *const model[KEYS])
{
    size_t at = 0, seen = 0;
    struct span k;
    void *v;
    char buf[80];
    while (map_next(m, &at, &k, &v)) {
        size_t i = (uintptr_t)v % KEYS;
        assert_ptr_equal(model[i], v);
        assert_true(span_eq(k, key_of(i, buf)));
        seen++;
    }
    assert_int_equal(seen, map_count(m));
}

static void against_model(void **state)
{
    void *model[KEYS] = {0};
    struct map m;
    map_init(&m);
    find_canon();
    size_t live = 0;
    for (uintptr_t step = 1; step <= 100000; step++) {
        char buf[80];
        size_t spread = step / 10000 % 2 ? KEYS : 30; /* full and nearly empty by turns */
        size_t i = canon[rand_below(spread)];
        struct span k = key_of(i, buf);
        void *value = (void *)(step * KEYS + i);
        switch (rand_below(step / 5000 % 2 ? 3 : 5)) {
        case 0:
            assert_ptr_equal(map_get(&m, k), model[i]);
            break;
        case 1:
        case 2:
            live -= model[i] != NULL;
            assert_ptr_equal(map_take(&m, k), model[i]);
            model[i] = NULL;
            break;
        default:
            live += model[i] == NULL;
            assert_ptr_equal(map_put(&m, k, value), model[i]);
            model[i] = value;
        }
        assert_int_equal(map_count(&m), live);
        if (step % 1000 == 0)
            check_walk(&m, model);
    }
    map_done(&m);
    assert_int_equal(map_count(&m), 0);
    assert_null(map_get(&m, SPAN("x")));
    map_done(&m);
}

static void remove_while_walking(void **state)
{
    enum { N = 5000 };
    struct map m;
    static bool met[N];
    map_init(&m);
    for (uintptr_t i = 0; i < N; i++)
        map_put_u64(&m, i, (void *)(i + 1));
    size_t at = 0, seen = 0;
    void *v;
    struct span k;
    while (map_next(&m, &at, &k, &v)) {
        uint64_t number = (uintptr_t)v - 1;
        assert_false(met[number]); /* each once */
        met[number] = true;
        seen++;
        if (number % 3)
            assert_ptr_equal(map_take_u64(&m, number), v);
    }
    assert_int_equal(seen, N);
    for (uint64_t i = 0; i < N; i++)
        assert_ptr_equal(map_get_u64(&m, i), i % 3 ? NULL : (void *)(uintptr_t)(i + 1));
    map_done(&m);
}

/* A map that only churns must not grow: sessions come and go for months. */
static void churn(void **state)
{
    struct map m;
    map_init(&m);
    map_put_u64(&m, 1, &m);
    map_take_u64(&m, 1);
    assert_int_equal(m.dead, 0); /* nothing behind it: its slot is free at once */
    for (uintptr_t i = 0; i < 200000; i++) {
        map_put_u64(&m, i, &m);
        if (i >= 100)
            assert_ptr_equal(map_take_u64(&m, i - 100), &m);
    }
    assert_int_equal(map_count(&m), 100);
    assert_true(m.cap <= 512);
    map_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_model), cmocka_unit_test(remove_while_walking), cmocka_unit_test(churn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
