/* scan: parses what strangers wrote, one message at a time, and keeps nothing. It has no network, opens no file, and is
 * replaced after SCAN_MESSAGES messages or SCAN_S seconds: who takes it over sees only what passes meanwhile. */
#include "base/arena.h"
#include "base/log.h"
#include "base/limits.h"
#include "format/charset.h"
#include "format/summary.h"
#include "roles/roles.h"
#include "run/loop.h"
#include "run/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { TRACE_BYTES = 65536 }; /* above message_bytes: the fields that fronts put on top */

static struct arena scratch;    /* of the message in work */
static struct loop_timer age;
static int64_t seen;            /* messages */

/* A message in memory, and how it came there. */
struct held {
    struct span bytes;
    void *map;      /* to unmap; NULL: it is in the frame or in scratch */
};

static int copy(int fd, size_t size, struct held *h, struct fail *f)
{
    char *p = arena_alloc(&scratch, size);
    for (size_t n = 0; n < size;) {
        ssize_t got = pread(fd, p + n, size - n, (off_t)n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? fail_errno(f, "message", errno) : fail_temp(f, "4.3.0", "the message is shorter than said");
        n += (size_t)got;
    }
    h->bytes = span_of(p, size);
    return 0;
}

/* Nobody may change or shorten bytes that are being parsed. A sealed memfd cannot change. A file that knows no seals is
 * one of store's, which fronts cannot make. Anything else lies in memory that its sender may still write: copied first. */
static int hold(int fd, uint64_t size, struct held *h, struct fail *f)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fail_errno(f, "message", errno);
    if (!S_ISREG(st.st_mode) || st.st_size < 0 || (uint64_t)st.st_size < size)
        return fail_temp(f, "4.3.0", "the message is shorter than said");
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals >= 0 && (~seals & (F_SEAL_SHRINK | F_SEAL_WRITE)) != 0)
        return copy(fd, size, h, f);
    h->map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (h->map == MAP_FAILED) {
        h->map = NULL;
        return fail_errno(f, "message", errno);
    }
    h->bytes = span_of(h->map, size);
    return 0;
}

static void on_age(struct loop_timer *t) { role_retire(); }

static void count_message(void)
{
    counter_add(COUNTER_SCANNED, 1);
    if (seen++ == 0) {
        loop_timer_init(&age, on_age);
        loop_timer_set(&age, clock_mono_ms() + LIMIT(SCAN_S) * 1000);
    }
    if (seen >= LIMIT(SCAN_MESSAGES))
        role_retire();
}

static void on_summarize(struct ipc_req *req)
{
    const struct msg_summarize *in = req->in;
    struct held h = {.bytes = in->body};
    struct fail f = {0};
    struct summary s;
    int r = 0;
    if (in->file >= 0 && in->size > (uint64_t)LIMIT(MESSAGE_BYTES) + TRACE_BYTES)
        r = fail_perm(&f, "5.3.4", "the message is above message_bytes");
    else if (in->file >= 0 && in->size > 0)
        r = hold(in->file, in->size, &h, &f);
    if (r == 0) {
        summarize(h.bytes, &s, &scratch);
        ipc_reply(req, &(struct msg_summarize_r){.flags = s.flags, .hops = s.hops, .msgid_hash = s.msgid_hash,
                                                 .date_s = s.date_s, .headers = s.headers, .envelope = s.envelope,
                                                 .structure = s.structure, .preview = s.preview, .refs = s.refs});
    } else {
        ipc_refuse(req, &f);
    }
    if (h.map != NULL)
        munmap(h.map, h.bytes.n);
    arena_reset(&scratch);
    count_message();
}

static int prepare(struct fail *f)
{
    size_t missing = charset_open_all();
    if (missing > 0)
        LOG(LOG_WARN, "scan.charset", L_INT("missing", (int64_t)missing));
    tzset();
    arena_init(&scratch);
    return 0;
}

static const struct ipc_handler handlers[] = {
    {.id = MSG_ID_summarize, .call = on_summarize},
};

const struct role_def scan_role = {
    .kind = ROLE_SCAN,
    .prepare = prepare,
    .handlers = handlers,
    .n_handlers = COUNT_OF(handlers),
};
