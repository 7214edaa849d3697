/* store_verify_text: the texts kept for searches. They are made again when they do not check, so that is only a note; but a
 * file system that changes bytes is worth knowing of. */
#include "base/num.h"
#include "store/store_text_impl.h"
#include "store/store_verify_impl.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

static int descending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? 1 : -1;
}

static void list(struct store_verify *v)
{
    int fd = openat(v->dir, "text", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    uint64_t account;
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        if (strlen(e->d_name) == 16 && num_hex(span_z(e->d_name), UINT64_MAX, &account) == 0)
            *VEC_PUSH(&v->texts) = account;
    if (d != NULL)
        closedir(d);
    else if (fd >= 0)
        close(fd);
    if (v->texts.n > 1)
        qsort(v->texts.v, v->texts.n, sizeof *v->texts.v, descending);
}

static void check(struct store_verify *v, uint64_t index, uint64_t account)
{
    char name[STORE_TEXT_NAME];
    unsigned char head[STORE_TEXT_HEAD];
    struct stat st;
    store_text_name(account, name);
    store_text_head(index, account, head);
    int fd = openat(v->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) != 0) { /* gone meanwhile */
        if (fd >= 0)
            close(fd);
        return;
    }
    uint64_t end = store_text_check(fd, head);
    if (end == 0)
        store_verify_found(v, VERIFY_NOTE, 0, 0, 0, "%s: of another index or version: the next search makes it again", name);
    else if (end < (uint64_t)st.st_size)
        store_verify_found(v, VERIFY_NOTE, 0, 0, 0, "%s: damaged behind byte %" PRIu64 " of %lld: the next search makes that text again",
                           name, end, (long long)st.st_size);
    close(fd);
}

/* key: 1 when the files are listed; one of them a step. */
int store_verify_text(struct store_verify *v, struct db *db)
{
    if (v->key == 0)
        list(v);
    v->key = 1;
    if (v->texts.n == 0)
        return 0;
    int rc = DB_FIRST(db, DB_STATE_GET, DB_T(STORE_TEXT_STATE));
    uint64_t index = rc == 1 ? (uint64_t)db_i64(db, DB_STATE_GET, 0) : 0;
    db_end(db, DB_STATE_GET);
    if (rc >= 0)
        check(v, index, v->texts.v[--v->texts.n]);
    return rc < 0 ? -1 : v->texts.n > 0;
}
