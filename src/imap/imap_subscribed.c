/* One value holds all such names, a line each: they are few. A mailbox that exists keeps its subscription in its row. */
#include "imap/imap_subscribed.h"

#include "base/limits.h"
#include "base/str.h"

static const struct span key = {"imap/subscribed", 15};

static WAITS int get(struct imap *s, struct span *names, struct fail *f)
{
    struct msg_kv_get in = {.handle = imap_session_handle(s), .key = key};
    struct msg_kv_get_r out;
    int r = IPC_CALL(ROLE_STORE, kv_get, &in, &out, &s->cmd, f);
    *names = r == 0 && out.found ? out.value : SPAN("");
    return r;
}

static struct imap_folder *add(struct imap_folders *all, struct span path, struct arena *mem)
{
    struct imap_folder *v = arena_zalloc(mem, (all->n + 1) * sizeof *v);
    if (all->n > 0)
        memcpy(v, all->v, all->n * sizeof *v);
    all->v = v;
    v[all->n].path = path;
    return &v[all->n++];
}

static struct imap_folder *find(struct imap_folders *all, struct span path)
{
    for (uint32_t i = 0; i < all->n; i++)
        if (span_eq(all->v[i].path, path))
            return &all->v[i];
    return NULL;
}

/* The row of `path` as one that is subscribed, or at least is named. */
static void name(struct imap_folders *all, struct span path, bool subscribed, struct arena *mem)
{
    struct imap_folder *is = find(all, path);
    struct msg_mailbox_row *row = arena_zalloc(mem, sizeof *row);
    if (is == NULL)
        is = add(all, path, mem);
    else
        *row = *is->row;
    row->subscribed = row->subscribed || subscribed;
    is->row = row;
}

WAITS int imap_subscribed_load(struct imap *s, struct imap_folders *all, struct fail *f)
{
    struct span names;
    if (get(s, &names, f) < 0)
        return -1;
    while (names.n > 0) {
        struct span path = span_split(&names, '\n');
        for (size_t at = 0; at < path.n; at++)
            if (path.p[at] == '/' && find(all, span_sub(path, 0, at)) == NULL)
                name(all, span_sub(path, 0, at), false, &s->cmd);
        if (path.n > 0)
            name(all, path, true, &s->cmd);
    }
    imap_folder_sort(all);
    return 0;
}

WAITS int imap_subscribed_set(struct imap *s, struct span path, bool on, bool *was, struct fail *f)
{
    struct span names;
    struct str left;
    bool found = false;
    if (get(s, &names, f) < 0)
        return -1;
    str_init(&left, &s->cmd);
    while (names.n > 0) {
        struct span one = span_split(&names, '\n');
        bool same = span_eq(one, path);
        found = found || same;
        if (same || one.n == 0)
            continue;
        str_add(&left, one);
        str_addc(&left, '\n');
    }
    if (was != NULL)
        *was = found;
    if (!on && !found)
        return 0;
    if (on) {
        str_add(&left, path);
        str_addc(&left, '\n');
    }
    struct span value = str_span(&left);
    while (value.n > (size_t)LIMIT(KV_VALUE_BYTES))
        span_split(&value, '\n');
    struct msg_kv_set in = {.handle = imap_session_handle(s), .key = key, .value = value, .remove = value.n == 0};
    struct msg_kv_set_r out;
    return IPC_CALL(ROLE_STORE, kv_set, &in, &out, &s->cmd, f);
}
