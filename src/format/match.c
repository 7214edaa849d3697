/* match: in every text that match_walk shows each needle that was not found yet is looked for. */
#include "format/match.h"

#include "format/fold.h"
#include "format/match_walk.h"

struct job {
    const struct match_needle *needle;
    struct span text[MATCH_NEEDLES];    /* folded */
    uint32_t n;
    uint64_t found, all;
    size_t longest;                     /* of those looked for in texts that come in pieces */
    struct str hay;
    struct arena *mem;
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

static void field(void *arg, enum match_field kind, struct span name, struct span hay)
{
    struct job *j = arg;
    look(j, hay, MATCH_TEXT);
    if (kind == MATCH_FIELD_INNER)
        look(j, hay, MATCH_BODY);
    if (kind == MATCH_FIELD_OWN)
        look_named(j, name, span_from(hay, name.n + 2));
}

static void piece(void *arg, bool first, struct span text)
{
    struct job *j = arg;
    if (first)
        str_clear(&j->hay);
    str_add(&j->hay, text);
    look(j, str_span(&j->hay), MATCH_TEXT);
    look(j, str_span(&j->hay), MATCH_BODY);
    size_t keep = MIN_OF(j->hay.n, j->longest); /* what a needle that goes on in the next piece may begin with */
    if (keep > 0)
        memmove(j->hay.p, j->hay.p + j->hay.n - keep, keep);
    j->hay.n = keep;
}

static bool enough(void *arg)
{
    const struct job *j = arg;
    return j->found == j->all;
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
    struct job *j = arena_zalloc(mem, sizeof *j);
    struct match_visit visit = {.arg = j, .field = field, .piece = piece, .enough = enough};
    j->needle = needles;
    j->n = MIN_OF(n, (uint32_t)MATCH_NEEDLES);
    j->mem = mem;
    str_init(&j->hay, mem);
    prepare(j);
    match_walk(message, &visit, mem);
    return j->found;
}
