/* msglog_impl: what the files of the message log share. */
#ifndef POSTEL_MSGLOG_IMPL_H
#define POSTEL_MSGLOG_IMPL_H

#include "store/msglog.h"

#include <endian.h>
#include <pthread.h>

enum { MSGLOG_FDS = 64, MSGLOG_CHECKED = 4096, MSGLOG_NAME = 32 };

enum msglog_ahead_state { AHEAD_IDLE, AHEAD_WANTED, AHEAD_READY };

struct msglog {
    int dir, big_dir;
    uint64_t limit;         /* bytes of a segment */

    /* the committer's: the segment being written */
    int fd;
    uint32_t seg;           /* 0: none yet */
    uint64_t end, tail;     /* committed; with what was appended since */
    bool zeroed;

    /* msglog_ahead.c */
    pthread_t ahead_thread;
    pthread_mutex_t ahead_lock;
    pthread_cond_t ahead_wake;
    enum msglog_ahead_state ahead;
    bool ahead_stop, ahead_running;

    /* msglog_read.c */
    pthread_mutex_t read_lock;
    struct msglog_fd {
        int fd;
        uint32_t seg, users;
        uint64_t used;
    } fds[MSGLOG_FDS];
    uint64_t clock;
    struct msglog_pin *pins;
    uint64_t ticket;
    _Atomic uint64_t checked[MSGLOG_CHECKED]; /* blob ids whose body was found whole, by hash */
};

static inline uint32_t msglog_get32(const unsigned char *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return le32toh(v);
}
static inline uint64_t msglog_get64(const unsigned char *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return le64toh(v);
}
static inline void msglog_put32(unsigned char *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, 4);
}
static inline void msglog_put64(unsigned char *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, 8);
}

void msglog_name(uint32_t seg, char out[MSGLOG_NAME]);      /* "seg-00000001" */
void msglog_big_name(uint64_t bid, char out[MSGLOG_NAME]);

int msglog_ahead_start(struct msglog *l, struct fail *f);
void msglog_ahead_stop(struct msglog *l);
void msglog_ahead_want(struct msglog *l);                   /* the next segment will be needed */
bool msglog_ahead_ready(struct msglog *l);
bool msglog_ahead_take(struct msglog *l, const char *name); /* renames the zeroed file; false: there is none */

void msglog_read_start(struct msglog *l);
void msglog_read_stop(struct msglog *l);

#endif
