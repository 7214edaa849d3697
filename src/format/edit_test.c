/* Tests of edit: composing, sizes, and walking lists that insert and cut anywhere. */
#include "format/edit.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct span apply(struct span edits, struct span stored, struct arena *mem)
{
    struct edit_walk w;
    struct edit_piece p;
    struct str out;
    str_init(&out, mem);
    str_reserve(&out, 1);
    edit_begin(&w, edits, stored.n);
    while (edit_next(&w, &p))
        str_add(&out, p.literal.p != NULL ? p.literal : span_sub(stored, p.at, p.n));
    return str_span(&out);
}

static void delivery(void **state)
{
    struct arena mem;
    struct str e;
    struct fail f = {0};
    arena_init(&mem);
    str_init(&e, &mem);
    assert_int_equal(edit_delivery(&e, SPAN(""), SPAN("b@example.test"), &f), 0);
    struct span got = apply(str_span(&e), SPAN("Subject: x\r\n\r\ny\r\n"), &mem);
    struct span want = SPAN("Return-Path: <>\r\nDelivered-To: b@example.test\r\nSubject: x\r\n\r\ny\r\n");
    assert_true(span_eq(got, want));
    assert_int_equal(edit_size(str_span(&e), 17), want.n);
    arena_done(&mem);
}

static void refuses_line_ends(void **state)
{
    const struct span bad[] = {SPAN("a\r\nX: y"), SPAN("a\nb"), SPAN("a\rb"), SPAN("a\0b")};
    struct arena mem;
    arena_init(&mem);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct str e;
        struct fail f = {0};
        str_init(&e, &mem);
        assert_int_equal(edit_delivery(&e, bad[i], SPAN("b@example.test"), &f), -1);
        assert_int_equal(f.kind, FAIL_PERM);
        assert_int_equal(edit_delivery(&e, SPAN("a@example.org"), bad[i], &f), -1);
        assert_int_equal(e.n, 0);
    }
    arena_done(&mem);
}

static void lists(void **state)
{
    const struct {
        const char *name;
        struct span edits;
        const char *want;
    } rows[] = {
        {"none", SPAN(""), "0123456789"},
        {"insert at the end", SPAN("\1\12\0\0\0\0\0\0\0\2\0\0\0ab"), "0123456789ab"},
        {"cut two", SPAN("\1\3\0\0\0\2\0\0\0\0\0\0\0"), "01256789"},
        {"replace first and last", SPAN("\1\0\0\0\0\1\0\0\0\1\0\0\0A\11\0\0\0\1\0\0\0\1\0\0\0Z"), "A12345678Z"},
        {"cut all", SPAN("\1\0\0\0\0\12\0\0\0\0\0\0\0"), ""},
    };
    const struct span damaged[] = {SPAN("\2"), SPAN("\1\0\0\0\0\1"), SPAN("\1\0\0\0\0\0\0\0\0\5\0\0\0ab"),
                                   SPAN("\1\12\0\0\0\1\0\0\0\0\0\0\0"),
                                   SPAN("\1\5\0\0\0\1\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0\0\0\0\0")};
    struct arena mem;
    arena_init(&mem);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct span got = apply(rows[i].edits, SPAN("0123456789"), &mem);
        assert_int_equal(edit_size(rows[i].edits, 10), strlen(rows[i].want));
        if (!span_eq(got, span_z(rows[i].want)))
            fail_msg("%s: got %.*s", rows[i].name, SPAN_ARGS(got));
    }
    for (size_t i = 0; i < COUNT_OF(damaged); i++)
        assert_true(edit_size(damaged[i], 10) == UINT64_MAX);
    arena_done(&mem);
}

/* A list that is written edit by edit is read so again. */
static void written(void **state)
{
    struct arena mem;
    struct str e;
    struct fail f;
    arena_init(&mem);
    str_init(&e, &mem);
    assert_int_equal(edit_delivery(&e, SPAN("a@example.org"), SPAN("b@example.test"), &f), 0);
    edit_insert(&e, 0, SPAN("X: y\r\n"));
    edit_cut(&e, 0, 2);
    edit_insert(&e, 4, SPAN("-"));
    edit_cut(&e, 4, 1);
    edit_replace(&e, 8, 2, SPAN("89"));
    edit_insert(&e, 10, SPAN("."));
    struct span got = apply(str_span(&e), SPAN("0123456789"), &mem);
    struct span want = SPAN("Return-Path: <a@example.org>\r\nDelivered-To: b@example.test\r\nX: y\r\n23-56789.");
    assert_true(span_eq(got, want));
    assert_true(span_eq(edit_apply(SPAN("0123456789"), str_span(&e), &mem), want));
    assert_true(span_eq(edit_apply(SPAN("01"), SPAN(""), &mem), SPAN("01")));
    assert_int_equal(edit_size(str_span(&e), 10), want.n);
    edit_cut(&e, 9, 1); /* before the last one */
    assert_true(edit_size(str_span(&e), 10) == UINT64_MAX);
    arena_done(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(delivery), cmocka_unit_test(refuses_line_ends),
                                       cmocka_unit_test(lists), cmocka_unit_test(written)};
    return cmocka_run_group_tests_name("edit", tests, NULL, NULL);
}
