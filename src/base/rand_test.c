/* rand: even, never repeated by threads or children, operation ids in order of time. */
#include "base/clock.h"
#include "base/rand.h"
#include "base/span.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

static void below(void **state)
{
    int hits[6] = {0};
    for (int i = 0; i < 60000; i++)
        hits[rand_below(6)]++;
    for (int i = 0; i < 6; i++)
        assert_in_range(hits[i], 9500, 10500); /* five and a half standard deviations */
    assert_int_equal(rand_below(1), 0);
    int low = 0; /* a plain remainder would give the lowest third half of all draws */
    for (int i = 0; i < 3000; i++)
        low += rand_below(UINT64_C(3) << 62) < UINT64_C(1) << 62;
    assert_in_range(low, 850, 1150);
    for (int i = 0; i < 1000; i++)
        assert_true(rand_below((UINT64_C(1) << 63) + 1) <= UINT64_C(1) << 63);
}

static void lengths(void **state)
{
    for (size_t n = 0; n < 2000; n += 37) { /* small from the buffer, large from the kernel; nothing written beyond */
        unsigned char b[2001];
        memset(b, 0xaa, sizeof b);
        rand_bytes(b, n);
        for (size_t i = n; i < sizeof b; i++)
            assert_int_equal(b[i], 0xaa);
        size_t same = 0;
        for (size_t i = 0; i < n; i++)
            same += b[i] == 0xaa;
        assert_true(same <= 10 + n / 50);
    }
}

static void children_differ(void **state)
{
    int fd[2];
    uint64_t mine, theirs;
    rand_u64(); /* something is left in the buffer */
    assert_int_equal(pipe(fd), 0);
    pid_t pid = fork();
    if (pid == 0) {
        theirs = rand_u64();
        _exit(write(fd[1], &theirs, 8) == 8 ? 0 : 1);
    }
    mine = rand_u64();
    assert_int_equal(read(fd[0], &theirs, 8), 8);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(fd[0]);
    close(fd[1]);
    assert_true(mine != theirs);
}

static void *draw(void *arg)
{
    for (int i = 0; i < 1000; i++)
        ((uint64_t *)arg)[i] = rand_u64();
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void threads_differ(void **state)
{
    static uint64_t v[4000];
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, draw, v + i * 1000);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    qsort(v, COUNT_OF(v), sizeof v[0], by_value);
    for (size_t i = 1; i < COUNT_OF(v); i++)
        assert_true(v[i] != v[i - 1]);
}

static void op_ids(void **state)
{
    static struct clock_page page;
    clock_use_page(&page);
    struct op_id last = rand_op_id();
    for (int i = 0; i < 300; i++) {
        page.mono_offset_ms += i < 270 ? 1 + i : INT64_C(1) << 32; /* carries reach every byte */
        struct op_id op = rand_op_id();
        assert_true(memcmp(last.b, op.b, sizeof op.b) < 0);
        last = op;
    }
    clock_use_page(NULL);
}

static void trace_ids(void **state)
{
    static const struct {
        unsigned char from_6[10];
        const char *want;
    } rows[] = {
        {{0}, "aaaaaaaaaaaa"},
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "777777777777"},
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf0}, "777777777777"}, /* the 61st bit on has no part in it */
        {{0x00, 0x44, 0x32, 0x14, 0xc7, 0x42, 0x54, 0xb0}, "abcdefghijkl"}, /* RFC 4648 6, 5 bits each */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct op_id op = {.b = {1, 2, 3, 4, 5, 6}};
        char id[13];
        memcpy(op.b + 6, rows[i].from_6, 10);
        rand_trace_id(&op, id);
        assert_string_equal(id, rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(below),          cmocka_unit_test(lengths), cmocka_unit_test(children_differ),
        cmocka_unit_test(threads_differ), cmocka_unit_test(op_ids),  cmocka_unit_test(trace_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
