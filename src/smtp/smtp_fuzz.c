/* libFuzzer: the command grammar. Dictionary: tests/corpus/smtp_fuzz.dict. */
#include "base/utf8.h"
#include "smtp/smtp_grammar.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void check_path(struct span args, ptrdiff_t used, const struct smtp_path *path)
{
    if (used <= 0)
        return;
    struct arena mem;
    struct str address;
    arena_init(&mem);
    str_init(&address, &mem);
    smtp_grammar_address(&address, path);
    /* what was accepted stays inside the line and is printable: it goes into logs, rows and fields */
    assert((size_t)used <= args.n && address.n <= 512 && utf8_valid(str_span(&address)));
    for (size_t i = 0; i < address.n; i++)
        assert((unsigned char)address.p[i] >= 32 && address.p[i] != 127 &&
               (path->utf8 || (unsigned char)address.p[i] < 127));
    arena_done(&mem);
}

/* What goes from a parameter into fields of reports holds no control character, whatever its encoding. */
static void check_texts(const struct smtp_params *p)
{
    struct arena mem;
    struct str text;
    arena_init(&mem);
    str_init(&text, &mem);
    if (p->envid.n > 0)
        smtp_param_xtext(&text, p->envid);
    if (p->orcpt.n > 0)
        smtp_param_orcpt(&text, p->orcpt);
    assert(utf8_valid(str_span(&text)));
    for (size_t i = 0; i < text.n; i++)
        assert((unsigned char)text.p[i] >= 32 && text.p[i] != 127);
    arena_done(&mem);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct span verb, args, name;
    struct smtp_path path;
    struct smtp_params params;
    if (smtp_grammar_command(span_of(data, size), &verb, &args) < 0)
        return 0;
    for (unsigned ext = 0; ext < 16; ext++) {
        ptrdiff_t used = smtp_grammar_mail(args, ext, &path, &params);
        check_path(args, used, &path);
        if (used > 0)
            check_texts(&params);
        used = smtp_grammar_rcpt(args, ext, &path, &params);
        check_path(args, used, &path);
        if (used > 0)
            check_texts(&params);
    }
    uint64_t octets;
    bool last;
    ptrdiff_t used = smtp_grammar_bdat(args, &octets, &last);
    assert(used < 0 || ((size_t)used == args.n && octets <= INT64_MAX));
    if (smtp_grammar_helo(args, &name) > 0)
        assert(name.n == args.n && name.n <= 255);
    return 0;
}
