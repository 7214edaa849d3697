/* edit: edit lists, which turn the bytes of the log into the bytes that a client reads (doc/architecture.md, 2).
 *
 * Format, kept in the index: version byte 1, then in order of `at` {u32 at, u32 cut, u32 length, bytes}, little endian:
 * at offset `at` of the stored message leave out `cut` bytes and put `bytes` there. An empty list is no bytes at all.
 */
#ifndef POSTEL_EDIT_H
#define POSTEL_EDIT_H

#include "base/fail.h"
#include "base/str.h"

/* Each adds one edit to the list in `out`; in order of `at`, an edit begins where the one before ended or later (edit_size
 * tells when that is not so). at: of the stored message. */
void edit_insert(struct str *out, uint32_t at, struct span bytes);
void edit_cut(struct str *out, uint32_t at, uint32_t n);
void edit_replace(struct str *out, uint32_t at, uint32_t n, struct span bytes);

/* The lines that final delivery puts in front (RFC 5321 4.4), as an edit list added to out. Refuses CR, LF, NUL in
 * either address (SEC-10): FAIL_PERM 5.6.0. sender without <>, empty for the null reverse-path. */
int edit_delivery(struct str *out, struct span sender, struct span address, struct fail *f);
bool edit_delivery_ascii(struct span sender, struct span address); /* whether those lines are */

/* The length of the edited message; UINT64_MAX when the list is damaged. */
uint64_t edit_size(struct span edits, uint64_t stored);

/* A piece of the edited message: `literal` when its p is not NULL, else n bytes at `at` of the stored one. */
struct edit_piece {
    struct span literal;
    uint64_t at, n;
};
struct edit_walk {
    struct span rest;
    uint64_t at, stored;
};
void edit_begin(struct edit_walk *w, struct span edits, uint64_t stored);
bool edit_next(struct edit_walk *w, struct edit_piece *out); /* false at the end */

/* The edited message as a whole: `stored` itself when there is no edit, else a copy in mem. The list must be a sound one. */
struct span edit_apply(struct span stored, struct span edits, struct arena *mem);

#endif
