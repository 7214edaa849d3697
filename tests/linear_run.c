/* linear_run: one parser over standard input, once, for tools/linear to count its instructions (SEC-08). The limits that
 * would stop it early are lifted, so that what is measured is the parser and not its limit. */
#include "base/limits.h"
#include "format/address.h"
#include "format/charset.h"
#include "format/downgrade.h"
#include "format/encword.h"
#include "format/header.h"
#include "format/html_text.h"
#include "format/match.h"
#include "format/message_id.h"
#include "format/read.h"
#include "format/summary.h"

static struct arena mem;

static void run_address(struct span in)
{
    struct address_reader r;
    struct address a;
    address_begin(&r, in, &mem);
    while (address_next(&r, &a))
        ;
}

static void run_header(struct span in)
{
    struct header_reader r;
    struct header_field f;
    header_begin(&r, in);
    while (header_next(&r, &f))
        header_unfold(f.value, &mem);
}

static void run_encword(struct span in)
{
    struct str out;
    str_init(&out, &mem);
    encword_decode(&out, in);
}

static void run_html(struct span in)
{
    struct str out;
    str_init(&out, &mem);
    html_text(&out, in, SIZE_MAX / 2);
}

static void run_ids(struct span in)
{
    struct span id;
    while (message_id_next(&in, &id, &mem))
        ;
}

static void run_urls(struct span in)
{
    struct str out;
    str_init(&out, &mem);
    read_value(&out, in, READ_URLS, SIZE_MAX / 2, &mem);
}

static void run_mime(struct span in)
{
    struct summary s;
    summarize(in, &s, &mem);
}

static void run_match(struct span in)
{
    const struct match_needle n[] = {{MATCH_TEXT, SPAN(""), SPAN("no such text aaaaaaab")}, {MATCH_BODY, SPAN(""), SPAN("ba")}};
    if (match_message(in, n, COUNT_OF(n), &mem) == 3)
        puts("found");
}

static void run_downgrade(struct span in) { downgrade_message(in, &mem); }

static const struct { const char *name; void (*run)(struct span in); } targets[] = {
    {"address", run_address}, {"header", run_header}, {"encword", run_encword}, {"html", run_html},
    {"ids", run_ids},         {"urls", run_urls},     {"mime", run_mime},       {"match", run_match},
    {"downgrade", run_downgrade},
};

int main(int argc, char **argv)
{
    static char in[8 << 20];
    size_t n = fread(in, 1, sizeof in, stdin);
    limit_value[LIMIT_HEADER_ADDRESSES] = limit_value[LIMIT_HEADER_FIELDS] = limit_value[LIMIT_MIME_PARTS] = 60000;
    limit_value[LIMIT_HEADER_BYTES] = limit_value[LIMIT_HEADER_FIELD_BYTES] = sizeof in;
    for (size_t i = 0; argc == 2 && i < COUNT_OF(targets); i++) {
        if (strcmp(argv[1], targets[i].name) != 0)
            continue;
        targets[i].run(span_of(in, n));
        arena_done(&mem);
        return 0;
    }
    fputs("linear_run TARGET <input\n", stderr);
    return 2;
}
