/* store_meta: see the header for the format. */
#include "store/store_meta.h"

#include <endian.h>

enum { VERSION = 1 };

/* ---- writing ---- */

static void put(struct str *s, uint64_t v, size_t bytes)
{
    v = htole64(v);
    str_add(s, span_of(&v, bytes));
}

static void put_text(struct str *s, struct span text)
{
    put(s, text.n, 2);
    str_add(s, text);
}

void store_meta_put(struct str *out, const struct store_meta *m)
{
    put(out, VERSION, 1);
    put(out, m->kind, 1);
    switch (m->kind) {
    case META_INGEST: case META_APPEND:
        put(out, m->n, 2);
        put(out, m->summary_flags, 4);
        put(out, m->msgid_hash, 8);
        put(out, (uint64_t)m->date_s, 8);
        put_text(out, m->sender);
        break;
    case META_UPLOAD:
        put(out, m->account, 8);
        break;
    case META_TREE:
        put(out, m->account, 8);
        put(out, m->exists, 1);
        put(out, m->modseq, 8);
        put(out, m->uidvalidity, 8);
        put(out, (uint64_t)m->quota, 8);
        put(out, (uint64_t)m->quota_messages, 8);
        put(out, m->n, 4);
        break;
    case META_GONE:
        put(out, m->seg, 4);
        put(out, m->n, 4);
        break;
    }
}

void store_meta_put_target(struct str *out, const struct store_meta_target *t)
{
    put(out, t->account, 8);
    put(out, t->mailbox, 8);
    put(out, t->uid, 8);
    put(out, t->eid, 8);
    put(out, t->modseq, 8);
    put(out, t->flags, 4);
    put_text(out, t->address);
}

void store_meta_put_box(struct str *out, const struct store_meta_box *b)
{
    put(out, b->mailbox, 8);
    put(out, b->parent, 8);
    put(out, b->uidvalidity, 8);
    put(out, b->uidnext, 8);
    put(out, b->created_modseq, 8);
    put(out, b->role, 4);
    put(out, b->subscribed, 1);
    put_text(out, b->name);
}

void store_meta_put_eid(struct str *out, uint64_t eid) { put(out, eid, 8); }

void store_meta_put_end(struct str *out, const struct store_meta *m)
{
    if (m->kind == META_APPEND)
        put_text(out, m->keywords);
}

/* ---- reading ---- */

struct reader { struct span rest; bool bad; };

static uint64_t get(struct reader *r, size_t bytes)
{
    uint64_t v = 0;
    if (r->rest.n < bytes) {
        r->bad = true;
        return 0;
    }
    memcpy(&v, r->rest.p, bytes);
    r->rest = span_from(r->rest, bytes);
    return le64toh(v);
}

static struct span get_text(struct reader *r)
{
    size_t n = (size_t)get(r, 2);
    if (r->rest.n < n) {
        r->bad = true;
        return SPAN_NONE;
    }
    struct span s = span_sub(r->rest, 0, n);
    r->rest = span_from(r->rest, n);
    return s;
}

static struct store_meta_target get_target(struct reader *r)
{
    struct store_meta_target t = {.account = get(r, 8)};
    t.mailbox = get(r, 8);
    t.uid = get(r, 8);
    t.eid = get(r, 8);
    t.modseq = get(r, 8);
    t.flags = (uint32_t)get(r, 4);
    t.address = get_text(r);
    return t;
}

static struct store_meta_box get_box(struct reader *r)
{
    struct store_meta_box b = {.mailbox = get(r, 8)};
    b.parent = get(r, 8);
    b.uidvalidity = get(r, 8);
    b.uidnext = get(r, 8);
    b.created_modseq = get(r, 8);
    b.role = (uint32_t)get(r, 4);
    b.subscribed = get(r, 1) != 0;
    b.name = get_text(r);
    return b;
}

static void get_head(struct reader *r, struct store_meta *m)
{
    switch (m->kind) {
    case META_INGEST: case META_APPEND:
        m->n = (uint32_t)get(r, 2);
        m->summary_flags = (uint32_t)get(r, 4);
        m->msgid_hash = get(r, 8);
        m->date_s = (int64_t)get(r, 8);
        m->sender = get_text(r);
        break;
    case META_UPLOAD:
        m->account = get(r, 8);
        break;
    case META_TREE:
        m->account = get(r, 8);
        m->exists = get(r, 1) != 0;
        m->modseq = get(r, 8);
        m->uidvalidity = get(r, 8);
        m->quota = (int64_t)get(r, 8);
        m->quota_messages = (int64_t)get(r, 8);
        m->n = (uint32_t)get(r, 4);
        break;
    case META_GONE:
        m->seg = (uint32_t)get(r, 4);
        m->n = (uint32_t)get(r, 4);
        break;
    }
}

static void skip_item(struct reader *r, enum store_meta_kind kind)
{
    if (kind == META_TREE)
        get_box(r);
    else if (kind == META_GONE)
        get(r, 8);
    else
        get_target(r);
}

int store_meta_read(struct span meta, struct store_meta *out)
{
    struct reader r = {.rest = meta};
    *out = (struct store_meta){0};
    if (meta.n < 2 || meta.p[0] != VERSION || (unsigned char)meta.p[1] > META_GONE)
        return -1;
    out->kind = (enum store_meta_kind)meta.p[1];
    r.rest = span_from(meta, 2);
    get_head(&r, out);
    out->items = r.rest;
    for (uint32_t i = 0; i < out->n && !r.bad; i++)
        skip_item(&r, out->kind);
    if (out->kind == META_APPEND)
        out->keywords = get_text(&r);
    bool fine = !r.bad && r.rest.n == 0 && (out->kind != META_APPEND || out->n == 1);
    return fine ? 0 : -1;
}

bool store_meta_target(struct store_meta *m, struct store_meta_target *out)
{
    if (m->n == 0)
        return false;
    struct reader r = {.rest = m->items};
    *out = get_target(&r);
    m->items = r.rest;
    m->n--;
    return true;
}

bool store_meta_box(struct store_meta *m, struct store_meta_box *out)
{
    if (m->n == 0)
        return false;
    struct reader r = {.rest = m->items};
    *out = get_box(&r);
    m->items = r.rest;
    m->n--;
    return true;
}

bool store_meta_eid(struct store_meta *m, uint64_t *out)
{
    if (m->n == 0)
        return false;
    struct reader r = {.rest = m->items};
    *out = get(&r, 8);
    m->items = r.rest;
    m->n--;
    return true;
}
