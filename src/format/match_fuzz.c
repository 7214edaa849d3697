/* match and read: any message; what is found by one walk is what is found by another, and slices give the whole. */
#include "format/match_text.h"

#include "base/utf8.h"
#include "format/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The whole of a part by slices of `length`. */
static struct span whole(struct span message, const struct mime_part *p, enum part_form form, uint32_t length,
                         struct arena *mem)
{
    struct str out;
    struct read_slice s = {.length = length};
    str_init(&out, mem);
    do {
        read_slice(message, p, form, &s, mem);
        str_add(&out, s.data);
    } while (!s.end);
    return str_span(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena mem;
    struct mime_tree tree;
    struct str out;
    struct span in = span_of(data, size);
    charset_open_all();
    struct match_needle n[] = {{MATCH_BODY, SPAN(""), SPAN("a")}, {MATCH_TEXT, SPAN(""), SPAN("a")},
                               {MATCH_HEADER, SPAN("subject"), SPAN("a")}, {MATCH_HEADER, SPAN("subject"), SPAN("")}};
    uint64_t found = match_message(in, n, COUNT_OF(n), &mem);
    if (((found & 1) != 0 && (found & 2) == 0) || ((found & 4) != 0 && (found & 10) != 10))
        abort();
    struct match_text text; /* the needles are folded as they stand */
    if (match_text_make(in, size * 8 + 65536, &text, &mem) && match_text_find(&text, n, COUNT_OF(n)) != found)
        abort();
    mime_walk(in, &tree, NULL, NULL, &mem);
    for (uint32_t i = 0; i < tree.n && i < 8; i++) {
        for (enum part_form form = PART_RAW; form <= PART_FOLDED; form++) {
            struct span a = whole(in, &tree.v[i], form, 1 << 20, &mem), b = whole(in, &tree.v[i], form, 7, &mem);
            if (!span_eq(a, b) || (form >= PART_TEXT && !utf8_valid(a)))
                abort();
        }
    }
    str_init(&out, &mem);
    for (enum read_form form = READ_RAW; form < READ_FORM_COUNT; form++) {
        str_clear(&out);
        read_value(&out, in, form, 100, &mem);
        if (out.n > 100)
            abort();
    }
    arena_reset(&mem);
    return 0;
}
