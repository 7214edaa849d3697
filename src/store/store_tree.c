/* store_tree: mailboxes are made, renamed, moved, subscribed, removed (RFC 9051 6.3.4 to 6.3.8; RFC 8621 2.5). A
 * mailbox knows its parent, so that renaming one changes one row, whatever hangs below it. */
#include "base/limits.h"
#include "base/utf8.h"
#include "store/store_copy.h"
#include "store/store_remove.h"

#include <uninorm.h>

enum {
    STEP = 2000, /* messages per commit */
    SET_ALL = MAILBOX_SET_PARENT | MAILBOX_SET_NAME | MAILBOX_SET_ROLE | MAILBOX_SET_SUBSCRIBED,
};

/* ---- rules ---- */

static bool is_nfc(struct span s)
{
    size_t n = 0;
    if (utf8_ascii(s))
        return true;
    uint8_t *made = u8_normalize(UNINORM_NFC, (const uint8_t *)s.p, s.n, NULL, &n);
    bool same = made != NULL && span_eq(s, span_of(made, n));
    free(made);
    return same;
}

/* RFC 9051 5.1 wants Net-Unicode (RFC 5198): NFC, no control characters. '/' is the separator of IMAP's names. */
static int check_name(struct span name, struct fail *f)
{
    if (name.n == 0 || name.n > (size_t)LIMIT(MAILBOX_NAME_BYTES))
        return fail_perm(f, "5.2.35", "a mailbox's name has 1 to %lld bytes", (long long)LIMIT(MAILBOX_NAME_BYTES));
    struct span rest = name;
    while (rest.n > 0) {
        uint32_t cp;
        size_t n = utf8_decode(rest, &cp);
        if (n == 0 || cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == '/' || cp == 0x2028 || cp == 0x2029)
            return fail_perm(f, "5.2.35", "the name holds characters that no mailbox's name may hold");
        rest = span_from(rest, n);
    }
    return is_nfc(name) ? 0 : fail_perm(f, "5.2.35", "the name is not in the composed form of Unicode (NFC)");
}

/* RFC 9051 5.1: INBOX is one name in any case, at the root. */
static int check_free(const struct store_account *a, const struct store_mailbox *self, uint64_t parent,
                      struct span name, struct fail *f)
{
    bool inbox = parent == 0 && span_eq_nocase(name, SPAN("INBOX"));
    for (const struct store_mailbox *m = a->mailboxes; m != NULL && !inbox; m = m->next)
        if (m != self && m->parent == parent && span_eq(m->name, name))
            inbox = true;
    return inbox ? fail_perm(f, "5.2.31", "a mailbox of that name is there") : 0;
}

static int check_role(const struct store_account *a, const struct store_mailbox *self, uint32_t role, struct fail *f)
{
    if (role > MAILBOX_ARCHIVE)
        return fail_perm(f, "5.5.4", "there is no such role");
    if (role == MAILBOX_INBOX)
        return fail_perm(f, "5.2.34", "the role of INBOX is its alone");
    for (const struct store_mailbox *m = a->mailboxes; m != NULL && role != MAILBOX_PLAIN; m = m->next)
        if (m != self && m->role == role)
            return fail_perm(f, "5.2.31", "another mailbox has that role");
    return 0;
}

static size_t height(const struct store_account *a, const struct store_mailbox *top)
{
    size_t most = 0;
    for (const struct store_mailbox *m = a->mailboxes; m != NULL; m = m->next)
        if (m->parent == top->id)
            most = MAX_OF(most, height(a, m));
    return most + 1;
}

/* self NULL: a new one. */
static int check_parent(struct store_account *a, const struct store_mailbox *self, uint64_t parent, struct fail *f)
{
    size_t depth = self != NULL ? height(a, self) : 1;
    for (uint64_t at = parent; at != 0; depth++) {
        const struct store_mailbox *m = store_account_mailbox(a, at);
        if (m == NULL)
            return fail_perm(f, "5.2.0", "no such mailbox to put it in");
        if (m == self)
            return fail_perm(f, "5.2.34", "a mailbox cannot be put below itself");
        at = m->parent;
    }
    return depth <= (size_t)LIMIT(MAILBOX_DEPTH) ? 0 : fail_perm(f, "5.2.36", "too many levels of mailboxes");
}

static int check_count(const struct store_account *a, struct fail *f)
{
    int64_t n = 0;
    for (const struct store_mailbox *m = a->mailboxes; m != NULL; m = m->next)
        n++;
    return n < LIMIT(MAILBOXES) ? 0 : fail_perm(f, "5.2.36", "too many mailboxes");
}

static int check_new(struct store_account *a, uint64_t parent, struct span name, uint32_t role, struct fail *f)
{
    return check_name(name, f) != 0 || check_parent(a, NULL, parent, f) != 0 ||
                   check_free(a, NULL, parent, name, f) != 0 || check_role(a, NULL, role, f) != 0 ||
                   check_count(a, f) != 0
               ? -1
               : 0;
}

/* ---- making ---- */

int store_tree_create(struct store *s, struct store_op *op)
{
    const struct msg_mailbox_create *in = op->w->in;
    struct msg_mailbox_create_r *out = op->w->out;
    struct fail *f = &op->w->fail;
    struct store_account *a = store_account_get(s, op->account, true);
    if (a == NULL || check_new(a, in->parent, in->name, in->role, f) != 0)
        return -1;
    if (in->subscribed > 1)
        return fail_perm(f, "5.5.4", "subscribed is 0 or 1");
    if (store_account_inbox(s, a, SPAN_NONE) == NULL) /* at the least, and not for one that is refused */
        return -1;
    struct store_mailbox *m = store_account_add(s, a, in->parent, in->name, in->role, in->subscribed != 0);
    if (m == NULL)
        return -1;
    *out = (struct msg_mailbox_create_r){m->id, m->uidvalidity, m->created_modseq};
    return 0;
}

/* ---- changing ---- */

static int change(struct store *s, struct store_op *op, struct store_account *a, struct store_mailbox *m)
{
    const struct msg_mailbox_set *in = op->w->in;
    struct msg_mailbox_set_r *out = op->w->out;
    struct fail *f = &op->w->fail;
    uint64_t parent = in->what & MAILBOX_SET_PARENT ? in->parent : m->parent;
    struct span name = in->what & MAILBOX_SET_NAME ? in->name : m->name;
    uint32_t role = in->what & MAILBOX_SET_ROLE ? in->role : m->role;
    bool subscribed = in->what & MAILBOX_SET_SUBSCRIBED ? in->subscribed != 0 : m->subscribed;
    if (role != m->role && m->role == MAILBOX_INBOX)
        return fail_perm(f, "5.2.34", "INBOX keeps its role");
    if ((in->what & MAILBOX_SET_NAME && check_name(name, f) != 0) ||
        (parent != m->parent && check_parent(a, m, parent, f) != 0) ||
        ((parent != m->parent || !span_eq(name, m->name)) && check_free(a, m, parent, name, f) != 0) ||
        (role != m->role && check_role(a, m, role, f) != 0))
        return -1;
    *out = (struct msg_mailbox_set_r){m->id, a->modseq};
    if (parent == m->parent && span_eq(name, m->name) && role == m->role && subscribed == m->subscribed)
        return 0;
    m->parent = parent;
    m->role = role;
    m->subscribed = subscribed;
    store_account_rename(m, name);
    if (store_account_change(s, a, m) != 0)
        return -1;
    out->modseq = m->changed_modseq;
    return 0;
}

/* RFC 9051 6.3.6: renaming INBOX moves its messages to a new mailbox of that name and leaves INBOX where it is; so its
 * id stays too (RFC 8474 4.3), and what is below it. In steps; out->mailbox tells a later one that it goes on. */
static int rename_inbox(struct store *s, struct store_op *op, struct store_account *a, struct store_mailbox *inbox)
{
    const struct msg_mailbox_set *in = op->w->in;
    struct msg_mailbox_set_r *out = op->w->out;
    uint64_t parent = in->what & MAILBOX_SET_PARENT ? in->parent : inbox->parent;
    struct store_rows rows = {0};
    if ((in->what & (MAILBOX_SET_ROLE | MAILBOX_SET_SUBSCRIBED)) != 0 || (in->what & MAILBOX_SET_NAME) == 0)
        return fail_perm(&op->w->fail, "5.2.34", "INBOX is renamed and nothing else at once");
    if (op->id.n == 0)
        return fail_perm(&op->w->fail, "5.5.4", "renaming INBOX wants an operation id");
    if (out->mailbox == 0) {
        if (check_new(a, parent, in->name, MAILBOX_PLAIN, &op->w->fail) != 0)
            return -1;
        struct store_mailbox *made = store_account_add(s, a, parent, in->name, MAILBOX_PLAIN, true);
        if (made == NULL)
            return -1;
        out->mailbox = made->id;
    }
    struct store_mailbox *to = store_account_mailbox(a, out->mailbox);
    if (to == NULL)
        return fail_perm(&op->w->fail, "5.2.0", "the new mailbox was removed meanwhile");
    if (op->w->trial.count == 0)
        op->w->trial.count = inbox->uidnext; /* what comes meanwhile stays */
    int rc = store_select_mailbox(s, inbox, 1, op->w->trial.count - 1, store_select_step(s, STEP), false, &rows);
    if (rc == 0)
        rc = store_copy_rows(s, a, to, rows.v, rows.n, true);
    out->modseq = a->modseq;
    if (rc == 0 && rows.more) {
        op->state = OP_LATER;
        rc = store_op_remember(s, op, false);
    }
    VEC_FREE(&rows);
    return rc;
}

int store_tree_set(struct store *s, struct store_op *op)
{
    const struct msg_mailbox_set *in = op->w->in;
    struct store_account *a;
    struct store_mailbox *m = store_account_find(s, op, in->mailbox, &a);
    if (m == NULL)
        return -1;
    if ((in->what & ~(uint32_t)SET_ALL) != 0 || in->subscribed > 1)
        return fail_perm(&op->w->fail, "5.5.4", "mailbox_set: unknown bits");
    if (m->role == MAILBOX_INBOX && (in->what & (MAILBOX_SET_PARENT | MAILBOX_SET_NAME)) != 0)
        return rename_inbox(s, op, a, m);
    return change(s, op, a, m);
}

/* ---- removing ---- */

static int check_remove(struct store_account *a, const struct store_mailbox *gone, uint32_t flags, struct fail *f)
{
    if ((flags & ~(uint32_t)MAILBOX_REMOVE_MESSAGES) != 0)
        return fail_perm(f, "5.5.4", "mailbox_remove: unknown flags");
    if (gone->role == MAILBOX_INBOX)
        return fail_perm(f, "5.2.34", "INBOX cannot be removed");
    for (const struct store_mailbox *m = a->mailboxes; m != NULL; m = m->next)
        if (m->parent == gone->id)
            return fail_perm(f, "5.2.32", "there are mailboxes below it");
    return gone->total == 0 || flags == MAILBOX_REMOVE_MESSAGES ? 0 : fail_perm(f, "5.2.33", "it holds messages");
}

int store_tree_remove(struct store *s, struct store_op *op)
{
    const struct msg_mailbox_remove *in = op->w->in;
    struct msg_mailbox_remove_r *out = op->w->out;
    struct store_account *a;
    struct store_mailbox *m = store_account_find(s, op, in->mailbox, &a);
    struct store_rows rows = {0};
    if (m == NULL || check_remove(a, m, in->flags, &op->w->fail) != 0)
        return -1;
    int rc = store_select_mailbox(s, m, 0, INT64_MAX, store_select_step(s, STEP), false, &rows);
    for (size_t i = 0; i < rows.n && rc == 0; i++)
        rc = store_remove_row(s, a, &rows.v[i]);
    if (rc == 0 && rows.more)
        op->state = OP_LATER;
    else if (rc == 0)
        rc = store_account_remove(s, a, m);
    out->modseq = a->modseq;
    VEC_FREE(&rows);
    return rc;
}
