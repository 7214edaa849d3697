/* imap_text: IMAP strings and lists as text of bounded size (RFC 9051 9: nstring, quoted, literal). */
#ifndef POSTEL_IMAP_TEXT_H
#define POSTEL_IMAP_TEXT_H

#include "base/str.h"

/* Beyond `limit` nothing more is written and `over` is set: the text is then of no use and is written again with less. */
struct imap_text {
    struct str out;
    size_t limit;
    size_t string_max;  /* longer strings are cut at a character, and `cut` is set */
    size_t list_max;    /* bytes that one list of addresses may take, items that one parameter list may have */
    size_t params_max;
    bool cut, over;
};

void imap_text_init(struct imap_text *w, struct arena *mem, size_t limit); /* no other bounds */
void imap_text_again(struct imap_text *w);  /* forgets the text, not the bounds */
/* As much of a field's value as can matter under string_max: so that a second try costs little. */
struct span imap_text_clip(const struct imap_text *w, struct span value);
void imap_text_raw(struct imap_text *w, const char *syntax);               /* parentheses, spaces, NIL */
void imap_text_number(struct imap_text *w, uint64_t n);
/* Quoted where IMAP4rev1 allows that, else a literal; CR, LF and NUL are left out (RFC 5322 2.2.3 unfolding). */
void imap_text_string(struct imap_text *w, struct span s);
void imap_text_nstring(struct imap_text *w, struct span s);                /* NIL when s.p is NULL */
/* Whether s is one parenthesized list with well-formed strings, numbers, NILs and nothing behind it. For tests, fuzzing
 * and for data from a store that may be damaged. */
bool imap_text_check(struct span s);

#endif
