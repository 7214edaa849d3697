/* libFuzzer: FETCH items, part numbers in a structure that lies, BODY out of BODYSTRUCTURE. First line: the items; the rest:
 * a stored structure. Dictionary: tests/corpus/imap_attr_fuzz.dict. */
#include "imap/imap_part.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct span all = span_of(data, size);
    ptrdiff_t cut = span_find_char(all, '\n');
    struct span text = span_sub(all, 0, cut < 0 ? size : (size_t)cut), structure = cut < 0 ? SPAN("") : span_from(all, (size_t)cut + 1);
    struct imap_lex in;
    struct imap_attrs attrs;
    struct arena mem;
    struct str out;
    arena_init(&mem);
    str_init(&out, &mem);
    imap_grammar_init(&in, text, &mem);
    in.depth_max = 16;
    if (imap_attr_read(&in, &attrs) && imap_grammar_end(&in)) {
        assert(attrs.n > 0 && in.error == NULL);
        for (uint32_t i = 0; i < attrs.n; i++) {
            struct imap_place at = imap_part_find(&attrs.v[i], structure, 1000);
            assert(at.from <= at.to && at.to <= 1000);
            if (attrs.v[i].n_fields > 0)
                imap_part_fields(&out, structure, &attrs.v[i]);
        }
    } else {
        assert(in.error != NULL);
    }
    imap_part_body(&out, structure);
    imap_part_encoded(structure, &mem);
    arena_done(&mem);
    return 0;
}
