/* store_dsn: see the header. A coroutine that sleeps until a report is due: built from the log's bytes (format/dsn), read by
 * scan as all mail is, then an ingest like any other, whose commit also takes the note of it away: one report each, whatever
 * dies between. Its reverse-path is empty, so nothing is ever reported about it. */
#include "roles/store_dsn.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/utf8.h"
#include "format/dsn.h"
#include "format/read.h"
#include "format/summary.h"
#include "login/login_name.h"
#include "roles/store_role.h"
#include "run/config.h"
#include "run/scanner.h"
#include "run/work.h"

#include <endian.h>
#include <fcntl.h>
#include <sys/mman.h>

enum { LOOK_MS = 30000, BACK_OFF_MS = 5000, TRIES_MOST = 1500, IDS_MOST = 200 };

struct making {
    struct store_report report;
    int64_t wait_ms;
    int rc;                         /* of the step on the pool */
    struct span original;
    bool whole;
    struct span *thread;            /* ids of the messages that it answers, the last one is that of its own message */
    size_t n_thread;
    struct msg_rcpt_check_r to;
    struct span text;
    struct msg_summarize_r sum;
    struct store_write w;
    struct arena mem;
    struct fail fail;
};

static struct store *store;
static struct coro *maker;
static bool woken, stopped, busy;

/* ---- on the pool ---- */

static void look(void *arg)
{
    struct making *x = arg;
    x->rc = store_report_next(store, &x->report, &x->wait_ms, &x->mem, &x->fail);
}

static void write_it(void *arg)
{
    struct making *x = arg;
    x->rc = store_wait(store, &x->w);
}

static bool any(const struct store_report *r, uint32_t action)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->rows[i].action == action)
            return true;
    return false;
}

/* RFC 3461 4.3: RET is about failures; of others the header comes back. Large ones never come back whole. */
static void read_original(void *arg)
{
    struct making *x = arg;
    const struct store_report *r = &x->report;
    uint32_t most = (uint32_t)MIN_OF(LIMIT(DSN_BODY_BYTES), INT64_C(131072));
    struct msg_queue_read in = {.qid = r->qid, .length = most};
    struct msg_queue_read_r out;
    x->whole = r->ret != DSN_RET_HDRS && any(r, DSN_FAILED) && r->size <= most;
    x->rc = store_queue_read(store, &in, &out, &x->mem, &x->fail);
    if (x->rc != 0)
        return;
    x->original = out.data;
    ptrdiff_t end = span_find(out.data, SPAN("\r\n\r\n"));
    if (x->whole)
        return;
    if (end >= 0) {
        x->original = span_sub(out.data, 0, (size_t)end + 2);
    } else if (out.size > out.data.n) { /* a header that long is cut between lines */
        ptrdiff_t last = span_rfind_char(out.data, '\n');
        x->original = span_sub(out.data, 0, (size_t)(last + 1));
    }
}

/* ---- what it answers ---- */

/* The strings of READ_MESSAGE_IDS. */
static void add_ids(struct making *x, struct span packed)
{
    while (packed.n >= 4 && x->n_thread < IDS_MOST) {
        uint32_t n;
        memcpy(&n, packed.p, 4);
        n = le32toh(n);
        packed = span_from(packed, 4);
        if (n > packed.n)
            return;
        x->thread[x->n_thread++] = span_sub(packed, 0, n);
        packed = span_from(packed, n);
    }
}

/* RFC 5322 3.6.4: what the message refers to, else the one that it answers; and itself. Scan reads its header. */
static WAITS int ask_thread(struct making *x)
{
    enum { OWN, REFERENCES, PARENT, ASKS };
    struct msg_scan_ask asks[ASKS] = {{SPAN("Message-ID"), READ_MESSAGE_IDS}, {SPAN("References"), READ_MESSAGE_IDS},
                                      {SPAN("In-Reply-To"), READ_MESSAGE_IDS}};
    struct span got[ASKS] = {0}, one = SPAN_NONE;
    ptrdiff_t end = span_find(x->original, SPAN("\r\n\r\n"));
    struct span head = span_sub(x->original, 0, MIN_OF(end < 0 ? x->original.n : (size_t)end + 4, (size_t)LIMIT(BODY_INLINE)));
    struct msg_scan_fields in = {.size = head.n, .body = head, .file = -1, .asks = {asks, ASKS}};
    struct msg_scan_fields_r out;
    if (scanner_call(MSG_ID_scan_fields, &in, &out, x->report.qid, false, x->report.trace, &x->mem, &x->fail) != 0)
        return x->fail.kind == FAIL_PERM ? 0 : -1; /* no scan can read it: its report is made all the same */
    for (uint32_t i = 0; i < out.values.n; i++)
        if (out.values.v[i].ask < ASKS && got[out.values.v[i].ask].n == 0)
            got[out.values.v[i].ask] = out.values.v[i].data;
    x->thread = arena_alloc(&x->mem, (IDS_MOST + 1) * sizeof *x->thread);
    add_ids(x, got[OWN]);
    if (x->n_thread == 0)
        return 0;
    one = x->thread[0];
    x->n_thread = 0;
    add_ids(x, got[REFERENCES]);
    if (x->n_thread == 0)
        add_ids(x, got[PARENT]);
    x->thread[x->n_thread++] = one;
    return 0;
}

/* ---- making ---- */

static void build(struct making *x, const struct op_id *op)
{
    const struct store_report *r = &x->report;
    struct dsn_rcpt *v = arena_zalloc(&x->mem, r->n * sizeof *v);
    struct span lang = x->to.targets.n > 0 ? x->to.targets.v[0].lang : SPAN_NONE;
    char id[13], boundary[32];
    struct str out;
    rand_trace_id(op, id);
    snprintf(boundary, sizeof boundary, "=_%016llx", (unsigned long long)rand_u64());
    for (size_t i = 0; i < r->n; i++) {
        const struct store_report_row *f = &r->rows[i];
        v[i] = (struct dsn_rcpt){.action = f->action, .address = f->address, .orcpt = f->orcpt, .status = f->status, .code = f->code,
            .text = f->text, .host = f->host, .at_s = f->at_ms / 1000, .until_s = f->until_ms / 1000};
    }
    struct dsn d = {.hostname = config_text(CONFIG_server_hostname), .lang = lang, .to = r->report, .id = span_z(id),
        .boundary = span_z(boundary), .envid = r->envid, .trace = r->trace, .thread = x->thread, .n_thread = x->n_thread, .now_s = clock_now_s(), .arrived_s = r->created_ms / 1000,
        .utf8 = (r->flags & ENVELOPE_SMTPUTF8) != 0, .whole = x->whole, .eight_bit = !utf8_ascii(x->original),
        .original = x->original, .rcpts = v, .n = r->n};
    str_init(&out, &x->mem);
    dsn_write(&out, &d);
    x->text = str_span(&out);
}

static WAITS int summarize_it(struct making *x)
{
    struct msg_summarize in = {.size = x->text.n, .body = x->text, .file = -1};
    if (x->text.n > (size_t)LIMIT(BODY_INLINE)) {
        in.body = SPAN_NONE;
        in.file = memfd_create("report", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (in.file < 0 || write(in.file, x->text.p, x->text.n) != (ssize_t)x->text.n ||
            fcntl(in.file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) {
            if (in.file >= 0)
                close(in.file);
            return fail_temp(&x->fail, "4.3.0", "no memory for a report");
        }
    }
    int rc = scanner_summarize(&in, &x->sum, x->report.trace, &x->mem, &x->fail);
    if (in.file >= 0)
        close(in.file);
    return rc;
}

/* An address with the A-labels of its domain, which need no SMTPUTF8 (RFC 5890 2.3.2.1), when its local part is ASCII. */
static struct span elsewhere(struct span address, struct span domain, struct arena *mem)
{
    struct span local = span_sub(address, 0, (size_t)MAX_OF(span_rfind_char(address, '@'), (ptrdiff_t)0));
    return utf8_ascii(local) ? arena_printf(mem, "%.*s@%.*s", SPAN_ARGS(local), SPAN_ARGS(domain)) : address;
}

/* Where it goes: accounts of ours, an address elsewhere, or both when an alias says so. */
static int address_it(struct making *x, struct msg_ingest *in, struct store_extra *extra)
{
    const struct store_report *r = &x->report;
    bool away = x->to.status == RCPT_NOT_OURS;
    uint32_t n = away ? 1 : x->to.forwards.n;
    char folded[LOGIN_NAME_DOMAIN];
    ptrdiff_t at = span_rfind_char(r->report, '@');
    struct span domain = span_from(r->report, (size_t)(at + 1));
    domain = span_of(folded, login_name_fold_domain(domain, folded));
    struct span address = elsewhere(r->report, domain, &x->mem);
    struct msg_ingest_remote *remotes = arena_zalloc(&x->mem, (n + 1) * sizeof *remotes);
    struct store_queue_as *as = arena_zalloc(&x->mem, (n + 1) * sizeof *as);
    struct msg_ingest_target *targets = arena_zalloc(&x->mem, (x->to.targets.n + 1) * sizeof *targets);
    if (away ? at < 0 || domain.n == 0 : x->to.status != RCPT_OK)
        return fail_perm(&x->fail, "5.1.1", "nobody is there to be told");
    for (uint32_t i = 0; i < x->to.targets.n; i++)
        targets[i] = (struct msg_ingest_target){.account = x->to.targets.v[i].account, .address = x->to.targets.v[i].address,
                                                 .lang = x->to.targets.v[i].lang};
    uint32_t flags = ENVELOPE_REPORT | (r->flags & ENVELOPE_SMTPUTF8) | (utf8_ascii(x->text) ? 0 : ENVELOPE_8BIT);
    for (uint32_t i = 0; i < n; i++) {
        remotes[i] = away ? (struct msg_ingest_remote){.address = address, .domain = arena_copy(&x->mem, domain)}
                          : (struct msg_ingest_remote){.address = x->to.forwards.v[i].address, .domain = x->to.forwards.v[i].domain};
        as[i].flags = flags;
    }
    in->targets.v = targets, in->targets.n = x->to.targets.n;
    in->remotes.v = remotes, in->remotes.n = n;
    in->envelope_flags = flags;
    extra->as = as;
    return 0;
}

static WAITS int send_it(struct making *x, const struct op_id *op)
{
    const struct store_report *r = &x->report;
    struct store_queue_done *done = arena_zalloc(&x->mem, r->n * sizeof *done);
    struct msg_ingest_r out;
    struct store_extra extra = {.keywords = SPAN("$bounce"), .done = done, .n_done = r->n, .about = r->qid};
    struct msg_ingest in = {.op = span_of(op->b, sizeof op->b), .size = x->text.n, .body = x->text, .file = -1,
        .received_ms = clock_now_ms(), .summary_flags = x->sum.flags, .msgid_hash = x->sum.msgid_hash, .date_s = x->sum.date_s,
        .headers = x->sum.headers, .envelope = x->sum.envelope, .structure = x->sum.structure, .preview = x->sum.preview,
        .refs = x->sum.refs};
    for (size_t i = 0; i < r->n; i++)
        done[i] = (struct store_queue_done){r->rows[i].rid, r->rows[i].action};
    if (address_it(x, &in, &extra) != 0)
        return -1;
    x->w = (struct store_write){.id = MSG_ID_ingest, .in = &in, .extra = &extra, .out = &out, .mem = &x->mem};
    work_run(write_it, x);
    x->fail = x->w.fail;
    return x->rc;
}

static WAITS int make(struct making *x)
{
    struct op_id op = rand_op_id();
    struct msg_rcpt_check ask = {.address = x->report.report};
    if (IPC_CALL(ROLE_AUTH, rcpt_check, &ask, &x->to, &x->mem, &x->fail) < 0)
        return -1;
    work_run(read_original, x);
    if (x->rc != 0 || ask_thread(x) != 0)
        return -1;
    build(x, &op);
    return summarize_it(x) < 0 ? -1 : send_it(x, &op);
}

/* It waits, or, when nobody is there to be told, the event is all that tells. */
static WAITS void give_up(struct making *x)
{
    bool for_good = strcmp(x->fail.code, "5.1.1") == 0 || x->report.rows[0].tries >= TRIES_MOST;
    LOG(LOG_WARN, "queue.report", L_ID(x->report.trace), L_SPAN("to", x->report.report), L_Z("why", x->fail.text),
        L_INT("given_up", for_good));
    x->w = (struct store_write){.id = (enum msg_id)(for_good ? STORE_QUEUE_UNTOLD : STORE_QUEUE_LATER), .account = x->report.qid,
                                .mem = &x->mem};
    work_run(write_it, x);
}

static WAITS void run(void *arg)
{
    while (!stopped) {
        struct making x = {.wait_ms = -1};
        arena_init(&x.mem);
        woken = false;
        busy = true;
        work_run(look, &x);
        int found = x.rc;
        if (found == 1 && !stopped && make(&x) != 0 && !stopped)
            give_up(&x);
        arena_done(&x.mem);
        busy = false;
        int64_t wait_ms = found < 0 ? BACK_OFF_MS : found == 1 ? 0 : x.wait_ms < 0 ? LOOK_MS : MIN_OF(x.wait_ms, (int64_t)LOOK_MS);
        if (!woken && !stopped && wait_ms > 0)
            coro_wait(clock_mono_ms() + wait_ms);
    }
    maker = NULL;
}

/* ---- life ---- */

static void wake(struct loop_post *p)
{
    free(p);
    woken = true;
    if (maker != NULL && !busy)
        coro_wake(maker);
}

static void due(void *arg)
{
    struct loop_post *p = base_alloc(sizeof *p);
    p->run = wake;
    loop_post(p);
}

static void begin(struct loop_timer *t) { maker = coro_start(run, NULL); }

void store_dsn_start(struct store *s)
{
    static struct loop_timer first;
    store = s;
    store_on_report(s, due, NULL);
    loop_timer_init(&first, begin); /* once the loop runs */
    loop_timer_set(&first, clock_mono_ms());
}

void store_dsn_stop(void)
{
    stopped = true;
    if (maker != NULL)
        coro_cancel(maker);
}

bool store_dsn_idle(void) { return maker == NULL; }
