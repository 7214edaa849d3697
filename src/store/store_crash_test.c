/* Tests that a process killed under load loses nothing it acknowledged and doubles nothing (REL-01, REL-02). */
#include "base/clock.h"
#include "store/store_testing.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { ROUNDS = 30, ACCOUNTS = 8, IN_FLIGHT = 12, OPS = 4000 };

/* Shared with the child: what it began and what was acknowledged. An operation's body tells its number. */
struct shared {
    struct op_id op[OPS];
    _Atomic uint32_t begun, acked[OPS]; /* acked: the uid */
};

static struct shared *sh;

struct flight {
    struct store_write w;
    struct msg_ingest in;
    struct msg_ingest_r out;
    struct msg_ingest_target target;
    struct arena mem;
    char body[3000];
    uint32_t n;
    _Atomic bool free;
};

static void acked(struct store_write *w)
{
    struct flight *x = CONTAINER_OF(w, struct flight, w);
    if (w->result == 0)
        sh->acked[x->n] = (uint32_t)x->out.results.v[0].uid;
    x->free = true;
}

static void fill(struct flight *x, uint32_t n)
{
    size_t len = 20 + (n * 37) % 2900;
    memset(x->body, 'a' + (int)(n % 26), len);
    snprintf(x->body, 12, "%010u", n);
    x->body[10] = '\n';
    x->n = n;
    x->target = (struct msg_ingest_target){.account = 1 + n % ACCOUNTS, .address = SPAN("u@example.test")};
    x->in = (struct msg_ingest){.op = span_of(sh->op[n].b, 16),
                                .size = len,
                                .body = span_of(x->body, len),
                                .file = -1,
                                .received_ms = clock_now_ms(),
                                .date_s = INT64_MIN,
                                .targets = {&x->target, 1}};
    x->w = (struct store_write){.id = MSG_ID_ingest, .in = &x->in, .out = &x->out, .mem = &x->mem, .done = acked};
}

static NORETURN void child(void)
{
    static struct flight f[IN_FLIGHT];
    struct store *s = store_testing_open();
    for (size_t i = 0; i < IN_FLIGHT; i++)
        f[i].free = true;
    for (uint32_t n = sh->begun; n < OPS;) {
        for (size_t i = 0; i < IN_FLIGHT && n < OPS; i++) {
            if (!f[i].free)
                continue;
            f[i].free = false;
            fill(&f[i], n);
            sh->begun = ++n;
            store_submit(s, &f[i].w);
        }
        usleep(1000); /* so that there is load left for the last rounds */
    }
    pause();
    _exit(0);
}

static uint32_t number_of(struct store *s, uint64_t account, uint64_t eid, struct arena *mem)
{
    struct span text = store_testing_read(s, account, eid, mem);
    assert_non_null(text.p);
    ptrdiff_t at = span_find(text, SPAN("u@example.test\r\n"));
    assert_true(at > 0);
    uint32_t n = 0;
    for (size_t i = 0; i < 10; i++)
        n = n * 10 + (uint32_t)(text.p[(size_t)at + 16 + i] - '0');
    return n;
}

/* Every row is one operation, seen once; each acknowledged one is there under its uid. Returns the rows. */
static size_t check(struct store *s)
{
    static bool found[OPS];
    size_t rows = 0;
    memset(found, 0, sizeof found);
    for (uint64_t account = 1; account <= ACCOUNTS; account++) {
        struct arena mem;
        arena_init(&mem);
        rows += store_testing_check(s, account);
        struct msg_member_scan in = {
            .mailbox = store_testing_inbox(s, account, &mem).mailbox, .first = 1, .last = UINT64_MAX};
        struct msg_member_scan_r out;
        do {
            assert_int_equal(store_member_scan(s, account, &in, &out, &mem, NULL), 0);
            for (uint32_t i = 0; i < out.rows.n; i++) {
                uint32_t n = number_of(s, account, out.rows.v[i].eid, &mem);
                assert_true(n < OPS && 1 + n % ACCOUNTS == account && !found[n]);
                assert_true(sh->acked[n] == 0 || sh->acked[n] == out.rows.v[i].uid);
                found[n] = true;
            }
            in.first = out.next;
        } while (out.next != 0);
        arena_done(&mem);
    }
    for (uint32_t n = 0; n < OPS; n++)
        assert_true(sh->acked[n] == 0 || found[n]);
    return rows;
}

static void killed_under_load(void **state)
{
    size_t total = 0;
    for (uint32_t n = 0; n < OPS; n++)
        sh->op[n] = rand_op_id();
    for (int round = 0; round < ROUNDS; round++) {
        pid_t pid = fork();
        if (pid == 0)
            child();
        /* every third time from its first moment on, else once it works, however long a busy machine takes to open it */
        for (uint32_t before = sh->begun, i = 0; round % 3 != 0 && sh->begun == before && before < OPS && i < 5000; i++)
            usleep(1000);
        usleep((useconds_t)(2000 + rand_below(30000)));
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        struct store *s = store_testing_open();
        /* a front repeats what was not answered: each is done exactly once in the end */
        for (uint32_t n = sh->begun > IN_FLIGHT * 2 ? sh->begun - IN_FLIGHT * 2 : 0; n < sh->begun; n++) {
            struct flight x = {0};
            struct fail f = {0};
            fill(&x, n);
            arena_init(&x.mem);
            assert_int_equal(store_testing_write(s, MSG_ID_ingest, 0, &x.in, &x.out, &x.mem, &f), 0);
            assert_true(sh->acked[n] == 0 || x.out.repeated == 1);
            sh->acked[n] = (uint32_t)x.out.results.v[0].uid;
            arena_done(&x.mem);
        }
        total = check(s);
        assert_int_equal(total, sh->begun);
        store_close(s);
    }
    assert_true(total > 100); /* it did work under load */
}

static int setup(void **state)
{
    sh = mmap(NULL, sizeof *sh, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return sh == MAP_FAILED ? -1 : store_testing_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(killed_under_load, setup, store_testing_teardown)};
    return cmocka_run_group_tests_name("store_crash", tests, NULL, NULL);
}
