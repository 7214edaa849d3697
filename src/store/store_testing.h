/* store_testing: what the tests of the store share: a directory, writes that wait, and faults at the nth call. */
#ifndef POSTEL_STORE_TESTING_H
#define POSTEL_STORE_TESTING_H

#include "base/rand.h"
#include "store/store_impl.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

extern char store_testing_dir[]; /* made by setup, removed with all in it by teardown */
int store_testing_setup(void **state);
int store_testing_teardown(void **state);
struct store *store_testing_open(void); /* small segments (1 MiB), big above 64 KiB */

/* Each submits and waits; the result as in store_write. */
int store_testing_write(struct store *s, enum msg_id id, uint64_t account, const void *in, void *out, struct arena *mem,
                        struct fail *f);
int store_testing_write_extra(struct store *s, enum msg_id id, uint64_t account, const void *in, const struct store_extra *extra,
                              void *out, struct arena *mem, struct fail *f);
/* One message for n accounts from `first` on. op NULL: a new one. */
int store_testing_ingest(struct store *s, const struct op_id *op, uint64_t first, uint32_t n, struct span body,
                         struct msg_ingest_r *out, struct arena *mem, struct fail *f);
int store_testing_flags(struct store *s, uint64_t account, uint64_t mailbox, uint64_t first, uint64_t last,
                        uint32_t mode, uint32_t flags, uint64_t unchangedsince, struct msg_flags_set_r *out,
                        struct arena *mem, struct fail *f);
int store_testing_expunge(struct store *s, uint64_t account, uint64_t mailbox, uint64_t first, uint64_t last,
                          struct msg_expunge_r *out, struct arena *mem, struct fail *f);
struct msg_mailbox_row store_testing_inbox(struct store *s, uint64_t account, struct arena *mem);
struct span store_testing_read(struct store *s, uint64_t account, uint64_t eid,
                               struct arena *mem); /* whole, or p NULL */
/* Counters of the INBOX against its rows, each row's text readable and as long as it says; returns the rows. */
size_t store_testing_check(struct store *s, uint64_t account);

int64_t store_testing_sql(const char *sql); /* one number of the index, as another process sees it */

/* Makes the nth call (from 1) of a kind give `err`; err 0: half of it is written. SQLite's calls count too where noted.
 */
enum fault { FAULT_LOG_WRITE, FAULT_LOG_SYNC, FAULT_DIR_SYNC, FAULT_LINK, FAULT_DB_WRITE, FAULT_DB_SYNC, FAULT_KINDS };
void store_testing_fault(enum fault kind, unsigned nth, int err, bool sticky); /* sticky: all later ones too */
void store_testing_fault_none(void);
unsigned store_testing_calls(enum fault kind); /* since store_testing_fault or _none */
extern struct fail store_testing_broken;       /* what store_on_broken told, FAIL_NONE: nothing */

#endif
