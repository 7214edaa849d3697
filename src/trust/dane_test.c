/* Tests of DANE's decisions: names from a table in place of relay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "trust/dane.h"

#define X32 "abcdefghijklmnopqrstuvwxyz012345"
#define EE SPAN("\3\1\1" X32)
#define TA SPAN("\2\0\2" X32 X32)
#define PKIX SPAN("\1\1\1" X32)
#define SHORT SPAN("\3\1\1abc")

static const struct { const char *name; enum dns_type type; enum dns_status status; bool secure; struct span rdata[3]; } zone[] = {
    {"_25._tcp.ee.test", DNS_TLSA, DNS_OK, true, {EE}},
    {"_2525._tcp.ee.test", DNS_TLSA, DNS_OK, true, {TA}},
    {"_25._tcp.both.test", DNS_TLSA, DNS_OK, true, {PKIX, TA, SHORT}},
    {"_25._tcp.pkix.test", DNS_TLSA, DNS_OK, true, {PKIX, SHORT}},
    {"_25._tcp.cut.test", DNS_TLSA, DNS_OK, true, {SPAN("\3")}},
    {"_25._tcp.insecure.test", DNS_TLSA, DNS_OK, false, {EE}},
    {"_25._tcp.bogus.test", DNS_TLSA, DNS_BOGUS, false, {SPAN_NONE}},
    {"_25._tcp.fail.test", DNS_TLSA, DNS_SERVFAIL, false, {SPAN_NONE}},
    {"_25._tcp.none.test", DNS_TLSA, DNS_NXDOMAIN, true, {SPAN_NONE}},
    {"_25._tcp.end.test", DNS_TLSA, DNS_OK, true, {TA}},
    {"_25._tcp.alias.test", DNS_TLSA, DNS_OK, true, {EE}},
    {"alias.test", DNS_CNAME, DNS_OK, true, {SPAN("\1x\0")}},
    {"ee.test", DNS_CNAME, DNS_OK, false, {SPAN("\1x\0")}},
    {"bogus.test", DNS_CNAME, DNS_BOGUS, false, {SPAN_NONE}},
};

static void *fake_begin(struct span name, enum dns_type type)
{
    for (size_t i = 0; i < COUNT_OF(zone); i++)
        if (zone[i].type == type && span_eq(name, span_z(zone[i].name)))
            return (void *)(uintptr_t)&zone[i];
    return NULL;
}

static void fake_finish(void *asked, struct dns_answer *out, struct arena *mem)
{
    const typeof(zone[0]) *z = asked;
    struct msg_dns_record *v = arena_alloc(mem, 3 * sizeof *v);
    if (z == NULL)
        fail_msg("a question that should not be asked");
    *out = (struct dns_answer){.status = z->status, .secure = z->secure, .records = v};
    while (out->n < 3 && z->rdata[out->n].p != NULL) {
        v[out->n].rdata = z->rdata[out->n];
        out->n++;
    }
}

static void test_find(void **state)
{
    static const struct {
        const char *host, *canonical; /* NULL: no alias */
        bool secure;                  /* addresses */
        uint16_t port;
        enum dane_verdict want;
        const char *base;
        size_t n;
    } table[] = {
        {"ee.test", NULL, true, 25, DANE_VERIFY, "ee.test", 1},
        {"ee.test", NULL, true, 2525, DANE_VERIFY, "ee.test", 1},
        {"ee.test", NULL, false, 25, DANE_NONE, "ee.test", 0},      /* not asked for */
        {"both.test", NULL, true, 25, DANE_VERIFY, "both.test", 1},
        {"pkix.test", NULL, true, 25, DANE_ENCRYPT, "pkix.test", 0},
        {"cut.test", NULL, true, 25, DANE_ENCRYPT, "cut.test", 0},
        {"insecure.test", NULL, true, 25, DANE_NONE, "insecure.test", 0},
        {"bogus.test", NULL, true, 25, DANE_DEFER, NULL, 0},
        {"fail.test", NULL, true, 25, DANE_DEFER, NULL, 0},
        {"none.test", NULL, true, 25, DANE_NONE, "none.test", 0},
        /* aliases, secure all the way: the end first */
        {"alias.test", "end.test", true, 25, DANE_VERIFY, "end.test", 1},
        {"alias.test", "none.test", true, 25, DANE_VERIFY, "alias.test", 1},
        {"none.test", "insecure.test", true, 25, DANE_NONE, "none.test", 0},
        {"alias.test", "bogus.test", true, 25, DANE_DEFER, NULL, 0},
        /* into an insecure zone: the first step decides */
        {"alias.test", "far.test", false, 25, DANE_VERIFY, "alias.test", 1},
        {"ee.test", "far.test", false, 25, DANE_NONE, "ee.test", 0},
        {"bogus.test", "far.test", false, 25, DANE_DEFER, NULL, 0},
    };
    struct arena mem;
    arena_init(&mem);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct dns_addresses a = {.answer = {.status = DNS_OK, .secure = table[i].secure}};
        a.answer.canonical = span_z(table[i].canonical ? table[i].canonical : table[i].host);
        struct dane_host h = {.next_hop = SPAN("example.test"), .next_hop_canonical = SPAN("example.test"), .from_mx = true,
                              .mx_secure = true, .host = span_z(table[i].host), .port = table[i].port, .addresses = &a};
        struct dane d;
        struct tls_client_want want;
        enum dane_verdict got = dane_find(&h, &d, &mem);
        if (got != table[i].want || d.verdict != got)
            fail_msg("row %zu: %d", i, got);
        if (got == DANE_DEFER)
            continue;
        dane_want(&d, &want);
        assert_int_equal(want.verify, got == DANE_VERIFY ? TLS_WANT_DANE : TLS_WANT_ANY);
        assert_int_equal(want.n_tlsa, table[i].n);
        assert_true(span_eq(want.name, span_z(table[i].base)));
    }
    arena_done(&mem);
}

/* RFC 7672 3.2.2 */
static void test_names(void **state)
{
    static const struct {
        bool from_mx, mx_secure;
        const char *next_hop, *next_hop_canonical, *host, *canonical, *base;
        const char *names[2];
    } table[] = {
        {true, true, "exchange.test", "example.test", "ee.test", "ee.test", "ee.test", {"exchange.test", "example.test"}},
        {true, true, "example.test", "example.test", "ee.test", "ee.test", "ee.test", {"example.test"}},
        {true, true, "ee.test", "ee.test", "ee.test", "ee.test", "ee.test", {NULL}},
        {true, false, "example.test", "example.test", "ee.test", "ee.test", "ee.test", {NULL}},
        {false, false, "ee.test", "ee.test", "ee.test", "ee.test", "ee.test", {NULL}},
        {false, false, "alias.test", "alias.test", "alias.test", "end.test", "end.test", {"alias.test"}},
    };
    struct arena mem;
    arena_init(&mem);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct dns_addresses a = {.answer = {.status = DNS_OK, .secure = true, .canonical = span_z(table[i].canonical)}};
        struct dane_host h = {.next_hop = span_z(table[i].next_hop), .next_hop_canonical = span_z(table[i].next_hop_canonical),
                              .from_mx = table[i].from_mx, .mx_secure = table[i].mx_secure, .host = span_z(table[i].host),
                              .port = 25, .addresses = &a};
        struct dane d;
        assert_int_equal(dane_find(&h, &d, &mem), DANE_VERIFY);
        assert_true(span_eq(d.base, span_z(table[i].base)));
        size_t n = 0;
        for (; n < 2 && table[i].names[n] != NULL; n++)
            if (n >= d.n_names || !span_eq(d.names[n], span_z(table[i].names[n])))
                fail_msg("row %zu, name %zu", i, n);
        assert_int_equal(d.n_names, n);
        assert_int_equal(d.whole_way, !table[i].from_mx || table[i].mx_secure);
    }
    arena_done(&mem);
}

static void test_usable(void **state)
{
    static const struct { struct dns_tlsa t; bool usable; } table[] = {
        {{3, 1, 1, {X32, 32}}, true},  {{2, 0, 1, {X32, 32}}, true}, {{3, 0, 2, {X32 X32, 64}}, true}, {{3, 0, 0, {"x", 1}}, true},
        {{0, 1, 1, {X32, 32}}, false}, {{1, 1, 1, {X32, 32}}, false}, {{4, 1, 1, {X32, 32}}, false},    {{3, 2, 1, {X32, 32}}, false},
        {{3, 1, 3, {X32, 32}}, false}, {{3, 1, 1, {X32, 31}}, false}, {{3, 1, 2, {X32, 32}}, false},    {{3, 1, 0, {"", 0}}, false},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (dane_usable(&table[i].t) != table[i].usable)
            fail_msg("row %zu", i);
}

static int set_up(void **state)
{
    static const struct dns_way fake = {fake_begin, fake_finish};
    dns_use(&fake);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_find), cmocka_unit_test(test_names), cmocka_unit_test(test_usable)};
    return cmocka_run_group_tests(tests, set_up, NULL);
}
