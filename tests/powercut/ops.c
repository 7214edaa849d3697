/* ops: see the header. */
#include "ops.h"
#include "base/clock.h"
#include "shim.h"
#include "store/store_impl.h"

#include <pthread.h>
#include <stdatomic.h>

enum { SPOOL_PIECE = 30000, THREADS_MOST = 16 };

struct ops *ops_new(void)
{
    struct ops *o = base_alloc(sizeof *o);
    o->v = base_alloc(OPS_MOST * sizeof *o->v);
    return o;
}

void ops_free(struct ops *o)
{
    for (size_t i = 0; i < OPS_MOST; i++)
        free(o->body[i]);
    free(o->v);
    free(o);
}

struct store *ops_open(const char *dir, struct fail *f)
{
    struct store_options opt = {.segment_bytes = OPS_SEGMENT, .big_bytes = OPS_BIG, .readers = 1, .wal_pages = 60};
    return store_open(dir, &opt, f);
}

/* ---- what it is to be ---- */

static void make_message(struct op *op, struct disk_rand *r)
{
    static const uint32_t most[] = {300, 300, 3000, 3000, 3000, 14000, 50000};
    uint64_t first = disk_below(r, OPS_ACCOUNTS);
    op->kind = disk_chance(r, 8) ? OPS_SPOOLED : OPS_INGEST;
    op->len = 1 + (uint32_t)disk_below(r, op->kind == OPS_SPOOLED ? 90000 : most[disk_below(r, COUNT_OF(most))]);
    op->n = disk_chance(r, 70) ? 1 : 1 + (uint32_t)disk_below(r, OPS_TARGETS);
    op->text = disk_random(r);
    for (uint32_t i = 0; i < op->n; i++) {
        op->account[i] = 1 + (first + i) % OPS_ACCOUNTS;
        op->target_flags[i] = disk_chance(r, 20) ? FLAG_SEEN | FLAG_FLAGGED : 0;
    }
}

static void make_change(struct ops *o, struct op *op, struct disk_rand *r)
{
    static const uint32_t flags[] = {FLAG_SEEN, FLAG_DELETED, FLAG_FLAGGED | FLAG_ANSWERED, FLAG_DRAFT | FLAG_SEEN};
    const struct ops_account *a = &o->account[op->account[0] - 1];
    uint64_t uids = a->uid, wide = 1 + disk_below(r, op->kind == OPS_FLAGS ? 12 : 9);
    op->mailbox = a->mailbox;
    op->first = 1 + disk_below(r, uids);
    op->last = op->first + wide - 1;
    op->mode = (uint32_t)disk_below(r, 3);
    op->flags = flags[disk_below(r, COUNT_OF(flags))];
    op->since = disk_chance(r, 25) ? 1 + disk_below(r, uids * 2) : 0;
}

void ops_make(struct ops *o, uint32_t i, struct disk_rand *r)
{
    struct op *op = &o->v[i];
    uint64_t what = disk_below(r, 100), account = 1 + disk_below(r, OPS_ACCOUNTS);
    *op = (struct op){.id = rand_op_id(), .result = 1};
    if (what < 60 || o->account[account - 1].uid == 0) {
        make_message(op, r);
        return;
    }
    op->kind = what < 80 ? OPS_FLAGS : OPS_EXPUNGE;
    op->account[0] = account;
    make_change(o, op, r);
}

struct span ops_body(struct ops *o, uint32_t i)
{
    const struct op *op = &o->v[i];
    if (o->body[i] == NULL) {
        struct disk_rand r = {op->text};
        char *p = base_alloc(op->len + 8u);
        for (size_t at = 0; at < op->len; at += 8) {
            uint64_t x = disk_random(&r);
            memcpy(p + at, &x, 8);
        }
        o->body[i] = p;
    }
    return span_of(o->body[i], op->len);
}

/* ---- doing it ---- */

struct waiting {
    struct store_write w;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool done, note;
    struct store *s;
    struct op *op;
    uint32_t i;
    union {
        struct msg_ingest_r ingest;
        struct msg_flags_set_r flags;
        struct msg_expunge_r expunge;
    } out;
};

static void take_answer(struct waiting *x)
{
    struct op *op = x->op;
    op->result = x->w.result;
    snprintf(op->code, sizeof op->code, "%s", x->w.fail.code);
    if (op->result != 0)
        return;
    if (op->kind == OPS_FLAGS) {
        op->modseq = x->out.flags.modseq;
        op->changed = x->out.flags.changed;
        op->modified = x->out.flags.modified.n;
    } else if (op->kind == OPS_EXPUNGE) {
        op->modseq = x->out.expunge.modseq;
        op->changed = x->out.expunge.removed;
    } else {
        op->repeated = x->out.ingest.repeated != 0;
        for (uint32_t i = 0; i < op->n && i < x->out.ingest.results.n; i++) {
            const struct msg_ingest_result *r = &x->out.ingest.results.v[i];
            op->out_mailbox[i] = r->mailbox;
            op->uid[i] = r->uid;
            op->eid[i] = r->eid;
            op->target_modseq[i] = r->modseq;
        }
    }
}

static void written(struct store_write *w)
{
    struct waiting *x = CONTAINER_OF(w, struct waiting, w);
    take_answer(x);
    if (x->note && w->result == 0)
        shim_note(TRACE_ACK, x->i);
    x->s->sweep.last_ms = 0; /* we are in the committer's thread: sweep at each turn, not once a second */
    pthread_mutex_lock(&x->lock);
    x->done = true;
    pthread_cond_signal(&x->wake);
    pthread_mutex_unlock(&x->lock);
}

static void submit(struct store *s, struct waiting *x, enum msg_id id, const void *in)
{
    struct arena mem;
    arena_init(&mem);
    x->w = (struct store_write){.id = id, .account = x->op->account[0], .in = in, .out = &x->out, .mem = &mem, .done = written};
    pthread_mutex_init(&x->lock, NULL);
    pthread_cond_init(&x->wake, NULL);
    store_submit(s, &x->w);
    pthread_mutex_lock(&x->lock);
    while (!x->done)
        pthread_cond_wait(&x->wake, &x->lock);
    pthread_mutex_unlock(&x->lock);
    pthread_cond_destroy(&x->wake);
    pthread_mutex_destroy(&x->lock);
    arena_done(&mem);
}

/* 0, or -1 with the answer of the operation. */
static int spool(struct store *s, struct op *op, struct span body)
{
    for (size_t at = 0; at < body.n; at += SPOOL_PIECE) {
        struct msg_spool_write in = {.op = span_of(op->id.b, 16), .offset = at, .data = span_sub(body, at, SPOOL_PIECE)};
        struct msg_spool_write_r out;
        struct fail f = {0};
        if (store_spool_write(s, &in, &out, &f) != 0) {
            op->result = -1;
            snprintf(op->code, sizeof op->code, "%s", f.code);
            return -1;
        }
    }
    return 0;
}

static void ingest(struct store *s, struct waiting *x, struct span body)
{
    struct op *op = x->op;
    struct msg_ingest_target t[OPS_TARGETS];
    char address[OPS_TARGETS][32];
    bool spooled = op->kind == OPS_SPOOLED;
    if (spooled && spool(s, op, body) != 0)
        return;
    for (uint32_t i = 0; i < op->n; i++) {
        snprintf(address[i], sizeof address[i], "u%u@example.test", (unsigned)op->account[i]);
        t[i] = (struct msg_ingest_target){.account = op->account[i], .address = span_z(address[i]), .flags = op->target_flags[i]};
    }
    struct msg_ingest in = {.op = span_of(op->id.b, 16), .sender = SPAN("s@example.org"), .size = body.n,
        .body = spooled ? SPAN_NONE : body, .spool = spooled, .file = -1, .received_ms = clock_now_ms(),
        .date_s = INT64_MIN, .headers = SPAN("H"), .envelope = SPAN("(ENV)"), .structure = SPAN("S"), .preview = SPAN("P")};
    in.targets.v = t;
    in.targets.n = op->n;
    submit(s, x, MSG_ID_ingest, &in);
}

void ops_do(struct ops *o, uint32_t i, struct op *op, struct store *s, bool note)
{
    struct waiting x = {.op = op, .i = i, .note = note, .s = s};
    struct msg_uid_range range = {op->first, op->last};
    if (note)
        shim_note(TRACE_BEGIN, i);
    if (op->kind == OPS_FLAGS) {
        struct msg_flags_set in = {.op = span_of(op->id.b, 16), .mailbox = op->mailbox, .mode = op->mode,
            .flags = op->flags, .unchangedsince = op->since, .uids = {&range, 1}};
        submit(s, &x, MSG_ID_flags_set, &in);
    } else if (op->kind == OPS_EXPUNGE) {
        struct msg_expunge in = {.op = span_of(op->id.b, 16), .mailbox = op->mailbox, .uids = {&range, 1}};
        submit(s, &x, MSG_ID_expunge, &in);
    } else {
        ingest(s, &x, ops_body(o, i));
    }
    for (uint32_t t = 0; t < op->n && op->result == 0; t++) {
        struct ops_account *a = &o->account[op->account[t] - 1];
        a->mailbox = op->out_mailbox[t];
        if (op->uid[t] > a->uid)
            a->uid = op->uid[t];
    }
}

/* ---- the load ---- */

struct loader { struct ops *o; struct store *s; uint32_t end; uint64_t seed; };

static void *load_main(void *arg)
{
    struct loader *l = arg;
    for (;;) {
        uint32_t i = atomic_fetch_add(&l->o->n, 1);
        if (i >= l->end)
            return NULL;
        struct disk_rand r = {l->seed + i * 0x9e3779b97f4a7c15u};
        ops_make(l->o, i, &r);
        ops_do(l->o, i, &l->o->v[i], l->s, true);
    }
}

void ops_load(struct ops *o, struct store *s, uint32_t count, unsigned threads, uint64_t seed)
{
    pthread_t t[THREADS_MOST];
    struct loader l = {.o = o, .s = s, .end = o->n + count, .seed = seed};
    assert(l.end <= OPS_MOST && threads <= THREADS_MOST);
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&t[i], NULL, load_main, &l) != 0)
            base_die("powercut: no thread");
    for (unsigned i = 0; i < threads; i++)
        pthread_join(t[i], NULL);
    o->n = l.end;
}
