/* auth_backup: the directory and the keys for a backup, as one bundle kept in memory until it was read.
 *
 * Bundle: "POSTELAUTH1\n", then per file: u16 length of its name, the name, u64 length, its bytes; little endian. Names:
 * "directory.db", "keys/<name>". */
#include "base/rand.h"
#include "base/str.h"
#include "roles/auth.h"
#include "run/work.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { WINDOW = 65536, KEY_MOST = 1024 * 1024 };

static struct { uint64_t id; struct arena mem; struct str bytes; bool held, making; } bundle;

static void put(struct str *s, uint64_t v, size_t n)
{
    v = htole64(v);
    str_add(s, span_of(&v, n));
}

static void put_file(struct str *s, const char *name, struct span bytes)
{
    put(s, strlen(name), 2);
    str_addz(s, name);
    put(s, bytes.n, 8);
    str_add(s, bytes);
}

static int put_key(struct str *s, int dir, const char *name, struct fail *f)
{
    char path[300];
    struct stat st;
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); /* SEC-11 */
    if (fd < 0)
        return fail_errno(f, "keys", errno);
    int rc = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= KEY_MOST ? 1 : 0; /* else it is none of ours */
    if (rc == 1) {
        char *p = base_alloc((size_t)st.st_size + 1);
        rc = read(fd, p, (size_t)st.st_size) == (ssize_t)st.st_size ? 0 : fail_errno(f, "keys", EIO);
        snprintf(path, sizeof path, "keys/%s", name);
        if (rc == 0)
            put_file(s, path, span_of(p, (size_t)st.st_size));
        explicit_bzero(p, (size_t)st.st_size);
        free(p);
    }
    close(fd);
    return rc;
}

static int put_keys(struct str *s, struct fail *f)
{
    int fd = open("keys", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), rc = 0;
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (d == NULL) {
        if (fd >= 0)
            close(fd);
        return fail_errno(f, "keys", errno);
    }
    for (struct dirent *e; rc == 0 && (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.')
            rc = put_key(s, dirfd(d), e->d_name, f);
    closedir(d);
    return rc;
}

struct make { int rc; struct fail fail; };

static void make(void *arg)
{
    struct make *m = arg;
    struct span db;
    str_addz(&bundle.bytes, "POSTELAUTH1\n");
    m->rc = directory_snapshot(auth.directory, &db, &m->fail);
    if (m->rc != 0)
        return;
    put_file(&bundle.bytes, "directory.db", db);
    free((void *)(uintptr_t)db.p);
    m->rc = put_keys(&bundle.bytes, &m->fail);
}

static void forget(void)
{
    if (!bundle.held)
        return;
    if (bundle.bytes.p != NULL)
        explicit_bzero(bundle.bytes.p, bundle.bytes.n);
    arena_done(&bundle.mem);
    bundle.held = false;
    bundle.id = 0;
}

static WAITS int begin(struct fail *f)
{
    struct make m = {0};
    if (bundle.making)
        return fail_temp(f, "4.3.2", "another backup is just being begun");
    forget();
    arena_init(&bundle.mem);
    str_init(&bundle.bytes, &bundle.mem);
    bundle.held = bundle.making = true;
    if (auth_admin_quiet(make, &m, f) != 0)
        m.rc = -1;
    else if (m.rc != 0)
        *f = m.fail;
    bundle.making = false;
    if (m.rc != 0)
        forget();
    else
        bundle.id = rand_u64() | 1;
    return m.rc;
}

WAITS void auth_backup_read(struct ipc_req *req)
{
    const struct msg_auth_backup *in = req->in;
    struct fail f = {0};
    if (in->id == 0 && begin(&f) != 0) {
        ipc_refuse(req, &f);
        return;
    }
    if (!bundle.held || bundle.making || (in->id != 0 && in->id != bundle.id) || in->offset > bundle.bytes.n) {
        fail_temp(&f, "4.3.0", "this backup of the directory has ended");
        ipc_refuse(req, &f);
        return;
    }
    struct msg_auth_backup_r out = {.id = bundle.id, .size = bundle.bytes.n,
        .data = span_sub(str_span(&bundle.bytes), (size_t)in->offset, MIN_OF(bundle.bytes.n - (size_t)in->offset, (size_t)WINDOW))};
    bool end = in->offset + out.data.n == bundle.bytes.n;
    ipc_reply(req, &out); /* copied */
    if (end)
        forget();
}
