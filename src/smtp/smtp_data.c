/* The end-of-data reader. Only CRLF.CRLF ends a message, only CRLF ends a line: whatever another server might take
 * for a line end makes the whole message bad, so no two readers can disagree about where it ends (SEC-02). */
#include "smtp/smtp_data.h"

/* Whole good lines at the start of `in`, none of which begins with a dot that means something: how many bytes. This is
 * the hot loop; what it does not take goes byte by byte. */
static size_t plain_lines(struct span in, bool chunked)
{
    size_t n = 0;
    while (n < in.n && (chunked || in.p[n] != '.')) {
        const char *line = in.p + n;
        const char *lf = memchr(line, '\n', in.n - n);
        if (lf == NULL || lf == line)
            break;
        size_t len = (size_t)(lf - line);
        if (memchr(line, '\r', len) != lf - 1 || memchr(line, 0, len) != NULL)
            break;
        n += len + 1;
    }
    return n;
}

/* The rest of a line in the state TEXT, up to and without its line end. */
static size_t text(struct span in)
{
    size_t n = 0;
    while (n < in.n && in.p[n] != '\r' && in.p[n] != '\n' && in.p[n] != 0)
        n++;
    return n;
}

static enum smtp_data_state next(enum smtp_data_state state, bool chunked, char c)
{
    if (c == '\n') /* LF ends something only behind CR */
        return state == SMTP_DATA_CR ? SMTP_DATA_LINE : state == SMTP_DATA_DOT_CR ? SMTP_DATA_END : SMTP_DATA_BAD;
    if (c == 0 || state == SMTP_DATA_CR || state == SMTP_DATA_DOT_CR)
        return SMTP_DATA_BAD;
    if (c == '\r')
        return state == SMTP_DATA_DOT ? SMTP_DATA_DOT_CR : SMTP_DATA_CR;
    return state == SMTP_DATA_LINE && c == '.' && !chunked ? SMTP_DATA_DOT : SMTP_DATA_TEXT;
}

size_t smtp_data_take(struct smtp_data *d, struct span in, struct span *out)
{
    *out = SPAN_NONE;
    if (in.n == 0 || d->state >= SMTP_DATA_END)
        return 0;
    if (d->state == SMTP_DATA_LINE) {
        size_t n = plain_lines(in, d->chunked);
        if (n > 0) {
            *out = span_sub(in, 0, n);
            return n;
        }
    }
    if (d->state == SMTP_DATA_TEXT) {
        size_t n = text(in);
        if (n > 0) {
            *out = span_sub(in, 0, n);
            return n;
        }
    }
    enum smtp_data_state was = d->state;
    d->state = next(was, d->chunked, in.p[0]);
    if (d->state == SMTP_DATA_LINE) /* the CR was held back until its LF came */
        *out = SPAN("\r\n");
    else if (d->state == SMTP_DATA_TEXT) /* RFC 5321 4.5.2: a dot that has something behind it is taken out */
        *out = span_sub(in, 0, 1);
    return 1;
}

struct span smtp_data_last(struct smtp_data *d)
{
    if (d->state == SMTP_DATA_CR)
        d->state = SMTP_DATA_BAD;
    return d->state == SMTP_DATA_TEXT ? SPAN("\r\n") : SPAN_NONE;
}
