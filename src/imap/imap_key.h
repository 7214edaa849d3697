/* imap_key: the criteria of SEARCH (RFC 9051 6.4.4) compiled to a small program; no I/O. */
#ifndef POSTEL_IMAP_KEY_H
#define POSTEL_IMAP_KEY_H

#include "imap/imap_view.h"

enum imap_key_op {
    IMAP_KEY_NOT, IMAP_KEY_AND, IMAP_KEY_OR,    /* of the values on top of the stack */
    IMAP_KEY_TRUE, IMAP_KEY_FALSE,
    IMAP_KEY_FLAG, IMAP_KEY_KEYWORD, IMAP_KEY_SET,              /* the view knows */
    IMAP_KEY_BEFORE, IMAP_KEY_ON, IMAP_KEY_SINCE, IMAP_KEY_LARGER, IMAP_KEY_SMALLER,    /* a row knows */
    IMAP_KEY_SENT_BEFORE, IMAP_KEY_SENT_ON, IMAP_KEY_SENT_SINCE,
    IMAP_KEY_STRING,    /* a row may know, else scan */
};

enum imap_key_where { IMAP_KEY_HEADER, IMAP_KEY_BODY, IMAP_KEY_TEXT };

struct imap_key_string {
    enum imap_key_where where;
    bool envelope;      /* FROM, TO... and not HEADER: whatever the field looks like, its parts count */
    struct span name;   /* of the field */
    struct span text;
};

struct imap_key {
    enum imap_key_op op;
    uint32_t flag, string;      /* string: number of it */
    int64_t number;             /* days since 1970, octets */
    struct span keyword;
    struct imap_range *idx;     /* of a set: ranges of indexes */
    uint32_t n;
};

enum { IMAP_KEYS = 1000, IMAP_KEY_STRINGS = 64, IMAP_KEY_NEST = 50 };

struct imap_keys { /* lives in the mem of the lexer */
    struct imap_key *v;     /* in the order of a stack machine */
    uint32_t n, cap;
    struct imap_key_string strings[IMAP_KEY_STRINGS];
    uint32_t n_strings;
    bool rows, envelope;    /* a row is needed; with its envelope */
    bool body;              /* a string is looked for in bodies */
    const char *refused;    /* NULL, or why the answer is NO */
};

/* The keys up to the end of the command. False: in->error is set (BAD), or out->refused (NO). */
bool imap_key_read(struct imap_lex *in, struct imap_view *view, struct imap_keys *out);

/* What is known of a message. */
struct imap_key_facts {
    uint32_t index;
    const struct imap_view *view;
    const struct msg_member_row *row;   /* NULL: not here yet */
    const uint64_t *found;              /* strings that scan found, by number; NULL: scan was not asked */
};

enum imap_key_truth { IMAP_KEY_NO, IMAP_KEY_YES, IMAP_KEY_UNKNOWN };
/* O(keys), and for strings the size of the envelope. */
enum imap_key_truth imap_key_run(const struct imap_keys *keys, const struct imap_key_facts *facts);

#endif
