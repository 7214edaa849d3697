/* heap: random use against sorting. */
#include "base/heap.h"
#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { MOST = 2000 };

static void in_order(void **state)
{
    static struct heap_node nodes[MOST];
    struct heap h;
    heap_init(&h);
    assert_null(heap_first(&h));
    for (int i = 0; i < MOST; i++)
        heap_add(&h, &nodes[i], (int64_t)rand_below(500) - 250);
    for (int i = 0; i < MOST; i += 3) /* up, down and where it was */
        heap_move(&h, &nodes[i], (int64_t)rand_below(500) - 250);
    size_t left = MOST;
    for (int i = 0; i < MOST; i += 7) {
        heap_remove(&h, &nodes[i]);
        assert_int_equal(nodes[i].at, 0);
        heap_remove(&h, &nodes[i]); /* a second time: nothing */
        left--;
    }
    for (int64_t last = INT64_MIN; h.n > 0; left--) {
        struct heap_node *first = heap_first(&h);
        assert_true(first->key >= last);
        last = first->key;
        heap_remove(&h, first);
    }
    assert_int_equal(left, 0);
    heap_done(&h);
}

/* After each of many random steps the first is the least of all nodes that are in. */
static void against_search(void **state)
{
    enum { FEW = 40 };
    static struct heap_node nodes[FEW];
    struct heap h;
    heap_init(&h);
    for (int step = 0; step < 50000; step++) {
        struct heap_node *node = &nodes[rand_below(FEW)];
        if (rand_below(3) == 0)
            heap_remove(&h, node);
        else
            heap_move(&h, node, (int64_t)rand_below(100)); /* adds what is not in */
        int64_t least = INT64_MAX;
        size_t in = 0;
        for (int i = 0; i < FEW; i++)
            if (nodes[i].at) {
                in++;
                least = MIN_OF(least, nodes[i].key);
            }
        assert_int_equal(in, h.n);
        assert_true(in == 0 ? heap_first(&h) == NULL : heap_first(&h)->key == least);
    }
    heap_done(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_order), cmocka_unit_test(against_search)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
