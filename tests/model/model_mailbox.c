/* model_mailbox: mailboxes are made, renamed, moved, subscribed, removed (RFC 9051 6.3.4 to 6.3.8; RFC 8621 2). */
#include "model.h"

/* ---- what is allowed ---- */

/* RFC 9051 5.1: one level, without the separator and control characters. The names of the test are NFC otherwise. */
static int check_name(const char *name, struct model_answer *out)
{
    for (const char *p = name; *p != 0; p++)
        if (*p == '/' || (unsigned char)*p < 0x20 || *p == 0x7f)
            return model_refuse(out, "5.2.35");
    return *name != 0 ? 0 : model_refuse(out, "5.2.35");
}

static size_t height(struct model_account *a, uint64_t top)
{
    size_t most = 0;
    for (size_t i = 0; i < a->n_boxes; i++)
        if (a->boxes[i].parent == top)
            most = MAX_OF(most, height(a, a->boxes[i].id));
    return most + 1;
}

static int check_parent(struct model_account *a, uint64_t self, uint64_t parent, struct model_answer *out)
{
    size_t depth = self != 0 ? height(a, self) : 1;
    for (uint64_t at = parent; at != 0; depth++) {
        const struct model_box *b = model_box(a, at);
        if (b == NULL)
            return model_refuse(out, "5.2.0");
        if (b->id == self)
            return model_refuse(out, "5.2.34");
        at = b->parent;
    }
    return depth <= MODEL_DEPTH ? 0 : model_refuse(out, "5.2.36");
}

/* RFC 9051 5.1: at the root INBOX is one name in any case. */
static int check_free(struct model_account *a, uint64_t self, uint64_t parent, const char *name,
                      struct model_answer *out)
{
    if (parent == 0 && span_eq_nocase(span_z(name), SPAN("INBOX")))
        return model_refuse(out, "5.2.31");
    for (size_t i = 0; i < a->n_boxes; i++)
        if (a->boxes[i].id != self && a->boxes[i].parent == parent && strcmp(a->boxes[i].name, name) == 0)
            return model_refuse(out, "5.2.31");
    return 0;
}

/* RFC 8621 2: one mailbox of a role in an account. */
static int check_role(struct model_account *a, uint64_t self, uint32_t role, struct model_answer *out)
{
    if (role == MAILBOX_INBOX)
        return model_refuse(out, "5.2.34");
    for (size_t i = 0; i < a->n_boxes; i++)
        if (a->boxes[i].id != self && role != MAILBOX_PLAIN && a->boxes[i].role == role)
            return model_refuse(out, "5.2.31");
    return 0;
}

static int check_new(struct model_account *a, uint64_t parent, const char *name, uint32_t role,
                     struct model_answer *out)
{
    if (check_name(name, out) != 0 || check_parent(a, 0, parent, out) != 0 ||
        check_free(a, 0, parent, name, out) != 0 || check_role(a, 0, role, out) != 0)
        return -1;
    return a->n_boxes < MODEL_BOXES ? 0 : model_refuse(out, "5.2.36");
}

/* ---- making ---- */

int model_create(struct model_account *a, const struct model_request *q, const struct model_answer *told,
                 struct model_answer *out)
{
    if (check_new(a, q->parent, q->name, q->role, out) != 0)
        return -1;
    if (model_box(a, 0) == NULL) /* RFC 9051 5.1: INBOX is there before all others */
        model_box_add(a, told->mailbox - 1, 0, "INBOX", MAILBOX_INBOX, true);
    struct model_box *b = model_box_add(a, told->mailbox, q->parent, q->name, q->role, q->subscribed != 0);
    b->uidvalidity = told->uidvalidity;
    out->mailbox = b->id;
    out->uidvalidity = b->uidvalidity;
    out->modseq = b->modseq;
    return 0;
}

/* ---- changing ---- */

static size_t count_in(const struct model_account *a, uint64_t box)
{
    size_t n = 0;
    for (size_t i = 0; i < a->n_members; i++)
        n += a->members[i].box == box;
    return n;
}

/* RFC 9051 6.3.6: INBOX stays, empty; its messages go to a new mailbox of that name. */
static int rename_inbox(struct model_account *a, const struct model_request *q, const struct model_answer *told,
                        struct model_answer *out)
{
    uint64_t inbox = model_box(a, 0)->id, parent = q->what & MAILBOX_SET_PARENT ? q->parent : 0;
    size_t first = 0;
    if ((q->what & (MAILBOX_SET_ROLE | MAILBOX_SET_SUBSCRIBED)) != 0 || (q->what & MAILBOX_SET_NAME) == 0)
        return model_refuse(out, "5.2.34");
    if (check_new(a, parent, q->name, MAILBOX_PLAIN, out) != 0)
        return -1;
    struct model_box *to = model_box_add(a, told->mailbox, parent, q->name, MAILBOX_PLAIN, true);
    while (first < a->n_members && a->members[first].box != inbox)
        first++;
    for (size_t left = count_in(a, inbox); left > 0;) { /* in steps: some come, then they go */
        size_t some = q->step != 0 ? MIN_OF(left, (size_t)q->step) : left;
        for (size_t i = 0; i < some; i++) { /* the new one's come behind them in the array */
            struct model_member m = a->members[first + i];
            model_member_add(a, to, &m);
        }
        for (size_t i = 0; i < some; i++)
            model_member_remove(a, first, true);
        left -= some;
    }
    out->mailbox = to->id;
    out->modseq = a->modseq;
    return 0;
}

int model_set(struct model_account *a, const struct model_request *q, const struct model_answer *told,
              struct model_answer *out)
{
    struct model_box *b = model_box(a, q->mailbox);
    if (b == NULL)
        return model_refuse(out, "5.2.0");
    if (b->role == MAILBOX_INBOX && (q->what & (MAILBOX_SET_PARENT | MAILBOX_SET_NAME)) != 0)
        return rename_inbox(a, q, told, out);
    uint64_t parent = q->what & MAILBOX_SET_PARENT ? q->parent : b->parent;
    const char *name = q->what & MAILBOX_SET_NAME ? q->name : b->name;
    uint32_t role = q->what & MAILBOX_SET_ROLE ? q->role : b->role;
    bool subscribed = q->what & MAILBOX_SET_SUBSCRIBED ? q->subscribed != 0 : b->subscribed;
    bool elsewhere = parent != b->parent || strcmp(name, b->name) != 0;
    if (role != b->role && b->role == MAILBOX_INBOX)
        return model_refuse(out, "5.2.34");
    if (((q->what & MAILBOX_SET_NAME) != 0 && check_name(name, out) != 0) ||
        (parent != b->parent && check_parent(a, b->id, parent, out) != 0) ||
        (elsewhere && check_free(a, b->id, parent, name, out) != 0) ||
        (role != b->role && check_role(a, b->id, role, out) != 0))
        return -1;
    if (elsewhere || role != b->role || subscribed != b->subscribed)
        b->changed = model_stamp(a, b);
    b->parent = parent;
    b->role = role;
    b->subscribed = subscribed;
    if (name != b->name)
        snprintf(b->name, sizeof b->name, "%s", name);
    out->mailbox = b->id;
    out->modseq = a->modseq;
    return 0;
}

/* ---- removing ---- */

/* RFC 9051 6.3.5, RFC 8621 2.5 (onDestroyRemoveEmails): its messages go first, each with a tombstone. */
int model_remove(struct model_account *a, const struct model_request *q, struct model_answer *out)
{
    struct model_box *b = model_box(a, q->mailbox);
    size_t first = 0;
    if (b == NULL)
        return model_refuse(out, "5.2.0");
    if (b->role == MAILBOX_INBOX)
        return model_refuse(out, "5.2.34");
    for (size_t i = 0; i < a->n_boxes; i++)
        if (a->boxes[i].parent == b->id)
            return model_refuse(out, "5.2.32");
    while (first < a->n_members && a->members[first].box != b->id)
        first++;
    if (first < a->n_members && q->flags != MAILBOX_REMOVE_MESSAGES)
        return model_refuse(out, "5.2.33");
    while (first < a->n_members && a->members[first].box == b->id)
        model_member_remove(a, first, false);
    a->gone[a->n_gone++] = (struct model_gone){.modseq = model_stamp(a, b), .box = b->id, .at_h = a->hours};
    memmove(b, b + 1, (size_t)((char *)(a->boxes + a->n_boxes) - (char *)(b + 1)));
    a->n_boxes--;
    out->modseq = a->modseq;
    return 0;
}
