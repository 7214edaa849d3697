/* store_spool: messages too big for one frame, on their way in: a file each in big/, linked to its final name by
 * ingest. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "store/crc32c.h"
#include "store/store_impl.h"
#include "store/store_io.h"

#include <errno.h>
#include <fcntl.h>

enum { SPOOL_IDLE_MS = 600 * 1000 }; /* its front is gone */

static void spool_free(struct store *s, struct store_spool *sp)
{
    store_io->unlink(msglog_big_dir(s->log), sp->name);
    close(sp->fd);
    free(sp);
}

void store_spool_free_all(struct store *s)
{
    size_t at = 0;
    void *sp;
    while (map_next(&s->spools, &at, NULL, &sp))
        spool_free(s, sp);
    map_done(&s->spools);
}

/* Locked. What nobody has touched for long goes. */
static void sweep(struct store *s)
{
    size_t at = 0;
    void *v;
    int64_t old = clock_mono_ms() - SPOOL_IDLE_MS;
    while (map_next(&s->spools, &at, NULL, &v)) {
        struct store_spool *sp = v;
        if (sp->busy || sp->used_ms >= old)
            continue;
        map_take(&s->spools, span_of(sp->op, 16));
        LOG(LOG_WARN, "store.spool_dropped", L_INT("size", (int64_t)sp->size));
        spool_free(s, sp);
    }
}

static struct store_spool *spool_new(struct store *s, struct span op, struct fail *f)
{
    sweep(s);
    if (map_count(&s->spools) >= (size_t)LIMIT(SPOOLS)) {
        fail_temp(f, "4.3.1", "too many large messages are on their way in");
        return NULL;
    }
    struct store_spool *sp = base_alloc(sizeof *sp);
    memcpy(sp->op, op.p, 16);
    size_t n = (size_t)snprintf(sp->name, sizeof sp->name, "spool-");
    for (size_t i = 0; i < 16; i++)
        n += (size_t)snprintf(sp->name + n, sizeof sp->name - n, "%02x", (unsigned char)op.p[i]);
    sp->fd = store_io_create(msglog_big_dir(s->log), sp->name);
    if (sp->fd < 0) {
        fail_errno(f, "create a spool file", errno);
        free(sp);
        return NULL;
    }
    map_put(&s->spools, op, sp);
    return sp;
}

static struct store_spool *spool_find(struct store *s, struct span op, struct fail *f)
{
    struct store_spool *sp = op.n == 16 ? map_get(&s->spools, op) : NULL;
    if (sp == NULL)
        fail_temp(f, "4.3.0", "nothing was spooled for this operation");
    else
        sp->used_ms = clock_mono_ms();
    return sp;
}

static int append(struct store_spool *sp, const struct msg_spool_write *in, struct fail *f)
{
    if (in->offset > sp->size)
        return fail_perm(f, "5.5.4", "spool: a gap before offset %llu", (unsigned long long)in->offset);
    if (in->offset + in->data.n > (uint64_t)LIMIT(MESSAGE_BYTES) + LIMIT(HEADER_BYTES))
        return fail_perm(f, "5.3.4", "the message is too big");
    struct span data = span_from(in->data, (size_t)MIN_OF(sp->size - in->offset, (uint64_t)in->data.n)); /* new part */
    if (data.n == 0)
        return 0;
    struct iovec v = {(void *)(uintptr_t)data.p, data.n};
    if (store_io_write_all(sp->fd, &v, 1, sp->size) != 0)
        return fail_errno(f, "write of a spool file", errno); /* the size stays: the same offset may come again */
    sp->crc = crc32c(sp->crc, data.p, data.n);
    sp->size += data.n;
    sp->synced = false;
    return 0;
}

int store_spool_write(struct store *s, const struct msg_spool_write *in, struct msg_spool_write_r *out, struct fail *f)
{
    if (in->op.n != 16)
        return fail_perm(f, "5.5.4", "spool: an operation id has 16 bytes");
    pthread_mutex_lock(&s->spool_lock);
    struct store_spool *sp = map_get(&s->spools, in->op);
    int rc = -1;
    if (sp == NULL && in->offset > 0)
        fail_temp(f, "4.3.0", "nothing was spooled for this operation");
    else if (sp != NULL && sp->busy)
        fail_temp(f, "4.3.0", "spool: it is being stored");
    else if (sp != NULL || (sp = spool_new(s, in->op, f)) != NULL)
        rc = append(sp, in, f);
    if (rc == 0) {
        sp->used_ms = clock_mono_ms();
        out->size = sp->size;
    }
    pthread_mutex_unlock(&s->spool_lock);
    return rc;
}

int store_spool_sync(struct store_spool *sp)
{
    if (!sp->synced && store_io->fdatasync(sp->fd) != 0)
        return -1;
    sp->synced = true;
    return 0;
}

/* Everything has been written when it is lent: synced here, on the pool, so that the committer need not. */
int store_spool_lend(struct store *s, struct span op, struct msg_spool_lend_r *out, struct fail *f)
{
    struct store_spool *sp = store_spool_take(s, op);
    if (sp == NULL)
        return fail_temp(f, "4.3.0", "nothing was spooled for this operation");
    int rc = store_spool_sync(sp);
    if (rc != 0) { /* REL-04: after a failed sync the next one would report success over lost data */
        rc = fail_errno(f, "fdatasync of a spool file", errno);
    } else {
        out->size = sp->size;
        out->file = store_io->open(msglog_big_dir(s->log), sp->name, O_RDONLY);
        if (out->file < 0)
            rc = fail_errno(f, "open a spool file", errno);
    }
    bool lost = !sp->synced;
    store_spool_give(s, sp, lost);
    return rc;
}

void store_spool_drop(struct store *s, struct span op)
{
    struct store_spool *sp = store_spool_take(s, op);
    if (sp != NULL)
        store_spool_give(s, sp, true);
}

struct store_spool *store_spool_take(struct store *s, struct span op)
{
    pthread_mutex_lock(&s->spool_lock);
    struct store_spool *sp = spool_find(s, op, NULL);
    if (sp != NULL && sp->busy)
        sp = NULL;
    if (sp != NULL)
        sp->busy = true;
    pthread_mutex_unlock(&s->spool_lock);
    return sp;
}

void store_spool_give(struct store *s, struct store_spool *sp, bool done)
{
    pthread_mutex_lock(&s->spool_lock);
    sp->busy = false;
    if (done) {
        map_take(&s->spools, span_of(sp->op, 16));
        spool_free(s, sp);
    }
    pthread_mutex_unlock(&s->spool_lock);
}
