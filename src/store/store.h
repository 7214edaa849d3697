/* store: the mail at rest, behind some two dozen mail operations (doc/architecture.md, 3). No SQL and no engine's name above this file.
 *
 * Operations take and give the structs of run/ipc_table.h, so that a front over IPC and a test in the process use the
 * same ones; `handle` fields are not looked at here: the account is an argument of its own.
 *
 * Refusals are FAIL_PERM with these codes, for whoever turns them into a protocol's answer (they never reach a peer):
 *   5.2.0   no such mailbox, message, upload        5.2.2   over quota
 *   5.2.31  a mailbox of that name is there (RFC 5530 ALREADYEXISTS), or of that role
 *   5.2.32  the mailbox has children                5.2.33  it holds messages
 *   5.2.34  not for INBOX, or not for a mailbox below itself
 *   5.2.35  not a name (control characters, '/', not NFC UTF-8, too long), not a keyword
 *   5.2.36  a limit: mailboxes, depth, keywords, uploads, values
 *   5.5.4   arguments that no caller of ours should send
 */
#ifndef POSTEL_STORE_H
#define POSTEL_STORE_H

#include "base/fail.h"
#include "run/ipc.h"

struct store;
struct store_extra;

struct store_options {
    uint64_t segment_bytes;     /* 0: limit segment_bytes */
    uint64_t big_bytes;         /* 0: limit big_bytes */
    unsigned wal_pages;         /* pages in the index's WAL before it is checkpointed under load; 0: 8192 */
    unsigned readers;           /* connections for reads at the same time; 0: 2 */
    bool unsafe_no_sync;        /* benchmarks of everything else only; never in a server */
};

/* Opens or makes the store in `dir` (the process's own working directory or below; mode 0700), recovers it, starts the
 * committer thread. NULL and *f: another process has it, a newer schema, a damaged file. */
struct store *store_open(const char *dir, const struct store_options *opt, struct fail *f);
void store_close(struct store *s); /* commits what was submitted, checkpoints, ends the thread */

/* ---- writes: one committer, group commit ------------------------------------------------------------------------- */

/* A write on its way. The submitter owns it and everything it points to until `done` is called (in the committer
 * thread: hand it to your loop with loop_post). result 0: durable. -1: nothing of it happened, see fail. A failed
 * write or sync of data never gives 0; after one that leaves the files in doubt `broken` is called (REL-04). */
struct store_write {
    enum msg_id id;             /* MSG_ID_ingest, append, copy, flags_set, expunge, mailbox_create, mailbox_set,
                                 * mailbox_remove, blob_put, kv_set, quota_set, recount, account_gone, event_note; and what
                                 * store_queue.h says */
    uint64_t account;           /* for all but ingest, quota_set, recount; kv_set: 0 = the whole store's */
    const void *in;             /* struct msg_<id> */
    const struct store_extra *extra; /* of an ingest that goes on elsewhere (store_queue.h), or NULL */
    void *out;                  /* struct msg_<id>_r; its lists live in mem */
    struct arena *mem;
    int result;
    struct fail fail;
    void (*done)(struct store_write *w);
    void *arg;                  /* the submitter's */
    struct store_write *next;   /* the committer's, as what follows: how far a long one has come, see store_commit.c */
    struct store_step { uint64_t at, count; uint32_t listed; } step, trial;
};

/* flags_set, expunge, mailbox_remove and the renaming of INBOX work in steps of some thousand messages, each a commit of
 * its own between those of others; `done` comes after the last. Refused or stopped in between (the disk is full, the
 * process ends) they have done a part, and the same op again does the rest. Everything else is one commit. */

void store_submit(struct store *s, struct store_write *w);  /* any thread */

/* Called in the committer thread after each commit that changed accounts: the change feed. n pairs account, modseq. */
typedef void store_changed_fn(void *arg, const struct msg_changed *changed, size_t n);
void store_on_changed(struct store *s, store_changed_fn *fn, void *arg);
/* Called once when the store must not go on: the role exits and recovers from disk. */
void store_on_broken(struct store *s, void (*fn)(void *arg, const struct fail *f), void *arg);

/* ---- spool: messages above body_memfd on their way in ------------------------------------------------------------ */

int store_spool_write(struct store *s, const struct msg_spool_write *in, struct msg_spool_write_r *out, struct fail *f);
int store_spool_lend(struct store *s, struct span op, struct msg_spool_lend_r *out, struct fail *f); /* caller closes */
void store_spool_drop(struct store *s, struct span op);

/* ---- reads: on a thread of the pool, a snapshot each, never across two calls ---------------------------------------- */

/* The first one of an account makes its INBOX, and with it Drafts, Sent, Junk, Trash, Archive named in `lang` ("de",
 * "en-GB"; empty: none of these). */
int store_mailbox_list(struct store *s, uint64_t account, struct span lang, struct msg_mailbox_list_r *out,
                       struct arena *mem, struct fail *f);
int store_mailbox_page(struct store *s, uint64_t account, struct span lang, const struct msg_mailbox_list *in,
                       struct msg_mailbox_list_r *out, struct arena *mem, struct fail *f); /* what of it fits a frame */
int store_member_scan(struct store *s, uint64_t account, const struct msg_member_scan *in, struct msg_member_scan_r *out,
                      struct arena *mem, struct fail *f);
int store_member_view(struct store *s, uint64_t account, const struct msg_member_view *in, struct msg_member_view_r *out,
                      struct arena *mem, struct fail *f);
int store_email_read(struct store *s, uint64_t account, const struct msg_email_read *in, struct msg_email_read_r *out,
                     struct arena *mem, struct fail *f); /* checksum verified; damaged: FAIL_TEMP 4.3.0, logged */
int store_email_slices(struct store *s, uint64_t account, const struct msg_email_slices *in,
                       struct msg_email_slices_r *out, struct arena *mem, struct fail *f);
int store_changes(struct store *s, uint64_t account, const struct msg_changes *in, struct msg_changes_r *out,
                  struct arena *mem, struct fail *f);
/* These two wait until the threads of what they tell are known, which may take a commit. */
int store_email_get(struct store *s, uint64_t account, const struct msg_email_get *in, struct msg_email_get_r *out,
                    struct arena *mem, struct fail *f);
int store_thread_get(struct store *s, uint64_t account, const struct msg_thread_get *in, struct msg_thread_get_r *out,
                     struct arena *mem, struct fail *f);
int store_blob_get(struct store *s, uint64_t account, const struct msg_blob_get *in, struct msg_blob_get_r *out,
                   struct arena *mem, struct fail *f);
int store_quota_get(struct store *s, uint64_t account, struct msg_quota_get_r *out, struct fail *f);
int store_kv_get(struct store *s, uint64_t account, const struct msg_kv_get *in, struct msg_kv_get_r *out,
                 struct arena *mem, struct fail *f); /* found 0 when it is not there or has expired */
int store_kv_list(struct store *s, uint64_t account, const struct msg_kv_list *in, struct msg_kv_list_r *out,
                  struct arena *mem, struct fail *f);
uint64_t store_modseq(struct store *s, uint64_t account);   /* 0 when the account has no mail yet */
int store_stats(struct store *s, struct msg_store_stats_r *out, struct fail *f);

#endif
