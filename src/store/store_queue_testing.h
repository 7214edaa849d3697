/* store_queue_testing: short forms for the tests of the queue; each test file has its own store. */
#ifndef POSTEL_STORE_QUEUE_TESTING_H
#define POSTEL_STORE_QUEUE_TESTING_H

#include "store/store_ops_testing.h"
#include "store/store_queue.h"

enum { RELAY = 77, SECOND = 78 };

static struct msg_queue_ready told[100];
static _Atomic size_t n_told;
static _Atomic unsigned reports_told;

static inline void on_ready(void *arg, const struct msg_queue_ready *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (n_told < COUNT_OF(told)) {
            told[n_told] = (struct msg_queue_ready){.domain = arena_copy(&mem, v[i].domain), .due_ms = v[i].due_ms};
            n_told++;
        }
}

static inline void on_report(void *arg) { reports_told++; }

static inline int queue_setup(void **state)
{
    int rc = setup(state);
    n_told = 0;
    reports_told = 0;
    store_on_ready(s, on_ready, NULL);
    store_on_report(s, on_report, NULL);
    return rc;
}

static inline void again(void)
{
    reopen();
    store_on_ready(s, on_ready, NULL);
    store_on_report(s, on_report, NULL);
}

static inline int64_t sql(const char *text) { return store_testing_sql(text); }

/* ---- short forms ---- */

static inline struct msg_ingest_remote to(const char *address)
{
    struct span a = span_z(address);
    return (struct msg_ingest_remote){.address = a, .domain = span_from(a, (size_t)span_rfind_char(a, '@') + 1)};
}

static const struct store_queue_as plain = {.sender = SPAN("jon@example.org"), .report = SPAN("jon@example.org"), .account = 7,
                                            .flags = ENVELOPE_VERIFIED};

static inline const char *send_as(struct span id, const struct store_queue_as *as, const struct msg_ingest_remote *v, uint32_t n,
                           uint64_t local, struct msg_ingest_r *r)
{
    struct msg_ingest_target t = {.account = local, .address = SPAN("local@example.org")};
    struct store_queue_as *all = arena_zalloc(&mem, n * sizeof *all);
    for (uint32_t i = 0; i < n; i++)
        all[i] = *as;
    struct store_extra x = {.as = all, .sender = as->account};
    struct msg_ingest in = {.op = id, .sender = SPAN("jon@example.org"), .size = 18, .body = SPAN("Subject: x\r\n\r\nhi\r\n"), .file = -1,
        .received_ms = clock_now_ms(), .targets = {&t, local != 0}, .remotes = {(struct msg_ingest_remote *)v, n}};
    f = (struct fail){0};
    return code(store_testing_write_extra(s, MSG_ID_ingest, 0, &in, &x, r, &mem, &f));
}

static inline void send(const char *address)
{
    struct msg_ingest_r r;
    struct msg_ingest_remote one = to(address);
    OK(send_as(op(), &plain, &one, 1, 0, &r));
}

static struct msg_queue_place place = {SPAN("mx.example.test [192.0.2.1]"), SPAN("TLSv1.3"), 0}; /* of the last lease that had any */

static inline struct msg_queue_lease_r lease(const char *domain, uint32_t messages, uint32_t rcpts, uint64_t boot)
{
    struct msg_queue_lease_r r;
    OK(DO(queue_lease, boot, &r, .domain = span_z(domain), .messages = messages, .rcpts = rcpts));
    if (r.rcpts.n > 0)
        place.lease = r.lease;
    return r;
}

/* of one recipient; *begun: what came back */
static struct msg_queue_note_r begun;
static inline const char *attempt(uint64_t qid, uint64_t rid, uint64_t boot)
{
    const char *c = DO(queue_note, boot, &begun, .places = {&place, 1},
                       .tries = {&(struct msg_queue_try){.qid = qid, .rid = rid}, 1});
    return *c == 0 && begun.begun.v[0].refused ? "refused" : c;
}

static inline const char *result(uint64_t rid, uint32_t outcome, int64_t due_ms, uint64_t boot)
{
    struct msg_queue_note_r r;
    struct msg_queue_done d = {.rid = rid, .outcome = outcome, .code = outcome == QUEUE_DELIVERED ? 250 : 450, .status = SPAN("4.2.0"),
                               .text = SPAN("try later"), .due_ms = due_ms};
    return DO(queue_note, boot, &r, .places = {&place, 1}, .done = {&d, 1});
}

static inline void pass(int64_t s_) { page.mono_offset_ms += s_ * 1000; }

#endif
