/* msglog: the append-only log of messages: segments of records, each with a checksum; big bodies in files of their own.
 *
 * Record, little endian, 64 bytes of header, then `meta`, then the body (none when MSGLOG_BIG: it is in big/<blob id>):
 *   0 magic "PLOG"   4 version 1   5 flags   6 u16 length of the header   8 u32 length of meta   12 u32 CRC32C of body
 *   16 u64 length of body   24 u64 blob id   32 op id   48 i64 received, ms   56 u32 zero   60 u32 CRC32C of bytes
 * 0..59 and meta Where valid data ends is known to the index alone, written in the transaction that names the records;
 * whatever lies behind that is the rest of a batch that never happened, and is overwritten.
 */
#ifndef POSTEL_MSGLOG_H
#define POSTEL_MSGLOG_H

#include "base/arena.h"
#include "base/fail.h"

enum { MSGLOG_HEADER = 64, MSGLOG_ZSTD = 1 /* reserved */, MSGLOG_BIG = 2 };

struct msglog;

/* A record on its way in. The first part is the caller's, the rest is filled in. */
struct msglog_record {
    uint64_t bid;
    int64_t received_ms;
    unsigned char op[16];
    uint8_t flags;
    uint32_t body_crc;
    uint64_t body_len;
    struct span meta, body; /* body.n is 0 for MSGLOG_BIG */
    uint32_t seg;
    uint64_t off;
    unsigned char head[MSGLOG_HEADER];
};

/* Where a body lies, as the index remembers it. */
struct msglog_place {
    uint64_t bid, off, len; /* off: of the record; len: of the body */
    uint32_t seg, meta;     /* meta: its length */
    bool big;
    bool cached;            /* read it only when that waits for no disk; else FAIL_TEMP, and nothing is logged */
};

/* dir: the store's; seg, end: where the index says that data ends (0, 0: a new store). Starts the thread that writes
 * the next segment full of zeros, so that an append changes no metadata of the file system. NULL and *f. */
struct msglog *msglog_open(int dir, uint64_t segment_bytes, uint32_t seg, uint64_t end, struct fail *f);
void msglog_close(struct msglog *l);
bool msglog_found(int dir);     /* whether a segment with a record lies there */

/* ---- the committer's ---- */

/* Writes all records behind the end and syncs. 0, or -1 with *f: 4.3.1 when only space is missing (the log is as
 * before), else *doubt is set: what the files hold is not known and the process must end (REL-04). */
int msglog_append(struct msglog *l, struct msglog_record *v, size_t n, bool *doubt, struct fail *f);
void msglog_committed(struct msglog *l);         /* the index has the new end */
void msglog_rewind(struct msglog *l);            /* the transaction failed: the end is where it was */
uint32_t msglog_segment(const struct msglog *l); /* being written */
uint64_t msglog_end(const struct msglog *l);     /* in it, with what was appended and not committed */
/* Gives the spooled file `name` of big/ its final name; the caller synced it. Sync the directory once afterwards. */
int msglog_big_adopt(struct msglog *l, const char *name, uint64_t bid, bool *doubt, struct fail *f);
int msglog_big_copy(struct msglog *l, uint64_t from, uint64_t bid, bool *doubt, struct fail *f); /* a second name */
int msglog_big_write(struct msglog *l, struct span body, uint64_t bid, bool *doubt,
                     struct fail *f); /* a new file, synced */
int msglog_big_sync(struct msglog *l, bool *doubt, struct fail *f);
void msglog_big_remove(struct msglog *l, uint64_t bid);
int msglog_big_dir(const struct msglog *l);
/* Removal of files that the index no longer names: take a ticket after the commit, remove once it is past. */
uint64_t msglog_ticket(struct msglog *l);
bool msglog_past(struct msglog *l, uint64_t ticket);    /* nobody pinned before the ticket is still at it */
void msglog_segment_remove(struct msglog *l, uint32_t seg);

/* ---- any thread ---- */

/* A place looked up in the index stays readable from msglog_pin until msglog_unpin, whatever is rewritten or removed
 * meanwhile: pin first, then look up, then read, then unpin. The struct is the caller's. */
struct msglog_pin { struct msglog_pin *next, **at; uint64_t ticket; };
void msglog_pin(struct msglog *l, struct msglog_pin *p);
void msglog_unpin(struct msglog *l, struct msglog_pin *p);

/* n bytes at `at` of the body (clipped to it) into *out, which lives in mem. Checked against the record's checksums:
 * small records each time, others once per process. Damage: FAIL_TEMP 4.3.0, logged. */
int msglog_read(struct msglog *l, const struct msglog_place *p, uint64_t at, size_t n, struct span *out,
                struct arena *mem, struct fail *f);

#endif
