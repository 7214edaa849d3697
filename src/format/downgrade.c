/* downgrade: walks the headers of a message and of its parts, and gathers the edits. */
#include "format/downgrade.h"

#include "base/limits.h"
#include "base/utf8.h"
#include "format/downgrade_mime.h"
#include "format/downgrade_text.h"
#include "format/edit.h"
#include "format/header.h"
#include "format/mime_walk.h"

enum { EDIT_HEAD = 13 }; /* bytes of an edit beside its text, and the list's version */

struct work {
    struct span message;
    struct str edits;
    struct arena *mem, tmp; /* tmp: of one field */
};

static void replace(struct work *w, size_t at, size_t n, struct span bytes)
{
    if (w->edits.n + EDIT_HEAD + bytes.n <= DOWNGRADE_BYTES)
        edit_replace(&w->edits, (uint32_t)at, (uint32_t)n, bytes);
}

/* message/global that was read as a message: its type says what it is when its header is ASCII. */
static bool relabel(struct str *out, const struct mime_part *p, const struct header_field *f, struct arena *mem)
{
    static const struct span old = SPAN("message/global");
    struct str value, passed;
    if (p == NULL || p->at.type != MIME_RFC822 || p->opaque || !span_eq_nocase(p->type.sub, SPAN("global")) ||
        !span_eq_nocase(f->name, SPAN("Content-Type")))
        return false;
    struct span plain = header_unfold(f->value, mem);
    str_init(&value, mem);
    str_init(&passed, mem);
    downgrade_text_comments(&passed, plain);
    if (!utf8_valid(plain) || !downgrade_mime_type(&value, str_span(&passed), mem) ||
        !span_starts_nocase(str_span(&value), old))
        return false;
    memcpy(value.p, "message/rfc822", old.n);
    return header_write(out, f->name, span_trim(str_span(&value))) == 0;
}

/* The fields of one header, or of one block of a delivery report, in [at, end). Returns where it ended. */
static size_t fields(struct work *w, const struct mime_part *p, size_t at, size_t end)
{
    struct header_reader r;
    struct header_field f;
    header_begin(&r, span_sub(w->message, at, end - at));
    while (header_next(&r, &f)) {
        struct str field;
        str_init(&field, &w->tmp);
        if (f.length <= (size_t)LIMIT(HEADER_FIELD_BYTES) && /* else its value is not whole here */
            (relabel(&field, p, &f, &w->tmp) || downgrade_field(&field, f.name, f.value, &w->tmp)))
            replace(w, at + f.at, f.length, str_span(&field));
        arena_reset(&w->tmp);
    }
    return at + r.at;
}

/* RFC 6857 4.2: a delivery report is blocks of fields. */
static void report(struct work *w, const struct mime_part *p)
{
    size_t at = p->at.body_at, end = p->at.body_end;
    while (at < end) {
        size_t next = fields(w, NULL, at, end);
        if (next == at) /* a line that is no field ends it */
            break;
        at = next;
    }
}

struct span downgrade_message(struct span message, struct arena *mem)
{
    struct work w = {.message = message, .mem = mem};
    struct mime_tree tree;
    str_init(&w.edits, mem);
    arena_init(&w.tmp);
    mime_walk(message, &tree, NULL, NULL, mem);
    for (uint32_t i = 0; i < tree.n; i++) {
        const struct mime_part *p = &tree.v[i];
        fields(&w, p, p->at.header_at, p->at.body_at);
        if (mime_walk_is_report(p))
            report(&w, p);
    }
    arena_done(&w.tmp);
    return w.edits.n > 0 ? str_span(&w.edits) : SPAN("");
}
