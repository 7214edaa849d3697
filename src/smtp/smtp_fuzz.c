/* libFuzzer: the command grammar. Dictionary: tests/corpus/smtp_fuzz.dict. */
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
    /* what was accepted stays inside the line and is printable ASCII: it goes into logs, rows and fields */
    assert((size_t)used <= args.n && address.n <= 512);
    for (size_t i = 0; i < address.n; i++)
        assert(address.p[i] >= 32 && address.p[i] < 127);
    arena_done(&mem);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct span verb, args, name;
    struct smtp_path path;
    struct smtp_params params;
    if (smtp_grammar_command(span_of(data, size), &verb, &args) < 0)
        return 0;
    check_path(args, smtp_grammar_mail(args, &path, &params), &path);
    check_path(args, smtp_grammar_rcpt(args, &path, &params), &path);
    if (smtp_grammar_helo(args, &name) > 0)
        assert(name.n == args.n && name.n <= 255);
    return 0;
}
