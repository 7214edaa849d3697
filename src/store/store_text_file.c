/* store_text_file: the files of texts: which are open, what they hold (see store_text.h for the format).
 * Exports store_text_*. */
#include "base/limits.h"
#include "base/log.h"
#include "base/num.h"
#include "base/rand.h"
#include "store/crc32c.h"
#include "store/msglog_impl.h"
#include "store/store_io.h"
#include "store/store_text_impl.h"

#include <errno.h>
#include <fcntl.h>

enum { PIECE = 1 << 20, SPARE = 1000, ENTRIES = 4 << 20 };

void store_text_name(uint64_t account, char name[STORE_TEXT_NAME])
{
    snprintf(name, STORE_TEXT_NAME, "text/%016llx", (unsigned long long)account);
}

void store_text_head(uint64_t index, uint64_t account, unsigned char head[STORE_TEXT_HEAD])
{
    memcpy(head, "PTXT", 4);
    msglog_put32(head + 4, MATCH_TEXT_VERSION);
    msglog_put64(head + 8, index);
    msglog_put64(head + 16, account);
}

/* ---- reading one in ---- */

/* The records that lie whole in p[0..n): adds them. How many bytes they take; *more: the next one goes on behind n. */
static size_t take_records(struct store_text_file *t, const unsigned char *p, size_t n, bool *more)
{
    size_t at = 0;
    *more = false;
    while (n - at >= STORE_TEXT_RECORD) {
        const unsigned char *r = p + at;
        struct store_text_entry e = {.eid = msglog_get64(r + 8), .at = t->end + at, .n = msglog_get32(r + 4),
                                     .parts_at = msglog_get32(r + 16), .body_at = msglog_get32(r + 20)};
        bool none = e.body_at == STORE_TEXT_NONE && e.n == 0;
        if (e.n > limit_table[LIMIT_SEARCH_TEXT_BYTES].most || (!none && (e.parts_at > e.body_at || e.body_at > e.n)))
            return at;
        if (n - at < STORE_TEXT_RECORD + (size_t)e.n)
            break;
        if (crc32c(0, r + 4, STORE_TEXT_RECORD - 4 + (size_t)e.n) != msglog_get32(r))
            return at;
        *VEC_PUSH(&t->entries) = e;
        at += STORE_TEXT_RECORD + e.n;
    }
    *more = true;
    return at;
}

static void read_records(struct store_text_file *t)
{
    unsigned char *buf = base_alloc(PIECE);
    size_t held = 0;
    bool more = true;
    t->end = STORE_TEXT_HEAD;
    while (more) {
        ssize_t got = pread(t->fd, buf + held, PIECE - held, (off_t)(t->end + held));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        held += (size_t)got;
        size_t used = take_records(t, buf, held, &more);
        memmove(buf, buf + used, held - used);
        held -= used;
        t->end += used;
    }
    free(buf);
}

static bool is_ours(int fd, const unsigned char head[STORE_TEXT_HEAD])
{
    unsigned char is[STORE_TEXT_HEAD];
    return pread(fd, is, sizeof is, 0) == (ssize_t)sizeof is && memcmp(is, head, sizeof is) == 0;
}

uint64_t store_text_check(int fd, const unsigned char head[STORE_TEXT_HEAD])
{
    struct store_text_file t = {.fd = fd};
    if (!is_ours(fd, head))
        return 0;
    read_records(&t);
    VEC_FREE(&t.entries);
    return t.end;
}

static int by_eid(const void *a, const void *b)
{
    const struct store_text_entry *x = a, *y = b;
    if (x->eid != y->eid)
        return x->eid < y->eid ? -1 : 1;
    return x->at < y->at ? -1 : 1;
}

/* The same message twice tells the same: one of them is enough. */
static void order(struct store_text_file *t)
{
    size_t n = 0;
    bool sorted = true;
    for (size_t i = 1; i < t->entries.n && sorted; i++)
        sorted = t->entries.v[i - 1].eid < t->entries.v[i].eid;
    if (sorted)
        return;
    qsort(t->entries.v, t->entries.n, sizeof *t->entries.v, by_eid);
    for (size_t i = 0; i < t->entries.n; i++)
        if (n == 0 || t->entries.v[n - 1].eid != t->entries.v[i].eid)
            t->entries.v[n++] = t->entries.v[i];
    t->entries.n = n;
}

/* Whether more than half of the texts are of messages that are gone. They are not told apart: all are made again. */
static bool half_dead(struct store *s, const struct store_text_file *t)
{
    if (t->entries.n <= SPARE)
        return false;
    struct db *db = store_reader(s);
    int rc = DB_FIRST(db, DB_TEXT_MESSAGES, DB_I(t->account));
    uint64_t messages = rc == 1 ? (uint64_t)db_i64(db, DB_TEXT_MESSAGES, 0) : UINT64_MAX / 4;
    db_end(db, DB_TEXT_MESSAGES);
    store_reader_done(s, db);
    return t->entries.n > 2 * messages + SPARE;
}

void store_text_drop(struct store *s, struct store_text_file *t)
{
    char name[STORE_TEXT_NAME];
    store_text_name(t->account, name);
    if (t->fd >= 0) {
        close(t->fd);
        store_io->unlink(s->dir, name);
    }
    t->fd = -1;
    t->end = 0;
    t->entries.n = 0;
}

static void load(struct store *s, struct store_text_file *t)
{
    char name[STORE_TEXT_NAME];
    unsigned char head[STORE_TEXT_HEAD];
    store_text_name(t->account, name);
    store_text_head(s->texts->id, t->account, head);
    t->loaded = true;
    t->fd = store_io->open(s->dir, name, O_RDWR);
    if (t->fd < 0)
        return;
    if (is_ours(t->fd, head)) {
        read_records(t);
        order(t);
    }
    if (t->end == 0 || half_dead(s, t))
        store_text_drop(s, t);
}

/* ---- which are open ---- */

static void close_file(struct store_text_file *t)
{
    if (t->fd >= 0)
        close(t->fd);
    VEC_FREE(&t->entries);
    t->fd = -1;
    t->end = 0;
    t->account = 0;
    t->loaded = t->gone = false;
}

/* The account's place, else an idle one: a free one, or the one used longest ago. */
static struct store_text_file *choose(struct store_texts *x, uint64_t account)
{
    struct store_text_file *best = NULL;
    for (size_t i = 0; i < x->n; i++) {
        struct store_text_file *t = &x->v[i];
        if (t->account == account)
            return t;
        if (t->users == 0 && (best == NULL || t->used < best->used))
            best = t;
    }
    return best;
}

struct store_text_file *store_text_take(struct store *s, uint64_t account)
{
    struct store_texts *x = s->texts;
    pthread_mutex_lock(&x->lock);
    struct store_text_file *t = choose(x, account);
    if (t != NULL && t->account != account) {
        close_file(t);
        t->account = account;
    }
    if (t != NULL) {
        t->users++;
        t->used = ++x->clock;
    }
    pthread_mutex_unlock(&x->lock);
    if (t == NULL)
        return NULL;
    pthread_mutex_lock(&t->lock);
    if (!t->loaded && !t->gone)
        load(s, t);
    return t;
}

/* A large one is not kept: others may need the memory more. */
void store_text_give(struct store *s, struct store_text_file *t)
{
    struct store_texts *x = s->texts;
    pthread_mutex_unlock(&t->lock);
    pthread_mutex_lock(&x->lock);
    t->users--;
    size_t all = 0;
    for (size_t i = 0; i < x->n; i++)
        all += x->v[i].users == 0 ? x->v[i].entries.n : 0;
    for (size_t i = 0; i < x->n && all > ENTRIES; i++)
        if (x->v[i].users == 0 && &x->v[i] != t) {
            all -= x->v[i].entries.n;
            close_file(&x->v[i]);
        }
    pthread_mutex_unlock(&x->lock);
}

struct store_text_entry *store_text_find(const struct store_text_file *t, uint64_t eid)
{
    size_t low = 0, high = t->entries.n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (t->entries.v[mid].eid < eid)
            low = mid + 1;
        else
            high = mid;
    }
    return t->entries.v + low;
}

/* ---- life ---- */

/* The id is a new index's own: one made again from the log numbers its messages anew. */
int store_text_open(struct store *s, struct fail *f)
{
    struct store_texts *x = s->texts = base_alloc(sizeof *x);
    pthread_mutex_init(&x->lock, NULL);
    x->n = (size_t)LIMIT(SEARCH_FILES);
    x->v = base_alloc(x->n * sizeof *x->v);
    for (size_t i = 0; i < x->n; i++) {
        pthread_mutex_init(&x->v[i].lock, NULL);
        x->v[i].fd = -1;
    }
    int rc = DB_FIRST(s->db, DB_STATE_GET, DB_T(STORE_TEXT_STATE));
    x->id = rc == 1 ? (uint64_t)db_i64(s->db, DB_STATE_GET, 0) : rand_u64() >> 1 | 1;
    db_end(s->db, DB_STATE_GET);
    if (rc == 0 && DB_RUN(s->db, DB_STATE_PUT, DB_T(STORE_TEXT_STATE), DB_I(x->id)) != 0)
        rc = -1;
    return rc < 0 ? db_fail(s->db, f) : 0;
}

void store_text_close(struct store *s)
{
    struct store_texts *x = s->texts;
    if (x == NULL)
        return;
    for (size_t i = 0; i < x->n; i++) {
        close_file(&x->v[i]);
        pthread_mutex_destroy(&x->v[i].lock);
    }
    pthread_mutex_destroy(&x->lock);
    free(x->v);
    free(x);
    s->texts = NULL;
}

void store_text_forget(struct store *s, uint64_t account)
{
    char name[STORE_TEXT_NAME];
    struct store_texts *x = s->texts;
    pthread_mutex_lock(&x->lock);
    for (size_t i = 0; i < x->n; i++)
        if (x->v[i].account == account) {
            x->v[i].gone = true; /* whoever is at it writes no more */
            if (x->v[i].users == 0)
                close_file(&x->v[i]);
        }
    pthread_mutex_unlock(&x->lock);
    store_text_name(account, name);
    store_io->unlink(s->dir, name);
}

void store_text_sweep(struct store *s)
{
    int fd = openat(s->dir, "text", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (d == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        uint64_t account;
        if (strlen(e->d_name) != 16 || num_hex(span_z(e->d_name), UINT64_MAX, &account) != 0)
            continue;
        int rc = DB_FIRST(s->db, DB_TEXT_MESSAGES, DB_I(account));
        bool gone = rc == 1 && db_null(s->db, DB_TEXT_MESSAGES, 0); /* no mailbox */
        db_end(s->db, DB_TEXT_MESSAGES);
        if (gone)
            store_text_forget(s, account);
    }
    closedir(d);
}
