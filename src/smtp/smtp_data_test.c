/* The end of data against a slow reference, over every mix of CR, LF, dot, NUL and text around an end (SEC-02). */
#include "smtp/smtp_data.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct verdict {
    char text[256];
    size_t n, used;
    enum smtp_data_state state; /* END, BAD, or LINE for "wants more" */
};

/* The rules of RFC 5321 4.1.1.4 and 4.5.2 in the slowest words: looks at the whole text anew for each byte. */
static void reference(struct span in, struct verdict *v)
{
    size_t line = 0; /* where the present line begins */
    *v = (struct verdict){.state = SMTP_DATA_LINE};
    for (size_t i = 0; i < in.n; i++) {
        bool after_cr = i > line && in.p[i - 1] == '\r';
        if (in.p[i] == 0 || (in.p[i] == '\n' && !after_cr) || (after_cr && in.p[i] != '\n')) {
            v->state = SMTP_DATA_BAD;
            v->used = i + 1;
            return;
        }
        if (in.p[i] != '\n')
            continue;
        struct span whole = span_sub(in, line, i + 1 - line);
        v->used = line = i + 1;
        if (span_eq(whole, SPAN(".\r\n"))) {
            v->state = SMTP_DATA_END;
            return;
        }
        if (whole.p[0] == '.')
            whole = span_from(whole, 1);
        memcpy(v->text + v->n, whole.p, whole.n);
        v->n += whole.n;
    }
    v->used = in.n;
}

static void feed(struct smtp_data *d, struct span in, struct verdict *v)
{
    while (in.n > 0 && d->state < SMTP_DATA_END) {
        struct span out;
        size_t n = smtp_data_take(d, in, &out);
        assert_true(n > 0 && n <= in.n);
        memcpy(v->text + v->n, out.p != NULL ? out.p : "", out.n);
        v->n += out.n;
        v->used += n;
        in = span_from(in, n);
    }
}

/* step 0: whole; else so many bytes at a time; cut: one more cut there. */
static void run(struct span in, size_t step, size_t cut, struct verdict *v)
{
    struct smtp_data d = {0};
    *v = (struct verdict){0};
    for (size_t at = 0; at < in.n;) {
        size_t n = step == 0 ? in.n - at : step;
        if (at < cut && at + n > cut)
            n = cut - at;
        feed(&d, span_sub(in, at, n), v);
        at += n;
    }
    v->state = d.state >= SMTP_DATA_END ? d.state : SMTP_DATA_LINE;
}

static void same(struct span in, size_t step, size_t cut)
{
    struct verdict want, got;
    reference(in, &want);
    run(in, step, cut, &got);
    char shown[600] = "";
    for (size_t i = 0; i < in.n && i < 100; i++)
        snprintf(shown + 5 * i, 6, "\\x%02x ", (unsigned char)in.p[i]);
    if (got.state != want.state || (want.state != SMTP_DATA_LINE && got.used != want.used))
        fail_msg("%s step %zu cut %zu: state %d used %zu, not %d %zu", shown, step, cut, got.state, got.used,
                 want.state, want.used);
    /* a message that ended is the same to its last byte; one that did not has at least its whole lines */
    if (want.state == SMTP_DATA_END && (got.n != want.n || memcmp(got.text, want.text, got.n) != 0))
        fail_msg("%s step %zu cut %zu: other text", shown, step, cut);
    if (want.state == SMTP_DATA_LINE && (got.n < want.n || memcmp(got.text, want.text, want.n) != 0))
        fail_msg("%s step %zu cut %zu: lost text", shown, step, cut);
}

static void every_way(struct span in)
{
    same(in, 0, 0);
    for (size_t step = 1; step <= 3; step++)
        same(in, step, 0);
    for (size_t cut = 1; cut < in.n; cut++)
        same(in, 0, cut);
}

/* All 5^n texts of these five bytes, n up to 6, alone and behind a line, in front of a command. */
static void test_all_mixes(void **state)
{
    static const char alphabet[5] = {'\r', '\n', '.', 0, 'x'};
    for (size_t n = 0, all = 1; n <= 6; n++, all *= 5)
        for (size_t k = 0; k < all; k++) {
            char text[64] = "line\r\n";
            size_t left = k;
            for (size_t i = 0; i < n; i++, left /= 5)
                text[6 + i] = alphabet[left % 5];
            memcpy(text + 6 + n, "\r\n.\r\nQUIT\r\n", 12);
            every_way(span_of(text + 6, n));
            every_way(span_of(text, 6 + n + 11));
        }
}

/* The ends that servers have disagreed about; only the first is one. */
static void test_endings(void **state)
{
    static const struct span ends[] = {
        SPAN("\r\n.\r\n"), SPAN("\n.\n"),     SPAN("\r.\r"),       SPAN("\n.\r\n"),     SPAN("\r.\r\n"),
        SPAN("\r\n.\n"),   SPAN("\r\n.\r"),   SPAN("\n\n.\r\n"),   SPAN("\r\r.\r\n"),   SPAN("\r\n.\r\r\n"),
        SPAN("\r\n\0.\r\n"), SPAN("\r\n.\0\r\n"), SPAN("\r\n..\r\n"), SPAN("\r\n. \r\n"), SPAN("\r\n.\r\n.\r\n"),
        SPAN("\r\r\n.\r\n"), SPAN("\r\n\r.\r\n"), SPAN("\r\n\n.\r\n"), SPAN("\n\r.\n\r"),  SPAN("\r\n.\n\r\n"),
    };
    for (size_t i = 0; i < COUNT_OF(ends); i++)
        for (int pipelined = 0; pipelined <= 1; pipelined++) {
            char text[128] = "Subject: x\r\n\r\ntext";
            size_t n = strlen(text);
            memcpy(text + n, ends[i].p, ends[i].n);
            n += ends[i].n;
            if (pipelined)
                memcpy(text + n, "MAIL FROM:<a@b>\r\n", 17);
            every_way(span_of(text, n + (pipelined ? 17 : 0)));
            struct verdict v;
            run(span_of(text, n), 0, 0, &v);
            assert_int_equal(v.state == SMTP_DATA_END, i == 0 || i == 14);
        }
}

static void test_stuffing(void **state)
{
    struct verdict v;
    run(SPAN("..a\r\n...\r\n.b\r\nc.\r\n.\r\n"), 0, 0, &v);
    assert_int_equal(v.state, SMTP_DATA_END);
    assert_true(span_eq(span_of(v.text, v.n), SPAN(".a\r\n..\r\nb\r\nc.\r\n")));
    run(SPAN(".\r\n"), 0, 0, &v);
    assert_true(v.state == SMTP_DATA_END && v.n == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_mixes),
        cmocka_unit_test(test_endings),
        cmocka_unit_test(test_stuffing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
