/* auth_test: recipients, sessions, passwords, names, keys: what role auth answers over its channels. */
#include "roles/auth_testing.h"

#include <errno.h>
#include <sqlite3.h>

#include "login/app_password.h"

static void recipients(void **state)
{
    struct msg_rcpt_check_r out, again;
    struct msg_alias_add_r alias;
    uint64_t generation;

    assert_int_equal(CALL(front, rcpt_check, &out, .address = SPAN("alice@demo.test")), 0);
    assert_int_equal(out.status, RCPT_NOT_OURS);
    generation = out.generation;
    add_demo();
    assert_int_equal(CALL(front, rcpt_check, &out, .address = SPAN("Bob@Demo.test")), 0);
    assert_int_equal(out.status, RCPT_OK);
    assert_int_equal(out.targets.n, 1);
    assert_true(span_eq(out.targets.v[0].address, SPAN("bob@demo.test")));
    assert_true(span_eq(out.targets.v[0].lang, SPAN("de")));
    assert_true(out.generation == generation + 2);
    assert_int_equal(CALL(admin, alias_add, &alias, .address = SPAN("all@demo.test"),
                          .targets = SPAN("alice@demo.test bob@demo.test")), 0);
    assert_int_equal(CALL(front, rcpt_check, &out, .address = SPAN("all@demo.test")), 0);
    assert_int_equal(out.targets.n, 2);
    kill_and_start(); /* what was answered is on disk */
    assert_int_equal(CALL(front, rcpt_check, &again, .address = SPAN("all@demo.test")), 0);
    assert_int_equal(again.targets.n, 2);
    assert_true(again.targets.v[1].account == out.targets.v[1].account);
    assert_true(again.generation != out.generation);
    stop();
    start();
    assert_int_equal(CALL(front, rcpt_check, &again, .address = SPAN("postmaster")), 0);
    assert_int_equal(again.targets.n, 1);
}

static void sessions(void **state)
{
    struct msg_session_add add;
    struct msg_session_end end;
    struct msg_sasl_r in, second;

    add_demo();
    assert_int_equal(login(front, SPAN("\0alice@demo.test\0wrong")).state, SASL_BAD);
    assert_int_equal(login(front, SPAN("\0nobody@demo.test\0correct horse")).state, SASL_BAD);
    assert_int_equal(login(front, SPAN("alice@demo.test\0correct horse")).state, SASL_SYNTAX);
    in = login(front, SPAN("\0Alice@DEMO.test\0correct horse"));
    assert_int_equal(in.state, SASL_OK);
    assert_int_equal(in.handle.n, 16);
    assert_true(span_eq(in.address, SPAN("alice@demo.test")));
    expect_post(store, MSG_ID_session_add, &add); /* and nothing for those that failed */
    assert_true(span_eq(add.handle, in.handle));
    assert_true(add.account == in.account && add.front_boot == 2 && add.service == 1);

    second = login(other_front, ALICE_IN);
    assert_int_equal(second.state, SASL_OK);
    assert_false(span_eq(second.handle, in.handle));
    expect_post(store, MSG_ID_session_add, &add);
    assert_int_equal(add.front_boot, 3);

    POST(other_front, logout, .handle = in.handle); /* not its session */
    assert_true(nothing_to_read(store));
    POST(front, logout, .handle = in.handle);
    expect_post(store, MSG_ID_session_end, &end);
    assert_true(span_eq(end.handle, in.handle));

    close(store); /* store dies: its successor learns who is there */
    store = connect_as(ROLE_STORE, 9, true);
    expect_post(store, MSG_ID_session_add, &add);
    assert_true(span_eq(add.handle, second.handle));

    close(other_front); /* a front dies: so do its sessions */
    expect_post(store, MSG_ID_session_end, &end);
    assert_true(span_eq(end.handle, second.handle));
    other_front = connect_as(ROLE_FRONT_USER, 10, false);
    assert_true(nothing_to_read(store));
}

static void password_change_and_removal(void **state)
{
    struct msg_account_passwd_r none;
    struct msg_account_remove_r removed;
    struct msg_session_add add;
    struct msg_session_end end;
    struct msg_account_gone gone;
    struct msg_sasl_r bob;

    add_demo();
    bob = login(front, SPAN("\0bob@demo.test\0b"));
    assert_int_equal(bob.state, SASL_OK);
    expect_post(store, MSG_ID_session_add, &add);
    assert_int_equal(CALL(admin, account_passwd, &none, .address = SPAN("bob@demo.test"), .password = SPAN("new")), 0);
    expect_post(store, MSG_ID_session_end, &end);
    assert_true(span_eq(end.handle, bob.handle));
    assert_int_equal(login(front, SPAN("\0bob@demo.test\0b")).state, SASL_BAD); /* not remembered either */
    assert_int_equal(login(front, SPAN("\0bob@demo.test\0new")).state, SASL_OK);
    expect_post(store, MSG_ID_session_add, &add);

    assert_int_equal(CALL(admin, account_remove, &removed, .address = SPAN("alice@demo.test")), -1); /* the admin */
    assert_int_equal(CALL(admin, account_remove, &removed, .address = SPAN("bob@demo.test")), 0);
    expect_post(store, MSG_ID_session_end, &end);
    expect_post(store, MSG_ID_account_gone, &gone);
    assert_true(gone.account == bob.account);
    assert_int_equal(login(front, SPAN("\0bob@demo.test\0new")).state, SASL_BAD);
    kill_and_start();
    expect_post(store, MSG_ID_account_gone, &gone); /* said again: the first may have been lost */
    assert_true(gone.account == bob.account);
}

/* SEC-13: a disabled account looks like one that does not exist. */
static void disabled(void **state)
{
    struct msg_account_state_r changed;
    struct msg_rcpt_check_r out;
    struct msg_session_add add;
    struct msg_session_end end;

    add_demo();
    assert_int_equal(login(front, SPAN("\0bob@demo.test\0b")).state, SASL_OK);
    expect_post(store, MSG_ID_session_add, &add);
    assert_int_equal(CALL(admin, account_state, &changed, .address = SPAN("alice@demo.test"), .disabled = 1), -1);
    assert_int_equal(CALL(admin, account_state, &changed, .address = SPAN("bob@demo.test"), .disabled = 1), 0);
    expect_post(store, MSG_ID_session_end, &end);
    assert_true(span_eq(end.handle, add.handle));
    for (int again = 0; again < 2; again++) {
        assert_int_equal(login(front, SPAN("\0bob@demo.test\0b")).state, SASL_BAD);
        assert_true(nothing_to_read(store));
        assert_int_equal(CALL(front, rcpt_check, &out, .address = SPAN("bob@demo.test")), 0);
        assert_int_equal(out.status, RCPT_DISABLED);
        kill_and_start();
    }
    assert_int_equal(CALL(admin, account_state, &changed, .address = SPAN("bob@demo.test"), .disabled = 0), 0);
    assert_int_equal(login(front, SPAN("\0bob@demo.test\0b")).state, SASL_OK);
}

/* What fronts and store ask about names. */
static void names(void **state)
{
    struct msg_domain_alias_add_r alias;
    struct msg_alias_add_r made;
    struct msg_account_find_r found;
    struct msg_domain_alias_remove_r unnamed;
    struct msg_domain_remove_r removed;
    struct msg_domain_add_r second;
    struct msg_rcpt_check_r rcpt;
    struct msg_account_gone gone;
    struct msg_session_add add;
    struct msg_session_end end;
    struct msg_identity_r own;
    struct msg_rcpt_near_r near;
    struct msg_srs_make_r srs;
    struct msg_sasl_r in;
    int from_store = connect_as(ROLE_STORE, 1, false);

    add_demo();
    assert_int_equal(CALL(admin, domain_alias_add, &alias, .name = SPAN("other.test"), .domain = SPAN("demo.test")), 0);
    assert_int_equal(CALL(admin, alias_add, &made, .address = SPAN("out@demo.test"), .targets = SPAN("x@example.org")), 0);
    in = login(front, SPAN("\0Alice@OTHER.test\0correct horse"));
    assert_int_equal(in.state, SASL_OK);
    expect_post(store, MSG_ID_session_add, &add);
    assert_int_equal(CALL(front, identity, &own, .handle = in.handle, .address = SPAN("alice+x@other.test")), 0);
    assert_int_equal(own.own, 1);
    assert_int_equal(CALL(front, identity, &own, .handle = in.handle, .address = SPAN("bob@demo.test")), 0);
    assert_int_equal(own.own, 0);
    assert_int_equal(CALL(other_front, identity, &own, .handle = in.handle, .address = SPAN("alice@demo.test")), -1);
    assert_int_equal(CALL(front, rcpt_near, &near, .handle = in.handle, .address = SPAN("obb@other.test")), 0);
    assert_true(span_eq(near.address, SPAN("bob@demo.test")));
    assert_int_equal(CALL(front, rcpt_near, &near, .handle = in.handle, .address = SPAN("bob@demo.test")), 0);
    assert_int_equal(near.address.n, 0);
    assert_int_equal(CALL(other_front, rcpt_near, &near, .handle = in.handle, .address = SPAN("obb@demo.test")), -1);
    assert_int_equal(CALL(front, rcpt_near, &near, .address = SPAN("obb@demo.test")), -1);
    assert_int_equal(CALL(from_store, account_find, &found, .account = in.account), 0);
    assert_true(span_eq(found.address, SPAN("alice@demo.test")));
    assert_int_equal(CALL(from_store, account_find, &found, .account = 1), -1);
    assert_int_equal(CALL(from_store, srs_make, &srs, .sender = SPAN("jon@example.net"), .via = SPAN("out@demo.test")), 0);
    assert_true(srs.account == in.account);
    assert_int_equal(CALL(front, rcpt_check, &rcpt, .address = srs.sender), 0);
    assert_int_equal(rcpt.forwards.n, 1);
    assert_true(span_eq(rcpt.forwards.v[0].address, SPAN("jon@example.net")) && rcpt.forwards.v[0].via.n == 0);
    assert_int_equal(CALL(from_store, srs_make, &srs, .sender = SPAN("jon@example.net"), .via = SPAN("x@y.test")), -1);
    assert_int_equal(CALL(admin, domain_remove, &removed, .name = SPAN("demo.test")), -1);
    assert_int_equal(CALL(admin, domain_add, &second, .name = SPAN("third.test"), .admin = SPAN("eve@third.test"),
                          .password = SPAN("horse battery")), 0);
    assert_int_equal(CALL(admin, alias_add, &made, .address = SPAN("in@third.test"), .targets = SPAN("bob@other.test")), 0);
    assert_int_equal(CALL(admin, domain_remove, &removed, .name = SPAN("demo.test"), .accounts = 1), 0);
    assert_true(removed.removed == 0 && removed.leads == 1 && removed.aliases.n == 1);
    assert_true(span_eq(removed.aliases.v[0].address, SPAN("in@third.test")));
    assert_int_equal(CALL(admin, domain_alias_remove, &unnamed, .name = SPAN("other.test")), 0);
    assert_true(unnamed.removed == 1 && unnamed.leads == 0); /* the alias was kept under the domain's own name */
    assert_int_equal(CALL(admin, domain_remove, &removed, .name = SPAN("demo.test"), .accounts = 1, .forwards = 1), 0);
    assert_true(removed.removed == 1 && removed.accounts == 2 && removed.leads == 1);
    assert_int_equal(CALL(front, rcpt_check, &rcpt, .address = SPAN("in@third.test")), 0);
    assert_true(rcpt.forwards.n == 1 && span_eq(rcpt.forwards.v[0].address, SPAN("bob@demo.test")));
    for (int i = 0; i < 2; i++) { /* in whatever order the accounts go */
        unsigned id, kind;
        struct span body = read_frame(store, &id, &kind);
        if (id == MSG_ID_session_end) {
            assert_int_equal(ipc_decode(id, false, body, &mem, &end), 0);
            assert_true(span_eq(end.handle, in.handle));
            i--;
        } else {
            assert_int_equal(id, MSG_ID_account_gone);
            assert_int_equal(ipc_decode(id, false, body, &mem, &gone), 0);
        }
    }
    assert_int_equal(login(front, ALICE_IN).state, SASL_BAD);
    close(from_store);
}

static void app_passwords(void **state)
{
    struct msg_app_password_add_r made, second;
    struct msg_app_password_list_r list;
    struct msg_app_password_remove_r removed;
    struct msg_session_add add;
    struct msg_session_end end;
    struct msg_logins_r logins;
    struct msg_sasl_r in;
    struct span plain;

    add_demo();
    assert_int_equal(CALL(admin, app_password_add, &made, .address = SPAN("bob@demo.test"), .label = SPAN(" phone "),
                          .scope = APP_SCOPE_IMAP), 0);
    assert_int_equal(made.password.n, APP_PASSWORD_TEXT);
    assert_int_equal(CALL(admin, app_password_add, &second, .address = SPAN("bob@demo.test"), .label = SPAN("phone"),
                          .scope = APP_SCOPE_ALL), -1);
    assert_int_equal(CALL(admin, app_password_add, &second, .address = SPAN("bob@demo.test"), .label = SPAN("a\nb"),
                          .scope = APP_SCOPE_ALL), -1);
    assert_int_equal(CALL(admin, app_password_add, &second, .address = SPAN("bob@demo.test"), .label = SPAN("x"), .scope = 8), -1);
    assert_int_equal(CALL(admin, app_password_add, &second, .address = SPAN("no@demo.test"), .label = SPAN("x"), .scope = 1), -1);
    kill_and_start();
    plain = arena_printf(&mem, "%cbob@demo.test%c%.*s", 0, 0, SPAN_ARGS(made.password));
    assert_int_equal(CALL(front, sasl, &in, .service = SERVICE_pop3, .mech = SPAN("PLAIN"), .response = plain,
                          .ip = span_of(loopback, 16), .flags = SASL_IN_TLS), 0);
    assert_int_equal(in.state, SASL_BAD); /* not for that service */
    assert_int_equal(CALL(front, sasl, &in, .service = SERVICE_imap, .mech = SPAN("PLAIN"), .response = plain,
                          .ip = span_of(loopback, 16), .flags = SASL_IN_TLS), 0);
    assert_int_equal(in.state, SASL_OK);
    expect_post(store, MSG_ID_session_add, &add);
    assert_int_equal(CALL(front, logins, &logins, .handle = in.handle), 0);
    assert_int_equal(logins.logins.n, 2);
    assert_true(span_eq(logins.logins.v[0].label, SPAN("phone")) && logins.logins.v[0].result == LOGIN_OK);
    assert_true(logins.logins.v[1].label.n == 0 && logins.logins.v[1].result == LOGIN_BAD);
    assert_true(span_eq(logins.logins.v[1].service, SPAN("pop3")) && logins.logins.v[1].count == 1);
    assert_int_equal(CALL(other_front, logins, &logins, .handle = in.handle), -1);
    assert_int_equal(CALL(front, logins, &logins, .address = SPAN("bob@demo.test")), -1);
    assert_int_equal(CALL(admin, logins, &logins, .address = SPAN("alice@demo.test")), 0);
    assert_int_equal(logins.logins.n, 0);
    assert_int_equal(CALL(admin, app_password_list, &list, .address = SPAN("bob@demo.test")), 0);
    assert_true(list.passwords.n == 1 && list.passwords.v[0].used_s > 0 && list.passwords.v[0].scope == APP_SCOPE_IMAP);
    assert_int_equal(CALL(admin, app_password_remove, &removed, .address = SPAN("bob@demo.test"), .label = SPAN("phone")), 0);
    expect_post(store, MSG_ID_session_end, &end);
    assert_int_equal(CALL(front, sasl, &in, .service = SERVICE_imap, .mech = SPAN("PLAIN"), .response = plain,
                          .ip = span_of(loopback, 16), .flags = SASL_IN_TLS), 0);
    assert_int_equal(in.state, SASL_BAD);
}

static int stored_iterations(void)
{
    sqlite3_stmt *st = NULL;
    sqlite3 *db;
    int n;

    assert_int_equal(sqlite3_open("auth/directory.db", &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT iterations FROM account WHERE local = 'bob'", -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    n = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return n;
}

/* A limit that has grown reaches an account when its password is there to be hashed. */
static void iterations_grow(void **state)
{
    add_demo();
    stop();
    assert_int_equal(stored_iterations(), 4096);
    iterations = 5000;
    start();
    assert_int_equal(login(front, SPAN("\0bob@demo.test\0wrong")).state, SASL_BAD);
    assert_int_equal(login(front, SPAN("\0bob@demo.test\0b")).state, SASL_OK);
    stop();
    assert_int_equal(stored_iterations(), 5000);
    start();
    assert_int_equal(login(front, SPAN("\0bob@demo.test\0b")).state, SASL_OK);
    iterations = 4096;
}

static void keys(void **state)
{
    struct msg_tls_chains_r chains;
    struct msg_tls_sign_r sig;

    assert_int_equal(CALL(front, tls_chains, &chains, ), 0);
    assert_int_equal(chains.chains.n, 1);
    assert_int_equal(CALL(front, tls_sign, &sig, .key_id = chains.chains.v[0].key_id,
                          .digest = SPAN("0123456789abcdef0123456789abcdef")), 0);
    assert_true(sig.signature.n > 60);
    assert_int_equal(CALL(front, tls_sign, &sig, .key_id = 1, .digest = SPAN("0123456789abcdef0123456789abcdef")), -1);
}

static void lists(void **state)
{
    struct msg_domain_list_r domains;
    struct msg_account_list_r accounts;
    struct msg_alias_list_r aliases;

    add_demo();
    assert_int_equal(CALL(admin, domain_list, &domains, ), 0);
    assert_int_equal(domains.domains.n, 1);
    assert_int_equal(domains.domains.v[0].accounts, 2);
    assert_int_equal(CALL(admin, account_list, &accounts, ), 0);
    assert_int_equal(accounts.accounts.n, 2);
    assert_int_equal(CALL(admin, account_list, &accounts, .after = SPAN("bob@demo.test")), 0);
    assert_int_equal(accounts.accounts.n, 0);
    assert_int_equal(CALL(admin, alias_list, &aliases, ), 0);
    assert_int_equal(aliases.aliases.n, 0);
}

/* A guesser is slowed down over the wire as well; the queue never blocks the recipients' way. */
static void guesser(void **state)
{
    int bad = 0, busy = 0;

    add_demo();
    for (int i = 0; i < 50; i++) {
        struct msg_sasl_r r = login(front, SPAN("\0alice@demo.test\0guess"));
        bad += r.state == SASL_BAD;
        busy += r.state == SASL_BUSY;
        assert_true(r.wait_ms > 0);
    }
    assert_int_equal(bad + busy, 50);
    assert_in_range(bad, 5, 12);
    assert_int_equal(CALL(front, sasl, &(struct msg_sasl_r){0}, .mech = SPAN("PLAIN"), .ip = SPAN("short")), -1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(recipients), TEST(sessions), TEST(password_change_and_removal), TEST(disabled), TEST(names), TEST(app_passwords), TEST(iterations_grow), TEST(keys), TEST(lists), TEST(guesser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
