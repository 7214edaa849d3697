/* part_text: the content of one part, piece by piece: transfer encoding and charset taken off, so that a large part needs
 * no more memory than a small one. */
#ifndef POSTEL_PART_TEXT_H
#define POSTEL_PART_TEXT_H

#include "format/charset.h"
#include "format/mime_walk.h"

enum part_form {
    PART_RAW,       /* as it stands in the message */
    PART_DECODED,   /* without its transfer encoding; an unknown one stays on */
    PART_TEXT,      /* valid UTF-8, of whatever charset it was */
    PART_VISIBLE,   /* PART_TEXT of HTML without its markup */
    PART_FOLDED,    /* PART_VISIBLE as fold_text leaves it */
};

struct part_text {
    struct span raw;
    size_t at, next;        /* in raw: where the piece told last began, and where the next one will */
    enum part_form form;
    enum mime_encoding encoding;
    struct charset charset;
    bool clean;             /* a walk may begin at `at`: nothing was kept from the piece before */
    bool html, done;
    size_t kept;            /* bytes in front of `bytes` that belong to the next piece */
    struct str bytes, text, visible, folded;
};

/* part: of the message that mime_walk went through. One part at a time (charset). from: 0, or `at` of a clean piece of
 * an earlier walk in the same form, when part_text_resumes. */
void part_text_begin(struct part_text *t, struct span message, const struct mime_part *part, enum part_form form,
                     size_t from, struct arena *mem);
/* The next piece, borrowed until the next call; may be empty. No character is cut by the text forms. Of an HTML part that
 * is to be visible at most PART_HTML_BYTES are looked at. False at the end. O(n) for all of them together. */
enum { PART_HTML_BYTES = 16 << 20, PART_PIECE = 65536 };
bool part_text_next(struct part_text *t, struct span *piece);
/* Whether a walk may begin at a later piece: not with charsets that have state, nor in the middle of markup. */
bool part_text_resumes(const struct part_text *t);

/* The part that IMAP calls `path`: "1", "2.1" (RFC 9051 6.4.5.1); "" is the message. Its number, or -1. */
int part_text_find(const struct mime_tree *t, struct span path);

#endif
