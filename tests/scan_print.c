/* scan_print: prints the summary of a message on standard input as JSON, for comparisons with other parsers. */
#include "format/charset.h"
#include "format/mime_walk.h"
#include "format/summary_pack.h"

static void json(const char *key, struct span s)
{
    printf("\"%s\":\"", key);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 32 || c == '"' || c == '\\' || c >= 127)
            printf("\\u%04x", c); /* a byte each: whoever reads this encodes as latin-1 again */
        else
            putchar(c);
    }
    printf("\",");
}

static void parts(const struct summary *s)
{
    struct summary_part p;
    printf("\"parts\":[");
    for (size_t i = 0; summary_pack_get_part(s->structure, i, &p) == 0; i++)
        printf("%s{\"parent\":%u,\"depth\":%u,\"encoding\":%u,\"header_at\":%u,\"body_at\":%u,\"body_end\":%u,\"lines\":%u,"
               "\"type\":%u,\"first_child\":%u}", i ? "," : "", p.parent, p.depth, p.encoding, p.header_at, p.body_at,
               p.body_end, p.lines, p.type, p.first_child);
    printf("],");
}

static void fields(struct span message, const struct summary *s)
{
    struct summary_field f;
    size_t at = 0;
    printf("\"fields\":[");
    for (bool first = true; summary_pack_next_field(s->headers, &at, &f); first = false)
        printf("%s[%u,%u,%u,%u]", first ? "" : ",", f.name, f.at, f.length, f.name_length);
    printf("],");
    (void)message;
}

int main(void)
{
    char *buf = NULL;
    size_t n = 0, cap = 0, got;
    do {
        if (cap - n < 65536)
            buf = base_realloc(buf, cap += 1 << 20);
        got = fread(buf + n, 1, cap - n, stdin);
        n += got;
    } while (got > 0);
    struct arena mem;
    struct summary s;
    arena_init(&mem);
    charset_open_all();
    summarize(span_of(buf, n), &s, &mem);
    printf("{\"flags\":%u,\"hops\":%u,\"date\":%lld,\"msgid\":%llu,", s.flags, s.hops, (long long)s.date_s,
           (unsigned long long)s.msgid_hash);
    json("envelope", s.envelope);
    json("structure", summary_pack_text(s.structure));
    json("preview", s.preview);
    parts(&s);
    fields(span_of(buf, n), &s);
    printf("\"bytes\":%zu}\n", s.headers.n + s.envelope.n + s.structure.n + s.preview.n);
    charset_close_all();
    arena_done(&mem);
    free(buf);
    return 0;
}
