/* mime: types, parameters and RFC 2231, as written and as found. */
#include "format/mime.h"

#include "base/limits.h"
#include "base/str.h"
#include "format/format_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define IN(lit) {"" lit, sizeof(lit) - 1}


static struct span show(struct span in, struct arena *mem)
{
    struct mime_value v;
    struct str out;
    str_init(&out, mem);
    if (!mime_content_type(in, &v, mem))
        return SPAN("none");
    str_add(&out, v.main);
    str_addc(&out, '/');
    str_add(&out, v.sub);
    for (uint32_t i = 0; i < v.n_params; i++) {
        str_addc(&out, '|');
        str_add(&out, v.params[i].name);
        str_addc(&out, '=');
        str_add(&out, v.params[i].value);
    }
    return str_span(&out);
}

static const struct {
    struct span in, want;
} rows[] = {
    {IN(" audio/basic\r\n"), IN("audio/basic")},
    {IN("image/ jpeg"), IN("image/jpeg")},
    {IN(" message / rfc822"), IN("message/rfc822")},
    {IN("inline"), IN("none")},
    {IN("text/"), IN("none")},
    {IN("/plain"), IN("none")},
    {IN(""), IN("none")},
    {IN("text/plain; charset =us-ascii (Plain text)"), IN("text/plain|charset=us-ascii")},
    {IN("text/plain (a (comment)); charset= \"us-ascii\""), IN("text/plain|charset=us-ascii")},
    {IN("text/plain;charset=utf-8;;format=flowed;"), IN("text/plain|charset=utf-8|format=flowed")},
    {IN("text/plain charset=utf-8; format=flowed"), IN("text/plain|format=flowed")},
    {IN("multipart/mixed; boundary=\"gc0y0pkb9ex=:_(\\\" '\""), IN("multipart/mixed|boundary=gc0y0pkb9ex=:_(\" '")},
    {IN("multipart/mixed; boundary=----=_Part_1/2?x"), IN("multipart/mixed|boundary=----=_Part_1/2?x")},
    {IN("multipart/mixed; boundary=a; boundary=b"), IN("multipart/mixed|boundary=a")},
    {IN("a/b; name=my file (1).pdf; x=y"), IN("a/b|name=my file|x=y")},
    {IN("a/b; name=foo\r\n x=y; z=1"), IN("a/b|name=foo|z=1")},
    {IN("a/b; name=\"open"), IN("a/b|name=open")},
    {IN("a/b; name=\"fol\r\n ded\""), IN("a/b|name=fol ded")},
    {IN("a/b; name"), IN("a/b")},
    {IN("a/b; name="), IN("a/b|name=")},
    {IN("a/b; =x; y=z"), IN("a/b|y=z")},
    {IN("a/b; URL*0=\"ftp://\"; URL*1=\"cs.utk.edu/pub\""), IN("a/b|URL=ftp://cs.utk.edu/pub")},
    {IN("a/b; URL*1=\"b\"; x=y; URL*0=\"a\""), IN("a/b|x=y|URL=ab")},
    {IN("a/b; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A"), IN("a/b|title*=This is ***fun***")},
    {IN("a/b; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\""),
     IN("a/b|title*=This is even more ***fun*** isn't it!")},
    {IN("a/b; n*=iso-8859-1''%e9t%E9"), IN("a/b|n*=\xc3\xa9t\xc3\xa9")},
    {IN("a/b; n*=UTF-8''%C3%A9; n=e"), IN("a/b|n*=\xc3\xa9|n=e")},
    {IN("a/b; n*=nothing%20here"), IN("a/b|n*=nothing here")},
    {IN("a/b; n*=utf-8''%00%zz%4"), IN("a/b|n*=%00%zz%4")},
    {IN("a/b; n*0=a; n*2=c"), IN("a/b|n=a")},
    {IN("a/b; n*1=x"), IN("a/b|n=x")},
    {IN("a/b; n*0=a; n*0=b; n*1=c"), IN("a/b|n=ac")},
    {IN("a/b; *=x; *0=y; n*99999=z"), IN("a/b|*=x|*0=y|n*99999=z")},
};

static void table(void **state)
{
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
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        format_testing_prefixes(rows[i].in, prefix);
}

static void bounded(void **state)
{
    struct arena mem;
    struct str in;
    struct mime_value v;
    arena_init(&mem);
    str_init(&in, &mem);
    str_addz(&in, "a/b");
    for (int i = 0; i < 500; i++)
        str_addf(&in, ";n*%d=x", i);
    assert_true(mime_content_type(str_span(&in), &v, &mem));
    assert_true(v.truncated);
    assert_int_equal(v.n_params, 1);
    assert_int_equal(v.params[0].value.n, LIMIT(MIME_PARAMS));
    arena_done(&mem);
}

static void words(void **state)
{
    struct arena mem;
    struct mime_value v;
    arena_init(&mem);
    assert_int_equal(mime_encoding(SPAN(" Base64 (x)\r\n")), MIME_BASE64);
    assert_int_equal(mime_encoding(SPAN("quoted-printable")), MIME_QP);
    assert_int_equal(mime_encoding(SPAN("")), MIME_7BIT);
    assert_int_equal(mime_encoding(SPAN("x-uuencode")), MIME_UNKNOWN);
    assert_true(mime_disposition(SPAN(" Attachment; filename=a; filename*=utf-8''b"), &v, &mem));
    assert_true(span_eq(mime_param(&v, SPAN("FILENAME")), SPAN("b")));
    assert_null(mime_param(&v, SPAN("size")).p);
    assert_false(mime_disposition(SPAN(" ;x=y"), &v, &mem));
    assert_true(mime_content_type(SPAN("TEXT/Html"), &v, &mem));
    assert_int_equal(mime_type(&v), MIME_TEXT_HTML);
    assert_true(mime_content_type(SPAN("multipart/x-new"), &v, &mem));
    assert_int_equal(mime_type(&v), MIME_MULTIPART);
    assert_true(mime_content_type(SPAN("message/global"), &v, &mem));
    assert_int_equal(mime_type(&v), MIME_RFC822);
    arena_done(&mem);
    /* stored numbers */
    assert_int_equal(MIME_RFC822, 13);
    assert_int_equal(MIME_APPLICATION, 17);
    assert_int_equal(MIME_UNKNOWN, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(table), cmocka_unit_test(truncated), cmocka_unit_test(bounded),
                                       cmocka_unit_test(words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
