/* match_walk: see the header. Each text is decoded and folded once. */
#include "format/match_walk.h"

#include "format/encword.h"
#include "format/fold.h"
#include "format/part_text.h"

struct walk {
    struct span message;
    const struct match_visit *v;
    struct str value, hay;
    struct arena tmp;   /* of one field, of one part */
};

static void header(struct walk *w, const struct mime_part *p, enum match_field kind)
{
    struct header_reader r;
    struct header_field f;
    header_begin(&r, span_sub(w->message, p->at.header_at, p->at.body_at - p->at.header_at));
    while (!w->v->enough(w->v->arg) && header_next(&r, &f)) {
        arena_reset(&w->tmp);
        str_init(&w->value, &w->tmp);
        str_init(&w->hay, &w->tmp);
        str_add(&w->value, f.name);
        str_addz(&w->value, ": ");
        encword_decode(&w->value, f.value);
        fold_text(&w->hay, str_span(&w->value));
        w->v->field(w->v->arg, kind, f.name, str_span(&w->hay));
    }
}

static void body(struct walk *w, const struct mime_part *p)
{
    struct part_text t;
    struct span piece;
    bool first = true;
    arena_reset(&w->tmp);
    part_text_begin(&t, w->message, p, PART_FOLDED, 0, &w->tmp);
    for (; !w->v->enough(w->v->arg) && part_text_next(&t, &piece); first = false)
        w->v->piece(w->v->arg, first, piece);
}

static bool is_text(const struct mime_part *p)
{
    return mime_is_text((enum mime_type)p->at.type) || p->at.type == MIME_MESSAGE;
}

void match_walk(struct span message, const struct match_visit *v, struct arena *mem)
{
    struct mime_tree tree;
    struct walk w = {.message = message, .v = v};
    arena_init(&w.tmp);
    mime_walk(message, &tree, NULL, NULL, mem);
    for (uint32_t i = 0; i < tree.n; i++) {
        bool inner = i > 0 && tree.v[tree.v[i].at.parent].at.type == MIME_RFC822;
        header(&w, &tree.v[i], i == 0 ? MATCH_FIELD_OWN : inner ? MATCH_FIELD_INNER : MATCH_FIELD_PART);
    }
    for (uint32_t i = 0; i < tree.n; i++)
        if (is_text(&tree.v[i]))
            body(&w, &tree.v[i]);
    arena_done(&w.tmp);
}
