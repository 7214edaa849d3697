/* address: RFC 5322 3.4 and A.1, A.5, A.6, and what is found beside it. */
#include "format/address.h"

#include "base/limits.h"
#include "base/str.h"
#include "format/format_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define IN(lit) {"" lit, sizeof(lit) - 1}


/* "name<route:local@domain>" each, groups as "{name" and "}", separated by "|". */
static struct span show(struct span in, struct arena *mem)
{
    struct address_reader r;
    struct address a;
    struct str out;
    str_init(&out, mem);
    address_begin(&r, in, mem);
    while (address_next(&r, &a)) {
        if (out.n > 0)
            str_addc(&out, '|');
        if (a.kind == ADDRESS_GROUP_END) {
            str_addc(&out, '}');
            continue;
        }
        if (a.kind == ADDRESS_GROUP)
            str_addc(&out, '{');
        str_add(&out, a.name);
        if (a.kind == ADDRESS_MAILBOX)
            str_addf(&out, "<%.*s%s%.*s@%.*s>", SPAN_ARGS(a.route), a.route.n > 0 ? ":" : "", SPAN_ARGS(a.local),
                     SPAN_ARGS(a.domain));
    }
    return str_span(&out);
}

static const struct {
    struct span in, want;
} rows[] = {
    {IN(""), IN("")},
    {IN(" \r\n "), IN("")},
    {IN(",,;, ,"), IN("")},
    {IN("joe@x.test"), IN("<joe@x.test>")},
    {IN("<joe@x.test>"), IN("<joe@x.test>")},
    {IN(" John Doe <jdoe@machine.example>"), IN("John Doe<jdoe@machine.example>")},
    {IN("John\r\n  Doe\r\n <jdoe@\r\n machine.example>\r\n"), IN("John Doe<jdoe@machine.example>")},
    {IN("\"Joe Q. Public\" <john.q.public@example.com>"), IN("Joe Q. Public<john.q.public@example.com>")},
    {IN("Joe Q. Public <j@x.test>"), IN("Joe Q. Public<j@x.test>")},
    {IN("Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>"),
     IN("Mary Smith<mary@x.test>|<jdoe@example.org>|Who?<one@y.test>")},
    {IN("<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <s@example.net>"), IN("<boss@nil.test>|Giant; \"Big\" Box<s@example.net>")},
    {IN("A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;"),
     IN("{A Group|Ed Jones<c@a.test>|<joe@where.test>|John<jdoe@one.test>|}")},
    {IN("Undisclosed recipients:;"), IN("{Undisclosed recipients|}")},
    {IN("G: a@b"), IN("{G|<a@b>|}")},
    {IN("G: a@b;, c@d"), IN("{G|<a@b>|}|<c@d>")},
    {IN("G:a@b; H:;c@d"), IN("{G|<a@b>|}|{H|}|<c@d>")},
    {IN("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>"), IN("Pete<pete@silly.test>")},
    {IN("jdoe@x.test (John (the) Doe)"), IN("John (the) Doe<jdoe@x.test>")},
    {IN("(only) , (comments)"), IN("")},
    {IN("Mary Smith <@node.test,@b.test:mary@example.net>"), IN("Mary Smith<@node.test,@b.test:mary@example.net>")},
    {IN("john . doe @ example . net"), IN("<john.doe@example.net>")},
    {IN("\"john doe\"@x.test"), IN("<john doe@x.test>")},
    {IN("\"\"@x.test"), IN("<@x.test>")},
    {IN("joe@[192.0.2.1]"), IN("<joe@[192.0.2.1]>")},
    {IN("joe@[IPv6:\r\n ::1], a@b"), IN("<joe@[IPv6:::1]>|<a@b>")},
    {IN("root"), IN("<root@>")},
    {IN("<root>"), IN("<root@>")},
    {IN("just some words"), IN("just some words<@>")},
    {IN("Joe joe@x.test"), IN("Joe<joe@x.test>")},
    {IN("joe@x.test <joe@y.test>"), IN("joe@x.test<joe@y.test>")},
    {IN("joe@x.test rest, a@b"), IN("<joe@x.test>|<a@b>")},
    {IN("a@b@c"), IN("<a@b@c>")},
    {IN("<a@b, c@d>"), IN("<a@b>|<c@d>")},
    {IN("<<a@b>>"), IN("<a@b>")},
    {IN("<a b@c>"), IN("<a b@c>")},
    {IN("<a@b> <c@d>, e@f"), IN("<a@b>|<e@f>")},
    {IN("\"open <a@b>, c@d"), IN("<open <a@b>, c@d@>")},
    {IN("(open <a@b>, c@d"), IN("")},
    {IN("a@b; c@d"), IN("<a@b>|<c@d>")},
    {IN("=?utf-8?q?J=C3=B6rg?= <j@x.test>"), IN("=?utf-8?q?J=C3=B6rg?=<j@x.test>")},
    {IN("J\xc3\xb6rg <j\xc3\xb6rg@b\xc3\xbc.test>"), IN("J\xc3\xb6rg<j\xc3\xb6rg@b\xc3\xbc.test>")},
    {IN("\\ <a@b>"), IN("\\<a@b>")},
    {IN("<mailto:a@b>"), IN("<mailto:a@b>")},
    {IN("<>"), IN("<@>")},
    {IN("<@x.test>"), IN("<@x.test>")},
    {IN("a@b\0, c@d"), IN("<a@b>|<c@d>")},
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
    struct address_reader r;
    struct address a;
    size_t n = 0;
    arena_init(&mem);
    str_init(&in, &mem);
    str_addz(&in, "G:");
    for (int i = 0; i < 3000; i++)
        str_addz(&in, "a@b,");
    address_begin(&r, str_span(&in), &mem);
    while (address_next(&r, &a))
        n++;
    assert_int_equal(n, LIMIT(HEADER_ADDRESSES) + 1); /* and the end of the group */
    assert_int_equal(a.kind, ADDRESS_GROUP_END);
    assert_true(r.truncated);
    arena_done(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(table), cmocka_unit_test(truncated), cmocka_unit_test(bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
