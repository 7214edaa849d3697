/* directory_db: schema, reading at start, and one transaction per change.
 *
 * One connection in this one process, which SQLite is told (EXCLUSIVE): no shared memory file, no second writer.
 */
#include "login/directory_db.h"

#include <sqlite3.h>
#include <stdarg.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/rand.h"
#include "base/str.h"

enum { PAGE_ROWS = 500, PAGE_BYTES = 200 * 1024, GONE_S = 7 * 24 * 3600 };

struct directory_db {
    sqlite3 *sql;
};

/* Each entry brings the schema from version i to i + 1. A released one never changes (REL-06, T19). */
static const char *const migrations[] = {
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
    "CREATE TABLE gone(account INTEGER PRIMARY KEY, at_s INTEGER NOT NULL);",

    "CREATE TABLE domain_alias(name TEXT PRIMARY KEY, domain INTEGER NOT NULL REFERENCES domain(id),"
    " created_s INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX domain_alias_domain ON domain_alias(domain);",

    "CREATE TABLE app_password(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " account INTEGER NOT NULL REFERENCES account(id) ON DELETE CASCADE, label TEXT NOT NULL, scope INTEGER NOT NULL,"
    " created_s INTEGER NOT NULL, used_s INTEGER NOT NULL, hash BLOB NOT NULL, stored_1 BLOB NOT NULL,"
    " server_1 BLOB NOT NULL, stored_256 BLOB NOT NULL, server_256 BLOB NOT NULL, UNIQUE(account, label));"
    "CREATE TABLE attempt(id INTEGER PRIMARY KEY, account INTEGER NOT NULL REFERENCES account(id) ON DELETE CASCADE,"
    " first_s INTEGER NOT NULL, last_s INTEGER NOT NULL, count INTEGER NOT NULL, service TEXT NOT NULL, ip BLOB NOT NULL,"
    " mech TEXT NOT NULL, result INTEGER NOT NULL, label TEXT NOT NULL);"
    "CREATE INDEX attempt_account ON attempt(account, id);",
};

/* ---- small helpers ------------------------------------------------------------------------------------------------- */

static int db_fail(struct directory_db *db, struct fail *f)
{
    int rc = sqlite3_errcode(db->sql);

    return fail_temp(f, rc == SQLITE_FULL ? "4.3.1" : "4.3.0", "directory: %.120s", sqlite3_errmsg(db->sql));
}

/* Binds by `types`: t span as text, b span as blob, i int64_t. NULL and *f when the statement cannot be made. */
static sqlite3_stmt *prepare(struct directory_db *db, struct fail *f, const char *sql, const char *types, va_list args)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db->sql, sql, -1, &st, NULL);

    for (int i = 0; rc == SQLITE_OK && types[i] != 0; i++) {
        if (types[i] == 'i') {
            rc = sqlite3_bind_int64(st, i + 1, va_arg(args, int64_t));
            continue;
        }
        struct span s = va_arg(args, struct span);
        if (types[i] == 't')
            rc = sqlite3_bind_text(st, i + 1, s.p != NULL ? s.p : "", (int)s.n, SQLITE_STATIC);
        else
            rc = sqlite3_bind_blob(st, i + 1, s.p, (int)s.n, SQLITE_STATIC);
    }
    if (rc != SQLITE_OK) {
        db_fail(db, f);
        sqlite3_finalize(st);
        return NULL;
    }
    return st;
}

/* One statement without rows. 0, or -1 and *f. */
static int run(struct directory_db *db, struct fail *f, const char *sql, const char *types, ...)
{
    sqlite3_stmt *st;
    va_list args;
    int rc;

    va_start(args, types);
    st = prepare(db, f, sql, types, args);
    va_end(args);
    if (st == NULL)
        return -1;
    do
        rc = sqlite3_step(st);
    while (rc == SQLITE_ROW);
    if (rc != SQLITE_DONE)
        db_fail(db, f);
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? 0 : -1;
}

static sqlite3_stmt *query(struct directory_db *db, struct fail *f, const char *sql, const char *types, ...)
{
    sqlite3_stmt *st;
    va_list args;

    va_start(args, types);
    st = prepare(db, f, sql, types, args);
    va_end(args);
    return st;
}

/* The next row: true; the end or an error: false, *rc 0 or -1. */
static bool row(struct directory_db *db, sqlite3_stmt *st, int *rc, struct fail *f)
{
    int step = sqlite3_step(st);

    *rc = step == SQLITE_ROW || step == SQLITE_DONE ? 0 : db_fail(db, f);
    return step == SQLITE_ROW;
}

static struct span column(sqlite3_stmt *st, int i)
{
    const void *p = sqlite3_column_blob(st, i);

    return span_of(p, (size_t)sqlite3_column_bytes(st, i));
}

int directory_db_snapshot(struct directory_db *db, struct span *out, struct fail *f)
{
    sqlite3_int64 n = 0;
    unsigned char *p = sqlite3_serialize(db->sql, "main", &n, 0);

    if (p == NULL)
        return db_fail(db, f);
    char *copy = base_alloc((size_t)n + 1);
    memcpy(copy, p, (size_t)n);
    sqlite3_free(p);
    *out = span_of(copy, (size_t)n);
    return 0;
}

/* ---- open, schema --------------------------------------------------------------------------------------------------- */

static int64_t schema_version(struct directory_db *db, struct fail *f)
{
    sqlite3_stmt *st;
    int64_t version = 0;
    int rc = 0;

    if (run(db, f, "CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID", "") < 0)
        return -1;
    st = query(db, f, "SELECT value FROM meta WHERE name = 'schema'", "");
    if (st == NULL)
        return -1;
    if (row(db, st, &rc, f))
        version = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return rc == 0 ? version : -1;
}

/* A new directory: the secret for fake salts, and where account ids begin. They count up, so that they stay close
 * together in the store's keys, from a random number, so that a directory made anew beside an old store does not give
 * somebody another's mail; below 2^30 they take four bytes in a row. */
static int first_rows(struct directory_db *db, struct fail *f)
{
    unsigned char secret[32];
    int64_t base = (int64_t)((1u << 24) + rand_below((1u << 30) - (1u << 24)));

    rand_bytes(secret, sizeof secret);
    if (run(db, f, "INSERT INTO meta(name, value) VALUES('secret', ?1)", "b", span_of(secret, sizeof secret)) < 0)
        return -1;
    return run(db, f, "INSERT INTO sqlite_sequence(name, seq) VALUES('account', ?1)", "i", base);
}

static int migrate(struct directory_db *db, struct fail *f)
{
    int64_t version = schema_version(db, f);

    if (version < 0)
        return -1;
    if (version > (int64_t)COUNT_OF(migrations))
        return fail_perm(f, "5.3.5", "directory.db has schema %lld, made by a newer version; this one knows up to %d.",
                         (long long)version, (int)COUNT_OF(migrations));
    for (; version < (int64_t)COUNT_OF(migrations); version++) {
        if (run(db, f, "BEGIN IMMEDIATE", "") < 0)
            return -1;
        if (sqlite3_exec(db->sql, migrations[version], NULL, NULL, NULL) != SQLITE_OK)
            return db_fail(db, f);
        if ((version == 0 && first_rows(db, f) < 0) ||
            run(db, f, "INSERT OR REPLACE INTO meta(name, value) VALUES('schema', ?1)", "i", version + 1) < 0 ||
            run(db, f, "COMMIT", "") < 0)
            return -1;
    }
    return 0;
}

struct directory_db *directory_db_open(const char *path, struct fail *f)
{
    static const char *const pragmas[] = {
        "PRAGMA locking_mode = EXCLUSIVE", "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",        "PRAGMA trusted_schema = OFF", "PRAGMA secure_delete = ON",
        "PRAGMA temp_store = MEMORY",
    };
    struct directory_db *db = base_alloc(sizeof *db);
    int rc = sqlite3_open_v2(path, &db->sql,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_NOFOLLOW, NULL);

    if (rc != SQLITE_OK) {
        fail_temp(f, "4.3.0", "directory.db: %s", db->sql != NULL ? sqlite3_errmsg(db->sql) : "no memory");
        goto out;
    }
    sqlite3_extended_result_codes(db->sql, 1);
    sqlite3_busy_timeout(db->sql, 2000);
    for (size_t i = 0; i < COUNT_OF(pragmas); i++)
        if (run(db, f, pragmas[i], "") < 0)
            goto out;
    if (migrate(db, f) == 0 && run(db, f, "DELETE FROM gone WHERE at_s < ?1", "i", clock_now_s() - GONE_S) == 0)
        return db;
out:
    directory_db_close(db);
    return NULL;
}

void directory_db_close(struct directory_db *db)
{
    if (db == NULL)
        return;
    sqlite3_close(db->sql);
    free(db);
}

void directory_db_checkpoint(struct directory_db *db)
{
    sqlite3_wal_checkpoint_v2(db->sql, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}

/* ---- reading at start ------------------------------------------------------------------------------------------------- */

static int load_verifier(sqlite3_stmt *st, int at, struct password_verifier *v)
{
    struct span salt = column(st, at), stored = column(st, at + 2), server = column(st, at + 3);
    int64_t iterations = sqlite3_column_int64(st, at + 1);

    if (salt.n != PASSWORD_SALT || stored.n != PASSWORD_KEY || server.n != PASSWORD_KEY || iterations < 1 ||
        iterations > INT32_MAX)
        return -1;
    memcpy(v->salt, salt.p, PASSWORD_SALT);
    memcpy(v->stored_key, stored.p, PASSWORD_KEY);
    memcpy(v->server_key, server.p, PASSWORD_KEY);
    v->iterations = (uint32_t)iterations;
    return 0;
}

static int load_accounts(struct directory_db *db, struct directory_cache *c, struct fail *f)
{
    sqlite3_stmt *st = query(db, f,
                             "SELECT id, address, lang, disabled, created_s, salt, iterations, stored_key, server_key"
                             " FROM account",
                             "");
    struct password_verifier v;
    int rc = -1;

    while (st != NULL && row(db, st, &rc, f)) {
        if (load_verifier(st, 5, &v) < 0) {
            rc = fail_perm(f, "5.3.0", "directory.db: the password of an account is damaged.");
            break;
        }
        directory_cache_add_account(c, column(st, 1), column(st, 2), (uint64_t)sqlite3_column_int64(st, 0),
                                    sqlite3_column_int(st, 3) != 0, sqlite3_column_int64(st, 4), &v);
    }
    sqlite3_finalize(st);
    return rc;
}

static int load_domains(struct directory_db *db, struct directory_cache *c, struct fail *f)
{
    sqlite3_stmt *st = query(db, f, "SELECT id, name, admin FROM domain", "");
    int rc = -1;

    while (st != NULL && row(db, st, &rc, f))
        directory_cache_add_domain(c, column(st, 1), sqlite3_column_int64(st, 0), (uint64_t)sqlite3_column_int64(st, 2));
    sqlite3_finalize(st);
    return rc;
}

static int load_aliases(struct directory_db *db, struct directory_cache *c, struct fail *f)
{
    sqlite3_stmt *st = query(db, f, "SELECT address, targets FROM alias", "");
    int rc = -1;

    while (st != NULL && row(db, st, &rc, f))
        directory_cache_add_alias(c, column(st, 0), column(st, 1));
    sqlite3_finalize(st);
    return rc;
}

static void column_key(sqlite3_stmt *st, int i, unsigned char *key, size_t n)
{
    struct span s = column(st, i);

    if (s.n == n)
        memcpy(key, s.p, n);
}

static int load_apps(struct directory_db *db, struct directory_cache *c, struct fail *f)
{
    sqlite3_stmt *st = query(db, f,
                             "SELECT id, account, label, scope, created_s, used_s, hash, stored_1, server_1, stored_256,"
                             " server_256 FROM app_password ORDER BY id",
                             "");
    int rc = -1;

    while (st != NULL && row(db, st, &rc, f)) {
        struct directory_account *a = map_get_u64(&c->accounts, (uint64_t)sqlite3_column_int64(st, 1));
        struct app_password app = {.id = (uint64_t)sqlite3_column_int64(st, 0),
                                   .scope = (uint32_t)sqlite3_column_int(st, 3),
                                   .created_s = sqlite3_column_int64(st, 4),
                                   .used_s = sqlite3_column_int64(st, 5)};
        snprintf(app.label, sizeof app.label, "%.*s", SPAN_ARGS(column(st, 2)));
        column_key(st, 6, app.hash, sizeof app.hash);
        column_key(st, 7, app.stored_key[SCRAM_SHA1], scram_key_size(SCRAM_SHA1));
        column_key(st, 8, app.server_key[SCRAM_SHA1], scram_key_size(SCRAM_SHA1));
        column_key(st, 9, app.stored_key[SCRAM_SHA256], scram_key_size(SCRAM_SHA256));
        column_key(st, 10, app.server_key[SCRAM_SHA256], scram_key_size(SCRAM_SHA256));
        if (a != NULL)
            directory_cache_add_app(a, &app);
    }
    sqlite3_finalize(st);
    return rc;
}

static int load_domain_aliases(struct directory_db *db, struct directory_cache *c, struct fail *f)
{
    sqlite3_stmt *st = query(db, f, "SELECT a.name, d.name FROM domain_alias a JOIN domain d ON d.id = a.domain", "");
    int rc = -1;

    while (st != NULL && row(db, st, &rc, f))
        directory_cache_add_domain_alias(c, column(st, 0), column(st, 1));
    sqlite3_finalize(st);
    return rc;
}

int directory_db_load(struct directory_db *db, struct directory_cache *c, unsigned char secret[32], struct fail *f)
{
    sqlite3_stmt *st = query(db, f, "SELECT value FROM meta WHERE name = 'secret'", "");
    int rc = -1;

    if (st == NULL)
        return -1;
    if (row(db, st, &rc, f) && column(st, 0).n == 32)
        memcpy(secret, column(st, 0).p, 32);
    else
        rc = fail_perm(f, "5.3.0", "directory.db holds no secret: it is damaged.");
    sqlite3_finalize(st);
    if (rc < 0 || load_accounts(db, c, f) < 0 || load_domains(db, c, f) < 0)
        return -1;
    return load_domain_aliases(db, c, f) < 0 || load_apps(db, c, f) < 0 ? -1 : load_aliases(db, c, f);
}

/* ---- changes ------------------------------------------------------------------------------------------------------------- */

static struct span bytes(const unsigned char *p, size_t n)
{
    return span_of(p, n);
}

static void cut(struct span address, struct span *local, struct span *domain)
{
    size_t at = (size_t)span_rfind_char(address, '@');

    *local = span_sub(address, 0, at);
    *domain = span_from(address, at + 1);
}

static int add_account(struct directory_db *db, struct directory_change *c, struct fail *f)
{
    const struct password_verifier *v = &c->verifier;
    struct span local, domain;

    cut(c->address, &local, &domain);
    if (run(db, f,
            "INSERT INTO account(address, local, domain, lang, disabled, created_s, salt, iterations, stored_key,"
            " server_key) VALUES(?1, ?2, (SELECT id FROM domain WHERE name = ?3), ?4, 0, ?5, ?6, ?7, ?8, ?9)",
            "ttttibibb", c->address, local, domain, c->lang, c->now_s, bytes(v->salt, PASSWORD_SALT),
            (int64_t)v->iterations, bytes(v->stored_key, PASSWORD_KEY), bytes(v->server_key, PASSWORD_KEY)) < 0)
        return -1;
    c->account = (uint64_t)sqlite3_last_insert_rowid(db->sql);
    return 0;
}

static int add_domain(struct directory_db *db, struct directory_change *c, struct fail *f)
{
    /* The admin may be an account of this very domain: the reference is checked at commit. */
    if (run(db, f, "INSERT INTO domain(name, admin, created_s) VALUES(?1, ?2, ?3)", "tii", c->domain,
            (int64_t)c->account, c->now_s) < 0)
        return -1;
    c->domain_id = sqlite3_last_insert_rowid(db->sql);
    if (!c->new_account)
        return 0;
    if (add_account(db, c, f) < 0)
        return -1;
    return run(db, f, "UPDATE domain SET admin = ?1 WHERE id = ?2", "ii", (int64_t)c->account, c->domain_id);
}

static int set_domain_admin(struct directory_db *db, struct directory_change *c, struct fail *f)
{
    return run(db, f, "UPDATE domain SET admin = ?1 WHERE id = ?2", "ii", (int64_t)c->account, c->domain_id);
}

static int remove_domain(struct directory_db *db, struct directory_change *c, struct fail *f)
{
    static const char *const steps[] = {
        "DELETE FROM alias WHERE domain = ?1",
        "DELETE FROM domain_alias WHERE domain = ?1",
        "DELETE FROM account WHERE domain = ?1",
        "DELETE FROM domain WHERE id = ?1",
    };

    if (run(db, f, "INSERT INTO gone(account, at_s) SELECT id, ?2 FROM account WHERE domain = ?1", "ii", c->domain_id,
            c->now_s) < 0)
        return -1;
    for (size_t i = 0; i < COUNT_OF(steps); i++)
        if (run(db, f, steps[i], "i", c->domain_id) < 0)
            return -1;
    return 0;
}

static int add_domain_alias(struct directory_db *db, struct directory_change *c, struct fail *f)
{
    return run(db, f, "INSERT INTO domain_alias(name, domain, created_s) VALUES(?1, ?2, ?3)", "tii", c->address,
               c->domain_id, c->now_s);
}

static int remove_domain_alias(struct directory_db *db, struct directory_change *c, struct fail *f)
{
    return run(db, f, "DELETE FROM domain_alias WHERE name = ?1", "t", c->address);
}

static int set_account_state(struct directory_db *db, struct directory_change *c, struct fail *f)
{
    return run(db, f, "UPDATE account SET disabled = ?1 WHERE id = ?2", "ii", (int64_t)c->disabled, (int64_t)c->account);
}

static int set_password(struct directory_db *db, struct directory_change *c, struct fail *f)
{
    const struct password_verifier *v = &c->verifier;

    if (c->revoke_apps && run(db, f, "DELETE FROM app_password WHERE account = ?1", "i", (int64_t)c->account) < 0)
        return -1;
    return run(db, f, "UPDATE account SET salt = ?1, iterations = ?2, stored_key = ?3, server_key = ?4 WHERE id = ?5",
               "bibbi", bytes(v->salt, PASSWORD_SALT), (int64_t)v->iterations, bytes(v->stored_key, PASSWORD_KEY),
               bytes(v->server_key, PASSWORD_KEY), (int64_t)c->account);
}

static int remove_account(struct directory_db *db, struct directory_change *c, struct fail *f)
{
    if (run(db, f, "DELETE FROM account WHERE id = ?1", "i", (int64_t)c->account) < 0)
        return -1;
    return run(db, f, "INSERT INTO gone(account, at_s) VALUES(?1, ?2)", "ii", (int64_t)c->account, c->now_s);
}

static int add_app(struct directory_db *db, struct directory_change *c, struct fail *f)
{
    const struct app_password *a = &c->app;
    size_t n1 = scram_key_size(SCRAM_SHA1), n256 = scram_key_size(SCRAM_SHA256);

    if (run(db, f,
            "INSERT INTO app_password(account, label, scope, created_s, used_s, hash, stored_1, server_1, stored_256,"
            " server_256) VALUES(?1, ?2, ?3, ?4, 0, ?5, ?6, ?7, ?8, ?9)",
            "itiibbbbb", (int64_t)c->account, span_z(a->label), (int64_t)a->scope, a->created_s,
            bytes(a->hash, sizeof a->hash), bytes(a->stored_key[SCRAM_SHA1], n1), bytes(a->server_key[SCRAM_SHA1], n1),
            bytes(a->stored_key[SCRAM_SHA256], n256), bytes(a->server_key[SCRAM_SHA256], n256)) < 0)
        return -1;
    c->app.id = (uint64_t)sqlite3_last_insert_rowid(db->sql);
    return 0;
}

static int remove_app(struct directory_db *db, struct directory_change *c, struct fail *f)
{
    return run(db, f, "DELETE FROM app_password WHERE id = ?1", "i", (int64_t)c->app.id);
}

static int add_alias(struct directory_db *db, struct directory_change *c, struct fail *f)
{
    struct span local, domain;

    cut(c->address, &local, &domain);
    return run(db, f,
               "INSERT INTO alias(address, local, domain, targets)"
               " VALUES(?1, ?2, (SELECT id FROM domain WHERE name = ?3), ?4)",
               "tttt", c->address, local, domain, c->targets);
}

static int remove_alias(struct directory_db *db, struct directory_change *c, struct fail *f)
{
    return run(db, f, "DELETE FROM alias WHERE address = ?1", "t", c->address);
}

/* Ends a transaction: rc 0 commits, if it can. */
static int end(struct directory_db *db, int rc, bool *broken, struct fail *f)
{
    if (rc == 0 && run(db, f, "COMMIT", "") == 0)
        return 0;
    *broken = (sqlite3_extended_errcode(db->sql) & 0xff) == SQLITE_IOERR; /* REL-04: never go on over a failed sync */
    if (run(db, NULL, "ROLLBACK", "") < 0 && !sqlite3_get_autocommit(db->sql))
        *broken = true;
    return -1;
}

int directory_db_write(struct directory_db *db, struct directory_change *c, bool *broken, struct fail *f)
{
    static int (*const kinds[])(struct directory_db *, struct directory_change *, struct fail *) = {
        [DIRECTORY_DOMAIN_ADD] = add_domain,
        [DIRECTORY_DOMAIN_ADMIN] = set_domain_admin,
        [DIRECTORY_DOMAIN_REMOVE] = remove_domain,
        [DIRECTORY_DOMAIN_ALIAS_ADD] = add_domain_alias,
        [DIRECTORY_DOMAIN_ALIAS_REMOVE] = remove_domain_alias,
        [DIRECTORY_ACCOUNT_ADD] = add_account,
        [DIRECTORY_ACCOUNT_STATE] = set_account_state,
        [DIRECTORY_PASSWORD] = set_password,
        [DIRECTORY_APP_ADD] = add_app,
        [DIRECTORY_APP_REMOVE] = remove_app,
        [DIRECTORY_ACCOUNT_REMOVE] = remove_account,
        [DIRECTORY_ALIAS_ADD] = add_alias,
        [DIRECTORY_ALIAS_REMOVE] = remove_alias,
    };

    *broken = false;
    if (run(db, f, "BEGIN IMMEDIATE", "") < 0)
        return -1;
    return end(db, kinds[c->kind](db, c, f), broken, f);
}

/* ---- attempts to log in --------------------------------------------------------------------------------------------------- */

/* An attempt like the last hour's joins them: a program that polls, or a guesser, fills no list. */
static int write_attempt(struct directory_db *db, const struct directory_attempt *a, struct fail *f)
{
    struct span service = span_z(a->service), mech = span_z(a->mech), label = span_z(a->label), ip = bytes(a->ip, 16);

    if (a->app != 0 && a->result == LOGIN_OK &&
        run(db, f, "UPDATE app_password SET used_s = ?1 WHERE id = ?2", "ii", a->at_s, (int64_t)a->app) < 0)
        return -1;
    if (run(db, f,
            "UPDATE attempt SET last_s = ?1, count = count + ?2 WHERE id = (SELECT id FROM attempt WHERE account = ?3"
            " AND service = ?4 AND ip = ?5 AND mech = ?6 AND result = ?7 AND label = ?8 AND first_s > ?1 - 3600"
            " ORDER BY id DESC LIMIT 1)",
            "iiitbtit", a->at_s, (int64_t)a->count, (int64_t)a->account, service, ip, mech, (int64_t)a->result, label) < 0)
        return -1;
    if (sqlite3_changes(db->sql) > 0)
        return 0;
    return run(db, f,
               "INSERT INTO attempt(account, first_s, last_s, count, service, ip, mech, result, label)"
               " SELECT id, ?1, ?1, ?2, ?4, ?5, ?6, ?7, ?8 FROM account WHERE id = ?3",
               "iiitbtit", a->at_s, (int64_t)a->count, (int64_t)a->account, service, ip, mech, (int64_t)a->result, label);
}

static int prune_attempts(struct directory_db *db, uint64_t account, int64_t now_s, struct fail *f)
{
    return run(db, f,
               "DELETE FROM attempt WHERE account = ?1 AND (last_s < ?2 OR id <= (SELECT id FROM attempt"
               " WHERE account = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?3))",
               "iii", (int64_t)account, now_s - LIMIT(LOGIN_ATTEMPT_S), LIMIT(LOGIN_ATTEMPTS));
}

int directory_db_write_attempts(struct directory_db *db, const struct directory_attempt *v, size_t n, bool *broken,
                                struct fail *f)
{
    int rc = 0;

    *broken = false;
    if (run(db, f, "BEGIN IMMEDIATE", "") < 0)
        return -1;
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (write_attempt(db, &v[i], f) < 0 || prune_attempts(db, v[i].account, v[i].at_s, f) < 0)
            rc = -1;
    return end(db, rc, broken, f);
}

int directory_db_logins(struct directory_db *db, uint64_t account, uint64_t before, struct msg_logins_r *out,
                        struct arena *mem, struct fail *f)
{
    sqlite3_stmt *st = query(db, f,
                             "SELECT id, first_s, last_s, count, service, ip, mech, result, label FROM attempt"
                             " WHERE account = ?1 AND (?2 = 0 OR id < ?2) ORDER BY id DESC LIMIT 500",
                             "ii", (int64_t)account, (int64_t)before);
    struct msg_login_row *v = arena_alloc(mem, PAGE_ROWS * sizeof *v);
    size_t n = 0;
    int rc = -1;

    while (st != NULL && row(db, st, &rc, f))
        v[n++] = (struct msg_login_row){.id = (uint64_t)sqlite3_column_int64(st, 0),
                                        .first_s = sqlite3_column_int64(st, 1),
                                        .last_s = sqlite3_column_int64(st, 2),
                                        .count = (uint32_t)sqlite3_column_int64(st, 3),
                                        .service = arena_copy(mem, column(st, 4)),
                                        .ip = arena_copy(mem, column(st, 5)),
                                        .mech = arena_copy(mem, column(st, 6)),
                                        .result = (uint32_t)sqlite3_column_int(st, 7),
                                        .label = arena_copy(mem, column(st, 8))};
    sqlite3_finalize(st);
    out->logins.v = v;
    out->logins.n = (uint32_t)n;
    return rc;
}

/* ---- lists ----------------------------------------------------------------------------------------------------------------- */

/* Makes room for one more row of `item` bytes in a list of at most PAGE_ROWS; false when the page is full. */
static bool page_room(size_t n, size_t *bytes_used, size_t row_bytes)
{
    *bytes_used += row_bytes;
    return n < PAGE_ROWS && *bytes_used <= PAGE_BYTES;
}

int directory_db_domains(struct directory_db *db, struct msg_domain_list_r *out, struct arena *mem, struct fail *f)
{
    sqlite3_stmt *st = query(db, f,
                             "SELECT d.name, a.address, (SELECT count(*) FROM account WHERE domain = d.id),"
                             " (SELECT count(*) FROM alias WHERE domain = d.id)"
                             " FROM domain d LEFT JOIN account a ON a.id = d.admin ORDER BY d.name",
                             "");
    size_t used = 0, cap = 0, n = 0;
    struct msg_domain_row *v = NULL;
    int rc = -1;

    while (st != NULL && row(db, st, &rc, f)) {
        used += 64 + column(st, 0).n + column(st, 1).n;
        if (used > PAGE_BYTES) {
            rc = fail_perm(f, "5.3.4", "There are more domains than fit one answer.");
            break;
        }
        if (n == cap) {
            struct msg_domain_row *grown = arena_alloc(mem, (cap = cap * 2 + 64) * sizeof *v);
            if (n > 0)
                memcpy(grown, v, n * sizeof *v);
            v = grown;
        }
        v[n++] = (struct msg_domain_row){.name = arena_copy(mem, column(st, 0)),
                                         .admin = arena_copy(mem, column(st, 1)),
                                         .accounts = (uint64_t)sqlite3_column_int64(st, 2),
                                         .aliases = (uint64_t)sqlite3_column_int64(st, 3)};
    }
    sqlite3_finalize(st);
    out->domains.v = v;
    out->domains.n = (uint32_t)n;
    return rc;
}

int directory_db_domain_aliases(struct directory_db *db, struct msg_domain_alias_list_r *out, struct arena *mem,
                                struct fail *f)
{
    sqlite3_stmt *st = query(db, f,
                             "SELECT a.name, d.name FROM domain_alias a JOIN domain d ON d.id = a.domain"
                             " ORDER BY d.name, a.name LIMIT 1001",
                             "");
    struct msg_domain_alias_row *v = arena_alloc(mem, 1000 * sizeof *v);
    size_t used = 0, n = 0;
    int rc = -1;

    while (st != NULL && row(db, st, &rc, f)) {
        used += 64 + column(st, 0).n + column(st, 1).n;
        if (used > PAGE_BYTES || n == 1000) {
            rc = fail_perm(f, "5.3.4", "There are more domain aliases than fit one answer.");
            break;
        }
        v[n++] = (struct msg_domain_alias_row){.name = arena_copy(mem, column(st, 0)),
                                               .domain = arena_copy(mem, column(st, 1))};
    }
    sqlite3_finalize(st);
    out->aliases.v = v;
    out->aliases.n = (uint32_t)n;
    return rc;
}

int directory_db_accounts(struct directory_db *db, struct span after, struct msg_account_list_r *out, struct arena *mem,
                          struct fail *f)
{
    sqlite3_stmt *st = query(db, f,
                             "SELECT id, address, lang, disabled, created_s FROM account WHERE address > ?1"
                             " ORDER BY address LIMIT 500",
                             "t", after);
    struct msg_account_row *v = arena_alloc(mem, PAGE_ROWS * sizeof *v);
    size_t used = 0, n = 0;
    int rc = -1;

    while (st != NULL && row(db, st, &rc, f) && page_room(n, &used, 64 + column(st, 1).n + column(st, 2).n))
        v[n++] = (struct msg_account_row){.account = (uint64_t)sqlite3_column_int64(st, 0),
                                          .address = arena_copy(mem, column(st, 1)),
                                          .lang = arena_copy(mem, column(st, 2)),
                                          .disabled = (uint32_t)sqlite3_column_int(st, 3),
                                          .created_s = sqlite3_column_int64(st, 4)};
    sqlite3_finalize(st);
    out->accounts.v = v;
    out->accounts.n = (uint32_t)n;
    return rc;
}

int directory_db_aliases(struct directory_db *db, struct span after, struct msg_alias_list_r *out, struct arena *mem,
                         struct fail *f)
{
    sqlite3_stmt *st = query(db, f, "SELECT address, targets FROM alias WHERE address > ?1 ORDER BY address LIMIT 500",
                             "t", after);
    struct msg_alias_row *v = arena_alloc(mem, PAGE_ROWS * sizeof *v);
    size_t used = 0, n = 0;
    int rc = -1;

    while (st != NULL && row(db, st, &rc, f) && page_room(n, &used, 64 + column(st, 0).n + column(st, 1).n))
        v[n++] = (struct msg_alias_row){.address = arena_copy(mem, column(st, 0)),
                                        .targets = arena_copy(mem, column(st, 1))};
    sqlite3_finalize(st);
    out->aliases.v = v;
    out->aliases.n = (uint32_t)n;
    return rc;
}

int directory_db_gone(struct directory_db *db, uint64_t **ids, size_t *n, struct arena *mem, struct fail *f)
{
    sqlite3_stmt *st = query(db, f, "SELECT account FROM gone ORDER BY at_s DESC LIMIT 10000", "");
    uint64_t *v = arena_alloc(mem, 10000 * sizeof *v);
    int rc = -1;

    *n = 0;
    while (st != NULL && row(db, st, &rc, f))
        v[(*n)++] = (uint64_t)sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    *ids = v;
    return rc;
}
