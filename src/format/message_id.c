/* message_id: finds message ids; equal ids must come out equal however they were folded (threads hang on it). */
#include "format/message_id.h"

enum { BARE_BYTES = 4096 }; /* the rest is searched for a < before each bare word: so that this stays linear (SEC-08) */

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == 0; }

static struct span squeeze(struct span s, struct arena *mem)
{
    size_t n = 0;
    s = span_trim(s);
    for (size_t i = 0; i < s.n; i++)
        n += is_blank(s.p[i]);
    if (n == 0)
        return s;
    char *copy = arena_alloc(mem, s.n - n + 1);
    n = 0;
    for (size_t i = 0; i < s.n; i++)
        if (!is_blank(s.p[i]))
            copy[n++] = s.p[i];
    return span_of(copy, n);
}

static bool bare_word(struct span *rest, struct span *id)
{
    *rest = span_trim(*rest);
    size_t n = 0;
    while (n < rest->n && !is_blank(rest->p[n]))
        n++;
    *id = span_of(rest->p, n);
    *rest = span_from(*rest, n);
    return n > 0;
}

bool message_id_next(struct span *rest, struct span *id, struct arena *mem)
{
    while (rest->n > 0) {
        const char *open = memchr(rest->p, '<', rest->n);
        if (open == NULL) /* *rest keeps a '>' before it once an id in <> was told: then the rest is no id */
            return rest->n <= BARE_BYTES && rest->p[0] != '>' && bare_word(rest, id);
        struct span in = span_from(*rest, (size_t)(open - rest->p) + 1);
        const char *close = in.n > 0 ? memchr(in.p, '>', in.n) : NULL;
        *rest = close ? span_from(in, (size_t)(close - in.p)) : SPAN("");
        if (close != NULL)
            in.n = (size_t)(close - in.p);
        *id = squeeze(in, mem);
        if (id->n > 0)
            return true;
    }
    return false;
}

uint64_t message_id_hash(struct span value, struct arena *mem)
{
    struct span id;
    return message_id_next(&value, &id, mem) ? span_hash(id) : 0;
}
