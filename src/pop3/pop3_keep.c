/* What was fetched is kept as ranges of UIDs, joined over UIDs that name nothing: for a client that fetches all of them it is
 * one range, however many they are. */
#include "pop3/pop3_keep.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/num.h"
#include "base/rand.h"

enum { WINDOW = 1000, DAY_MS = 24 * 3600 * 1000, VALUE_BYTES = 60000 };

static WAITS int get(const struct pop3_drop *d, struct span key, struct span *value, struct arena *mem, struct fail *f)
{
    struct msg_kv_get in = {.handle = pop3_drop_handle(d), .key = key};
    struct msg_kv_get_r out;
    int r = IPC_CALL(ROLE_STORE, kv_get, &in, &out, mem, f);
    *value = r == 0 && out.found ? out.value : SPAN("");
    return r;
}

WAITS void pop3_keep_open(struct pop3_keep *k, const struct pop3_drop *d)
{
    struct arena mem;
    struct span value;
    struct fail f;
    uint64_t days = 0;
    arena_init(&mem);
    if (get(d, SPAN(POP3_KEEP_KEY_DAYS), &value, &mem, &f) == 0 && num_u64(value, UINT32_MAX, &days) == 0)
        k->days = (uint32_t)MAX_OF(days, (uint64_t)LIMIT(POP3_KEEP_DAYS)); /* RFC 2449 6.7: the least was told before */
    arena_done(&mem);
}

void pop3_keep_fetched(struct pop3_keep *k, const struct pop3_drop *d, size_t at)
{
    if (k->days == 0)
        return;
    if (k->fetched == NULL) {
        k->fetched = base_alloc(d->items.n / 8 + 1);
        memset(k->fetched, 0, d->items.n / 8 + 1);
    }
    k->fetched[at / 8] |= (unsigned char)(1u << at % 8);
}

void pop3_keep_tell(struct pop3_keep *k, bool in, struct str *out)
{
    k->told = true;
    if (!in) /* RFC 2449 6.7: the smallest that could be set for any user */
        str_addf(out, "%lld USER", (long long)LIMIT(POP3_KEEP_DAYS));
    else if (k->days == 0)
        str_addz(out, "NEVER");
    else
        str_addf(out, "%u", k->days);
}

void pop3_keep_done(struct pop3_keep *k)
{
    free(k->fetched);
    *k = (struct pop3_keep){0};
}

/* ---- at QUIT --------------------------------------------------------------------------------------------------------- */

struct before { struct msg_uid_range *v; uint32_t n, at; }; /* what earlier sessions fetched, ascending */

/* Nothing when the INBOX is another one by now (another UIDVALIDITY), or the value is none of ours. */
static void read_before(struct before *b, const struct pop3_drop *d, struct span value, struct arena *mem)
{
    uint64_t validity;
    struct span number = span_split(&value, ' ');
    *b = (struct before){.v = arena_alloc(mem, (value.n / 2 + 1) * sizeof *b->v)};
    if (num_u64(number, UINT64_MAX, &validity) != 0 || validity != d->uidvalidity)
        return;
    while (value.n > 0) {
        struct span last = span_split(&value, ','), first = span_split(&last, ':');
        struct msg_uid_range *r = &b->v[b->n];
        if (num_u64(first, UINT32_MAX, &r->first) != 0 || num_u64(last, UINT32_MAX, &r->last) != 0)
            break;
        b->n++;
    }
}

/* Asked for ascending UIDs. */
static bool was_fetched(struct before *b, uint64_t uid)
{
    while (b->at < b->n && b->v[b->at].last < uid)
        b->at++;
    return b->at < b->n && b->v[b->at].first <= uid;
}

static WAITS int expunge(const struct pop3_drop *d, struct msg_uid_range *v, uint32_t n, struct arena *mem, struct fail *f)
{
    struct op_id op = rand_op_id();
    struct msg_expunge in = {.handle = pop3_drop_handle(d), .op = span_of(op.b, sizeof op.b), .mailbox = d->mailbox,
                             .uids = {v, n}};
    struct msg_expunge_r out;
    return n > 0 ? IPC_CALL(ROLE_STORE, expunge, &in, &out, mem, f) : 0;
}

/* A window of the INBOX as it is now; *first: where to go on, 0 behind the last. */
static WAITS int remove_window(const struct pop3_drop *d, struct before *b, int64_t until_ms, uint64_t *first, struct fail *f)
{
    struct arena mem;
    struct msg_member_scan_r out;
    struct msg_member_scan in = {.handle = pop3_drop_handle(d), .mailbox = d->mailbox, .first = *first,
                                 .last = b->v[b->n - 1].last, .limit = WINDOW};
    arena_init(&mem);
    int r = IPC_CALL(ROLE_STORE, member_scan, &in, &out, &mem, f);
    if (r == 0) {
        struct msg_uid_range *v = arena_alloc(&mem, (out.rows.n + 1) * sizeof *v);
        uint32_t n = 0;
        for (uint32_t i = 0; i < out.rows.n; i++)
            if (was_fetched(b, out.rows.v[i].uid) && out.rows.v[i].saved_ms < until_ms)
                v[n++] = (struct msg_uid_range){out.rows.v[i].uid, out.rows.v[i].uid};
        r = expunge(d, v, n, &mem, f);
        *first = out.next > *first ? out.next : 0;
    }
    arena_done(&mem);
    return r;
}

static WAITS int remove_old(const struct pop3_keep *k, const struct pop3_drop *d, struct before *b, struct fail *f)
{
    int64_t until_ms = clock_now_ms() - (int64_t)k->days * DAY_MS;
    b->at = 0;
    if (b->n > 0)
        for (uint64_t first = b->v[0].first; first != 0;)
            if (remove_window(d, b, until_ms, &first, f) < 0)
                return -1;
    return 0;
}

/* Ranges of the items that were fetched before or now. */
static void write_fetched(const struct pop3_keep *k, const struct pop3_drop *d, struct before *b, struct str *out)
{
    bool run = false;
    uint32_t last = 0;
    b->at = 0;
    str_addu(out, d->uidvalidity);
    str_addc(out, ' ');
    for (size_t i = 0; i <= d->items.n; i++) {
        bool in = i < d->items.n && out->n < VALUE_BYTES &&
                  (was_fetched(b, d->items.v[i].uid) || (k->fetched != NULL && (k->fetched[i / 8] >> i % 8 & 1)));
        if (run && !in) {
            str_addu(out, last);
            str_addc(out, ',');
        }
        if (in && !run) {
            str_addu(out, d->items.v[i].uid);
            str_addc(out, ':');
        }
        last = in ? d->items.v[i].uid : 0;
        run = in;
    }
    out->n--; /* the comma, or the space when there is none */
}

WAITS int pop3_keep_update(struct pop3_keep *k, const struct pop3_drop *d, struct fail *f)
{
    struct arena mem;
    struct before b;
    struct span value;
    struct str now;
    struct msg_kv_set_r out;
    if (k->days == 0 || d->mailbox == 0)
        return 0;
    arena_init(&mem);
    int r = get(d, SPAN(POP3_KEEP_KEY_FETCHED), &value, &mem, f);
    if (r == 0)
        read_before(&b, d, value, &mem);
    if (r == 0 && k->told)
        r = remove_old(k, d, &b, f);
    if (r == 0 && k->fetched != NULL) {
        str_init(&now, &mem);
        write_fetched(k, d, &b, &now);
        struct msg_kv_set in = {.handle = pop3_drop_handle(d), .key = SPAN(POP3_KEEP_KEY_FETCHED), .value = str_span(&now)};
        r = IPC_CALL(ROLE_STORE, kv_set, &in, &out, &mem, f);
    }
    arena_done(&mem);
    return r;
}
