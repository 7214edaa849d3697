/* Any bytes as a server's answers: what is kept of them is one clean line, and fits. */
#include "smtp/smtp_out_reply.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct span in = span_of(data, size);
    struct smtp_out_reply r;
    smtp_out_reply_begin(&r);
    while (in.n > 0) {
        struct span line = span_split(&in, '\n'), words;
        int code;
        bool more;
        if (smtp_out_reply_line(span_trim(line), &code, &more, &words) < 0)
            continue;
        assert(code >= 200 && code <= 599);
        smtp_out_reply_add(&r, r.code != 0 ? r.code : code, words);
        assert(r.n < sizeof r.text && strlen(r.text) == r.n && strlen(r.status) < sizeof r.status);
        for (size_t i = 0; i < r.n; i++)
            assert(r.text[i] >= 32 && r.text[i] < 127);
        assert(r.status[0] == '0' + r.code / 100);
    }
    return 0;
}
