/* Pages of shared memory: who may write, who may read, and what survives a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "run/shared.h"

static void test_counters(void **state)
{
    int rw, ro;
    counter_add(COUNTER_ACCEPTED, 1); /* before any page: kept apart */
    assert_int_equal(shared_make(sizeof(struct shared_page), &rw, &ro), 0);
    assert_int_equal(counter_of(ROLE_FRONT_MX, COUNTER_ACCEPTED), 0);
    assert_int_equal(shared_map_own(rw), 0);
    assert_int_equal(shared_map_peer(ROLE_FRONT_MX, ro), 0);
    counter_add(COUNTER_ACCEPTED, 5);
    counter_add(COUNTER_SESSIONS, 3);
    counter_add(COUNTER_SESSIONS, -1);
    assert_int_equal(counter_of(ROLE_FRONT_MX, COUNTER_ACCEPTED), 5);
    assert_int_equal(counter_of(ROLE_FRONT_MX, COUNTER_SESSIONS), 2);
    assert_int_equal(counter_of(ROLE_AUTH, COUNTER_SESSIONS), 0);
    assert_int_equal(shared_map_own(rw), 0); /* the role starts again */
    assert_int_equal(counter_of(ROLE_FRONT_MX, COUNTER_ACCEPTED), 5);
    assert_int_equal(counter_of(ROLE_FRONT_MX, COUNTER_SESSIONS), 0);
    close(rw);
    close(ro);
}

static void test_read_only(void **state)
{
    int rw, ro;
    size_t size = sizeof(struct shared_page);
    assert_int_equal(shared_make(size, &rw, &ro), 0);
    assert_ptr_equal(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0), MAP_FAILED);
    void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, ro, 0);
    assert_ptr_not_equal(p, MAP_FAILED);
    assert_int_equal(mprotect(p, size, PROT_READ | PROT_WRITE), -1);
    assert_int_equal(write(ro, "x", 1), -1);
    assert_int_equal(ftruncate(rw, 0), -1); /* sealed: nobody's mapping breaks */
    munmap(p, size);
    close(rw);
    close(ro);
}

static void test_clock(void **state)
{
    int rw, ro;
    assert_int_equal(shared_make(sizeof(struct clock_page), &rw, &ro), 0);
    struct clock_page *page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, rw, 0);
    assert_int_equal(shared_map_clock(ro), 0);
    int64_t wall = clock_now_ms(), mono = clock_mono_ms();
    atomic_store(&page->mono_offset_ms, 3600000);
    atomic_store(&page->wall_offset_ms, 1000);
    assert_in_range(clock_now_ms() - wall, 3601000, 3611000);
    assert_in_range(clock_mono_ms() - mono, 3600000, 3610000);
    clock_use_page(NULL);
    munmap(page, sizeof *page);
    close(rw);
    close(ro);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
