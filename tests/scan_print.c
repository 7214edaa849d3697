/* scan_print: prints the summary of a message on standard input as JSON, for comparisons with other parsers. With "all" as
 * argument also the contents of the parts and the values of the header; words behind it are searched for. */
#include "format/charset.h"
#include "format/match.h"
#include "format/mime_walk.h"
#include "format/read.h"
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

static void hex(const char *key, struct span s)
{
    printf("\"%s\":\"", key);
    for (size_t i = 0; i < s.n; i++)
        printf("%02x", (unsigned char)s.p[i]);
    putchar('"');
}

/* In slices, as a caller reads it. */
static void content(const char *key, struct span message, const struct mime_part *p, enum part_form form, struct arena *mem)
{
    struct read_slice s = {.length = 1000};
    struct str all;
    str_init(&all, mem);
    do {
        read_slice(message, p, form, &s, mem);
        str_add(&all, s.data);
    } while (!s.end);
    hex(key, str_span(&all));
}

static void contents(struct span message, struct arena *mem)
{
    struct mime_tree tree;
    mime_walk(message, &tree, NULL, NULL, mem);
    printf("\"contents\":[");
    for (uint32_t i = 0; i < tree.n; i++) {
        printf("%s{", i > 0 ? "," : "");
        content("decoded", message, &tree.v[i], PART_DECODED, mem);
        putchar(',');
        content("text", message, &tree.v[i], PART_TEXT, mem);
        putchar('}');
    }
    printf("],\"values\":[");
    struct header_reader r;
    struct header_field f;
    header_begin(&r, span_sub(message, 0, tree.v[0].at.body_at));
    for (bool first = true; header_next(&r, &f); first = false) {
        struct str text, addresses;
        str_init(&text, mem);
        str_init(&addresses, mem);
        read_value(&text, f.value, READ_TEXT, SIZE_MAX / 4, mem);
        read_value(&addresses, f.value, READ_ADDRESSES, SIZE_MAX / 4, mem);
        printf("%s{", first ? "" : ",");
        hex("name", f.name);
        putchar(',');
        hex("text", str_span(&text));
        putchar(',');
        hex("addresses", str_span(&addresses));
        putchar('}');
    }
    printf("],");
}

static void search(struct span message, char **words, int n, struct arena *mem)
{
    struct match_needle needles[MATCH_NEEDLES];
    for (int i = 0; i < n && i < MATCH_NEEDLES; i++)
        needles[i] = (struct match_needle){.where = MATCH_TEXT, .text = span_z(words[i])};
    printf("\"found\":%llu,", (unsigned long long)match_message(message, needles, (uint32_t)n, mem));
}

int main(int argc, char **argv)
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
    if (argc > 1 && strcmp(argv[1], "all") == 0) {
        contents(span_of(buf, n), &mem);
        search(span_of(buf, n), argv + 2, MIN_OF(argc - 2, (int)MATCH_NEEDLES), &mem);
    }
    printf("\"bytes\":%zu}\n", s.headers.n + s.envelope.n + s.structure.n + s.preview.n);
    charset_close_all();
    arena_done(&mem);
    free(buf);
    return 0;
}
