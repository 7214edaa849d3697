/* store_text: the decoded, folded text of messages, kept beside the mail so that a search reads it and not the messages
 * (doc/decisions/11-search-text.md). All of it can be lost: it is made again when somebody searches.
 *
 * One file per account, text/<account>, made by the first search there. Its head: "PTXT", u32 MATCH_TEXT_VERSION, u64 id of
 * the index, u64 account; then records, little endian: u32 CRC32C of what follows, u32 length of the text, u64 eid, u32
 * parts_at, u32 body_at, the text (format/match_text.h). body_at STORE_TEXT_NONE: there is no text and will be none.
 * Appended, never synced; what does not check is dropped with all that follows.
 */
#ifndef POSTEL_STORE_TEXT_H
#define POSTEL_STORE_TEXT_H

#include "format/match_text.h"
#include "store/store.h"

enum { STORE_TEXT_HEAD = 24, STORE_TEXT_RECORD = 24 };
#define STORE_TEXT_NONE UINT32_MAX

struct store_text_new {
    uint64_t eid;
    bool none;
    struct match_text text;
};

/* As msg_search says. Refused: needles that match_text_able does not allow, too many of anything. */
int store_text_search(struct store *s, uint64_t account, const struct msg_search *in, struct msg_search_r *out,
                      struct arena *mem, struct fail *f);
/* Up to `most` of the ids in `in`, from `from` on, that have no record; *next: go on there, 0: that is all. */
size_t store_text_missing(struct store *s, uint64_t account, const struct msg_search_fill *in, uint64_t from, uint64_t *eids,
                          size_t most, uint64_t *next);
/* Keeps them; what cannot be written is not kept. */
void store_text_put(struct store *s, uint64_t account, const struct store_text_new *v, size_t n);

/* ---- the store's own ---- */

int store_text_open(struct store *s, struct fail *f);   /* before other threads are there */
void store_text_close(struct store *s);
void store_text_forget(struct store *s, uint64_t account); /* the account is gone */
void store_text_sweep(struct store *s);     /* the committer's: files of accounts that are not there */

#endif
