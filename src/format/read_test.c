/* read: fields in their forms, parts by path and by slices. */
#include "format/read.h"

#include "base/utf8.h"
#include "format/format_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct { const char *name; struct span value; enum read_form form; struct span want; } fields[] = {
    {"raw", SPAN(" a\r\n b "), READ_RAW, SPAN(" a\r\n b ")},
    {"text", SPAN(" =?utf-8?Q?=C3=A4?=\r\n b "), READ_TEXT, SPAN("\xC3\xA4 b")},
    {"text is NFC", SPAN(" a\xCC\x88"), READ_TEXT, SPAN("\xC3\xA4")},
    {"no text", SPAN("  "), READ_TEXT, SPAN("")},
    {"address", SPAN(" =?utf-8?Q?=C3=A4?= <a@b.test>"), READ_ADDRESSES,
     SPAN("\0\2\0\0\0\xC3\xA4\1\0\0\0" "a\6\0\0\0" "b.test")},
    {"group", SPAN("g: a@b;"), READ_ADDRESSES,
     SPAN("\1\1\0\0\0g\0\0\0\0\0\0\0\0" "\0\0\0\0\0\1\0\0\0" "a\1\0\0\0b" "\2\0\0\0\0\0\0\0\0\0\0\0\0")},
    {"ids", SPAN(" <a@b>\r\n <c d>"), READ_MESSAGE_IDS, SPAN("\3\0\0\0a@b\2\0\0\0cd")},
    {"date", SPAN(" Thu, 1 Jan 1970 00:00:10 +0000"), READ_DATE, SPAN("\12\0\0\0\0\0\0\0")},
    {"date with a zone", SPAN(" Thu, 1 Jan 1970 01:00:10 +0100"), READ_DATE, SPAN("\12\0\0\0\0\0\0\0")},
    {"no date", SPAN("yesterday"), READ_DATE, SPAN("")},
    {"urls", SPAN(" <mailto:a@b?subject=c\r\n d> (by <mail>), <http://x>"), READ_URLS,
     SPAN("\25\0\0\0mailto:a@b?subject=cd\x08\0\0\0http://x")},
    {"an open url", SPAN(" <http://x"), READ_URLS, SPAN("")},
};

static void values(void **state)
{
    struct arena mem;
    arena_init(&mem);
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        struct str out;
        str_init(&out, &mem);
        read_value(&out, fields[i].value, fields[i].form, 1000, &mem);
        if (!span_eq(str_span(&out), fields[i].want))
            fail_msg("%s: %zu bytes", fields[i].name, out.n);
        for (size_t most = 0; most < fields[i].want.n; most++) { /* never more, and only whole items */
            str_clear(&out);
            read_value(&out, fields[i].value, fields[i].form, most, &mem);
            assert_true(out.n <= most && span_starts(fields[i].want, str_span(&out)));
        }
        arena_reset(&mem);
    }
    arena_done(&mem);
}

#define MAIL                                                                                                           \
    "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\none\r\n--a\r\nContent-Type: multipart/mixed; "        \
    "boundary=b\r\n\r\n--b\r\n\r\ntwo.one\r\n--b--\r\n--a\r\nContent-Type: message/rfc822\r\n\r\n"                     \
    "Subject: x\r\n\r\nthree.one\r\n--a\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; "        \
    "boundary=c\r\n\r\n--c\r\n\r\nfour.one\r\n--c\r\n\r\nfour.two\r\n--c--\r\n--a--\r\n"

static void paths(void **state)
{
    static const struct { const char *message, *path, *want; } rows[] = {
        {MAIL, "1", "one"}, {MAIL, "2.1", "two.one"}, {MAIL, "3", "Subject: x\r\n\r\nthree.one"}, {MAIL, "3.1", "three.one"},
        {MAIL, "4.1", "four.one"}, {MAIL, "4.2", "four.two"}, {MAIL, "0", NULL}, {MAIL, "5", NULL}, {MAIL, "1.1", NULL},
        {MAIL, "2.2", NULL}, {MAIL, "3.2", NULL}, {MAIL, "3.1.1", NULL}, {MAIL, "2.1.1", NULL}, {MAIL, "4.3", NULL},
        {MAIL, "1.", NULL}, {MAIL, ".1", NULL}, {MAIL, "x", NULL}, {MAIL, "-1", NULL}, {MAIL, "99999999999", NULL},
        {"A: b\r\n\r\nplain", "1", "plain"}, {"A: b\r\n\r\nplain", "", "plain"}, {"A: b\r\n\r\nplain", "1.1", NULL},
        {"A: b\r\n\r\nplain", "2", NULL}, {"Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\nin", "1", "A: b\r\n\r\nin"},
        {"Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\nin", "1.1", "in"},
        {"Content-Type: multipart/mixed; boundary=a\r\n\r\nnone", "1", "none"},
        {"Content-Type: multipart/mixed; boundary=a\r\n\r\nnone", "1.1", NULL},
    };
    struct arena mem;
    arena_init(&mem);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct mime_tree tree;
        struct read_slice s = {.length = 1000};
        mime_walk(span_z(rows[i].message), &tree, NULL, NULL, &mem);
        int n = part_text_find(&tree, span_z(rows[i].path));
        if ((n < 0) != (rows[i].want == NULL))
            fail_msg("%s: part %d", rows[i].path, n);
        if (n < 0)
            continue;
        read_slice(span_z(rows[i].message), &tree.v[n], PART_DECODED, &s, &mem);
        if (!span_eq(s.data, span_z(rows[i].want)) || !s.end || s.size != s.data.n)
            fail_msg("%s: %.*s", rows[i].path, SPAN_ARGS(s.data));
    }
    arena_done(&mem);
}

/* A long part of each encoding comes out the same by slices of any length as at once, in every form. */
static void slices(void **state)
{
    static const char *const kinds[] = {
        "Content-Type: text/plain; charset=utf-8\r\n", "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n",
        "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n",
        "Content-Type: text/html; charset=utf-16le\r\n", "Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n",
        "Content-Type: text/plain; charset=iso-2022-jp\r\n",
    };
    struct arena mem;
    arena_init(&mem);
    charset_open_all();
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        struct str m;
        struct mime_tree tree;
        str_init(&m, &mem);
        str_addz(&m, kinds[k]);
        str_addz(&m, "\r\n");
        for (int i = 0; i < 9000; i++)
            str_addz(&m, k == 1 || k == 4 ? "w6TDtsO8w58gPEI+\r\n" : &"=41w6TD tsO8w58gPEI+=\r\n\xC3\xA4\r\n"[i % 3]);
        mime_walk(str_span(&m), &tree, NULL, NULL, &mem);
        for (enum part_form form = PART_RAW; form <= PART_FOLDED; form++) {
            struct read_slice all = {.length = 10000000};
            read_slice(str_span(&m), &tree.v[0], form, &all, &mem);
            assert_true(all.end && all.size == all.data.n);
            assert_true(form < PART_TEXT || utf8_valid(all.data));
            struct str joined;
            str_init(&joined, &mem);
            struct read_slice s = {.length = 40001};
            do {
                read_slice(str_span(&m), &tree.v[0], form, &s, &mem);
                str_add(&joined, s.data);
            } while (!s.end && joined.n <= all.data.n);
            if (!span_eq(str_span(&joined), all.data))
                fail_msg("kind %zu form %d: %zu of %zu bytes", k, form, joined.n, all.data.n);
            struct read_slice count = {.length = 0}, off = {.skip = all.data.n / 2, .length = 100};
            read_slice(str_span(&m), &tree.v[0], form, &count, &mem);
            assert_true(count.size == all.data.n && count.end && count.data.n == 0);
            read_slice(str_span(&m), &tree.v[0], form, &off, &mem);
            assert_true(span_eq(off.data, span_sub(all.data, all.data.n / 2, 100)));
        }
        arena_reset(&mem);
    }
    charset_close_all();
    arena_done(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(values), cmocka_unit_test(paths), cmocka_unit_test(slices)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
