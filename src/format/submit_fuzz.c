/* What submit makes of anything at all is a message that needs nothing more, has no Bcc and the same authors. */
#include "format/edit.h"
#include "format/submit.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct arena mem;
    struct submit one, two;
    arena_init(&mem);
    struct span in = span_of(data, size);
    /* what SMTP lets in: whole lines, no other CR or LF, no NUL (SEC-02) */
    for (size_t i = 0; i < size; i++)
        if (data[i] == 0 || (data[i] == '\n' && (i == 0 || data[i - 1] != '\r')) || (data[i] == '\r' && (i + 1 == size || data[i + 1] != '\n')))
            return 0;
    if (size > 0 && data[size - 1] != '\n')
        return 0;
    submit_read(in, SPAN("Tue, 24 Nov 2026 20:17:00 +0000"), SPAN("<a@b.test>"), &one, &mem);
    struct span whole = edit_apply(in, one.edits, &mem);
    submit_read(whole, SPAN("D"), SPAN("<M>"), &two, &mem);
    if (!(one.faults & SUBMIT_FULL)) {
        assert(two.edits.n == 0 || (two.faults & SUBMIT_FULL));
        assert(span_eq(one.authors, two.authors));
    }
    arena_done(&mem);
    return 0;
}
