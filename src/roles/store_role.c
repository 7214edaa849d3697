/* store_role: the store as a role: requests of the fronts go to the committer or to readers on the pool, the answers
 * come back to the loop. It decodes nothing but frames; what they hold is checked in src/store. Without coroutines: a
 * request and all that belongs to it live in the request's arena. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "roles/roles.h"
#include "roles/store_care.h"
#include "roles/store_dsn.h"
#include "roles/store_fill.h"
#include "roles/store_incoming.h"
#include "roles/store_intake.h"
#include "roles/store_out.h"
#include "roles/store_role.h"
#include "roles/store_session.h"
#include "run/loop.h"
#include "run/work.h"
#include "store/store_event.h"
#include "store/store_text.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

enum { THREADS = 3, IDLE_POLL_MS = 20 };

static struct store *store;

/* The session whose handle is the first field of a request; NULL: refused already. */
static struct store_session *session_of(struct ipc_req *req)
{
    struct fail f = {0};
    struct store_session *s = store_session_find(*(const struct span *)req->in, &req->peer, &f);
    if (s == NULL)
        ipc_refuse(req, &f);
    return s;
}

/* ---- reads, on the pool ---- */

struct read {
    struct work_item w;
    struct ipc_req *req;
    uint64_t account;
    struct span lang; /* of the account; lives in req->mem */
    void *out;
    int (*run)(struct read *r);   /* 0, or -1 with fail */
    int (*after)(struct read *r); /* in the loop, before the reply; may be NULL */
    int rc;
    struct fail fail;
};

static void read_run(struct work_item *w)
{
    struct read *r = CONTAINER_OF(w, struct read, w);
    r->rc = r->run(r);
}

static void read_done(struct work_item *w)
{
    struct read *r = CONTAINER_OF(w, struct read, w);
    if (r->rc == 0 && r->after != NULL)
        r->rc = r->after(r);
    if (r->rc == 0)
        ipc_reply(r->req, r->out);
    else
        ipc_refuse(r->req, &r->fail);
}

static void read_start(struct ipc_req *req, uint64_t account, struct span lang, int (*run)(struct read *), int (*after)(struct read *))
{
    struct read *r = arena_zalloc(req->mem, sizeof *r);
    r->req = req;
    r->account = account;
    r->lang = lang;
    r->run = run;
    r->after = after;
    r->out = arena_zalloc(req->mem, ipc_struct_size(req->id, true) + 1);
    r->w.run = read_run;
    r->w.done = read_done;
    work_submit(&r->w);
}

static int run_mailbox_list(struct read *r)
{
    return store_mailbox_page(store, r->account, r->lang, r->req->in, r->out, r->req->mem, &r->fail);
}

static int run_member_scan(struct read *r)
{
    return store_member_scan(store, r->account, r->req->in, r->out, r->req->mem, &r->fail);
}

static int run_email_read(struct read *r)
{
    return store_email_read(store, r->account, r->req->in, r->out, r->req->mem, &r->fail);
}

static int run_changes(struct read *r)
{
    return store_changes(store, r->account, r->req->in, r->out, r->req->mem, &r->fail);
}

static int run_email_get(struct read *r)
{
    return store_email_get(store, r->account, r->req->in, r->out, r->req->mem, &r->fail);
}

static int run_thread_get(struct read *r)
{
    return store_thread_get(store, r->account, r->req->in, r->out, r->req->mem, &r->fail);
}

static int run_blob_get(struct read *r)
{
    return store_blob_get(store, r->account, r->req->in, r->out, r->req->mem, &r->fail);
}

static int run_quota_get(struct read *r)
{
    return store_quota_get(store, r->account, r->out, &r->fail);
}

static int run_kv_get(struct read *r)
{
    return store_kv_get(store, r->account, r->req->in, r->out, r->req->mem, &r->fail);
}

static int run_kv_list(struct read *r)
{
    return store_kv_list(store, r->account, r->req->in, r->out, r->req->mem, &r->fail);
}

static int run_member_view(struct read *r)
{
    return store_member_view(store, r->account, r->req->in, r->out, r->req->mem, &r->fail);
}

static int run_email_slices(struct read *r)
{
    return store_email_slices(store, r->account, r->req->in, r->out, r->req->mem, &r->fail);
}

static int run_search(struct read *r)
{
    return store_text_search(store, r->account, r->req->in, r->out, r->req->mem, &r->fail);
}

static int run_queue_read(struct read *r) { return store_queue_read(store, r->req->in, r->out, r->req->mem, &r->fail); }
static int run_queue_list(struct read *r) { return store_queue_list(store, r->req->in, r->out, r->req->mem, &r->fail); }
static int run_room(struct read *r) { return store_room(store, r->req->in, r->out, &r->fail); }
static int run_send_check(struct read *r) { return store_send_check(store, r->account, r->req->in, r->out, &r->fail); }
static int run_events(struct read *r) { return store_event_read(store, r->account, r->req->in, r->out, r->req->mem, &r->fail); }

static int run_watch(struct read *r)
{
    ((struct msg_watch_r *)r->out)->modseq = store_modseq(store, r->account);
    return 0;
}

static int run_stats(struct read *r)
{
    return store_stats(store, r->out, &r->fail);
}

/* An empty listing: is it the account's mailbox at all? */
static int run_lock(struct read *r)
{
    const struct msg_mailbox_lock *in = r->req->in;
    struct msg_member_scan none = {.mailbox = in->mailbox, .limit = 1};
    struct msg_member_scan_r out;
    return store_member_scan(store, r->account, &none, &out, r->req->mem, &r->fail);
}

static int after_lock(struct read *r)
{
    const struct msg_mailbox_lock *in = r->req->in;
    struct store_session *s = store_session_find(in->handle, &r->req->peer, &r->fail); /* it may have ended meanwhile */
    return s != NULL ? store_session_lock(s, in->mailbox, &r->fail) : -1;
}

static void on_session_read(struct ipc_req *req, int (*run)(struct read *), int (*after)(struct read *))
{
    struct store_session *s = session_of(req);
    if (s != NULL)
        read_start(req, s->account, arena_copy(req->mem, span_z(s->lang)), run, after); /* the session may end meanwhile */
}

static void on_mailbox_list(struct ipc_req *req)
{
    on_session_read(req, run_mailbox_list, NULL);
}
static void on_mailbox_lock(struct ipc_req *req)
{
    on_session_read(req, run_lock, after_lock);
}
static void on_member_scan(struct ipc_req *req)
{
    on_session_read(req, run_member_scan, NULL);
}
static void on_email_read(struct ipc_req *req)
{
    on_session_read(req, run_email_read, NULL);
}
/* The reads that need nothing but the account. */
static int (*const plain_reads[MSG_ID_COUNT])(struct read *) = {
    [MSG_ID_email_get] = run_email_get, [MSG_ID_thread_get] = run_thread_get, [MSG_ID_blob_get] = run_blob_get,
    [MSG_ID_search] = run_search,       [MSG_ID_email_slices] = run_email_slices, [MSG_ID_member_view] = run_member_view,
    [MSG_ID_quota_get] = run_quota_get, [MSG_ID_kv_get] = run_kv_get,         [MSG_ID_kv_list] = run_kv_list,
    [MSG_ID_send_check] = run_send_check, [MSG_ID_events] = run_events,
    /* and of those that need no account */
    [MSG_ID_queue_read] = run_queue_read, [MSG_ID_queue_list] = run_queue_list, [MSG_ID_room] = run_room,
};

static void on_plain_read(struct ipc_req *req)
{
    on_session_read(req, plain_reads[req->id], NULL);
}

static void on_store_read(struct ipc_req *req) { read_start(req, 0, SPAN_NONE, plain_reads[req->id], NULL); }

/* The command line sees everybody's. */
static void on_events(struct ipc_req *req)
{
    if (req->peer.kind == ROLE_ADMIN)
        on_store_read(req);
    else
        on_plain_read(req);
}

/* What relay keeps belongs to nobody; nothing else of that kind is its business. */
static bool is_relays(const struct ipc_req *req, struct span key)
{
    return req->peer.kind == ROLE_RELAY && span_starts(key, SPAN("mtasts/"));
}

static void on_kv_get(struct ipc_req *req)
{
    if (is_relays(req, ((const struct msg_kv_get *)req->in)->key))
        on_store_read(req);
    else
        on_plain_read(req);
}

static void on_changes(struct ipc_req *req)
{
    on_session_read(req, run_changes, NULL);
}
static void on_store_stats(struct ipc_req *req)
{
    read_start(req, 0, SPAN_NONE, run_stats, NULL);
}

/* Watched first, then looked: a change in between is told twice rather than never. */
static void on_watch(struct ipc_req *req)
{
    struct store_session *s = session_of(req);
    if (s == NULL)
        return;
    store_session_watch(s);
    read_start(req, s->account, SPAN_NONE, run_watch, NULL);
}

/* ---- writes, to the committer ---- */

struct write {
    struct store_write w;
    struct ipc_req *req; /* NULL: nobody waits */
    struct write *next;
    struct arena own;    /* then its own */
};

/* What a commit finished comes over in one post, however many wait. */
static pthread_mutex_t done_lock = PTHREAD_MUTEX_INITIALIZER;
static struct write *done_first, **done_last = &done_first;
static bool done_posted;
static size_t alone; /* writes that nobody waits for */

static void answer(struct write *w)
{
    if (w->req == NULL) {
        if (w->w.result != 0)
            LOG(LOG_ERROR, "store.alone", L_INT("what", (int64_t)w->w.id), L_INT("account", (int64_t)w->w.account),
                L_Z("why", w->w.fail.text));
        alone--;
        arena_done(&w->own);
        free(w);
    } else if (w->w.result == 0) {
        ipc_reply(w->req, w->w.out);
    } else {
        ipc_refuse(w->req, &w->w.fail);
    }
}

static void drain_done(struct loop_post *p)
{
    pthread_mutex_lock(&done_lock);
    struct write *w = done_first;
    done_first = NULL;
    done_last = &done_first;
    done_posted = false;
    pthread_mutex_unlock(&done_lock);
    for (struct write *next; w != NULL; w = next) {
        next = w->next; /* w goes with its request */
        answer(w);
    }
}

static void write_done(struct store_write *sw)
{
    static struct loop_post post = {.run = drain_done};
    struct write *w = CONTAINER_OF(sw, struct write, w);
    w->next = NULL;
    pthread_mutex_lock(&done_lock);
    *done_last = w;
    done_last = &w->next;
    bool first = !done_posted;
    done_posted = true;
    pthread_mutex_unlock(&done_lock);
    if (first)
        loop_post(&post);
}

void store_role_write(struct ipc_req *req, uint64_t account, const struct store_extra *extra)
{
    struct write *w = arena_zalloc(req->mem, sizeof *w);
    w->req = req;
    w->w = (struct store_write){
        .id = req->id, .account = account, .in = req->in, .extra = extra, .mem = req->mem, .done = write_done};
    w->w.out = arena_zalloc(req->mem, ipc_struct_size(req->id, true) + 1);
    store_submit(store, &w->w);
}

static void write_start(struct ipc_req *req, uint64_t account) { store_role_write(req, account, NULL); }

struct store_write *store_role_alone(int id, uint64_t account, size_t size)
{
    struct write *w = base_alloc(sizeof *w);
    arena_init(&w->own);
    w->w = (struct store_write){.id = (enum msg_id)id, .account = account, .mem = &w->own, .done = write_done};
    w->w.in = arena_zalloc(&w->own, size + 1);
    return &w->w;
}

void store_role_post(struct store_write *w)
{
    alone++;
    store_submit(store, w);
}

/* A body that its sender could still change would not match its checksum. */
static int check_file(int file, uint64_t size, struct fail *f)
{
    const int want = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
    struct stat st;
    int seals = fcntl(file, F_GET_SEALS);
    if (seals < 0 || (seals & want) != want)
        return fail_perm(f, "5.5.4", "the body is not sealed");
    if (size > (uint64_t)LIMIT(BODY_MEMFD))
        return fail_perm(f, "5.3.4", "a body of this size must be spooled");
    if (fstat(file, &st) != 0 || (uint64_t)st.st_size != size)
        return fail_perm(f, "5.5.4", "the body is not as long as it was said to be");
    return 0;
}

void store_role_ingest(struct ipc_req *req, const struct store_extra *extra)
{
    const struct msg_ingest *in = req->in;
    struct fail f = {0};
    if (in->file >= 0 && in->spool == 0 && check_file(in->file, in->size, &f) != 0)
        ipc_refuse(req, &f);
    else
        store_role_write(req, 0, extra);
}

static void on_session_write(struct ipc_req *req)
{
    struct store_session *s = session_of(req);
    if (s != NULL)
        write_start(req, s->account);
}

static void on_append(struct ipc_req *req)
{
    const struct msg_append *in = req->in;
    struct fail f = {0};
    if (in->file >= 0 && in->spool == 0 && in->upload == 0 && check_file(in->file, in->size, &f) != 0)
        ipc_refuse(req, &f);
    else
        on_session_write(req);
}

static void on_blob_put(struct ipc_req *req)
{
    const struct msg_blob_put *in = req->in;
    struct fail f = {0};
    if (in->file >= 0 && in->spool == 0 && check_file(in->file, in->size, &f) != 0)
        ipc_refuse(req, &f);
    else
        on_session_write(req);
}

static void on_kv_set(struct ipc_req *req)
{
    const struct msg_kv_set *in = req->in;
    if (req->peer.kind == ROLE_ADMIN)
        write_start(req, in->account);
    else if (is_relays(req, in->key))
        write_start(req, 0);
    else
        on_session_write(req);
}

static void on_quota_set(struct ipc_req *req)
{
    write_start(req, ((const struct msg_quota_set *)req->in)->account);
}

static void on_recount(struct ipc_req *req)
{
    write_start(req, ((const struct msg_recount *)req->in)->account);
}

/* ---- what auth tells ---- */

static void on_session_add(const struct ipc_peer *peer, const void *in)
{
    store_session_add(in);
}

static void on_session_end(const struct ipc_peer *peer, const void *in)
{
    store_session_end(((const struct msg_session_end *)in)->handle);
}

static void on_account_gone(const struct ipc_peer *peer, const void *in)
{
    const struct msg_account_gone *m = in;
    store_session_end_account(m->account);
    struct store_write *w = store_role_alone(MSG_ID_account_gone, m->account, sizeof *m);
    memcpy((void *)(uintptr_t)w->in, m, sizeof *m);
    store_role_post(w);
}

static void on_event_note(const struct ipc_peer *peer, const void *in)
{
    const struct msg_event_note *m = in;
    struct fail f = {0};
    struct store_session *s = store_session_find(m->handle, peer, &f);
    if (s == NULL)
        return;
    struct store_write *w = store_role_alone(MSG_ID_event_note, s->account, sizeof *m);
    struct msg_event_note *own = (struct msg_event_note *)(uintptr_t)w->in;
    *own = (struct msg_event_note){.kind = m->kind, .code = m->code, .trace = arena_copy(w->mem, span_sub(m->trace, 0, 12)),
        .sender = arena_copy(w->mem, m->sender), .address = arena_copy(w->mem, m->address),
        .status = arena_copy(w->mem, m->status), .text = arena_copy(w->mem, span_sub(m->text, 0, 1000))};
    store_role_post(w);
}

static void on_close(struct ipc_peer peer, bool calls)
{
    if (ROLES_FRONT & ROLE_BIT(peer.kind))
        store_session_end_front(peer.boot);
    else if (peer.kind == ROLE_AUTH && !calls)
        store_session_orphan_all();
    store_out_closed(peer, calls);
}

/* ---- the change feed: from the committer over to the loop, where the watches are ---- */

struct news {
    struct loop_post post;
    size_t n;
    struct msg_changed v[];
};

static void news_run(struct loop_post *p)
{
    struct news *news = CONTAINER_OF(p, struct news, post);
    for (size_t i = 0; i < news->n; i++)
        store_session_changed(&news->v[i]);
    free(news);
}

static void changed(void *arg, const struct msg_changed *v, size_t n)
{
    if (!store_session_watched())
        return;
    struct news *news = base_alloc(sizeof *news + n * sizeof *v);
    news->post.run = news_run;
    news->n = n;
    memcpy(news->v, v, n * sizeof *v);
    loop_post(&news->post);
}

/* ---- life ---- */

static void broken(void *arg, const struct fail *f)
{
    role_fatal(f);
} /* REL-04: recovers from disk */

static int prepare(struct fail *f)
{
    struct store_options opt = {.readers = THREADS};
    store = store_open(".", &opt, f);
    if (store == NULL)
        return -1;
    store_on_changed(store, changed, NULL);
    store_on_broken(store, broken, NULL);
    store_care_start(store);
    store_incoming_start(store);
    store_fill_start(store);
    store_intake_start(store);
    store_dsn_start(store);
    store_out_start(store);
    store_session_start();
    ipc_on_close(on_close);
    return 0;
}

/* DESIGN, Between roles 9: fronts have stopped before; what is under way is committed, then all is moved into the
 * index. */
static void stop_when_idle(struct loop_timer *t)
{
    if (!ipc_idle() || alone > 0 || !store_dsn_idle()) {
        loop_timer_set(t, clock_mono_ms() + IDLE_POLL_MS);
        return;
    }
    store_care_stop();
    store_close(store);
    store = NULL;
    role_stopped();
}

static void stop(void)
{
    static struct loop_timer idle;
    store_out_stop();
    store_dsn_stop();
    loop_timer_init(&idle, stop_when_idle);
    stop_when_idle(&idle);
}

static const struct ipc_handler handlers[] = {
    {.id = MSG_ID_session_add, .post = on_session_add},   {.id = MSG_ID_session_end, .post = on_session_end},
    {.id = MSG_ID_account_gone, .post = on_account_gone}, {.id = MSG_ID_ingest, .call = store_intake},
    {.id = MSG_ID_spool_write, .call = store_incoming_spool},         {.id = MSG_ID_spool_lend, .call = store_incoming_spool},
    {.id = MSG_ID_spool_drop, .post = store_incoming_drop},     {.id = MSG_ID_mailbox_list, .call = on_mailbox_list},
    {.id = MSG_ID_mailbox_lock, .call = on_mailbox_lock}, {.id = MSG_ID_member_scan, .call = on_member_scan},
    {.id = MSG_ID_email_read, .call = on_email_read},     {.id = MSG_ID_flags_set, .call = on_session_write},
    {.id = MSG_ID_expunge, .call = on_session_write},     {.id = MSG_ID_append, .call = on_append},
    {.id = MSG_ID_copy, .call = on_session_write},        {.id = MSG_ID_mailbox_create, .call = on_session_write},
    {.id = MSG_ID_mailbox_set, .call = on_session_write}, {.id = MSG_ID_mailbox_remove, .call = on_session_write},
    {.id = MSG_ID_blob_put, .call = on_blob_put},         {.id = MSG_ID_kv_set, .call = on_kv_set},
    {.id = MSG_ID_quota_set, .call = on_quota_set},       {.id = MSG_ID_recount, .call = on_recount},
    {.id = MSG_ID_email_get, .call = on_plain_read},      {.id = MSG_ID_thread_get, .call = on_plain_read},
    {.id = MSG_ID_blob_get, .call = on_plain_read},       {.id = MSG_ID_quota_get, .call = on_plain_read},
    {.id = MSG_ID_kv_get, .call = on_kv_get},             {.id = MSG_ID_kv_list, .call = on_plain_read},
    {.id = MSG_ID_email_slices, .call = on_plain_read},   {.id = MSG_ID_member_view, .call = on_plain_read},
    {.id = MSG_ID_search, .call = on_plain_read},         {.id = MSG_ID_search_fill, .call = store_fill_call, .coro = true},
    {.id = MSG_ID_changes, .call = on_changes},           {.id = MSG_ID_watch, .call = on_watch},
    {.id = MSG_ID_verify, .call = store_care_verify},     {.id = MSG_ID_backup_begin, .call = store_care_backup},
    {.id = MSG_ID_backup_list, .call = store_care_backup}, {.id = MSG_ID_backup_read, .call = store_care_backup},
    {.id = MSG_ID_backup_end, .call = store_care_backup},
    {.id = MSG_ID_store_stats, .call = on_store_stats},   {.id = MSG_ID_room, .call = on_store_read},
    {.id = MSG_ID_send_check, .call = on_plain_read},     {.id = MSG_ID_events, .call = on_events},
    {.id = MSG_ID_queue_domains, .call = store_out_relay}, {.id = MSG_ID_queue_lease, .call = store_out_relay},
    {.id = MSG_ID_queue_note, .call = store_out_relay},
    {.id = MSG_ID_queue_return, .post = store_out_return}, {.id = MSG_ID_queue_read, .call = on_store_read},
    {.id = MSG_ID_queue_list, .call = on_store_read},     {.id = MSG_ID_queue_change, .call = store_out_people},
    {.id = MSG_ID_queue_suspend, .call = store_out_people}, {.id = MSG_ID_event_note, .post = on_event_note},
};

const struct role_def store_role = {
    .kind = ROLE_STORE,
    .dir = "store",
    .threads = THREADS,
    .prepare = prepare,
    .stop = stop,
    .handlers = handlers,
    .n_handlers = COUNT_OF(handlers),
};
