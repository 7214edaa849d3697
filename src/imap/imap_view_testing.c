/* For tests and fuzzing of search keys: a view of 10 messages with UIDs 10, 20, ... 100 that needs no store. */
#include "imap/imap_view_testing.h"

int imap_view_resolve(struct imap_view *v, const struct imap_set *set, bool by_uid, struct arena *mem,
                      struct imap_range **out, uint32_t *n)
{
    bool in[10] = {0};
    *n = 0;
    *out = arena_alloc(mem, 10 * sizeof **out);
    for (uint32_t i = 0; i < set->n; i++) {
        uint32_t most = by_uid ? v->v[v->n - 1].uid : v->n;
        uint32_t a = set->v[i].first == IMAP_STAR ? most : set->v[i].first, b = set->v[i].last == IMAP_STAR ? most : set->v[i].last;
        if (!by_uid && MAX_OF(a, b) > v->n)
            return -1;
        for (uint32_t k = 0; k < v->n; k++) {
            uint32_t number = by_uid ? v->v[k].uid : k + 1;
            in[k] = in[k] || (number >= MIN_OF(a, b) && number <= MAX_OF(a, b));
        }
    }
    for (uint32_t k = 0; k < v->n; k++)
        if (in[k])
            (*out)[(*n)++] = (struct imap_range){k, k};
    return 0;
}

struct span imap_view_keywords(const struct imap_view *v, const struct imap_message *m)
{
    return m->keywords > 0 ? SPAN("$forwarded work") : SPAN("");
}

void imap_view_testing(struct imap_view *v, struct imap_message m[10])
{
    *v = (struct imap_view){.v = m, .n = 10, .told = 10};
    for (uint32_t i = 0; i < 10; i++)
        m[i] = (struct imap_message){.uid = 10 * (i + 1), .flags = i & 31, .keywords = i == 3};
}
