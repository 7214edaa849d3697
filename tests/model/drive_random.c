/* drive_random: the operations of a round. They name what was there before it, so that any order of theirs makes sense. */
#include "drive.h"

#include "base/clock.h"
#include "base/str.h"

static const char *const names[] = {"Archive", "Sent", "a", "b", "a", "Work", "Entw\xc3\xbcrfe", "INBOX", "inbox",
                                    "x/y", "", "line\n", "Trash", "Junk"};

uint64_t drive_below(struct drive *d, uint64_t n)
{
    uint64_t z = d->random += 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % n;
}

static bool chance(struct drive *d, unsigned one_in)
{
    return drive_below(d, one_in) == 0;
}

static struct op_id new_id(struct drive *d)
{
    struct op_id op;
    uint64_t now = (uint64_t)clock_now_ms(), a = drive_below(d, UINT64_MAX), b = drive_below(d, UINT64_MAX);
    for (int i = 0; i < 6; i++)
        op.b[i] = (unsigned char)(now >> (40 - 8 * i));
    memcpy(op.b + 6, &a, 8);
    memcpy(op.b + 14, &b, 2);
    return op;
}

/* Mostly one of the account's, sometimes another account's, sometimes none. Often the one that this round may remove. */
static uint64_t some_box(struct drive *d, uint32_t account)
{
    struct model_account *a = &d->world.accounts[account];
    if (d->doomed != 0 && chance(d, 3))
        return d->doomed;
    if (chance(d, 40))
        a = &d->world.accounts[drive_below(d, MODEL_ACCOUNTS)];
    if (chance(d, 60) || a->n_boxes == 0)
        return 1000000000 + drive_below(d, 10);
    return a->boxes[drive_below(d, a->n_boxes)].id;
}

/* Uids of a mailbox that were given before this round, or eids. */
static void some_ranges(struct drive *d, struct model_request *q)
{
    struct model_account *a = &d->world.accounts[q->account];
    const struct model_box *b = q->mailbox == 0 ? NULL : model_box(a, q->mailbox);
    uint64_t last = q->mailbox == 0 ? 0 : b == NULL ? 10 : b->uidnext - 1;
    if (q->mailbox == 0 ? a->n_emails == 0 : last == 0)
        return;
    q->n_ranges = 1 + (uint32_t)drive_below(d, MODEL_RANGES);
    for (uint32_t i = 0; i < q->n_ranges; i++) {
        uint64_t first = q->mailbox == 0 ? a->emails[drive_below(d, a->n_emails)].eid : 1 + drive_below(d, last);
        uint64_t end = first + drive_below(d, 8), most = q->mailbox == 0 ? d->world.last_id[0] : last;
        q->ranges[i] = (struct msg_uid_range){first, MIN_OF(end, most)};
        if (q->mailbox != 0 && chance(d, 12))
            q->ranges[i] = (struct msg_uid_range){1, last};
        if (chance(d, 100))
            q->ranges[i] = (struct msg_uid_range){first + 1, first};
    }
}

static void some_text(struct drive *d, struct model_request *q, bool plain)
{
    uint32_t most = 0;
    while (most == 0)
        most = d->mix->most[drive_below(d, COUNT_OF(d->mix->most))];
    q->seed = drive_below(d, UINT64_MAX);
    q->spool = chance(d, d->mix->spooled);
    q->length = 1 + (uint32_t)drive_below(d, most);
    if (chance(d, d->mix->huge)) { /* more than a frame may bring */
        q->spool = true;
        q->length = 1100000 + (uint32_t)drive_below(d, 100000);
    }
    q->internal_ms = clock_now_ms() - (int64_t)drive_below(d, 100000) + (chance(d, 10) ? 200000 : 0);
    if (plain || chance(d, 3))
        return;
    q->key = 1 + drive_below(d, 40); /* few Message-IDs: threads grow, ids come twice */
    q->n_refs = (uint32_t)drive_below(d, MODEL_REFS + 1);
    for (uint32_t i = 0; i < q->n_refs; i++)
        q->refs[i] = drive_below(d, 41);
}

static void ingest(struct drive *d, struct model_request *q, bool plain)
{
    uint32_t first = (uint32_t)drive_below(d, MODEL_ACCOUNTS);
    q->id = MSG_ID_ingest;
    some_text(d, q, plain);
    q->n_targets = chance(d, 3) ? 1 + (uint32_t)drive_below(d, MODEL_TARGETS) : 1;
    for (uint32_t i = 0; i < q->n_targets; i++) {
        struct model_target *t = &q->targets[i];
        t->account = q->n_targets == 1 ? q->account : (first + i) % MODEL_ACCOUNTS;
        t->mailbox = chance(d, 2) ? 0 : some_box(d, t->account);
        t->flags = chance(d, 4) ? (uint32_t)drive_below(d, 32) : 0;
    }
}

static void append(struct drive *d, struct model_request *q, bool plain)
{
    q->id = MSG_ID_append;
    some_text(d, q, plain);
    q->mailbox = chance(d, 5) ? 0 : some_box(d, q->account);
    q->flags = (uint32_t)drive_below(d, 32);
    q->keywords = chance(d, 3) ? (uint32_t)drive_below(d, 1 << MODEL_WORDS) : 0;
    q->bad_keyword = chance(d, 50);
    const struct model_account *a = &d->world.accounts[chance(d, 20) ? drive_below(d, MODEL_ACCOUNTS) : q->account];
    if (a->n_uploads > 0 && chance(d, 3)) {
        q->upload = a->uploads[drive_below(d, a->n_uploads)].blob;
        q->spool = false;
    }
}

static void upload(struct drive *d, struct model_request *q)
{
    some_text(d, q, true);
    if (chance(d, 2))
        q->length = 1 + (uint32_t)drive_below(d, 70000); /* often in a file of its own: see append() */
    q->id = MSG_ID_blob_put;
    q->internal_ms = 0;
    d->put = true;
}

static void value(struct drive *d, struct model_request *q)
{
    q->id = MSG_ID_kv_set;
    q->whole = chance(d, 4);
    q->what = chance(d, 4);
    q->seed = drive_below(d, UINT64_MAX);
    q->length = (uint32_t)drive_below(d, chance(d, 10) ? 9000 : 100);
    q->hours = q->what == 0 && chance(d, 2) ? 5 + 10 * (int64_t)drive_below(d, 12) : 0; /* never on the hour that is looked at */
    snprintf(q->name, sizeof q->name, "key%u", (unsigned)drive_below(d, 9));
    d->valued = true;
}

static void flags(struct drive *d, struct model_request *q)
{
    struct model_account *a = &d->world.accounts[q->account];
    q->id = MSG_ID_flags_set;
    q->mailbox = chance(d, 4) ? 0 : some_box(d, q->account);
    some_ranges(d, q);
    q->mode = (uint32_t)drive_below(d, 3);
    q->flags = 1u << drive_below(d, 5) | (chance(d, 3) ? (uint32_t)drive_below(d, 32) : 0);
    q->keywords = chance(d, 2) ? 1u << drive_below(d, MODEL_WORDS) : 0;
    q->loud = chance(d, 3);
    q->bad_keyword = chance(d, 60);
    if (chance(d, 3))
        q->unchangedsince = 1 + drive_below(d, a->modseq + 1);
}

static void transfer(struct drive *d, struct model_request *q)
{
    q->id = MSG_ID_copy;
    q->mailbox = chance(d, 4) ? 0 : some_box(d, q->account);
    q->to = chance(d, 6) ? 0 : some_box(d, q->account);
    q->move = (uint32_t)drive_below(d, 2);
    some_ranges(d, q);
}

static void tree(struct drive *d, struct model_request *q)
{
    struct model_account *a = &d->world.accounts[q->account];
    unsigned what = (unsigned)drive_below(d, 10);
    q->parent = chance(d, 2) ? 0 : some_box(d, q->account);
    q->role = chance(d, 2) ? 0 : (uint32_t)drive_below(d, MAILBOX_ARCHIVE + 1);
    q->subscribed = (uint32_t)drive_below(d, 2);
    snprintf(q->name, sizeof q->name, "%s", names[drive_below(d, COUNT_OF(names))]);
    q->mailbox = some_box(d, q->account);
    q->id = what < 4 ? MSG_ID_mailbox_create : MSG_ID_mailbox_set;
    q->what = 1u << drive_below(d, 4) | (chance(d, 4) ? (uint32_t)drive_below(d, 16) : 0);
    const struct model_box *b = model_box(a, q->mailbox);
    if (q->id == MSG_ID_mailbox_set && b != NULL && b->role == MAILBOX_INBOX)
        q->what &= MAILBOX_SET_ROLE | MAILBOX_SET_SUBSCRIBED; /* renaming it: see alone() */
}

static void removal(struct drive *d, struct model_request *q)
{
    q->id = MSG_ID_mailbox_remove;
    q->mailbox = d->doomed != 0 ? d->doomed : some_box(d, q->account);
    q->flags = chance(d, 4) ? 0 : MAILBOX_REMOVE_MESSAGES;
}

/* Those whose place in the order the answer does not tell, or that others of the round would not survive. */
static bool alone(struct drive *d, struct model_request *q)
{
    const struct model_account *a = &d->world.accounts[q->account];
    bool full = a->n_gone > 2500 || a->n_keys > 2000 || a->n_members > 600;
    if (a->n_boxes == 0) { /* a new account: a message makes its INBOX, or the first listing does */
        ingest(d, q, false);
        q->n_targets = 1;
        q->targets[0] = (struct model_target){.account = q->account};
    } else if (d->mix->ages != 0 && chance(d, d->mix->ages)) { /* no sum of these meets a limit exactly */
        q->id = (enum msg_id)MODEL_AGE;
        q->hours = chance(d, 2) ? 10 : 31 * 24 - 1;
    } else if (full || chance(d, 700)) {
        q->id = MSG_ID_account_gone;
    } else if (chance(d, 60)) {
        q->id = MSG_ID_quota_set;
        q->limit_bytes = chance(d, 2) ? -1 : (int64_t)drive_below(d, 60000);
        q->limit_messages = chance(d, 2) ? -1 : (int64_t)drive_below(d, 200);
    } else if (chance(d, 60)) {
        tree(d, q);
        q->id = MSG_ID_mailbox_set;
        q->mailbox = a->boxes[0].id;
        q->what = MAILBOX_SET_NAME | (uint32_t)drive_below(d, 2);
        if (chance(d, 5))
            q->what = (uint32_t)drive_below(d, 16);
    } else {
        return false;
    }
    return true;
}

static void one(struct drive *d, struct model_request *q, bool plain)
{
    unsigned dice = (unsigned)drive_below(d, 100);
    bool crowded = d->world.accounts[q->account].n_members > 150;
    if (plain && dice < 12)
        removal(d, q);
    else if (dice < 27)
        flags(d, q);
    else if (dice < 30 && !d->put)
        upload(d, q);
    else if (dice < 33 && !d->valued)
        value(d, q);
    else if (dice < 43 && !crowded)
        ingest(d, q, plain);
    else if (dice < 53 && !crowded)
        append(d, q, plain);
    else if (dice < 68 && !crowded)
        transfer(d, q);
    else if (dice < (crowded ? 75 : 80)) {
        q->id = MSG_ID_expunge;
        q->mailbox = chance(d, 4) ? 0 : some_box(d, q->account);
        q->flags = (uint32_t)!chance(d, crowded ? 2 : 4);
        some_ranges(d, q);
    } else if (dice < 92)
        tree(d, q);
    else if (dice < 94)
        q->id = MSG_ID_recount;
    else
        flags(d, q);
}

/* An operation of before again, or its id for something else (REL-02). */
static bool repeat(struct drive *d, struct model_request *q)
{
    if (d->world.n_done == 0 || !chance(d, 25))
        return false;
    size_t back = (size_t)drive_below(d, MIN_OF(d->world.n_done, (size_t)MODEL_OPS - 2 * DRIVE_ROUND));
    const struct model_done *old = &d->world.done[(d->world.n_done - 1 - back) % MODEL_OPS];
    if (old->q.id == 0)
        return false; /* forgotten */
    if (chance(d, 5))
        q->op = old->op; /* what it is for now comes from one() */
    else
        *q = old->q;
    q->step = 0;
    d->put |= q->id == MSG_ID_blob_put;
    return q->id != 0;
}

void drive_random(struct drive *d)
{
    uint32_t account = (uint32_t)drive_below(d, MODEL_ACCOUNTS);
    d->n = 1 + (size_t)drive_below(d, DRIVE_ROUND);
    bool plain = chance(d, 4); /* a round in which mailboxes are removed, and what comes belongs to no thread */
    d->doomed = 0;
    d->put = d->valued = false;
    if (d->follow.id != 0) {
        d->slots[0].q = d->follow;
        d->slots[0].q.op = new_id(d);
        d->n = 1;
        return;
    }
    if (plain && d->world.accounts[account].n_boxes > 1) {
        const struct model_account *a = &d->world.accounts[account];
        d->doomed = a->boxes[drive_below(d, a->n_boxes)].id;
    }
    for (size_t i = 0; i < d->n; i++) {
        struct model_request *q = &d->slots[i].q;
        *q = (struct model_request){.account = account, .op = new_id(d)};
        if (i == 0 && alone(d, q))
            d->n = 1;
        else if (i > 0 && chance(d, 30))
            *q = d->slots[i - 1].q; /* the same at the same time, as after a lost connection */
        else if (!repeat(d, q))
            one(d, q, plain);
        if (d->n == 1 && d->mix->steps && chance(d, 2))
            q->step = 1 + (uint32_t)drive_below(d, 5);
    }
}
