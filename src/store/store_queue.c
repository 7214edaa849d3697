/* store_queue: messages come into the queue with their ingest, and leave it (see the header). */
#include "base/clock.h"
#include "base/limits.h"
#include "base/rand.h"
#include "format/edit.h"
#include "store/store_queue_impl.h"
#include "store/store_remove.h"

/* ---- rows ---- */

int store_queue_message_get(struct db *db, uint64_t qid, struct store_queue_message *out, struct arena *mem)
{
    enum db_id id = DB_QUEUE_MESSAGE_GET;
    int rc = DB_FIRST(db, id, DB_I(qid));
    if (rc != 1)
        return rc;
    *out = (struct store_queue_message){.qid = qid, .bid = (uint64_t)db_i64(db, id, 0), .account = (uint64_t)db_i64(db, id, 1),
        .size = (uint64_t)db_i64(db, id, 2), .flags = (uint32_t)db_i64(db, id, 3), .ret = (uint32_t)db_i64(db, id, 4),
        .rcpts = (uint64_t)db_i64(db, id, 5), .created_ms = db_i64(db, id, 6), .msgid_hash = (uint64_t)db_i64(db, id, 7),
        .trace = arena_copy(mem, db_bytes(db, id, 8)), .sender = arena_copy(mem, db_bytes(db, id, 9)),
        .report = arena_copy(mem, db_bytes(db, id, 10)), .envid = arena_copy(mem, db_bytes(db, id, 11))};
    db_end(db, id);
    return 1;
}

int store_queue_rcpt_get(struct db *db, uint64_t rid, struct store_queue_rcpt *out, struct arena *mem)
{
    enum db_id id = DB_QUEUE_RCPT_GET;
    int rc = DB_FIRST(db, id, DB_I(rid));
    if (rc != 1)
        return rc;
    *out = (struct store_queue_rcpt){.rid = rid, .qid = (uint64_t)db_i64(db, id, 0), .state = (uint32_t)db_i64(db, id, 1),
        .tries = (uint32_t)db_i64(db, id, 2), .trying = (uint64_t)db_i64(db, id, 3), .delayed = (uint32_t)db_i64(db, id, 4),
        .notify = (uint32_t)db_i64(db, id, 5), .due_ms = db_i64(db, id, 6), .expires_ms = db_i64(db, id, 7),
        .held_ms = db_i64(db, id, 8), .domain = arena_copy(mem, db_bytes(db, id, 9)),
        .address = arena_copy(mem, db_bytes(db, id, 10)), .orcpt = arena_copy(mem, db_bytes(db, id, 11)),
        .last_code = (uint32_t)db_i64(db, id, 12), .last_status = arena_copy(mem, db_bytes(db, id, 13)),
        .last_text = arena_copy(mem, db_bytes(db, id, 14)), .last_host = arena_copy(mem, db_bytes(db, id, 15))};
    db_end(db, id);
    return 1;
}

int store_queue_message_end(struct store *s, const struct store_queue_message *m)
{
    enum db_id id = DB_QUEUE_MESSAGE_LEFT;
    int rc = DB_FIRST(s->db, id, DB_I(m->qid), DB_I(m->rcpts));
    if (rc != 1)
        return -1;
    bool left = !db_null(s->db, id, 0) || !db_null(s->db, id, 1);
    db_end(s->db, id);
    if (left)
        return 0;
    return DB_RUN(s->db, DB_QUEUE_MESSAGE_DELETE, DB_I(m->qid)) != 0 ? -1 : store_remove_blob(s, m->bid);
}

int store_queue_rcpt_end(struct store *s, const struct store_queue_message *m, uint64_t rid)
{
    return DB_RUN(s->db, DB_QUEUE_RCPT_DELETE, DB_I(rid)) != 0 ? -1 : store_queue_message_end(s, m);
}

void store_queue_ready(struct store *s, struct span domain, int64_t due_ms)
{
    for (size_t i = 0; i < s->queue.ready.n; i++) {
        if (span_eq(s->queue.ready.v[i].domain, domain)) {
            s->queue.ready.v[i].due_ms = MIN_OF(s->queue.ready.v[i].due_ms, due_ms);
            return;
        }
    }
    *VEC_PUSH(&s->queue.ready) = (struct store_ready){arena_copy(&s->mem, domain), due_ms};
}

/* ---- coming in ---- */

/* The remotes that make one message: as those of `i` they have the same reverse-path, owner, flags. Returns the next one's. */
static uint32_t same_until(const struct store_queue_as *as, uint32_t i, uint32_t n)
{
    uint32_t k = i + 1;
    while (k < n && as[k].account == as[i].account && as[k].flags == as[i].flags && span_eq(as[k].sender, as[i].sender) &&
           span_eq(as[k].report, as[i].report) && span_eq(as[k].before, as[i].before))
        k++;
    return k;
}

static int check_remote(const struct msg_ingest_remote *r, struct fail *f)
{
    if (r->address.n == 0 || r->address.n > 320 || r->domain.n == 0 || r->domain.n > 255 || r->orcpt.n > 1000)
        return fail_perm(f, "5.1.3", "ingest: not an address to send to");
    return 0;
}

int store_queue_ingest_check(struct store *s, struct store_op *op, uint64_t stored, struct fail *f)
{
    const struct msg_ingest *in = op->arrival;
    const struct store_extra *x = op->w->extra;
    op->refs = in->notes.n > 0;
    if ((in->remotes.n > 0 || in->notes.n > 0) && (x == NULL || (in->remotes.n > 0 && x->as == NULL)))
        return fail_perm(f, "5.5.4", "ingest: nobody said how remotes go out");
    for (uint32_t i = 0; i < in->remotes.n; i++)
        if (check_remote(&in->remotes.v[i], f) != 0)
            return -1;
    for (uint32_t i = 0; i < in->remotes.n; i = same_until(x->as, i, in->remotes.n))
        op->refs++;
    if (edit_size(in->edits, stored) == UINT64_MAX)
        return fail_perm(f, "5.5.4", "ingest: the edit list does not fit the message");
    return 0;
}

static struct span edits_of(struct arena *mem, struct span before, struct span edits)
{
    struct str out;
    if (before.n == 0)
        return edits;
    str_init(&out, mem);
    edit_insert(&out, 0, before);
    str_add(&out, span_from(edits, 1)); /* behind its version byte */
    return str_span(&out);
}

static int insert_message(struct store *s, const struct store_op *op, uint64_t qid, const struct store_queue_as *as,
                          uint32_t rcpts, struct span trace, int64_t now)
{
    const struct msg_ingest *in = op->arrival;
    const struct msglog_record *r = &s->records.v[op->record - 1];
    struct span edits = edits_of(&s->mem, as->before, in->edits);
    return DB_RUN(s->db, DB_QUEUE_MESSAGE_INSERT, DB_I(qid), DB_I(r->bid), DB_I(as->account), DB_I(edit_size(edits, r->body_len)),
                  DB_I(as->flags), DB_I(in->ret), DB_I(rcpts), DB_I(now), DB_I(in->msgid_hash), DB_B(trace), DB_B(as->sender),
                  DB_B(as->report), DB_B(in->envid), DB_B(edits));
}

static int insert_rcpts(struct store *s, const struct store_op *op, struct store_event *e, uint32_t from, uint32_t to, int64_t now)
{
    const struct msg_ingest *in = op->arrival;
    const struct store_queue_as *as = op->w->extra->as;
    uint64_t qid = s->next_eid++;
    s->next_eid += to - from;
    if (insert_message(s, op, qid, &as[from], to - from, e->trace, now) != 0)
        return -1;
    for (uint32_t i = from; i < to; i++) {
        const struct msg_ingest_remote *r = &in->remotes.v[i];
        if (DB_RUN(s->db, DB_QUEUE_RCPT_INSERT, DB_I(qid + 1 + i - from), DB_I(qid), DB_I(r->notify), DB_I(now),
                   DB_I(now + LIMIT(QUEUE_S) * 1000), DB_B(r->domain), DB_B(r->address), DB_B(r->orcpt)) != 0)
            return -1;
        store_queue_ready(s, r->domain, now);
        if (r->via.n > 0)
            store_event_step(e, &(struct msg_event_row){.kind = EVENT_FORWARDED, .account = as[i].account, .address = r->via,
                .text = arena_printf(&s->mem, "to <%.*s> from <%.*s>", SPAN_ARGS(r->address), SPAN_ARGS(as[i].sender))});
        store_event_step(e, &(struct msg_event_row){.kind = EVENT_QUEUED, .account = as[i].account, .address = r->address});
    }
    return 0;
}

/* What the sender wants to hear of and what ends here: a message of the queue without recipients, but with reports. */
static int insert_notes(struct store *s, const struct store_op *op, const struct store_event *e, int64_t now)
{
    const struct msg_ingest *in = op->arrival;
    const struct store_queue_as *as = &op->w->extra->notes;
    struct store_queue_message m = {.qid = s->next_eid++, .rcpts = in->notes.n, .report = as->report};
    s->next_eid += in->notes.n;
    if (insert_message(s, op, m.qid, as, in->notes.n, e->trace, now) != 0)
        return -1;
    for (uint32_t i = 0; i < in->notes.n; i++) {
        const struct msg_ingest_note *n = &in->notes.v[i];
        struct msg_event_row why = {.status = n->action == DSN_DELIVERED ? SPAN("2.1.5") : SPAN("2.0.0")};
        if (n->action != DSN_DELIVERED && n->action != DSN_EXPANDED)
            continue;
        if (store_report_put(s, &m, m.qid + 1 + i, n->action, n->address, n->orcpt, &why) != 0)
            return -1;
    }
    m.bid = s->records.v[op->record - 1].bid;
    return store_queue_message_end(s, &m); /* when nobody is to get them */
}

static void first_step(struct store_event *e, struct store *s, const struct store_op *op, char *trace)
{
    const struct msg_ingest *in = op->arrival;
    struct op_id id;
    memcpy(id.b, in->op.p, sizeof id.b);
    rand_trace_id(&id, trace);
    uint64_t account = op->w->extra != NULL ? op->w->extra->sender : 0;
    store_event_begin(e, &s->mem, span_of(trace, 12), account, in->sender, s->records.v[op->record - 1].body_len, in->msgid_hash);
    store_event_step(e, &(struct msg_event_row){.kind = EVENT_RECEIVED, .host = in->peer, .tls = in->tls,
                                                 .text = span_sub(in->login, 0, 320)});
}

/* Of each recipient that the report is about, for its story. */
static int event_of_reports(struct store *s, const struct store_extra *x, const char *trace)
{
    static const char *const kinds[] = {"failed", "delayed", "delivered", "relayed", "expanded"}; /* enum dsn_action */
    enum db_id id = DB_QUEUE_REPORT_ABOUT;
    struct store_queue_message m;
    struct store_event e;
    int rc = store_queue_message_get(s->db, x->about, &m, &s->mem);
    if (rc != 1)
        return rc;
    store_event_begin(&e, &s->mem, m.trace, m.account, m.sender, m.size, m.msgid_hash);
    for (size_t i = 0; i < x->n_done; i++) {
        rc = DB_FIRST(s->db, id, DB_I(x->done[i].rid), DB_I(x->done[i].action));
        if (rc == 1)
            store_event_step(&e, &(struct msg_event_row){.kind = EVENT_REPORTED, .address = db_bytes(s->db, id, 0),
                .text = arena_printf(&s->mem, "to <%.*s> (%s; %s)", SPAN_ARGS(m.report),
                                     x->done[i].action < COUNT_OF(kinds) ? kinds[x->done[i].action] : "?", trace)});
        db_end(s->db, id);
        if (rc < 0)
            return -1;
    }
    return store_event_write(s, &e);
}

int store_queue_ingest(struct store *s, struct store_op *op)
{
    const struct msg_ingest *in = op->arrival;
    const struct store_extra *x = op->w->extra;
    struct store_event e;
    char trace[13];
    first_step(&e, s, op, trace);
    for (uint32_t i = 0; i < in->targets.n; i++) {
        const struct msg_ingest_target *t = &in->targets.v[i];
        if (t->via.n > 0)
            store_event_step(&e, &(struct msg_event_row){.kind = EVENT_FORWARDED, .account = t->account, .address = t->via,
                .text = arena_printf(&s->mem, "here to <%.*s>", SPAN_ARGS(t->address))});
        store_event_step(&e, &(struct msg_event_row){.kind = EVENT_STORED, .account = t->account, .address = t->address});
    }
    if (op->refs > 0) {
        int64_t now = store_queue_now(s);
        for (uint32_t i = 0, to; i < in->remotes.n; i = to) {
            to = same_until(x->as, i, in->remotes.n);
            if (insert_rcpts(s, op, &e, i, to, now) != 0)
                return -1;
        }
        if ((in->notes.n > 0 && insert_notes(s, op, &e, now) != 0) || store_queue_time_save(s) != 0)
            return -1;
    }
    if (x != NULL && x->n_done > 0 && (event_of_reports(s, x, trace) != 0 || store_report_done(s, x) != 0))
        return -1;
    return store_event_write(s, &e);
}

/* ---- a batch ---- */

void store_queue_begin(struct store *s)
{
    s->queue.ready.n = 0;
    s->queue.reports = false;
}

/* Relay is told of a domain when it has something to do there earlier than it knows. */
void store_queue_tell(struct store *s)
{
    struct store_queue *q = &s->queue;
    VEC(struct msg_queue_ready) news = {0};
    for (size_t i = 0; i < q->ready.n; i++) {
        const struct store_ready *r = &q->ready.v[i];
        intptr_t told = (intptr_t)map_get(&q->told, r->domain); /* 0: nothing */
        if (told != 0 && told <= r->due_ms)
            continue;
        map_put(&q->told, r->domain, (void *)(intptr_t)MAX_OF(r->due_ms, INT64_C(1)));
        *VEC_PUSH(&news) = (struct msg_queue_ready){.domain = r->domain, .due_ms = store_queue_wall(s, r->due_ms)};
    }
    if (news.n > 0 && q->on_ready != NULL)
        q->on_ready(q->ready_arg, news.v, news.n);
    VEC_FREE(&news);
    if (q->reports && q->on_report != NULL)
        q->on_report(q->report_arg);
    store_queue_begin(s);
}

/* Results end leases; this must not be before they are durable. */
void store_queue_settled(struct store *s, const struct store_op *ops, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct store_write *w = ops[i].w;
        if (ops[i].state != OP_DONE)
            continue;
        if (w->id == MSG_ID_queue_note) {
            const struct msg_queue_note *in = w->in;
            for (uint32_t k = 0; k < in->done.n; k++)
                store_queue_lease_end(s, in->done.v[k].rid, w->account, in->places.v[in->done.v[k].place].lease);
        } else if ((int)w->id == STORE_QUEUE_PEER) {
            store_queue_lease_end_boot(s, w->account);
        }
    }
    store_queue_tell(s);
}

bool store_queue_beside(const struct store_write *w)
{
    return w->id == MSG_ID_queue_lease || w->id == MSG_ID_queue_domains || w->id == MSG_ID_queue_return ||
           (int)w->id == STORE_QUEUE_TIDY;
}

void store_queue_beside_run(struct store *s, struct store_write *w)
{
    w->result = 0;
    w->fail = (struct fail){0};
    if (s->broken)
        w->result = fail_temp(&w->fail, "4.3.0", "the store failed and is about to start again");
    else if (w->id == MSG_ID_queue_lease)
        store_queue_lease(s, w);
    else if (w->id == MSG_ID_queue_domains)
        store_queue_domains(s, w);
    else if (w->id == MSG_ID_queue_return)
        store_queue_return(s, w);
    else
        store_queue_tidy(s, w);
}

/* ---- opening ---- */

void store_on_ready(struct store *s, store_ready_fn *fn, void *arg)
{
    s->queue.ready_arg = arg;
    s->queue.on_ready = fn;
}

void store_on_report(struct store *s, void (*fn)(void *arg), void *arg)
{
    s->queue.report_arg = arg;
    s->queue.on_report = fn;
}

int store_queue_open(struct store *s)
{
    s->queue.lease = rand_u64(); /* no name of those before us comes again */
    return store_queue_time_load(s) != 0 ? -1 : store_event_load(s);
}

void store_queue_close(struct store *s)
{
    size_t at = 0;
    void *lease;
    while (map_next(&s->queue.leases, &at, NULL, &lease))
        free(lease);
    map_done(&s->queue.leases);
    map_done(&s->queue.told);
    VEC_FREE(&s->queue.ready);
    pthread_mutex_destroy(&s->queue.lock);
}
