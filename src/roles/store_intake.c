/* store_intake: who may send a message on (see the header). Fronts are not believed: a remote recipient needs a login at a
 * submission service, or an alias of ours that auth says leads there. A forward goes out with a reverse-path of ours (SRS)
 * and with Delivered-To of its alias, by which it is known when it comes round again (RFC 9228). */
#include "roles/store_intake.h"

#include "base/log.h"
#include "format/read.h"
#include "roles/store_role.h"
#include "roles/store_session.h"
#include "run/service.h"

enum { ASKED_MOST = 64 }; /* aliases of one message */

struct alias {
    struct span via;
    struct msg_rcpt_check_r leads;
    struct msg_srs_make_r srs;
    struct span before;
};

struct intake {
    struct ipc_req *req;
    const struct msg_ingest *in;
    struct store_extra extra;
    struct store_queue_as *as;
    struct alias *aliases;
    size_t n_aliases;
    struct fail fail;
};

static struct store *store;

static bool submits(uint32_t service)
{
    return service == SERVICE_submission || service == SERVICE_submissions || service == SERVICE_sendmail;
}

/* ---- loops ---- */

static WAITS int ask_passed(struct intake *x, struct msg_scan_fields_r *out)
{
    struct msg_scan_ask ask = {.name = SPAN("Delivered-To"), .form = READ_RAW};
    struct msg_scan_fields m = {.size = x->in->size, .body = x->in->body, .file = x->in->file, .asks = {&ask, 1}};
    struct msg_spool_lend_r lent = {.file = -1};
    if (x->in->spool != 0) {
        if (store_spool_lend(store, x->in->op, &lent, &x->fail) != 0)
            return -1;
        m.file = lent.file;
    }
    int rc = IPC_CALL(ROLE_SCAN, scan_fields, &m, out, x->req->mem, &x->fail);
    if (lent.file >= 0)
        close(lent.file);
    return rc;
}

/* False: the name is nowhere in the bytes, so no field has it; scan need not look. */
static bool may_have_passed(const struct intake *x)
{
    static const struct span name = SPAN("Delivered-To");
    struct span rest = x->in->body;
    if (rest.n != x->in->size)
        return true;
    for (ptrdiff_t at; (at = span_find_char(rest, '-')) >= 0; rest = span_from(rest, (size_t)at + 1)) {
        size_t end = (size_t)(rest.p - x->in->body.p + at) + 3; /* behind "-to" */
        if (end >= name.n && span_eq_nocase(span_sub(x->in->body, end - name.n, name.n), name))
            return true;
    }
    return false;
}

/* Has the message been at this alias before? 1, 0, -1. */
static WAITS int went_round(struct intake *x, struct span via)
{
    struct msg_scan_fields_r r;
    if (!may_have_passed(x))
        return 0;
    if (ask_passed(x, &r) != 0)
        return -1;
    for (uint32_t i = 0; i < r.values.n; i++)
        if (span_eq_nocase(span_trim(r.values.v[i].data), via))
            return 1;
    return 0;
}

/* ---- aliases ---- */

static WAITS int alias_leads(struct intake *x, struct alias *a, struct ipc_pending *leads, struct ipc_pending **srs)
{
    struct arena *mem = x->req->mem;
    if (ipc_finish(leads, &a->leads, mem, 0, &x->fail) < 0)
        return -1;
    bool returns = a->leads.forwards.n == 1 && a->leads.forwards.v[0].via.n == 0; /* a bounce to an SRS address of ours */
    if (returns)
        return x->in->sender.n == 0 ? 0 : fail_perm(&x->fail, "5.7.1", "only reports go back to that address");
    int round = a->leads.status == RCPT_OK && a->leads.forwards.n > 0 ? went_round(x, a->via) : 0;
    if (round != 0)
        return round < 0 ? -1 : fail_perm(&x->fail, "5.4.6", "mail loop: the message was forwarded from here before");
    struct ipc_pending *p = *srs;
    *srs = NULL;
    if (ipc_finish(p, &a->srs, mem, 0, &x->fail) < 0)
        return -1;
    a->before = arena_printf(mem, "Delivered-To: %.*s\r\n", SPAN_ARGS(a->via));
    return 0;
}

/* Both questions at once, though the second may turn out to be none. */
static WAITS int alias_ask(struct intake *x, struct alias *a, struct span via)
{
    struct msg_rcpt_check check = {.address = via};
    struct msg_srs_make make = {.sender = x->in->sender, .via = via};
    *a = (struct alias){.via = via};
    struct ipc_pending *leads = ipc_begin(ROLE_AUTH, MSG_ID_rcpt_check, &check, &x->fail);
    if (leads == NULL)
        return -1;
    struct ipc_pending *srs = ipc_begin(ROLE_AUTH, MSG_ID_srs_make, &make, &x->fail);
    if (srs == NULL) {
        ipc_forget(leads);
        return -1;
    }
    int rc = alias_leads(x, a, leads, &srs);
    if (srs != NULL)
        ipc_forget(srs);
    return rc;
}

static WAITS struct alias *alias_of(struct intake *x, struct span via)
{
    for (size_t i = 0; i < x->n_aliases; i++)
        if (span_eq_nocase(x->aliases[i].via, via))
            return &x->aliases[i];
    if (x->n_aliases == ASKED_MOST) {
        fail_temp(&x->fail, "4.5.3", "too many aliases for one message");
        return NULL;
    }
    if (via.n > 320 || span_find_char(via, '\r') >= 0 || span_find_char(via, '\n') >= 0 || span_find_char(via, '\0') >= 0) {
        fail_perm(&x->fail, "5.1.3", "not an address");
        return NULL;
    }
    struct alias *a = &x->aliases[x->n_aliases];
    if (alias_ask(x, a, via) != 0)
        return NULL;
    x->n_aliases++;
    return a;
}

static bool leads_to(const struct alias *a, const struct msg_ingest_remote *r)
{
    for (uint32_t i = 0; i < a->leads.forwards.n && a->leads.status == RCPT_OK; i++)
        if (span_eq(a->leads.forwards.v[i].address, r->address) && span_eq_nocase(a->leads.forwards.v[i].domain, r->domain))
            return true;
    return false;
}

/* ---- remotes ---- */

/* SEC-19: reports go to a sender who is known to be the one, else to whoever answers for the alias. */
static WAITS int forward(struct intake *x, const struct msg_ingest_remote *r, struct store_queue_as *as)
{
    struct alias *a = alias_of(x, r->via);
    if (a == NULL)
        return -1;
    if (!leads_to(a, r))
        return fail_perm(&x->fail, "5.7.1", "no alias of ours leads there");
    bool returns = a->before.n == 0, verified = (x->in->envelope_flags & ENVELOPE_VERIFIED) != 0;
    *as = (struct store_queue_as){.sender = returns ? x->in->sender : a->srs.sender, .before = a->before,
        .account = x->extra.sender != 0 ? x->extra.sender : a->srs.account, .flags = x->in->envelope_flags};
    if (x->in->sender.n > 0)
        as->report = verified ? x->in->sender : a->srs.address;
    return 0;
}

static WAITS int resolve(struct intake *x, bool submitted)
{
    const struct msg_ingest *in = x->in;
    x->extra.notes = (struct store_queue_as){.sender = in->sender, .account = x->extra.sender, .flags = in->envelope_flags};
    if ((in->envelope_flags & ENVELOPE_VERIFIED) != 0)
        x->extra.notes.report = in->sender;
    for (uint32_t i = 0; i < in->remotes.n; i++) {
        if (in->remotes.v[i].via.n > 0) {
            if (forward(x, &in->remotes.v[i], &x->as[i]) != 0)
                return -1;
        } else if (submitted) {
            x->as[i] = x->extra.notes;
        } else {
            return fail_perm(&x->fail, "5.7.1", "only who logged in sends elsewhere");
        }
    }
    return 0;
}

static WAITS void run(void *arg)
{
    struct intake *x = arg;
    const struct msg_ingest *in = x->in;
    bool submitted = false;
    if (in->handle.n > 0) {
        struct store_session *s = store_session_find(in->handle, &x->req->peer, &x->fail);
        if (s == NULL || !submits(s->service)) {
            if (s != NULL)
                fail_perm(&x->fail, "5.7.1", "this login is not one that submits mail");
            ipc_refuse(x->req, &x->fail);
            return;
        }
        x->extra.sender = s->account;
        submitted = true;
        ((struct msg_ingest *)(uintptr_t)in)->envelope_flags |= ENVELOPE_VERIFIED;
    }
    if (resolve(x, submitted) != 0)
        ipc_refuse(x->req, &x->fail);
    else
        store_role_ingest(x->req, &x->extra);
}

void store_intake(struct ipc_req *req)
{
    const struct msg_ingest *in = req->in;
    struct fail f;
    if ((in->envelope_flags & ENVELOPE_REPORT) != 0)
        ((struct msg_ingest *)(uintptr_t)in)->envelope_flags &= ~(uint32_t)ENVELOPE_REPORT; /* ours to say */
    if (in->handle.n == 0 && in->remotes.n == 0 && in->notes.n == 0) {
        store_role_ingest(req, NULL);
        return;
    }
    struct intake *x = arena_zalloc(req->mem, sizeof *x);
    x->req = req;
    x->in = in;
    x->as = arena_zalloc(req->mem, (in->remotes.n + 1) * sizeof *x->as);
    x->aliases = arena_zalloc(req->mem, (in->remotes.n > 0 ? ASKED_MOST : 0) * sizeof *x->aliases + 1);
    x->extra.as = x->as;
    if (coro_start(run, x) == NULL) {
        fail_temp(&f, "4.3.2", "too much at once, try again later");
        ipc_refuse(req, &f);
    }
}

void store_intake_start(struct store *s) { store = s; }
