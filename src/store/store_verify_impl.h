/* store_verify_impl: what the files of verify share. */
#ifndef POSTEL_STORE_VERIFY_IMPL_H
#define POSTEL_STORE_VERIFY_IMPL_H

#include "base/map.h"
#include "base/vec.h"
#include "store/db.h"
#include "store/store_verify.h"

struct store_verify {
    int dir;
    size_t phase;
    bool begun;
    int64_t key, key2;          /* where the phase goes on */
    struct verify_progress at;
    VEC(struct verify_finding) found;
    struct arena mem;
    struct map bad_blobs;       /* told already */
    struct map mailboxes;       /* seen */

    VEC(uint64_t) texts;        /* accounts that have a file of texts */

    /* the segment being read */
    uint32_t seg;
    int seg_fd;
    bool seg_missing;
    uint64_t off;
};

void store_verify_found(struct store_verify *v, enum verify_kind kind, uint64_t a, uint64_t b, uint64_t c, const char *fmt, ...)
    PRINTF_LIKE(6, 7);
int store_verify_body(struct store_verify *v, struct db *db, uint64_t bid, const char *where, const char *what); /* 0 or -1 */

/* store_verify_log.c */
int store_verify_log(struct store_verify *v, struct db *db);
bool store_verify_segment(struct store_verify *v, uint32_t seg);        /* opens it as v->seg_fd */
int store_verify_crc(int fd, uint64_t at, uint64_t n, uint32_t *out);
/* Reads a record's header and checks it and the meta data: NULL, or what is wrong. end: of the segment. */
const char *store_verify_header(int fd, uint64_t off, uint64_t end, unsigned char *h);

uint64_t store_verify_resync(int fd, uint64_t off, uint64_t end);    /* the next whole header behind off, or end */

int store_verify_text(struct store_verify *v, struct db *db);   /* store_verify_text.c */

/* store_verify_box.c */
int store_verify_mailbox(struct store_verify *v, struct db *db);
int store_verify_threads(struct store_verify *v, struct db *db);
int store_verify_strays(struct store_verify *v, struct db *db);

#endif
