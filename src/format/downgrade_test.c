/* downgrade: field by field, and whole messages with their parts. */
#include "format/downgrade.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "format/edit.h"
#include "format/encword.h"
#include "format/format_testing.h"

#define UE "\xc3\xbc"                                   /* u with two dots */
#define Q(text) "=?UTF-8?Q?" text "?="
#define W "=?UTF-8?B?w7w=?="
#define JP "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"       /* three characters that are shorter in B */
#define JP_B "=?UTF-8?B?5pel5pys6Kqe?="

/* out NULL: the field stays. */
static const struct { const char *in, *out; } rows[] = {
    {"Subject: plain", NULL},
    {"Subject: Gr" UE "n", "Subject: " Q("Gr=C3=BCn")},
    {"Subject: Latin \xfc", NULL},
    {"Subject: " JP, "Subject: " JP_B},
    {"Subject:  a " UE " b  " UE " " UE " c", "Subject: a " W " b  " "=?UTF-8?B?w7wgw7w=?=" " c"},
    {"Subject: =?utf-8?q?a?= " UE " =?utf-8?q?b?= c", "Subject: =?utf-8?q?a?= " Q("_=C3=BC_") " =?utf-8?q?b?= c"},
    {"subject: a\r\n " UE "\r\n\tb", "subject: a " W "\tb"},
    {"X-Any: (" UE ")", "X-Any: " "=?UTF-8?B?KMO8KQ==?="},
    {"List-Id: <" UE ".example>", "List-Id: " Q("=3C=C3=BC=2Eexample=3E")},
    /* addresses */
    {"From: J" UE "rg <joerg@a.example>", "From: " Q("J=C3=BCrg") " <joerg@a.example>"},
    {"From: \"Meyer, J" UE "rg\" <joerg@a.example>", "From: " Q("Meyer=2C_J=C3=BCrg") " <joerg@a.example>"},
    {"From: J" UE "rg =?iso-8859-1?q?M=FCller?= <j@a.example>", "From: " Q("J=C3=BCrg_M=C3=BCller") " <j@a.example>"},
    {"To: \"A, B\" <a@b.example> (c), J" UE " <j@a.example>", "To: \"A, B\" <a@b.example> (c), " "=?UTF-8?B?SsO8?=" " <j@a.example>"},
    {"To: j@b" UE "cher.example, k@x.example", "To: j@xn--bcher-kva.example, k@x.example"},
    {"To: \"j o\"@b" UE "cher.example", "To: \"j o\"@xn--bcher-kva.example"},
    {"To: K <j@B" UE "CHER.example>", "To: K <j@xn--bcher-kva.example>"},
    {"To: j" UE "@a.example", "To: " Q("j=C3=BC=40a=2Eexample") " :;"},
    {"To: J <j" UE "@a.example>, k@x.example", "To: J " Q("j=C3=BC=40a=2Eexample") " :;, k@x.example"},
    {"To: J" UE " <j" UE "@a.example> (x)", "To: " Q("J=C3=BC_") " " Q("j=C3=BC=40a=2Eexample") " :; (x)"},
    {"To: <j" UE "@a.example> (x" UE ")", "To: " Q("j=C3=BC=40a=2Eexample") " :; (" "=?UTF-8?B?eMO8?=" ")"},
    {"To: a@b.example (x" UE " (y" UE ") z)", "To: a@b.example (" "=?UTF-8?B?eMO8?=" " (" "=?UTF-8?B?ecO8?=" ") z)"},
    {"To: a@" UE "-.example", "To: " Q("a=40=C3=BC-=2Eexample") " :;"},
    {"To: J" UE, "To: " "=?UTF-8?B?SsO8?=" " :;"},
    {"To: team: a@b.example, J <j@b" UE "cher.example>; , k@x.example",
     "To: team: a@b.example, J <j@xn--bcher-kva.example>; , k@x.example"},
    {"To: team: a@b.example, j" UE "@x.example;, k@x.example",
     "To: team " Q("a=40b=2Eexample=2C_j=C3=BC=40x=2Eexample") " :;, k@x.example"},
    {"To: t" UE "am: a@b.example;", "To: " Q("t=C3=BCam") ": a@b.example;"},
    {"Cc: t: <" UE ", a@b.example", "Cc: t " Q("=3C=C3=BC=2C_a=40b=2Eexample") " :;"},
    {"Return-Path: <j" UE "@a.example>", "Return-Path: " Q("j=C3=BC=40a=2Eexample") " :;"},
    {"Return-Path: <j@b" UE "cher.example>", "Return-Path: <j@xn--bcher-kva.example>"},
    {"Delivered-To: j" UE "@a.example", "Delivered-To: " Q("j=C3=BC=40a=2Eexample") " :;"},
    {"Sender: undisclosed " UE ":;", "Sender: " Q("undisclosed_=C3=BC") ":;"},
    /* identifiers */
    {"Message-ID: <" UE "@a>", "Downgraded-Message-ID: " "=?UTF-8?B?PMO8QGE+?="},
    {"References: <a@b> <" UE "@c>", "Downgraded-References: <a@b> " "=?UTF-8?B?PMO8QGM+?="},
    {"In-Reply-To: <a@b> (" UE ")", "In-Reply-To: <a@b> (" W ")"},
    {"Resent-Message-Id: " UE, "Downgraded-Resent-Message-Id: " W},
    /* comments only */
    {"Date: Mon, 30 Jul 2012 01:23:45 -0000 (Z" UE "rich)", "Date: Mon, 30 Jul 2012 01:23:45 -0000 (" Q("Z=C3=BCrich") ")"},
    {"MIME-Version: 1.0 (\\) " UE ")", "MIME-Version: 1.0 (\\) " W ")"},
    {"Content-ID: <" UE ">", "Content-ID: " "=?UTF-8?B?PMO8Pg==?="},
    /* Received */
    {"Received: from b" UE "cher.example (b" UE " [192.0.2.1]) by mx.example with UTF8SMTP id x1 for <j@b" UE "cher.example>; Mon, 1 Jan 2024 00:00:00 +0000",
     "Received: from xn--bcher-kva.example (" "=?UTF-8?B?YsO8?=" " [192.0.2.1]) by mx.example\r\n"
     " with UTF8SMTP id x1 for <j@xn--bcher-kva.example>; Mon, 1 Jan 2024 00:00:00\r\n +0000"},
    {"Received: from a.example id " UE "@x for <j" UE "@a.example>; Mon, 1 Jan 2024 00:00:00 +0000",
     "Received: from a.example  ; Mon, 1 Jan 2024 00:00:00 +0000"},
    {"Received: from -" UE "; x", "Received: from (" "=?UTF-8?B?LcO8?=" "); x"},
    /* MIME */
    {"Content-Type: text/plain; charset=utf-8; name=\"b" UE "ch 1.pdf\"",
     "Content-Type: text/plain; charset=utf-8; name*=UTF-8''b%C3%BCch%201.pdf"},
    {"Content-Type: multipart/mixed; boundary=\"a b\"; x=" UE " (y" UE ")",
     "Content-Type: multipart/mixed; boundary=\"a b\"; x*=UTF-8''%C3%BC (" "=?UTF-8?B?ecO8?=" ")"},
    {"Content-Type: text/plain (" UE ")", "Content-Type: text/plain (" W ")"},
    {"Content-Type: t" UE "xt", "Content-Type: " Q("t=C3=BCxt")},
    {"Content-Type: text/plain; n*=" UE, "Content-Type: text/plain; n*=UTF-8''%C3%BC"},
    {"Content-Disposition: attachment; filename*0=\"" UE "\"; filename*1=b; size=5",
     "Content-Disposition: attachment; filename*=UTF-8''%C3%BCb; size=5"},
    {"Content-Disposition: attachment; filename=" JP JP JP,
     "Content-Disposition: attachment;\r\n filename*0*=UTF-8''%E6%97%A5%E6%9C%AC%E8%AA%9E%E6%97%A5%E6%9C%AC%E8%AA%9E;\r\n"
     " filename*1*=%E6%97%A5%E6%9C%AC%E8%AA%9E"},
    {"Content-Description: " UE, "Content-Description: " W},
    {"Keywords: a, b" UE ", \"c, " UE "\"", "Keywords: a, " "=?UTF-8?B?YsO8?=" ", " "=?UTF-8?B?Yywgw7w=?="},
    /* delivery reports */
    {"Final-Recipient: utf-8; j" UE "@a.example", "Final-Recipient: utf-8; j\\x{FC}@a.example"},
    {"Original-Recipient: rfc822; j" UE "@a.example", "Downgraded-Original-Recipient: rfc822; " Q("j=C3=BC=40a=2Eexample")},
};

static struct span field_of(const char *in, struct str *out, struct arena *mem)
{
    struct span value = span_z(in), name = span_split(&value, ':');
    str_clear(out);
    return downgrade_field(out, name, value, mem) ? str_span(out) : SPAN_NONE;
}

static void each_field(void **state)
{
    struct arena mem;
    struct str out;
    int bad = 0;
    arena_init(&mem);
    str_init(&out, &mem);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct span got = field_of(rows[i].in, &out, &mem), want = span_z(rows[i].out);
        bool same = rows[i].out == NULL ? got.p == NULL
                                        : got.n == want.n + 2 && span_starts(got, want) && utf8_ascii(got);
        if (!same)
            fprintf(stderr, "%s\n%.*s", rows[i].in, SPAN_ARGS(got));
        bad += !same;
    }
    assert_int_equal(bad, 0);
    arena_done(&mem);
}

/* However long: every line under 79 characters, and the text comes back whole. */
static void long_text(void **state)
{
    struct arena mem;
    struct str in, out, back;
    arena_init(&mem);
    str_init(&in, &mem);
    str_init(&out, &mem);
    str_init(&back, &mem);
    for (int i = 0; i < 500; i++)
        str_addz(&in, i % 7 == 0 ? "plain words " : i % 3 == 0 ? JP : "Gr" UE "n" UE "ng ");
    assert_true(downgrade_field(&out, SPAN("Subject"), str_span(&in), &mem));
    struct span rest = str_span(&out);
    while (rest.n > 0) {
        struct span line = span_split(&rest, '\n');
        assert_true(line.n <= 79);
    }
    encword_decode(&back, span_from(str_span(&out), 8));
    assert_true(span_eq(str_span(&back), span_trim(str_span(&in))));
    arena_done(&mem);
}

/* ---- messages ---------------------------------------------------------------------------------------------------------- */

#define NESTED_HEAD "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"

static const struct { const char *in, *out; } messages[] = {
    {"Subject: x\r\n\r\n" UE "\r\n", NULL},
    {"Subject: " UE "\r\nX: y\r\n\r\n" UE "\r\n", "Subject: " W "\r\nX: y\r\n\r\n" UE "\r\n"},
    {"Subject: " UE, "Subject: " W "\r\n"},
    /* the parts' headers, at any depth; bodies stay */
    {NESTED_HEAD "Content-Type: text/plain; name=" UE "\r\n\r\n" UE "\r\n--b\r\nContent-Type: message/global\r\n\r\n"
     "From: " UE " <a@b.example>\r\n\r\n" UE "\r\n--b--\r\n",
     NESTED_HEAD "Content-Type: text/plain; name*=UTF-8''%C3%BC\r\n\r\n" UE "\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
     "From: " W " <a@b.example>\r\n\r\n" UE "\r\n--b--\r\n"},
    /* what is encoded is not looked into and keeps its name */
    {NESTED_HEAD "Content-Type: message/global; name=" UE "\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ==\r\n--b--\r\n",
     NESTED_HEAD "Content-Type: message/global; name*=UTF-8''%C3%BC\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ==\r\n--b--\r\n"},
    {NESTED_HEAD "Content-Type: message/global-delivery-status\r\n\r\nReporting-MTA: dns; a.example\r\n\r\n"
     "Final-Recipient: utf-8; " UE "@a.example\r\nAction: failed\r\n\r\nFinal-Recipient: utf-8; b" UE "@a.example\r\n--b--\r\n",
     NESTED_HEAD "Content-Type: message/global-delivery-status\r\n\r\nReporting-MTA: dns; a.example\r\n\r\n"
     "Final-Recipient: utf-8; \\x{FC}@a.example\r\nAction: failed\r\n\r\nFinal-Recipient: utf-8; b\\x{FC}@a.example\r\n\r\n--b--\r\n"},
};

static void each_message(void **state)
{
    struct arena mem;
    struct summary s;
    arena_init(&mem);
    for (size_t i = 0; i < COUNT_OF(messages); i++) {
        struct span in = span_z(messages[i].in), edits = downgrade_message(in, &mem);
        struct span got = edit_apply(in, edits, &mem), want = span_z(messages[i].out != NULL ? messages[i].out : messages[i].in);
        if (!span_eq(got, want))
            fprintf(stderr, "%.*s\n", SPAN_ARGS(got));
        assert_true(span_eq(got, want));
        assert_int_equal(edit_size(edits, in.n), got.n);
        assert_int_equal(edits.n == 0, messages[i].out == NULL);
        assert_int_equal(downgrade_message(got, &mem).n, 0);
        summarize(in, &s, &mem); /* its flags say when this is worth while */
        assert_int_equal((s.flags & (SUMMARY_UTF8 | SUMMARY_UTF8_PARTS)) != 0, messages[i].out != NULL);
        summarize(got, &s, &mem);
        assert_null(format_testing_check(got, &s));
        assert_int_equal(s.flags & (SUMMARY_UTF8 | SUMMARY_UTF8_PARTS), 0);
        assert_true(utf8_ascii(s.envelope));
        arena_reset(&mem);
    }
    arena_done(&mem);
}

/* RFC 6857 appendix A */
static void appendix(void **state)
{
    static const char in[] = "Return-Path: <l" UE "@example.com>\r\n"
        "Received: from a.example by b.example for <r" UE "@example.net>; Mon, 30 Jul 2012 01:23:45 -0000\r\n"
        "From: D" UE " <l" UE "@example.com>\r\nTo: R1" UE " <r" UE "@example.net>,\r\n R2" UE " <s" UE "@example.com>\r\n"
        "Subject: S" UE "\r\nDate: Mon, 30 Jul 2012 01:23:45 -0000\r\nMessage-Id: <" UE "@x>\r\nMime-Version: 1.0\r\n"
        "X-Unknown-Header: X" UE "\r\n\r\nMAIL_BODY\r\n";
    static const char want[] = "Return-Path: " Q("l=C3=BC=40example=2Ecom") " :;\r\n"
        "Received: from a.example by b.example ; Mon, 30 Jul 2012 01:23:45 -0000\r\n"
        "From: " Q("D=C3=BC_") " " Q("l=C3=BC=40example=2Ecom") " :;\r\n"
        "To: " Q("R1=C3=BC_") " " Q("r=C3=BC=40example=2Enet") " :;,\r\n " Q("R2=C3=BC_") " " Q("s=C3=BC=40example=2Ecom") " :;\r\n"
        "Subject: " "=?UTF-8?B?U8O8?=" "\r\nDate: Mon, 30 Jul 2012 01:23:45 -0000\r\nDowngraded-Message-Id: " "=?UTF-8?B?PMO8QHg+?=" "\r\n"
        "Mime-Version: 1.0\r\nX-Unknown-Header: " "=?UTF-8?B?WMO8?=" "\r\n\r\nMAIL_BODY\r\n";
    struct arena mem;
    arena_init(&mem);
    struct span got = edit_apply(span_z(in), downgrade_message(span_z(in), &mem), &mem);
    if (!span_eq(got, span_z(want)))
        fprintf(stderr, "%.*s\n", SPAN_ARGS(got));
    assert_true(span_eq(got, span_z(want)));
    arena_done(&mem);
}

static void prefix(struct span in, struct arena *mem)
{
    struct span edits = downgrade_message(in, mem);
    assert_true(edits.n == 0 || edit_size(edits, in.n) != UINT64_MAX);
}

/* Cut anywhere; and more than may be: what fits is done. */
static void bounds(void **state)
{
    struct arena mem;
    struct str in;
    arena_init(&mem);
    for (size_t i = 0; i < COUNT_OF(messages); i++)
        format_testing_prefixes(span_z(messages[i].in), prefix);
    str_init(&in, &mem);
    for (int i = 0; i < 20000; i++)
        str_addf(&in, "X%d: " UE "\r\n", i);
    struct span edits = downgrade_message(str_span(&in), &mem);
    assert_true(edits.n > DOWNGRADE_BYTES - 100 && edits.n <= DOWNGRADE_BYTES);
    str_clear(&in);
    str_addz(&in, "To: ");
    for (int i = 0; i < 20000; i++)
        str_addz(&in, i % 2 == 0 ? "(" : UE "<,");
    str_addz(&in, "\r\n\r\n");
    prefix(str_span(&in), &mem);
    arena_done(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field), cmocka_unit_test(long_text), cmocka_unit_test(each_message),
        cmocka_unit_test(appendix), cmocka_unit_test(bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
