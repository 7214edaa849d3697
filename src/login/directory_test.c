/* directory_test: names, recipients, aliases, changes, and what is there after opening again. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <dirent.h>
#include <sqlite3.h>

#include "base/limits.h"
#include "base/str.h"
#include "login/directory.h"
#include "login/directory_rcpt.h"
#include "login/login_name.h"

static struct arena mem;
static struct fail f;
static char dir[64], path[96];
static struct directory *d;

static int setup(void **state)
{
    snprintf(dir, sizeof dir, "/tmp/directory_test.XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/directory.db", dir);
    arena_init(&mem);
    limit_value[LIMIT_PASSWORD_ITERATIONS] = 4096;
    d = directory_open(path, &f);
    assert_non_null(d);
    return 0;
}

static int teardown(void **state)
{
    DIR *list = opendir(dir);
    struct dirent *e;

    directory_close(d);
    arena_done(&mem);
    while ((e = readdir(list)) != NULL)
        unlinkat(dirfd(list), e->d_name, 0);
    closedir(list);
    rmdir(dir);
    return 0;
}

static void reopen(void)
{
    directory_close(d);
    d = directory_open(path, &f);
    if (d == NULL)
        fail_msg("%s", f.text);
}

/* Behind the program's back, for what its own checks would not allow. */
static void raw_sql(const char *sql)
{
    sqlite3 *db;

    directory_close(d);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    d = directory_open(path, &f);
    assert_non_null(d);
}

static int finish(int rc, struct directory_change *c)
{
    struct password p;
    bool broken;

    if (rc < 0)
        return -1;
    if (c->new_account || c->kind == DIRECTORY_PASSWORD) {
        assert_int_equal(password_prepare(&p, SPAN("pencil"), &f), 0);
        assert_int_equal(password_make(&c->verifier, &p, &f), 0);
    }
    if (directory_write(d, c, &broken, &f) < 0)
        return -1;
    directory_apply(d, c);
    return 0;
}

static struct directory_change c;

static int add_domain(const char *name, const char *admin)
{
    return finish(directory_plan_domain_add(d, span_z(name), span_z(admin), SPAN_NONE, &c, &mem, &f), &c);
}

static int add_account(const char *address)
{
    return finish(directory_plan_account_add(d, span_z(address), SPAN("de"), &c, &mem, &f), &c);
}

static int remove_account(const char *address)
{
    return finish(directory_plan_account_remove(d, span_z(address), &c, &mem, &f), &c);
}

static int add_alias(const char *address, const char *targets)
{
    return finish(directory_plan_alias_add(d, span_z(address), span_z(targets), &c, &mem, &f), &c);
}

static int remove_alias(const char *address)
{
    return finish(directory_plan_alias_remove(d, span_z(address), &c, &mem, &f), &c);
}

/* "STATUS address address ..." */
static const char *rcpt_span(struct span address)
{
    static const char *const names[] = {"OK", "NO_USER", "NOT_OURS", "DISABLED", "LOOP"};
    struct msg_rcpt_check_r out = {0};
    struct str s;

    directory_rcpt_check(directory_memory(d), address, &mem, &out);
    str_init(&s, &mem);
    str_addz(&s, names[out.status]);
    for (uint32_t i = 0; i < out.targets.n; i++) {
        assert_true(out.targets.v[i].account > 0);
        str_addc(&s, ' ');
        str_add(&s, out.targets.v[i].address);
    }
    return str_z(&s);
}

static const char *rcpt(const char *address)
{
    return rcpt_span(span_z(address));
}

static void domains_need_an_admin(void **state)
{
    assert_int_equal(add_domain("demo.test", ""), -1);
    assert_int_equal(add_domain("demo.test", "alice@other.test"), -1); /* neither there nor in the new domain */
    assert_int_equal(add_domain("demo.test", "alice@demo.test"), 0);
    assert_true(c.new_account && c.account > 0);
    assert_int_equal(add_domain("Demo.TEST", "alice@demo.test"), -1); /* is there */
    assert_int_equal(add_domain("second.test", "Alice@demo.test"), 0);
    assert_false(c.new_account);
    assert_string_equal(rcpt("postmaster@second.test"), "OK alice@demo.test");
    assert_string_equal(rcpt("ABUSE@Second.test"), "OK alice@demo.test");
    assert_string_equal(rcpt("Postmaster"), "OK alice@demo.test");
    assert_string_equal(rcpt("abuse"), "NOT_OURS");
    assert_string_equal(rcpt("postmaster@third.test"), "NOT_OURS");
    reopen();
    assert_string_equal(rcpt("postmaster"), "OK alice@demo.test");
    assert_int_equal(add_account("bob@second.test"), 0);
    assert_int_equal(add_alias("postmaster@second.test", "bob@second.test"), 0); /* a name of its own goes first */
    assert_string_equal(rcpt("postmaster@second.test"), "OK bob@second.test");
    assert_string_equal(rcpt("abuse@second.test"), "OK alice@demo.test");
}

static void what_may_be_a_domain(void **state)
{
    static const char *const bad[] = {
        "",          "test",        "[127.0.0.1]",  "[IPv6:::1]",    "127.0.0.1",    "a..test",     ".test",
        "a.test.",   "-a.test",     "a-.test",      "a_b.test",      "a b.test",     "../a.test",   "xn--a.test",
        "ab--c.test", "\xff.test",  "a.test\n",     "xn--bcher-kva\xc3\xa9.test", "\xe2\x98\x83\xe2\x80\x8d.test",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test",
    };

    assert_int_equal(add_domain("demo.test", "alice@demo.test"), 0);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (add_domain(bad[i], "alice@demo.test") == 0)
            fail_msg("accepted as a domain: %s", bad[i]);
    assert_int_equal(finish(directory_plan_domain_add(d, span_of("a\0.test", 7), SPAN("alice@demo.test"), SPAN_NONE, &c, &mem, &f),
                            &c), -1);
    assert_int_equal(add_domain("a-b.x1.test", "alice@demo.test"), 0);
}

static void what_may_be_an_account(void **state)
{
    static const char *const bad[] = {
        "",           "alice",         "@demo.test",    ".a@demo.test",  "a.@demo.test",  "a..b@demo.test",
        "a b@demo.test", "a@b@demo.test", "a/b@demo.test", "../a@demo.test", "a%b@demo.test", "a!b@demo.test",
        "a|b@demo.test", "\"a\"@demo.test", "a\n@demo.test", "a\x7f@demo.test", "\xff@demo.test",
        "a\xe2\x80\xae@demo.test",          /* bidi override */
        "a\xe2\x80\x8b@demo.test",          /* zero width space */
        "\xef\xac\x81@demo.test",           /* the ligature fi */
        "\327\220a@demo.test",           /* Hebrew then Latin: no direction */
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@demo.test", "a@other.test",
    };
    static const char *const good[] = {
        "a@demo.test", "a.b-c_d+e@demo.test", "o'neil@demo.test", "\xd7\x90\xd7\x91@demo.test", "\xe6\x9d\x8e@demo.test",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@demo.test",
    };

    assert_int_equal(add_domain("demo.test", "alice@demo.test"), 0);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (add_account(bad[i]) == 0)
            fail_msg("accepted as an account: %s", bad[i]);
    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (add_account(good[i]) < 0)
            fail_msg("refused as an account: %s: %s", good[i], f.text);
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_int_equal(add_account(good[i]), -1); /* twice */
    assert_string_equal(rcpt("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@demo.test"), "NO_USER");
    assert_string_equal(rcpt_span(span_of("a\0b@demo.test", 13)), "NO_USER");
    assert_string_equal(rcpt("\xff@demo.test"), "NO_USER");
}

static void one_name_many_spellings(void **state)
{
    /* Bücher.test, its A-label, capitals, decomposed u-umlaut */
    static const char *const domains[] = {"b\xc3\xbc" "cher.test", "xn--bcher-kva.test", "XN--BCHER-KVA.Test",
                                          "B\xc3\x9c" "CHER.TEST", "bu\xcc\x88" "cher.test"};
    static const char *const locals[] = {"j\xc3\xb6rg", "J\xc3\x96RG", "jo\xcc\x88rg", "\xef\xbd\x8a\xc3\xb6rg"};
    char address[128];

    assert_int_equal(add_domain(domains[0], "J\xc3\xb6rg@xn--bcher-kva.test"), 0);
    for (size_t i = 0; i < COUNT_OF(domains); i++)
        for (size_t j = 0; j < COUNT_OF(locals); j++) {
            snprintf(address, sizeof address, "%s@%s", locals[j], domains[i]);
            assert_string_equal(rcpt(address), "OK j\xc3\xb6rg@xn--bcher-kva.test");
        }
    assert_int_equal(add_domain(domains[1], "J\xc3\xb6rg@xn--bcher-kva.test"), -1);
    assert_string_equal(rcpt("jorg@b\xc3\xbc" "cher.test"), "NO_USER");
    assert_string_equal(rcpt("j\xc3\xb6rg@bucher.test"), "NOT_OURS");
}

static void aliases_expand(void **state)
{
    assert_int_equal(add_domain("demo.test", "alice@demo.test"), 0);
    assert_int_equal(add_account("bob@demo.test"), 0);
    assert_int_equal(add_account("carol@demo.test"), 0);
    assert_int_equal(add_alias("team@demo.test", "Bob@demo.test carol@DEMO.test bob@demo.test"), 0);
    assert_string_equal(rcpt("Team@demo.test"), "OK bob@demo.test carol@demo.test");
    assert_int_equal(add_alias("all@demo.test", "team@demo.test alice@demo.test bob@demo.test"), 0);
    assert_string_equal(rcpt("all@demo.test"), "OK bob@demo.test carol@demo.test alice@demo.test");
    assert_int_equal(add_alias("team@demo.test", "alice@demo.test"), -1);  /* is there */
    assert_int_equal(add_alias("bob@demo.test", "alice@demo.test"), -1);   /* an account */
    assert_int_equal(add_account("team@demo.test"), -1);
    assert_int_equal(add_alias("x@demo.test", ""), -1);
    assert_int_equal(add_alias("x@demo.test", "x@demo.test"), -1);
    assert_int_equal(add_alias("x@demo.test", "nobody@demo.test"), -1);
    assert_int_equal(add_alias("x@demo.test", "bob@demo.test friend@example.org"), -1);
    assert_non_null(strstr(f.text, "relay"));
    reopen();
    assert_string_equal(rcpt("all@demo.test"), "OK bob@demo.test carol@demo.test alice@demo.test");
    assert_int_equal(remove_account("carol@demo.test"), 0);
    assert_string_equal(rcpt("team@demo.test"), "OK bob@demo.test"); /* what is gone gets nothing */
    assert_int_equal(remove_account("bob@demo.test"), 0);
    assert_string_equal(rcpt("team@demo.test"), "NO_USER");
    assert_int_equal(remove_alias("bob@demo.test"), -1);
    assert_int_equal(remove_alias("all@demo.test"), 0);
    assert_int_equal(remove_alias("all@demo.test"), -1);
    assert_string_equal(rcpt("all@demo.test"), "NO_USER");
}

static void circles_end(void **state)
{
    char name[64], before[64];

    assert_int_equal(add_domain("demo.test", "alice@demo.test"), 0);
    assert_int_equal(add_account("bob@demo.test"), 0);
    assert_int_equal(add_alias("one@demo.test", "bob@demo.test"), 0);
    assert_int_equal(add_alias("two@demo.test", "one@demo.test"), 0);
    assert_int_equal(remove_account("bob@demo.test"), 0);
    assert_int_equal(add_alias("bob@demo.test", "two@demo.test"), -1); /* bob -> two -> one -> bob */
    assert_string_equal(f.code, "5.4.6");
    raw_sql("INSERT INTO alias(address, local, domain, targets) VALUES"
            "('r1@demo.test', 'r1', 1, 'alice@demo.test r2@demo.test'), ('r2@demo.test', 'r2', 1, 'r1@demo.test'),"
            "('self@demo.test', 'self', 1, 'self@demo.test')");
    assert_string_equal(rcpt("r1@demo.test"), "LOOP");
    assert_string_equal(rcpt("r2@demo.test"), "LOOP");
    assert_string_equal(rcpt("self@demo.test"), "LOOP");
    assert_string_equal(rcpt("alice@demo.test"), "OK alice@demo.test");
    /* limit alias_depth: 10 steps are fine, the eleventh is refused */
    snprintf(before, sizeof before, "alice@demo.test");
    for (int i = 1; i <= LIMIT(ALIAS_DEPTH); i++) {
        snprintf(name, sizeof name, "step%d@demo.test", i);
        assert_int_equal(add_alias(name, before), 0);
        assert_string_equal(rcpt(name), "OK alice@demo.test");
        snprintf(before, sizeof before, "%s", name);
    }
    assert_int_equal(add_alias("toofar@demo.test", before), -1);
    raw_sql("INSERT INTO alias(address, local, domain, targets) VALUES"
            "('toofar@demo.test', 'toofar', 1, 'step10@demo.test')");
    assert_string_equal(rcpt("toofar@demo.test"), "LOOP");
}

static void expansion_is_bounded(void **state)
{
    assert_int_equal(add_domain("demo.test", "alice@demo.test"), 0);
    for (int i = 0; i < 8; i++) {
        char name[64];
        snprintf(name, sizeof name, "u%d@demo.test", i);
        assert_int_equal(add_account(name), 0);
    }
    limit_value[LIMIT_ALIAS_TARGETS] = 6;
    assert_int_equal(add_alias("few@demo.test", "u0@demo.test u1@demo.test u2@demo.test u3@demo.test"), 0);
    assert_string_equal(rcpt("few@demo.test"), "OK u0@demo.test u1@demo.test u2@demo.test u3@demo.test");
    assert_int_equal(add_alias("many@demo.test", "u0@demo.test u1@demo.test u2@demo.test u3@demo.test u4@demo.test "
                               "u5@demo.test u6@demo.test"), -1);
    /* Ten levels, two aliases each that name both of the next: 40 steps, not 2^10 */
    limit_value[LIMIT_ALIAS_TARGETS] = 60;
    char x[64], y[64], both[128] = "alice@demo.test";
    for (int i = 0; i < 10; i++) {
        snprintf(x, sizeof x, "x%d@demo.test", i);
        snprintf(y, sizeof y, "y%d@demo.test", i);
        assert_int_equal(add_alias(x, both), 0);
        assert_int_equal(add_alias(y, both), 0);
        snprintf(both, sizeof both, "%s %s", x, y);
    }
    assert_string_equal(rcpt(x), "OK alice@demo.test");
    limit_value[LIMIT_ALIAS_TARGETS] = limit_table[LIMIT_ALIAS_TARGETS].def;
}

static void removal(void **state)
{
    uint64_t bob, *gone;
    size_t n;

    assert_int_equal(add_domain("demo.test", "alice@demo.test"), 0);
    assert_int_equal(remove_account("alice@demo.test"), -1);
    assert_non_null(strstr(f.text, "demo.test"));
    assert_int_equal(add_account("bob@demo.test"), 0);
    bob = c.account;
    assert_int_equal(remove_account("Bob@Demo.test"), 0);
    assert_true(c.account == bob);
    assert_string_equal(rcpt("bob@demo.test"), "NO_USER");
    assert_int_equal(remove_account("bob@demo.test"), -1);
    assert_int_equal(directory_list_gone(d, &gone, &n, &mem, &f), 0);
    assert_int_equal(n, 1);
    assert_true(gone[0] == bob);
    reopen(); /* the number is not given out again, not even after a start */
    assert_int_equal(add_account("bob@demo.test"), 0);
    assert_true(c.account > bob);
    raw_sql("UPDATE account SET disabled = 1 WHERE address = 'bob@demo.test'");
    assert_string_equal(rcpt("bob@demo.test"), "DISABLED");
    assert_int_equal(add_alias("b@demo.test", "bob@demo.test"), 0);
    assert_string_equal(rcpt("b@demo.test"), "DISABLED");
}

static void passwords_are_kept(void **state)
{
    struct password p;
    struct directory_account *a;
    struct password_verifier before;

    assert_int_equal(add_domain("demo.test", "alice@demo.test"), 0);
    reopen();
    a = directory_cache_account(directory_memory(d), SPAN("alice@demo.test"));
    assert_non_null(a);
    assert_int_equal(password_prepare(&p, SPAN("pencil"), &f), 0);
    assert_true(password_check(&a->verifier, &p));
    before = a->verifier;
    assert_int_equal(finish(directory_plan_password(d, SPAN("ALICE@demo.test"), &c, &mem, &f), &c), 0);
    assert_memory_not_equal(before.salt, a->verifier.salt, PASSWORD_SALT);
    assert_int_equal(directory_plan_password(d, SPAN("nobody@demo.test"), &c, &mem, &f), -1);
    before = a->verifier;
    reopen();
    a = directory_cache_account(directory_memory(d), SPAN("alice@demo.test"));
    assert_memory_equal(before.stored_key, a->verifier.stored_key, PASSWORD_KEY);
}

static void lists(void **state)
{
    struct msg_domain_list_r domains;
    struct msg_account_list_r accounts;
    struct msg_alias_list_r aliases;

    assert_int_equal(add_domain("demo.test", "alice@demo.test"), 0);
    assert_int_equal(add_domain("a.test", "alice@demo.test"), 0);
    assert_int_equal(add_account("bob@demo.test"), 0);
    assert_int_equal(add_alias("b@demo.test", "bob@demo.test"), 0);
    assert_int_equal(directory_list_domains(d, &domains, &mem, &f), 0);
    assert_int_equal(domains.domains.n, 2);
    assert_true(span_eq(domains.domains.v[1].name, SPAN("demo.test")));
    assert_true(span_eq(domains.domains.v[1].admin, SPAN("alice@demo.test")));
    assert_int_equal(domains.domains.v[1].accounts, 2);
    assert_int_equal(domains.domains.v[1].aliases, 1);
    assert_int_equal(directory_list_accounts(d, SPAN_NONE, &accounts, &mem, &f), 0);
    assert_int_equal(accounts.accounts.n, 2);
    assert_true(span_eq(accounts.accounts.v[1].lang, SPAN("de")));
    assert_int_equal(directory_list_accounts(d, SPAN("Alice@demo.test"), &accounts, &mem, &f), 0);
    assert_int_equal(accounts.accounts.n, 1);
    assert_true(span_eq(accounts.accounts.v[0].address, SPAN("bob@demo.test")));
    assert_int_equal(directory_list_aliases(d, SPAN_NONE, &aliases, &mem, &f), 0);
    assert_int_equal(aliases.aliases.n, 1);
    assert_true(span_eq(aliases.aliases.v[0].targets, SPAN("bob@demo.test")));
}

static void newer_schema_is_refused(void **state)
{
    sqlite3 *db;

    directory_close(d);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE meta SET value = 99 WHERE name = 'schema'", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    d = directory_open(path, &f);
    assert_null(d);
    assert_non_null(strstr(f.text, "newer"));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(domains_need_an_admin), TEST(what_may_be_a_domain), TEST(what_may_be_an_account),
        TEST(one_name_many_spellings), TEST(aliases_expand), TEST(circles_end), TEST(expansion_is_bounded),
        TEST(removal), TEST(passwords_are_kept), TEST(lists), TEST(newer_schema_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
