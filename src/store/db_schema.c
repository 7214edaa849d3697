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

    /* Immutable. size: of what a client reads, edits applied (store_edit.h). The columns a listing wants come first. */
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

const struct db_step db_schema_steps[] = {{"the first tables", version_1, NULL}};
const size_t db_schema_version = COUNT_OF(db_schema_steps);
