/* store_ops_testing: short forms for the tests of the mailbox operations; each test file has its own store. */
#ifndef POSTEL_STORE_OPS_TESTING_H
#define POSTEL_STORE_OPS_TESTING_H

#include "base/clock.h"
#include "base/limits.h"
#include "store/store_testing.h"
#include "store/store_verify.h"

static struct arena mem;
static struct store *s;
static struct fail f;
static struct clock_page page;

static inline int setup(void **state)
{
    arena_init(&mem);
    page = (struct clock_page){0};
    clock_use_page(&page);
    if (store_testing_setup(state) != 0)
        return -1;
    s = store_testing_open();
    return 0;
}

static inline int teardown(void **state)
{
    store_close(s);
    clock_use_page(NULL);
    arena_done(&mem);
    return store_testing_teardown(state);
}

static inline void reopen(void)
{
    store_close(s), s = store_testing_open();
}

/* ---- short forms; the code of a refusal, "" when it went well ---- */

static inline const char *code(int rc)
{
    return rc == 0 ? "" : f.code;
}

#define DO(name, account, out, ...)                                                                                    \
    (f = (struct fail){0},                                                                                             \
     code(store_testing_write(s, MSG_ID_##name, account, &(struct msg_##name){__VA_ARGS__}, out, &mem, &f)))
#define GET(name, account, out, ...)                                                                                   \
    (f = (struct fail){0}, code(store_##name(s, account, &(struct msg_##name){__VA_ARGS__}, out, &mem, &f)))
#define OK(x) assert_string_equal(x, "")
#define UIDS(a, b)                                                                                                     \
    {                                                                                                                  \
        &(struct msg_uid_range){a, b}, 1                                                                               \
    }
#define ALL UIDS(1, UINT64_MAX)

static inline struct span op(void)
{
    struct op_id made = rand_op_id();
    return arena_copy(&mem, span_of(made.b, 16));
}

static inline uint64_t make(uint64_t account, uint64_t parent, struct span name)
{
    struct msg_mailbox_create_r r;
    OK(DO(mailbox_create, account, &r, .op = op(), .parent = parent, .name = name, .subscribed = 1));
    return r.mailbox;
}

static inline struct msg_mailbox_row row_of(uint64_t account, uint64_t mailbox)
{
    struct msg_mailbox_list_r r;
    assert_int_equal(store_mailbox_list(s, account, SPAN_NONE, &r, &mem, &f), 0);
    for (uint32_t i = 0; i < r.mailboxes.n; i++)
        if (r.mailboxes.v[i].mailbox == mailbox || (mailbox == 0 && r.mailboxes.v[i].role == MAILBOX_INBOX))
            return r.mailboxes.v[i];
    return (struct msg_mailbox_row){0};
}

static inline struct msg_member_scan_r rows_of(uint64_t account, uint64_t mailbox, uint32_t want)
{
    struct msg_member_scan_r r;
    OK(GET(member_scan, account, &r, .mailbox = mailbox, .first = 1, .last = UINT64_MAX, .want = want));
    return r;
}

struct extra {
    uint32_t flags;
    struct span keywords, refs;
    uint64_t msgid, upload;
};

static inline struct msg_append_r append(uint64_t account, uint64_t mailbox, struct span body, struct extra x)
{
    struct msg_append_r r = {0};
    OK(DO(append, account, &r, .op = op(), .mailbox = mailbox, .size = body.n, .body = body, .file = -1,
          .upload = x.upload, .flags = x.flags, .keywords = x.keywords, .internal_ms = 1700000000000,
          .date_s = INT64_MIN, .msgid_hash = x.msgid, .refs = x.refs, .envelope = SPAN("(E)")));
    return r;
}
#define APPEND(account, mailbox, body, ...) append(account, mailbox, body, (struct extra){__VA_ARGS__})

static inline uint64_t recount(uint64_t account)
{
    struct msg_recount_r r;
    OK(DO(recount, 0, &r, .account = account));
    return r.wrong;
}

/* Everything there is, by its own checks. */
static inline void verify_clean(void)
{
    const struct verify_finding *found;
    struct store_verify *v = store_verify_of(s);
    int rc;
    while ((rc = store_verify_serving(s, v, &f)) == 1)
        ;
    size_t n = store_verify_findings(v, 0, &found);
    for (size_t i = 0; i < n; i++)
        print_error("found: %.*s\n", SPAN_ARGS(found[i].text));
    store_verify_free(v);
    assert_int_equal(rc, 0);
    assert_int_equal(n, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
