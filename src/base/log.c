/* log: builds a line in a buffer of the thread and hands it over in one write(2), so that lines of several threads and
 * roles do not mix: up to 4096 bytes (PIPE_BUF) a write to a pipe is one piece. */
#include "base/log.h"
#include "base/clock.h"
#include "base/utf8.h"

#include <errno.h>

enum { LINE_MOST = 4096, VALUE_MOST = 512, TAIL = 8 /* room kept for " cut=1" and the line end */ };

struct line {
    char *p;
    size_t n, cap;
};

static const char *role_name = "postel";
static enum log_level least_level = LOG_INFO;

/* Characters that would move, hide or reorder text on a terminal: C1, bidi and other format controls, line separators. */
static bool is_tricky(uint32_t cp)
{
    static const struct {
        uint32_t from, to;
    } tricky[] = {
        {0x0000, 0x001f}, {0x007f, 0x009f}, {0x00ad, 0x00ad}, {0x061c, 0x061c},   {0x180e, 0x180e},  {0x200b, 0x200f},
        {0x2028, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xfff0, 0xfffb},   {0xe0000, 0xe0fff},
    };
    for (size_t i = 0; i < COUNT_OF(tricky); i++)
        if (cp >= tricky[i].from && cp <= tricky[i].to)
            return true;
    return false;
}

static bool is_plain(char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '='; }

static bool wants_quotes(struct span v)
{
    for (size_t i = 0; i < v.n; i++)
        if (!is_plain(v.p[i]))
            return true;
    return v.n == 0;
}

/* The escaped form of what s starts with; *used says how many bytes of s that is. At most 16 bytes. */
static size_t escape_one(struct span s, char out[17], size_t *used)
{
    uint32_t cp = 0;
    size_t len = utf8_decode(s, &cp), n = 0;
    *used = len ? len : 1;
    if (len && !is_tricky(cp)) {
        if (cp == '"' || cp == '\\')
            out[n++] = '\\';
        memcpy(out + n, s.p, len);
        return n + len;
    }
    for (size_t i = 0; i < *used; i++)
        n += (size_t)snprintf(out + n, 17 - n, "\\x%02x", (unsigned char)s.p[i]);
    return n;
}

/* How many bytes at the start of s stand for themselves; nearly all do. */
static size_t plain_run(struct span s, bool quoted)
{
    size_t n = 0;
    while (n < s.n && (is_plain(s.p[n]) || (quoted && (s.p[n] == ' ' || s.p[n] == '='))))
        n++;
    return n;
}

size_t log_escape(struct span v, char *out, size_t cap)
{
    struct span kept = utf8_clip(v, VALUE_MOST);
    bool quoted = wants_quotes(kept), cut = kept.n < v.n;
    size_t frame = quoted ? 2 : 0, n = 0;
    if (cap < frame + 3)
        return 0;
    if (quoted)
        out[n++] = '"';
    while (kept.n > 0) {
        char one[17];
        size_t run = plain_run(kept, quoted);
        if (n + run + frame / 2 + 3 <= cap && run > 0) {
            memcpy(out + n, kept.p, run);
            n += run;
            kept = span_from(kept, run);
            continue;
        }
        size_t used, len = escape_one(kept, one, &used);
        /* What follows must leave room for the dots, unless this is the end and no dots are needed. */
        if (n + len + (quoted ? 1 : 0) + (cut || kept.n > used ? 3 : 0) > cap) {
            cut = true;
            break;
        }
        memcpy(out + n, one, len);
        n += len;
        kept = span_from(kept, used);
    }
    if (cut) {
        memcpy(out + n, "...", 3);
        n += 3;
    }
    if (quoted)
        out[n++] = '"';
    return n;
}

/* Appends " key=value" whole, or nothing and returns false. */
static bool add(struct line *l, const char *key, struct span value)
{
    size_t len = strlen(key);
    if (l->n + len + 2 + 8 > l->cap)
        return false;
    size_t start = l->n;
    if (l->n)
        l->p[l->n++] = ' ';
    memcpy(l->p + l->n, key, len);
    l->n += len;
    l->p[l->n++] = '=';
    size_t n = log_escape(value, l->p + l->n, l->cap - l->n);
    if (n == 0)
        l->n = start;
    l->n += n;
    return n > 0;
}

static bool add_field(struct line *l, const struct log_field *f)
{
    if (f->s.p)
        return add(l, f->key, f->s);
    char digits[24];
    size_t at = sizeof digits;
    uint64_t v = f->num < 0 ? -(uint64_t)f->num : (uint64_t)f->num;
    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    if (f->num < 0)
        digits[--at] = '-';
    return add(l, f->key, span_of(digits + at, sizeof digits - at));
}

void log_setup(const char *role, enum log_level least)
{
    role_name = role;
    least_level = least;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    static _Thread_local char buffer[LINE_MOST];
    struct line l = {.p = buffer, .cap = LINE_MOST - TAIL};
    char now[32];
    bool whole = true;
    if (level < least_level)
        return;
    int saved = errno; /* callers may log before they look at it */
    clock_rfc3339(clock_now_ms(), now);
    add(&l, "t", span_z(now));
    add(&l, "lv", span_z(names[level]));
    add(&l, "role", span_z(role_name));
    for (size_t i = 0; i < n; i++)
        if (strcmp(fields[i].key, "id") == 0)
            add_field(&l, &fields[i]);
    add(&l, "ev", span_z(event));
    for (size_t i = 0; i < n && whole; i++)
        if (strcmp(fields[i].key, "id") != 0)
            whole = add_field(&l, &fields[i]);
    if (!whole) {
        memcpy(l.p + l.n, " cut=1", 6);
        l.n += 6;
    }
    l.p[l.n++] = '\n';
    while (write(STDERR_FILENO, l.p, l.n) < 0 && errno == EINTR)
        ;
    errno = saved;
}
