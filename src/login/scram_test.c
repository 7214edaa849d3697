/* scram_test: the exchanges of RFC 5802 5 and RFC 7677 3, and what is no message of SCRAM. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/base64.h"
#include "login/password.h"
#include "login/scram.h"

static const struct vector {
    enum scram_hash hash;
    const char *first, *server_first, *salt, *final, *signature;
} vectors[] = {
    {SCRAM_SHA1, "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
     "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096", "QSXCR+Q6sek8bf92",
     "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "rmF9pqV8S7suAoZWja4dJRkFsKQ="},
    {SCRAM_SHA256, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
     "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "W22ZaJ0SNY7soEsUEjb6gQ==",
     "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
     "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
};

static void exchange(const struct vector *v)
{
    unsigned char stored[SCRAM_KEY], server[SCRAM_KEY], signature[SCRAM_KEY];
    struct str salt, proof, message, mine;
    struct scram_first first;
    struct scram_final final;
    struct password p;
    struct arena mem;
    size_t n;

    arena_init(&mem);
    str_init(&salt, &mem);
    str_init(&proof, &mem);
    str_init(&message, &mem);
    str_init(&mine, &mem);
    assert_int_equal(scram_first_parse(span_z(v->first), &first), 0);
    assert_true(span_eq(first.name, SPAN("user")) && span_eq(first.gs2, SPAN("n,,")) && first.flag == 'n');
    assert_int_equal(scram_final_parse(span_z(v->final), &final), 0);
    assert_int_equal(base64_decode(&salt, span_z(v->salt)), 0);
    assert_int_equal(base64_decode(&proof, final.proof), 0);
    assert_int_equal(password_prepare(&p, SPAN("pencil"), NULL), 0);
    assert_int_equal(scram_derive(v->hash, &p, str_span(&salt), 4096, stored, server), 0);
    str_add(&message, first.bare);
    str_addf(&message, ",%s,%.*s", v->server_first, SPAN_ARGS(final.without_proof));
    assert_true(scram_proves(v->hash, stored, str_span(&message), str_span(&proof)));
    for (size_t i = 0; i < proof.n; i++) {
        proof.p[i] ^= 1;
        assert_false(scram_proves(v->hash, stored, str_span(&message), str_span(&proof)));
        proof.p[i] ^= 1;
    }
    assert_false(scram_proves(v->hash, stored, str_span(&message), span_sub(str_span(&proof), 0, proof.n - 1)));
    assert_false(scram_proves(v->hash, stored, SPAN(""), str_span(&proof)));
    n = scram_sign(v->hash, server, str_span(&message), signature);
    base64_encode(&mine, span_of(signature, n));
    assert_string_equal(str_z(&mine), v->signature);
    arena_done(&mem);
}

static void vectors_of_the_rfcs(void **state)
{
    for (size_t i = 0; i < COUNT_OF(vectors); i++)
        exchange(&vectors[i]);
}

static void first_messages(void **state)
{
    static const struct { struct span in; const char *gs2, *name; } rows[] = {
        {SPAN("n,,n=user,r=x"), "n,,", "user"},
        {SPAN("y,,n=user,r=x"), "y,,", "user"},
        {SPAN("p=tls-exporter,,n=user,r=x"), "p=tls-exporter,,", "user"},
        {SPAN("n,a=other,n=user,r=x"), "n,a=other,", "user"},
        {SPAN("n,,n=a=2Cb=3D,r=x,z=ext,y=a=b"), "n,,", "a=2Cb=3D"},
        {SPAN("n,,n=j\xc3\xb6rg,r=!~"), "n,,", "j\xc3\xb6rg"},
        {SPAN(""), NULL, NULL},
        {SPAN("n"), NULL, NULL},
        {SPAN("n,"), NULL, NULL},
        {SPAN("n,,"), NULL, NULL},
        {SPAN("x,,n=user,r=x"), NULL, NULL},
        {SPAN("nn,,n=user,r=x"), NULL, NULL},
        {SPAN(",,n=user,r=x"), NULL, NULL},
        {SPAN("p,,n=user,r=x"), NULL, NULL},
        {SPAN("p=,,n=user,r=x"), NULL, NULL},
        {SPAN("p=a_b,,n=user,r=x"), NULL, NULL},
        {SPAN("n,b=other,n=user,r=x"), NULL, NULL},
        {SPAN("n,a=,n=user,r=x"), NULL, NULL},
        {SPAN("n,n=user,r=x"), NULL, NULL},
        {SPAN("n,,m=ext,n=user,r=x"), NULL, NULL}, /* RFC 5802 5.1: mandatory, and not known */
        {SPAN("n,,n=user,r=x,m=ext"), NULL, NULL},
        {SPAN("n,,n=,r=x"), NULL, NULL},
        {SPAN("n,,n=user"), NULL, NULL},
        {SPAN("n,,n=user,r="), NULL, NULL},
        {SPAN("n,,n=user,r=x y"), NULL, NULL},
        {SPAN("n,,r=x,n=user"), NULL, NULL},
        {SPAN("n,,n=user,r=x,"), NULL, NULL},
        {SPAN("n,,n=user,r=x,z="), NULL, NULL},
        {SPAN("n,,n=user,r=x,1=a"), NULL, NULL},
        {SPAN("n,,n=a=2cb,r=x"), NULL, NULL}, /* capitals only */
        {SPAN("n,,n=a=b,r=x"), NULL, NULL},
        {SPAN("n,,n=a=,r=x"), NULL, NULL},
        {SPAN("n,,n=us\0er,r=x"), NULL, NULL},
        {SPAN("n,,n=us\xff" "er,r=x"), NULL, NULL},
        {SPAN("n,,n=user,r=x\xc3\xb6"), NULL, NULL},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct scram_first first;
        char *copy = malloc(rows[i].in.n + 1); /* of that size, so that ASan sees one byte too far */
        int rc;
        memcpy(copy, rows[i].in.p, rows[i].in.n);
        copy = realloc(copy, rows[i].in.n + (rows[i].in.n == 0));
        rc = scram_first_parse(span_of(copy, rows[i].in.n), &first);
        if (rc != (rows[i].gs2 != NULL ? 0 : -1) ||
            (rc == 0 && !(span_eq(first.gs2, span_z(rows[i].gs2)) && span_eq(first.name, span_z(rows[i].name)))))
            fail_msg("row %zu", i);
        free(copy);
    }
}

static void final_messages(void **state)
{
    static const struct { const char *in; bool good; } rows[] = {
        {"c=biws,r=abc,p=AAAA", true},   {"c=biws,r=abc,z=a,p=AAAA", true}, {"c=biws,r=abc", false},
        {"r=abc,c=biws,p=AAAA", false},  {"c=biws,p=AAAA", false},          {"c=,r=abc,p=AAAA", false},
        {"c=biws,r=,p=AAAA", false},     {"c=biws,r=abc,p=", false},        {"c=biws,r=abc,p=AAAA,z=a", false},
        {"c=biws,r=abc,,p=AAAA", false}, {"c=biws,r=abc,m=a,p=AAAA", false}, {"", false},
        {",", false},                    {"p=AAAA", false},                 {"c=biws,r=abc,x,p=AAAA", false},
        {"c=biws,r=a\xff,p=AAAA", false},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct scram_final final;
        if ((scram_final_parse(span_z(rows[i].in), &final) == 0) != rows[i].good)
            fail_msg("row %zu: %s", i, rows[i].in);
    }
}

static void names(void **state)
{
    char out[SCRAM_NAME], longest[SCRAM_NAME + 1];

    assert_int_equal(scram_name_decode(SPAN("a=2Cb=3D"), out), 4);
    assert_memory_equal(out, "a,b=", 4);
    assert_int_equal(scram_name_decode(SPAN("a=2"), out), 0);
    assert_int_equal(scram_name_decode(SPAN(""), out), 0);
    memset(longest, 'a', sizeof longest);
    assert_int_equal(scram_name_decode(span_of(longest, SCRAM_NAME), out), SCRAM_NAME);
    assert_int_equal(scram_name_decode(span_of(longest, SCRAM_NAME + 1), out), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_the_rfcs), cmocka_unit_test(first_messages), cmocka_unit_test(final_messages),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
