/* db_schema: the tables of the index (doc/decisions/05-index-locality.md says why the keys are these).
 *
 * What an arrival writes: email, blob, op, member_eid and segment grow at their right edge and share pages with the
 * other arrivals of the batch; mailbox is a few dozen pages in all; member is the one random page. member_changed holds
 * only rows changed after they came, and an account's row only what its mailboxes cannot tell.
 */
#include "store/db_schema.h"

static const char version_1[] =
    /* One row per segment; the newest also carries the store's counters, which change in every commit as `end` does. */
    "CREATE TABLE segment("
    " seg INTEGER PRIMARY KEY,"
    " end INTEGER NOT NULL,"         /* of valid data; what lies behind it never happened */
    " live INTEGER NOT NULL,"        /* bytes of records still referred to */
    " next_eid INTEGER NOT NULL, next_bid INTEGER NOT NULL, next_mailbox INTEGER NOT NULL,"
    " emails INTEGER NOT NULL, blobs INTEGER NOT NULL);"

    "CREATE TABLE blob("
    " bid INTEGER PRIMARY KEY,"
    " seg INTEGER NOT NULL, off INTEGER NOT NULL," /* of the record */
    " meta INTEGER NOT NULL, len INTEGER NOT NULL," /* lengths of its meta data and of the body */
    " big INTEGER NOT NULL,"         /* the body is in big/<bid> */
    " refs INTEGER NOT NULL);"       /* emails */

    /* modseq: the account's, at least; the greatest highmodseq of its mailboxes may be above it (an arrival does not
     * write this row). floor: tombstones below it are gone. quota in bytes, NULL: none. uidvalidity: last one given. */
    "CREATE TABLE account("
    " account INTEGER PRIMARY KEY,"
    " modseq INTEGER NOT NULL, floor INTEGER NOT NULL, quota INTEGER, uidvalidity INTEGER NOT NULL);"

    "CREATE TABLE mailbox("
    " account INTEGER NOT NULL, mailbox INTEGER NOT NULL,"
    " uidnext INTEGER NOT NULL, highmodseq INTEGER NOT NULL,"
    " total INTEGER NOT NULL, unseen INTEGER NOT NULL, deleted INTEGER NOT NULL, size INTEGER NOT NULL,"
    " changed_modseq INTEGER NOT NULL," /* of its name and kind */
    " name TEXT NOT NULL, role INTEGER NOT NULL, uidvalidity INTEGER NOT NULL, subscribed INTEGER NOT NULL,"
    " PRIMARY KEY(account, mailbox)) WITHOUT ROWID;"
    "CREATE UNIQUE INDEX mailbox_role ON mailbox(account, role) WHERE role <> 0;"

    /* Immutable. size: of what a client reads, edits applied (format/edit.h). The columns a listing wants come first. */
    "CREATE TABLE email("
    " eid INTEGER PRIMARY KEY,"
    " account INTEGER NOT NULL, bid INTEGER NOT NULL, size INTEGER NOT NULL, thread INTEGER NOT NULL,"
    " msgid_hash INTEGER NOT NULL, date_s INTEGER, received_ms INTEGER NOT NULL, flags INTEGER NOT NULL,"
    " edits BLOB NOT NULL, envelope BLOB NOT NULL, preview BLOB NOT NULL, structure BLOB NOT NULL,"
    " headers BLOB NOT NULL);"

    /* An email in a mailbox; narrow, for flags and listings. created_modseq grows with uid within a mailbox. */
    "CREATE TABLE member("
    " mailbox INTEGER NOT NULL, uid INTEGER NOT NULL,"
    " eid INTEGER NOT NULL, flags INTEGER NOT NULL, size INTEGER NOT NULL,"
    " internal_ms INTEGER NOT NULL, saved_after_ms INTEGER NOT NULL," /* SAVEDATE, counted from internal_ms */
    " created_modseq INTEGER NOT NULL, modseq INTEGER NOT NULL, keywords TEXT,"
    " PRIMARY KEY(mailbox, uid)) WITHOUT ROWID;"
    "CREATE INDEX member_eid ON member(eid);"
    "CREATE INDEX member_changed ON member(mailbox, modseq) WHERE modseq <> created_modseq;"

    /* Tombstones. Every change has a modseq of its own, so that a listing can stop anywhere. */
    "CREATE TABLE gone("
    " account INTEGER NOT NULL, modseq INTEGER NOT NULL, mailbox INTEGER NOT NULL, uid INTEGER NOT NULL,"
    " eid INTEGER NOT NULL, PRIMARY KEY(account, modseq)) WITHOUT ROWID;"

    /* Ids begin with their time, so this grows at its right edge and is purged at its left. */
    "CREATE TABLE op("
    " op BLOB PRIMARY KEY, expires_s INTEGER NOT NULL, result BLOB NOT NULL) WITHOUT ROWID;";

static const char version_2[] =
    /* Mailboxes: a tree of (parent, name), 0 at the root. unread: neither \\Seen nor \\Draft nor \\Deleted. */
    "ALTER TABLE mailbox ADD COLUMN parent INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE mailbox ADD COLUMN unread INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE mailbox ADD COLUMN created_modseq INTEGER NOT NULL DEFAULT 0;"
    "UPDATE mailbox SET created_modseq = changed_modseq, unread ="
    " (SELECT count(*) FROM member m WHERE m.mailbox = mailbox.mailbox AND m.flags & 25 = 0);"
    "CREATE UNIQUE INDEX mailbox_name ON mailbox(account, parent, name);"

    "ALTER TABLE account ADD COLUMN quota_messages INTEGER;" /* NULL: none */

    /* Tombstones: uid and eid 0, of a mailbox. thread: of an email that is nowhere any more. gone_s: they go by age. */
    "ALTER TABLE gone ADD COLUMN thread INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE gone ADD COLUMN gone_s INTEGER NOT NULL DEFAULT 0;"
    "UPDATE gone SET gone_s = strftime('%s', 'now');"

    /* refs: hashes of In-Reply-To and References, u64 little endian, the likeliest first. created_modseq 0: not known. */
    "CREATE TABLE email_2("
    " eid INTEGER PRIMARY KEY,"
    " account INTEGER NOT NULL, bid INTEGER NOT NULL, size INTEGER NOT NULL, created_modseq INTEGER NOT NULL,"
    " msgid_hash INTEGER NOT NULL, date_s INTEGER, received_ms INTEGER NOT NULL, flags INTEGER NOT NULL,"
    " refs BLOB NOT NULL, edits BLOB NOT NULL, envelope BLOB NOT NULL, preview BLOB NOT NULL, structure BLOB NOT NULL,"
    " headers BLOB NOT NULL);"
    "INSERT INTO email_2 SELECT eid, account, bid, size, 0, msgid_hash, date_s, received_ms, flags, x'', edits, envelope,"
    " preview, structure, headers FROM email;"
    "DROP TABLE email;"
    "ALTER TABLE email_2 RENAME TO email;"

    /* Threads are found out after the arrival, in order of eid, up to state 'threaded' (store_thread.c). A thread is named
     * after its first email. */
    "CREATE TABLE thread_email(eid INTEGER PRIMARY KEY, thread INTEGER NOT NULL);"
    "CREATE INDEX thread_email_thread ON thread_email(thread);"
    "CREATE TABLE thread_key("
    " account INTEGER NOT NULL, key INTEGER NOT NULL, thread INTEGER NOT NULL, PRIMARY KEY(account, key)) WITHOUT ROWID;"
    "CREATE INDEX thread_key_thread ON thread_key(thread);"
    "CREATE TABLE state(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"

    /* Each holds one reference to its blob. */
    "CREATE TABLE upload("
    " bid INTEGER PRIMARY KEY, account INTEGER NOT NULL, size INTEGER NOT NULL, crc INTEGER NOT NULL,"
    " expires_s INTEGER NOT NULL);"
    "CREATE INDEX upload_account ON upload(account);"

    /* account 0: the whole store's. expires_s 0: never. */
    "CREATE TABLE kv("
    " account INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, expires_s INTEGER NOT NULL,"
    " PRIMARY KEY(account, key)) WITHOUT ROWID;"
    "CREATE INDEX kv_expires ON kv(expires_s) WHERE expires_s > 0;";

/* What refers to a blob: for verify, and to say whose messages a damaged one is. Grows at its right edge. */
static const char version_3[] = "CREATE INDEX email_bid ON email(bid);";

/* Accounts whose mailboxes the log is to be told of again, so that a rebuilt index knows them (store_note.c). */
static const char version_4[] =
    "CREATE TABLE tree_due(account INTEGER PRIMARY KEY);"
    "INSERT INTO tree_due SELECT account FROM account;";
static const char version_5[] =
    /* The queue (store_queue.h). Ids are taken from those of emails, so none comes twice; the recipients of a message are
     * qid + 1 .. qid + rcpts. Times are the queue's own (store_queue_time.c). Each message has one reference to its blob
     * and goes with the last of its recipients and reports. report: who gets reports, empty: nobody. */
    "CREATE TABLE queue_message("
    " qid INTEGER PRIMARY KEY, bid INTEGER NOT NULL, account INTEGER NOT NULL, size INTEGER NOT NULL,"
    " flags INTEGER NOT NULL, ret INTEGER NOT NULL, rcpts INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
    " msgid_hash INTEGER NOT NULL, trace BLOB NOT NULL, sender BLOB NOT NULL, report BLOB NOT NULL, envid BLOB NOT NULL,"
    " edits BLOB NOT NULL);"
    "CREATE INDEX queue_message_bid ON queue_message(bid);"

    /* state: 0 waiting, 2 held. age: 0 not tried yet, then 1, 2: in this order they are leased, within it by due_ms (of a
     * held one: when the hold ends). trying: the boot of the relay that may just be handing it over. */
    "CREATE TABLE queue_rcpt("
    " rid INTEGER PRIMARY KEY, qid INTEGER NOT NULL, state INTEGER NOT NULL, age INTEGER NOT NULL, tries INTEGER NOT NULL,"
    " maybe_sent INTEGER NOT NULL, trying INTEGER NOT NULL, delayed INTEGER NOT NULL, notify INTEGER NOT NULL,"
    " due_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, held_ms INTEGER NOT NULL,"
    " domain BLOB NOT NULL, address BLOB NOT NULL, orcpt BLOB NOT NULL, route BLOB NOT NULL,"
    " last_code INTEGER NOT NULL, last_status BLOB NOT NULL, last_text BLOB NOT NULL, last_host BLOB NOT NULL);"
    "CREATE INDEX queue_rcpt_due ON queue_rcpt(domain, age, due_ms, rid) WHERE state = 0;"
    "CREATE INDEX queue_rcpt_trying ON queue_rcpt(trying) WHERE trying <> 0;"
    "CREATE INDEX queue_rcpt_held ON queue_rcpt(due_ms) WHERE state = 2;"
    "CREATE TABLE queue_suspended(domain BLOB PRIMARY KEY, since_ms INTEGER NOT NULL) WITHOUT ROWID;"

    /* A report (DSN) that is still to be made; action: enum dsn_action. It goes in the commit that brings the report. */
    "CREATE TABLE queue_report("
    " rid INTEGER NOT NULL, action INTEGER NOT NULL, qid INTEGER NOT NULL, due_ms INTEGER NOT NULL, tries INTEGER NOT NULL,"
    " at_ms INTEGER NOT NULL, code INTEGER NOT NULL, cause INTEGER NOT NULL, until_ms INTEGER NOT NULL,"
    " address BLOB NOT NULL, orcpt BLOB NOT NULL, status BLOB NOT NULL, text BLOB NOT NULL, host BLOB NOT NULL,"
    " PRIMARY KEY(rid, action)) WITHOUT ROWID;"
    "CREATE INDEX queue_report_due ON queue_report(due_ms);"

    /* What happened to a message in one commit (store_event.h). id: time in ms << 16, and counting on: it grows at its
     * right edge and is purged at its left. */
    "CREATE TABLE event(id INTEGER PRIMARY KEY, trace BLOB NOT NULL, data BLOB NOT NULL);"

    /* What accounts send (store_send.c). day: since 1970, UTC; fresh: recipients that were no correspondents before. */
    "CREATE TABLE send_day("
    " account INTEGER NOT NULL, day INTEGER NOT NULL, messages INTEGER NOT NULL, fresh INTEGER NOT NULL,"
    " PRIMARY KEY(account, day)) WITHOUT ROWID;"
    "CREATE TABLE correspondent("
    " account INTEGER NOT NULL, address BLOB NOT NULL, last_s INTEGER NOT NULL, messages INTEGER NOT NULL,"
    " PRIMARY KEY(account, address)) WITHOUT ROWID;";

/* Keys of threads that ended go in order of the keys, not with their thread (doc/decisions/17-thread-keys.md). */
static const char version_6[] = "DROP INDEX thread_key_thread;";

/* A resume is on its way (store_queue_suspend.c): rows up to rid `done` have got their time back, as of until_ms; 0: none is. */
static const char version_7[] =
    "ALTER TABLE queue_suspended ADD COLUMN until_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE queue_suspended ADD COLUMN done INTEGER NOT NULL DEFAULT 0;";

const struct db_step db_schema_steps[] = {
    {"the first tables", version_1, NULL},
    {"a tree of mailboxes, threads, uploads, values", version_2, NULL},
    {"emails by blob", version_3, NULL},
    {"mailboxes in the log", version_4, NULL},
    {"the queue, delivery events, limits of sending", version_5, NULL},
    {"keys of threads go together", version_6, NULL},
    {"resuming a domain in steps", version_7, NULL},
};
const size_t db_schema_version = COUNT_OF(db_schema_steps);
