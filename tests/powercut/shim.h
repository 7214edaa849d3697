/* shim: the store's file operations and SQLite's, recorded, made to fail, or left out on purpose. */
#ifndef POSTEL_POWERCUT_SHIM_H
#define POSTEL_POWERCUT_SHIM_H

#include "trace.h"

/* Ways to break a store that looks the same from above. Each must be caught. */
#define SHIM_BREAKS(X)                                                                                                 \
    X(NONE, "nothing")                                                                                                 \
    X(LOG_SYNC, "the log is not synced")                                                                               \
    X(WAL_SYNC, "the index's WAL is not synced")                                                                       \
    X(ORDER, "the log is synced after the index has committed")                                                        \
    X(BIG_DIR, "big/ is not synced")                                                                                   \
    X(SEGMENT_DIR, "the directory is not synced for a new segment")                                                    \
    X(BIG_FILE, "files of big messages are not synced")                                                                \
    X(INDEX_SYNC, "the index is not synced by a checkpoint")                                                           \
    X(EARLY, "operations are acknowledged before the WAL is synced")                                                   \
    X(SWEEP_LOG, "what a sweep wrote to the log is not synced")                                                         \
    X(SWEEP_EARLY, "a swept segment is removed before the commit that moves its records")                               \
    X(SECOND_NAME, "big/ is not synced for the second name of an upload")
enum shim_break {
#define X(id, text) SHIM_BREAK_##id,
    SHIM_BREAKS(X)
#undef X
    SHIM_BREAK_COUNT
};
extern const char *const shim_break_text[];

/* Calls that can be made to fail. */
#define SHIM_CALLS(X)                                                                                                  \
    X(OPEN, "open") X(WRITE, "pwritev") X(FDATASYNC, "fdatasync") X(FSYNC, "fsync") X(LINK, "link")                    \
    X(RENAME, "rename") X(UNLINK, "unlink") X(MKDIR, "mkdir")                                                          \
    X(DB_OPEN, "xOpen") X(DB_READ, "xRead") X(DB_WRITE, "xWrite") X(DB_SYNC, "xSync") X(DB_TRUNCATE, "xTruncate")      \
    X(DB_SIZE, "xFileSize") X(DB_HINT, "xFileControl") X(DB_DELETE, "xDelete")
enum shim_call {
#define X(id, text) SHIM_CALL_##id,
    SHIM_CALLS(X)
#undef X
    SHIM_CALL_COUNT
};
extern const char *const shim_call_text[];

void shim_install(void);                            /* before the first store_open */
void shim_record(struct trace *t, const char *dir, enum shim_break broken); /* t NULL: no more */
/* Asked in the committer: does it commit a step of rewriting? *seg: with it this segment ends, or 0. */
void shim_sweeping(bool (*now)(uint32_t *seg));
void shim_quick(bool on);                           /* syncs take no time: nobody else has work to be gathered */
void shim_note(enum trace_kind kind, uint64_t op);   /* TRACE_BEGIN or TRACE_ACK, at its moment */

/* From now the nth call of a kind (from 1) fails with err; err 0: it does half of its work. sticky: all later ones too.
 * nth 0: none; counts begin anew. */
void shim_fault(enum shim_call call, unsigned nth, int err, bool sticky);
unsigned shim_calls(enum shim_call call);           /* since shim_fault */
size_t shim_moment(void);                           /* events recorded so far */
bool shim_hit(void);                                /* the fault has happened */

#endif
