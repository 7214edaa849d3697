/* store_text_impl: what the files of store_text share. */
#ifndef POSTEL_STORE_TEXT_IMPL_H
#define POSTEL_STORE_TEXT_IMPL_H

#include "store/store_impl.h"
#include "store/store_text.h"

enum { STORE_TEXT_NAME = 32 };

struct store_text_entry {
    uint64_t eid, at;   /* at: of the record */
    uint32_t n, parts_at, body_at;
};

/* An account's file, while somebody uses it or it may be used again. */
struct store_text_file {
    uint64_t account, used;
    unsigned users;
    bool loaded, gone;
    pthread_mutex_t lock;   /* of what follows */
    int fd;                 /* -1: there is none */
    uint64_t end;
    VEC(struct store_text_entry) entries; /* in order of eid */
};

struct store_texts {
    pthread_mutex_t lock;
    uint64_t id, clock;
    struct store_text_file *v;
    size_t n;
};

/* The account's file, locked and loaded; NULL: so many are in use that it cannot be had now. */
struct store_text_file *store_text_take(struct store *s, uint64_t account);
void store_text_give(struct store *s, struct store_text_file *t);
void store_text_drop(struct store *s, struct store_text_file *t); /* the file and what is known of it; stays taken */
struct store_text_entry *store_text_find(const struct store_text_file *t, uint64_t eid); /* the first one from eid on */
void store_text_name(uint64_t account, char name[STORE_TEXT_NAME]);
void store_text_head(uint64_t index, uint64_t account, unsigned char head[STORE_TEXT_HEAD]);
/* Where the records of a file that begins with `head` cease to be whole; 0: it begins otherwise. */
uint64_t store_text_check(int fd, const unsigned char head[STORE_TEXT_HEAD]);
#define STORE_TEXT_STATE SPAN("texts") /* where the index keeps its id */

#endif
