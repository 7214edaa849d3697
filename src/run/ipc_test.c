/* Calls over real sockets to servers in processes of their own. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "run/ipc_chan.h"
#include "run/ipc_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>

/* ---- the server: a store that knows three messages ---- */

static struct ipc_req *held[64];
static size_t n_held, most_held;
static struct loop_timer release_timer;

static void release_held(struct loop_timer *t)
{
    while (n_held > 0) {
        struct ipc_req *req = held[--n_held];
        ipc_reply(req, &(struct msg_spool_write_r){.size = 1});
    }
}

/* op says what to do. */
static void serve_write(struct ipc_req *req)
{
    const struct msg_spool_write *in = req->in;
    struct fail f;
    if (span_eq(in->op, SPAN("never")))
        return;
    if (span_eq(in->op, SPAN("refuse"))) {
        fail_perm(&f, "5.1.1", "no such thing");
        ipc_refuse(req, &f);
        return;
    }
    if (span_eq(in->op, SPAN("hold"))) { /* answered 20 ms later */
        if (n_held == 0) {
            loop_timer_init(&release_timer, release_held);
            loop_timer_set(&release_timer, clock_mono_ms() + 20);
        }
        held[n_held++] = req;
        most_held = MAX_OF(most_held, n_held);
        return;
    }
    /* offset: the most held so far, asked for as a number that no message has */
    ipc_reply(req, &(struct msg_spool_write_r){.size = in->offset == UINT64_MAX ? most_held : in->data.n});
}

static void serve_watch(struct ipc_req *req) /* in a coroutine */
{
    const struct msg_watch *in = req->in;
    if (span_eq(in->handle, SPAN("never")))
        return;
    if (span_eq(in->handle, SPAN("late")))
        coro_sleep(60);
    ipc_reply(req, &(struct msg_watch_r){.modseq = in->handle.n});
}

static uint64_t number_in(int fd)
{
    uint64_t v = 0;
    return fd >= 0 && pread(fd, &v, sizeof v, 0) == sizeof v ? v : UINT64_MAX;
}

static int file_with(uint64_t v)
{
    int fd = memfd_create("ipc-test", MFD_CLOEXEC);
    return fd >= 0 && pwrite(fd, &v, sizeof v, 0) == sizeof v ? fd : -1;
}

static void serve_ingest(struct ipc_req *req) /* size says what its file must hold; 0: no file */
{
    const struct msg_ingest *in = req->in;
    struct msg_ingest_result result = {.uid = number_in(in->file), .account = in->body.n};
    CHECK(in->size == 0 ? in->file == -1 : number_in(in->file) == in->size);
    ipc_reply(req, &(struct msg_ingest_r){.results = {&result, 1}});
}

static void serve_lend(struct ipc_req *req)
{
    const struct msg_spool_lend *in = req->in;
    int fd = file_with(in->op.n);
    ipc_reply(req, &(struct msg_spool_lend_r){.file = fd, .size = in->op.n});
    close(fd);
}

static const struct ipc_handler store_rows[] = {
    {.id = MSG_ID_spool_write, .call = serve_write},
    {.id = MSG_ID_watch, .call = serve_watch, .coro = true},
    {.id = MSG_ID_ingest, .call = serve_ingest},
    {.id = MSG_ID_spool_lend, .call = serve_lend},
};

static struct ipc_server store_server(void)
{
    ipc_self(ROLE_FRONT_USER);
    return ipc_testing_server(ROLE_STORE, ROLE_FRONT_USER, store_rows, COUNT_OF(store_rows));
}

static char big[65536];
static struct ipc_server servers[2];

static struct ipc_chan *attach(int i)
{
    return ipc_attach(servers[i].fd, (struct ipc_peer){ROLE_STORE, (uint32_t)i, (uint64_t)i + 1}, true, false);
}

static int call_write(struct span op, uint64_t offset, struct span data, uint64_t *size, int64_t wait_ms, struct fail *f,
                      bool *broken)
{
    struct msg_spool_write in = {.op = op, .offset = offset, .data = data};
    struct msg_spool_write_r out = {0};
    int r = ipc_call(ROLE_STORE, MSG_ID_spool_write, &in, &out, NULL, wait_ms, f, broken);
    *size = out.size;
    return r;
}

/* ---- many coroutines ---- */

static size_t running, to_do, done_well;
static struct coro *waiter;

static void finish_worker(void)
{
    if (--running == 0)
        coro_wake(waiter);
}

static void in_parallel(size_t n, coro_fn *fn)
{
    waiter = coro_self();
    running = n;
    for (size_t i = 0; i < n; i++)
        CHECK(coro_start(fn, (void *)(uintptr_t)i) != NULL);
    while (running > 0)
        coro_wait_sure();
}

/* ---- every message ---- */

static enum msg_id now_id;
static enum role_kind now_from, now_to;

static void fill(bool reply, struct arena *mem, void *msg)
{
    struct ipc_random r = {(uint64_t)now_id * 2 + reply};
    ipc_testing_fill(&r, reply ? ipc_code_rows[now_id].out() : ipc_code_rows[now_id].in(), msg, mem, 900);
}

static void check_in(const void *in)
{
    struct arena mem;
    arena_init(&mem);
    void *want = arena_zalloc(&mem, ipc_struct_size(now_id, false) + 1);
    fill(false, &mem, want);
    CHECK(ipc_testing_same(ipc_code_rows[now_id].in(), in, want));
    arena_done(&mem);
}

static void any_call(struct ipc_req *req)
{
    check_in(req->in);
    void *rep = arena_zalloc(req->mem, ipc_struct_size(now_id, true) + 1);
    fill(true, req->mem, rep);
    ipc_reply(req, rep);
}

static unsigned posts_seen;
static void any_post(const struct ipc_peer *peer, const void *in)
{
    CHECK(peer->kind == now_from);
    check_in(in);
    posts_seen++;
}

static void send_one_message(void)
{
    struct arena mem;
    arena_init(&mem);
    struct fail f = {0};
    bool post = !ipc_code_rows[now_id].out;
    void *in = arena_zalloc(&mem, ipc_struct_size(now_id, false) + 1);
    fill(false, &mem, in);
    struct ipc_chan *ch = ipc_attach(servers[0].fd, (struct ipc_peer){now_to, 0, 1}, !post, false);
    CHECK(ch != NULL);
    if (post) {
        CHECK(ipc_post_on(ch, now_id, in) == 0);
    } else {
        void *out = arena_zalloc(&mem, ipc_struct_size(now_id, true) + 1);
        void *want = arena_zalloc(&mem, ipc_struct_size(now_id, true) + 1);
        fill(true, &mem, want);
        CHECK(ipc_call(now_to, now_id, in, out, &mem, 5000, &f, NULL) == 0);
        CHECK(ipc_testing_same(ipc_code_rows[now_id].out(), out, want));
    }
    arena_done(&mem);
}

static void every_message(void **state)
{
    for (int id = 0; id < MSG_ID_COUNT; id++) {
        const struct ipc_row *row = &ipc_code_rows[id];
        struct ipc_handler h = {.id = (enum msg_id)id};
        now_id = (enum msg_id)id;
        now_to = row->to == ROLE_COUNT ? ROLE_SCAN : row->to;
        for (now_from = 0; !(row->from & ROLE_BIT(now_from));)
            now_from++;
        if (row->out)
            h.call = any_call;
        else
            h.post = any_post;
        servers[0] = ipc_testing_server(now_to, now_from, &h, 1);
        ipc_self(now_from);
        assert_int_equal(ipc_testing_run(send_one_message), 0);
        assert_int_equal(ipc_testing_wait(&servers[0]), 0);
    }
}

/* ---- speed, credits ---- */

static size_t body_most;

static void write_until_done(void *arg)
{
    uint64_t size;
    while (to_do > 0) {
        size_t n = body_most - to_do-- % 200;
        done_well += call_write(SPAN("echo"), n, span_of(big, n), &size, 0, NULL, NULL) == 0 && size == n;
    }
    finish_worker();
}

static void ten_thousand(void)
{
    static const struct {
        size_t workers, body;
    } rows[] = {{1, 256}, {8, 256}, {32, 256}, {64, 256}, {32, 4096}, {32, 65536}};
    attach(0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        to_do = 10000;
        done_well = 0;
        body_most = rows[i].body;
        int64_t began = clock_mono_us();
        in_parallel(rows[i].workers, write_until_done);
        int64_t took = clock_mono_us() - began;
        CHECK(done_well == 10000);
        printf("[   note   ] %2zu at a time, %5zu bytes: %.2f us a call\n", rows[i].workers, rows[i].body,
               (double)took / 10000);
    }
    CHECK(ipc_in_flight(ROLE_STORE) == 0 && ipc_idle());
}

static void ten_thousand_calls(void **state)
{
    servers[0] = store_server();
    assert_int_equal(ipc_testing_run(ten_thousand), 0);
    assert_int_equal(ipc_testing_wait(&servers[0]), 0);
}

static void hold_one(void *arg)
{
    uint64_t size;
    CHECK(call_write(SPAN("hold"), 0, SPAN(""), &size, 5000, NULL, NULL) == 0);
    CHECK(ipc_in_flight(ROLE_STORE) <= 8);
    finish_worker();
}

static void hold_many(void)
{
    uint64_t most = 0;
    attach(0);
    in_parallel(50, hold_one);
    CHECK(call_write(SPAN("most"), UINT64_MAX, SPAN(""), &most, 5000, NULL, NULL) == 0);
    CHECK(most == 8);
}

static void credits_are_kept(void **state)
{
    LIMIT(IPC_CREDITS) = 8;
    servers[0] = store_server();
    assert_int_equal(ipc_testing_run(hold_many), 0);
    assert_int_equal(ipc_testing_wait(&servers[0]), 0);
    LIMIT(IPC_CREDITS) = 64;
}

/* ---- waiting and giving up ---- */

static void call_late(void *arg)
{
    struct msg_watch in = {.handle = SPAN("late")};
    struct msg_watch_r out = {0};
    struct fail f = {0};
    CHECK(IPC_CALL(ROLE_STORE, watch, &in, &out, NULL, &f) == -1);
    CHECK(strcmp(f.code, "4.3.0") == 0 && f.kind == FAIL_TEMP);
    finish_worker();
}

static void give_up(void)
{
    struct msg_watch in = {.handle = SPAN("late")};
    struct msg_watch_r out = {0};
    struct fail f = {0};
    CHECK(ipc_call(ROLE_STORE, MSG_ID_watch, &in, &out, NULL, 20, &f, NULL) == -1); /* nobody is there yet */
    CHECK(strcmp(f.code, "4.3.2") == 0);
    attach(0);
    CHECK(ipc_call(ROLE_STORE, MSG_ID_watch, &in, &out, NULL, 20, &f, NULL) == -1);
    CHECK(f.kind == FAIL_TEMP && strcmp(f.code, "4.3.2") == 0);
    CHECK(ipc_in_flight(ROLE_STORE) == 1); /* the credit is still taken */
    waiter = coro_self();
    running = 1;
    struct coro *c = coro_start(call_late, NULL);
    coro_sleep(5);
    coro_cancel(c);
    while (running > 0)
        coro_wait_sure();
    coro_sleep(150); /* both late replies come and are dropped */
    CHECK(ipc_in_flight(ROLE_STORE) == 0);
    in.handle = SPAN("four");
    CHECK(ipc_call(ROLE_STORE, MSG_ID_watch, &in, &out, NULL, 1000, &f, NULL) == 0 && out.modseq == 4);
    uint64_t size;
    CHECK(call_write(SPAN("refuse"), 0, SPAN(""), &size, 1000, &f, NULL) == -1);
    CHECK(f.kind == FAIL_PERM && strcmp(f.code, "5.1.1") == 0 && strcmp(f.text, "no such thing") == 0);
}

static void giving_up(void **state)
{
    servers[0] = store_server();
    assert_int_equal(ipc_testing_run(give_up), 0);
    assert_int_equal(ipc_testing_wait(&servers[0]), 0);
}

static void two_halves(void)
{
    struct msg_watch in = {.handle = SPAN("late")};
    struct ipc_pending *p[40];
    attach(0);
    int64_t began = clock_mono_ms();
    for (size_t i = 0; i < COUNT_OF(p); i++)
        CHECK((p[i] = ipc_begin(ROLE_STORE, MSG_ID_watch, &in, NULL)) != NULL);
    ipc_forget(p[7]);
    for (size_t i = 0; i < COUNT_OF(p); i++) {
        struct msg_watch_r out = {0};
        if (i != 7)
            CHECK(ipc_finish(p[i], &out, NULL, 5000, NULL) == 0 && out.modseq == 4);
    }
    CHECK(clock_mono_ms() - began < 60 * 10); /* they overlapped */
}

static void overlapping(void **state)
{
    servers[0] = store_server();
    assert_int_equal(ipc_testing_run(two_halves), 0);
    assert_int_equal(ipc_testing_wait(&servers[0]), 0);
}

/* ---- a server dies ---- */

static size_t again_well, broken_well;

static void call_dying(void *arg)
{
    struct fail f = {0};
    if ((uintptr_t)arg & 1) {
        bool broken = false;
        uint64_t size;
        broken_well += call_write(SPAN("never"), 0, SPAN(""), &size, 300, &f, &broken) == -1 && broken &&
                       strcmp(f.code, "4.3.2") == 0;
    } else {
        struct msg_watch in = {.handle = SPAN("late")};
        struct msg_watch_r out = {0};
        again_well += ipc_call(ROLE_STORE, MSG_ID_watch, &in, &out, NULL, 5000, &f, NULL) == 0 &&
                      out.modseq == in.handle.n;
    }
    finish_worker();
}

static void kill_and_replace(struct loop_timer *t)
{
    if (servers[0].fd >= 0) {
        kill(servers[0].pid, SIGKILL);
        servers[0].fd = -1;
        loop_timer_set(t, clock_mono_ms() + 40);
    } else {
        attach(1);
    }
}

static void die_in_flight(void)
{
    static struct loop_timer t;
    attach(0);
    loop_timer_init(&t, kill_and_replace);
    loop_timer_set(&t, clock_mono_ms() + 20);
    in_parallel(80, call_dying); /* more than credits: some wait for one when it dies */
    CHECK(again_well == 40 && broken_well == 32);
}

static void dying_server(void **state)
{
    servers[0] = store_server();
    servers[1] = store_server();
    assert_int_equal(ipc_testing_run(die_in_flight), 0);
    assert_int_equal(ipc_testing_wait(&servers[0]), -1);
    assert_int_equal(ipc_testing_wait(&servers[1]), 0);
}

/* ---- several instances ---- */

static void count_in_flight(struct ipc_chan *ch, const struct ipc_peer *peer, void *arg)
{
    ((unsigned *)arg)[peer->index] = ch->in_flight;
}

static void share_load(void)
{
    struct msg_watch in = {.handle = SPAN("late")};
    struct msg_watch_r out;
    struct ipc_pending *p[10];
    unsigned flying[2] = {0};
    struct ipc_chan *first = attach(0);
    attach(1);
    for (int i = 0; i < 10; i++)
        p[i] = ipc_begin(ROLE_STORE, MSG_ID_watch, &in, NULL);
    ipc_each(ROLE_STORE, count_in_flight, flying);
    CHECK(flying[0] == 5 && flying[1] == 5);
    ipc_drain(first);
    for (int i = 0; i < 10; i++)
        CHECK(ipc_finish(p[i], &out, NULL, 5000, NULL) == 0);
    coro_sleep(5);
    flying[0] = flying[1] = 77;
    ipc_each(ROLE_STORE, count_in_flight, flying);
    CHECK(flying[0] == 77 && flying[1] == 0); /* the drained one has closed */
}

static void instances(void **state)
{
    servers[0] = store_server();
    servers[1] = store_server();
    assert_int_equal(ipc_testing_run(share_load), 0);
    assert_int_equal(ipc_testing_wait(&servers[0]), 0);
    assert_int_equal(ipc_testing_wait(&servers[1]), 0);
}

/* ---- descriptors ---- */

static void send_mixed(void *arg)
{
    struct arena mem;
    arena_init(&mem);
    while (to_do > 0) {
        uint64_t i = to_do--;
        struct msg_ingest in = {.size = i % 3 ? 0 : i, .file = i % 3 ? -1 : file_with(i), .body = span_of(big, i * 131 % sizeof big)};
        struct msg_ingest_r out = {0};
        int r = IPC_CALL(ROLE_STORE, ingest, &in, &out, &mem, NULL);
        done_well += r == 0 && out.results.n == 1 && out.results.v[0].account == in.body.n &&
                     out.results.v[0].uid == (i % 3 ? UINT64_MAX : i);
        if (in.file >= 0)
            close(in.file);
        struct msg_spool_lend lend = {.op = span_of(big, i % 100 + 1)};
        struct msg_spool_lend_r lent = {.file = -1};
        CHECK(IPC_CALL(ROLE_STORE, spool_lend, &lend, &lent, &mem, NULL) == 0 && number_in(lent.file) == lend.op.n);
        if (lent.file >= 0)
            close(lent.file);
        arena_reset(&mem);
    }
    arena_done(&mem);
    finish_worker();
}

static void mixed(void)
{
    to_do = 1000;
    done_well = 0;
    attach(0);
    in_parallel(40, send_mixed);
    CHECK(done_well == 1000);
    int fd = dup(0); /* nothing leaked */
    CHECK(fd >= 0 && fd < 20);
    close(fd);
}

static void descriptors(void **state)
{
    servers[0] = store_server();
    assert_int_equal(ipc_testing_run(mixed), 0);
    assert_int_equal(ipc_testing_wait(&servers[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message), cmocka_unit_test(ten_thousand_calls), cmocka_unit_test(credits_are_kept),
        cmocka_unit_test(giving_up),     cmocka_unit_test(overlapping),        cmocka_unit_test(dying_server),
        cmocka_unit_test(instances),     cmocka_unit_test(descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
