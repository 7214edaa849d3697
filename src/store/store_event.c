/* store_event: rows of delivery events are made (see the header).
 *
 * data: version byte 1, i64 time in ms, u64 hash of the message-id, both little endian; then numbers as LEB128 and spans
 * with their length in front: account, size, sender; then steps to the end: kind, a byte that says which fields follow
 * (enum), the fields in that order. */
#include "store/store_event_pack.h"

#include "base/clock.h"
#include "base/limits.h"
#include "store/store_queue_impl.h"

#include <endian.h>

enum { PURGE_STEP = 5000, DAY_MS = 86400 * 1000 };

static void put_number(struct str *out, uint64_t v)
{
    for (; v > 127; v >>= 7)
        str_addc(out, (char)(v | 128));
    str_addc(out, (char)v);
}

static void put_span(struct str *out, struct span s)
{
    put_number(out, s.n);
    str_add(out, s);
}

static void put_fixed(struct str *out, uint64_t v)
{
    v = htole64(v);
    str_add(out, span_of(&v, 8));
}

void store_event_begin(struct store_event *e, struct arena *mem, struct span trace, uint64_t account, struct span sender,
                       uint64_t size, uint64_t msgid_hash)
{
    e->trace = trace;
    str_init(&e->out, mem);
    str_reserve(&e->out, 160);
    str_addc(&e->out, 1);
    put_fixed(&e->out, (uint64_t)clock_now_ms());
    put_fixed(&e->out, msgid_hash);
    put_number(&e->out, account);
    put_number(&e->out, size);
    put_span(&e->out, sender);
}

void store_event_step(struct store_event *e, const struct msg_event_row *x)
{
    unsigned has = (x->account != 0 ? EVENT_HAS_ACCOUNT : 0) | (x->address.n > 0 ? EVENT_HAS_ADDRESS : 0) |
                   (x->host.n > 0 ? EVENT_HAS_HOST : 0) | (x->tls.n > 0 ? EVENT_HAS_TLS : 0) |
                   (x->code != 0 ? EVENT_HAS_CODE : 0) | (x->status.n + x->text.n > 0 ? EVENT_HAS_TEXT : 0) |
                   (x->cause != 0 ? EVENT_HAS_CAUSE : 0) | (x->due_ms != 0 ? EVENT_HAS_DUE : 0);
    struct str *out = &e->out;
    str_addc(out, (char)x->kind);
    str_addc(out, (char)has);
    if (has & EVENT_HAS_ACCOUNT)
        put_number(out, x->account);
    if (has & EVENT_HAS_ADDRESS)
        put_span(out, x->address);
    if (has & EVENT_HAS_HOST)
        put_span(out, x->host);
    if (has & EVENT_HAS_TLS)
        put_span(out, x->tls);
    if (has & EVENT_HAS_CODE)
        put_number(out, x->code);
    if (has & EVENT_HAS_TEXT)
        put_span(out, x->status), put_span(out, x->text);
    if (has & EVENT_HAS_CAUSE)
        put_number(out, x->cause);
    if (has & EVENT_HAS_DUE)
        put_number(out, (uint64_t)x->due_ms);
}

/* ---- reading ---- */

static uint64_t get_number(struct span *s, bool *bad)
{
    uint64_t v = 0;
    for (unsigned shift = 0; s->n > 0 && shift < 64; shift += 7) {
        unsigned char c = (unsigned char)s->p[0];
        *s = span_from(*s, 1);
        v |= (uint64_t)(c & 127) << shift;
        if (c < 128)
            return v;
    }
    *bad = true;
    return 0;
}

static struct span get_span(struct span *s, bool *bad)
{
    uint64_t n = get_number(s, bad);
    if (n > s->n) {
        *bad = true;
        n = 0;
    }
    struct span out = span_sub(*s, 0, (size_t)n);
    *s = span_from(*s, (size_t)n);
    return out;
}

static uint64_t get_fixed(struct span *s, bool *bad)
{
    uint64_t v = 0;
    *bad |= s->n < 8;
    if (s->n >= 8)
        memcpy(&v, s->p, 8);
    *s = span_from(*s, 8);
    return le64toh(v);
}

bool store_event_open(struct span *data, struct msg_event_row *head)
{
    bool bad = data->n == 0 || data->p[0] != 1;
    *data = span_from(*data, 1);
    head->at_ms = (int64_t)get_fixed(data, &bad);
    head->msgid_hash = get_fixed(data, &bad);
    head->account = get_number(data, &bad);
    head->size = get_number(data, &bad);
    head->sender = get_span(data, &bad);
    return !bad;
}

bool store_event_next(struct span *data, struct msg_event_row *x)
{
    bool bad = data->n < 2;
    if (bad)
        return false;
    unsigned has = (unsigned char)data->p[1];
    x->kind = (unsigned char)data->p[0];
    *data = span_from(*data, 2);
    if (has & EVENT_HAS_ACCOUNT)
        x->account = get_number(data, &bad);
    x->address = has & EVENT_HAS_ADDRESS ? get_span(data, &bad) : SPAN_NONE;
    x->host = has & EVENT_HAS_HOST ? get_span(data, &bad) : SPAN_NONE;
    x->tls = has & EVENT_HAS_TLS ? get_span(data, &bad) : SPAN_NONE;
    x->code = has & EVENT_HAS_CODE ? (uint32_t)get_number(data, &bad) : 0;
    x->status = has & EVENT_HAS_TEXT ? get_span(data, &bad) : SPAN_NONE;
    x->text = has & EVENT_HAS_TEXT ? get_span(data, &bad) : SPAN_NONE;
    x->cause = has & EVENT_HAS_CAUSE ? (uint32_t)get_number(data, &bad) : 0;
    x->due_ms = has & EVENT_HAS_DUE ? (int64_t)get_number(data, &bad) : 0;
    return !bad;
}

/* ---- rows ---- */

int store_event_write(struct store *s, const struct store_event *e)
{
    uint64_t id = MAX_OF(s->event + 1, (uint64_t)MAX_OF(clock_now_ms(), 0) << 16);
    s->event = id;
    return DB_RUN(s->db, DB_EVENT_INSERT, DB_I(id), DB_B(e->trace), DB_B(str_span(&e->out)));
}

int store_event_of(struct store *s, const struct store_queue_message *m, const struct msg_event_row *step)
{
    struct store_event e;
    store_event_begin(&e, &s->mem, m->trace, m->account, m->sender, m->size, m->msgid_hash);
    store_event_step(&e, step);
    return store_event_write(s, &e);
}

int store_event_note(struct store *s, struct store_op *op)
{
    const struct msg_event_note *in = op->w->in;
    struct msg_event_row x = {.kind = in->kind, .address = in->address, .code = in->code, .status = in->status, .text = in->text};
    struct store_event e;
    if (in->kind != EVENT_REFUSED)
        return fail_perm(&op->w->fail, "5.5.4", "event_note: not a kind that a front may note");
    store_event_begin(&e, &s->mem, in->trace, op->account, in->sender, 0, 0);
    store_event_step(&e, &x);
    return store_event_write(s, &e);
}

int store_event_load(struct store *s)
{
    int rc = DB_FIRST(s->db, DB_EVENT_LAST);
    if (rc == 1)
        s->event = (uint64_t)db_i64(s->db, DB_EVENT_LAST, 0);
    db_end(s->db, DB_EVENT_LAST);
    return rc < 0 ? -1 : 0;
}

int store_event_purge(struct store *s, size_t *gone)
{
    int64_t cut_ms = clock_now_ms() - LIMIT(EVENT_DAYS) * DAY_MS;
    if (DB_RUN(s->db, DB_EVENT_PURGE, DB_I((uint64_t)MAX_OF(cut_ms, 0) << 16), DB_I(PURGE_STEP)) != 0)
        return -1;
    int64_t n = db_changes(s->db);
    *gone += (size_t)n;
    return n == PURGE_STEP;
}
