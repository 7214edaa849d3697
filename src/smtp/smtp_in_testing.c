/* The other roles, each in a process of its own, answering by what the bytes say. */
#include "smtp/smtp_in_testing.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { SCANS = 8 }; /* they die in some tests */

struct smtp_in_seen *smtp_in_seen;

/* ---- auth -------------------------------------------------------------------------------------------------------------- */

static void on_rcpt_check(struct ipc_req *req)
{
    const struct msg_rcpt_check *in = req->in;
    static struct msg_rcpt_target all[] = {
        {.account = 1, .address = {"bob@example.test", 16}, .lang = {"en", 2}},
        {.account = 2, .address = {"carol@example.test", 18}, .lang = {"de", 2}},
        {.account = 3, .address = {"dave@example.test", 17}, .lang = {"en", 2}},
    };
    struct msg_rcpt_check_r out = {.status = RCPT_NOT_OURS, .generation = 7};
    smtp_in_seen->rcpt_checks++;
    if (span_ends_nocase(in->address, SPAN("@example.test")))
        out.status = RCPT_NO_USER;
    if (span_starts(in->address, SPAN("disabled@")))
        out.status = RCPT_DISABLED;
    if (span_starts(in->address, SPAN("loop@")))
        out.status = RCPT_LOOP;
    bool list = span_eq_nocase(in->address, SPAN("list@example.test"));
    for (size_t i = 0; i < COUNT_OF(all) && out.targets.n == 0; i++)
        if (list || span_eq_nocase(in->address, all[i].address)) {
            out.status = RCPT_OK;
            out.targets.v = &all[i];
            out.targets.n = list ? 3 : 1;
        }
    if (span_eq_nocase(in->address, SPAN("postmaster"))) {
        out.status = RCPT_OK;
        out.targets.v = all;
        out.targets.n = 1;
    }
    ipc_reply(req, &out);
}

/* ---- scan -------------------------------------------------------------------------------------------------------------- */

/* The whole message, from the frame or the descriptor; lives in mem. */
static struct span bytes_of(struct span body, int file, uint64_t size, struct arena *mem)
{
    if (file < 0)
        return body;
    char *p = arena_alloc(mem, size);
    ssize_t n = pread(file, p, size, 0);
    return span_of(p, n > 0 ? (size_t)n : 0);
}

static void on_summarize(struct ipc_req *req)
{
    const struct msg_summarize *in = req->in;
    struct span message = bytes_of(in->body, in->file, in->size, req->mem);
    struct msg_summarize_r out = {0};
    smtp_in_seen->scans++;
    smtp_in_seen->scans_alone += in->flags & 1;
    if (message.n != in->size || span_find(message, SPAN("CRASH-ALWAYS")) >= 0 ||
        (span_find(message, SPAN("CRASH-ONCE")) >= 0 && !(in->flags & 1)))
        _exit(9);
    for (ptrdiff_t at = 0; at >= 0; out.hops++) {
        ptrdiff_t next = span_find(span_from(message, (size_t)at + (at > 0)), SPAN("Received:"));
        at = next < 0 ? -1 : at + (at > 0) + next;
        if (at < 0)
            break;
        at = at == 0 ? 1 : at;
    }
    out.headers = SPAN("headers");
    ipc_reply(req, &out);
}

/* ---- store ------------------------------------------------------------------------------------------------------------- */

static int spool_fd = -1;
static uint64_t spool_size;

static void on_spool_write(struct ipc_req *req)
{
    const struct msg_spool_write *in = req->in;
    if (in->offset == 0) {
        if (spool_fd >= 0)
            close(spool_fd);
        spool_fd = memfd_create("spool", MFD_CLOEXEC);
        spool_size = 0;
    }
    if (in->offset != spool_size || pwrite(spool_fd, in->data.p, in->data.n, (off_t)in->offset) != (ssize_t)in->data.n) {
        struct fail f;
        fail_temp(&f, "4.3.0", "a gap");
        ipc_refuse(req, &f);
        return;
    }
    spool_size += in->data.n;
    ipc_reply(req, &(struct msg_spool_write_r){.size = spool_size});
}

static void on_spool_lend(struct ipc_req *req)
{
    ipc_reply(req, &(struct msg_spool_lend_r){.file = spool_fd, .size = spool_size});
}

static void on_spool_drop(const struct ipc_peer *peer, const void *in)
{
    smtp_in_seen->drops++;
}

static void note(const struct msg_ingest *in, struct span message)
{
    struct smtp_in_seen *s = smtp_in_seen;
    s->ingests++;
    snprintf(s->sender, sizeof s->sender, "%.*s", SPAN_ARGS(in->sender));
    s->targets = in->targets.n;
    for (uint32_t i = 0; i < in->targets.n && i < COUNT_OF(s->accounts); i++)
        s->accounts[i] = in->targets.v[i].account;
    s->size = in->size;
    s->spool = in->spool;
    s->file = in->file >= 0;
    s->body_n = MIN_OF(message.n, sizeof s->body);
    memcpy(s->body, message.p, s->body_n);
    memset(s->tail, 0, sizeof s->tail);
    size_t n = MIN_OF(message.n, sizeof s->tail - 1);
    memcpy(s->tail, message.p + message.n - n, n);
    s->hash = span_hash(message);
}

static void on_ingest(struct ipc_req *req)
{
    const struct msg_ingest *in = req->in;
    struct fail f;
    struct span message = in->spool ? bytes_of(SPAN_NONE, spool_fd, spool_size, req->mem)
                                    : bytes_of(in->body, in->file, in->size, req->mem);
    if (in->op.n != 16 || message.n != in->size || !span_eq(in->headers, SPAN("headers")))
        fail_perm(&f, "5.5.4", "that was no message");
    else if (span_starts(in->sender, SPAN("SENDER-FULL")))
        fail_temp(&f, "4.2.2", "mailbox full");
    else if (span_starts(in->sender, SPAN("SENDER-NEVER")))
        fail_perm(&f, "5.2.1", "mailbox gone");
    else {
        note(in, message);
        ipc_reply(req, &(struct msg_ingest_r){0});
        return;
    }
    ipc_refuse(req, &f);
}

/* ---- processes --------------------------------------------------------------------------------------------------------- */

static const struct ipc_handler auth_rows[] = {{.id = MSG_ID_rcpt_check, .call = on_rcpt_check}};
static const struct ipc_handler scan_rows[] = {{.id = MSG_ID_summarize, .call = on_summarize}};
static const struct ipc_handler store_rows[] = {
    {.id = MSG_ID_ingest, .call = on_ingest},
    {.id = MSG_ID_spool_write, .call = on_spool_write},
    {.id = MSG_ID_spool_lend, .call = on_spool_lend},
    {.id = MSG_ID_spool_drop, .post = on_spool_drop},
};

static struct ipc_server scans[SCANS];
static unsigned next_scan;
static bool ending;

static void attach_scan(void)
{
    if (next_scan < SCANS) {
        ipc_attach(scans[next_scan].fd, (struct ipc_peer){ROLE_SCAN, 0, 100 + next_scan}, true, false);
        next_scan++;
    }
}

static void on_close(struct ipc_peer peer, bool calls)
{
    if (peer.kind == ROLE_SCAN && !ending)
        attach_scan();
}

static void (*test_fn)(void);
static int auth_fd, store_fd;

static WAITS void with_channels(void)
{
    ipc_self(ROLE_FRONT_MX);
    ipc_on_close(on_close);
    ipc_attach(auth_fd, (struct ipc_peer){ROLE_AUTH, 0, 1}, true, false);
    ipc_attach(store_fd, (struct ipc_peer){ROLE_STORE, 0, 2}, true, false);
    attach_scan();
    test_fn();
    ending = true;
}

int smtp_in_testing_run(void (*fn)(void))
{
    smtp_in_seen = mmap(NULL, sizeof *smtp_in_seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct ipc_server auth = ipc_testing_server(ROLE_AUTH, ROLE_FRONT_MX, auth_rows, COUNT_OF(auth_rows));
    struct ipc_server store = ipc_testing_server(ROLE_STORE, ROLE_FRONT_MX, store_rows, COUNT_OF(store_rows));
    next_scan = 0;
    ending = false;
    for (size_t i = 0; i < SCANS; i++)
        scans[i] = ipc_testing_server(ROLE_SCAN, ROLE_FRONT_MX, scan_rows, COUNT_OF(scan_rows));
    auth_fd = auth.fd;
    store_fd = store.fd;
    test_fn = fn;
    int failed = ipc_testing_run(with_channels);
    for (unsigned i = 0; i < SCANS; i++) {
        if (i >= next_scan)
            close(scans[i].fd);
        kill(scans[i].pid, SIGKILL);
        waitpid(scans[i].pid, NULL, 0);
    }
    kill(auth.pid, SIGKILL);
    kill(store.pid, SIGKILL);
    waitpid(auth.pid, NULL, 0);
    waitpid(store.pid, NULL, 0);
    munmap(smtp_in_seen, sizeof *smtp_in_seen);
    return failed;
}

struct span smtp_in_testing_codes(struct span said, struct arena *mem)
{
    struct str out;
    str_init(&out, mem);
    while (said.n > 0) {
        struct span line = span_split(&said, '\n');
        if (line.n < 4 || line.p[3] == '-')
            continue;
        if (out.n > 0)
            str_addc(&out, ' ');
        str_add(&out, span_sub(line, 0, 3));
    }
    return str_span(&out);
}
