/* submit: who a message says it is from, and what is added and cut. */
#include "format/edit.h"
#include "format/submit.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
    const char *in, *out, *authors;
    uint32_t faults;
} rows[] = {
    {"From: a@x.test\r\nDate: d\r\nMessage-ID: <i>\r\n\r\nhi\r\n", NULL, "a@x.test\n", 0},
    {"from: A <a@x.test>\r\nSubject: s\r\n\r\nhi\r\n", "from: A <a@x.test>\r\nSubject: s\r\nDate: D\r\nMessage-ID: <M>\r\n\r\nhi\r\n",
     "a@x.test\n", 0},
    {"Bcc: b@y.test,\r\n c@y.test\r\nFrom: a@x.test\r\nBCC :d@y.test\r\nDate: d\r\nMessage-Id: <i>\r\nResent-Bcc: e@y.test\r\n\r\nhi\r\n",
     "From: a@x.test\r\nDate: d\r\nMessage-Id: <i>\r\n\r\nhi\r\n", "a@x.test\n", 0},
    {"Return-Path: <z@z.test>\r\nFrom: a@x.test\r\nDate: d\r\n\r\n", "From: a@x.test\r\nDate: d\r\nMessage-ID: <M>\r\n\r\n", "a@x.test\n", 0},
    {"Resent-From: r@x.test\r\nSender: s@x.test\r\nFrom: a@x.test, \"b, c\"@x.test\r\nDate: d\r\nMessage-ID: <i>\r\n\r\n", NULL,
     "a@x.test\nb, c@x.test\ns@x.test\nr@x.test\n", 0},
    {"From: team: a@x.test, b@x.test;\r\nDate: d\r\nMessage-ID: <i>\r\n\r\n", NULL, "a@x.test\nb@x.test\n", 0},
    {"From: a@x.test\r\nFrom: b@x.test\r\nDate: d\r\nMessage-ID: <i>\r\n\r\n", NULL, "a@x.test\nb@x.test\n", SUBMIT_MANY_FROM},
    {"Date: d\r\nMessage-ID: <i>\r\n\r\nFrom: a@x.test\r\n", NULL, "", SUBMIT_NO_FROM},
    {"From: nobody\r\nDate: d\r\nMessage-ID: <i>\r\n\r\n", NULL, "", SUBMIT_BAD_FROM},
    {"From: \r\nDate: d\r\nMessage-ID: <i>\r\n\r\n", NULL, "", SUBMIT_BAD_FROM},
    {"From: a@x.test, nobody\r\nDate: d\r\nMessage-ID: <i>\r\n\r\n", NULL, "a@x.test\n", SUBMIT_BAD_FROM},
    /* no empty line between header and body, or no body at all: what is added must not swallow it */
    {"From: a@x.test\r\nDate: d\r\nno field\r\n", "From: a@x.test\r\nDate: d\r\nMessage-ID: <M>\r\n\r\nno field\r\n", "a@x.test\n", 0},
    {"From: a@x.test\r\n", "From: a@x.test\r\nDate: D\r\nMessage-ID: <M>\r\n\r\n", "a@x.test\n", 0},
    {"From: a@x.test\r\nDate: d\r\nMessage-ID: <i>\r\n", NULL, "a@x.test\n", 0},
    {"", "Date: D\r\nMessage-ID: <M>\r\n\r\n", "", SUBMIT_NO_FROM},
    {"From: a@x.test\r\n\r\nBcc: in the body\r\n", "From: a@x.test\r\nDate: D\r\nMessage-ID: <M>\r\n\r\nBcc: in the body\r\n", "a@x.test\n", 0},
};

static void edits_and_authors(void **state)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena mem;
        struct submit s;
        arena_init(&mem);
        struct span in = span_z(rows[i].in), want = rows[i].out ? span_z(rows[i].out) : in;
        submit_read(in, SPAN("D"), SPAN("<M>"), &s, &mem);
        struct span out = edit_apply(in, s.edits, &mem);
        if (!span_eq(out, want))
            fail_msg("row %zu gives\n%.*s", i, SPAN_ARGS(out));
        if (!span_eq(s.authors, span_z(rows[i].authors)))
            fail_msg("row %zu is from\n%.*s", i, SPAN_ARGS(s.authors));
        assert_int_equal(s.faults, rows[i].faults);
        assert_true((s.edits.n == 0) == (rows[i].out == NULL));
        arena_done(&mem);
    }
}

static void a_header_that_is_too_long_to_be_read_whole_is_refused(void **state)
{
    struct arena mem;
    struct str in;
    struct submit s;
    arena_init(&mem);
    str_init(&in, &mem);
    str_addz(&in, "From: a@x.test\r\n");
    for (int i = 0; i < 1100; i++)
        str_addz(&in, "X-Filler: y\r\n");
    str_addz(&in, "From: b@x.test\r\n\r\n");
    submit_read(str_span(&in), SPAN("D"), SPAN("<M>"), &s, &mem);
    assert_true(s.faults & SUBMIT_FULL);
    assert_true(s.faults & SUBMIT_MANY_FROM); /* it is seen all the same */
    arena_done(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edits_and_authors),
        cmocka_unit_test(a_header_that_is_too_long_to_be_read_whole_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
