/* backup_manifest: text, one line per file: "file HASH SIZE NAME", between a first line with the format's version and a last
 * one with the hash of all before it (see the header). */
#include "admin/backup_manifest.h"

#include "base/clock.h"
#include "base/num.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>

static const char first[] = "postel-backup 1\n";

/* ---- hashes ---- */

void backup_hash_start(struct backup_hash *h)
{
    h->ctx = EVP_MD_CTX_new();
    if (h->ctx == NULL || EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) != 1)
        abort();
}

void backup_hash_add(struct backup_hash *h, struct span bytes)
{
    if (EVP_DigestUpdate(h->ctx, bytes.p, bytes.n) != 1)
        abort();
}

void backup_hash_end(struct backup_hash *h, char out[BACKUP_HASH + 1])
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (EVP_DigestFinal_ex(h->ctx, md, &n) != 1)
        abort();
    EVP_MD_CTX_free(h->ctx);
    for (unsigned i = 0; i < n; i++)
        snprintf(out + i * 2, 3, "%02x", md[i]);
}

/* ---- entries ---- */

void backup_manifest_init(struct backup_manifest *m)
{
    *m = (struct backup_manifest){0};
    map_init(&m->by_name);
    arena_init(&m->mem);
}

void backup_manifest_done(struct backup_manifest *m)
{
    VEC_FREE(&m->v);
    map_done(&m->by_name);
    arena_done(&m->mem);
}

void backup_manifest_add(struct backup_manifest *m, struct span name, uint64_t size, const char *hash)
{
    struct backup_entry *e = VEC_PUSH(&m->v);
    e->name = arena_copy(&m->mem, name);
    e->size = size;
    snprintf(e->hash, sizeof e->hash, "%s", hash);
    map_put(&m->by_name, name, (void *)(uintptr_t)m->v.n);
}

const struct backup_entry *backup_manifest_find(const struct backup_manifest *m, struct span name)
{
    size_t i = (size_t)(uintptr_t)map_get(&m->by_name, name);
    return i == 0 ? NULL : &m->v.v[i - 1];
}

/* ---- reading ---- */

/* Names are ours: one folder at most, nothing that leads elsewhere (SEC-11). */
static bool good_name(struct span name)
{
    size_t slashes = 0;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        slashes += c == '/';
        if (!(c == '/' || c == '-' || c == '.' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')))
            return false;
    }
    return name.n > 0 && name.n < 100 && slashes <= 2 && name.p[0] != '/' && name.p[0] != '.' && span_find(name, SPAN("/.")) < 0;
}

static int take_line(struct backup_manifest *m, struct span line)
{
    uint64_t size;
    char hash[BACKUP_HASH + 1];
    struct span kind = span_split(&line, ' '), digest = span_split(&line, ' '), bytes = span_split(&line, ' ');
    if (!span_eq(kind, SPAN("file")) || digest.n != BACKUP_HASH || num_u64(bytes, INT64_MAX, &size) != 0 || !good_name(line))
        return -1;
    memcpy(hash, digest.p, BACKUP_HASH);
    hash[BACKUP_HASH] = '\0';
    backup_manifest_add(m, line, size, hash);
    return 0;
}

static int parse(struct backup_manifest *m, struct span text)
{
    char hash[BACKUP_HASH + 1];
    struct backup_hash h;
    const size_t tail = 4 + BACKUP_HASH + 1; /* "end HASH\n" */
    if (!span_starts(text, span_z(first)) || text.n < strlen(first) + tail)
        return -1;
    struct span body = span_sub(text, 0, text.n - tail), end = span_from(text, text.n - tail);
    backup_hash_start(&h);
    backup_hash_add(&h, body);
    backup_hash_end(&h, hash);
    if (!span_starts(end, SPAN("end ")) || memcmp(end.p + 4, hash, BACKUP_HASH) != 0)
        return -1;
    struct span rest = span_from(body, strlen(first));
    while (rest.n > 0) {
        struct span line = span_split(&rest, '\n');
        if (!span_starts(line, SPAN("made ")) && take_line(m, line) != 0)
            return -1;
    }
    return 0;
}

int backup_manifest_read(struct backup_manifest *m, int dir, struct fail *f)
{
    struct stat st;
    int fd = openat(dir, "manifest", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : fail_errno(f, "manifest", errno);
    int rc = fstat(fd, &st) == 0 && st.st_size < 1 << 30 ? 0 : -1;
    char *p = rc == 0 ? arena_alloc(&m->mem, (size_t)st.st_size + 1) : NULL;
    for (off_t at = 0; rc == 0 && at < st.st_size;) {
        ssize_t got = pread(fd, p + at, (size_t)(st.st_size - at), at);
        if (got <= 0)
            rc = -1;
        at += got;
    }
    close(fd);
    if (rc == 0)
        rc = parse(m, span_of(p, (size_t)st.st_size));
    return rc == 0 ? 1 : fail_perm(f, "", "the manifest is damaged: this is no whole backup");
}

/* ---- writing ---- */

int backup_manifest_write(const struct backup_manifest *m, int dir, struct fail *f)
{
    struct arena mem;
    struct str s;
    char hash[BACKUP_HASH + 1], when[32];
    struct backup_hash h;
    arena_init(&mem);
    str_init(&s, &mem);
    clock_rfc3339(clock_now_ms(), when);
    str_addf(&s, "%smade %s\n", first, when);
    for (size_t i = 0; i < m->v.n; i++)
        str_addf(&s, "file %s %llu %.*s\n", m->v.v[i].hash, (unsigned long long)m->v.v[i].size, SPAN_ARGS(m->v.v[i].name));
    backup_hash_start(&h);
    backup_hash_add(&h, str_span(&s));
    backup_hash_end(&h, hash);
    str_addf(&s, "end %s\n", hash);
    int rc = 0, fd = openat(dir, "manifest.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || write(fd, s.p, s.n) != (ssize_t)s.n || fsync(fd) != 0 || renameat(dir, "manifest.new", dir, "manifest") != 0 ||
        fsync(dir) != 0)
        rc = fail_errno(f, "write the manifest", errno);
    if (fd >= 0)
        close(fd);
    arena_done(&mem);
    return rc;
}
