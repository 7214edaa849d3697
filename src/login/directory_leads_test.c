/* Which aliases lead into a domain, by whatever name. */
#include "login/directory_leads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/str.h"

static int by_address(const void *a, const void *b)
{
    return span_cmp(((const struct msg_alias_row *)a)->address, ((const struct msg_alias_row *)b)->address);
}

static void test_leads(void **state)
{
    static const struct { const char *address, *targets; } aliases[] = {
        {"a@demo.test", "bob@demo.test"},
        {"b@demo.test", "bob@other.test"},
        {"c@demo.test", "x@example.org bob@demo.test jon+list@other.test"},
        {"d@demo.test", "bob@nickname.test"},
        {"e@demo.test", "bob@not-other.test other.test@demo.test"},
        {"*@demo.test", "*@other.test"},
        {"f@other.test", "bob@other.test"},
        {"g@other.test", "bob@demo.test"},
        {"h@third.test", "\"a@b\"@other.test"},
    };
    static const struct { const char *name, *leads; } want[] = {
        {"other.test", "*@demo.test b@demo.test c@demo.test d@demo.test h@third.test"}, /* its own go with it */
        {"nickname.test", "d@demo.test"},
        {"demo.test", "g@other.test"},
        {"third.test", ""},
        {"example.org", "c@demo.test"}, /* is none of ours: nobody asks */
    };
    struct directory_cache cache;
    struct arena mem;
    arena_init(&mem);
    directory_cache_init(&cache);
    directory_cache_add_domain(&cache, SPAN("demo.test"), 1, 0);
    directory_cache_add_domain(&cache, SPAN("other.test"), 2, 0);
    directory_cache_add_domain(&cache, SPAN("third.test"), 3, 0);
    directory_cache_add_domain_alias(&cache, SPAN("nickname.test"), SPAN("other.test"));
    for (size_t i = 0; i < COUNT_OF(aliases); i++)
        directory_cache_add_alias(&cache, span_z(aliases[i].address), span_z(aliases[i].targets));
    for (size_t i = 0; i < COUNT_OF(want); i++) {
        struct directory_leads got;
        struct str out;
        str_init(&out, &mem);
        directory_leads_find(&cache, span_z(want[i].name), &mem, &got);
        qsort(got.v, got.n, sizeof *got.v, by_address);
        for (size_t j = 0; j < got.n; j++)
            str_addf(&out, j > 0 ? " %.*s" : "%.*s", SPAN_ARGS(got.v[j].address));
        assert_string_equal(arena_z(&mem, str_span(&out)), want[i].leads);
        assert_int_equal(got.n, got.all);
    }
    directory_cache_done(&cache);
    arena_done(&mem);
}

/* More than a reply holds are counted. */
static void test_many(void **state)
{
    struct directory_cache cache;
    struct directory_leads got;
    struct arena mem;
    arena_init(&mem);
    directory_cache_init(&cache);
    directory_cache_add_domain(&cache, SPAN("demo.test"), 1, 0);
    directory_cache_add_domain(&cache, SPAN("other.test"), 2, 0);
    for (unsigned i = 0; i < 1000; i++)
        directory_cache_add_alias(&cache, arena_printf(&mem, "a%u@demo.test", i), SPAN("bob@other.test"));
    directory_leads_find(&cache, SPAN("other.test"), &mem, &got);
    assert_int_equal(got.all, 1000);
    assert_int_equal(got.n, 200);
    directory_cache_done(&cache);
    arena_done(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_leads), cmocka_unit_test(test_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
