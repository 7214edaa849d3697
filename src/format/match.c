/* match: every text is decoded and folded once, piece by piece, and each needle that was not found yet is looked for. */
#include "format/match.h"

#include "format/encword.h"
#include "format/fold.h"
#include "format/part_text.h"

struct job {
    struct span message;
    const struct match_needle *needle;
    struct span text[MATCH_NEEDLES];    /* folded */
    uint32_t n;
    uint64_t found, all;
    size_t longest;                     /* of those looked for in texts that come in pieces */
    struct str value, hay;
    struct arena *mem, tmp;             /* tmp: of one part */
};

static void look(struct job *j, struct span hay, enum match_where where)
{
    for (uint32_t i = 0; i < j->n; i++) {
        uint64_t bit = (uint64_t)1 << i;
        if ((j->all & ~j->found & bit) != 0 && j->needle[i].where == where && j->text[i].n <= hay.n &&
            memmem(hay.p, hay.n, j->text[i].p, j->text[i].n) != NULL)
            j->found |= bit;
    }
}

static void look_named(struct job *j, struct span name, struct span hay)
{
    for (uint32_t i = 0; i < j->n; i++) {
        uint64_t bit = (uint64_t)1 << i;
        if ((j->all & ~j->found & bit) != 0 && j->needle[i].where == MATCH_HEADER && span_eq_nocase(j->needle[i].name, name) &&
            (j->text[i].n == 0 || span_find(hay, j->text[i]) >= 0))
            j->found |= bit;
    }
}

/* The fields of one header as "name: value". own: the message's; inner: that of a message which is attached. */
static void header(struct job *j, const struct mime_part *p, bool own, bool inner)
{
    struct header_reader r;
    struct header_field f;
    header_begin(&r, span_sub(j->message, p->at.header_at, p->at.body_at - p->at.header_at));
    while (j->found != j->all && header_next(&r, &f)) {
        arena_reset(&j->tmp);
        str_init(&j->value, &j->tmp);
        str_init(&j->hay, &j->tmp);
        str_add(&j->value, f.name);
        str_addz(&j->value, ": ");
        encword_decode(&j->value, f.value);
        fold_text(&j->hay, str_span(&j->value));
        struct span hay = str_span(&j->hay);
        look(j, hay, MATCH_TEXT);
        if (inner)
            look(j, hay, MATCH_BODY);
        if (own)
            look_named(j, f.name, span_from(hay, f.name.n + 2));
    }
}

static void body(struct job *j, const struct mime_part *p)
{
    struct part_text t;
    struct span piece;
    arena_reset(&j->tmp);
    str_init(&j->hay, &j->tmp);
    part_text_begin(&t, j->message, p, PART_FOLDED, 0, &j->tmp);
    while (j->found != j->all && part_text_next(&t, &piece)) {
        str_add(&j->hay, piece);
        look(j, str_span(&j->hay), MATCH_TEXT);
        look(j, str_span(&j->hay), MATCH_BODY);
        size_t keep = MIN_OF(j->hay.n, j->longest); /* what a needle that goes on in the next piece may begin with */
        if (keep > 0)
            memmove(j->hay.p, j->hay.p + j->hay.n - keep, keep);
        j->hay.n = keep;
    }
}

static bool is_text(const struct mime_part *p)
{
    return mime_is_text((enum mime_type)p->at.type) || p->at.type == MIME_MESSAGE;
}

static void prepare(struct job *j)
{
    for (uint32_t i = 0; i < j->n; i++) {
        struct str folded;
        uint64_t bit = (uint64_t)1 << i;
        str_init(&folded, j->mem);
        fold_text(&folded, j->needle[i].text);
        j->text[i] = str_span(&folded);
        if (j->text[i].n == 0 && j->needle[i].where != MATCH_HEADER)
            j->found |= bit;
        if (j->text[i].n <= MATCH_NEEDLE_BYTES)
            j->all |= bit;
        if (j->needle[i].where != MATCH_HEADER && j->text[i].n > 0)
            j->longest = MAX_OF(j->longest, MIN_OF(j->text[i].n - 1, (size_t)MATCH_NEEDLE_BYTES));
    }
}

uint64_t match_message(struct span message, const struct match_needle *needles, uint32_t n, struct arena *mem)
{
    struct mime_tree tree;
    struct job *j = arena_zalloc(mem, sizeof *j);
    j->message = message;
    j->needle = needles;
    j->n = MIN_OF(n, (uint32_t)MATCH_NEEDLES);
    j->mem = mem;
    arena_init(&j->tmp);
    prepare(j);
    mime_walk(message, &tree, NULL, NULL, mem);
    for (uint32_t i = 0; i < tree.n && j->found != j->all; i++)
        header(j, &tree.v[i], i == 0, i > 0 && tree.v[tree.v[i].at.parent].at.type == MIME_RFC822);
    for (uint32_t i = 0; i < tree.n && j->found != j->all; i++)
        if (is_text(&tree.v[i]))
            body(j, &tree.v[i]);
    arena_done(&j->tmp);
    return j->found;
}
