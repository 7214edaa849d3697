/* scan as a front sees it: messages in the frame and by descriptor, of every kind that may be handed over. */
#include "base/limits.h"
#include "format/summary_pack.h"
#include "roles/roles.h"
#include "run/ipc_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "format/edit.h"

#include <fcntl.h>
#include <sys/mman.h>

#define MESSAGE "From: a@b.test\r\nReceived: x\r\nSubject: seen\r\n\r\nHello there\r\n"
enum { SIZE = sizeof MESSAGE - 1 };

static struct ipc_server server;

static int memfd(int seals)
{
    int fd = memfd_create("scan-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    CHECK(fd >= 0 && write(fd, MESSAGE, SIZE) == SIZE && fcntl(fd, F_ADD_SEALS, seals) == 0);
    return fd;
}

/* 0 when scan summarized it as it is, 1 when it refused, with f. */
static int summarize_by(struct span body, int fd, uint64_t size, struct fail *f)
{
    struct arena mem;
    struct msg_summarize in = {.size = size, .body = body, .file = fd};
    struct msg_summarize_r out = {0};
    arena_init(&mem);
    int r = IPC_CALL(ROLE_SCAN, summarize, &in, &out, &mem, f);
    if (r == 0) {
        CHECK(out.hops == 1 && out.flags == 0);
        CHECK(span_eq(out.preview, SPAN("Hello there")));
        CHECK(span_starts(out.envelope, SPAN("(NIL \"seen\" ((NIL NIL \"a\" \"b.test\"))")));
        CHECK(summary_pack_parts(out.structure) == 1);
    }
    arena_done(&mem);
    if (fd >= 0)
        close(fd);
    return r == 0 ? 0 : 1;
}

/* The other calls, by front-user; the message and what is asked are small, the forms have tests of their own. */
static void calls_of_readers(void)
{
    struct fail f;
    struct arena mem;
    struct msg_scan_needle needles[65] = {{0, SPAN(""), SPAN("SEEN")}, {1, SPAN(""), SPAN("seen")},
                                          {2, SPAN("subject"), SPAN("Seen")}, {1, SPAN(""), SPAN("hello")}};
    struct msg_scan_match match = {.body = SPAN(MESSAGE), .file = -1, .needles = {needles, 4}};
    struct msg_scan_match_r found;
    arena_init(&mem);
    ipc_self(ROLE_FRONT_USER);
    struct ipc_chan *ch = ipc_attach(server.fd, (struct ipc_peer){ROLE_SCAN, 0, 1}, true, false);
    CHECK(IPC_CALL(ROLE_SCAN, scan_match, &match, &found, &mem, &f) == 0 && found.found == 13);
    match.needles.n = 65;
    CHECK(IPC_CALL(ROLE_SCAN, scan_match, &match, &found, &mem, &f) != 0 && f.kind == FAIL_PERM);
    needles[0].where = 3;
    match.needles.n = 1;
    CHECK(IPC_CALL(ROLE_SCAN, scan_match, &match, &found, &mem, &f) != 0 && f.kind == FAIL_PERM);

    struct msg_scan_ask asks[] = {{SPAN("SUBJECT"), 1}, {SPAN("from"), 2}, {SPAN("subject"), 0}, {SPAN("subject"), 99}};
    struct msg_scan_fields fields = {.body = SPAN(MESSAGE), .file = -1, .asks = {asks, 4}};
    struct msg_scan_fields_r values;
    CHECK(IPC_CALL(ROLE_SCAN, scan_fields, &fields, &values, &mem, &f) == 0 && values.values.n == 3 && !values.cut);
    CHECK(values.values.v[0].ask == 1 && values.values.v[0].data.n == 20);
    CHECK(values.values.v[1].ask == 0 && span_eq(values.values.v[1].data, SPAN("seen")));
    CHECK(values.values.v[2].ask == 2 && span_eq(values.values.v[2].data, SPAN(" seen")));
    fields.part = SPAN("7");
    CHECK(IPC_CALL(ROLE_SCAN, scan_fields, &fields, &values, &mem, &f) == 0 && values.values.n == 0);
    fields.asks.n = 0;
    CHECK(IPC_CALL(ROLE_SCAN, scan_fields, &fields, &values, &mem, &f) == 0 && values.values.n == 0);

    struct msg_scan_read read = {.size = SIZE, .part = SPAN("1"), .form = 4, .skip = 6, .length = 100,
                                 .file = memfd(F_SEAL_SHRINK | F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SEAL)};
    struct msg_scan_read_r slice;
    CHECK(IPC_CALL(ROLE_SCAN, scan_read, &read, &slice, &mem, &f) == 0 && slice.found && slice.end);
    CHECK(span_eq(slice.data, SPAN("there\r\n")) && slice.size == 13);
    read.form = 5;
    CHECK(IPC_CALL(ROLE_SCAN, scan_read, &read, &slice, &mem, &f) == 0 && !slice.found);
    read.form = 1;
    read.at = read.skip = UINT64_MAX;
    CHECK(IPC_CALL(ROLE_SCAN, scan_read, &read, &slice, &mem, &f) == 0 && slice.found && slice.end && slice.data.n == 0);
    read.at = 0;
    read.part = SPAN("2");
    CHECK(IPC_CALL(ROLE_SCAN, scan_read, &read, &slice, &mem, &f) == 0 && !slice.found && slice.end);
    close(read.file);

    struct msg_scan_surrogate plain = {.body = SPAN(MESSAGE), .file = -1};
    struct msg_scan_surrogate_r made;
    CHECK(IPC_CALL(ROLE_SCAN, scan_surrogate, &plain, &made, &mem, &f) == 0 && made.edits.n == 0 && made.envelope.n == 0);
    plain.body = SPAN("Subject: \xc3\xbc\r\n\r\n\xc3\xbc\r\n");
    CHECK(IPC_CALL(ROLE_SCAN, scan_surrogate, &plain, &made, &mem, &f) == 0);
    CHECK(made.size == edit_size(made.edits, plain.body.n) && made.size == plain.body.n + 14);
    CHECK(span_starts(made.envelope, SPAN("(NIL \"=?UTF-8?B?w7w=?=\" ")) && made.structure.n > 40);
    ipc_detach(ch);
    arena_done(&mem);
}

static void calls(void)
{
    struct fail f;
    char path[] = "/tmp/scan-test-XXXXXX";
    ipc_self(ROLE_FRONT_MX);
    struct ipc_chan *ch = ipc_attach(server.fd, (struct ipc_peer){ROLE_SCAN, 0, 1}, true, false);
    CHECK(summarize_by(SPAN(MESSAGE), -1, SIZE, &f) == 0);
    CHECK(summarize_by(SPAN_NONE, memfd(F_SEAL_SHRINK | F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SEAL), SIZE, &f) == 0);
    CHECK(summarize_by(SPAN_NONE, memfd(0), SIZE, &f) == 0); /* not sealed: copied */
    CHECK(summarize_by(SPAN_NONE, memfd(F_SEAL_SHRINK), SIZE, &f) == 0);
    int fd = mkstemp(path);
    CHECK(fd >= 0 && write(fd, MESSAGE, SIZE) == SIZE && unlink(path) == 0);
    CHECK(summarize_by(SPAN_NONE, fd, SIZE, &f) == 0);

    CHECK(summarize_by(SPAN_NONE, memfd(F_SEAL_SHRINK | F_SEAL_WRITE), SIZE + 1, &f) == 1 && f.kind == FAIL_TEMP);
    CHECK(summarize_by(SPAN_NONE, memfd(0), UINT64_MAX, &f) == 1 && f.kind == FAIL_PERM);
    int ends[2];
    CHECK(pipe(ends) == 0);
    close(ends[1]);
    CHECK(summarize_by(SPAN_NONE, ends[0], 5, &f) == 1 && f.kind == FAIL_TEMP); /* no file at all */
    CHECK(summarize_by(SPAN(MESSAGE), -1, SIZE, &f) == 0); /* and goes on */
    ipc_detach(ch);
}

static void serves(void **state)
{
    server = ipc_testing_server(ROLE_SCAN, ROLE_FRONT_MX, scan_role.handlers, scan_role.n_handlers);
    assert_true(server.fd >= 0);
    assert_int_equal(ipc_testing_run(calls), 0);
    assert_int_equal(ipc_testing_wait(&server), 0);
}

static void reads(void **state)
{
    server = ipc_testing_server(ROLE_SCAN, ROLE_FRONT_USER, scan_role.handlers, scan_role.n_handlers);
    assert_true(server.fd >= 0);
    assert_int_equal(ipc_testing_run(calls_of_readers), 0);
    assert_int_equal(ipc_testing_wait(&server), 0);
}

static void prepares(void **state)
{
    struct fail f;
    assert_int_equal(scan_role.prepare(&f), 0);
    assert_null(scan_role.dir);
    assert_int_equal(scan_role.threads, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(serves), cmocka_unit_test(reads), cmocka_unit_test(prepares)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
