/* store_care: verify and backup for the command line. Their requests run on the pool one at a time, in order: what they
 * work on needs no lock then, and a second administrator only waits. */
#include "roles/store_care.h"

#include "base/log.h"
#include "base/rand.h"
#include "run/work.h"
#include "store/store_backup.h"
#include "store/store_verify.h"

enum { FOUND_MOST = 200, FILES_MOST = 2000 };

struct job {
    struct work_job in_line;
    struct ipc_req *req;
    void *out;
    int rc;
    struct fail fail;
};

static struct store *store;

/* ---- verify ---- */

static struct store_verify *verify;
static size_t told;
static bool seen_all;

static int run_verify(struct job *j)
{
    const struct msg_verify *in = j->req->in;
    struct msg_verify_r *out = j->out;
    if (in->begin != 0) {
        store_verify_free(verify);
        verify = store_verify_of(store);
        told = 0;
        seen_all = false;
    }
    if (verify == NULL)
        return fail_perm(&j->fail, "5.5.1", "verify: nothing was begun");
    if (!seen_all) {
        int rc = store_verify_serving(store, verify, &j->fail);
        if (rc < 0)
            return -1;
        seen_all = rc == 0;
    }
    const struct verify_finding *x;
    size_t all = store_verify_findings(verify, told, &x), n = MIN_OF(all, (size_t)FOUND_MOST);
    out->found.v = arena_zalloc(j->req->mem, (n + 1) * sizeof *out->found.v);
    out->found.n = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        const char *remedy = store_verify_remedy(x[i].kind);
        out->found.v[i] = (struct msg_verify_finding){.kind = x[i].kind, .text = arena_copy(j->req->mem, x[i].text),
                                                      .remedy = span_z(remedy != NULL ? remedy : "")};
    }
    told += n;
    struct verify_progress at = store_verify_progress(verify);
    out->done = at.done;
    out->total = at.total;
    out->more = !seen_all || n < all;
    if (out->more == 0) {
        store_verify_free(verify);
        verify = NULL;
    }
    return 0;
}

/* ---- backup ---- */

static struct store_backup *backup;
static uint64_t backup_id;

static int run_begin(struct job *j)
{
    store_backup_end(backup);
    backup = store_backup_begin(store, &j->fail);
    backup_id = rand_u64() | 1;
    ((struct msg_backup_begin_r *)j->out)->id = backup_id;
    return backup != NULL ? 0 : -1;
}

static int check_id(uint64_t id, struct fail *f)
{
    if (backup == NULL || id != backup_id)
        return fail_temp(f, "4.3.0", "this backup has ended; another one was begun, or the store started again");
    return 0;
}

static int run_list(struct job *j)
{
    const struct msg_backup_list *in = j->req->in;
    struct msg_backup_list_r *out = j->out;
    const struct store_backup_file *v;
    if (check_id(in->id, &j->fail) != 0)
        return -1;
    size_t n = store_backup_files(backup, &v), from = (size_t)MIN_OF(in->from, (uint64_t)n), some = MIN_OF(n - from, (size_t)FILES_MOST);
    out->files.v = arena_zalloc(j->req->mem, (some + 1) * sizeof *out->files.v);
    out->files.n = (uint32_t)some;
    for (size_t i = 0; i < some; i++)
        out->files.v[i] = (struct msg_backup_file){.name = arena_copy(j->req->mem, span_z(v[from + i].name)), .size = v[from + i].size};
    out->next = from + some < n ? from + some : 0;
    return 0;
}

static int run_read(struct job *j)
{
    const struct msg_backup_read *in = j->req->in;
    struct msg_backup_read_r *out = j->out;
    if (check_id(in->id, &j->fail) != 0)
        return -1;
    return store_backup_read(backup, in->name, in->offset, &out->data, j->req->mem, &j->fail);
}

static int run_end(struct job *j)
{
    if (check_id(((const struct msg_backup_end *)j->req->in)->id, &j->fail) != 0)
        return -1;
    store_backup_end(backup);
    backup = NULL;
    return 0;
}

/* ---- running ---- */

static void run(struct work_job *in_line)
{
    struct job *j = CONTAINER_OF(in_line, struct job, in_line);
    enum msg_id id = j->req->id;
    j->rc = id == MSG_ID_verify         ? run_verify(j)
            : id == MSG_ID_backup_begin ? run_begin(j)
            : id == MSG_ID_backup_list  ? run_list(j)
            : id == MSG_ID_backup_read  ? run_read(j)
                                        : run_end(j);
}

static void done(struct work_job *in_line)
{
    struct job *j = CONTAINER_OF(in_line, struct job, in_line);
    if (j->rc == 0)
        ipc_reply(j->req, j->out);
    else
        ipc_refuse(j->req, &j->fail); /* j goes with its request */
}

static struct work_line line = {.run = run, .done = done};

static void add(struct ipc_req *req)
{
    struct job *j = arena_zalloc(req->mem, sizeof *j);
    j->req = req;
    j->out = arena_zalloc(req->mem, ipc_struct_size(req->id, true) + 1);
    work_line_add(&line, &j->in_line);
}

void store_care_verify(struct ipc_req *req) { add(req); }
void store_care_backup(struct ipc_req *req) { add(req); }
void store_care_start(struct store *s) { store = s; }

void store_care_stop(void)
{
    store_verify_free(verify);
    store_backup_end(backup);
    verify = NULL;
    backup = NULL;
}
