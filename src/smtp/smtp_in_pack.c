/* Recipients, packed. A record is a head of four bytes, numbers of seven bits a byte, and texts: a number n and the text,
 * where an odd n says that the text stands at n / 2 already, as the same kind of text of the record before. An alias that
 * leads elsewhere is asked for with a thousand subaddresses and costs its forwards once (SEC-07). */
#include "smtp/smtp_in_pack.h"

enum {
    /* What all targets, remotes and notes of a message may take in the frame of ingest: body and summary have their own
     * share (ipc.h). FIXED: of each, at most, beside its texts. */
    FRAME_ROOM = 96 * 1024,
    FIXED = 36,
    NUMBER_MAX = 10,   /* bytes of a number */
    RECORD_MAX = 8191, /* bytes of a record, which is much: a path has 256 octets, an original recipient 500 (RFC 3461 4.2) */
    CAP_FIRST = 128,
    CAP_STEP = 4096,   /* doubling would hold, and have touched, up to twice of what there is */
};

struct head { /* of a record */
    uint16_t kind_n; /* kind in the three upper bits, length of what follows in the others */
    uint16_t check;  /* of what makes two records the same: most are told apart by it without a look at them */
};

/* A record that is being written or read: at is where in p->v. */
struct record { enum smtp_in_pack_kind kind; uint16_t check; size_t at, end; };

/* ---- write --------------------------------------------------------------------------------------------------------------- */

static void put_number(struct smtp_in_pack *p, uint64_t x)
{
    for (; x >= 0x80; x >>= 7)
        p->v[p->n++] = (char)(x | 0x80);
    p->v[p->n++] = (char)x;
}

static uint64_t get_number(const struct smtp_in_pack *p, size_t *at)
{
    uint64_t x = 0;
    for (unsigned shift = 0;; shift += 7) {
        unsigned char c = (unsigned char)p->v[(*at)++];
        x |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80)
            return x;
    }
}

static struct span get_text(const struct smtp_in_pack *p, size_t *at)
{
    size_t x = (size_t)get_number(p, at), there = x >> 1;
    if (x & 1) {
        x = (size_t)get_number(p, &there);
        return span_of(p->v + there, x >> 1);
    }
    *at += there;
    return span_of(p->v + *at - there, there);
}

static void put_text(struct smtp_in_pack *p, enum smtp_in_pack_text which, struct span s)
{
    size_t there = p->whole[which] - 1;
    if (s.n > 0 && p->whole[which] > 0) {
        size_t at = there;
        if (span_eq(get_text(p, &at), s)) {
            put_number(p, there << 1 | 1);
            return;
        }
    }
    if (s.n > 0)
        p->whole[which] = p->n + 1;
    put_number(p, s.n << 1);
    if (s.n > 0)
        memcpy(p->v + p->n, s.p, s.n);
    p->n += s.n;
}

/* Begins a record whose texts have so many bytes. False: no record has room for that. */
static bool begin(struct smtp_in_pack *p, size_t bytes, struct record *r)
{
    size_t most = sizeof(struct head) + 8 * NUMBER_MAX + bytes;
    if (most > RECORD_MAX)
        return false;
    if (p->cap - p->n < most) {
        p->cap = MAX_OF(p->n + most, MAX_OF((size_t)CAP_FIRST, MIN_OF(p->cap * 2, p->cap + CAP_STEP)));
        p->v = base_realloc(p->v, p->cap);
    }
    r->at = p->n;
    p->n += sizeof(struct head);
    return true;
}

static bool end(struct smtp_in_pack *p, size_t most, const struct record *r, const struct smtp_in_pack *before)
{
    struct head h = {(uint16_t)(r->kind << 13 | (p->n - r->at - sizeof h)), r->check};
    memcpy(p->v + r->at, &h, sizeof h);
    p->count[r->kind]++;
    if (p->n <= most && p->frame <= FRAME_ROOM)
        return true;
    smtp_in_pack_undo(p, before);
    return false;
}

/* ---- read ---------------------------------------------------------------------------------------------------------------- */

/* The next record at r->end, which is 0 at first. */
static bool next(const struct smtp_in_pack *p, struct record *r)
{
    struct head h;
    if (r->end == p->n)
        return false;
    memcpy(&h, p->v + r->end, sizeof h);
    r->kind = h.kind_n >> 13;
    r->check = h.check;
    r->at = r->end + sizeof h;
    r->end = r->at + (h.kind_n & RECORD_MAX);
    return true;
}

static void get_remote(const struct smtp_in_pack *p, size_t at, struct msg_ingest_remote *out)
{
    out->address = get_text(p, &at);
    out->via = get_text(p, &at);
    out->domain = get_text(p, &at);
    out->orcpt = get_text(p, &at);
    out->notify = (uint32_t)get_number(p, &at);
}

/* ---- what is added --------------------------------------------------------------------------------------------------------- */

bool smtp_in_pack_to(struct smtp_in_pack *p, size_t most)
{
    struct smtp_in_pack before = *p;
    struct record r = {.kind = PACK_TO};
    return begin(p, 0, &r) && end(p, most, &r, &before);
}

/* An account is a target once, however many of the recipients come down to it (REL-02). */
bool smtp_in_pack_target(struct smtp_in_pack *p, size_t most, const struct msg_rcpt_target *t, struct span via)
{
    struct smtp_in_pack before = *p;
    struct record r = {0};
    uint16_t check = (uint16_t)t->account;
    uint32_t index = 0;
    while (next(p, &r)) {
        size_t at = r.at;
        if (r.kind == PACK_TARGET && r.check == check && get_number(p, &at) == t->account)
            break;
        index += r.kind == PACK_TARGET;
    }
    bool again = index < p->count[PACK_TARGET];
    if (again && p->count[PACK_TO] == 0) /* nobody asks whose it was */
        return true;
    r = (struct record){.kind = again ? PACK_AGAIN : PACK_TARGET, .check = check};
    size_t texts = again ? 0 : t->address.n + t->lang.n + via.n;
    if (!begin(p, texts, &r))
        return false;
    put_number(p, again ? index : t->account);
    if (!again) {
        put_text(p, PACK_ADDRESS, t->address);
        put_text(p, PACK_LANG, t->lang);
        put_text(p, PACK_VIA, via);
        p->frame += texts + FIXED;
    }
    return end(p, most, &r, &before);
}

bool smtp_in_pack_remote(struct smtp_in_pack *p, size_t most, const struct msg_ingest_remote *remote)
{
    struct smtp_in_pack before = *p;
    struct record r = {0};
    uint16_t check = (uint16_t)(span_hash(remote->address) ^ span_hash(remote->via) >> 16);
    while (next(p, &r)) {
        struct msg_ingest_remote other;
        if (r.kind != PACK_REMOTE || r.check != check)
            continue;
        get_remote(p, r.at, &other);
        if (span_eq(other.address, remote->address) && span_eq(other.via, remote->via))
            return true;
    }
    r = (struct record){.kind = PACK_REMOTE, .check = check};
    size_t texts = remote->address.n + remote->domain.n + remote->orcpt.n + remote->via.n;
    if (!begin(p, texts, &r))
        return false;
    put_text(p, PACK_ADDRESS, remote->address);
    put_text(p, PACK_VIA, remote->via);
    put_text(p, PACK_DOMAIN, remote->domain);
    put_text(p, PACK_ORCPT, remote->orcpt);
    put_number(p, remote->notify);
    p->frame += texts + FIXED;
    return end(p, most, &r, &before);
}

bool smtp_in_pack_note(struct smtp_in_pack *p, size_t most, const struct msg_ingest_note *note)
{
    struct smtp_in_pack before = *p;
    struct record r = {.kind = PACK_NOTE};
    if (!begin(p, note->address.n + note->orcpt.n, &r))
        return false;
    put_text(p, PACK_VIA, note->address); /* the recipient as written, which is what led to the forwards beside it */
    put_text(p, PACK_ORCPT, note->orcpt);
    put_number(p, note->action);
    p->frame += note->address.n + note->orcpt.n + FIXED;
    return end(p, most, &r, &before);
}

void smtp_in_pack_undo(struct smtp_in_pack *p, const struct smtp_in_pack *before)
{
    struct smtp_in_pack now = *p;
    *p = *before;
    p->v = now.v; /* which may have moved */
    p->cap = now.cap;
}

void smtp_in_pack_done(struct smtp_in_pack *p)
{
    free(p->v);
    *p = (struct smtp_in_pack){0};
}

/* ---- all of it --------------------------------------------------------------------------------------------------------------- */

static void open_record(const struct smtp_in_pack *p, const struct record *r, struct smtp_in_rcpts *out, uint32_t *n_reach)
{
    size_t at = r->at;
    struct msg_ingest_target *t = &out->targets[out->n_targets];
    struct msg_ingest_note *note = &out->notes[out->n_notes];
    bool reaches = out->n_tos > 0 && (r->kind == PACK_TARGET || r->kind == PACK_AGAIN);
    if (reaches)
        out->tos[out->n_tos - 1].n++;
    switch (r->kind) {
    case PACK_TO:
        out->tos[out->n_tos++] = (struct smtp_in_to){*n_reach, 0};
        break;
    case PACK_TARGET:
        *t = (struct msg_ingest_target){.account = get_number(p, &at)};
        t->address = get_text(p, &at);
        t->lang = get_text(p, &at);
        t->via = get_text(p, &at);
        if (reaches)
            out->reach[(*n_reach)++] = out->n_targets;
        out->n_targets++;
        break;
    case PACK_AGAIN:
        out->reach[(*n_reach)++] = (uint32_t)get_number(p, &at);
        break;
    case PACK_REMOTE:
        get_remote(p, at, &out->remotes[out->n_remotes++]);
        break;
    case PACK_NOTE:
        note->address = get_text(p, &at);
        note->orcpt = get_text(p, &at);
        note->action = (uint32_t)get_number(p, &at);
        out->n_notes++;
        break;
    case PACK_KINDS:
        break;
    }
}

void smtp_in_pack_open(const struct smtp_in_pack *p, struct arena *mem, struct smtp_in_rcpts *out)
{
    struct record r = {0};
    uint32_t n_reach = 0;
    const uint32_t *n = p->count;
    *out = (struct smtp_in_rcpts){
        .targets = arena_zalloc(mem, n[PACK_TARGET] * sizeof *out->targets),
        .remotes = arena_zalloc(mem, n[PACK_REMOTE] * sizeof *out->remotes),
        .notes = arena_zalloc(mem, n[PACK_NOTE] * sizeof *out->notes),
        .tos = arena_zalloc(mem, n[PACK_TO] * sizeof *out->tos),
        .reach = arena_zalloc(mem, n[PACK_TO] > 0 ? (n[PACK_TARGET] + n[PACK_AGAIN]) * sizeof *out->reach : 0),
    };
    while (next(p, &r))
        open_record(p, &r, out, &n_reach);
}
