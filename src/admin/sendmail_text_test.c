/* What sendmail makes of a text. */
#include "admin/sendmail_text.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ADDED "From: \"Jon \\\"P\\\" P\" <jon@example.org>\r\nDate: Tue, 24 Nov 2026 20:17:00 +0000\r\nMessage-ID: <*>\r\n"
#define GIVEN "From: a@example.org\r\nDate: x\r\nMessage-ID: <1@example.org>\r\n"

static const struct row { const char *raw, *out, *to; } rows[] = {
    {"To: b@example.org\nSubject: x\n\ntext\n.\n", "To: b@example.org\r\nSubject: x\r\n" ADDED "\r\ntext\r\n.\r\n", "b@example.org"},
    {"just text\n", ADDED "\r\njust text\r\n", ""},
    {"", ADDED "\r\n", ""},
    {GIVEN "\r\ntext", GIVEN "\r\ntext\r\n", ""},
    {GIVEN "Bcc: s@example.org,\n t\nCc: G: u@example.org, v;\n\nx\n", GIVEN "Cc: G: u@example.org, v;\r\n\r\nx\r\n",
     "s@example.org t@here.example u@example.org v@here.example"},
    {GIVEN "To: \"Quo,ted\" <q@example.org>, (comment) r@example.org\n\n",
     GIVEN "To: \"Quo,ted\" <q@example.org>, (comment) r@example.org\r\n\r\n", "q@example.org r@example.org"},
    /* the user alone, as cron writes him, is the sender; whoever else is named stays as he is */
    {"From: jon (Cron Daemon)\nDate: x\nMessage-ID: <1@x>\nTo: jon\n\n",
     "From: \"Jon \\\"P\\\" P\" <jon@example.org>\r\nDate: x\r\nMessage-ID: <1@x>\r\nTo: jon\r\n\r\n", "jon@here.example"},
    {"Date: x\nFrom: <jon>\nMessage-ID: <1@x>\n\n",
     "Date: x\r\nFrom: \"Jon \\\"P\\\" P\" <jon@example.org>\r\nMessage-ID: <1@x>\r\n\r\n", ""},
    {"From: jon, eve\nDate: x\nMessage-ID: <1@x>\n\n", "From: jon, eve\r\nDate: x\r\nMessage-ID: <1@x>\r\n\r\n", ""},
    {"From: jon@example.net\nDate: x\nMessage-ID: <1@x>\n\n", "From: jon@example.net\r\nDate: x\r\nMessage-ID: <1@x>\r\n\r\n", ""},
    {"From: jonny\nDate: x\nMessage-ID: <1@x>\n\n", "From: jonny\r\nDate: x\r\nMessage-ID: <1@x>\r\n\r\n", ""},
};

/* `*` in want stands for what is made at random. */
static bool like(struct span got, struct span want)
{
    ptrdiff_t star = span_find_char(want, '*');
    if (star < 0)
        return span_eq(got, want);
    struct span before = span_sub(want, 0, (size_t)star), behind = span_from(want, (size_t)star + 1);
    return span_starts(got, before) && got.n > want.n && span_eq(span_from(got, got.n - behind.n), behind);
}

static int make(struct sendmail_text *t, struct arena *mem, struct span raw, struct fail *f)
{
    *t = (struct sendmail_text){.raw = raw, .sender = SPAN("jon@example.org"), .name = SPAN("Jon \"P\" P"), .user = SPAN("jon"),
                                .host = SPAN("mx.example.org"), .domain = SPAN("here.example"), .now_s = 1795551420,
                                .recipients = true, .mem = mem};
    return sendmail_text_make(t, f);
}

static void test_rows(void **state)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena mem;
        struct sendmail_text t;
        struct str to;
        struct fail f;
        arena_init(&mem);
        str_init(&to, &mem);
        assert_int_equal(make(&t, &mem, span_z(rows[i].raw), &f), 0);
        for (size_t k = 0; k < t.to.n; k++)
            str_addf(&to, "%s%.*s", k > 0 ? " " : "", SPAN_ARGS(t.to.v[k]));
        if (!like(str_span(&t.out), span_z(rows[i].out)) || !span_eq(str_span(&to), span_z(rows[i].to)))
            fail_msg("row %zu: %s\nto %s", i, str_z(&t.out), str_z(&to));
        assert_false(t.eight_bit);
        VEC_FREE(&t.to);
        arena_done(&mem);
    }
}

static void test_bad(void **state)
{
    static const struct span bad[] = {SPAN("a\rb\n"), SPAN("a: b\n\nx\0y\n"), SPAN("\r\r\n")};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct arena mem;
        struct sendmail_text t;
        struct fail f;
        arena_init(&mem);
        assert_int_equal(make(&t, &mem, bad[i], &f), -1);
        assert_int_equal(f.kind, FAIL_PERM);
        VEC_FREE(&t.to);
        arena_done(&mem);
    }
}

static void test_eight_bit(void **state)
{
    struct arena mem;
    struct sendmail_text t;
    struct fail f;
    arena_init(&mem);
    assert_int_equal(make(&t, &mem, SPAN("a: b\n\n\xc3\xa9\n"), &f), 0);
    assert_true(t.eight_bit);
    VEC_FREE(&t.to);
    arena_done(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_bad), cmocka_unit_test(test_eight_bit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
