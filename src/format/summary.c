/* summary: wires the one pass over a message: header index, envelope, structure, preview.
 *
 * All of it stays within 60 KiB, so that it fits its frame. What is cut, in this order:
 *   1. the header index, behind INDEX_BYTES (1,024 fields);
 *   2. the envelope when it is above ENVELOPE_BYTES: each list of addresses behind 2 KiB, strings behind 2,000 bytes (or
 *      1,000, 500, 250 when it must be);
 *   3. the structure, of what is left: first strings behind 128 bytes and all but 8 parameters of a field and short lists
 *      of addresses, then parts from the end, from text and table alike.
 * The preview always fits. Whatever was cut sets SUMMARY_TRUNCATED; the texts stay whole lists. */
#include "format/summary.h"

#include "base/limits.h"
#include "format/date.h"
#include "format/message_id.h"
#include "format/preview.h"
#include "format/structure.h"
#include "format/summary_pack.h"

#include <endian.h>

enum {
    TOTAL_BYTES = 60 * 1024,
    INDEX_BYTES = 1 + 1024 * SUMMARY_FIELD_BYTES,
    ENVELOPE_BYTES = 31 * 1024,
    THREAD_REFS_MOST = 250, /* the limit's upper end */
};

struct scan {
    struct summary *out;
    struct str index;
    size_t fields, froms;
    struct span date, id, reply_to, references;
    struct arena *mem, tmp; /* tmp: between two calls empty */
};

static void take_field(void *arg, const struct header_field *f, enum summary_header name)
{
    struct scan *s = arg;
    /* Past the limit fields are no longer listed, but still counted: a second From or the 51st hop must not hide there */
    if (s->fields++ < (size_t)LIMIT(HEADER_FIELDS) && s->index.n + SUMMARY_FIELD_BYTES <= INDEX_BYTES) {
        summary_pack_field(&s->index, &(struct summary_field){name, (uint8_t)MIN_OF(f->name.n, 255u), (uint32_t)f->at,
                                                              (uint32_t)f->length});
    } else {
        s->out->flags |= SUMMARY_TRUNCATED;
    }
    if (name == HEADER_RECEIVED)
        s->out->hops++;
    else if (name == HEADER_FROM)
        s->froms++;
    else if (name == HEADER_DATE && s->date.p == NULL)
        s->date = f->value;
    else if (name == HEADER_MESSAGE_ID && s->id.p == NULL)
        s->id = f->value;
    else if (name == HEADER_IN_REPLY_TO && s->reply_to.p == NULL)
        s->reply_to = f->value;
    else if (name == HEADER_REFERENCES && s->references.p == NULL)
        s->references = f->value;
}

/* Of a field's ids the last n (at most): those are the nearest (RFC 5322 3.6.4). Returns how many, in v from the last on. */
static size_t last_ids(struct span value, uint64_t *v, size_t n, struct arena *mem)
{
    uint64_t ring[THREAD_REFS_MOST];
    size_t found = 0;
    for (struct span id; n > 0 && message_id_next(&value, &id, mem);)
        ring[found++ % n] = span_hash(id);
    size_t kept = MIN_OF(found, n);
    for (size_t i = 0; i < kept; i++)
        v[i] = ring[(found - 1 - i) % n];
    return kept;
}

/* In-Reply-To names the parent; where it is missing, References ends with it. Each id once. */
static void write_refs(struct scan *s)
{
    uint64_t v[THREAD_REFS_MOST];
    size_t most = MIN_OF((size_t)LIMIT(THREAD_REFS), COUNT_OF(v)), kept = 0;
    size_t n = s->reply_to.p != NULL ? last_ids(s->reply_to, v, most, &s->tmp) : 0;
    if (s->references.p != NULL)
        n += last_ids(s->references, v + n, most - n, &s->tmp);
    for (size_t i = 0; i < n; i++) {
        bool again = v[i] == s->out->msgid_hash;
        for (size_t j = 0; j < kept && !again; j++)
            again = v[j] == v[i];
        if (!again)
            v[kept++] = v[i];
    }
    for (size_t i = 0; i < kept; i++)
        v[i] = htole64(v[i]);
    s->out->refs = arena_copy(s->mem, span_of(v, kept * sizeof *v));
    arena_reset(&s->tmp);
}

static void header_facts(struct scan *s)
{
    struct summary *out = s->out;
    struct span id, rest = s->id;
    if (s->froms != 1)
        out->flags |= s->froms == 0 ? SUMMARY_NO_FROM : SUMMARY_MANY_FROM;
    if (s->date.p != NULL)
        out->flags |= SUMMARY_HAS_DATE; /* there, even if it means nothing: a second one must not be added */
    if (s->date.p == NULL || date_parse(s->date, &out->date_s) != 0)
        out->date_s = INT64_MIN;
    if (rest.p != NULL && message_id_next(&rest, &id, s->mem)) {
        out->flags |= SUMMARY_HAS_MSGID;
        out->msgid_hash = span_hash(id);
    }
}

static void write_envelope(struct scan *s, const struct mime_tree *t)
{
    struct imap_text w;
    imap_text_init(&w, s->mem, ENVELOPE_BYTES);
    str_reserve(&w.out, 1024);
    envelope_write(&w, t->v[0].envelope, &s->tmp);
    /* At 250: 4 texts of 250 bytes, 516 with each one escaped; 6 lists of 2 KiB and one address of 4 texts: 27 KiB */
    for (size_t string = 2000; w.over && string >= 250; string /= 2) {
        imap_text_again(&w);
        w.string_max = string;
        w.list_max = 2048;
        envelope_write(&w, t->v[0].envelope, &s->tmp);
        s->out->flags |= SUMMARY_TRUNCATED;
    }
    if (w.over)
        base_die("summary: an envelope that does not fit");
    s->out->flags |= w.cut ? SUMMARY_TRUNCATED : 0u;
    s->out->envelope = str_span(&w.out);
}

/* The text for n parts with room for their table; false when there is too little. */
static bool try_structure(struct scan *s, struct imap_text *w, const struct mime_tree *t, uint32_t n, size_t room)
{
    imap_text_again(w);
    w->limit = room - 1 - n * SUMMARY_PART_BYTES;
    str_addc(&w->out, SUMMARY_VERSION);
    structure_write(w, t, n, &s->tmp);
    return !w->over;
}

static void write_structure(struct scan *s, const struct mime_tree *t, size_t room)
{
    struct imap_text w;
    uint32_t n = MIN_OF(t->n, (uint32_t)(room / (2 * SUMMARY_PART_BYTES))); /* no part's text is shorter than its row */
    imap_text_init(&w, s->mem, room);
    str_reserve(&w.out, 512);
    bool done = n == t->n && try_structure(s, &w, t, n, room);
    if (!done) {
        s->out->flags |= SUMMARY_TRUNCATED;
        w.string_max = 128;
        w.params_max = 8;
        w.list_max = 512;
    }
    /* Fewer parts by a quarter a time: from 1,000 to 1 in some 25 tries, each bounded by room */
    for (; !done; n -= n > 4 ? n / 4 : 1) {
        if (n == 0) /* one part, 128 bytes a string, 8 parameters: less than 14 KiB */
            base_die("summary: a structure that does not fit");
        if ((done = try_structure(s, &w, t, n, room)))
            break;
    }
    s->out->flags |= w.cut ? SUMMARY_TRUNCATED : 0u;
    str_addc(&w.out, 0);
    for (uint32_t i = 0; i < n; i++) {
        struct summary_part p = t->v[i].at;
        if (p.first_child >= n)
            p.first_child = 0;
        summary_pack_part(&w.out, &p);
    }
    s->out->structure = str_span(&w.out);
}

/* A leaf that a reader would look for by name: no text in the flow of the message, nothing that a page is made of. */
static bool has_attachment(const struct mime_tree *t)
{
    for (uint32_t i = 0; i < t->n; i++) {
        const struct mime_part *p = &t->v[i];
        enum mime_type type = (enum mime_type)p->at.type;
        if (mime_is_multipart(type) && !p->opaque)
            continue;
        bool in_related = i > 0 && t->v[p->at.parent].at.type == MIME_RELATED;
        if (!in_related && (p->attachment || !mime_is_text(type)))
            return true;
    }
    return false;
}

void summarize(struct span message, struct summary *out, struct arena *mem)
{
    struct scan s = {.out = out, .mem = mem};
    struct mime_tree tree;
    memset(out, 0, sizeof *out);
    arena_init(&s.tmp);
    str_init(&s.index, mem);
    str_reserve(&s.index, 256);
    str_addc(&s.index, SUMMARY_VERSION);
    mime_walk(message, &tree, take_field, &s, mem);
    header_facts(&s);
    write_refs(&s);
    out->flags |= (tree.truncated ? SUMMARY_TRUNCATED : 0u) | (tree.header_8bit ? SUMMARY_UTF8 : 0u) |
                  (tree.parts_8bit ? SUMMARY_UTF8_PARTS : 0u) | (tree.body_8bit ? SUMMARY_8BIT : 0u) | (has_attachment(&tree) ? SUMMARY_ATTACHMENT : 0u);
    out->headers = str_span(&s.index);
    out->preview = preview_make(message, &tree, mem);
    write_envelope(&s, &tree);
    write_structure(&s, &tree, TOTAL_BYTES - out->headers.n - out->preview.n - out->envelope.n - out->refs.n);
    arena_done(&s.tmp);
}
