/* summary: what one pass over a message finds out, so that every later read is a slice (doc/architecture.md).
 * Exports summarize too.
 *
 * Formats of the byte fields, kept in the store for ever (a change needs a new version byte):
 *   envelope   IMAP text of ENVELOPE as in RFC 9051 7.5.2, from "(" to ")"; strings quoted where that is allowed, else
 *              literals {n}CRLF...; 7-bit unless SUMMARY_UTF8
 *   structure  version byte 1, then IMAP text of BODYSTRUCTURE (RFC 9051 7.5.2), LF-free except in literals, then NUL,
 *              then the part table: one `struct summary_part` after the other, packed little endian
 *   headers    version byte 1, then per field: u8 known name (enum summary_header, 0 = other), u32 offset of the field,
 *              u32 its length with its CRLF, u8 length of the name; packed
 *   preview    UTF-8, at most 200 characters of the first text part, white space folded (RFC 8970 3)
 */
#ifndef POSTEL_SUMMARY_H
#define POSTEL_SUMMARY_H

#include "base/arena.h"

enum summary_flag {
    SUMMARY_ATTACHMENT = 1,     /* has a part that is no inline text and no part of multipart/related */
    SUMMARY_TRUNCATED = 2,      /* a limit was met: depth, parts, fields, addresses, or the reply's 60 KiB */
    SUMMARY_UTF8 = 4,           /* header holds bytes above 127 */
    SUMMARY_NO_FROM = 8,
    SUMMARY_MANY_FROM = 16,     /* more than one From field (SEC-16) */
    SUMMARY_HAS_DATE = 32,
    SUMMARY_HAS_MSGID = 64,
    SUMMARY_8BIT = 128,         /* body holds bytes above 127 */
    SUMMARY_UTF8_PARTS = 1024,  /* the header of a part, or a delivery report, holds bytes above 127 */
    SUMMARY_MISSING = 256,      /* the store's: nothing of this is known (a rebuilt index), the fields are empty */
    SUMMARY_DAMAGED = 512,      /* the store's: verify found the message's bytes damaged or missing */
};

/* One MIME part, offsets into the stored message. 32 bytes packed: number of parent (u16), depth (u8), encoding (u8),
 * then u32 header_at, body_at, body_end, lines, then u16 type, u16 first child, u32 charset hash, u32 reserved. */
struct summary_part {
    uint16_t parent;
    uint8_t depth, encoding;
    uint32_t header_at, body_at, body_end, lines;
    uint16_t type, first_child;
    uint32_t charset, reserved;
};

struct summary {
    uint32_t flags, hops;       /* hops: Received fields */
    uint64_t msgid_hash;        /* span_hash of the Message-ID without <>, 0 when there is none */
    int64_t date_s;             /* the Date field in UTC, INT64_MIN when missing or bad */
    struct span headers, envelope, structure, preview; /* live in mem */
    struct span refs; /* hashes of In-Reply-To and References, u64 little endian, the likeliest parent first; in mem */
};

/* Never fails: anything at all is a message. One forward pass, O(n); bounded by limits.h; message: the whole of it. */
void summarize(struct span message, struct summary *out, struct arena *mem);

#endif
