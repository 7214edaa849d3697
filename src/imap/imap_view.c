/* imap_view: messages by number and UID, their keywords, sets resolved, and what is told of changes. What store says comes
 * in by imap_view_load.c. */
#include "imap/imap_view.h"

#include "imap/imap_session.h"
#include "imap/imap_view_load.h"

void imap_view_init(struct imap_view *v)
{
    *v = (struct imap_view){0};
    arena_init(&v->mem);
    map_init(&v->set_of);
    map_init(&v->words);
}

void imap_view_done(struct imap_view *v)
{
    free(v->v);
    free(v->sets);
    free(v->saved);
    map_done(&v->set_of);
    map_done(&v->words);
    arena_done(&v->mem);
    *v = (struct imap_view){0};
}

/* ---- keywords: each set of them is kept once --------------------------------------------------------------------------- */

struct span imap_view_keywords(const struct imap_view *v, const struct imap_message *m)
{
    return m->keywords != 0 && m->keywords < v->n_sets ? v->sets[m->keywords] : SPAN("");
}

static void note_words(struct imap_view *v, struct span set)
{
    for (struct span rest = set; rest.p != NULL;) {
        struct span word = span_split(&rest, ' ');
        if (word.n > 0 && map_put(&v->words, word, v) == NULL) {
            v->n_words++;
            v->new_words = true;
        }
    }
}

uint32_t imap_view_intern(struct imap_view *v, struct span set)
{
    if (set.n == 0)
        return 0;
    uintptr_t known = (uintptr_t)map_get(&v->set_of, set);
    if (known != 0)
        return (uint32_t)known;
    if (v->n_sets + 2 >= 1u << 24)
        return 0; /* what a message's 24 bits can count */
    if (v->n_sets + 2 > v->cap_sets) {
        v->cap_sets = MAX_OF(v->cap_sets * 2, 8u);
        v->sets = base_realloc(v->sets, v->cap_sets * sizeof *v->sets);
    }
    if (v->n_sets == 0)
        v->sets[v->n_sets++] = SPAN("");
    v->sets[v->n_sets] = arena_copy(&v->mem, set);
    map_put(&v->set_of, set, (void *)(uintptr_t)v->n_sets);
    note_words(v, set);
    return v->n_sets++;
}

/* ---- finding ----------------------------------------------------------------------------------------------------------- */

/* The first index below `end` whose UID is not below uid; end when there is none. */
static uint32_t lower(const struct imap_view *v, uint32_t end, uint32_t uid)
{
    uint32_t low = 0, high = end;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (v->v[mid].uid < uid)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct imap_message *imap_view_by_uid(struct imap_view *v, uint32_t uid)
{
    uint32_t at = lower(v, v->told, uid);
    return at < v->told && v->v[at].uid == uid ? &v->v[at] : NULL;
}

static int range_order(const void *a, const void *b)
{
    const struct imap_range *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

/* RFC 9051 6.4.9: 559:* names the last one even if its UID is smaller. Of no message no * is left: 0. */
static struct imap_range without_star(const struct imap_view *v, struct imap_range r)
{
    uint32_t largest = v->told > 0 ? v->v[v->told - 1].uid : 0;
    uint32_t first = r.first == IMAP_STAR ? largest : r.first, last = r.last == IMAP_STAR ? largest : r.last;
    return first <= last ? (struct imap_range){first, last} : (struct imap_range){last, first};
}

/* A range of UIDs as indexes; false: none of them is here. */
static bool uids_to_indexes(const struct imap_view *v, struct imap_range r, struct imap_range *out)
{
    if (v->told == 0)
        return false;
    r = without_star(v, r);
    out->first = lower(v, v->told, r.first);
    uint32_t end = r.last == UINT32_MAX ? v->told : lower(v, v->told, r.last + 1);
    out->last = end - 1;
    return out->first < end;
}

uint32_t imap_view_set(const struct imap_view *v, const struct imap_set *set, struct arena *mem, struct msg_uid_range **out)
{
    const struct imap_range *in = set->saved ? v->saved : set->v;
    uint32_t n_in = set->saved ? v->n_saved : set->n, n = 0;
    *out = arena_alloc(mem, (n_in + 1) * sizeof **out);
    for (uint32_t i = 0; i < n_in; i++) {
        struct imap_range r = without_star(v, in[i]);
        if (r.last > 0)
            (*out)[n++] = (struct msg_uid_range){r.first, r.last};
    }
    return n;
}

static int numbers_to_indexes(const struct imap_view *v, struct imap_range r, struct imap_range *out)
{
    uint32_t first = r.first == IMAP_STAR ? v->told : r.first, last = r.last == IMAP_STAR ? v->told : r.last;
    if (first > last) {
        uint32_t swap = first;
        first = last;
        last = swap;
    }
    if (first == 0 || last > v->told)
        return -1;
    *out = (struct imap_range){first - 1, last - 1};
    return 0;
}

int imap_view_resolve(struct imap_view *v, const struct imap_set *set, bool by_uid, struct arena *mem,
                      struct imap_range **out, uint32_t *n)
{
    const struct imap_range *in = set->saved ? v->saved : set->v;
    uint32_t n_in = set->saved ? v->n_saved : set->n, kept = 0;
    struct imap_range *o = arena_alloc(mem, (n_in + 1) * sizeof *o);
    *out = o;
    *n = 0;
    for (uint32_t i = 0; i < n_in; i++) {
        if (by_uid || set->saved) {
            kept += uids_to_indexes(v, in[i], &o[kept]);
        } else if (numbers_to_indexes(v, in[i], &o[kept]) < 0) {
            return -1;
        } else {
            kept++;
        }
    }
    qsort(o, kept, sizeof *o, range_order);
    for (uint32_t i = 0; i < kept; i++) {
        if (*n > 0 && o[i].first <= o[*n - 1].last + 1)
            o[*n - 1].last = MAX_OF(o[*n - 1].last, o[i].last);
        else
            o[(*n)++] = o[i];
    }
    return 0;
}

uint32_t imap_view_uids(const struct imap_view *v, const struct imap_range *idx, uint32_t n, struct msg_uid_range *out,
                        uint32_t most, uint32_t *next)
{
    uint32_t made = 0;
    for (uint32_t r = 0; r < n; r++) {
        bool joined = false; /* to the message before: between two that are here no UID is in use */
        for (uint32_t i = MAX_OF(idx[r].first, *next); i <= idx[r].last; i++) {
            if (v->v[i].gone) {
                joined = false;
                continue;
            }
            if (joined) {
                out[made - 1].last = v->v[i].uid;
                continue;
            }
            if (made == most) {
                *next = i;
                return made;
            }
            out[made++] = (struct msg_uid_range){v->v[i].uid, v->v[i].uid};
            joined = true;
        }
    }
    *next = UINT32_MAX;
    return made;
}

/* ---- telling ----------------------------------------------------------------------------------------------------------- */

/* RFC 9051 7.5.1: each EXPUNGE moves the numbers behind it down by one. */
static WAITS int tell_gone(struct imap *s)
{
    struct imap_view *v = &s->view;
    uint32_t kept = 0;
    int r = 0;
    for (uint32_t i = 0; i < v->told && r == 0; i++)
        if (v->v[i].gone)
            r = conn_printf(s->c, "* %u EXPUNGE\r\n", kept + 1);
        else
            kept++;
    if (r != 0)
        return r; /* the connection is over, the numbers matter no more */
    kept = 0;
    for (uint32_t i = 0; i < v->told; i++) {
        if (v->v[i].gone)
            v->n_changed -= v->v[i].changed;
        else
            v->v[kept++] = v->v[i];
    }
    memmove(v->v + kept, v->v + v->told, (v->n - v->told) * sizeof *v->v);
    v->n -= v->told - kept;
    v->told = kept;
    v->n_gone = 0;
    return 0;
}

WAITS int imap_view_tell_words(struct imap *s)
{
    struct imap_view *v = &s->view;
    struct str line;
    struct span word;
    void *value;
    size_t at = 0;
    str_init(&line, &s->cmd);
    str_addz(&line, "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft");
    while (map_next(&v->words, &at, &word, &value)) {
        str_addc(&line, ' ');
        str_add(&line, word);
    }
    str_addz(&line, ")\r\n");
    v->new_words = false;
    return conn_write(s->c, str_span(&line));
}

WAITS int imap_view_tell_flags(struct imap *s, uint32_t index, bool uid)
{
    struct imap_view *v = &s->view;
    struct imap_message *m = &v->v[index];
    struct arena mem;
    struct str line;
    arena_init(&mem);
    str_init(&line, &mem);
    str_addf(&line, "* %u FETCH (", index + 1);
    if (uid)
        str_addf(&line, "UID %u ", m->uid);
    str_addz(&line, "FLAGS ");
    imap_grammar_add_flags(&line, m->flags, imap_view_keywords(v, m));
    str_addz(&line, ")\r\n");
    v->n_changed -= m->changed;
    m->changed = 0;
    int r = conn_write(s->c, str_span(&line));
    arena_done(&mem);
    return r;
}

WAITS int imap_view_tell(struct imap *s, bool expunge)
{
    struct imap_view *v = &s->view;
    int r = 0;
    if (v->n_gone > 0 && expunge)
        r = tell_gone(s);
    if (r == 0 && v->n > v->told) {
        v->told = v->n;
        r = conn_printf(s->c, "* %u EXISTS\r\n", v->n);
    }
    if (r == 0 && v->new_words)
        r = imap_view_tell_words(s);
    for (uint32_t i = 0; i < v->told && v->n_changed > 0 && r == 0; i++)
        if (v->v[i].changed && !v->v[i].gone)
            r = imap_view_tell_flags(s, i, true);
    return r;
}
