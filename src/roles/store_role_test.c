/* Tests of the store role from outside: a child process serves, this one plays auth and three fronts on raw sockets.
 * SEC-24: what a front may not ask is never served. */
#include "base/rand.h"
#include "roles/roles.h"
#include "run/ipc_code.h"
#include "run/loop.h"
#include "run/work.h"

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { MX, USER_1, USER_2, AUTH, ADMIN, RELAY, ENDS };
static const struct ipc_peer peers[ENDS] = {[MX] = {ROLE_FRONT_MX, 0, 11},
                                            [USER_1] = {ROLE_FRONT_USER, 0, 21},
                                            [USER_2] = {ROLE_FRONT_USER, 1, 22},
                                            [AUTH] = {ROLE_AUTH, 0, 31},
                                            [ADMIN] = {ROLE_ADMIN, 0, 41},
                                            [RELAY] = {ROLE_RELAY, 0, 51}};

static struct {
    int fd;
    uint32_t call;
} ends[ENDS];
static char dir[64];
static pid_t child;
static struct arena mem;

static NORETURN void serve(const int *fds)
{
    struct fail f = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (chdir(dir) != 0 || loop_init() != 0 || work_start(store_role.threads) != 0 || store_role.prepare(&f) != 0)
        _exit(2);
    ipc_self(ROLE_STORE);
    ipc_serve(store_role.handlers, store_role.n_handlers);
    for (size_t i = 0; i < ENDS; i++)
        ipc_attach(fds[i], peers[i], false, true);
    loop_run();
    _exit(0);
}

static int setup(void **state)
{
    int ours[ENDS], theirs[ENDS];
    snprintf(dir, sizeof dir, "%s/store_role.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(dir) == NULL)
        return -1;
    for (size_t i = 0; i < ENDS; i++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
            return -1;
        ours[i] = pair[0];
        theirs[i] = pair[1];
    }
    child = fork();
    if (child == 0) {
        for (size_t i = 0; i < ENDS; i++)
            close(ours[i]);
        serve(theirs);
    }
    for (size_t i = 0; i < ENDS; i++) {
        close(theirs[i]);
        ends[i].fd = ours[i];
        ends[i].call = 0;
    }
    arena_init(&mem);
    return child < 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static int teardown(void **state)
{
    for (size_t i = 0; i < ENDS; i++)
        if (ends[i].fd >= 0)
            close(ends[i].fd);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    arena_done(&mem);
    return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- frames ---- */

static void send_frame(int end, unsigned kind, enum msg_id id, const void *msg)
{
    unsigned char head[12];
    struct str body;
    str_init(&body, &mem);
    int fd = ipc_encode(&body, id, false, msg);
    ipc_code_put32(head, (uint32_t)(8 + body.n));
    ipc_code_put32(head + 4, kind == 0 ? ++ends[end].call : 0);
    ipc_code_put32(head + 8, (uint32_t)id | kind << 16);
    struct iovec v[2] = {{head, 12}, {body.p, body.n}};
    union {
        struct cmsghdr h;
        char b[CMSG_SPACE(sizeof(int))];
    } c = {0};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
    if (fd >= 0) {
        m.msg_control = &c;
        m.msg_controllen = sizeof c;
        c.h = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&c.h), &fd, sizeof fd);
    }
    for (size_t left = 12 + body.n; left > 0;) {
        ssize_t n = sendmsg(ends[end].fd, &m, MSG_NOSIGNAL);
        assert_true(n > 0);
        left -= (size_t)n;
        size_t skip = (size_t)n;
        for (size_t i = 0; i < 2; i++) {
            size_t part = MIN_OF(skip, v[i].iov_len);
            v[i].iov_base = (char *)v[i].iov_base + part;
            v[i].iov_len -= part;
            skip -= part;
        }
        m.msg_control = NULL;
        m.msg_controllen = 0;
    }
}

static void receive(int end, void *p, size_t n, int *fd)
{
    for (size_t got = 0; got < n;) {
        union {
            struct cmsghdr h;
            char b[CMSG_SPACE(sizeof(int))];
        } c;
        struct iovec v = {(char *)p + got, n - got};
        struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c};
        struct pollfd wait = {.fd = ends[end].fd, .events = POLLIN};
        assert_int_equal(poll(&wait, 1, 10000), 1);
        ssize_t r = recvmsg(ends[end].fd, &m, MSG_CMSG_CLOEXEC);
        assert_true(r > 0);
        if (m.msg_controllen >= sizeof(struct cmsghdr))
            memcpy(fd, CMSG_DATA(&c.h), sizeof *fd);
        got += (size_t)r;
    }
}

struct got {
    unsigned kind;
    enum msg_id id;
    uint32_t call;
    struct span body;
    int fd;
};

static struct got receive_frame(int end)
{
    unsigned char head[12];
    struct got g = {.fd = -1};
    receive(end, head, 12, &g.fd);
    size_t n = ipc_code_get32(head) - 8;
    char *p = arena_alloc(&mem, n + 1);
    receive(end, p, n, &g.fd);
    g.body = span_of(p, n);
    g.call = ipc_code_get32(head + 4);
    g.id = (enum msg_id)(ipc_code_get32(head + 8) & 0xffff);
    g.kind = ipc_code_get32(head + 8) >> 16;
    return g;
}

/* Reads the answer to the last call; posts on the way are skipped. 0 and out, or the kind of the refusal. */
static int answer(int end, enum msg_id id, void *out)
{
    struct got g;
    do
        g = receive_frame(end);
    while (g.kind == 3);
    assert_int_equal(g.id, id);
    if (g.kind == 1) {
        assert_int_equal(ipc_decode(id, true, g.body, &mem, out), 0);
        if (id == MSG_ID_spool_lend)
            ((struct msg_spool_lend_r *)out)->file = g.fd;
        return 0;
    }
    assert_int_equal(g.kind, 2);
    return (int)ipc_code_get32((const unsigned char *)g.body.p);
}

static int call(int end, enum msg_id id, const void *in, void *out)
{
    send_frame(end, 0, id, in);
    return answer(end, id, out);
}
#define CALL(end, name, out, ...) call(end, MSG_ID_##name, &(struct msg_##name){__VA_ARGS__}, out)
#define POST(end, name, ...) send_frame(end, 3, MSG_ID_##name, &(struct msg_##name){__VA_ARGS__})

static struct span handle(const char *name) /* 16 bytes */
{
    char *p = arena_zalloc(&mem, 16);
    memcpy(p, name, strlen(name));
    return span_of(p, 16);
}

static void log_in(const char *name, uint64_t account, int end)
{
    POST(AUTH, session_add, .handle = handle(name), .account = account, .front_boot = peers[end].boot);
}

static int ingest(uint64_t account, struct span body, int fd, struct msg_ingest_r *out)
{
    struct op_id op = rand_op_id();
    struct msg_ingest_target t = {.account = account, .address = SPAN("u@example.test")};
    return CALL(MX, ingest, out, .op = span_of(op.b, 16), .size = body.n, .body = fd < 0 ? body : SPAN_NONE, .file = fd,
                .targets = {&t, 1});
}

/* auth's word of an end comes over another socket than the requests do. */
static bool soon_unknown(int end, struct span h)
{
    struct msg_mailbox_list_r r;
    int rc = 0;
    for (int i = 0; i < 200 && rc == 0; i++) {
        rc = CALL(end, mailbox_list, &r, .handle = h);
        usleep(rc == 0 ? 5000 : 0);
    }
    return rc == FAIL_TEMP;
}

/* ---- tests ---- */

static void sessions_are_bound(void **state)
{
    struct msg_mailbox_list_r r;
    struct msg_ingest_r in;
    assert_int_equal(ingest(7, SPAN("secret"), -1, &in), 0);
    assert_int_equal(CALL(USER_1, mailbox_list, &r, .handle = handle("nobody")), FAIL_TEMP);
    log_in("alice", 7, USER_1);
    log_in("berta", 8, USER_2);
    assert_int_equal(CALL(USER_1, mailbox_list, &r, .handle = handle("alice")), 0);
    assert_true(r.mailboxes.n == 1 && r.mailboxes.v[0].total == 1 && r.mailboxes.v[0].role == MAILBOX_INBOX);
    /* a stolen front: knows alice's handle, mailbox and message, but is not the front where she logged in */
    struct op_id op = rand_op_id();
    struct msg_uid_range all = {1, 9};
    union {
        struct msg_email_read_r e;
        struct msg_member_scan_r s;
        struct msg_expunge_r x;
        struct msg_flags_set_r f;
        struct msg_changes_r c;
        struct msg_watch_r w;
        struct msg_mailbox_lock_r l;
        struct msg_events_r v;
    } out;
    assert_int_equal(CALL(USER_1, events, &out, .handle = handle("alice")), 0);
    assert_int_equal(out.v.rows.n, 2); /* received, stored */
    for (int i = 0; i < 100; i++) {
        struct span h = handle("alice"), own = handle("berta");
        uint64_t box = in.results.v[0].mailbox, eid = in.results.v[0].eid;
        assert_int_equal(CALL(USER_2, mailbox_list, &r, .handle = h), FAIL_PERM);
        assert_int_equal(CALL(USER_2, member_scan, &out, .handle = h, .mailbox = box, .first = 1, .last = 9),
                         FAIL_PERM);
        assert_int_equal(CALL(USER_2, email_read, &out, .handle = h, .eid = eid, .length = 9), FAIL_PERM);
        assert_int_equal(
            CALL(USER_2, expunge, &out, .handle = h, .op = span_of(op.b, 16), .mailbox = box, .uids = {&all, 1}),
            FAIL_PERM);
        assert_int_equal(CALL(USER_2, watch, &out, .handle = h), FAIL_PERM);
        assert_int_equal(CALL(USER_2, events, &out, .handle = h), FAIL_PERM);
        /* with a handle of its own it still reaches nothing of hers */
        assert_int_equal(CALL(USER_2, member_scan, &out, .handle = own, .mailbox = box, .first = 1, .last = 9),
                         FAIL_PERM);
        assert_int_equal(CALL(USER_2, email_read, &out, .handle = own, .eid = eid, .length = 9), FAIL_PERM);
        assert_int_equal(
            CALL(USER_2, expunge, &out, .handle = own, .op = span_of(op.b, 16), .mailbox = box, .uids = {&all, 1}),
            FAIL_PERM);
        assert_int_equal(CALL(USER_2, flags_set, &out, .handle = own, .op = span_of(op.b, 16), .mailbox = box,
                              .flags = 1, .uids = {&all, 1}),
                         FAIL_PERM);
        assert_int_equal(CALL(USER_2, mailbox_lock, &out, .handle = own, .mailbox = box), FAIL_PERM);
        assert_int_equal(CALL(USER_2, events, &out, .handle = own), 0);
        assert_int_equal(out.v.rows.n, 0);
    }
    assert_true(CALL(USER_2, events, &out, .handle = SPAN_NONE) != 0); /* as the command line asks */
    assert_int_equal(CALL(USER_1, mailbox_list, &r, .handle = handle("alice")), 0);
    assert_true(r.mailboxes.v[0].total == 1 && r.mailboxes.v[0].unseen == 1);
    POST(AUTH, session_end, .handle = handle("alice"));
    assert_true(soon_unknown(USER_1, handle("alice")));
}

/* The handle reaches the front over auth's answer and us over another socket: whichever is read first. */
static void handle_just_made(void **state)
{
    for (unsigned i = 0; i < 300; i++) {
        struct msg_mailbox_list_r r;
        char name[16];
        snprintf(name, sizeof name, "h%u", i);
        log_in(name, 1 + i % 3, USER_1);
        assert_int_equal(CALL(USER_1, mailbox_list, &r, .handle = handle(name)), 0);
    }
}

static void reading_and_removing(void **state)
{
    struct msg_ingest_r in;
    struct msg_mailbox_list_r boxes;
    struct msg_member_scan_r rows;
    struct msg_email_read_r text;
    struct msg_flags_set_r flags;
    struct msg_expunge_r gone;
    struct msg_changes_r changes;
    struct op_id op = rand_op_id(), op2 = rand_op_id();
    struct msg_uid_range uids = {2, 3};
    for (int i = 0; i < 4; i++)
        assert_int_equal(ingest(7, SPAN("Subject: x\r\n\r\ny\r\n"), -1, &in), 0);
    uint64_t box = in.results.v[0].mailbox;
    log_in("alice", 7, USER_1);
    struct span h = handle("alice");
    assert_int_equal(
        CALL(USER_1, member_scan, &rows, .handle = h, .mailbox = box, .first = 1, .last = UINT32_MAX, .limit = 3), 0);
    assert_true(rows.rows.n == 3 && rows.next == 4);
    assert_int_equal(CALL(USER_1, email_read, &text, .handle = h, .eid = rows.rows.v[0].eid, .length = 65536), 0);
    assert_true(span_eq(text.data, SPAN("Return-Path: <>\r\nDelivered-To: u@example.test\r\nSubject: x\r\n\r\ny\r\n")));
    assert_int_equal(text.size, rows.rows.v[0].size);
    assert_int_equal(CALL(USER_1, flags_set, &flags, .handle = h, .op = span_of(op.b, 16), .mailbox = box,
                          .mode = FLAGS_ADD, .flags = FLAG_SEEN, .uids = {&uids, 1}),
                     0);
    assert_int_equal(flags.changed, 2);
    for (int i = 0; i < 2; i++) { /* sent again after a restart: the same answer */
        assert_int_equal(
            CALL(USER_1, expunge, &gone, .handle = h, .op = span_of(op2.b, 16), .mailbox = box, .uids = {&uids, 1}), 0);
        assert_int_equal(gone.removed, 2);
    }
    assert_int_equal(CALL(USER_1, changes, &changes, .handle = h, .since = in.results.v[0].modseq), 0);
    assert_int_equal(changes.rows.n, 2);
    assert_int_equal(CALL(USER_1, mailbox_list, &boxes, .handle = h), 0);
    assert_true(boxes.mailboxes.v[0].total == 2 && boxes.mailboxes.v[0].unseen == 2);
    POST(AUTH, account_gone, .account = 7);
    assert_true(soon_unknown(USER_1, h));
    log_in("again", 7, USER_1);
    for (int i = 0; i < 200; i++) { /* a post: its commit comes when it comes */
        assert_int_equal(CALL(USER_1, mailbox_list, &boxes, .handle = handle("again")), 0);
        if (boxes.mailboxes.v[0].total == 0)
            return;
        usleep(5000);
    }
    fail_msg("the removed account still has mail");
}

static void locks(void **state)
{
    struct msg_mailbox_list_r boxes;
    struct msg_mailbox_lock_r r;
    log_in("one", 7, USER_1);
    log_in("two", 7, USER_1);
    log_in("three", 7, USER_2);
    assert_int_equal(CALL(USER_1, mailbox_list, &boxes, .handle = handle("one")), 0);
    uint64_t box = boxes.mailboxes.v[0].mailbox;
    assert_int_equal(CALL(USER_1, mailbox_lock, &r, .handle = handle("one"), .mailbox = box), 0);
    assert_int_equal(CALL(USER_1, mailbox_lock, &r, .handle = handle("one"), .mailbox = box), 0);
    assert_int_equal(CALL(USER_1, mailbox_lock, &r, .handle = handle("two"), .mailbox = box), FAIL_TEMP);
    POST(AUTH, session_end, .handle = handle("one"));
    assert_true(soon_unknown(USER_1, handle("one")));
    assert_int_equal(CALL(USER_1, mailbox_lock, &r, .handle = handle("two"), .mailbox = box), 0);
    assert_int_equal(CALL(USER_2, mailbox_lock, &r, .handle = handle("three"), .mailbox = box), FAIL_TEMP);
    close(ends[USER_1].fd); /* the front dies: its sessions and their locks go */
    ends[USER_1].fd = -1;
    int rc = FAIL_TEMP;
    for (int i = 0; i < 200 && rc != 0; i++) {
        rc = CALL(USER_2, mailbox_lock, &r, .handle = handle("three"), .mailbox = box);
        usleep(rc == 0 ? 0 : 5000);
    }
    assert_int_equal(rc, 0);
}

static void watching(void **state)
{
    struct msg_watch_r w;
    struct msg_ingest_r in;
    log_in("alice", 7, USER_1);
    log_in("second", 7, USER_1);
    assert_int_equal(CALL(USER_1, watch, &w, .handle = handle("alice")), 0);
    assert_int_equal(w.modseq, 0);
    assert_int_equal(CALL(USER_1, watch, &w, .handle = handle("second")), 0);
    assert_int_equal(ingest(8, SPAN("not hers"), -1, &in), 0);
    assert_int_equal(ingest(7, SPAN("hers"), -1, &in), 0);
    struct got g = receive_frame(USER_1);
    struct msg_changed c;
    assert_int_equal(g.kind, 3);
    assert_int_equal(ipc_decode(MSG_ID_changed, false, g.body, &mem, &c), 0);
    assert_true(c.account == 7 && c.modseq == in.results.v[0].modseq);
    POST(AUTH, session_end, .handle = handle("alice"));
    POST(AUTH, session_end, .handle = handle("second"));
    assert_true(soon_unknown(USER_1, handle("second")));
    assert_int_equal(ingest(7, SPAN("hers"), -1, &in), 0);
    struct pollfd p = {.fd = ends[USER_1].fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 50), 0); /* one post for two sessions, none when they are gone */
}

static void bodies(void **state)
{
    static char big[300000];
    struct msg_ingest_r in;
    memset(big, 'm', sizeof big);
    int fd = memfd_create("body", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(write(fd, big, 100000), 100000);
    assert_int_equal(ingest(7, span_of(big, 100000), fd, &in), FAIL_PERM); /* not sealed */
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
    assert_int_equal(ingest(7, span_of(big, 100001), fd, &in), FAIL_PERM); /* not that long */
    assert_int_equal(ingest(7, span_of(big, 100000), fd, &in), 0);
    close(fd);
    /* spooled: all writes under way at once, then lent, then stored */
    struct op_id op = rand_op_id();
    struct span id = span_of(op.b, 16);
    struct msg_spool_write_r w;
    struct msg_spool_lend_r lent;
    for (size_t at = 0; at < sizeof big; at += 30000)
        send_frame(MX, 0, MSG_ID_spool_write,
                   &(struct msg_spool_write){.op = id, .offset = at, .data = span_of(big + at, 30000)});
    for (size_t at = 0; at < sizeof big; at += 30000)
        assert_int_equal(answer(MX, MSG_ID_spool_write, &w), 0);
    assert_int_equal(CALL(MX, spool_lend, &lent, .op = id), 0);
    assert_int_equal(lent.size, sizeof big);
    char *copy = arena_alloc(&mem, sizeof big);
    assert_int_equal(pread(lent.file, copy, sizeof big, 0), sizeof big);
    assert_memory_equal(copy, big, sizeof big);
    assert_int_equal(write(lent.file, "x", 1), -1);
    close(lent.file);
    struct msg_ingest_target t = {.account = 7, .address = SPAN("u@example.test")};
    assert_int_equal(CALL(MX, ingest, &in, .op = id, .size = sizeof big, .file = -1, .spool = 1, .targets = {&t, 1}),
                     0);
    log_in("alice", 7, USER_1);
    struct msg_email_read_r text;
    assert_int_equal(CALL(USER_1, email_read, &text, .handle = handle("alice"), .eid = in.results.v[0].eid,
                          .offset = 250000, .length = 65536),
                     0);
    assert_int_equal(text.size, sizeof big + strlen("Return-Path: <>\r\nDelivered-To: u@example.test\r\n"));
    op = rand_op_id();
    assert_int_equal(CALL(MX, spool_write, &w, .op = id, .data = SPAN("dropped")), 0);
    POST(MX, spool_drop, .op = id);
    assert_int_equal(CALL(MX, spool_lend, &lent, .op = id), FAIL_TEMP);
}

/* Each operation once over its channel; then by a front that stole the handle, and by one with a handle of its own. */
static int any_operation(int i, int end, struct span h, uint64_t box, uint64_t eid, uint64_t blob)
{
    struct op_id made = rand_op_id();
    struct span op = span_of(made.b, 16);
    struct msg_uid_range uids = {1, 1};
    struct msg_email_id id = {eid};
    union {
        struct msg_append_r append;
        struct msg_copy_r copy;
        struct msg_mailbox_create_r create;
        struct msg_mailbox_set_r set;
        struct msg_mailbox_remove_r remove;
        struct msg_email_get_r email;
        struct msg_thread_get_r thread;
        struct msg_blob_put_r put;
        struct msg_blob_get_r get;
        struct msg_quota_get_r quota;
        struct msg_kv_get_r kv;
        struct msg_kv_list_r list;
    } out = {0};
    switch (i) {
    case 0:
        return CALL(end, append, &out, .handle = h, .op = op, .mailbox = box, .size = 1, .body = SPAN("x"), .file = -1);
    case 1:
        return CALL(end, copy, &out, .handle = h, .op = op, .from = box, .to = box, .uids = {&uids, 1});
    case 2:
        return CALL(end, mailbox_create, &out, .handle = h, .op = op, .parent = box,
                    .name = arena_printf(&mem, "%llu", (unsigned long long)rand_u64()));
    case 3:
        return CALL(end, mailbox_set, &out, .handle = h, .op = op, .mailbox = box, .what = MAILBOX_SET_SUBSCRIBED,
                    .subscribed = 1);
    case 4:
        return CALL(end, blob_get, &out, .handle = h, .blob = blob, .length = 10);
    case 5:
        return CALL(end, expunge, &out, .handle = h, .op = op, .mailbox = box, .flags = EXPUNGE_ONLY_DELETED,
                    .uids = {&uids, 1});
    case 6:
        return CALL(end, flags_set, &out, .handle = h, .op = op, .mailbox = box, .keywords = SPAN("k"),
                    .uids = {&uids, 1});
    case 7: /* these name nothing of hers but by the handle */
        return CALL(end, blob_put, &out, .handle = h, .op = op, .size = 1, .body = SPAN("x"), .file = -1);
    case 8:
        return CALL(end, quota_get, &out, .handle = h);
    case 9:
        return CALL(end, kv_set, &out, .handle = h, .key = SPAN("k"), .value = SPAN("berta's"));
    case 10:
        return CALL(end, kv_list, &out, .handle = h);
    case 11: /* these answer with nothing for what is not one's own */
        if (CALL(end, email_get, &out, .handle = h, .ids = {&id, 1}) != 0)
            return FAIL_PERM;
        return out.email.emails.n == 1 ? 0 : FAIL_PERM;
    case 12:
        if (CALL(end, thread_get, &out, .handle = h, .threads = {&id, 1}) != 0)
            return FAIL_PERM;
        return out.thread.emails.n == 1 ? 0 : FAIL_PERM;
    case 13:
        if (CALL(end, kv_get, &out, .handle = h, .key = SPAN("alice")) != 0)
            return FAIL_PERM;
        return out.kv.found == 1 ? 0 : FAIL_PERM;
    case 14:
        return CALL(end, mailbox_remove, &out, .handle = h, .op = op, .mailbox = box, .flags = MAILBOX_REMOVE_MESSAGES);
    default:
        return -1;
    }
}

static void mailbox_operations(void **state)
{
    struct msg_mailbox_create_r box;
    struct msg_append_r a;
    struct msg_blob_put_r blob;
    struct msg_kv_set_r none;
    log_in("alice", 7, USER_1);
    log_in("berta", 8, USER_2);
    struct span h = handle("alice"), own = handle("berta");
    struct op_id op[3] = {rand_op_id(), rand_op_id(), rand_op_id()};
    assert_int_equal(CALL(USER_1, mailbox_create, &box, .handle = h, .op = span_of(op[0].b, 16), .name = SPAN("Box")),
                     0);
    assert_int_equal(CALL(USER_1, append, &a, .handle = h, .op = span_of(op[1].b, 16), .mailbox = box.mailbox,
                          .size = 4, .body = SPAN("text"), .file = -1, .keywords = SPAN("$Junk")),
                     0);
    assert_int_equal(CALL(USER_1, blob_put, &blob, .handle = h, .op = span_of(op[2].b, 16), .size = 4,
                          .body = SPAN("blob"), .file = -1),
                     0);
    assert_int_equal(CALL(USER_1, kv_set, &none, .handle = h, .key = SPAN("alice"), .value = SPAN("hers")), 0);
    for (int i = 0; i < 15; i++) {
        assert_int_equal(any_operation(i, USER_2, h, box.mailbox, a.eid, blob.blob), FAIL_PERM); /* a stolen handle */
        int want = i >= 7 && i <= 10 ? 0 : FAIL_PERM; /* of her own account, where these are about that */
        assert_int_equal(any_operation(i, USER_2, own, box.mailbox, a.eid, blob.blob), want);
        if (i < 14)
            assert_int_equal(any_operation(i, USER_1, h, box.mailbox, a.eid, blob.blob), 0);
    }
    struct msg_quota_set_r q;
    struct msg_recount_r r;
    assert_int_equal(CALL(ADMIN, recount, &r, .account = 7), 0);
    assert_true(r.wrong == 0 && r.messages == 3);
    assert_int_equal(CALL(ADMIN, quota_set, &q, .account = 7, .limit_bytes = 9, .limit_messages = -1), 0);
    assert_int_equal(any_operation(0, USER_1, h, box.mailbox, 0, 0), FAIL_PERM);
    send_frame(USER_1, 0, MSG_ID_quota_set,
               &(struct msg_quota_set){.account = 7, .limit_bytes = -1}); /* not a front's */
    char end;
    assert_int_equal(recv(ends[USER_1].fd, &end, 1, 0), 0);
}

/* Relay keeps policies, which are nobody's, and reaches nothing else: no account's values, none of the store's own. */
static void values_of_relay(void **state)
{
    static const char *const others[] = {"k", "mtasts", "pop3/keep_days", "", "Mtasts/example.org"};
    struct msg_kv_set_r none;
    struct msg_kv_get_r got;
    log_in("alice", 7, USER_1);
    struct span h = handle("alice");
    assert_int_equal(CALL(USER_1, kv_set, &none, .handle = h, .key = SPAN("mtasts/example.org"), .value = SPAN("hers")), 0);
    assert_int_equal(CALL(RELAY, kv_get, &got, .key = SPAN("mtasts/example.org")), 0);
    assert_int_equal(got.found, 0);
    assert_int_equal(CALL(RELAY, kv_set, &none, .key = SPAN("mtasts/example.org"), .value = SPAN("policy"), .ttl_s = 60, .account = 7), 0);
    assert_int_equal(CALL(RELAY, kv_get, &got, .key = SPAN("mtasts/example.org")), 0);
    assert_true(got.found == 1 && span_eq(got.value, SPAN("policy")) && got.expires_s > 0);
    assert_int_equal(CALL(USER_1, kv_get, &got, .handle = h, .key = SPAN("mtasts/example.org")), 0);
    assert_true(got.found == 1 && span_eq(got.value, SPAN("hers")));
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        assert_int_not_equal(CALL(RELAY, kv_set, &none, .key = span_z(others[i]), .value = SPAN("x"), .account = 7), 0);
        assert_int_not_equal(CALL(RELAY, kv_get, &got, .key = span_z(others[i])), 0);
    }
}

/* A draft above what a frame holds: as a file it must be sealed, above that it is spooled. */
static void large_appends(void **state)
{
    static char big[300000];
    struct msg_append_r a;
    struct msg_blob_put_r b;
    struct msg_spool_write_r w;
    struct op_id op = rand_op_id(), op2 = rand_op_id(), op3 = rand_op_id();
    memset(big, 'm', sizeof big);
    log_in("alice", 7, USER_1);
    struct span h = handle("alice");
    int fd = memfd_create("body", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(write(fd, big, sizeof big), sizeof big);
    assert_int_equal(CALL(USER_1, append, &a, .handle = h, .op = span_of(op.b, 16), .size = sizeof big, .file = fd),
                     FAIL_PERM);
    assert_int_equal(CALL(USER_1, blob_put, &b, .handle = h, .op = span_of(op2.b, 16), .size = sizeof big, .file = fd),
                     FAIL_PERM);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
    assert_int_equal(CALL(USER_1, append, &a, .handle = h, .op = span_of(op.b, 16), .size = sizeof big, .file = fd), 0);
    assert_int_equal(CALL(USER_1, blob_put, &b, .handle = h, .op = span_of(op2.b, 16), .size = sizeof big, .file = fd),
                     0);
    close(fd);
    for (size_t at = 0; at < sizeof big; at += 60000)
        assert_int_equal(
            CALL(USER_1, spool_write, &w, .op = span_of(op3.b, 16), .offset = at, .data = span_of(big + at, 60000)), 0);
    assert_int_equal(
        CALL(USER_1, append, &a, .handle = h, .op = span_of(op3.b, 16), .size = sizeof big, .spool = 1, .file = -1), 0);
    struct msg_email_read_r text;
    assert_int_equal(CALL(USER_1, email_read, &text, .handle = h, .eid = a.eid, .offset = 299990, .length = 99), 0);
    assert_true(text.size == sizeof big && text.data.n == 10);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(sessions_are_bound), T(handle_just_made), T(reading_and_removing), T(locks),
        T(watching),           T(bodies),           T(mailbox_operations),   T(large_appends),
        T(values_of_relay)};
    return cmocka_run_group_tests_name("store_role", tests, NULL, NULL);
}
