/* sasl_test: the grammar of PLAIN, the table, dialogues and who may continue them. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/clock.h"
#include "login/sasl.h"

static void plain_grammar(void **state)
{
    static const struct { struct span in; const char *id, *password; } rows[] = {
        {SPAN("\0tim\0tanstaaftanstaaf"), "tim", "tanstaaftanstaaf"},            /* RFC 4616 4 */
        {SPAN("Ursel\0Kurt\0xipj3plmq"), "Kurt", "xipj3plmq"},                   /* RFC 4616 4 */
        {SPAN("\0a@b.test\0 p w "), "a@b.test", " p w "},
        {SPAN("\0\xc3\xa4\0\xc3\xb6"), "\xc3\xa4", "\xc3\xb6"},
        {SPAN(""), NULL, NULL},
        {SPAN("\0"), NULL, NULL},
        {SPAN("\0\0"), NULL, NULL},
        {SPAN("\0tim"), NULL, NULL},
        {SPAN("\0tim\0"), NULL, NULL},
        {SPAN("\0\0secret"), NULL, NULL},
        {SPAN("tim\0secret"), NULL, NULL},
        {SPAN("\0tim\0secret\0"), NULL, NULL},
        {SPAN("\0tim\0sec\0ret"), NULL, NULL},
        {SPAN("\0t\xff\0secret"), NULL, NULL},
        {SPAN("\0tim\0\xed\xa0\x80"), NULL, NULL},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct sasl_plain p;
        int rc = sasl_plain_parse(rows[i].in, &p);
        if (rc != (rows[i].id != NULL ? 0 : -1))
            fail_msg("row %zu", i);
        if (rc == 0) {
            assert_true(span_eq(p.authcid, span_z(rows[i].id)));
            assert_true(span_eq(p.password, span_z(rows[i].password)));
        }
    }
}

/* Cut anywhere: never more than the input says, in memory of exactly that size so that ASan sees one byte too far. */
static void plain_truncated(void **state)
{
    struct span whole = SPAN("tim\0tim\0tan");

    for (size_t n = 0; n <= whole.n; n++) {
        char *copy = malloc(n + !n);
        struct sasl_plain p;
        memcpy(copy, whole.p, n);
        assert_int_equal(sasl_plain_parse(span_of(copy, n), &p), n > 8 ? 0 : -1);
        free(copy);
    }
}

static void plain_lengths(void **state)
{
    char in[2100] = {0};
    struct sasl_plain p;

    memset(in + 1, 'u', 255);
    memset(in + 257, 'p', 1024);
    assert_int_equal(sasl_plain_parse(span_of(in, 257 + 1024), &p), 0);
    in[257 + 1024] = 'p';
    assert_int_equal(sasl_plain_parse(span_of(in, 257 + 1025), &p), -1);
    in[256] = 'u';
    in[257] = 0;
    assert_int_equal(sasl_plain_parse(span_of(in, 300), &p), -1);
}

static struct arena mem;

static struct sasl_step step(struct sasl *s, struct msg_sasl in, uint64_t owner)
{
    struct sasl_step out;

    sasl_step(s, &in, owner, &mem, &out);
    return out;
}

#define PLAIN_IN(resp, fl) ((struct msg_sasl){.mech = SPAN("PLAIN"), .response = (resp), .flags = (fl)})

static void only_where_nobody_listens(void **state)
{
    struct sasl *strict = sasl_new(false), *demo = sasl_new(true);
    struct span good = SPAN("\0tim\0secret");

    assert_int_equal(step(strict, PLAIN_IN(good, SASL_IN_TLS), 1).want, SASL_WANT_CHECK);
    assert_int_equal(step(strict, PLAIN_IN(good, SASL_IN_TLS | SASL_LOOPBACK), 1).want, SASL_WANT_CHECK);
    assert_int_equal(step(strict, PLAIN_IN(good, SASL_LOOPBACK), 1).state, SASL_MECH);
    assert_int_equal(step(strict, PLAIN_IN(good, 0), 1).state, SASL_MECH);
    assert_int_equal(step(demo, PLAIN_IN(good, SASL_LOOPBACK), 1).want, SASL_WANT_CHECK);
    assert_int_equal(step(demo, PLAIN_IN(good, 0), 1).state, SASL_MECH);
    assert_int_equal(step(demo, PLAIN_IN(good, 0), 1).want, SASL_WANT_NOTHING);
    sasl_free(strict);
    sasl_free(demo);
}

static void mechanisms(void **state)
{
    static const char *const none[] = {"", "plain", "NTLM", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-512", "scram-sha-256", "ANONYMOUS"};
    struct sasl *s = sasl_new(false);

    for (size_t i = 0; i < COUNT_OF(none); i++)
        assert_int_equal(step(s, (struct msg_sasl){.mech = span_z(none[i]), .flags = SASL_IN_TLS}, 1).state, SASL_MECH);
    sasl_free(s);
}

static void authzid(void **state)
{
    struct sasl *s = sasl_new(false);
    struct sasl_step r = step(s, PLAIN_IN(SPAN("Tim@b.test\0tim@B.test\0secret"), SASL_IN_TLS), 1);

    assert_int_equal(r.want, SASL_WANT_CHECK);
    assert_true(span_eq(r.name, SPAN("tim@B.test")));
    r = step(s, PLAIN_IN(SPAN("kim@b.test\0tim@b.test\0secret"), SASL_IN_TLS), 1);
    assert_int_equal(r.want, SASL_WANT_NOTHING);
    assert_int_equal(r.state, SASL_BAD);
    sasl_free(s);
}

static struct clock_page page;

static void dialogues(void **state)
{
    struct sasl *s = sasl_new(false);
    struct msg_sasl in = PLAIN_IN(SPAN_NONE, SASL_IN_TLS);
    struct sasl_step r = step(s, in, 1);

    clock_use_page(&page);
    assert_int_equal(r.state, SASL_MORE);
    assert_true(r.dialog != 0 && r.challenge.n == 0);
    in.dialog = r.dialog;
    in.response = SPAN("\0tim\0secret");
    assert_int_equal(step(s, in, 2).state, SASL_SYNTAX); /* not that front's */
    assert_int_equal(step(s, in, 2).want, SASL_WANT_NOTHING);
    in.flags = 0;
    assert_int_equal(step(s, in, 1).state, SASL_MECH);   /* TLS cannot go away half-way */
    in.flags = SASL_IN_TLS;
    assert_int_equal(step(s, in, 1).want, SASL_WANT_CHECK);
    assert_int_equal(step(s, in, 1).state, SASL_SYNTAX); /* over */
    assert_int_equal(sasl_dialogs(s), 0);

    in = PLAIN_IN(SPAN_NONE, SASL_IN_TLS);
    in.dialog = step(s, in, 1).dialog;
    assert_int_equal(step(s, in, 1).state, SASL_SYNTAX); /* the second time it must be there */
    assert_int_equal(sasl_dialogs(s), 0);

    in.dialog = 0;
    in.dialog = step(s, in, 1).dialog;
    page.mono_offset_ms += 121 * 1000;
    assert_int_equal(step(s, in, 1).state, SASL_SYNTAX); /* expired */
    assert_int_equal(sasl_dialogs(s), 0);
    clock_use_page(NULL);

    in.dialog = 0;
    for (int i = 0; i < 30000; i++)
        step(s, in, 1);
    assert_true(sasl_dialogs(s) <= 20000);
    sasl_free(s);
}

static void login(void **state)
{
    struct sasl *s = sasl_new(false);
    struct msg_sasl in = {.mech = SPAN("LOGIN"), .flags = SASL_IN_TLS};
    struct sasl_step r;

    for (int initial = 0; initial < 2; initial++) { /* with an initial response, as some send it */
        in.dialog = 0;
        in.response = SPAN_NONE;
        if (initial == 0) {
            r = step(s, in, 1);
            assert_true(span_eq(r.challenge, SPAN("Username:")));
            in.dialog = r.dialog;
        }
        in.response = SPAN("tim@b.test");
        r = step(s, in, 1);
        assert_int_equal(r.state, SASL_MORE);
        assert_true(span_eq(r.challenge, SPAN("Password:")));
        in.dialog = r.dialog;
        in.response = SPAN("secret");
        r = step(s, in, 1);
        assert_int_equal(r.want, SASL_WANT_CHECK);
        assert_true(span_eq(r.name, SPAN("tim@b.test")) && span_eq(r.password, SPAN("secret")));
        assert_int_equal(sasl_dialogs(s), 0);
    }
    in.dialog = 0;
    in.response = SPAN("tim\0tom");
    assert_int_equal(step(s, in, 1).state, SASL_SYNTAX);
    in.response = SPAN_NONE;
    in.dialog = step(s, in, 1).dialog;
    assert_int_equal(step(s, in, 1).state, SASL_SYNTAX); /* no name */
    assert_int_equal(sasl_dialogs(s), 0);
    sasl_free(s);
}

/* The exchange of RFC 7677 3, as far as a server with nonces of its own can have it. */
struct scram_case {
    const char *mech, *first, *binding_of_final; /* what c= carries, decoded */
    uint32_t flags;
    struct span binding;
    enum sasl_state refused; /* SASL_OK: it gets in */
};

static enum sasl_state scram_talk(struct sasl *s, const struct scram_case *c)
{
    unsigned char stored[SCRAM_KEY], server[SCRAM_KEY], client[SCRAM_KEY];
    struct msg_sasl in = {.mech = span_z(c->mech), .response = span_z(c->first), .flags = c->flags, .binding = c->binding};
    struct sasl_step r = step(s, in, 1);
    struct str final;
    struct span nonce;

    memset(stored, 1, sizeof stored);
    memset(server, 2, sizeof server);
    memset(client, 3, sizeof client);
    if (r.want != SASL_WANT_SALT)
        return r.state;
    assert_true(span_eq(r.name, SPAN("user")));
    sasl_salt(s, &r, SPAN("0123456789abcdef"), 4096, &mem);
    assert_int_equal(r.state, SASL_MORE);
    assert_true(span_starts(r.challenge, SPAN("r=clientnonce")));
    assert_true(span_ends_nocase(r.challenge, SPAN(",s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096")));
    nonce = span_sub(r.challenge, 2, (size_t)span_find_char(r.challenge, ',') - 2);
    assert_int_equal(nonce.n, 11 + 24);
    str_init(&final, &mem);
    str_addz(&final, "c=");
    base64_encode(&final, span_z(c->binding_of_final));
    str_addf(&final, ",r=%.*s,p=", SPAN_ARGS(nonce));
    base64_encode(&final, span_of(client, sizeof client));
    in.dialog = r.dialog;
    in.response = str_span(&final);
    r = step(s, in, 1);
    if (r.want != SASL_WANT_PROOF)
        return r.state;
    assert_true(span_starts(r.auth_message, SPAN("n=user,r=clientnonce,r=clientnonce")));
    assert_int_equal(r.proof.n, 32);
    assert_false(scram_proves(SCRAM_SHA256, stored, r.auth_message, r.proof));
    sasl_proven(s, &r, server, 77, 78, &mem);
    assert_true(span_starts(r.challenge, SPAN("v=")));
    in.dialog = r.dialog;
    in.response = SPAN_NONE;
    r = step(s, in, 1);
    assert_int_equal(r.want, SASL_WANT_SESSION);
    assert_true(r.account == 77 && r.credential == 78 && span_eq(r.name, SPAN("user")));
    return SASL_OK;
}

static void scram(void **state)
{
    static const char p256[] = "SCRAM-SHA-256", plus[] = "SCRAM-SHA-256-PLUS";
    const uint32_t tls = SASL_IN_TLS, bound = SASL_IN_TLS | SASL_PLUS;
    const struct span b = SPAN("bindingbytes");
    const struct scram_case rows[] = {
        {p256, "n,,n=user,r=clientnonce", "n,,", tls, SPAN_NONE, SASL_OK},
        {p256, "y,,n=user,r=clientnonce", "y,,", tls, SPAN_NONE, SASL_OK},      /* nothing was announced */
        {p256, "y,,n=user,r=clientnonce", "y,,", bound, b, SASL_BAD},           /* it was, and somebody hid it */
        {p256, "n,,n=user,r=clientnonce", "n,,", bound, b, SASL_OK},
        {p256, "p=tls-exporter,,n=user,r=clientnonce", "p=tls-exporter,,bindingbytes", bound, b, SASL_SYNTAX},
        {p256, "n,,n=user,r=clientnonce", "y,,", tls, SPAN_NONE, SASL_BAD},     /* the header was changed on its way */
        {p256, "n,,n=user,r=clientnonce", "n,,x", tls, SPAN_NONE, SASL_BAD},
        {p256, "n,a=user,n=user,r=clientnonce", "n,a=user,", tls, SPAN_NONE, SASL_OK},
        {p256, "n,a=other,n=user,r=clientnonce", "n,a=other,", tls, SPAN_NONE, SASL_BAD},
        {p256, "n,,n=user", "n,,", tls, SPAN_NONE, SASL_SYNTAX},
        {plus, "p=tls-exporter,,n=user,r=clientnonce", "p=tls-exporter,,bindingbytes", bound, b, SASL_OK},
        {plus, "p=tls-exporter,,n=user,r=clientnonce", "p=tls-exporter,,otherchannel", bound, b, SASL_BAD},
        {plus, "p=tls-exporter,,n=user,r=clientnonce", "p=tls-exporter,,", bound, b, SASL_BAD},
        {plus, "p=tls-unique,,n=user,r=clientnonce", "p=tls-unique,,bindingbytes", bound, b, SASL_BAD},
        {plus, "n,,n=user,r=clientnonce", "n,,", bound, b, SASL_SYNTAX},
        {plus, "y,,n=user,r=clientnonce", "y,,", bound, b, SASL_SYNTAX},
        {plus, "p=tls-exporter,,n=user,r=clientnonce", "p=tls-exporter,,", tls, SPAN_NONE, SASL_MECH},
        {plus, "p=tls-exporter,,n=user,r=clientnonce", "p=tls-exporter,,", bound, SPAN_NONE, SASL_MECH},
        {p256, "n,,n=user,r=clientnonce", "n,,", 0, SPAN_NONE, SASL_MECH},
    };
    struct sasl *s = sasl_new(false);

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        enum sasl_state got = scram_talk(s, &rows[i]);
        if (got != rows[i].refused || sasl_dialogs(s) != 0)
            fail_msg("row %zu: %d", i, got);
    }
    sasl_free(s);
}

static void scram_out_of_step(void **state)
{
    struct sasl *s = sasl_new(false);
    struct msg_sasl in = {.mech = SPAN("SCRAM-SHA-256"), .response = SPAN("n,,n=user,r=abc"), .flags = SASL_IN_TLS};
    struct sasl_step r = step(s, in, 1);

    sasl_salt(s, &r, SPAN("0123456789abcdef"), 4096, &mem);
    in.dialog = r.dialog;
    in.response = SPAN("c=biws,r=abc,p=AAAA"); /* the client's half of the nonce alone */
    assert_int_equal(step(s, in, 1).state, SASL_BAD);
    assert_int_equal(step(s, in, 1).state, SASL_SYNTAX); /* over */
    in.dialog = 0;
    in.response = SPAN("n,,n=user,r=abc");
    r = step(s, in, 1);
    sasl_salt(s, &r, SPAN("0123456789abcdef"), 4096, &mem);
    in.dialog = r.dialog;
    assert_int_equal(step(s, in, 1).state, SASL_SYNTAX); /* the first message again */
    assert_int_equal(sasl_dialogs(s), 0);
    sasl_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_grammar), cmocka_unit_test(plain_truncated), cmocka_unit_test(plain_lengths),
        cmocka_unit_test(only_where_nobody_listens), cmocka_unit_test(mechanisms), cmocka_unit_test(authzid),
        cmocka_unit_test(dialogues), cmocka_unit_test(login), cmocka_unit_test(scram), cmocka_unit_test(scram_out_of_step),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    arena_done(&mem);
    return failed;
}
