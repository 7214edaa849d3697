/* srs_fuzz: recipients that look like ours, signed and not, and senders that are rewritten and must come back. */
#include "login/login_name.h"
#include "login/srs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned char key[SRS_KEY] = "the same in every run";
    const int64_t now = 1764000000;
    struct span in = span_of(data, size), made, back;
    ptrdiff_t at = span_rfind_char(in, '@');
    struct arena mem;

    if (size > 400)
        return 0;
    arena_init(&mem);
    srs_reverse(key, in, now, &mem);
    made = srs_forward(key, in, SPAN("b.test"), now, &mem);
    if (made.p != NULL && memchr(data, 0, size) == NULL) { /* an address that a grammar accepted holds no NUL */
        struct span local = span_sub(made, 0, (size_t)span_rfind_char(made, '@'));
        assert(local.n <= LOGIN_NAME_LOCAL && srs_is(local));
        back = srs_reverse(key, local, now, &mem);
        if (!srs_is(span_sub(in, 0, (size_t)at)) && span_find_char(span_from(in, (size_t)at + 1), '=') < 0 &&
            (size_t)at + 1 < size)
            assert(span_eq(back, in));
    }
    arena_done(&mem);
    return 0;
}
