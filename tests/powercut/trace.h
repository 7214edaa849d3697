/* trace: everything that reached the files of a store, in order: writes, syncs, names, and what was acknowledged when. */
#ifndef POSTEL_POWERCUT_TRACE_H
#define POSTEL_POWERCUT_TRACE_H

#include "base/vec.h"

enum { TRACE_NAME = 48, TRACE_ROOT = 0, TRACE_BIG = 1, TRACE_DIRS = 2 };

enum trace_kind {
    TRACE_WRITE,    /* n bytes at `at` of file; data NULL: zeros */
    TRACE_SIZE,     /* file has `at` bytes now */
    TRACE_SYNC,     /* what came before event `covers` of file is durable */
    TRACE_LOST,     /* a sync of file failed: what was not durable is so, or never will be */
    TRACE_DIRSYNC,  /* names of dir changed before event `covers` are */
    TRACE_CREATE,   /* file under name in dir; link is the same */
    TRACE_RENAME,   /* name becomes `to` */
    TRACE_UNLINK,
    TRACE_MKDIR,    /* big/ in the root */
    TRACE_BEGIN,    /* operation `at` was submitted */
    TRACE_ACK,      /* operation `at` was acknowledged */
};

struct trace_event {
    enum trace_kind kind;
    uint32_t file, dir;
    uint64_t at, n, covers;
    char *data;
    char name[TRACE_NAME], to[TRACE_NAME];
};

struct trace_file {
    char *start;        /* what it held when the recording began; durable */
    uint64_t start_n;
};

struct trace_name {
    uint32_t dir, file;
    char name[TRACE_NAME];
};

struct trace {
    VEC(struct trace_event) events;
    VEC(struct trace_file) files;
    VEC(struct trace_name) start;   /* names at the beginning; durable */
    VEC(struct trace_name) now;
    bool big_at_start;
};

/* Takes the files of a store at rest (index.db, its WAL, the log, big/) as durable. */
void trace_start(struct trace *t, const char *dir);
void trace_free(struct trace *t);
struct trace_event *trace_add(struct trace *t, enum trace_kind kind);
/* A name of now: its file; made and recorded when it is not there and `make`, else UINT32_MAX. */
uint32_t trace_open(struct trace *t, uint32_t dir, const char *name, bool make);
void trace_write(struct trace *t, uint32_t file, uint64_t at, const void *data, size_t n);
void trace_link(struct trace *t, uint32_t dir, const char *from, const char *to);
void trace_rename(struct trace *t, uint32_t dir, const char *from, const char *to);
void trace_unlink(struct trace *t, uint32_t dir, const char *name);
int trace_save(const struct trace *t, FILE *f);
int trace_load(struct trace *t, FILE *f);

/* Changes a set of names as the event did. Also for a set in which an earlier event did not happen. */
struct trace_names { struct trace_name *v; size_t n, cap; };
void trace_names_apply(struct trace_names *names, const struct trace_event *e, bool half);

#endif
