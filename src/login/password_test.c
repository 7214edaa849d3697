/* password_test: the vector of RFC 7677, preparation of RFC 8265, and that an unknown user costs what a known one does. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/limits.h"
#include "login/password.h"
#include "login/remember.h"

static struct password prepared(const char *raw)
{
    struct password p;

    assert_int_equal(password_prepare(&p, span_z(raw), NULL), 0);
    return p;
}

/* RFC 7677 3, the whole exchange: our StoredKey accepts the client's proof, our ServerKey makes the server's signature. */
static void rfc7677_vector(void **state)
{
    static const char auth_message[] =
        "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,"
        "i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    struct password p = prepared("pencil");
    struct password_verifier v = {.iterations = 4096};
    unsigned char mac[32], hash[32];
    struct arena mem;
    struct str s, proof;
    unsigned n = 32;

    arena_init(&mem);
    str_init(&s, &mem);
    assert_int_equal(base64_decode(&s, SPAN("W22ZaJ0SNY7soEsUEjb6gQ==")), 0);
    assert_int_equal(s.n, PASSWORD_SALT);
    memcpy(v.salt, s.p, PASSWORD_SALT);
    assert_int_equal(password_derive(&v, &p, NULL), 0);

    HMAC(EVP_sha256(), v.stored_key, 32, (const unsigned char *)auth_message, sizeof auth_message - 1, mac, &n);
    str_init(&proof, &mem);
    assert_int_equal(base64_decode(&proof, SPAN("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")), 0);
    for (size_t i = 0; i < 32; i++)
        mac[i] ^= (unsigned char)proof.p[i]; /* ClientKey */
    SHA256(mac, 32, hash);
    assert_memory_equal(hash, v.stored_key, 32);

    HMAC(EVP_sha256(), v.server_key, 32, (const unsigned char *)auth_message, sizeof auth_message - 1, mac, &n);
    str_clear(&s);
    base64_encode(&s, span_of(mac, 32));
    assert_string_equal(str_z(&s), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    arena_done(&mem);
}

static void preparation(void **state)
{
    static const struct { const char *raw, *want; } rows[] = {
        {"pencil", "pencil"},
        {"correct horse battery staple", "correct horse battery staple"}, /* RFC 8265 4.3 */
        {"Correct Horse", "Correct Horse"},                               /* case stays */
        {"foo\xe1\x9a\x80" "bar", "foo bar"},                             /* OGHAM SPACE MARK becomes a space */
        {"a\xc2\xa0" "b", "a b"},
        {"u\xcc\x88", "\xc3\xbc"},                                        /* NFC */
        {"\xcf\x80\xc3\x9f\xc3\xa5", "\xcf\x80\xc3\x9f\xc3\xa5"},
        {"\xe2\x99\xa5", "\xe2\x99\xa5"},
        {"", NULL},
        {"my cat is a \x09" "by", NULL},                                  /* controls */
        {"a\x7f", NULL},
        {"\xff", NULL},
        {"\xc0\x80", NULL},
        {"a\xe2\x80\x8b", NULL},                                          /* ignorable */
    };
    struct password p;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int rc = password_prepare(&p, span_z(rows[i].raw), NULL);
        if (rc != (rows[i].want != NULL ? 0 : -1) ||
            (rc == 0 && !span_eq(span_of(p.b, p.n), span_z(rows[i].want))))
            fail_msg("row %zu: %s", i, rows[i].raw);
    }
    char longest[2000];
    memset(longest, 'a', sizeof longest);
    assert_int_equal(password_prepare(&p, span_of(longest, (size_t)LIMIT(PASSWORD_BYTES)), NULL), 0);
    assert_int_equal(p.n, LIMIT(PASSWORD_BYTES));
    assert_int_equal(password_prepare(&p, span_of(longest, (size_t)LIMIT(PASSWORD_BYTES) + 1), NULL), -1);
    assert_int_equal(password_prepare(&p, span_of("a\0b", 3), NULL), -1);
}

static void right_wrong_and_unknown_cost_the_same(void **state)
{
    struct password right = prepared("u\xcc\x88" "ber"), same = prepared("\xc3\xbc" "ber"), wrong = prepared("uber");
    struct password_verifier v, w, fake, again, other;
    uint64_t before;

    assert_int_equal(password_make(&v, &right, NULL), 0);
    assert_int_equal(password_make(&w, &right, NULL), 0);
    assert_memory_not_equal(v.salt, w.salt, PASSWORD_SALT);
    assert_memory_not_equal(v.stored_key, w.stored_key, PASSWORD_KEY);

    before = password_computed();
    assert_true(password_check(&v, &same));
    assert_int_equal(password_computed() - before, 1);
    assert_false(password_check(&v, &wrong));
    assert_int_equal(password_computed() - before, 2);
    password_fake(&fake, SPAN("0123456789abcdef0123456789abcdef"), SPAN("nobody@demo.test"));
    assert_false(password_check(&fake, &right));
    assert_int_equal(password_computed() - before, 3);
    assert_int_equal(fake.iterations, v.iterations);

    /* SEC-13: its salt looks like any other and stays what it is */
    password_fake(&again, SPAN("0123456789abcdef0123456789abcdef"), SPAN("nobody@demo.test"));
    password_fake(&other, SPAN("0123456789abcdef0123456789abcdef"), SPAN("noone@demo.test"));
    assert_memory_equal(fake.salt, again.salt, PASSWORD_SALT);
    assert_memory_not_equal(fake.salt, other.salt, PASSWORD_SALT);
}

static struct clock_page page;

static void remembered_for_ten_minutes(void **state)
{
    struct remember *r = remember_new(2);
    struct password a = prepared("a"), b = prepared("b");

    clock_use_page(&page);
    assert_false(remember_check(r, 1, &a));
    remember_put(r, 1, &a);
    assert_true(remember_check(r, 1, &a));
    assert_false(remember_check(r, 1, &b));
    assert_false(remember_check(r, 2, &a)); /* another's */
    page.mono_offset_ms += 9 * 60 * 1000;
    assert_true(remember_check(r, 1, &a));
    page.mono_offset_ms += 61 * 1000;
    assert_false(remember_check(r, 1, &a));
    remember_put(r, 1, &a);
    remember_drop(r, 1);
    assert_false(remember_check(r, 1, &a));
    for (uint64_t i = 1; i <= 3; i++)
        remember_put(r, i, &a);
    assert_false(remember_check(r, 1, &a)); /* bounded: the oldest went */
    assert_true(remember_check(r, 2, &a));
    assert_true(remember_check(r, 3, &a));
    clock_use_page(NULL);
    remember_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc7677_vector),
        cmocka_unit_test(preparation),
        cmocka_unit_test(right_wrong_and_unknown_cost_the_same),
        cmocka_unit_test(remembered_for_ten_minutes),
    };
    limit_value[LIMIT_PASSWORD_ITERATIONS] = 4096;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
