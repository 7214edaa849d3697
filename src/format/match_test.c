/* match: what is found where, however it was encoded. */
#include "format/fold.h"
#include "format/match_text.h"

#include "format/charset.h"
#include "format/format_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MULTI                                                                                                          \
    "From: =?iso-8859-1?Q?J=F6rg?= <joerg@a.test>\r\nSubject: Hello\r\n World\r\nX-Empty:\r\nMIME-Version: 1.0\r\n"    \
    "Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble unseen\r\n"                                             \
    "--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"       \
    "Gr=DC=DFe aus K=F6=\r\nln\r\n"                                                                                    \
    "--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"                       \
    "PHA+Vmk8Yj5zaTwvYj5ibGUgJmFtcDsgPHNwYW4gdGl0bGU9Imhp\r\nZGRlbiI+ZmluZTwvc3Bhbj48L3A+\r\n"                         \
    "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: =?utf-8?B?SW5uZXIgw4Q=?=\r\n\r\nwithin\r\n"                   \
    "--b\r\nContent-Type: application/pdf; name=\"bill.pdf\"\r\n\r\nopaque bytes\r\n"                                  \
    "--b\r\nContent-Type: message/delivery-status\r\n\r\nFinal-Recipient: rfc822;gone@x.test\r\n"                      \
    "--b--\r\nepilogue\r\n"

static const struct {
    const char *name, *message;
    enum match_where where;
    const char *field, *text;
    bool found;
} rows[] = {
    {"plain body", "A: b\r\n\r\nHello there\r\n", MATCH_BODY, "", "hello THERE", true},
    {"not in it", "A: b\r\n\r\nHello there\r\n", MATCH_BODY, "", "hello  there", false},
    {"body is no header", "A: needle\r\n\r\nx", MATCH_BODY, "", "needle", false},
    {"text is both", "A: needle\r\n\r\nx", MATCH_TEXT, "", "needle", true},
    {"text has names", "Alpha: b\r\n\r\nx", MATCH_TEXT, "", "alpha: B", true},
    {"a field", "A: b\r\nSubject: one\r\n\r\n", MATCH_HEADER, "SUBJECT", "oN", true},
    {"another field", "A: one\r\nSubject: b\r\n\r\n", MATCH_HEADER, "Subject", "one", false},
    {"the name is no value", "Subject: b\r\n\r\n", MATCH_HEADER, "Subject", "subject", false},
    {"the second of a name", "A: one\r\nA: two\r\n\r\n", MATCH_HEADER, "a", "two", true},
    {"there", "A: b\r\n\r\n", MATCH_HEADER, "A", "", true},
    {"there and empty", MULTI, MATCH_HEADER, "X-Empty", "", true},
    {"not there", "A: b\r\n\r\n", MATCH_HEADER, "B", "", false},
    {"nothing is everywhere", "", MATCH_BODY, "", "", true},
    {"nothing is in any text", "", MATCH_TEXT, "", "", true},
    {"folded field", MULTI, MATCH_HEADER, "Subject", "hello world", true},
    {"encoded word", MULTI, MATCH_HEADER, "From", "J\xC3\x96RG <joerg", true},
    {"as it was encoded", MULTI, MATCH_HEADER, "From", "iso-8859", false},
    {"quoted-printable, latin", MULTI, MATCH_BODY, "", "gr\xC3\xBC\xC3\x9F" "e AUS K\xC3\x96ln", true},
    {"accents stay", MULTI, MATCH_BODY, "", "koln", false},
    {"seen HTML", MULTI, MATCH_BODY, "", "visible & FINE", true},
    {"unseen HTML", MULTI, MATCH_BODY, "", "hidden", false},
    {"attached message, header", MULTI, MATCH_BODY, "", "inner \xC3\xA4", true},
    {"attached message is not the message", MULTI, MATCH_HEADER, "Subject", "inner", false},
    {"attached message, body", MULTI, MATCH_BODY, "", "within", true},
    {"what is no text", MULTI, MATCH_TEXT, "", "opaque", false},
    {"part's fields are text", MULTI, MATCH_TEXT, "", "BILL.pdf", true},
    {"part's fields are no body", MULTI, MATCH_BODY, "", "bill.pdf", false},
    {"a bounce", MULTI, MATCH_BODY, "", "GONE@x.test", true},
    {"around the parts", MULTI, MATCH_TEXT, "", "preamble unseen", false},
    {"across parts", MULTI, MATCH_BODY, "", "\xC3\xB6ln\r\nvis", false},
    {"sigma", "A: b\r\n\r\n\xCE\xA3\xCE\x9F\xCE\xA6\xCE\x9F\xCE\xA3", MATCH_BODY, "", "\xCF\x83\xCE\xBF\xCF\x86\xCE\xBF\xCF\x82", true},
    {"eszett is no ss", "A: b\r\n\r\n\xC3\x9F", MATCH_BODY, "", "ss", false},
    {"dotless i", "A: b\r\n\r\n\xC4\xB1", MATCH_BODY, "", "i", false},
    {"cyrillic", "Content-Type: text/plain; charset=koi8-r\r\n\r\n\xF0\xD2\xC9\xD7\xC5\xD4", MATCH_BODY, "",
     "\xD0\xBF\xD0\xA0\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82", true},
    {"bad bytes", "Content-Type: text/plain; charset=utf-8\r\n\r\na\xFF" "b", MATCH_BODY, "", "a\xEF\xBF\xBD" "b", true},
};

/* What the text that is kept of a message says, which is what the message says. */
static uint64_t by_text(struct span message, const struct match_needle *n, uint32_t count, struct arena *mem)
{
    struct match_text t;
    struct match_needle folded[MATCH_NEEDLES];
    assert_true(match_text_make(message, 1 << 20, &t, mem));
    assert_true(t.parts_at <= t.body_at && t.body_at <= t.bytes.n);
    for (uint32_t i = 0; i < count; i++) {
        struct str name, text;
        str_init(&name, mem);
        str_init(&text, mem);
        fold_text(&name, n[i].name);
        fold_text(&text, n[i].text);
        folded[i] = (struct match_needle){n[i].where, str_span(&name), str_span(&text)};
        assert_true(match_text_able(&folded[i]));
    }
    return match_text_find(&t, folded, count);
}

static void table(void **state)
{
    struct arena mem;
    arena_init(&mem);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct match_needle n = {rows[i].where, span_z(rows[i].field), span_z(rows[i].text)};
        if (match_message(span_z(rows[i].message), &n, 1, &mem) != rows[i].found)
            fail_msg("%s: found should be %d", rows[i].name, rows[i].found);
        if (n.where != MATCH_HEADER || n.name.n > 0)
            assert_int_equal(by_text(span_z(rows[i].message), &n, 1, &mem), rows[i].found);
        arena_reset(&mem);
    }
    arena_done(&mem);
}

/* All rows about MULTI at once give the same bits. */
static void together(void **state)
{
    struct arena mem;
    struct match_needle n[MATCH_NEEDLES];
    uint32_t count = 0;
    uint64_t want = 0;
    arena_init(&mem);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (strcmp(rows[i].message, MULTI) != 0)
            continue;
        want |= (uint64_t)rows[i].found << count;
        n[count++] = (struct match_needle){rows[i].where, span_z(rows[i].field), span_z(rows[i].text)};
    }
    assert_true(count > 10);
    assert_int_equal(match_message(SPAN(MULTI), n, count, &mem), want);
    assert_int_equal(by_text(SPAN(MULTI), n, count, &mem), want);
    for (; count < MATCH_NEEDLES; count++)
        n[count] = (struct match_needle){MATCH_TEXT, SPAN(""), SPAN("not there at all")};
    assert_int_equal(match_message(SPAN(MULTI), n, count, &mem), want);
    arena_done(&mem);
}

static void repeat(struct str *out, const char *z, size_t n)
{
    for (size_t i = 0; i < n; i++)
        str_addz(out, z);
}

/* A needle at every place around the end of a piece, in each encoding. */
static void borders(void **state)
{
    static const struct { const char *header, *filler, *needle, *end; } kinds[] = {
        {"Content-Type: text/plain; charset=utf-8", "x", "N\xC3\x84" "DEL", ""},
        {"Content-Type: text/plain; charset=utf-8", "12345678 0123\r\n", "N\xC3\x84" "DEL", ""},
        {"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable", "x", "N=C3=84DEL", "="},
        {"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64", "eHh4\r\n", "TsOEREVM", ""},
        {"Content-Type: text/plain; charset=shift_jis", "\x82\xA0", "n\x83\xA0" "del", ""},
    };
    struct arena mem;
    arena_init(&mem);
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        struct match_needle n = {MATCH_BODY, SPAN(""), k == 4 ? SPAN("n\xCE\xB2" "del") : SPAN("n\xC3\xA4" "del")};
        charset_open_all();
        size_t unit = strlen(kinds[k].filler);
        for (size_t bytes = 65536 - 24; bytes <= 65536 + 8; bytes++) {
            struct str s;
            str_init(&s, &mem);
            str_addz(&s, kinds[k].header);
            str_addz(&s, "\r\n\r\n");
            repeat(&s, k == 3 ? "" : "y", bytes % unit);
            repeat(&s, kinds[k].filler, bytes / unit);
            str_addz(&s, kinds[k].needle);
            repeat(&s, kinds[k].filler, 100);
            if (match_message(str_span(&s), &n, 1, &mem) != 1)
                fail_msg("kind %zu, behind %zu bytes", k, bytes);
            arena_reset(&mem);
        }
    }
    arena_done(&mem);
}

static void try_prefix(struct span prefix, struct arena *mem)
{
    const struct match_needle n[] = {{MATCH_TEXT, SPAN(""), SPAN("zzz")}, {MATCH_HEADER, SPAN("from"), SPAN("zzz")}};
    assert_int_equal(match_message(prefix, n, 2, mem), 0);
}

static void prefixes(void **state) { format_testing_prefixes(SPAN(MULTI), try_prefix); }

/* NULs, which part texts from each other, in the texts themselves; a field that pretends to be two. */
static void marks(void **state)
{
    static const struct match_needle odd[] = {
        {MATCH_HEADER, SPAN("a"), SPAN("one")}, {MATCH_HEADER, SPAN("a"), SPAN("two")}, {MATCH_HEADER, SPAN("c"), SPAN("three")},
        {MATCH_BODY, SPAN(""), SPAN("fo")},     {MATCH_TEXT, SPAN(""), SPAN("b: two")}, {MATCH_TEXT, SPAN(""), SPAN("oneb")},
        {MATCH_BODY, SPAN(""), SPAN("four")},   {MATCH_HEADER, SPAN("b"), SPAN("two")}, {MATCH_HEADER, SPAN("b"), SPAN("")},
    };
    enum { THERE = 5, NOT_THERE = 7 }; /* in between: as match_message has it */
    struct span message = SPAN("A: one\0B: two\r\nC: \0three\r\n\r\nfo\0ur");
    struct match_text t;
    struct arena mem;
    arena_init(&mem);
    for (size_t i = 0; i < COUNT_OF(odd); i++) {
        uint64_t found = match_message(message, &odd[i], 1, &mem);
        assert_true(found == 1 || i >= THERE);
        assert_true(found == 0 || i < NOT_THERE);
        assert_int_equal(by_text(message, &odd[i], 1, &mem), found);
    }
    assert_false(match_text_able(&(struct match_needle){MATCH_TEXT, SPAN(""), SPAN("a\0b")}));
    assert_false(match_text_able(&(struct match_needle){MATCH_TEXT, SPAN(""), SPAN("\1")}));
    assert_false(match_text_able(&(struct match_needle){MATCH_HEADER, SPAN("a:"), SPAN("b")}));
    assert_false(match_text_able(&(struct match_needle){MATCH_HEADER, SPAN(""), SPAN("b")}));
    assert_true(match_text_make(message, 100, &t, &mem));
    assert_false(match_text_make(message, t.bytes.n - 1, &t, &mem));
    arena_done(&mem);
}

/* Each needle of each length at each place of a text that is longer than what is looked at at once. */
static void places(void **state)
{
    char text[100];
    struct arena mem;
    arena_init(&mem);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 23 + (i % 7 == 0));
    for (size_t at = 0; at < sizeof text; at++)
        for (size_t n = 1; at + n <= sizeof text; n++) {
            struct match_text t = {span_of(text, sizeof text), 0, 0};
            struct match_needle x = {MATCH_BODY, SPAN(""), span_of(text + at, n)};
            assert_int_equal(match_text_find(&t, &x, 1), 1);
            t.bytes = span_of(text, at + n - 1);
            assert_int_equal(match_text_find(&t, &x, 1), memmem(text, at + n - 1, text + at, n) != NULL);
        }
    arena_done(&mem);
}

static int setup(void **state)
{
    charset_open_all();
    return 0;
}

static int teardown(void **state)
{
    charset_close_all();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(table), cmocka_unit_test(together), cmocka_unit_test(borders),
                                       cmocka_unit_test(prefixes), cmocka_unit_test(marks), cmocka_unit_test(places)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
