/* drive_store: operations of the model become writes of the store, and its answers those of the model. */
#include "drive.h"

#include "base/limits.h"
#include "base/str.h"
#include "store/store_impl.h"
#include "store/store_thread.h"
#include "store/store_tidy.h"

#include <ctype.h>
#include <stdatomic.h>

enum { PIECE = 60000 };

static struct clock_page page;

void drive_setup(void)
{
    clock_use_page(&page);
    limit_value[LIMIT_MAILBOXES] = MODEL_BOXES;
    limit_value[LIMIT_MAILBOX_DEPTH] = MODEL_DEPTH;
    limit_value[LIMIT_UPLOADS] = MODEL_UPLOADS;
    limit_value[LIMIT_KV_VALUES] = MODEL_VALUES;
}

void drive_pass(int64_t hours) { atomic_fetch_add(&page.wall_offset_ms, hours * 3600 * 1000); }

void drive_start(struct drive *d, uint64_t seed)
{
    d->store = NULL;
    d->seed = d->random = seed;
    d->rounds = d->operations = 0;
    d->follow = (struct model_request){0};
    if (d->locked)
        return;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->wake, NULL);
    d->locked = true;
}

struct span drive_body(uint64_t seed, uint32_t length, struct arena *mem)
{
    char *p = arena_alloc(mem, length + 1);
    for (uint32_t i = 0; i < length; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        p[i] = (char)('!' + (seed >> 58));
    }
    return span_of(p, length);
}

/* ---- asking ---- */

static struct span keywords_text(struct drive_slot *x)
{
    struct str s;
    str_init(&s, &x->mem);
    for (int i = 0; i < MODEL_WORDS; i++)
        for (const char *p = model_words[i]; (x->q.keywords >> i & 1) != 0; p++) {
            if (*p == 0) {
                str_addc(&s, ' ');
                break;
            }
            str_addc(&s, x->q.loud ? (char)toupper((unsigned char)*p) : *p);
        }
    if (x->q.bad_keyword)
        str_addz(&s, "a{b");
    return str_span(&s);
}

static struct span refs_bytes(const struct model_request *q)
{
    return span_of(q->refs, q->n_refs * sizeof q->refs[0]); /* little endian where this runs */
}

static struct span in_frame(const struct drive_slot *x, struct span body) { return x->q.spool ? SPAN_NONE : body; }

static void ask_ingest(struct drive_slot *x, struct span op, struct span body)
{
    const struct model_request *q = &x->q;
    struct msg_ingest_target *t = arena_zalloc(&x->mem, q->n_targets * sizeof *t);
    for (uint32_t i = 0; i < q->n_targets; i++) {
        uint64_t number = x->d->world.accounts[q->targets[i].account].number;
        t[i] = (struct msg_ingest_target){.account = number, .mailbox = q->targets[i].mailbox, .flags = q->targets[i].flags};
        t[i].address = arena_printf(&x->mem, "user%u@example.test", (unsigned)number);
    }
    x->in.ingest = (struct msg_ingest){.op = op, .sender = SPAN("a@example.org"), .size = body.n,
        .body = in_frame(x, body), .spool = q->spool, .file = -1, .received_ms = q->internal_ms, .msgid_hash = q->key, .date_s = INT64_MIN, .headers = SPAN("H"),
        .envelope = SPAN("(ENV)"), .structure = SPAN("S"), .preview = SPAN("P"), .refs = refs_bytes(q),
        .targets = {t, q->n_targets}};
}

/* 0, or -1: refused, with the code as the operation's. */
static int spool(struct drive_slot *x, struct span op, struct span body)
{
    for (size_t at = 0; at < body.n; at += PIECE) {
        struct msg_spool_write in = {.op = op, .offset = at, .data = span_sub(body, at, PIECE)};
        struct msg_spool_write_r out;
        if (store_spool_write(x->d->store, &in, &out, &x->w.fail) != 0)
            return x->w.result = -1;
    }
    return 0;
}

static void ask_body(struct drive_slot *x, struct span op, struct span *body)
{
    if (x->q.id != MSG_ID_ingest && x->q.id != MSG_ID_append && x->q.id != MSG_ID_blob_put)
        return;
    *body = x->q.upload != 0 ? SPAN_NONE : drive_body(x->q.seed, x->q.length, &x->mem);
    if (x->q.spool && spool(x, op, *body) == 0)
        body->p = NULL; /* its length stays */
}

static void ask_value(struct drive_slot *x)
{
    const struct model_request *q = &x->q;
    x->in.kv_set = (struct msg_kv_set){.key = span_z(q->name), .remove = q->what, .ttl_s = q->hours * 3600};
    if (q->what == 0)
        x->in.kv_set.value = drive_body(q->seed, q->length, &x->mem);
}

static void ask(struct drive_slot *x)
{
    const struct model_request *q = &x->q;
    struct span op = span_of(q->op.b, 16), name = span_z(q->name), body = SPAN_NONE;
    uint64_t number = x->d->world.accounts[q->account].number;
    struct msg_uid_range *ranges = arena_zalloc(&x->mem, sizeof q->ranges);
    memcpy(ranges, q->ranges, sizeof q->ranges);
    ask_body(x, op, &body);
    switch ((int)q->id) {
    case MSG_ID_ingest: ask_ingest(x, op, body); break;
    case MSG_ID_append:
        x->in.append = (struct msg_append){.op = op, .mailbox = q->mailbox, .size = body.n, .body = in_frame(x, body),
            .spool = q->spool, .upload = q->upload, .file = -1,
            .flags = q->flags, .keywords = keywords_text(x), .internal_ms = q->internal_ms, .msgid_hash = q->key,
            .date_s = INT64_MIN, .envelope = SPAN("(ENV)"), .structure = SPAN("S"), .headers = SPAN("H"),
            .preview = SPAN("P"), .refs = refs_bytes(q)};
        break;
    case MSG_ID_flags_set:
        x->in.flags_set = (struct msg_flags_set){.op = op, .mailbox = q->mailbox, .mode = q->mode, .flags = q->flags,
            .keywords = keywords_text(x), .unchangedsince = q->unchangedsince, .uids = {ranges, q->n_ranges}};
        break;
    case MSG_ID_expunge:
        x->in.expunge = (struct msg_expunge){.op = op, .mailbox = q->mailbox, .flags = q->flags, .uids = {ranges, q->n_ranges}};
        break;
    case MSG_ID_copy:
        x->in.copy = (struct msg_copy){.op = op, .from = q->mailbox, .to = q->to, .move = q->move, .uids = {ranges, q->n_ranges}};
        break;
    case MSG_ID_mailbox_create:
        x->in.mailbox_create = (struct msg_mailbox_create){.op = op, .parent = q->parent, .name = name, .role = q->role, .subscribed = q->subscribed};
        break;
    case MSG_ID_mailbox_set:
        x->in.mailbox_set = (struct msg_mailbox_set){.op = op, .mailbox = q->mailbox, .what = q->what, .parent = q->parent,
            .name = name, .role = q->role, .subscribed = q->subscribed};
        break;
    case MSG_ID_mailbox_remove:
        x->in.mailbox_remove = (struct msg_mailbox_remove){.op = op, .mailbox = q->mailbox, .flags = q->flags};
        break;
    case MSG_ID_blob_put:
        x->in.blob_put = (struct msg_blob_put){.op = op, .size = body.n, .body = in_frame(x, body), .spool = q->spool, .file = -1};
        break;
    case MSG_ID_kv_set: ask_value(x); break;
    case MSG_ID_recount: x->in.recount = (struct msg_recount){number}; break;
    case MSG_ID_quota_set: x->in.quota_set = (struct msg_quota_set){number, q->limit_bytes, q->limit_messages}; break;
    default: x->in.account_gone = (struct msg_account_gone){number}; break;
    }
}

/* ---- the answer ---- */

static void list(struct drive_slot *x, const struct msg_uid_range *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        for (uint64_t u = v[i].first; u <= v[i].last; u++) {
            if (x->got.n_list == MODEL_MEMBERS)
                base_die("an answer names more messages than there are");
            x->got.list[x->got.n_list++] = u;
        }
}

void drive_answer(struct drive_slot *x)
{
    struct model_answer *a = &x->got;
    *a = (struct model_answer){0};
    if (x->w.result != 0) {
        snprintf(a->code, sizeof a->code, "%s", x->w.fail.code);
        return;
    }
    a->ok = 1;
    switch ((int)x->q.id) {
    case MSG_ID_ingest:
        a->repeated = x->out.ingest.repeated;
        if (x->out.ingest.results.n > MODEL_TARGETS)
            base_die("ingest answers for more targets than it was given");
        memcpy(a->results, x->out.ingest.results.v, x->out.ingest.results.n * sizeof a->results[0]);
        break;
    case MSG_ID_append:
        *a = (struct model_answer){.ok = 1, .mailbox = x->out.append.mailbox, .uidvalidity = x->out.append.uidvalidity,
            .uid = x->out.append.uid, .eid = x->out.append.eid, .modseq = x->out.append.modseq};
        break;
    case MSG_ID_flags_set:
        a->modseq = x->out.flags_set.modseq;
        a->count = x->out.flags_set.changed;
        list(x, x->out.flags_set.modified.v, x->out.flags_set.modified.n);
        break;
    case MSG_ID_expunge:
        a->modseq = x->out.expunge.modseq;
        a->count = x->out.expunge.removed;
        break;
    case MSG_ID_copy:
        *a = (struct model_answer){.ok = 1, .modseq = x->out.copy.modseq, .uidvalidity = x->out.copy.uidvalidity,
            .uid = x->out.copy.uid, .count = x->out.copy.count, .extra = {x->out.copy.next}};
        list(x, x->out.copy.uids.v, x->out.copy.uids.n);
        break;
    case MSG_ID_mailbox_create:
        a->mailbox = x->out.mailbox_create.mailbox;
        a->uidvalidity = x->out.mailbox_create.uidvalidity;
        a->modseq = x->out.mailbox_create.modseq;
        break;
    case MSG_ID_mailbox_set:
        a->mailbox = x->out.mailbox_set.mailbox;
        a->modseq = x->out.mailbox_set.modseq;
        break;
    case MSG_ID_mailbox_remove: a->modseq = x->out.mailbox_remove.modseq; break;
    case MSG_ID_recount:
        a->count = x->out.recount.messages;
        a->extra[1] = x->out.recount.wrong;
        break;
    case MSG_ID_quota_set:
        a->extra[0] = x->out.quota_set.bytes;
        a->count = x->out.quota_set.messages;
        break;
    case MSG_ID_blob_put:
        a->extra[0] = x->out.blob_put.blob;
        a->extra[1] = (uint64_t)x->out.blob_put.expires_s;
        break;
    default: break;
    }
}

void drive_ask(struct drive_slot *x)
{
    const struct model_account *a = &x->d->world.accounts[x->q.whole ? MODEL_ACCOUNTS : x->q.account];
    arena_reset(&x->mem);
    memset(&x->out, 0, sizeof x->out);
    x->w = (struct store_write){.id = x->q.id, .account = a->number, .in = &x->in, .out = &x->out, .mem = &x->mem};
    ask(x);
}

/* ---- what comes beside operations ---- */

/* In the committer's thread, between two batches. */
static void tidy(struct store_write *w)
{
    struct drive *d = w->arg;
    while ((store_thread_behind(d->store) > 0 || store_thread_keys_due(d->store)) && !d->store->broken)
        store_tidy(d->store, false);
    do
        store_tidy(d->store, false);
    while (d->store->tidying && !d->store->broken);
    pthread_mutex_lock(&d->lock);
    d->done++;
    pthread_cond_broadcast(&d->wake);
    pthread_mutex_unlock(&d->lock);
}

static void wait_for(struct drive *d, size_t n)
{
    pthread_mutex_lock(&d->lock);
    while (d->done < n)
        pthread_cond_wait(&d->wake, &d->lock);
    pthread_mutex_unlock(&d->lock);
}

void drive_age(struct drive *d, int64_t hours)
{
    struct store_write w = {.id = MSG_ID_thread_get, .arg = d, .done = tidy};
    drive_pass(hours);
    d->done = 0;
    store_submit(d->store, &w);
    wait_for(d, 1);
}

void drive_threads(struct drive *d)
{
    struct fail f = {0};
    store_thread_wait(d->store, UINT64_MAX, &f); /* a broken store tells so elsewhere */
    for (size_t i = 0; i < MODEL_ACCOUNTS; i++)
        model_threads(&d->world.accounts[i]);
}

/* ---- a round ---- */

static void written(struct store_write *w)
{
    struct drive_slot *x = CONTAINER_OF(w, struct drive_slot, w);
    struct drive *d = x->d;
    if (d->written != NULL)
        d->written(x);
    pthread_mutex_lock(&d->lock);
    d->done++;
    pthread_cond_broadcast(&d->wake);
    pthread_mutex_unlock(&d->lock);
}

/* Keeps the committer until the whole round waits, so that it becomes one batch. */
static void hold(struct store_write *w)
{
    struct drive *d = w->arg;
    pthread_mutex_lock(&d->lock);
    while (d->submitted < d->n)
        pthread_cond_wait(&d->wake, &d->lock);
    d->done++;
    pthread_cond_broadcast(&d->wake);
    pthread_mutex_unlock(&d->lock);
}

static void *session(void *arg)
{
    struct drive_slot *x = arg;
    if (!x->off)
        store_submit(x->d->store, &x->w);
    return NULL;
}

/* One batch, in the order of the slots. */
static void together(struct drive *d)
{
    struct store_write gate = {.id = MSG_ID_thread_get, .arg = d, .done = hold};
    store_submit(d->store, &gate);
    for (size_t i = 0; i < d->n; i++)
        if (!d->slots[i].off)
            store_submit(d->store, &d->slots[i].w);
    pthread_mutex_lock(&d->lock);
    d->submitted = d->n;
    pthread_cond_broadcast(&d->wake);
    pthread_mutex_unlock(&d->lock);
    wait_for(d, d->n + 1);
}

/* A thread for each: any order, any batches. */
static void at_once(struct drive *d)
{
    pthread_t threads[DRIVE_ROUND];
    for (size_t i = 0; i < d->n; i++)
        if (pthread_create(&threads[i], NULL, session, &d->slots[i]) != 0)
            base_die("no thread");
    for (size_t i = 0; i < d->n; i++)
        pthread_join(threads[i], NULL);
    wait_for(d, d->n);
}

/* What the operation is not that names it in its request: nothing is submitted for it. */
static bool aged(struct drive *d)
{
    struct drive_slot *x = &d->slots[0];
    if ((int)x->q.id != MODEL_AGE)
        return false;
    drive_age(d, x->q.hours);
    x->got = (struct model_answer){.ok = 1};
    if (d->written != NULL)
        d->written(x);
    return true;
}

/* The rest of a copy that was done in part is a copy of what follows (RFC 9051 6.4.7 is one command to its client). */
static void go_on(struct drive *d)
{
    const struct drive_slot *x = &d->slots[0];
    d->follow = (struct model_request){0};
    if (x->q.id != MSG_ID_copy || x->got.ok == 0 || x->got.extra[0] == 0)
        return;
    d->follow = x->q;
    d->follow.n_ranges = 0;
    for (uint32_t i = 0; i < x->q.n_ranges; i++)
        if (x->q.ranges[i].last >= x->got.extra[0])
            d->follow.ranges[d->follow.n_ranges++] =
                (struct msg_uid_range){MAX_OF(x->q.ranges[i].first, x->got.extra[0]), x->q.ranges[i].last};
}

void drive_round(struct drive *d)
{
    d->round_began_ms = clock_now_ms();
    for (size_t i = 0; i < d->n; i++)
        d->slots[i].d = d;
    d->store->step = d->n == 1 ? d->slots[0].q.step : 0;
    if (!aged(d)) {
        d->done = d->submitted = 0;
        for (size_t i = 0; i < d->n; i++) {
            drive_ask(&d->slots[i]);
            d->slots[i].w.done = written;
            d->slots[i].off = d->slots[i].w.result != 0;
            d->done += d->slots[i].off;
        }
        if (d->n > 1 && !d->in_turn && drive_below(d, 3) == 0)
            at_once(d);
        else
            together(d);
        for (size_t i = 0; i < d->n; i++)
            drive_answer(&d->slots[i]);
    }
    for (size_t i = 0; i < d->n; i++)
        if (d->slots[i].q.spool) /* of one that was refused */
            store_spool_drop(d->store, span_of(d->slots[i].q.op.b, 16));
    go_on(d);
}
