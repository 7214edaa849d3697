/* Tests of reading answers: a way of asking that knows a few names, in place of relay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "run/dns.h"
#include "run/loop.h"

/* ---- records ---- */

static void test_names(void **state)
{
    static const struct { struct span rdata; const char *want; } table[] = {
        {SPAN("\4mail\7Example\3org\0"), "mail.example.org"},
        {SPAN("\0"), ""},
        {SPAN("\1a\0"), "a"},
        {SPAN("\6_dmarc\2a-\0"), "_dmarc.a-"},
        {SPAN("\4xn--\3ORG\0"), "xn--.org"},
        {SPAN(""), NULL},
        {SPAN("\4mail"), NULL},                 /* no end */
        {SPAN("\5mail"), NULL},
        {SPAN("\4mail\0x"), NULL},              /* something behind it */
        {SPAN("\4mail\xc0\x00"), NULL},         /* compressed (RFC 1035 4.1.4): only in messages */
        {SPAN("\4ma.l\0"), NULL},
        {SPAN("\4ma l\0"), NULL},
        {SPAN("\4ma\0l\0"), NULL},
        {SPAN("\4ma\xc3\xa4\0"), NULL},
        {SPAN("\x40" "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0"), NULL},
    };
    struct arena mem;
    arena_init(&mem);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct span got;
        int r = dns_rr_name(table[i].rdata, &got, &mem);
        if ((r == 0) != (table[i].want != NULL))
            fail_msg("row %zu", i);
        if (r == 0)
            assert_true(span_eq(got, span_z(table[i].want)));
    }
    /* 253 characters are a name, one more is not */
    char wire[300];
    for (int i = 0; i < 4; i++) {
        wire[i * 64] = 63;
        memset(wire + i * 64 + 1, 'a', 63);
    }
    struct span got;
    wire[192] = 61;
    wire[192 + 62] = 0;
    assert_int_equal(dns_rr_name(span_of(wire, 255), &got, &mem), 0);
    assert_int_equal(got.n, 253);
    wire[192] = 62;
    wire[192 + 62] = 'a';
    wire[192 + 63] = 0;
    assert_int_equal(dns_rr_name(span_of(wire, 256), &got, &mem), -1);
    arena_done(&mem);
}

static void test_records(void **state)
{
    struct arena mem;
    struct dns_mx_host mx;
    struct dns_tlsa tlsa;
    struct span text;
    struct conn_addr addr;
    arena_init(&mem);
    assert_int_equal(dns_rr_mx(SPAN("\1\2\1a\1b\0"), &mx, &mem), 0);
    assert_int_equal(mx.preference, 258);
    assert_true(span_eq(mx.name, SPAN("a.b")));
    assert_int_equal(dns_rr_mx(SPAN("\0\0\0"), &mx, &mem), 0);
    assert_int_equal(mx.name.n, 0);
    assert_int_equal(dns_rr_mx(SPAN("\0\0"), &mx, &mem), -1);
    assert_int_equal(dns_rr_mx(SPAN("\0"), &mx, &mem), -1);
    assert_int_equal(dns_rr_txt(SPAN("\3abc\0\2de"), &text, &mem), 0);
    assert_true(span_eq(text, SPAN("abcde")));
    assert_int_equal(dns_rr_txt(SPAN("\0"), &text, &mem), 0);
    assert_int_equal(text.n, 0);
    assert_int_equal(dns_rr_txt(SPAN(""), &text, &mem), -1);
    assert_int_equal(dns_rr_txt(SPAN("\3ab"), &text, &mem), -1);
    assert_int_equal(dns_rr_tlsa(SPAN("\3\1\1data"), &tlsa), 0);
    assert_true(tlsa.usage == 3 && tlsa.selector == 1 && tlsa.matching == 1 && span_eq(tlsa.data, SPAN("data")));
    assert_int_equal(dns_rr_tlsa(SPAN("\3\1\1"), &tlsa), -1);
    assert_int_equal(dns_rr_addr(DNS_A, SPAN("\xc0\0\2\1"), &addr), 0);
    assert_string_equal(addr.text, "192.0.2.1");
    assert_int_equal(dns_rr_addr(DNS_AAAA, SPAN("\xc0\0\2\1"), &addr), -1);
    assert_int_equal(dns_rr_addr(DNS_A, SPAN("\xc0\0\2"), &addr), -1);
    arena_done(&mem);
}

static void test_askable(void **state)
{
    static const struct { const char *name; bool can; } table[] = {
        {"example.org", true}, {"example.org.", true}, {"_25._tcp.mx.example.org", true}, {"a", true}, {"", false},
        {".", false}, {"a..b", false}, {".a", false}, {"a b", false}, {"a\\.b", false}, {"\xc3\xa4.org", false},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.org", false},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (dns_rr_askable(span_z(table[i].name)) != table[i].can)
            fail_msg("%s", table[i].name);
}

/* ---- a way of asking ---- */

struct known { const char *name; enum dns_type type; enum dns_status status; bool secure; struct span rdata[6]; const char *canonical; };

static const struct known zone[] = {
    {"ties.test", DNS_MX, DNS_OK, true, {SPAN("\0\x14\1c\0"), SPAN("\0\x0a\1a\0"), SPAN("\0\x0a\1b\0"), SPAN("\0\5bad"), SPAN("\0\1\0")}},
    {"null.test", DNS_MX, DNS_OK, true, {SPAN("\0\0\0")}},
    {"broken.test", DNS_MX, DNS_OK, false, {SPAN("\0\0\2a ")}},
    {"both.test", DNS_A, DNS_OK, true, {SPAN("\xc0\0\2\1"), SPAN("short")}},
    {"both.test", DNS_AAAA, DNS_OK, false, {SPAN("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1")}},
    {"four.test", DNS_A, DNS_OK, true, {SPAN("\xc0\0\2\2")}, "REAL.test."},
    {"four.test", DNS_AAAA, DNS_SERVFAIL, false, {SPAN_NONE}},
    {"none.test", DNS_A, DNS_NODATA, true, {SPAN_NONE}},
    {"none.test", DNS_AAAA, DNS_BOGUS, false, {SPAN_NONE}},
    {"text.test", DNS_TXT, DNS_OK, false, {SPAN("\2v=\1x"), SPAN("\1")}},
    {"_25._tcp.mx.test", DNS_TLSA, DNS_OK, true, {SPAN("\3\1\1x"), SPAN("\2\0\1y"), SPAN("\2")}},
    {"1.2.0.192.in-addr.arpa", DNS_PTR, DNS_OK, false, {SPAN("\2mx\4test\0"), SPAN("\0")}},
    {"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", DNS_PTR, DNS_OK, false, {SPAN("\3mx6\4test\0")}},
    {"empty.test", DNS_MX, DNS_OK, true, {SPAN_NONE}},
};

static size_t open_questions, most_open;

static void *fake_begin(struct span name, enum dns_type type)
{
    open_questions++;
    most_open = MAX_OF(most_open, open_questions);
    for (size_t i = 0; i < COUNT_OF(zone); i++)
        if (zone[i].type == type && span_eq(name, span_z(zone[i].name)))
            return (void *)(uintptr_t)&zone[i];
    return NULL;
}

static void fake_finish(void *asked, struct dns_answer *out, struct arena *mem)
{
    const struct known *k = asked;
    struct msg_dns_record *v = arena_alloc(mem, COUNT_OF(k->rdata) * sizeof *v);
    open_questions--;
    if (k == NULL)
        return;
    *out = (struct dns_answer){.status = k->status, .secure = k->secure, .records = v,
                               .canonical = k->canonical ? arena_copy(mem, span_z(k->canonical)) : SPAN_NONE};
    while (out->n < COUNT_OF(k->rdata) && k->rdata[out->n].p != NULL) {
        v[out->n].rdata = k->rdata[out->n];
        out->n++;
    }
}

static struct arena mem;

static int set_up(void **state)
{
    static const struct dns_way fake = {fake_begin, fake_finish};
    dns_use(&fake);
    arena_init(&mem);
    return 0;
}

static int tear_down(void **state)
{
    dns_use(NULL);
    arena_done(&mem);
    return 0;
}

static void test_mx(void **state)
{
    struct dns_mx mx;
    bool a_first = false, b_first = false;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(dns_mx(SPAN("ties.test."), &mx, &mem), DNS_OK);
        assert_int_equal(mx.n, 3); /* the broken one and the root do not count */
        assert_false(mx.null_mx);
        assert_true(mx.answer.secure);
        assert_true(span_eq(mx.answer.canonical, SPAN("ties.test")));
        assert_true(span_eq(mx.hosts[2].name, SPAN("c")));
        a_first |= mx.hosts[0].name.p[0] == 'a';
        b_first |= mx.hosts[0].name.p[0] == 'b';
    }
    assert_true(a_first && b_first); /* else once in 2^99 */
    assert_int_equal(dns_mx(SPAN("null.test"), &mx, &mem), DNS_OK);
    assert_true(mx.null_mx && mx.n == 0);
    assert_int_equal(dns_mx(SPAN("broken.test"), &mx, &mem), DNS_OK);
    assert_true(!mx.null_mx && mx.n == 0);
    assert_int_equal(dns_mx(SPAN("unknown.test"), &mx, &mem), DNS_SERVFAIL);
    assert_int_equal(dns_mx(SPAN("no name.test"), &mx, &mem), DNS_NXDOMAIN);
    assert_int_equal(dns_mx(SPAN("empty.test"), &mx, &mem), DNS_NODATA);
}

static void test_addresses(void **state)
{
    struct dns_addresses a;
    most_open = 0;
    assert_int_equal(dns_addresses(SPAN("both.test"), &a, &mem), DNS_OK);
    assert_int_equal(most_open, 2); /* at once */
    assert_int_equal(a.n, 2);
    assert_string_equal(a.v[0].text, "2001:db8::1");
    assert_string_equal(a.v[1].text, "192.0.2.1");
    assert_false(a.answer.secure);
    assert_true(a.a.secure && !a.aaaa.secure);
    assert_int_equal(dns_addresses(SPAN("four.test"), &a, &mem), DNS_OK);
    assert_int_equal(a.n, 1);
    assert_true(a.answer.secure);
    assert_true(span_eq(a.answer.canonical, SPAN("real.test")));
    assert_int_equal(a.aaaa.status, DNS_SERVFAIL);
    assert_int_equal(dns_addresses(SPAN("none.test"), &a, &mem), DNS_BOGUS);
    assert_int_equal(a.n, 0);
    assert_int_equal(dns_addresses(SPAN("unknown.test"), &a, &mem), DNS_SERVFAIL);
}

static void test_others(void **state)
{
    struct dns_texts t;
    struct dns_tlsas tlsa;
    struct dns_names names;
    struct conn_addr addr;
    assert_int_equal(dns_txt(SPAN("text.test"), &t, &mem), DNS_OK);
    assert_int_equal(t.n, 1);
    assert_true(span_eq(t.v[0], SPAN("v=x")));
    assert_int_equal(dns_tlsa(SPAN("_25._tcp.mx.test"), &tlsa, &mem), DNS_OK);
    assert_int_equal(tlsa.n, 2);
    assert_true(tlsa.v[1].usage == 2 && span_eq(tlsa.v[1].data, SPAN("y")));
    conn_addr_ip(&addr, SPAN("\xc0\0\2\1"), 25);
    assert_int_equal(dns_ptr(&addr, &names, &mem), DNS_OK);
    assert_int_equal(names.n, 1);
    assert_true(span_eq(names.v[0], SPAN("mx.test")));
    conn_addr_ip(&addr, SPAN("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"), 25);
    assert_int_equal(dns_ptr(&addr, &names, &mem), DNS_OK);
    assert_true(names.n == 1 && span_eq(names.v[0], SPAN("mx6.test")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names), cmocka_unit_test(test_records),   cmocka_unit_test(test_askable),
        cmocka_unit_test(test_mx),    cmocka_unit_test(test_addresses), cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
