/* dsn: whatever a far side says or an address holds, the report's own parts hold no line end, NUL or control character of
 * theirs, no line is too long, and the boundary stands where we put it and nowhere else. */
#include "format/dsn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct span cut(struct span *s)
{
    size_t n = s->n > 0 ? MIN_OF((size_t)(unsigned char)s->p[0] * 4, s->n - 1) : 0;
    struct span out = span_sub(*s, 1, n);
    *s = span_from(*s, 1 + n);
    return out;
}

static void must(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena mem;
    struct span s = span_of(data, size);
    struct dsn_rcpt r[2] = {{.action = 0, .code = 550, .at_s = 1}, {.action = 1, .until_s = 5}};
    struct str out;
    for (int i = 0; i < 2; i++) {
        r[i].address = cut(&s), r[i].orcpt = cut(&s), r[i].status = cut(&s), r[i].text = cut(&s), r[i].host = cut(&s);
    }
    struct dsn d = {.hostname = cut(&s), .lang = size % 2 ? SPAN("de") : SPAN("en"), .to = cut(&s), .id = SPAN("1"),
                    .boundary = SPAN("=_b0undary"), .envid = cut(&s), .trace = SPAN("aaaaaaaaaaaa"), .utf8 = size % 3 == 0,
                    .original = SPAN("Subject: x\r\n"), .rcpts = r, .n = 2};
    struct span thread[3] = {cut(&s), cut(&s), cut(&s)};
    d.thread = thread, d.n_thread = 3;
    str_init(&out, &mem);
    dsn_write(&out, &d);
    size_t line = 0, marks = 0;
    for (size_t i = 0; i < out.n; i++) {
        unsigned char c = (unsigned char)out.p[i];
        must(c == '\r' ? i + 1 < out.n && out.p[i + 1] == '\n' : c == '\n' ? i > 0 && out.p[i - 1] == '\r' : c >= 32 && c != 127);
        marks += line == 0 && span_starts(span_from(str_span(&out), i), SPAN("--=_b0undary"));
        line = c == '\n' ? 0 : line + 1;
        must(line <= 999);
    }
    must(marks == 4);
    arena_reset(&mem);
    return 0;
}
