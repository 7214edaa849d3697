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
#include "login/directory_near.h"
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

/* "STATUS address address ... >elsewhere ... [+detail] [EXPANDED]" */
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
    for (uint32_t i = 0; i < out.forwards.n; i++) {
        str_addz(&s, " >");
        str_add(&s, out.forwards.v[i].address);
        assert_true(span_ends_nocase(out.forwards.v[i].address, out.forwards.v[i].domain));
    }
    if (out.detail.n > 0)
        str_addf(&s, " +%.*s", SPAN_ARGS(out.detail));
    if (out.flags & RCPT_EXPANDED)
        str_addz(&s, " EXPANDED");
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
        "\327\220a.test", "1\327\220.test", "a\342\200\215b.test", "\315\270.test", /* RFC 5893 2; RFC 5892 A.2; unassigned */
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
        "a|b@demo.test", "\"a\"@demo.test", "a\n@demo.test", "a\x7f@demo.test", "a*@demo.test", "*@demo.test", "\xff@demo.test",
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
    assert_string_equal(rcpt("Team@demo.test"), "OK bob@demo.test carol@demo.test EXPANDED");
    assert_int_equal(add_alias("all@demo.test", "team@demo.test alice@demo.test bob@demo.test"), 0);
    assert_string_equal(rcpt("all@demo.test"), "OK bob@demo.test carol@demo.test alice@demo.test EXPANDED");
    assert_int_equal(add_alias("team@demo.test", "alice@demo.test"), -1);  /* is there */
    assert_int_equal(add_alias("bob@demo.test", "alice@demo.test"), -1);   /* an account */
    assert_int_equal(add_account("team@demo.test"), -1);
    assert_int_equal(add_alias("x@demo.test", ""), -1);
    assert_int_equal(add_alias("x@demo.test", "x@demo.test"), -1);
    assert_int_equal(add_alias("x@demo.test", "nobody@demo.test"), -1);
    reopen();
    assert_string_equal(rcpt("all@demo.test"), "OK bob@demo.test carol@demo.test alice@demo.test EXPANDED");
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
    assert_string_equal(rcpt("few@demo.test"), "OK u0@demo.test u1@demo.test u2@demo.test u3@demo.test EXPANDED");
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

static void aliases_lead_elsewhere(void **state)
{
    static const char *const bad[] = {"x", "x@", "@example.org", "a b@example.org", "\"a\"@example.org", "x@[192.0.2.1]",
                                      "x@example", "a..b@example.org", "x@-a.org", "\xff@example.org"};
    struct msg_rcpt_check_r out = {0};

    assert_int_equal(add_domain("demo.test", "alice@demo.test"), 0);
    assert_int_equal(add_alias("out@demo.test", "J.Doe@Example.ORG"), 0);
    assert_string_equal(rcpt("out@demo.test"), "OK >J.Doe@example.org");
    assert_int_equal(add_alias("both@demo.test", "alice@demo.test out@demo.test J.Doe@example.org j.doe@example.org"), 0);
    assert_string_equal(rcpt("both@demo.test"), "OK alice@demo.test >J.Doe@example.org >j.doe@example.org EXPANDED");
    assert_string_equal(rcpt("J.Doe@example.org"), "NOT_OURS"); /* the way is through the alias alone */
    directory_rcpt_check(directory_memory(d), SPAN("Both@Demo.test"), &mem, &out);
    assert_true(span_eq(out.forwards.v[0].via, SPAN("both@demo.test")));
    assert_true(span_eq(out.forwards.v[0].domain, SPAN("example.org")));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (add_alias("bad@demo.test", bad[i]) == 0)
            fail_msg("accepted as a target: %s", bad[i]);
    assert_int_equal(add_alias("idn@demo.test", "j\xc3\xb6rg@b\xc3\xbc" "cher.example"), 0);
    assert_string_equal(rcpt("idn@demo.test"), "OK >j\xc3\xb6rg@xn--bcher-kva.example");
    limit_value[LIMIT_ALIAS_TARGETS] = 3;
    assert_int_equal(add_alias("many@demo.test", "a@example.org b@example.org c@example.org d@example.org"), -1);
    limit_value[LIMIT_ALIAS_TARGETS] = limit_table[LIMIT_ALIAS_TARGETS].def;
    reopen();
    assert_string_equal(rcpt("out@demo.test"), "OK >J.Doe@example.org");
    assert_int_equal(add_domain("example.org", "alice@demo.test"), 0); /* now it is ours: nobody is there of that name */
    assert_string_equal(rcpt("out@demo.test"), "NO_USER");
    assert_int_equal(add_account("j.doe@example.org"), 0);
    assert_string_equal(rcpt("both@demo.test"), "OK alice@demo.test j.doe@example.org EXPANDED");
}

static void names_have_an_order(void **state)
{
    static const struct { const char *rcpt, *want; } rows[] = {
        {"bob@demo.test", "OK bob@demo.test"},
        {"bob+x@demo.test", "OK bob@demo.test +x"},
        {"Bob+X+y@Demo.test", "OK bob@demo.test +x+y"},
        {"bob+own@demo.test", "OK alice@demo.test"},            /* an alias of that very name */
        {"bob+own+z@demo.test", "OK alice@demo.test +z"},       /* the longest one */
        {"bob+@demo.test", "OK bob@demo.test"},
        {"+bob@demo.test", "OK carol@demo.test"},               /* the catch-all: there is no name before the sign */
        {"team+x@demo.test", "OK alice@demo.test bob@demo.test +x EXPANDED"},
        {"postmaster@demo.test", "OK alice@demo.test"},         /* before any wildcard */
        {"shop-1@demo.test", "OK bob@demo.test"},
        {"shop-@demo.test", "OK bob@demo.test"},
        {"shop-vip-1@demo.test", "OK alice@demo.test"},
        {"shop-own@demo.test", "OK carol@demo.test"},           /* an account */
        {"shop@demo.test", "OK carol@demo.test"},
        {"\xff@demo.test", "NO_USER"},
        {"nobody@other.test", "NO_USER"},                        /* wildcards are of their domain alone */
        {"shop-1@other.test", "NO_USER"},
        {"bob+x@example.org", "NOT_OURS"},
    };

    assert_int_equal(add_domain("demo.test", "alice@demo.test"), 0);
    assert_int_equal(add_domain("other.test", "alice@demo.test"), 0);
    assert_int_equal(add_account("bob@demo.test"), 0);
    assert_int_equal(add_account("carol@demo.test"), 0);
    assert_int_equal(add_alias("bob+own@demo.test", "alice@demo.test"), 0);
    assert_int_equal(add_alias("team@demo.test", "alice@demo.test bob+list@demo.test"), 0);
    assert_int_equal(add_alias("shop-*@demo.test", "bob@demo.test"), 0);
    assert_int_equal(add_alias("shop-vip-*@demo.test", "alice@demo.test"), 0);
    assert_int_equal(add_alias("shop-own@demo.test", "carol@demo.test"), 0);
    assert_string_equal(rcpt("shop@demo.test"), "NO_USER");
    assert_int_equal(add_alias("@demo.test", "carol@demo.test"), 0);
    assert_int_equal(add_alias("*@demo.test", "carol@demo.test"), -1); /* the same */
    assert_int_equal(add_alias("a*b@demo.test", "carol@demo.test"), -1);
    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < COUNT_OF(rows); i++)
            if (strcmp(rcpt(rows[i].rcpt), rows[i].want) != 0)
                fail_msg("%s: %s", rows[i].rcpt, rcpt(rows[i].rcpt));
        reopen();
    }
    directory_memory(d)->sign = 0;
    assert_string_equal(rcpt("bob+x@demo.test"), "OK carol@demo.test");
    directory_memory(d)->sign = '-';
    assert_string_equal(rcpt("bob-x@demo.test"), "OK bob@demo.test +x");
    directory_memory(d)->sign = '+';
    assert_int_equal(remove_alias("@demo.test"), 0);
    assert_string_equal(rcpt("shop@demo.test"), "NO_USER");
    assert_string_equal(rcpt("shop-2@demo.test"), "OK bob@demo.test");
    assert_int_equal(remove_alias("shop-*@demo.test"), 0);
    assert_int_equal(remove_alias("shop-vip-*@demo.test"), 0);
    assert_string_equal(rcpt("shop-2@demo.test"), "NO_USER");
    assert_int_equal(add_alias("loop-*@demo.test", "loop-x@demo.test"), -1); /* leads nowhere but to itself */
    assert_int_equal(add_alias("@demo.test", "bob@demo.test nobody-else@demo.test"), -1);
}

static int add_domain_alias(const char *name, const char *domain)
{
    return finish(directory_plan_domain_alias_add(d, span_z(name), span_z(domain), &c, &mem, &f), &c);
}

static const char *near(const char *address)
{
    struct directory_cache *cache = directory_memory(d);
    struct span found = directory_near(cache, directory_cache_account(cache, SPAN("alice@demo.test")), span_z(address), &mem);

    return arena_z(&mem, found);
}

static void slips_are_seen(void **state)
{
    static const struct { const char *written, *meant; } rows[] = {
        {"robret@demo.test", "robert@demo.test"},    {"orbert@demo.test", "robert@demo.test"},
        {"robertt@demo.test", "robert@demo.test"},   {"xrobert@demo.test", "robert@demo.test"},
        {"obert@demo.test", "robert@demo.test"},     {"rober@demo.test", "robert@demo.test"},
        {"rubert@demo.test", "robert@demo.test"},    {"Robret@DEMO.test", "robert@demo.test"},
        {"rob_ert@demo.test", "robert@demo.test"},   {"jonpostel@demo.test", "jon.postel@demo.test"},
        {"robret+shop@demo.test", "robert+shop@demo.test"}, /* the detail is the sender's own affair */
        {"robret@another.test", "robert@demo.test"},        /* another name of the domain */
        {"rbret@demo.test", ""},                     /* two slips */
        {"robert@demo.test", ""},                    /* is somebody's */
        {"robert+x@demo.test", ""},
        {"robret@other.test", ""},                   /* one of ours, but not the sender's domain */
        {"robret@example.org", ""},
        {"staf@demo.test", ""},                      /* an alias is nobody that one knows */
        {"xe@demo.test", ""}, {"e@demo.test", ""},   /* too short to tell */
        {"carl@demo.test", ""},                      /* disabled */
        {"postmastr@demo.test", ""},
        {"a%b@demo.test", ""}, {"@demo.test", ""}, {"robret", ""}, {"postmaster", ""}, {"\xff\xff\xff@demo.test", ""},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@demo.test", ""},
    };

    assert_int_equal(add_domain("demo.test", "alice@demo.test"), 0);
    assert_int_equal(add_domain("other.test", "alice@demo.test"), 0);
    assert_int_equal(add_account("robert@demo.test"), 0);
    assert_int_equal(add_account("robert@other.test"), 0);
    assert_int_equal(add_account("jon.postel@demo.test"), 0);
    assert_int_equal(add_account("eve@demo.test"), 0);
    assert_int_equal(add_account("carla@demo.test"), 0);
    assert_int_equal(add_alias("staff@demo.test", "robert@demo.test"), 0);
    assert_int_equal(add_domain_alias("another.test", "demo.test"), 0);
    assert_int_equal(finish(directory_plan_account_state(d, SPAN("carla@demo.test"), true, &c, &mem, &f), &c), 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (strcmp(near(rows[i].written), rows[i].meant) != 0)
            fail_msg("%s: %s", rows[i].written, near(rows[i].written));
}

static void domains_have_other_names(void **state)
{
    struct msg_domain_alias_list_r list;

    assert_int_equal(add_domain("demo.test", "alice@demo.test"), 0);
    assert_int_equal(add_domain_alias("Other.Test", "DEMO.test"), 0);
    assert_int_equal(add_domain_alias("other.test", "demo.test"), -1);
    assert_int_equal(add_domain_alias("demo.test", "demo.test"), -1);
    assert_int_equal(add_domain_alias("third.test", "other.test"), -1); /* no chains */
    assert_int_equal(add_domain_alias("a..b", "demo.test"), -1);
    assert_int_equal(add_domain("other.test", "alice@demo.test"), -1);
    assert_int_equal(add_account("bob@other.test"), -1);
    assert_non_null(strstr(f.text, "another name"));
    for (int again = 0; again < 2; again++) {
        assert_string_equal(rcpt("Alice+x@OTHER.test"), "OK alice@demo.test +x");
        assert_string_equal(rcpt("postmaster@other.test"), "OK alice@demo.test");
        assert_string_equal(rcpt("nobody@other.test"), "NO_USER");
        reopen();
    }
    assert_int_equal(add_alias("info@demo.test", "alice@other.test"), 0);
    assert_string_equal(rcpt("info@other.test"), "OK alice@demo.test");
    assert_int_equal(directory_list_domain_aliases(d, &list, &mem, &f), 0);
    assert_int_equal(list.aliases.n, 1);
    assert_true(span_eq(list.aliases.v[0].name, SPAN("other.test")));
    assert_int_equal(finish(directory_plan_domain_alias_remove(d, SPAN("demo.test"), &c, &mem, &f), &c), -1);
    assert_int_equal(finish(directory_plan_domain_alias_remove(d, SPAN("Other.test"), &c, &mem, &f), &c), 0);
    assert_string_equal(rcpt("alice@other.test"), "NOT_OURS");
    assert_string_equal(rcpt("info@demo.test"), "OK alice@demo.test"); /* it was kept under the domain's own name */
}

static int remove_domain(const char *name, bool accounts)
{
    return finish(directory_plan_domain_remove(d, span_z(name), accounts, &c, &mem, &f), &c);
}

static int set_admin(const char *name, const char *admin)
{
    return finish(directory_plan_domain_admin(d, span_z(name), span_z(admin), &c, &mem, &f), &c);
}

static int disable(const char *address, bool disabled)
{
    return finish(directory_plan_account_state(d, span_z(address), disabled, &c, &mem, &f), &c);
}

static void domains_go(void **state)
{
    uint64_t *gone;
    size_t n;

    assert_int_equal(add_domain("demo.test", "alice@demo.test"), 0);
    assert_int_equal(add_domain("other.test", "bob@other.test"), 0);
    assert_int_equal(add_domain("third.test", "bob@other.test"), 0);
    assert_int_equal(add_domain_alias("alias.test", "other.test"), 0);
    assert_int_equal(add_alias("a@other.test", "alice@demo.test"), 0);
    assert_int_equal(add_alias("*@other.test", "alice@demo.test"), 0);
    assert_int_equal(add_alias("b@demo.test", "bob@other.test"), 0);
    assert_int_equal(remove_domain("nothing.test", true), -1);
    assert_int_equal(remove_domain("alias.test", true), -1);
    assert_int_equal(remove_domain("other.test", false), -1);
    assert_int_equal(remove_domain("other.test", true), -1); /* bob is needed elsewhere */
    assert_non_null(strstr(f.text, "third.test"));
    assert_int_equal(set_admin("third.test", "nobody@demo.test"), -1);
    assert_int_equal(set_admin("third.test", "alice@demo.test"), 0);
    assert_string_equal(rcpt("abuse@third.test"), "OK alice@demo.test");
    assert_int_equal(remove_domain("other.test", true), 0);
    assert_int_equal(c.n_gone, 1);
    assert_int_equal(c.leads.all, 1);
    for (int again = 0; again < 2; again++) {
        assert_string_equal(rcpt("bob@other.test"), "NOT_OURS");
        assert_string_equal(rcpt("a@other.test"), "NOT_OURS");
        assert_string_equal(rcpt("bob@alias.test"), "NOT_OURS");
        assert_string_equal(rcpt("b@demo.test"), "OK >bob@other.test"); /* wherever that domain is now */
        assert_string_equal(rcpt("postmaster@third.test"), "OK alice@demo.test");
        reopen();
    }
    assert_int_equal(directory_list_gone(d, &gone, &n, &mem, &f), 0);
    assert_int_equal(n, 1);
    assert_int_equal(add_domain("other.test", "alice@demo.test"), 0);
    assert_string_equal(rcpt("bob@other.test"), "NO_USER");
    assert_int_equal(remove_domain("other.test", false), 0); /* it has none */
    assert_int_equal(remove_domain("demo.test", true), -1);
    assert_int_equal(remove_domain("third.test", false), 0);
    assert_int_equal(remove_domain("demo.test", true), 0);
    assert_string_equal(rcpt("postmaster"), "NOT_OURS");
    reopen();
    assert_int_equal(add_domain("demo.test", "alice@demo.test"), 0);
    assert_string_equal(rcpt("postmaster"), "OK alice@demo.test");
}

static void accounts_are_disabled(void **state)
{
    assert_int_equal(add_domain("demo.test", "alice@demo.test"), 0);
    assert_int_equal(add_account("bob@demo.test"), 0);
    assert_int_equal(add_alias("both@demo.test", "bob@demo.test alice@demo.test"), 0);
    assert_int_equal(add_alias("out@demo.test", "bob@demo.test x@example.org"), 0);
    assert_int_equal(disable("alice@demo.test", true), -1); /* postmaster@ must be somebody */
    assert_int_equal(disable("Bob@demo.test", true), 0);
    reopen();
    assert_string_equal(rcpt("bob@demo.test"), "DISABLED");
    assert_string_equal(rcpt("bob+x@demo.test"), "DISABLED");
    assert_string_equal(rcpt("both@demo.test"), "OK alice@demo.test");
    assert_string_equal(rcpt("out@demo.test"), "OK >x@example.org");
    assert_int_equal(disable("bob@demo.test", false), 0);
    assert_string_equal(rcpt("bob@demo.test"), "OK bob@demo.test");
}

static bool owns(const char *who, const char *address)
{
    struct directory_account *a = directory_cache_account(directory_memory(d), span_z(who));

    return directory_rcpt_owns(directory_memory(d), a->id, span_z(address));
}

static void senders_are_ones_own(void **state)
{
    static const char *const yes[] = {"alice@demo.test", "Alice+x@Demo.test", "alice@other.test", "mine@demo.test",
                                      "postmaster@demo.test", "abuse@other.test", "twice@demo.test"};
    static const char *const no[] = {"bob@demo.test", "both@demo.test", "out@demo.test", "x@example.org", "", "alice",
                                     "nobody@demo.test", "alice@example.org", "\xff@demo.test", "@demo.test"};

    assert_int_equal(add_domain("demo.test", "alice@demo.test"), 0);
    assert_int_equal(add_domain_alias("other.test", "demo.test"), 0);
    assert_int_equal(add_account("bob@demo.test"), 0);
    assert_int_equal(add_alias("mine@demo.test", "alice@demo.test"), 0);
    assert_int_equal(add_alias("twice@demo.test", "mine@demo.test alice+x@demo.test"), 0);
    assert_int_equal(add_alias("both@demo.test", "alice@demo.test bob@demo.test"), 0);
    assert_int_equal(add_alias("out@demo.test", "alice@demo.test x@example.org"), 0);
    for (size_t i = 0; i < COUNT_OF(yes); i++)
        if (!owns("alice@demo.test", yes[i]) || owns("bob@demo.test", yes[i]))
            fail_msg("is alice's: %s", yes[i]);
    for (size_t i = 0; i < COUNT_OF(no); i++)
        if (owns("alice@demo.test", no[i]))
            fail_msg("is not alice's: %s", no[i]);
}

static struct msg_srs_make_r srs(const char *sender, const char *via)
{
    struct msg_srs_make_r r = {0};

    assert_int_equal(directory_rcpt_srs(directory_memory(d), span_z(sender), span_z(via), &mem, &r, &f), 0);
    return r;
}

static void bounces_find_back(void **state)
{
    struct msg_srs_make_r r;
    const char *made;
    char spoilt[128];

    assert_int_equal(add_domain("demo.test", "alice@demo.test"), 0);
    assert_int_equal(add_domain_alias("other.test", "demo.test"), 0);
    assert_int_equal(add_alias("out@demo.test", "x@example.org"), 0);
    assert_int_equal(add_alias("@demo.test", "alice@demo.test"), 0); /* takes none of them */
    r = srs("Sender@example.net", "out@other.test");
    made = arena_z(&mem, r.sender);
    assert_true(span_starts(r.sender, SPAN("SRS0=")) && span_ends_nocase(r.sender, SPAN("=example.net=Sender@demo.test")));
    assert_true(span_eq(r.address, SPAN("alice@demo.test")) && r.account > 0);
    assert_string_equal(rcpt(made), "OK >Sender@example.net");
    reopen(); /* the key stays */
    assert_string_equal(rcpt(made), "OK >Sender@example.net");
    for (size_t i = 5; made[i] != '@'; i++) {
        snprintf(spoilt, sizeof spoilt, "%s", made);
        spoilt[i] = spoilt[i] == 'x' ? 'y' : 'x';
        assert_string_equal(rcpt(spoilt), "NO_USER");
    }
    assert_int_equal(srs("", "out@demo.test").sender.n, 0);
    assert_true(span_eq(srs("bob@other.test", "out@demo.test").sender, SPAN("bob@other.test")));
    assert_true(span_eq(srs("a-sender-whose-name-is-really-long-for-a-mailbox@news.example.net", "out@demo.test").sender,
                        SPAN("alice@demo.test")));
    assert_int_equal(directory_rcpt_srs(directory_memory(d), SPAN("a@b.test"), SPAN("x@example.org"), &mem, &r, &f), -1);
    assert_int_equal(add_domain("example.net", "alice@demo.test"), 0);
    assert_int_equal(add_account("sender@example.net"), 0);
    assert_string_equal(rcpt(made), "OK sender@example.net"); /* became ours meanwhile */
}

/* What version 1 of the schema left behind. */
static void older_schema_is_brought_up(void **state)
{
    static const char fixture[] =
        "CREATE TABLE meta(name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;"
        "CREATE TABLE domain(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"
        " admin INTEGER NOT NULL REFERENCES account(id) DEFERRABLE INITIALLY DEFERRED, created_s INTEGER NOT NULL);"
        "CREATE TABLE account(id INTEGER PRIMARY KEY AUTOINCREMENT, address TEXT NOT NULL UNIQUE, local TEXT NOT NULL,"
        " domain INTEGER NOT NULL REFERENCES domain(id) DEFERRABLE INITIALLY DEFERRED, lang TEXT NOT NULL,"
        " disabled INTEGER NOT NULL, created_s INTEGER NOT NULL, salt BLOB NOT NULL, iterations INTEGER NOT NULL,"
        " stored_key BLOB NOT NULL, server_key BLOB NOT NULL);"
        "CREATE INDEX account_domain ON account(domain);"
        "CREATE TABLE alias(id INTEGER PRIMARY KEY, address TEXT NOT NULL UNIQUE, local TEXT NOT NULL,"
        " domain INTEGER NOT NULL REFERENCES domain(id), targets TEXT NOT NULL);"
        "CREATE INDEX alias_domain ON alias(domain);"
        "CREATE TABLE gone(account INTEGER PRIMARY KEY, at_s INTEGER NOT NULL);"
        "INSERT INTO meta VALUES('schema', 1), ('secret', randomblob(32));"
        "INSERT INTO domain VALUES(7, 'old.test', 40000001, 1700000000);"
        "INSERT INTO account VALUES(40000001, 'ann@old.test', 'ann', 7, 'de', 0, 1700000000, randomblob(16), 4096,"
        " randomblob(32), randomblob(32));"
        "INSERT INTO alias VALUES(1, 'a@old.test', 'a', 7, 'ann@old.test');";
    sqlite3 *db;

    directory_close(d);
    unlink(path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, fixture, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    d = directory_open(path, &f);
    assert_non_null(d);
    for (int again = 0; again < 2; again++) {
        assert_string_equal(rcpt("A@old.test"), "OK ann@old.test");
        assert_int_equal(directory_cache_account(directory_memory(d), SPAN("ann@old.test"))->id, 40000001);
        reopen();
    }
    assert_int_equal(add_domain_alias("other.test", "old.test"), 0);
    assert_int_equal(add_account("bob@old.test"), 0);
    assert_true(c.account > 40000001);
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
    assert_int_equal(finish(directory_plan_password(d, SPAN("ALICE@demo.test"), false, &c, &mem, &f), &c), 0);
    assert_memory_not_equal(before.salt, a->verifier.salt, PASSWORD_SALT);
    assert_int_equal(directory_plan_password(d, SPAN("nobody@demo.test"), false, &c, &mem, &f), -1);
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
        TEST(aliases_lead_elsewhere), TEST(names_have_an_order), TEST(slips_are_seen), TEST(domains_have_other_names), TEST(domains_go),
        TEST(accounts_are_disabled), TEST(senders_are_ones_own), TEST(bounces_find_back), TEST(older_schema_is_brought_up),
        TEST(removal), TEST(passwords_are_kept), TEST(lists), TEST(newer_schema_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
