/* disk: what a disk may hold after a power cut: everything synced, and of the rest anything that is possible. */
#ifndef POSTEL_POWERCUT_DISK_H
#define POSTEL_POWERCUT_DISK_H

#include "trace.h"

/* A small generator with a seed, so that a cut can be repeated. */
struct disk_rand { uint64_t s; };
uint64_t disk_random(struct disk_rand *r);
uint64_t disk_below(struct disk_rand *r, uint64_t n); /* 0..n-1 */
bool disk_chance(struct disk_rand *r, unsigned percent);

struct disk_file {
    char *p;                        /* what is durable */
    size_t n, cap;
    VEC(size_t) pending;            /* events: written, not synced */
};

struct disk {
    const struct trace *trace;
    size_t at;                      /* events that have happened */
    VEC(struct disk_file) files;
    struct trace_names names;       /* durable */
    VEC(size_t) changes;            /* of names, not synced */
    bool big, big_durable;
    size_t journal;                 /* an orderly file system has committed all names changed before this event */
};

void disk_start(struct disk *d, const struct trace *t);
void disk_free(struct disk *d);
void disk_advance(struct disk *d, size_t to, uint64_t seed);    /* events [0, to) have happened; only forward */
/* The files as they may be after a cut now, in `dir` (made). What becomes of the unsynced follows from the seed. */
void disk_build(const struct disk *d, uint64_t seed, const char *dir);

#endif
