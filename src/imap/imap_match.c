/* A batch in two steps: the messages' bytes from store, all at once, then scan's word on them. Messages above a window
 * travel as sealed memfd, one by one. */
#include "imap/imap_match.h"

#include "base/limits.h"
#include "format/match.h"
#include "imap/imap_read.h"
#include "run/scanner.h"

static void ask_of(const struct imap_keys *keys, struct msg_scan_match *in, struct msg_scan_needle *needles)
{
    static const uint32_t where[] = {[IMAP_KEY_HEADER] = MATCH_HEADER, [IMAP_KEY_BODY] = MATCH_BODY,
                                     [IMAP_KEY_TEXT] = MATCH_TEXT};
    for (uint32_t i = 0; i < keys->n_strings; i++)
        needles[i] = (struct msg_scan_needle){.where = where[keys->strings[i].where], .name = keys->strings[i].name,
                                              .text = keys->strings[i].text};
    *in = (struct msg_scan_match){.file = -1};
    in->needles.v = needles;
    in->needles.n = keys->n_strings;
}

/* Where only headers are searched nothing else needs to travel. */
static uint64_t wanted(const struct imap_keys *keys, const struct imap_match_message *m)
{
    return keys->body || m->header == 0 ? m->size : MIN_OF(m->header, m->size);
}

static WAITS int call(struct imap *s, struct msg_scan_match *in, struct imap_match_message *m, bool suspect,
                      struct arena *mem, struct fail *f)
{
    struct msg_scan_match_r out = {0};
    if (scanner_call(MSG_ID_scan_match, in, &out, m->eid, suspect, span_z(s->trace), mem, f) < 0 && f->kind == FAIL_TEMP)
        return -1;
    m->found = out.found; /* nothing where it cannot be read */
    return 0;
}

static WAITS int match_large(struct imap *s, const struct imap_keys *keys, struct imap_match_message *m, bool suspect,
                             struct fail *f)
{
    struct msg_scan_needle needles[IMAP_KEY_STRINGS];
    struct msg_scan_match in;
    struct arena mem;
    ask_of(keys, &in, needles);
    in.size = wanted(keys, m);
    if (imap_read_file(s, m->eid, m->size, in.size, &in.file, f) < 0) {
        m->gone = f->kind == FAIL_PERM;
        return m->gone ? 0 : -1;
    }
    arena_init(&mem);
    int r = call(s, &in, m, suspect, &mem, f);
    close(in.file);
    arena_done(&mem);
    return r;
}

/* What a batch holds meanwhile; in the arena of the command, as it is too large for the stack. */
struct batch {
    struct ipc_pending *read[IMAP_MATCH_BATCH], *match[IMAP_MATCH_BATCH];
    bool left[IMAP_MATCH_BATCH], suspect[IMAP_MATCH_BATCH];
    struct msg_scan_needle needles[IMAP_KEY_STRINGS];
    struct msg_scan_match in;
    struct arena mem;
};

static WAITS int ask_store(struct imap *s, const struct imap_keys *keys, struct batch *b, struct imap_match_message *v,
                           uint32_t n, struct fail *f)
{
    for (uint32_t i = 0; i < n; i++) {
        uint64_t size = wanted(keys, &v[i]);
        struct msg_email_read in = {.handle = imap_session_handle(s), .eid = v[i].eid, .length = (uint32_t)size};
        if (size <= IMAP_READ_WINDOW && (b->read[i] = ipc_begin(ROLE_STORE, MSG_ID_email_read, &in, f)) == NULL)
            return -1;
    }
    return 0;
}

static WAITS int ask_scan(struct batch *b, struct imap_match_message *v, uint32_t n, struct fail *f)
{
    for (uint32_t i = 0; i < n; i++) {
        struct ipc_pending *p = b->read[i];
        struct msg_email_read_r out;
        if (p == NULL)
            continue;
        b->read[i] = NULL;
        if (ipc_finish(p, &out, &b->mem, 0, f) < 0) {
            v[i].gone = f->kind == FAIL_PERM;
            if (!v[i].gone)
                return -1;
            continue;
        }
        b->in.size = out.data.n;
        b->in.body = out.data;
        if ((b->match[i] = ipc_begin(ROLE_SCAN, MSG_ID_scan_match, &b->in, f)) == NULL)
            return -1;
        arena_done(&b->mem); /* the frame is written or copied */
    }
    return 0;
}

/* What is still under way is forgotten. */
static void stop(struct batch *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (b->read[i] != NULL)
            ipc_forget(b->read[i]);
        if (b->match[i] != NULL)
            ipc_forget(b->match[i]);
        b->read[i] = b->match[i] = NULL;
    }
}

/* All at once; whoever scan did not answer for is in b->left. */
static WAITS int at_once(struct batch *b, struct imap_match_message *v, uint32_t n, struct fail *f)
{
    if (scanner_enter(f) < 0)
        return -1;
    int r = ask_scan(b, v, n, f);
    for (uint32_t i = 0; i < n && r == 0; i++) {
        struct msg_scan_match_r out;
        struct ipc_pending *p = b->match[i];
        b->match[i] = NULL;
        b->suspect[i] = p != NULL && ipc_finish(p, &out, &b->mem, LIMIT(SCAN_CALL_S) * 1000, f) < 0;
        b->left[i] = !v[i].gone && (p == NULL || b->suspect[i]);
        if (!b->left[i] && !v[i].gone)
            v[i].found = out.found;
    }
    stop(b, n);
    scanner_leave();
    return r;
}

static WAITS int run_batch(struct imap *s, const struct imap_keys *keys, struct batch *b, struct imap_match_message *v,
                           uint32_t n, struct fail *f)
{
    if (ask_store(s, keys, b, v, n, f) < 0 || at_once(b, v, n, f) < 0)
        return -1;
    for (uint32_t i = 0; i < n; i++) /* too large, or scan fell over one of the batch: one by one */
        if (b->left[i] && match_large(s, keys, &v[i], b->suspect[i], f) < 0)
            return -1;
    return 0;
}

WAITS int imap_match_batch(struct imap *s, const struct imap_keys *keys, struct imap_match_message *v, uint32_t n,
                           struct fail *f)
{
    struct batch *b = base_alloc(sizeof *b);
    memset(b, 0, sizeof *b);
    arena_init(&b->mem);
    ask_of(keys, &b->in, b->needles);
    int r = run_batch(s, keys, b, v, n, f);
    stop(b, n);
    arena_done(&b->mem);
    free(b);
    return r;
}
