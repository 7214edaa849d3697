/* The memory of recipients. A change of the directory is seen by auth's counter at once, so the time limit is only there
 * to bound what a lost counter page could do. Bounded in number; full, it starts anew: entries live for seconds anyway. */
#include "smtp/smtp_in_rcpt.h"

#include "base/limits.h"
#include "base/map.h"
#include "run/shared.h"

enum { ENTRIES_MAX = 4096, TARGETS_MAX = 8 }; /* an alias to many, or to elsewhere, is asked for each time */

struct entry { /* one block of memory: the targets' texts stand behind v */
    int64_t at_ms;
    uint64_t generation;
    uint32_t status, flags, n;
    struct msg_rcpt_target v[];
};

static struct map answers;

void smtp_in_rcpt_forget(void)
{
    struct span key;
    void *value;
    for (size_t at = 0; map_next(&answers, &at, &key, &value);)
        free(value);
    map_done(&answers);
    map_init(&answers);
}

static const struct entry *find(struct span address)
{
    const struct entry *e = map_get(&answers, address);
    if (e == NULL || e->generation != counter_of(ROLE_AUTH, COUNTER_DIRECTORY_GENERATION) ||
        clock_mono_ms() - e->at_ms >= LIMIT(RCPT_CACHE_MS))
        return NULL;
    return e;
}

static struct span put(char **to, struct span s)
{
    struct span copy = span_of(*to, s.n);
    if (s.n > 0)
        memcpy(*to, s.p, s.n);
    *to += s.n;
    return copy;
}

static void remember(struct span address, const struct msg_rcpt_check_r *r)
{
    size_t bytes = 0;
    if (LIMIT(RCPT_CACHE_MS) == 0 || r->targets.n > TARGETS_MAX || r->forwards.n > 0)
        return;
    if (map_count(&answers) >= ENTRIES_MAX)
        smtp_in_rcpt_forget();
    for (uint32_t i = 0; i < r->targets.n; i++)
        bytes += r->targets.v[i].address.n + r->targets.v[i].lang.n;
    struct entry *e = base_alloc(sizeof *e + r->targets.n * sizeof e->v[0] + bytes);
    char *text = (char *)&e->v[r->targets.n];
    e->at_ms = clock_mono_ms();
    e->generation = r->generation;
    e->status = r->status;
    e->flags = r->flags;
    e->n = r->targets.n;
    for (uint32_t i = 0; i < e->n; i++) {
        const struct msg_rcpt_target *t = &r->targets.v[i];
        e->v[i].account = t->account;
        e->v[i].address = put(&text, t->address);
        e->v[i].lang = put(&text, t->lang);
    }
    free(map_put(&answers, address, e));
}

static void recall(const struct entry *e, struct msg_rcpt_check_r *out, struct arena *mem)
{
    *out = (struct msg_rcpt_check_r){.status = e->status, .generation = e->generation, .flags = e->flags};
    out->targets.n = e->n;
    out->targets.v = arena_alloc(mem, e->n * sizeof e->v[0]);
    for (uint32_t i = 0; i < e->n; i++) {
        out->targets.v[i].account = e->v[i].account;
        out->targets.v[i].address = arena_copy(mem, e->v[i].address);
        out->targets.v[i].lang = arena_copy(mem, e->v[i].lang);
    }
}

WAITS int smtp_in_rcpt_check(struct span address, struct msg_rcpt_check_r *out, struct arena *mem, struct fail *f)
{
    const struct entry *e = find(address);
    if (e != NULL) {
        recall(e, out, mem);
        return 0;
    }
    struct msg_rcpt_check in = {.address = address};
    if (IPC_CALL(ROLE_AUTH, rcpt_check, &in, out, mem, f) < 0)
        return -1;
    remember(address, out);
    return 0;
}
