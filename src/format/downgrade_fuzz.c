/* What downgrade makes of anything at all is a message that needs nothing more, with the same parts. */
#include "format/charset.h"
#include "format/downgrade.h"
#include "format/downgrade_text.h"
#include "format/edit.h"
#include "format/format_testing.h"
#include "format/mime_walk.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* No field of any header is UTF-8 any more. Lines that are no fields stay. */
static void check_fields(struct span message, struct arena *mem)
{
    struct mime_tree tree;
    struct header_reader r;
    struct header_field f;
    mime_walk(message, &tree, NULL, NULL, mem);
    for (uint32_t i = 0; i < tree.n; i++) {
        const struct summary_part *p = &tree.v[i].at;
        header_begin(&r, span_sub(message, p->header_at, p->body_at - p->header_at));
        while (header_next(&r, &f)) {
            struct span value = header_unfold(f.value, mem);
            assert(!downgrade_text_high(value) || !utf8_valid(value));
        }
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct arena mem;
    struct summary one, two;
    struct span in = span_of(data, size);
    charset_open_all();
    arena_init(&mem);
    struct span edits = downgrade_message(in, &mem), whole = edit_apply(in, edits, &mem);
    assert(edit_size(edits, in.n) == whole.n);
    summarize(in, &one, &mem);
    summarize(whole, &two, &mem);
    if (edits.n > 0)
        assert(one.flags & (SUMMARY_UTF8 | SUMMARY_UTF8_PARTS));
    if (!((one.flags | two.flags) & SUMMARY_TRUNCATED) && edits.n < DOWNGRADE_BYTES / 2) {
        assert(downgrade_message(whole, &mem).n == 0);
        assert(summary_pack_parts(one.structure) == summary_pack_parts(two.structure));
        check_fields(whole, &mem);
    }
    const char *bad = format_testing_check(whole, &two);
    if (bad != NULL) {
        fprintf(stderr, "%s\n", bad);
        abort();
    }
    arena_done(&mem);
    return 0;
}
