/* The list of mailboxes, and the commands that change it: CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE. */
#include "imap/imap_folder.h"

#include "base/limits.h"
#include "base/rand.h"
#include "imap/imap_name.h"
#include "imap/imap_subscribed.h"

/* ---- the list ---- */

static int by_path(const void *a, const void *b)
{
    const struct imap_folder *x = a, *y = b;
    bool xi = x->row->role == MAILBOX_INBOX, yi = y->row->role == MAILBOX_INBOX;
    return xi != yi ? (int)yi - (int)xi : span_cmp(x->path, y->path);
}

static const struct msg_mailbox_row *row_of(const struct imap_folders *all, uint64_t mailbox)
{
    for (uint32_t i = 0; i < all->n; i++)
        if (all->v[i].row->mailbox == mailbox)
            return all->v[i].row;
    return NULL;
}

/* Parents come from the store's own tree; its depth is bounded there, and here once more. */
static struct span path_of(const struct imap_folders *all, const struct msg_mailbox_row *row, struct arena *mem)
{
    struct span path = row->name;
    for (int64_t depth = 0; row->parent != 0 && depth <= LIMIT(MAILBOX_DEPTH); depth++) {
        row = row_of(all, row->parent);
        if (row == NULL)
            break;
        path = arena_printf(mem, "%.*s/%.*s", SPAN_ARGS(row->name), SPAN_ARGS(path));
    }
    return path;
}

static void mark_parents(struct imap_folders *all)
{
    for (uint32_t i = 0; i < all->n; i++)
        for (uint32_t k = 0; all->v[i].row->parent != 0 && k < all->n; k++)
            if (all->v[k].row->mailbox == all->v[i].row->parent)
                all->v[k].children = true;
}

/* One answer's worth of rows behind those that are there. */
static void add_rows(struct imap *s, struct imap_folders *out, const struct msg_mailbox_list_r *r)
{
    struct imap_folder *v = arena_zalloc(&s->cmd, (out->n + r->mailboxes.n + 1) * sizeof *v);
    if (out->n > 0)
        memcpy(v, out->v, out->n * sizeof *v);
    out->v = v;
    for (uint32_t i = 0; i < r->mailboxes.n; i++)
        out->v[out->n++].row = &r->mailboxes.v[i];
}

WAITS int imap_folder_load(struct imap *s, struct imap_folders *out, struct fail *f)
{
    struct msg_mailbox_list in = {.handle = imap_session_handle(s)};
    struct msg_mailbox_list_r r;
    *out = (struct imap_folders){0};
    do {
        if (IPC_CALL(ROLE_STORE, mailbox_list, &in, &r, &s->cmd, f) < 0)
            return -1;
        add_rows(s, out, &r); /* the rows live in s->cmd */
        in.after = out->n > 0 ? out->v[out->n - 1].row->mailbox : 0;
    } while (r.more != 0 && r.mailboxes.n > 0);
    for (uint32_t i = 0; i < out->n; i++)
        out->v[i].path = path_of(out, out->v[i].row, &s->cmd);
    imap_folder_sort(out);
    mark_parents(out);
    return 0;
}

void imap_folder_sort(struct imap_folders *all)
{
    if (all->n > 1)
        qsort(all->v, all->n, sizeof *all->v, by_path);
}

const struct imap_folder *imap_folder_find(const struct imap_folders *all, struct span path)
{
    for (uint32_t i = 0; i < all->n; i++)
        if (span_eq(all->v[i].path, path))
            return &all->v[i];
    return NULL;
}

WAITS int imap_folder_named(struct imap *s, struct span wire, const struct imap_folder **out, struct fail *f)
{
    struct imap_folders all;
    struct span path;
    *out = NULL;
    if (!imap_name_read(wire, imap_session_utf8(s), &s->cmd, &path))
        return fail_perm(f, "5.2.35", "That is no name of a mailbox");
    if (imap_folder_load(s, &all, f) < 0)
        return -1;
    *out = imap_folder_find(&all, path);
    return *out != NULL ? 0 : fail_perm(f, "5.2.0", "There is no mailbox of that name");
}

/* ---- making ---- */

static const struct { const char *name; uint32_t role; } uses[] = { /* RFC 6154 2 */
    {"\\Drafts", MAILBOX_DRAFTS}, {"\\Sent", MAILBOX_SENT},       {"\\Junk", MAILBOX_JUNK},
    {"\\Trash", MAILBOX_TRASH},   {"\\Archive", MAILBOX_ARCHIVE},
};

const char *imap_folder_use(uint32_t role)
{
    for (size_t i = 0; i < COUNT_OF(uses); i++)
        if (uses[i].role == role)
            return uses[i].name;
    return NULL;
}

static WAITS int create(struct imap *s, uint64_t parent, struct span name, uint32_t role, uint64_t *made, struct fail *f)
{
    struct op_id op = rand_op_id();
    struct msg_mailbox_create in = {.handle = imap_session_handle(s), .op = span_of(op.b, sizeof op.b), .parent = parent,
                                    .name = name, .role = role};
    struct msg_mailbox_create_r out = {0};
    int r = IPC_CALL(ROLE_STORE, mailbox_create, &in, &out, &s->cmd, f);
    *made = out.mailbox;
    return r;
}

/* The mailbox that `path` stands below; makes what is missing on the way (RFC 9051 6.3.4). */
static WAITS int parents(struct imap *s, const struct imap_folders *all, struct span path, uint64_t *parent, struct fail *f)
{
    *parent = 0;
    for (size_t at = 0; at < path.n; at++) {
        if (path.p[at] != '/')
            continue;
        struct span here = span_sub(path, 0, at);
        const struct imap_folder *is = imap_folder_find(all, here);
        if (is != NULL)
            *parent = is->row->mailbox;
        else if (create(s, *parent, imap_name_leaf(here), MAILBOX_PLAIN, parent, f) < 0)
            return -1;
    }
    return 0;
}

/* RFC 6154 3: CREATE name (USE (\Sent)). More than one use: we have one role a mailbox. */
static bool create_options(struct imap_lex *in, uint32_t *role, bool *unknown)
{
    struct span name;
    *role = MAILBOX_PLAIN;
    *unknown = false;
    if (!imap_grammar_may(in, ' '))
        return true;
    imap_grammar_open(in);
    if (!imap_grammar_may_word(in, SPAN("USE")))
        return imap_grammar_bad(in, "there is no such parameter of CREATE");
    imap_grammar_sp(in);
    imap_grammar_open(in);
    while (in->error == NULL && !imap_grammar_may_close(in)) {
        uint32_t found = MAILBOX_PLAIN;
        if (!imap_grammar_want(in, '\\') || !imap_grammar_atom(in, &name))
            break;
        for (size_t i = 0; i < COUNT_OF(uses); i++)
            found = span_eq_nocase(name, span_z(uses[i].name + 1)) ? uses[i].role : found;
        *unknown = *unknown || found == MAILBOX_PLAIN || *role != MAILBOX_PLAIN;
        *role = found;
        imap_grammar_may(in, ' ');
    }
    return imap_grammar_close(in);
}

WAITS int imap_folder_create(struct imap *s, struct imap_lex *in)
{
    struct imap_folders all;
    struct span wire, path;
    struct fail f = {0};
    uint32_t role;
    uint64_t parent, made;
    bool unknown;
    imap_grammar_astring(in, &wire);
    create_options(in, &role, &unknown);
    if (!imap_grammar_end(in))
        return imap_session_bad(s, in->error);
    if (unknown)
        return imap_session_no(s, "[USEATTR] A mailbox has one use, of those that LIST tells"); /* RFC 6154 3 */
    if (!imap_name_read(wire, imap_session_utf8(s), &s->cmd, &path))
        return imap_session_no(s, "[CANNOT] That is no name of a mailbox");
    if (imap_folder_load(s, &all, &f) < 0)
        return imap_session_fail(s, &f, false);
    if (imap_folder_find(&all, path) != NULL)
        return imap_session_no(s, "[ALREADYEXISTS] That mailbox is there already");
    for (uint32_t i = 0; i < all.n; i++)
        if (role != MAILBOX_PLAIN && all.v[i].row->role == role)
            return imap_session_no(s, "[USEATTR] Another mailbox is used for that");
    if (parents(s, &all, path, &parent, &f) < 0 || create(s, parent, imap_name_leaf(path), role, &made, &f) < 0)
        return imap_session_fail(s, &f, false);
    return imap_session_ok(s, "CREATE done");
}

/* ---- removing, renaming, subscribing ---- */

WAITS int imap_folder_delete(struct imap *s, struct imap_lex *in)
{
    const struct imap_folder *is;
    struct span wire;
    struct fail f = {0};
    struct op_id op = rand_op_id();
    struct msg_mailbox_remove_r out;
    imap_grammar_astring(in, &wire);
    if (!imap_grammar_end(in))
        return imap_session_bad(s, in->error);
    if (imap_folder_named(s, wire, &is, &f) < 0)
        return imap_session_fail(s, &f, false);
    if (is->row->role == MAILBOX_INBOX)
        return imap_session_no(s, "[CANNOT] INBOX stays"); /* RFC 9051 6.3.5 */
    if (is->children)
        return imap_session_no(s, "[HASCHILDREN] There are mailboxes below it");
    /* RFC 9051 6.3.7: the name stays subscribed */
    if (is->row->subscribed && imap_subscribed_set(s, is->path, true, NULL, &f) < 0)
        return imap_session_fail(s, &f, false);
    struct msg_mailbox_remove rm = {.handle = imap_session_handle(s), .op = span_of(op.b, sizeof op.b),
                                    .mailbox = is->row->mailbox, .flags = MAILBOX_REMOVE_MESSAGES};
    if (IPC_CALL(ROLE_STORE, mailbox_remove, &rm, &out, &s->cmd, &f) < 0)
        return imap_session_fail(s, &f, false);
    if (s->state == IMAP_SELECTED && s->view.mailbox == is->row->mailbox) {
        imap_session_deselect(s);
        int r = imap_session_untagged(s, "OK [CLOSED] The selected mailbox is no more");
        if (r != 0)
            return r;
    }
    return imap_session_ok(s, "DELETE done");
}

WAITS int imap_folder_rename(struct imap *s, struct imap_lex *in)
{
    struct imap_folders all;
    struct span from, to, old, path;
    struct fail f = {0};
    struct op_id op = rand_op_id();
    struct msg_mailbox_set_r out;
    imap_grammar_astring(in, &from);
    imap_grammar_sp(in);
    imap_grammar_astring(in, &to);
    if (!imap_grammar_end(in))
        return imap_session_bad(s, in->error);
    if (!imap_name_read(from, imap_session_utf8(s), &s->cmd, &old) || !imap_name_read(to, imap_session_utf8(s), &s->cmd, &path))
        return imap_session_no(s, "[CANNOT] That is no name of a mailbox");
    if (imap_folder_load(s, &all, &f) < 0)
        return imap_session_fail(s, &f, false);
    const struct imap_folder *is = imap_folder_find(&all, old);
    if (is == NULL)
        return imap_session_no(s, "[NONEXISTENT] There is no mailbox of that name");
    if (imap_folder_find(&all, path) != NULL)
        return imap_session_no(s, "[ALREADYEXISTS] There is a mailbox of the new name");
    if (span_starts(path, old) && path.n > old.n && path.p[old.n] == '/' && is->row->role != MAILBOX_INBOX)
        return imap_session_no(s, "[CANNOT] A mailbox cannot move below itself");
    struct msg_mailbox_set set = {.handle = imap_session_handle(s), .op = span_of(op.b, sizeof op.b),
                                  .mailbox = is->row->mailbox, .what = MAILBOX_SET_PARENT | MAILBOX_SET_NAME,
                                  .name = imap_name_leaf(path)};
    if (parents(s, &all, path, &set.parent, &f) < 0 ||
        IPC_CALL(ROLE_STORE, mailbox_set, &set, &out, &s->cmd, &f) < 0)
        return imap_session_fail(s, &f, false);
    return imap_session_ok(s, "RENAME done");
}

static WAITS int set_subscribed(struct imap *s, const struct imap_folder *is, bool on, struct fail *f)
{
    struct op_id op = rand_op_id();
    struct msg_mailbox_set_r out;
    struct msg_mailbox_set set = {.handle = imap_session_handle(s), .op = span_of(op.b, sizeof op.b),
                                  .mailbox = is->row->mailbox, .what = MAILBOX_SET_SUBSCRIBED, .subscribed = on};
    return (is->row->subscribed != 0) == on ? 0 : IPC_CALL(ROLE_STORE, mailbox_set, &set, &out, &s->cmd, f);
}

WAITS int imap_folder_subscribe(struct imap *s, struct imap_lex *in)
{
    const struct imap_folder *is;
    struct span wire;
    struct fail f = {0};
    imap_grammar_astring(in, &wire);
    if (!imap_grammar_end(in))
        return imap_session_bad(s, in->error);
    if (imap_folder_named(s, wire, &is, &f) < 0 || set_subscribed(s, is, true, &f) < 0)
        return imap_session_fail(s, &f, false);
    return imap_session_ok(s, "SUBSCRIBE done");
}

/* Of a mailbox, and of a name that has none any more. */
WAITS int imap_folder_unsubscribe(struct imap *s, struct imap_lex *in)
{
    struct imap_folders all;
    struct span wire, path;
    struct fail f = {0};
    bool kept = false;
    imap_grammar_astring(in, &wire);
    if (!imap_grammar_end(in))
        return imap_session_bad(s, in->error);
    if (!imap_name_read(wire, imap_session_utf8(s), &s->cmd, &path))
        return imap_session_no(s, "[CANNOT] That is no name of a mailbox");
    if (imap_folder_load(s, &all, &f) < 0 || imap_subscribed_set(s, path, false, &kept, &f) < 0)
        return imap_session_fail(s, &f, false);
    const struct imap_folder *is = imap_folder_find(&all, path);
    if (is == NULL && !kept)
        return imap_session_no(s, "[NONEXISTENT] There is no mailbox of that name");
    if (is != NULL && set_subscribed(s, is, false, &f) < 0)
        return imap_session_fail(s, &f, false);
    return imap_session_ok(s, "UNSUBSCRIBE done");
}
