/* Replies: three digits, "-" or a space, words. A server that answers anything else may have lost its place, or be told
 * what to say by somebody: the caller gives the connection up. */
#include "smtp/smtp_out_reply.h"

#include "base/limits.h"

int smtp_out_reply_line(struct span line, int *code, bool *more, struct span *words)
{
    int value = 0;
    if (line.n < 3 || (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-'))
        return -1;
    for (int i = 0; i < 3; i++) {
        if (line.p[i] < '0' || line.p[i] > '9')
            return -1;
        value = value * 10 + (line.p[i] - '0');
    }
    if (value < 200 || value > 599) /* RFC 5321 4.2.1: no first digit but 2 to 5 */
        return -1;
    *code = value;
    *more = line.n > 3 && line.p[3] == '-';
    *words = span_from(line, 4);
    return 0;
}

/* RFC 3463 2: class "." subject "." detail, up to three digits each; the class must be the code's. Bytes used, or 0. */
static size_t status_length(struct span s, char class)
{
    size_t at = 1;
    if (s.n < 5 || s.p[0] != class)
        return 0;
    for (int part = 0; part < 2; part++) {
        size_t digits = 0;
        if (at >= s.n || s.p[at++] != '.')
            return 0;
        while (at < s.n && digits < 3 && s.p[at] >= '0' && s.p[at] <= '9')
            at++, digits++;
        if (digits == 0)
            return 0;
    }
    return at == s.n || s.p[at] == ' ' ? at : 0;
}

void smtp_out_reply_begin(struct smtp_out_reply *r)
{
    r->code = 0;
    r->status[0] = r->text[0] = 0;
    r->n = 0;
}

void smtp_out_reply_add(struct smtp_out_reply *r, int code, struct span words)
{
    char class = (char)('0' + code / 100);
    size_t status = status_length(words, class);
    if (r->code == 0) {
        r->code = code;
        if (status > 0)
            snprintf(r->status, sizeof r->status, "%.*s", (int)status, words.p);
        else
            snprintf(r->status, sizeof r->status, "%c.0.0", class);
    }
    words = span_trim(span_from(words, status)); /* each line may repeat it (RFC 2034 4) */
    if (words.n > 0 && r->n > 0 && r->n + 1 < sizeof r->text)
        r->text[r->n++] = ' ';
    for (size_t i = 0; i < words.n && r->n + 1 < sizeof r->text; i++) {
        unsigned char b = (unsigned char)words.p[i];
        r->text[r->n++] = (char)(b >= 32 && b < 127 ? b : '?');
    }
    r->text[r->n] = 0;
}

WAITS int smtp_out_reply_read(struct conn *c, struct smtp_out_reply *r, smtp_out_reply_fn *each, void *arg)
{
    bool more = true;
    smtp_out_reply_begin(r);
    for (int64_t lines = 0; more; lines++) {
        struct span line, words;
        int code, got = lines == LIMIT(RELAY_REPLY_LINES) ? SMTP_OUT_GARBAGE : conn_line(c, SMTP_OUT_LINE, &line);
        if (got != 0)
            return got == CONN_LINE_LONG ? SMTP_OUT_GARBAGE : got;
        line = span_trim(line);
        if (smtp_out_reply_line(line, &code, &more, &words) < 0 || (lines > 0 && code != r->code))
            return SMTP_OUT_GARBAGE; /* RFC 5321 4.2.1: every line has the same code */
        smtp_out_reply_add(r, code, words);
        if (lines > 0 && each != NULL)
            each(arg, words);
    }
    return 0;
}
