/* Tests of the mailbox operations when a file operation fails at the nth call: what is repeated afterwards with its
 * operation id ends exactly where a run without faults does: names, uids, eids, modseqs, counters, bytes. */
#include "store/store_ops_testing.h"

#include <errno.h>

enum { MANY = 2100, STEPS = 12 }; /* above a step of the long operations */

static struct span ids[STEPS];
static struct {
    uint64_t inbox, work, old, upload, uid;
} made;
static char big[90000];

/* The nth operation of the script; "" or the code of its refusal. Each finds what those before it have made. */
static const char *step(int i)
{
    union {
        struct msg_append_r append;
        struct msg_copy_r copy;
        struct msg_flags_set_r flags;
        struct msg_expunge_r expunge;
        struct msg_kv_set_r kv;
    } out = {0};
    struct msg_mailbox_create_r create = {0};
    struct msg_mailbox_set_r set = {0};
    struct msg_mailbox_remove_r removed;
    struct msg_blob_put_r put = {0};
    const char *got = "";
    switch (i) {
    case 0:
        return DO(append, 1, &out, .op = ids[i], .size = 4, .body = SPAN("text"), .file = -1,
                  .keywords = SPAN("$Junk own"));
    case 1:
        got = DO(mailbox_create, 1, &create, .op = ids[i], .name = SPAN("Work"), .subscribed = 1);
        made.work = create.mailbox;
        return got;
    case 2:
        made.inbox = row_of(1, 0).mailbox;
        for (uint64_t n; *got == '\0' && (n = row_of(1, 0).total) < MANY;)
            got = DO(copy, 1, &out, .op = op(), .from = made.inbox, .to = made.inbox,
                     .uids = UIDS(1, MIN_OF(n, MANY - n)));
        return got;
    case 3:
        return DO(copy, 1, &out, .op = ids[i], .from = made.inbox, .to = made.work, .move = 1, .uids = UIDS(1, 40));
    case 4:
        got = DO(blob_put, 1, &put, .op = ids[i], .size = sizeof big, .body = span_of(big, sizeof big), .file = -1);
        made.upload = put.blob;
        return got;
    case 5:
        return DO(append, 1, &out, .op = ids[i], .mailbox = made.work, .upload = made.upload, .file = -1);
    case 6:
        return DO(flags_set, 1, &out, .op = ids[i], .mailbox = made.inbox, .flags = FLAG_SEEN, .keywords = SPAN("k"),
                  .uids = ALL);
    case 7:
        got = DO(mailbox_set, 1, &set, .op = ids[i], .mailbox = made.inbox, .what = MAILBOX_SET_NAME,
                 .name = SPAN("old"));
        made.old = set.mailbox;
        return got;
    case 8:
        return DO(expunge, 1, &out, .op = ids[i], .mailbox = made.work, .uids = UIDS(1, 20));
    case 9:
        return DO(kv_set, 1, &out, .key = SPAN("key"), .value = SPAN("value"));
    case 10:
        return DO(copy, 1, &out, .op = ids[i], .from = made.old, .to = made.work, .uids = UIDS(1, 10));
    default:
        return DO(mailbox_remove, 1, &removed, .op = ids[i], .mailbox = made.old, .flags = MAILBOX_REMOVE_MESSAGES);
    }
}

/* All that a client can see, but for times. */
static struct span picture(void)
{
    struct str out;
    struct msg_mailbox_list_r boxes;
    struct msg_changes_r c;
    str_init(&out, &mem);
    assert_int_equal(store_mailbox_list(s, 1, SPAN_NONE, &boxes, &mem, &f), 0);
    for (uint32_t i = 0; i < boxes.mailboxes.n; i++) {
        const struct msg_mailbox_row *m = &boxes.mailboxes.v[i];
        str_addf(&out, "%llu %.*s next %llu high %llu %llu %llu %llu %llu\n", (unsigned long long)m->mailbox,
                 SPAN_ARGS(m->name), (unsigned long long)m->uidnext, (unsigned long long)m->modseq,
                 (unsigned long long)m->total, (unsigned long long)m->unseen, (unsigned long long)m->unread,
                 (unsigned long long)m->size);
        struct msg_member_scan_r r = rows_of(1, m->mailbox, 0);
        for (uint32_t j = 0; j < r.rows.n; j++) {
            const struct msg_member_row *x = &r.rows.v[j];
            struct span text = store_testing_read(s, 1, x->eid, &mem);
            str_addf(&out, "%llu %llu %llu %u %.*s %zu %llx\n", (unsigned long long)x->uid, (unsigned long long)x->eid,
                     (unsigned long long)x->modseq, x->flags, SPAN_ARGS(x->keywords), text.n,
                     (unsigned long long)span_hash(text));
        }
    }
    OK(GET(changes, 1, &c, .since = store_modseq(s, 1) - 50));
    str_addf(&out, "%u changes\n", c.rows.n);
    return str_span(&out);
}

static void empty(void)
{
    store_close(s);
    store_testing_fault_none();
    assert_int_equal(store_testing_teardown(NULL), 0);
    assert_int_equal(store_testing_setup(NULL), 0);
    store_testing_fault(FAULT_LINK, 0, 0, false); /* installs the shims */
    store_testing_broken = (struct fail){0};
    s = store_testing_open();
    made.upload = 0;
}

/* The whole script with a fault at the nth call. True: it was met. */
static bool run(enum fault kind, unsigned nth, int err)
{
    bool met = false;
    for (int i = 0; i < STEPS; i++)
        ids[i] = op();
    if (nth > 0)
        store_testing_fault(kind, nth, err, false);
    for (int i = 0; i < STEPS; i++) {
        const char *got = step(i);
        if (*got == '\0')
            continue;
        met = true;
        if (strcmp(got, "4.3.1") != 0 && strcmp(got, "4.3.0") != 0)
            fail_msg("fault %d at call %u, errno %d: operation %d: %s %s", kind, nth, err, i, got, f.text);
        store_testing_fault_none();
        if (store_testing_broken.kind != FAIL_NONE) {
            store_close(s); /* the role exits and starts again */
            store_testing_broken = (struct fail){0};
            s = store_testing_open();
        }
        got = step(i);
        if (*got != '\0')
            fail_msg("fault %d at call %u, errno %d: operation %d repeated: %s %s", kind, nth, err, i, got, f.text);
    }
    store_testing_fault_none();
    return met;
}

static void nth_call_fails(void **state)
{
    const struct {
        enum fault kind;
        int err;
    } rows[] = {{FAULT_LOG_WRITE, ENOSPC}, {FAULT_LOG_SYNC, EIO},    {FAULT_LINK, ENOSPC},
                {FAULT_DB_WRITE, EIO},     {FAULT_DB_WRITE, ENOSPC}, {FAULT_DB_SYNC, EIO}};
    const unsigned calls[] = {1, 2, 3, 5, 9, 14, 20, 60, 150, 400};
    empty();
    run(FAULT_LINK, 0, 0);
    struct arena keep;
    arena_init(&keep);
    struct span want = arena_copy(&keep, picture());
    assert_true(want.n > 800);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unsigned hits = 0;
        for (size_t n = 0; n < COUNT_OF(calls); n++) {
            arena_reset(&mem);
            empty();
            bool met = run(rows[i].kind, calls[n], rows[i].err);
            hits += met;
            struct span got = picture();
            if (!span_eq(got, want)) {
                print_error("%.*s\n---\n%.*s\n", SPAN_ARGS(span_sub(want, 0, 1500)), SPAN_ARGS(span_sub(got, 0, 1500)));
                fail_msg("fault %d at call %u, errno %d: ends elsewhere", rows[i].kind, calls[n], rows[i].err);
            }
            assert_int_equal(recount(1), 0);
            verify_clean();
            if (!met && n > 5) /* the first writes may all be those of the segment made ahead */
                break;
        }
        if (hits == 0)
            fail_msg("fault %d errno %d was never met", rows[i].kind, rows[i].err);
    }
    arena_done(&keep);
}

int main(void)
{
    memset(big, 'b', sizeof big);
    const struct CMUnitTest tests[] = {T(nth_call_fails)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
