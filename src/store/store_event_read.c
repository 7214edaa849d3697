/* store_event_read: the search in delivery events (see the header).
 *
 * A row matches by its message: trace, hash of the message-id, sender; or by a recipient, and then only the steps that are
 * that one's or everybody's are told. An account sees what it sent, and of what others sent what came to itself. */
#include "base/clock.h"
#include "store/store_event_pack.h"
#include "store/store_queue_impl.h"
#include "store/store_event.h"
#include "store/store_read.h"

enum { SCANNED = 20000, BACK = 200000, LAST_MOST = 100, REPLY_BYTES = 150 * 1024, PAGE = 2000, LATE_MS = 2000 };

struct wanted {
    uint64_t account, hash;
    struct span trace, address;
    struct map *traces; /* of the last messages, or NULL */
};

static bool is_address(struct span want, struct span has)
{
    ptrdiff_t at = span_rfind_char(has, '@');
    if (span_starts(want, SPAN("*@")))
        return at >= 0 && span_eq_nocase(span_from(want, 2), span_from(has, (size_t)at + 1));
    return span_eq_nocase(want, has);
}

/* May this account see the step? `own`: the message is its own. */
static bool sees(const struct wanted *w, bool own, const struct msg_event_row *step, uint64_t step_account)
{
    return w->account == 0 || own || step->kind == EVENT_RECEIVED || step_account == w->account;
}

/* Does any step of the row interest? Steps that the account does not see count for nothing: who else got a message is for
 * its sender to know. data: behind the head. */
static bool any_step(const struct wanted *w, struct span data, const struct msg_event_row *head, bool by_address)
{
    struct msg_event_row x = *head;
    bool own = w->account == 0 || head->account == w->account;
    for (x.account = 0; store_event_next(&data, &x); x.account = 0)
        if ((own || x.account == w->account) && (!by_address || is_address(w->address, x.address)))
            return true;
    return false;
}

static bool row_matches(const struct wanted *w, struct span trace, struct span data, const struct msg_event_row *head, bool *by_address)
{
    *by_address = w->address.n > 0 && !is_address(w->address, head->sender);
    return (w->trace.n == 0 || span_eq(w->trace, trace)) && (w->hash == 0 || w->hash == head->msgid_hash) &&
           (w->traces == NULL || map_get(w->traces, trace) != NULL) && any_step(w, data, head, *by_address);
}

struct telling { VEC(struct msg_event_row) rows; size_t bytes; };

static void tell(struct telling *t, const struct wanted *w, uint64_t id, struct span trace, struct span data,
                 const struct msg_event_row *head, bool by_address, struct arena *mem)
{
    struct msg_event_row x = *head, out;
    bool own = head->account == w->account;
    for (x.account = 0; store_event_next(&data, &x); x.account = 0) {
        if (!sees(w, own, &x, x.account) || (by_address && x.address.n > 0 && !is_address(w->address, x.address)))
            continue;
        out = x;
        out.id = id;
        out.account = x.account != 0 ? x.account : head->account;
        if (!own && w->account != 0 && head->account != 0) /* where our own people write from is nobody's business */
            out.host = out.tls = out.text = SPAN_NONE;
        out.trace = arena_copy(mem, trace);
        out.sender = arena_copy(mem, x.sender), out.address = arena_copy(mem, x.address), out.host = arena_copy(mem, out.host);
        out.tls = arena_copy(mem, out.tls), out.status = arena_copy(mem, x.status), out.text = arena_copy(mem, out.text);
        *VEC_PUSH(&t->rows) = out;
        t->bytes += 120 + out.sender.n + out.address.n + out.host.n + out.tls.n + out.text.n;
    }
}

/* The traces of the last n messages that match, and where they begin. 0 or -1. */
static int last_ones(struct db *db, struct wanted *w, uint32_t n, struct map *traces, uint64_t *from)
{
    uint64_t before = INT64_MAX;
    size_t seen = 0;
    int rc = 1;
    *from = INT64_MAX;
    while (rc == 1 && map_count(traces) < n && seen < BACK) {
        rc = DB_FIRST(db, DB_EVENT_BACK, DB_I(before), DB_I(PAGE));
        bool any = rc == 1;
        for (; rc == 1 && map_count(traces) < n; rc = db_next(db, DB_EVENT_BACK), seen++) {
            struct msg_event_row head = {0}, x = {0};
            struct span trace = db_bytes(db, DB_EVENT_BACK, 1), data = db_bytes(db, DB_EVENT_BACK, 2), rest;
            bool by_address;
            before = (uint64_t)db_i64(db, DB_EVENT_BACK, 0);
            if (!store_event_open(&data, &head) || !row_matches(w, trace, data, &head, &by_address))
                continue;
            rest = data;
            if (store_event_next(&rest, &x) && (x.kind == EVENT_RECEIVED || x.kind == EVENT_REFUSED)) {
                map_put(traces, trace, w);
                *from = before;
            }
        }
        db_end(db, DB_EVENT_BACK);
        rc = rc < 0 ? -1 : any;
    }
    return MIN_OF(rc, 0);
}

static int scan(struct db *db, const struct wanted *w, uint64_t from, uint64_t to, struct msg_events_r *out, struct telling *t,
                struct arena *mem)
{
    size_t seen = 0;
    out->seen = from;
    int rc = DB_FIRST(db, DB_EVENT_SCAN, DB_I(from), DB_I(to), DB_I(SCANNED));
    for (; rc == 1 && t->bytes < REPLY_BYTES; rc = db_next(db, DB_EVENT_SCAN), seen++) {
        struct msg_event_row head = {0};
        struct span trace = db_bytes(db, DB_EVENT_SCAN, 1), data = db_bytes(db, DB_EVENT_SCAN, 2);
        bool by_address;
        out->seen = (uint64_t)db_i64(db, DB_EVENT_SCAN, 0);
        if (store_event_open(&data, &head) && row_matches(w, trace, data, &head, &by_address))
            tell(t, w, out->seen, trace, data, &head, by_address, mem);
    }
    db_end(db, DB_EVENT_SCAN);
    out->more = rc == 1 || seen == SCANNED;
    return MIN_OF(rc, 0);
}

int store_event_read(struct store *s, uint64_t account, const struct msg_events *in, struct msg_events_r *out,
                     struct arena *mem, struct fail *f)
{
    struct wanted w = {.account = account, .hash = in->msgid_hash, .trace = in->trace, .address = in->address};
    struct map traces;
    struct telling t = {0};
    uint64_t to = in->to_ms > 0 ? ((uint64_t)(in->to_ms + LATE_MS) << 16) | 0xffff : INT64_MAX;
    uint64_t from = MAX_OF(in->after, in->from_ms > 0 ? ((uint64_t)in->from_ms << 16) - 1 : 0);
    *out = (struct msg_events_r){0};
    map_init(&traces);
    struct db *db = store_reader(s);
    int rc = db_begin(db);
    if (rc == 0 && in->last > 0) {
        uint64_t begin;
        rc = last_ones(db, &w, MIN_OF(in->last, (uint32_t)LAST_MOST), &traces, &begin);
        w.traces = &traces;
        from = MAX_OF(from, begin - 1);
    }
    if (rc == 0)
        rc = scan(db, &w, from, MIN_OF(to, (uint64_t)INT64_MAX), out, &t, mem);
    if (rc != 0)
        db_fail(db, f);
    db_rollback(db);
    store_reader_done(s, db);
    map_done(&traces);
    out->rows.n = (uint32_t)t.rows.n;
    out->rows.v = store_read_take(mem, t.rows.v, t.rows.n, sizeof *t.rows.v);
    VEC_FREE(&t.rows);
    return rc;
}
