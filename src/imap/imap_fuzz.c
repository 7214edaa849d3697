/* libFuzzer: arguments of IMAP commands, literals at line ends, mailbox names. Dictionary: tests/corpus/imap_fuzz.dict. */
#include "imap/imap_grammar.h"
#include "imap/imap_name.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void lex(struct span in, struct arena *mem, unsigned char first)
{
    struct imap_lex l;
    struct span s;
    struct imap_set set;
    struct imap_flags flags;
    int64_t n;
    imap_grammar_init(&l, in, mem);
    for (unsigned step = first; l.error == NULL && l.at.n > 0; step++) {
        size_t before = l.at.n;
        switch (step % 12) {
        case 0: imap_grammar_may_open(&l); break;
        case 1: imap_grammar_may_close(&l); break;
        case 2: imap_grammar_may(&l, ' '); break;
        case 3: imap_grammar_may_word(&l, SPAN("NIL")); break;
        case 4: if (l.at.p[0] == '"' || l.at.p[0] == '{') imap_grammar_string(&l, &s); break;
        case 5: if (l.at.p[0] == '(') imap_grammar_flag_list(&l, &flags); break;
        case 6: if (l.at.p[0] >= '0' && l.at.p[0] <= '9') imap_grammar_set(&l, &set); break;
        case 7: if (l.at.p[0] == '"') imap_grammar_date_time(&l, &n); break;
        case 8: if (l.at.p[0] == '\\') imap_grammar_flags(&l, &flags); break;
        case 9: if (l.at.n > 8) imap_grammar_date(&l, &n); break;
        case 10: if (l.at.p[0] > ' ') imap_grammar_astring(&l, &s); break;
        default: if (step - first > 12 * 64) l.at = SPAN_NONE;
        }
        assert(l.at.n <= before);
    }
    imap_grammar_end(&l);
}

/* What is well formed has one spelling: encoding gives it back. */
static void names(struct span in, struct arena *mem)
{
    struct str plain, coded;
    struct span path;
    str_init(&plain, mem);
    str_init(&coded, mem);
    if (imap_name_decode(&plain, in)) {
        imap_name_encode(&coded, str_span(&plain));
        struct str again;
        str_init(&again, mem);
        assert(imap_name_decode(&again, str_span(&coded)) && span_eq(str_span(&again), str_span(&plain)));
    }
    for (int utf8 = 0; utf8 < 2; utf8++) {
        if (!imap_name_read(in, utf8, mem, &path))
            continue;
        struct str said;
        struct imap_lex l;
        struct span wire, back;
        str_init(&said, mem);
        imap_name_add(&said, path, utf8);
        imap_grammar_init(&l, str_span(&said), mem);
        assert(imap_grammar_astring(&l, &wire) && imap_grammar_end(&l));
        assert(imap_name_read(wire, utf8, mem, &back) && span_eq(back, path));
        imap_name_match(in, path);
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct arena mem;
    struct imap_literal l;
    if (size < 1)
        return 0;
    struct span in = span_of(data + 1, size - 1);
    arena_init(&mem);
    lex(in, &mem, data[0]);
    if (imap_grammar_literal(in, &l) > 0)
        assert(l.header > 2 && l.header <= in.n);
    names(in, &mem);
    arena_done(&mem);
    return 0;
}
