/* header: fields, folding, the end of a header, limits; and the writer. */
#include "format/header.h"

#include "base/limits.h"
#include "format/format_testing.h"
#include "format/header_name.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define IN(lit) {"" lit, sizeof(lit) - 1}


/* "name=value|name=value|#body" with the value unfolded. */
static struct span show(struct span text, struct arena *mem)
{
    struct header_reader r;
    struct header_field f;
    struct str out;
    str_init(&out, mem);
    header_begin(&r, text);
    while (header_next(&r, &f)) {
        assert_true(f.at + f.length <= text.n);
        assert_ptr_equal(f.name.p, text.p + f.at);
        str_add(&out, f.name);
        str_addc(&out, '=');
        str_add(&out, header_unfold(f.value, mem));
        str_addc(&out, '|');
    }
    str_addc(&out, '#');
    str_add(&out, span_from(text, r.at));
    return str_span(&out);
}

static void fields(void **state)
{
    static const struct {
        struct span in, want;
    } rows[] = {
        {IN(""), IN("#")},
        {IN("\r\n"), IN("#")},
        {IN("A: b\r\n\r\nbody"), IN("A=b|#body")},
        {IN("A: b\n\nbody"), IN("A=b|#body")},
        {IN("A: b\r\n"), IN("A=b|#")},
        {IN("A: b"), IN("A=b|#")},
        {IN("A:\r\n b\r\n\tc\r\nD:e\r\n\r\n"), IN("A=b\tc|D=e|#")},
        {IN("A: b\r\n  \r\n\r\nx"), IN("A=b|#x")},             /* obs-FWS: a blank line inside a field */
        {IN("A \t: b\r\n\r\n"), IN("A=b|#")},                   /* RFC 5322 4.5 */
        {IN("A: b: c\r\n\r\n"), IN("A=b: c|#")},
        {IN(" lost\r\nA: b\r\n\r\n"), IN("A=b|#")},
        {IN("From a@b Mon\r\nA: b\r\n\r\n"), IN("A=b|#")},
        {IN("A: b\r\nno field\r\nC: d\r\n\r\n"), IN("A=b|#no field\r\nC: d\r\n\r\n")},
        {IN("A: b\r\nB c: d\r\n\r\n"), IN("A=b|#B c: d\r\n\r\n")},
        {IN("A: b\r\n\xc3\xa4: d\r\n\r\n"), IN("A=b|#\xc3\xa4: d\r\n\r\n")},
        {IN(": b\r\nA: c\r\n\r\n"), IN("=b|A=c|#")},
        {IN("A: b\0c\r\n\r\n"), IN("A=bc|#")},
        {IN("A: b\rc\r\n\r\n"), IN("A=bc|#")},
        {IN("A:b\r\n\n\r\n"), IN("A=b|#\r\n")},
    };
    struct arena mem;
    arena_init(&mem);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct span got = show(rows[i].in, &mem);
        if (!span_eq(got, rows[i].want))
            fail_msg("row %zu: %.*s", i, SPAN_ARGS(got));
    }
    arena_done(&mem);
}

static void prefix(struct span in, struct arena *mem) { show(in, mem); }

static void truncated(void **state)
{
    format_testing_prefixes(SPAN("From a\r\n X\r\nA \t: b\r\n c\r\n\td\nB:\r\n\r\nbody: x\r\n"), prefix);
}

static void limits(void **state)
{
    struct header_reader r;
    struct header_field f;
    size_t n = (size_t)LIMIT(HEADER_BYTES) + 1000, count = 0;
    char *big = malloc(n);
    memset(big, 'x', n);
    memcpy(big, "A: ", 3);
    header_begin(&r, span_of(big, n));
    assert_true(header_next(&r, &f));
    assert_int_equal(f.value.n, LIMIT(HEADER_FIELD_BYTES));
    assert_false(header_next(&r, &f));
    assert_true(r.truncated);
    assert_int_equal(r.at, LIMIT(HEADER_BYTES)); /* a header that never ends: the rest is body */
    for (size_t i = 0; i + 4 <= n; i += 4)
        memcpy(big + i, "A:b\n", 4);
    header_begin(&r, span_of(big, n));
    while (header_next(&r, &f))
        count++;
    assert_int_equal(count, LIMIT(HEADER_BYTES) / 4);
    assert_true(r.truncated && r.at == (size_t)LIMIT(HEADER_BYTES));
    free(big);
}

static void write_fields(void **state)
{
    static const struct {
        struct span name, value, want; /* want.p NULL: refused */
    } rows[] = {
        {IN("A"), IN("b"), IN("A: b\r\n")},
        {IN("A"), IN(""), IN("A: \r\n")},
        {IN("A"), IN("b\r\nBcc: c"), {NULL, 0}},
        {IN("A"), IN("b\nc"), {NULL, 0}},
        {IN("A"), IN("b\rc"), {NULL, 0}},
        {IN("A"), IN("b\0c"), {NULL, 0}},
        {IN("A:"), IN("b"), {NULL, 0}},
        {IN("A b"), IN("b"), {NULL, 0}},
        {IN("A\r\nB"), IN("b"), {NULL, 0}},
        {IN(""), IN("b"), {NULL, 0}},
        {IN("Subject"), IN("aaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbb cccccccccccccccccccc dddddddddddddddddddd"),
         IN("Subject: aaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbb cccccccccccccccccccc\r\n dddddddddddddddddddd\r\n")},
    };
    struct arena mem;
    struct str out;
    char run[2000];
    arena_init(&mem);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        str_init(&out, &mem);
        int r = header_write(&out, rows[i].name, rows[i].value);
        if ((r == 0) != (rows[i].want.p != NULL) || !span_eq(str_span(&out), rows[i].want))
            fail_msg("row %zu: %.*s", i, SPAN_ARGS(str_span(&out)));
    }
    memset(run, 'x', sizeof run);
    assert_int_equal(header_write(&out, SPAN("A"), span_of(run, 996)), -1);
    assert_int_equal(header_write(&out, SPAN("A"), span_of(run, 995)), 0);
    arena_done(&mem);
}

static void names(void **state)
{
    assert_int_equal(header_name_find(SPAN("from")), HEADER_FROM);
    assert_int_equal(header_name_find(SPAN("CONTENT-TRANSFER-ENCODING")), HEADER_CONTENT_ENCODING);
    assert_int_equal(header_name_find(SPAN("Fron")), HEADER_OTHER);
    assert_int_equal(header_name_find(SPAN("")), HEADER_OTHER);
    for (unsigned i = 1; i < HEADER_NAME_COUNT; i++)
        assert_int_equal(header_name_find(header_name_text((enum summary_header)i)), i);
    /* stored numbers: they must never move */
    assert_int_equal(HEADER_FROM, 1);
    assert_int_equal(HEADER_CONTENT_TYPE, 16);
    assert_int_equal(HEADER_USER_AGENT, 45);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(fields), cmocka_unit_test(truncated), cmocka_unit_test(limits),
                                       cmocka_unit_test(write_fields), cmocka_unit_test(names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
