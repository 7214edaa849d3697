/* Tests of the gate in front of scan, against played scans that die of some messages. */
#include "run/scanner.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/log.h"
#include "run/ipc_testing.h"

enum { SCANS = 8 };

static struct ipc_server scans[SCANS];
static unsigned next_scan;
static bool ending;
static _Atomic unsigned *calls; /* that any scan took; shared */

static void on_match(struct ipc_req *req)
{
    const struct msg_scan_match *in = req->in;
    ++*calls;
    if (span_eq(in->body, SPAN("poison")))
        _exit(9);
    ipc_reply(req, &(struct msg_scan_match_r){.found = in->body.n});
}

static const struct ipc_handler rows[] = {{.id = MSG_ID_scan_match, .call = on_match}};

static void attach_scan(void)
{
    if (next_scan < SCANS) {
        ipc_attach(scans[next_scan].fd, (struct ipc_peer){ROLE_SCAN, 0, 100 + next_scan}, true, false);
        next_scan++;
    }
}

static void on_close(struct ipc_peer peer, bool calling)
{
    if (!ending)
        attach_scan();
}

/* 0: answered; 1: poison; 2: not now. */
static WAITS int match(const char *text, uint64_t key, bool suspect)
{
    struct arena mem;
    struct fail f = {0};
    struct msg_scan_match in = {.file = -1, .size = strlen(text), .body = span_z(text)};
    struct msg_scan_match_r out = {0};
    arena_init(&mem);
    int r = scanner_call(MSG_ID_scan_match, &in, &out, key, suspect, SPAN("trace"), &mem, &f);
    CHECK(r < 0 || out.found == strlen(text));
    arena_done(&mem);
    return r == 0 ? 0 : f.kind == FAIL_PERM ? 1 : 2;
}

static unsigned answered;

static WAITS void innocent(void *arg)
{
    for (uint64_t i = 0; i < 20; i++)
        answered += match("fine", 1000 + i, false) == 0;
}

static WAITS void all(void)
{
    ipc_self(ROLE_FRONT_USER);
    ipc_on_close(on_close);
    attach_scan();
    coro_start(innocent, NULL);
    coro_start(innocent, NULL);
    CHECK(match("poison", 1, false) == 1);
    while (coro_count() > 1)
        coro_sleep(5);
    CHECK(answered == 40); /* whoever fell with it was asked again, and answered */
    CHECK(next_scan == 3);
    unsigned before = *calls;
    CHECK(match("poison", 1, false) == 1); /* known by now: nobody dies */
    CHECK(*calls == before && next_scan == 3);
    CHECK(match("poison", 2, true) == 1); /* fell in a batch: one more is enough */
    CHECK(match("fine", 3, true) == 0);
    CHECK(*calls == before + 2 && next_scan == 4);

    struct fail f;
    CHECK(scanner_enter(&f) == 0); /* a batch and single ones go together */
    CHECK(match("fine", 4, false) == 0);
    scanner_leave();
    ending = true;
}

static void test_all(void **state)
{
    for (size_t i = 0; i < SCANS; i++)
        scans[i] = ipc_testing_server(ROLE_SCAN, ROLE_FRONT_USER, rows, COUNT_OF(rows));
    assert_int_equal(ipc_testing_run(all), 0);
    for (unsigned i = 0; i < SCANS; i++) {
        if (i >= next_scan)
            close(scans[i].fd);
        kill(scans[i].pid, SIGKILL);
        waitpid(scans[i].pid, NULL, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all)};
    calls = mmap(NULL, sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    log_setup("test", LOG_ERROR + 1);
    return cmocka_run_group_tests_name("scanner", tests, NULL, NULL);
}
