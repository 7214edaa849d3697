/* format_testing: what the tests and fuzzers of this folder share. */
#ifndef POSTEL_FORMAT_TESTING_H
#define POSTEL_FORMAT_TESTING_H

#include "base/arena.h"
#include "base/utf8.h"
#include "format/imap_text.h"
#include "format/summary.h"
#include "format/summary_pack.h"

/* Calls fn with every prefix of `in`, shortest first, each in memory of exactly its size, so that ASan sees a byte too far. */
static inline void format_testing_prefixes(struct span in, void (*fn)(struct span prefix, struct arena *mem))
{
    struct arena mem;
    arena_init(&mem);
    for (size_t n = 0; n <= in.n; n++) {
        char *copy = malloc(n > 0 ? n : 1);
        memcpy(copy, in.p, n);
        fn(span_of(copy, n), &mem);
        arena_reset(&mem);
        free(copy);
    }
    arena_done(&mem);
}

/* What holds for the summary of anything at all: NULL, or what does not hold. */
static inline const char *format_testing_check(struct span message, const struct summary *s)
{
    struct summary_part p, parent;
    struct summary_field f;
    size_t n = summary_pack_parts(s->structure), at = 0, end = 0;
    if (s->headers.n + s->envelope.n + s->structure.n + s->preview.n > 60 * 1024)
        return "above 60 KiB";
    if (!imap_text_check(s->envelope) || !imap_text_check(summary_pack_text(s->structure)))
        return "no IMAP text";
    if (!(s->flags & SUMMARY_UTF8) && !utf8_ascii(s->envelope) && s->envelope.n > 0)
        return "an envelope with 8-bit bytes from a header without";
    if (!utf8_valid(s->preview) || s->preview.n > 800)
        return "preview";
    if (n == 0 || s->structure.n != summary_pack_text(s->structure).n + 2 + n * SUMMARY_PART_BYTES)
        return "no part";
    for (size_t i = 0; i < n; i++) {
        if (summary_pack_get_part(s->structure, i, &p) != 0 || p.header_at > p.body_at || p.body_at > p.body_end ||
            p.body_end > message.n || p.lines > p.body_end - p.body_at)
            return "a part's place";
        if (i > 0 && (p.parent >= i || summary_pack_get_part(s->structure, p.parent, &parent) != 0 ||
                      p.depth != parent.depth + 1 || parent.first_child == 0 || p.header_at < parent.body_at))
            return "a part's parent";
        if (p.first_child != 0 && (p.first_child >= n || p.first_child <= i))
            return "a part's child";
    }
    while (summary_pack_next_field(s->headers, &at, &f)) {
        if (f.at < end || f.length == 0 || f.at + (uint64_t)f.length > message.n || f.name_length > f.length)
            return "a field's place";
        end = f.at + f.length;
    }
    return NULL;
}

#endif
