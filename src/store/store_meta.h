/* store_meta: the meta data of the log's records: what a lost index is made of again. Little endian:
 *
 *   u8 version 1, u8 kind, then
 *   0, ingest: u16 targets, u32 summary flags, u64 hash of the message-id, i64 date, u16 length and sender; per target u64
 *     account, mailbox, uid, eid, modseq, u32 flags, u16 length and address
 *   1, append: the same with one target, without sender and address, and no edit list in front; then u16 length and the
 *     keywords, separated by a space
 *   2, blob_put: u64 account
 * Notes, which have no body and blob id 0 (store_note.h):
 *   3, tree: u64 account, u8 1 (0: it was removed), u64 modseq, u64 the last UIDVALIDITY it gave, i64 quota of bytes, of
 *     messages (-1: none), u32 mailboxes; each u64 mailbox, parent, uidvalidity, uidnext, created_modseq, u32 role, u8
 *     subscribed, u16 length and name
 *   4, gone: u32 segment that was open, u32 emails; their eids, u64 each
 */
#ifndef POSTEL_STORE_META_H
#define POSTEL_STORE_META_H

#include "base/str.h"

enum store_meta_kind { META_INGEST, META_APPEND, META_UPLOAD, META_TREE, META_GONE };

struct store_meta_target {
    uint64_t account, mailbox, uid, eid, modseq;
    uint32_t flags;
    struct span address;
};

struct store_meta_box {
    uint64_t mailbox, parent, uidvalidity, uidnext, created_modseq;
    uint32_t role;
    bool subscribed;
    struct span name;
};

/* Which fields count depends on kind. */
struct store_meta {
    enum store_meta_kind kind;
    uint32_t n;                     /* targets, mailboxes, or eids */
    uint32_t summary_flags;
    uint64_t msgid_hash;
    int64_t date_s;
    struct span sender, keywords;
    uint64_t account, modseq, uidvalidity;
    int64_t quota, quota_messages;
    bool exists;
    uint32_t seg;
    struct span items;              /* what the functions below take from */
};

/* ---- writing ---- */

/* What stands before the items (m->keywords: behind them, with store_meta_put_end). */
void store_meta_put(struct str *out, const struct store_meta *m);
void store_meta_put_target(struct str *out, const struct store_meta_target *t);
void store_meta_put_box(struct str *out, const struct store_meta_box *b);
void store_meta_put_eid(struct str *out, uint64_t eid);
void store_meta_put_end(struct str *out, const struct store_meta *m);

/* ---- reading ---- */

/* 0, or -1: not whole, or of a kind that is not known. Spans are borrowed from meta. */
int store_meta_read(struct span meta, struct store_meta *out) MUST_CHECK;
/* The next item; false when all were taken. */
bool store_meta_target(struct store_meta *m, struct store_meta_target *out);
bool store_meta_box(struct store_meta *m, struct store_meta_box *out);
bool store_meta_eid(struct store_meta *m, uint64_t *out);

#endif
