/* store_queue_lease: what relay asks without changing anything that is kept: leases, the list of domains, the text.
 *
 * Leases are given by the committer between its commits, from its own connection: it alone knows which results have come. */
#include "store/store_queue_impl.h"

#include "base/clock.h"
#include "store/store_read.h"

enum {
    AGES = 3,
    REPLY_BYTES = 150 * 1024,
    DOMAINS_PAGE = 500,
    COUNTED_PAGE = 100000,  /* rows a page: some 10 ms */
    READ_MOST = 131072,
};

/* ---- leases ---- */

bool store_queue_leased(struct store *s, uint64_t rid, struct store_lease *out)
{
    pthread_mutex_lock(&s->queue.lock);
    const struct store_lease *l = map_get_u64(&s->queue.leases, rid);
    if (l != NULL && out != NULL)
        *out = *l;
    pthread_mutex_unlock(&s->queue.lock);
    return l != NULL;
}

static void lease_begin(struct store *s, uint64_t rid, uint64_t boot)
{
    struct store_lease *l = base_alloc(sizeof *l);
    *l = (struct store_lease){rid, boot, s->queue.lease};
    pthread_mutex_lock(&s->queue.lock);
    map_put_u64(&s->queue.leases, rid, l);
    pthread_mutex_unlock(&s->queue.lock);
}

void store_queue_lease_end(struct store *s, uint64_t rid, uint64_t boot, uint64_t name)
{
    pthread_mutex_lock(&s->queue.lock);
    const struct store_lease *l = map_get_u64(&s->queue.leases, rid);
    if (l != NULL && l->boot == boot && l->name == name)
        free(map_take_u64(&s->queue.leases, rid));
    pthread_mutex_unlock(&s->queue.lock);
}

void store_queue_lease_end_boot(struct store *s, uint64_t keep)
{
    size_t at = 0;
    void *p;
    pthread_mutex_lock(&s->queue.lock);
    while (map_next(&s->queue.leases, &at, NULL, &p)) {
        struct store_lease *l = p;
        if (l->boot != keep)
            free(map_take_u64(&s->queue.leases, l->rid));
    }
    pthread_mutex_unlock(&s->queue.lock);
}

/* ---- leasing ---- */

struct taking {
    VEC(struct msg_queue_message) messages;
    VEC(struct msg_queue_rcpt) rcpts;
    uint32_t most_messages, most_rcpts;
    size_t bytes;
    int64_t next_ms; /* of what is left, INT64_MAX: nothing */
    bool full;
};

static int add_message(struct store *s, struct taking *t, uint64_t qid, int64_t expires_ms, struct span route, struct arena *mem)
{
    struct store_queue_message m;
    int rc = store_queue_message_get(s->db, qid, &m, mem);
    if (rc != 1)
        return rc;
    *VEC_PUSH(&t->messages) = (struct msg_queue_message){.qid = qid, .sender = m.sender, .account = m.account, .size = m.size,
        .flags = m.flags, .envid = m.envid, .ret = m.ret, .created_ms = store_queue_wall(s, m.created_ms),
        .expires_ms = store_queue_wall(s, expires_ms), .trace = m.trace, .route = arena_copy(mem, route)};
    t->bytes += 100 + m.sender.n + m.envid.n + route.n;
    return 1;
}

/* The present row of QUEUE_DUE. -1: trouble. */
static int take(struct store *s, struct taking *t, uint64_t boot, int64_t due_ms, struct arena *mem)
{
    enum db_id id = DB_QUEUE_DUE;
    struct msg_queue_rcpt r = {.rid = (uint64_t)db_i64(s->db, id, 0), .qid = (uint64_t)db_i64(s->db, id, 1),
        .address = arena_copy(mem, db_bytes(s->db, id, 3)), .notify = (uint32_t)db_i64(s->db, id, 4),
        .orcpt = arena_copy(mem, db_bytes(s->db, id, 5)), .tries = (uint32_t)db_i64(s->db, id, 6),
        .maybe_sent = (uint32_t)db_i64(s->db, id, 7)};
    struct span route = db_bytes(s->db, id, 10);
    size_t at = 0;
    while (at < t->messages.n && t->messages.v[at].qid != r.qid)
        at++;
    bool fresh = at == t->messages.n, other = !fresh && !span_eq(t->messages.v[at].route, route);
    if (t->rcpts.n == t->most_rcpts || (fresh && t->messages.n == t->most_messages) || t->bytes > REPLY_BYTES || other) {
        t->full |= !other;
        t->next_ms = MIN_OF(t->next_ms, due_ms);
        return 0;
    }
    int rc = fresh ? add_message(s, t, r.qid, db_i64(s->db, id, 9), route, mem) : 1;
    if (rc != 1)
        return rc;
    *VEC_PUSH(&t->rcpts) = r;
    t->bytes += 60 + r.address.n + r.orcpt.n;
    lease_begin(s, r.rid, boot);
    return 0;
}

static int take_age(struct store *s, struct taking *t, struct span domain, int age, uint64_t boot, int64_t now, struct arena *mem)
{
    enum db_id id = DB_QUEUE_DUE;
    int rc = DB_FIRST(s->db, id, DB_B(domain), DB_I(age));
    for (; rc == 1; rc = db_next(s->db, id)) {
        int64_t due_ms = db_i64(s->db, id, 2);
        if (store_queue_leased(s, (uint64_t)db_i64(s->db, id, 0), NULL) || db_i64(s->db, id, 8) != 0)
            continue;
        if (due_ms > now || t->full) {
            t->next_ms = MIN_OF(t->next_ms, due_ms);
            break;
        }
        if (take(s, t, boot, due_ms, mem) != 0) {
            db_end(s->db, id);
            return -1;
        }
        if (t->full)
            break;
    }
    db_end(s->db, id);
    return rc < 0 ? -1 : 0;
}

static void remember_told(struct store *s, struct span domain, int64_t next_ms)
{
    if (next_ms == INT64_MAX)
        map_take(&s->queue.told, domain);
    else
        map_put(&s->queue.told, domain, (void *)(intptr_t)MAX_OF(next_ms, INT64_C(1)));
}

void store_queue_lease(struct store *s, struct store_write *w)
{
    const struct msg_queue_lease *in = w->in;
    struct msg_queue_lease_r *out = w->out;
    struct taking t = {.most_messages = in->messages, .most_rcpts = in->rcpts, .next_ms = INT64_MAX};
    int64_t now = store_queue_now(s);
    *out = (struct msg_queue_lease_r){.lease = ++s->queue.lease};
    int rc = store_queue_suspended(s, in->domain);
    for (int age = 0; rc == 0 && age < AGES; age++)
        rc = take_age(s, &t, in->domain, age, w->account, now, w->mem) != 0 ? -1 : 0;
    if (rc < 0) {
        for (size_t i = 0; i < t.rcpts.n; i++)
            store_queue_lease_end(s, t.rcpts.v[i].rid, w->account, s->queue.lease);
        w->result = db_fail(s->db, &w->fail);
    } else {
        remember_told(s, in->domain, t.next_ms);
        out->next_due_ms = t.next_ms == INT64_MAX ? 0 : store_queue_wall(s, t.next_ms);
        out->messages.n = (uint32_t)t.messages.n;
        out->messages.v = store_read_take(w->mem, t.messages.v, t.messages.n, sizeof *t.messages.v);
        out->rcpts.n = (uint32_t)t.rcpts.n;
        out->rcpts.v = store_read_take(w->mem, t.rcpts.v, t.rcpts.n, sizeof *t.rcpts.v);
    }
    VEC_FREE(&t.messages);
    VEC_FREE(&t.rcpts);
}

void store_queue_return(struct store *s, struct store_write *w)
{
    const struct msg_queue_return *in = w->in;
    for (uint32_t i = 0; i < in->rids.n; i++)
        store_queue_lease_end(s, in->rids.v[i].rid, w->account, in->lease);
}

/* ---- domains ---- */

static int domain_row(struct store *s, struct msg_queue_domain *d)
{
    int64_t due = INT64_MAX;
    int rc = DB_FIRST(s->db, DB_QUEUE_DOMAIN_COUNT, DB_B(d->domain));
    d->waiting = rc == 1 ? (uint64_t)db_i64(s->db, DB_QUEUE_DOMAIN_COUNT, 0) : 0;
    db_end(s->db, DB_QUEUE_DOMAIN_COUNT);
    for (int age = 0; rc >= 0 && age < AGES; age++) {
        rc = DB_FIRST(s->db, DB_QUEUE_DOMAIN_DUE, DB_B(d->domain), DB_I(age));
        if (rc == 1)
            due = MIN_OF(due, db_i64(s->db, DB_QUEUE_DOMAIN_DUE, 0));
        db_end(s->db, DB_QUEUE_DOMAIN_DUE);
    }
    if (rc >= 0)
        rc = store_queue_suspended(s, d->domain);
    d->suspended = rc == 1;
    d->due_ms = store_queue_wall(s, due);
    remember_told(s, d->domain, due);
    return rc < 0 ? -1 : 0;
}

void store_queue_domains(struct store *s, struct store_write *w)
{
    struct msg_queue_domains_r *out = w->out;
    struct span after = ((const struct msg_queue_domains *)w->in)->after;
    VEC(struct msg_queue_domain) rows = {0};
    uint64_t counted = 0;
    int rc = 0;
    store_queue_now(s);
    for (;;) {
        rc = DB_FIRST(s->db, DB_QUEUE_DOMAIN_NEXT, DB_B(after));
        if (rc != 1)
            break;
        struct msg_queue_domain d = {.domain = arena_copy(w->mem, db_bytes(s->db, DB_QUEUE_DOMAIN_NEXT, 0))};
        db_end(s->db, DB_QUEUE_DOMAIN_NEXT);
        if (rows.n == DOMAINS_PAGE || counted > COUNTED_PAGE)
            break;
        if (domain_row(s, &d) != 0) {
            rc = -1;
            break;
        }
        *VEC_PUSH(&rows) = d;
        counted += d.waiting;
        after = d.domain;
    }
    *out = (struct msg_queue_domains_r){.more = rc == 1};
    out->domains.n = (uint32_t)rows.n;
    out->domains.v = store_read_take(w->mem, rows.v, rows.n, sizeof *rows.v);
    VEC_FREE(&rows);
    if (rc < 0)
        w->result = db_fail(s->db, &w->fail);
}

/* ---- the text ---- */

/* 1 and *p, 0: no such message, -1. */
static int place_of(struct db *db, uint64_t qid, struct store_read_place *p, struct arena *mem)
{
    enum db_id id = DB_QUEUE_MESSAGE_PLACE;
    int rc = DB_FIRST(db, id, DB_I(qid));
    if (rc != 1)
        return rc;
    *p = (struct store_read_place){.size = (uint64_t)db_i64(db, id, 0), .edits = arena_copy(mem, db_bytes(db, id, 1)),
        .log = {.bid = (uint64_t)db_i64(db, id, 2), .seg = (uint32_t)db_i64(db, id, 3), .off = (uint64_t)db_i64(db, id, 4),
                .meta = (uint32_t)db_i64(db, id, 5), .len = (uint64_t)db_i64(db, id, 6), .big = db_i64(db, id, 7) != 0}};
    db_end(db, id);
    return 1;
}

int store_queue_text(struct store *s, uint64_t qid, uint64_t most, struct span *out, struct arena *mem)
{
    struct store_read_place p;
    struct fail f;
    *out = SPAN_NONE;
    int rc = place_of(s->db, qid, &p, mem);
    if (rc != 1 || p.size > most)
        return MIN_OF(rc, 0);
    p.log.cached = true;
    if (store_read_window(s, &p, 0, (size_t)p.size, out, mem, &f) != 0)
        *out = SPAN_NONE;
    return 0;
}

static int read_pinned(struct store *s, const struct msg_queue_read *in, struct msg_queue_read_r *out, struct arena *mem,
                       struct fail *f)
{
    struct db *db = store_reader(s);
    struct store_read_place p;
    int rc = place_of(db, in->qid, &p, mem);
    if (rc < 0)
        db_fail(db, f);
    store_reader_done(s, db);
    if (rc == 0)
        fail_perm(f, "5.2.0", "no such message in the queue");
    return rc != 1 ? -1 : store_read_window(s, &p, in->offset, MIN_OF(in->length, (uint32_t)READ_MOST), &out->data, mem, f) != 0
                              ? -1
                              : (out->size = p.size, 0);
}

int store_queue_read(struct store *s, const struct msg_queue_read *in, struct msg_queue_read_r *out, struct arena *mem,
                     struct fail *f)
{
    struct msglog_pin pin;
    *out = (struct msg_queue_read_r){0};
    msglog_pin(s->log, &pin);
    int rc = read_pinned(s, in, out, mem, f);
    msglog_unpin(s->log, &pin);
    return rc;
}
