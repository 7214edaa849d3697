/* scan: parses what strangers wrote, one message at a time, and keeps nothing. It has no network, opens no file, and is
 * replaced after SCAN_MESSAGES messages or SCAN_S seconds: who takes it over sees only what passes meanwhile. */
#include "base/arena.h"
#include "base/log.h"
#include "base/limits.h"
#include "format/charset.h"
#include "format/downgrade.h"
#include "format/edit.h"
#include "format/match_text.h"
#include "format/read.h"
#include "format/submit.h"
#include "format/summary.h"
#include "roles/roles.h"
#include "run/loop.h"
#include "run/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum {
    TRACE_BYTES = 65536,    /* above message_bytes: the fields that fronts put on top */
    READ_BYTES = 131072,    /* of a part in one reply, and of all values of fields */
    FIELD_ASKS = 256,       /* in one request */
    FIELD_VALUES = 4096,    /* in one reply */
    FIELD_ROOM = 16,        /* bytes that a value needs beside itself, less than that */
};

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

/* The message of a request, of whatever kind; refuses and returns -1 when it cannot be had. */
static int take(struct ipc_req *req, struct span body, int fd, uint64_t size, struct held *h)
{
    struct fail f = {0};
    *h = (struct held){.bytes = body};
    int r = 0;
    if (fd >= 0 && size > (uint64_t)LIMIT(MESSAGE_BYTES) + TRACE_BYTES)
        r = fail_perm(&f, "5.3.4", "the message is above message_bytes");
    else if (fd >= 0 && size > 0)
        r = hold(fd, size, h, &f);
    if (r != 0)
        ipc_refuse(req, &f);
    return r;
}

static void done(struct held *h)
{
    if (h->map != NULL)
        munmap(h->map, h->bytes.n);
    arena_reset(&scratch);
    count_message();
}

static void on_summarize(struct ipc_req *req)
{
    const struct msg_summarize *in = req->in;
    struct held h;
    struct summary s;
    if (take(req, in->body, in->file, in->size, &h) == 0) {
        summarize(h.bytes, &s, &scratch);
        ipc_reply(req, &(struct msg_summarize_r){.flags = s.flags, .hops = s.hops, .msgid_hash = s.msgid_hash,
                                                 .date_s = s.date_s, .headers = s.headers, .envelope = s.envelope,
                                                 .structure = s.structure, .preview = s.preview, .refs = s.refs});
    }
    done(&h);
}

static void on_submit(struct ipc_req *req)
{
    const struct msg_scan_submit *in = req->in;
    struct held h;
    struct submit sub;
    struct summary s;
    if (take(req, in->body, in->file, in->size, &h) == 0) {
        submit_read(h.bytes, in->date, in->msgid, &sub, &scratch);
        summarize(edit_apply(h.bytes, sub.edits, &scratch), &s, &scratch);
        ipc_reply(req, &(struct msg_scan_submit_r){.flags = s.flags, .hops = s.hops, .msgid_hash = s.msgid_hash,
                                                   .date_s = s.date_s, .headers = s.headers, .envelope = s.envelope,
                                                   .structure = s.structure, .preview = s.preview, .refs = s.refs,
                                                   .edits = sub.edits, .authors = sub.authors, .faults = sub.faults});
    }
    done(&h);
}

static void on_match(struct ipc_req *req)
{
    const struct msg_scan_match *in = req->in;
    struct match_needle needles[MATCH_NEEDLES];
    struct held h;
    struct fail f;
    bool fine = in->needles.n <= MATCH_NEEDLES;
    for (uint32_t i = 0; i < in->needles.n && fine; i++) {
        const struct msg_scan_needle *n = &in->needles.v[i];
        fine = n->where < MATCH_WHERE_COUNT && n->text.n <= MATCH_NEEDLE_BYTES;
        needles[i] = (struct match_needle){(enum match_where)n->where, n->name, n->text};
    }
    if (!fine) {
        fail_perm(&f, "5.5.4", "too much to search for at once");
        ipc_refuse(req, &f);
        return;
    }
    if (take(req, in->body, in->file, in->size, &h) == 0)
        ipc_reply(req, &(struct msg_scan_match_r){.found = match_message(h.bytes, needles, in->needles.n, &scratch)});
    done(&h);
}

static void on_text(struct ipc_req *req)
{
    const struct msg_scan_text *in = req->in;
    struct match_text t;
    struct held h;
    if (take(req, in->body, in->file, in->size, &h) == 0) {
        bool whole = match_text_make(h.bytes, (size_t)LIMIT(SEARCH_TEXT_BYTES), &t, &scratch);
        ipc_reply(req, &(struct msg_scan_text_r){.whole = whole, .parts_at = whole ? t.parts_at : 0,
                                                 .body_at = whole ? t.body_at : 0, .text = whole ? t.bytes : SPAN("")});
    }
    done(&h);
}

/* The number of the part, or -1. */
static int find_part(struct span message, struct span path, struct mime_tree *tree)
{
    mime_walk(message, tree, NULL, NULL, &scratch);
    return part_text_find(tree, path);
}

struct answers {
    struct msg_scan_value *v;
    uint32_t n;
    bool cut;
    size_t room;
};

/* The values that one field of the header has for those who asked. */
static void answer(struct answers *a, const struct msg_scan_fields *in, const struct header_field *f)
{
    for (uint32_t i = 0; i < in->asks.n; i++) {
        const struct msg_scan_ask *ask = &in->asks.v[i];
        struct str data;
        if (ask->form >= READ_FORM_COUNT || !span_eq_nocase(ask->name, f->name))
            continue;
        if (a->n == FIELD_VALUES || a->room < FIELD_ROOM) {
            a->cut = true;
            return;
        }
        str_init(&data, &scratch);
        read_value(&data, f->value, (enum read_form)ask->form, a->room - FIELD_ROOM, &scratch);
        a->room -= data.n + FIELD_ROOM;
        a->v[a->n++] = (struct msg_scan_value){i, data.n > 0 ? str_span(&data) : SPAN("")};
    }
}

static void on_fields(struct ipc_req *req)
{
    const struct msg_scan_fields *in = req->in;
    struct answers a = {.room = READ_BYTES};
    struct fail fail;
    struct header_reader r;
    struct header_field f;
    struct mime_tree tree;
    struct held h;
    if (in->asks.n > FIELD_ASKS) {
        fail_perm(&fail, "5.5.4", "too many fields are asked for at once");
        ipc_refuse(req, &fail);
        return;
    }
    if (take(req, in->body, in->file, in->size, &h) == 0) {
        int number = find_part(h.bytes, in->part, &tree);
        a.v = arena_alloc(&scratch, FIELD_VALUES * sizeof *a.v);
        if (number >= 0) {
            const struct summary_part *p = &tree.v[number].at;
            header_begin(&r, span_sub(h.bytes, p->header_at, p->body_at - p->header_at));
            while (header_next(&r, &f) && !a.cut)
                answer(&a, in, &f);
        }
        ipc_reply(req, &(struct msg_scan_fields_r){.cut = a.cut, .values = {a.v, a.n}});
    }
    done(&h);
}

static void on_read(struct ipc_req *req)
{
    const struct msg_scan_read *in = req->in;
    struct read_slice s = {.at = in->at, .skip = MIN_OF(in->skip, UINT64_MAX >> 16),
                           .length = MIN_OF(in->length, (uint32_t)READ_BYTES)};
    struct mime_tree tree;
    struct held h;
    if (take(req, in->body, in->file, in->size, &h) == 0) {
        int number = in->form <= PART_FOLDED ? find_part(h.bytes, in->part, &tree) : -1;
        if (number >= 0)
            read_slice(h.bytes, &tree.v[number], (enum part_form)in->form, &s, &scratch);
        else
            s = (struct read_slice){.end = true};
        ipc_reply(req, &(struct msg_scan_read_r){.found = number >= 0, .size = s.size, .data = s.data, .end = s.end,
                                                 .at = s.at, .skip = s.skip});
    }
    done(&h);
}

static void on_surrogate(struct ipc_req *req)
{
    const struct msg_scan_surrogate *in = req->in;
    struct msg_scan_surrogate_r out = {.edits = SPAN(""), .envelope = SPAN(""), .structure = SPAN("")};
    struct held h;
    struct summary s;
    if (take(req, in->body, in->file, in->size, &h) == 0) {
        out.edits = downgrade_message(h.bytes, &scratch);
        if (out.edits.n > 0) {
            struct span whole = edit_apply(h.bytes, out.edits, &scratch);
            summarize(whole, &s, &scratch);
            out.size = whole.n;
            out.envelope = s.envelope;
            out.structure = s.structure;
        }
        ipc_reply(req, &out);
    }
    done(&h);
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
    {.id = MSG_ID_scan_submit, .call = on_submit},
    {.id = MSG_ID_scan_match, .call = on_match},
    {.id = MSG_ID_scan_text, .call = on_text},
    {.id = MSG_ID_scan_fields, .call = on_fields},
    {.id = MSG_ID_scan_read, .call = on_read},
    {.id = MSG_ID_scan_surrogate, .call = on_surrogate},
};

const struct role_def scan_role = {
    .kind = ROLE_SCAN,
    .prepare = prepare,
    .handlers = handlers,
    .n_handlers = COUNT_OF(handlers),
};
