/* store_verify_log: every record of the message log against its checksums, whether something refers to it or not. */
#include "store/store_verify_impl.h"
#include "store/crc32c.h"
#include "store/store_io.h"
#include "store/msglog_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

enum { STEP_BYTES = 4 * 1024 * 1024, STEP_RECORDS = 2000, CHUNK = 64 * 1024, META_MOST = 16 * 1024 * 1024 };

int store_verify_crc(int fd, uint64_t at, uint64_t n, uint32_t *out)
{
    char *buf = base_alloc(CHUNK);
    int rc = 0;
    *out = 0;
    for (uint64_t done = 0; done < n && rc == 0; done += CHUNK) {
        size_t some = (size_t)MIN_OF((uint64_t)CHUNK, n - done);
        rc = store_io_read_all(fd, buf, some, at + done);
        *out = crc32c(*out, buf, some);
    }
    free(buf);
    return rc;
}

bool store_verify_segment(struct store_verify *v, uint32_t seg)
{
    char name[MSGLOG_NAME];
    if (v->seg_fd >= 0 && v->seg == seg)
        return true;
    if (v->seg_fd >= 0)
        close(v->seg_fd);
    msglog_name(seg, name);
    v->seg = seg;
    v->seg_fd = openat(v->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    v->seg_missing = v->seg_fd < 0 && errno == ENOENT;
    return v->seg_fd >= 0;
}

const char *store_verify_header(int fd, uint64_t off, uint64_t end, unsigned char *h)
{
    if (off + MSGLOG_HEADER > end || store_io_read_all(fd, h, MSGLOG_HEADER, off) != 0)
        return "segment is too short";
    uint64_t meta = msglog_get32(h + 8), body = (h[5] & MSGLOG_BIG) != 0 ? 0 : msglog_get64(h + 16);
    if (memcmp(h, "PLOG", 4) != 0 || h[4] != 1 || h[6] != MSGLOG_HEADER)
        return "no record";
    if (meta > META_MOST || meta > end || body > end || off + MSGLOG_HEADER + meta + body > end)
        return "record's lengths are damaged";
    char *p = base_alloc((size_t)meta + 1);
    int rc = store_io_read_all(fd, p, (size_t)meta, off + MSGLOG_HEADER);
    uint32_t crc = crc32c(crc32c(0, h, 60), p, (size_t)meta);
    free(p);
    return rc != 0 ? "segment is too short" : crc != msglog_get32(h + 60) ? "header checksum" : NULL;
}

uint64_t store_verify_resync(int fd, uint64_t off, uint64_t end)
{
    unsigned char h[MSGLOG_HEADER];
    char *buf = base_alloc(CHUNK + 4);
    for (uint64_t at = off + 1; at < end; at += CHUNK) {
        size_t n = (size_t)MIN_OF((uint64_t)CHUNK + 3, end - at);
        if (store_io_read_all(fd, buf, n, at) != 0)
            break;
        struct span rest = span_of(buf, n);
        for (ptrdiff_t i; (i = span_find(rest, SPAN("PLOG"))) >= 0; rest = span_from(rest, (size_t)i + 1)) {
            uint64_t found = at + (uint64_t)(rest.p - buf) + (uint64_t)i;
            if (store_verify_header(fd, found, end, h) == NULL) {
                free(buf);
                return found;
            }
        }
    }
    free(buf);
    return end;
}

/* 1: the index has that blob's body here. */
static int is_here(struct store_verify *v, struct db *db, uint64_t bid)
{
    int rc = DB_FIRST(db, DB_BLOB_PLACE, DB_I(bid));
    if (rc != 1)
        return rc;
    rc = (uint32_t)db_i64(db, DB_BLOB_PLACE, 0) == v->seg && (uint64_t)db_i64(db, DB_BLOB_PLACE, 1) == v->off;
    db_end(db, DB_BLOB_PLACE);
    return rc;
}

static int damaged(struct store_verify *v, struct db *db, uint64_t bid, const char *what)
{
    char where[64];
    snprintf(where, sizeof where, "seg-%08u at %" PRIu64, v->seg, v->off);
    int rc = is_here(v, db, bid);
    if (rc == 1)
        return store_verify_body(v, db, bid, where, what);
    if (rc == 0)
        store_verify_found(v, VERIFY_LOG, v->seg, v->off, 0, "%s: %s, in a record that no message uses", where, what);
    return rc;
}

/* One record. -1: trouble of the index. */
static int record(struct store_verify *v, struct db *db, uint64_t end)
{
    unsigned char h[MSGLOG_HEADER];
    const char *what = store_verify_header(v->seg_fd, v->off, end, h);
    if (what != NULL) {
        uint64_t next = store_verify_resync(v->seg_fd, v->off, end);
        store_verify_found(v, VERIFY_LOG, v->seg, v->off, next, "seg-%08u at %" PRIu64 ": %s; %" PRIu64
                           " bytes until the next record", v->seg, v->off, what, next - v->off);
        v->at.done += next - v->off;
        v->off = next;
        return 0;
    }
    uint64_t body = (h[5] & MSGLOG_BIG) != 0 ? 0 : msglog_get64(h + 16), start = MSGLOG_HEADER + (uint64_t)msglog_get32(h + 8);
    uint32_t crc = 0;
    int rc = 0;
    if (body > 0 && store_verify_crc(v->seg_fd, v->off + start, body, &crc) != 0)
        rc = damaged(v, db, msglog_get64(h + 24), "cannot be read");
    else if (body > 0 && crc != msglog_get32(h + 12))
        rc = damaged(v, db, msglog_get64(h + 24), "body checksum");
    v->at.done += start + body;
    v->off += start + body;
    return rc;
}

/* Opens it. 1: records may be read; 0: told what is wrong with the whole. */
static int open_whole(struct store_verify *v, uint32_t seg, uint64_t end)
{
    struct stat st;
    if (!store_verify_segment(v, seg))
        store_verify_found(v, VERIFY_FILE, seg, 0, 0, "seg-%08u: %s", seg, v->seg_missing ? "the file is missing" : "the file cannot be opened");
    else if (fstat(v->seg_fd, &st) != 0 || (uint64_t)st.st_size < end)
        store_verify_found(v, VERIFY_FILE, seg, 0, 0, "seg-%08u: the file has %lld bytes, %" PRIu64 " were written", seg,
                           (long long)st.st_size, end);
    else
        return 1;
    if (v->seg_fd < 0)
        return 0;
    return (uint64_t)st.st_size > 0;
}

/* key: the last segment that is done with; key2: 1 + how far the next one is, 0: not begun. */
int store_verify_log(struct store_verify *v, struct db *db)
{
    int rc = DB_FIRST(db, DB_VERIFY_SEGMENT, DB_I(v->key));
    if (rc != 1)
        return rc;
    uint32_t seg = (uint32_t)db_i64(db, DB_VERIFY_SEGMENT, 0);
    uint64_t end = (uint64_t)db_i64(db, DB_VERIFY_SEGMENT, 1);
    db_end(db, DB_VERIFY_SEGMENT);
    if (v->key2 != 0 && v->seg != seg) { /* swept meanwhile */
        v->key2 = 0;
        return 1;
    }
    if (v->key2 == 0) {
        v->off = 0;
        if (open_whole(v, seg, end) == 0)
            v->off = end;
    }
    uint64_t until = v->off + STEP_BYTES;
    for (unsigned n = 0; rc >= 0 && v->off < end && v->off < until && n < STEP_RECORDS; n++)
        rc = record(v, db, end);
    if (rc < 0)
        return -1;
    v->key2 = 1;
    if (v->off >= end) {
        v->key = seg;
        v->key2 = 0;
    }
    return 1;
}
