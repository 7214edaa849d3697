/* store_verify: looks at everything the store has and says exactly what is wrong, a bounded step at a time. */
#ifndef POSTEL_STORE_VERIFY_H
#define POSTEL_STORE_VERIFY_H

#include "base/fail.h"
#include "base/arena.h"

struct db;
struct store;
struct store_verify;

enum verify_kind {
    VERIFY_NOTE,            /* no damage, but somebody may want to know */
    VERIFY_INDEX_DAMAGED,   /* the file of the index: rebuild, or a backup */
    VERIFY_LOG,             /* bytes of the log that no message uses */
    VERIFY_BODY,            /* a: blob; its bytes are damaged or missing: mark */
    VERIFY_SEGMENT_LIVE,    /* a: segment; counter: recount */
    VERIFY_STORE_COUNTERS,  /* a: segment */
    VERIFY_BLOB_REFS,       /* a: blob */
    VERIFY_BLOB_UNUSED,     /* a: blob, without an email: drop */
    VERIFY_EMAIL_DANGLING,  /* a: email, without a blob: drop with its members */
    VERIFY_EMAIL_UNUSED,    /* a: email, in no mailbox: put into the INBOX */
    VERIFY_EMAIL_SIZE,      /* a: email, b: the right size */
    VERIFY_EMAIL_EDITS,     /* a: email, edit list not readable: mark (b: blob) */
    VERIFY_MEMBER_DANGLING, /* a: account, b: mailbox, c: uid; without an email, or another account's: drop */
    VERIFY_MEMBER_SIZE,     /* a: account, b: mailbox, c: uid */
    VERIFY_MAILBOX,         /* a: account, b: mailbox; counters, uidnext, modseq: recount */
    VERIFY_MAILBOX_LOST,    /* b: mailbox that exists no more, with members: made again */
    VERIFY_ACCOUNT,         /* a: account; row missing, or modseq too low */
    VERIFY_GONE,            /* a: account that is not there, with tombstones: drop */
    VERIFY_THREAD,          /* a: email without a thread though its turn has come: begins one */
    VERIFY_THREAD_LOST,     /* a: email that is not there, with a thread: drop */
    VERIFY_UPLOAD,          /* a: blob that is not there, with an upload: drop */
    VERIFY_OPS,             /* remembered results that cannot be read: drop */
    VERIFY_FILE,            /* a file is missing or too short, as a whole */
};

struct verify_finding {
    enum verify_kind kind;
    uint64_t a, b, c;
    struct span text;       /* one line: what, where, whose */
};

struct verify_progress { uint64_t done, total; }; /* bytes and rows, roughly */

/* dir: the store's directory, the caller's. Nothing is written, ever. */
struct store_verify *store_verify_new(int dir);
void store_verify_free(struct store_verify *v);
/* Some MB or some thousand rows in one snapshot of db, which may be another connection each time; others may write
 * meanwhile. 1: go on, 0: all was seen, -1 and *f: the index cannot be read any further. */
int store_verify_step(struct store_verify *v, struct db *db, struct fail *f);
/* What was found so far, from `from` on; texts live as long as v. */
size_t store_verify_findings(const struct store_verify *v, size_t from, const struct verify_finding **out);
struct verify_progress store_verify_progress(const struct store_verify *v);
/* What repair would do about it, for people; NULL: nothing. */
const char *store_verify_remedy(enum verify_kind kind);

/* ---- for a store that serves ---- */

/* One step with a reader of the store's. */
int store_verify_serving(struct store *s, struct store_verify *v, struct fail *f);
struct store_verify *store_verify_of(struct store *s);

/* ---- for a store that nobody serves: the command line's ---- */

/* Opens the directory, takes its lock. The caller closes with store_verify_close. write: also for store_verify_repair. */
struct store_place { int dir, lock_fd; struct db *db; };
int store_verify_open(struct store_place *p, const char *dir, bool write, struct fail *f);
void store_verify_close(struct store_place *p);
/* Does what store_verify_remedy says about each, in one transaction. 0, or -1 and *f: nothing was done. */
int store_verify_repair(struct db *db, const struct verify_finding *v, size_t n, struct fail *f);

#endif
