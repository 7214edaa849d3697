/* imap_grammar: what commands are made of (RFC 9051 9, RFC 3501 9): atoms, strings, sets, flags, dates; no I/O. */
#ifndef POSTEL_IMAP_GRAMMAR_H
#define POSTEL_IMAP_GRAMMAR_H

#include "base/str.h"

/* Reads a command's arguments from left to right. A literal stands in the text as the client sent it: {n} or {n+} or ~{n},
 * CRLF, n bytes. The first thing that is wrong sets `error` (a sentence for BAD) and empties `at`; from then on every
 * function gives nothing, so a command reads all its arguments and asks imap_grammar_end once. */
struct imap_lex {
    struct span at;      /* what was not read yet */
    struct arena *mem;   /* for what must be copied: quoted strings with a backslash, lists */
    const char *error;   /* NULL while all is well; static */
    unsigned depth;      /* of parentheses now open */
    unsigned depth_max;  /* before login 1, after it 16 */
};

void imap_grammar_init(struct imap_lex *in, struct span text, struct arena *mem);
bool imap_grammar_bad(struct imap_lex *in, const char *why);    /* sets error unless set; returns false */
bool imap_grammar_end(struct imap_lex *in);                     /* all was well and nothing is left */

/* Every one of these returns whether it was there; what is called `may` sets no error when it was not. */
bool imap_grammar_sp(struct imap_lex *in);                      /* exactly one space */
bool imap_grammar_may(struct imap_lex *in, char c);
bool imap_grammar_want(struct imap_lex *in, char c);
bool imap_grammar_may_word(struct imap_lex *in, struct span word); /* this atom, in any case, not the start of a longer one */
bool imap_grammar_open(struct imap_lex *in);                    /* "(", counted against depth_max */
bool imap_grammar_may_open(struct imap_lex *in);
bool imap_grammar_close(struct imap_lex *in);
bool imap_grammar_may_close(struct imap_lex *in);

/* Spans are borrowed from the text or live in mem. */
bool imap_grammar_tag(struct imap_lex *in, struct span *out);       /* RFC 9051 9: tag */
bool imap_grammar_atom(struct imap_lex *in, struct span *out);
bool imap_grammar_word(struct imap_lex *in, struct span *out);      /* letters, digits, '.', '-', '_', '=': names of commands and items */
bool imap_grammar_astring(struct imap_lex *in, struct span *out);
bool imap_grammar_string(struct imap_lex *in, struct span *out);    /* quoted (UTF-8) or literal; never holds NUL */
bool imap_grammar_nstring(struct imap_lex *in, struct span *out);   /* NIL: p is NULL */
bool imap_grammar_pattern(struct imap_lex *in, struct span *out);   /* list-mailbox: % and * too */
bool imap_grammar_number(struct imap_lex *in, uint64_t max, uint64_t *out);
bool imap_grammar_date(struct imap_lex *in, int64_t *days);         /* "1-Feb-1994", quoted or not; days since 1970 */
bool imap_grammar_date_time(struct imap_lex *in, int64_t *ms);      /* quoted, with zone; ms since 1970 UTC */

/* Message numbers or UIDs, as ranges however many they name (SEC-07). */
struct imap_range { uint32_t first, last; };    /* IMAP_STAR: the largest in use; else first <= last */
enum { IMAP_STAR = 0 };
struct imap_set {
    struct imap_range *v;       /* in the client's order, live in mem */
    uint32_t n;
    bool saved;                 /* "$" (RFC 9051 6.4.4.1): v is empty */
};
bool imap_grammar_set(struct imap_lex *in, struct imap_set *out);

struct imap_flags {
    uint32_t flags;             /* enum member_flag */
    struct span keywords;       /* separated by a space, as store wants them; lives in mem */
    bool any;                   /* "\*" stood there */
};
bool imap_grammar_flag_list(struct imap_lex *in, struct imap_flags *out);   /* in parentheses */
bool imap_grammar_flags(struct imap_lex *in, struct imap_flags *out);       /* STORE: parentheses may be missing */

/* The literal that a line (without its CRLF) announces at its end: 1 and its header, 0 none, -1 one that is wrong. */
struct imap_literal {
    uint64_t size;
    bool waits;     /* {n}: the client waits for our "+"; false: {n+} */
    bool binary;    /* ~{n} (RFC 9051 4.3.1: literal8) */
    size_t header;  /* bytes of its "{n}" at the end of the line; 0: no literal */
};
int imap_grammar_literal(struct span line, struct imap_literal *out);

/* What we say: `s` as atom where it may be one, else quoted, else a literal. utf8: quoted may hold UTF-8 (rev2). */
void imap_grammar_add_astring(struct str *out, struct span s, bool utf8);
void imap_grammar_add_string(struct str *out, struct span s, bool utf8);
void imap_grammar_add_flags(struct str *out, uint32_t flags, struct span keywords); /* "(\Seen x)" */
void imap_grammar_add_date_time(struct str *out, int64_t ms);                       /* "01-Feb-1994 10:00:00 +0000", in quotes */

#endif
