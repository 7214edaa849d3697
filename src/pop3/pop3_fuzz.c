/* libFuzzer: POP3 command lines, stuffing and TOP. Dictionary: tests/corpus/pop3_fuzz.dict. */
#include "pop3/pop3_grammar.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* Stuffed text has no line that is a dot alone, and taking the dots out gives the text again. */
static void check_stuffing(struct span in, size_t step)
{
    struct pop3_stuff s = {0};
    size_t back = 0;
    bool start = true, skipped = false;
    for (size_t at = 0; at < in.n;) {
        struct span out, piece = span_sub(in, at, step);
        at += pop3_grammar_stuff(&s, piece, &out);
        for (size_t i = 0; i < out.n; i++) {
            if (start && !skipped && out.p[i] == '.') {
                skipped = true;
                continue;
            }
            assert(back < in.n && out.p[i] == in.p[back]);
            assert(!start || skipped || out.p[i] != '.');
            back++;
            start = out.p[i] == '\n';
            skipped = false;
        }
    }
    assert(back == in.n && !skipped);
}

static size_t top(struct span in, uint64_t lines, size_t step)
{
    struct pop3_top t = {.left = lines};
    size_t used = 0;
    for (size_t at = 0; at < in.n; at += step) {
        struct span piece = span_sub(in, at, step);
        size_t n = pop3_grammar_top(&t, piece);
        used += n;
        if (n < piece.n)
            break;
    }
    return used;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct span verb, rest, in = span_of(data, size);
    uint64_t n;
    if (pop3_grammar_command(in, &verb, &rest) >= 0) {
        struct span left = rest;
        while (pop3_grammar_number(&left, &n) > 0)
            assert(n <= INT64_MAX && left.n < rest.n + 1);
    }
    if (size < 2)
        return 0;
    in = span_from(in, 1);
    check_stuffing(in, in.n);
    check_stuffing(in, 1u + data[0] % 8);
    assert(top(in, data[0] / 8, in.n) == top(in, data[0] / 8, 1u + data[0] % 8));
    return 0;
}
