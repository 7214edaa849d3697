/* libFuzzer: SEARCH keys, and envelopes that are none. First NUL: what follows is an envelope. Dictionary:
 * tests/corpus/imap_key_fuzz.dict. */
#include "imap/imap_view_testing.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct span all = span_of(data, size);
    ptrdiff_t cut = span_find_char(all, 0);
    struct msg_member_row row = {.size = 10, .envelope = cut < 0 ? SPAN("") : span_from(all, (size_t)cut + 1)};
    struct imap_message m[10];
    struct imap_view v;
    struct imap_lex in;
    struct imap_keys keys;
    struct arena mem;
    uint64_t found = 5;
    arena_init(&mem);
    imap_view_testing(&v, m);
    imap_grammar_init(&in, span_sub(all, 0, cut < 0 ? size : (size_t)cut), &mem);
    in.depth_max = 16;
    if (imap_key_read(&in, &v, &keys)) {
        struct imap_key_facts facts = {.index = 3, .view = &v};
        enum imap_key_truth early = imap_key_run(&keys, &facts), late;
        facts.row = &row;
        late = imap_key_run(&keys, &facts);
        assert(early == IMAP_KEY_UNKNOWN || early == late); /* what is decided stays so */
        facts.found = &found;
        assert(imap_key_run(&keys, &facts) != IMAP_KEY_UNKNOWN);
    } else {
        assert(in.error != NULL);
    }
    arena_done(&mem);
    return 0;
}
