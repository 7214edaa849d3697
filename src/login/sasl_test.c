/* sasl_test: the grammar of PLAIN, the table, dialogues and who may continue them. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

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

static struct sasl_step step(struct sasl *s, struct msg_sasl in, uint64_t owner)
{
    struct sasl_step out;

    sasl_step(s, &in, owner, &out);
    return out;
}

#define PLAIN_IN(resp, fl) ((struct msg_sasl){.mech = SPAN("PLAIN"), .response = (resp), .flags = (fl)})

static void only_where_nobody_listens(void **state)
{
    struct sasl *strict = sasl_new(false), *demo = sasl_new(true);
    struct span good = SPAN("\0tim\0secret");

    assert_true(step(strict, PLAIN_IN(good, SASL_IN_TLS), 1).check);
    assert_true(step(strict, PLAIN_IN(good, SASL_IN_TLS | SASL_LOOPBACK), 1).check);
    assert_int_equal(step(strict, PLAIN_IN(good, SASL_LOOPBACK), 1).state, SASL_MECH);
    assert_int_equal(step(strict, PLAIN_IN(good, 0), 1).state, SASL_MECH);
    assert_true(step(demo, PLAIN_IN(good, SASL_LOOPBACK), 1).check);
    assert_int_equal(step(demo, PLAIN_IN(good, 0), 1).state, SASL_MECH);
    assert_false(step(demo, PLAIN_IN(good, 0), 1).check);
    sasl_free(strict);
    sasl_free(demo);
}

static void mechanisms(void **state)
{
    static const char *const none[] = {"", "plain", "NTLM", "CRAM-MD5", "DIGEST-MD5", "LOGIN", "SCRAM-SHA-1", "ANONYMOUS"};
    struct sasl *s = sasl_new(false);

    for (size_t i = 0; i < COUNT_OF(none); i++)
        assert_int_equal(step(s, (struct msg_sasl){.mech = span_z(none[i]), .flags = SASL_IN_TLS}, 1).state, SASL_MECH);
    sasl_free(s);
}

static void authzid(void **state)
{
    struct sasl *s = sasl_new(false);
    struct sasl_step r = step(s, PLAIN_IN(SPAN("Tim@b.test\0tim@B.test\0secret"), SASL_IN_TLS), 1);

    assert_true(r.check);
    assert_true(span_eq(r.name, SPAN("tim@B.test")));
    r = step(s, PLAIN_IN(SPAN("kim@b.test\0tim@b.test\0secret"), SASL_IN_TLS), 1);
    assert_false(r.check);
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
    assert_false(step(s, in, 2).check);
    in.flags = 0;
    assert_int_equal(step(s, in, 1).state, SASL_MECH);   /* TLS cannot go away half-way */
    in.flags = SASL_IN_TLS;
    assert_true(step(s, in, 1).check);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_grammar), cmocka_unit_test(plain_truncated), cmocka_unit_test(plain_lengths),
        cmocka_unit_test(only_where_nobody_listens), cmocka_unit_test(mechanisms), cmocka_unit_test(authzid),
        cmocka_unit_test(dialogues),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
