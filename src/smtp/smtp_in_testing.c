/* The other roles, each in a process of its own, answering by what the bytes say. */
#include "smtp/smtp_in_testing.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/utf8.h"
#include "format/summary.h"
#include "run/loop.h"

enum { SCANS = 8 }; /* they die in some tests */

struct smtp_in_seen *smtp_in_seen;

/* ---- auth -------------------------------------------------------------------------------------------------------------- */

void smtp_in_testing_rcpt(struct span address, struct msg_rcpt_check_r *out)
{
    static struct msg_rcpt_target all[] = {
        {.account = 1, .address = {"bob@example.test", 16}, .lang = {"en", 2}},
        {.account = 2, .address = {"carol@example.test", 18}, .lang = {"de", 2}},
        {.account = 3, .address = {"dave@example.test", 17}, .lang = {"en", 2}},
        {.account = 4, .address = {"fullbox@example.test", 20}, .lang = {"en", 2}},
        {.account = 5, .address = {"small@example.test", 18}, .lang = {"en", 2}},
    };
    static struct msg_rcpt_forward forward = {{"x@other.example", 15}, {"other.example", 13}, {"away@example.test", 17}};
    *out = (struct msg_rcpt_check_r){.status = RCPT_NOT_OURS, .generation = 7};
    if (span_ends_nocase(address, SPAN("@example.test")))
        out->status = RCPT_NO_USER;
    if (span_starts(address, SPAN("disabled@")))
        out->status = RCPT_DISABLED;
    if (span_starts(address, SPAN("loop@")))
        out->status = RCPT_LOOP;
    bool list = span_eq_nocase(address, SPAN("list@example.test"));
    for (size_t i = 0; i < COUNT_OF(all) && out->targets.n == 0; i++)
        if (list || span_eq_nocase(address, all[i].address)) {
            out->status = RCPT_OK;
            out->targets.v = &all[i];
            out->targets.n = list ? 3 : 1;
        }
    if (span_eq_nocase(address, SPAN("away@example.test")) || span_eq_nocase(address, SPAN("both@example.test"))) {
        out->status = RCPT_OK;
        out->forwards.v = &forward;
        out->forwards.n = 1;
        out->targets.v = all;
        out->targets.n = address.p[0] == 'b';
        out->flags = address.p[0] == 'b' ? RCPT_EXPANDED : 0;
    }
    if (list)
        out->flags = RCPT_EXPANDED;
    if (span_eq_nocase(address, SPAN("postmaster"))) {
        out->status = RCPT_OK;
        out->targets.v = all;
        out->targets.n = 1;
    }
}

static void on_rcpt_check(struct ipc_req *req)
{
    const struct msg_rcpt_check *in = req->in;
    struct msg_rcpt_check_r out;
    smtp_in_seen->rcpt_checks++;
    smtp_in_testing_rcpt(in->address, &out);
    ipc_reply(req, &out);
}

void smtp_in_testing_sasl(const struct msg_sasl *in, struct msg_sasl_r *out)
{
    *out = (struct msg_sasl_r){.state = SASL_BAD};
    if (span_eq(in->response, SPAN("\0bob\0secret"))) {
        out->state = SASL_OK;
        out->handle = SPAN("0123456789abcdef");
        out->account = 1;
        out->address = SPAN("bob@example.test");
    } else if (span_eq(in->response, SPAN("\0bob\0busy"))) {
        out->state = SASL_BUSY;
    } else if (in->dialog == 0 && in->response.n == 0) {
        out->state = SASL_MORE;
        out->dialog = 8;
    } else if (span_eq(in->response, SPAN("more"))) {
        out->state = SASL_MORE;
        out->dialog = 7;
        out->challenge = SPAN("and?");
    } else if (in->dialog == 7 && span_eq(in->response, SPAN("that"))) {
        out->state = SASL_BAD;
    } else if (span_find_char(in->response, 0) < 0) {
        out->state = SASL_SYNTAX;
    }
}

static void on_sasl(struct ipc_req *req)
{
    struct msg_sasl_r out;
    smtp_in_testing_sasl(req->in, &out);
    ipc_reply(req, &out);
}

bool smtp_in_testing_owns(struct span address)
{
    return span_eq_nocase(address, SPAN("robert@example.test")) || span_eq(address, SPAN("bob@example.test"));
}

static void on_identity(struct ipc_req *req)
{
    const struct msg_identity *in = req->in;
    bool own = span_eq(in->handle, SPAN("0123456789abcdef")) && smtp_in_testing_owns(in->address);
    ipc_reply(req, &(struct msg_identity_r){.own = own});
}

static void on_rcpt_near(struct ipc_req *req)
{
    const struct msg_rcpt_near *in = req->in;
    bool slip = span_eq(in->handle, SPAN("0123456789abcdef")) && span_starts(in->address, SPAN("bbo@"));
    ipc_reply(req, &(struct msg_rcpt_near_r){.address = slip ? SPAN("bob@example.test") : SPAN("")});
}

static void on_logout(const struct ipc_peer *peer, const void *in)
{
    smtp_in_seen->logouts++;
}

/* ---- relay ------------------------------------------------------------------------------------------------------------- */

static void on_dns(struct ipc_req *req)
{
    const struct msg_dns *in = req->in;
    static struct msg_dns_record null = {{"\0\0\0", 3}}, mx = {{"\0\12\2mx\0", 6}};
    struct msg_dns_r out = {.status = DNS_NXDOMAIN};
    if (span_eq(in->name, SPAN("slow.example")))
        out.status = DNS_SERVFAIL;
    if (span_eq(in->name, SPAN("bare.example"))) /* an address only */
        out.status = in->type == 28 ? DNS_OK : DNS_NODATA;
    if (span_eq(in->name, SPAN("other.example")) || span_eq(in->name, SPAN("null.example"))) {
        out.status = DNS_OK;
        out.records.v = in->name.p[0] == 'n' ? &null : &mx;
        out.records.n = 1;
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

uint32_t smtp_in_testing_flags(struct span message)
{
    return utf8_ascii(message) ? 0 : SUMMARY_8BIT;
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
    out.flags = smtp_in_testing_flags(message);
    ipc_reply(req, &out);
}

static void on_submit(struct ipc_req *req)
{
    const struct msg_scan_submit *in = req->in;
    struct span message = bytes_of(in->body, in->file, in->size, req->mem);
    struct msg_scan_submit_r out = {.headers = SPAN("headers"), .edits = SPAN("edits")};
    struct str authors;
    smtp_in_seen->submits++;
    out.flags = smtp_in_testing_flags(message);
    str_init(&authors, req->mem);
    while (message.n > 0) {
        struct span line = span_trim(span_split(&message, '\n'));
        if (!span_starts(line, SPAN("From: ")))
            continue;
        out.faults |= authors.n > 0 ? SUBMIT_MANY_FROM : 0;
        str_add(&authors, span_from(line, 6));
        str_addc(&authors, '\n');
    }
    out.authors = str_span(&authors);
    out.faults |= authors.n == 0 ? SUBMIT_NO_FROM : 0;
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
    s->remotes[0] = s->notes[0] = 0;
    for (uint32_t i = 0, n = 0; i < in->remotes.n && n < sizeof s->remotes; i++) {
        const struct msg_ingest_remote *r = &in->remotes.v[i];
        n += (uint32_t)snprintf(s->remotes + n, sizeof s->remotes - n, "%.*s %.*s %u %.*s %.*s\n", SPAN_ARGS(r->address),
                                SPAN_ARGS(r->domain), r->notify, SPAN_ARGS(r->orcpt), SPAN_ARGS(r->via));
    }
    for (uint32_t i = 0, n = 0; i < in->notes.n && n < sizeof s->notes; i++) {
        const struct msg_ingest_note *r = &in->notes.v[i];
        n += (uint32_t)snprintf(s->notes + n, sizeof s->notes - n, "%.*s %u %.*s\n", SPAN_ARGS(r->address), r->action,
                                SPAN_ARGS(r->orcpt));
    }
    snprintf(s->envid, sizeof s->envid, "%.*s", SPAN_ARGS(in->envid));
    s->ret = in->ret;
    s->flags = in->envelope_flags;
    s->handle = in->handle.n == 16;
    s->edits = in->edits.n > 0;
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

int64_t smtp_in_testing_room(uint64_t account)
{
    return account == 5 ? 100 : INT64_MAX;
}

static void on_room(struct ipc_req *req)
{
    const struct msg_room *in = req->in;
    ipc_reply(req, &(struct msg_room_r){.bytes = smtp_in_testing_room(in->account)});
}

static void on_send_check(struct ipc_req *req)
{
    const struct msg_send_check *in = req->in;
    bool enough = span_starts(in->address, SPAN("enough@"));
    ipc_reply(req, &(struct msg_send_check_r){.refused = enough ? SEND_NEW_RCPTS : SEND_OK, .again_ms = 1795600800000});
}

static void on_event_note(const struct ipc_peer *peer, const void *msg)
{
    const struct msg_event_note *in = msg;
    smtp_in_seen->notes_posted++;
    snprintf(smtp_in_seen->refusal, sizeof smtp_in_seen->refusal, "%u %.*s %.*s %.*s", in->code, SPAN_ARGS(in->status),
             SPAN_ARGS(in->address), SPAN_ARGS(in->text));
}

static bool has_account(const struct msg_ingest *in, uint64_t account)
{
    for (uint32_t i = 0; i < in->targets.n; i++)
        if (in->targets.v[i].account == account)
            return true;
    return false;
}

int smtp_in_testing_keeps(const struct msg_ingest *in, struct fail *f)
{
    if (span_starts(in->sender, SPAN("SENDER-FULL")))
        return fail_temp(f, "4.2.2", "mailbox full");
    if (has_account(in, 4))
        return fail_temp(f, "4.2.2", "a mailbox is full");
    if (span_starts(in->sender, SPAN("SENDER-NEVER")))
        return fail_perm(f, "5.2.1", "mailbox gone");
    return 0;
}

void smtp_in_testing_line(struct str *out, const struct msg_ingest *in, struct span text)
{
    str_addf(out, "%.*s flags=%u ret=%u envid=%.*s login=%d", SPAN_ARGS(in->sender), in->envelope_flags, in->ret,
             SPAN_ARGS(in->envid), in->handle.n == 16);
    for (uint32_t i = 0; i < in->targets.n; i++)
        str_addf(out, " to=%llu", (unsigned long long)in->targets.v[i].account);
    for (uint32_t i = 0; i < in->remotes.n; i++) {
        const struct msg_ingest_remote *r = &in->remotes.v[i];
        str_addf(out, " away=%.*s,%.*s,%u,%.*s,%.*s", SPAN_ARGS(r->address), SPAN_ARGS(r->domain), r->notify,
                 SPAN_ARGS(r->orcpt), SPAN_ARGS(r->via));
    }
    for (uint32_t i = 0; i < in->notes.n; i++)
        str_addf(out, " note=%.*s,%u,%.*s", SPAN_ARGS(in->notes.v[i].address), in->notes.v[i].action,
                 SPAN_ARGS(in->notes.v[i].orcpt));
    str_addf(out, " octets=%zu hash=%llx\n", text.n, (unsigned long long)span_hash(text));
}

/* Behind our trace field. */
static struct span own_text(struct span message)
{
    for (ptrdiff_t at; (at = span_find(message, SPAN("\r\n"))) >= 0;) {
        message = span_from(message, (size_t)at + 2);
        if (message.n == 0 || (message.p[0] != ' ' && message.p[0] != '\t'))
            break;
    }
    return message;
}

static void keep_line(const struct msg_ingest *in, struct span message, struct arena *mem)
{
    struct smtp_in_seen *s = smtp_in_seen;
    struct str line;
    str_init(&line, mem);
    smtp_in_testing_line(&line, in, own_text(message));
    size_t n = MIN_OF(line.n, sizeof s->log - s->log_n);
    memcpy(s->log + s->log_n, line.p, n);
    s->log_n += n;
}

static void on_ingest(struct ipc_req *req)
{
    const struct msg_ingest *in = req->in;
    struct fail f;
    struct span message = in->spool ? bytes_of(SPAN_NONE, spool_fd, spool_size, req->mem)
                                    : bytes_of(in->body, in->file, in->size, req->mem);
    int bad = in->op.n != 16 || message.n != in->size || !span_eq(in->headers, SPAN("headers"))
                  ? fail_perm(&f, "5.5.4", "that was no message")
                  : smtp_in_testing_keeps(in, &f);
    if (bad < 0) {
        ipc_refuse(req, &f);
        return;
    }
    note(in, message);
    keep_line(in, message, req->mem);
    ipc_reply(req, &(struct msg_ingest_r){0});
}

/* ---- processes --------------------------------------------------------------------------------------------------------- */

static const struct ipc_handler auth_rows[] = {
    {.id = MSG_ID_rcpt_check, .call = on_rcpt_check},
    {.id = MSG_ID_sasl, .call = on_sasl},
    {.id = MSG_ID_identity, .call = on_identity},
    {.id = MSG_ID_rcpt_near, .call = on_rcpt_near},
    {.id = MSG_ID_logout, .post = on_logout},
};
static const struct ipc_handler scan_rows[] = {
    {.id = MSG_ID_summarize, .call = on_summarize},
    {.id = MSG_ID_scan_submit, .call = on_submit},
};
static const struct ipc_handler relay_rows[] = {{.id = MSG_ID_dns, .call = on_dns}};
static const struct ipc_handler store_rows[] = {
    {.id = MSG_ID_ingest, .call = on_ingest},
    {.id = MSG_ID_room, .call = on_room},
    {.id = MSG_ID_send_check, .call = on_send_check},
    {.id = MSG_ID_event_note, .post = on_event_note},
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
static int auth_fd, store_fd, relay_fd;

static WAITS void with_channels(void)
{
    ipc_self(ROLE_FRONT_USER); /* which may call all that front-mx may */
    static bool told;
    if (!told)
        ipc_on_close(on_close);
    told = true;
    ipc_attach(auth_fd, (struct ipc_peer){ROLE_AUTH, 0, 1}, true, false);
    ipc_attach(store_fd, (struct ipc_peer){ROLE_STORE, 0, 2}, true, false);
    ipc_attach(relay_fd, (struct ipc_peer){ROLE_RELAY, 0, 3}, true, false);
    attach_scan();
    test_fn();
    ending = true;
}

int smtp_in_testing_run(void (*fn)(void))
{
    smtp_in_seen = mmap(NULL, sizeof *smtp_in_seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct ipc_server auth = ipc_testing_server(ROLE_AUTH, ROLE_FRONT_USER, auth_rows, COUNT_OF(auth_rows));
    struct ipc_server store = ipc_testing_server(ROLE_STORE, ROLE_FRONT_USER, store_rows, COUNT_OF(store_rows));
    struct ipc_server relay = ipc_testing_server(ROLE_RELAY, ROLE_FRONT_USER, relay_rows, COUNT_OF(relay_rows));
    next_scan = 0;
    ending = false;
    for (size_t i = 0; i < SCANS; i++)
        scans[i] = ipc_testing_server(ROLE_SCAN, ROLE_FRONT_USER, scan_rows, COUNT_OF(scan_rows));
    auth_fd = auth.fd;
    store_fd = store.fd;
    relay_fd = relay.fd;
    test_fn = fn;
    int failed = ipc_testing_run(with_channels);
    for (unsigned i = 0; i < SCANS; i++) {
        if (i >= next_scan)
            close(scans[i].fd);
        kill(scans[i].pid, SIGKILL);
        waitpid(scans[i].pid, NULL, 0);
    }
    const struct ipc_server *const others[] = {&auth, &store, &relay};
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        kill(others[i]->pid, SIGKILL);
        waitpid(others[i]->pid, NULL, 0);
    }
    munmap(smtp_in_seen, sizeof *smtp_in_seen);
    return failed;
}

int smtp_in_testing_start(void)
{
    const struct { enum role_kind kind; const struct ipc_handler *rows; size_t n; } roles[] = {
        {ROLE_AUTH, auth_rows, COUNT_OF(auth_rows)},
        {ROLE_STORE, store_rows, COUNT_OF(store_rows)},
        {ROLE_RELAY, relay_rows, COUNT_OF(relay_rows)},
        {ROLE_SCAN, scan_rows, COUNT_OF(scan_rows)},
    };
    struct ipc_server servers[COUNT_OF(roles)];
    smtp_in_seen = mmap(NULL, sizeof *smtp_in_seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < COUNT_OF(roles); i++) {
        servers[i] = ipc_testing_server(roles[i].kind, ROLE_FRONT_USER, roles[i].rows, roles[i].n);
        if (servers[i].pid < 0)
            return -1;
    }
    if (smtp_in_seen == MAP_FAILED || loop_init() < 0)
        return -1;
    ipc_self(ROLE_FRONT_USER);
    for (size_t i = 0; i < COUNT_OF(roles); i++)
        ipc_attach(servers[i].fd, (struct ipc_peer){roles[i].kind, 0, 1 + i}, true, false);
    return 0;
}

struct going { void (*fn)(void *arg); void *arg; };

static void go(void *arg)
{
    struct going *g = arg;
    g->fn(g->arg);
    loop_stop();
}

void smtp_in_testing_go(void (*fn)(void *arg), void *arg)
{
    coro_start(go, &(struct going){fn, arg});
    loop_run();
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
