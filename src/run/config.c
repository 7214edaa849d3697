/* config: reads postel.conf. inih cuts lines; the tables say what may stand there, and every mistake is an error with
 * its line: a mail server must not run with a typo (SEC-26). */
#include "run/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>

#include "base/log.h"
#include "base/num.h"
#include "run/net.h"

#define CONFIG_BYTES (64 * 1024) /* of a whole file: it travels to each role in one frame */
#define LIMITS "limits"

enum option_type { BOOL, COUNT, SECONDS, SIZE, TEXT, SIGN, LEVEL, ADDRS, NETS, NAME };

struct option {
    const char *section, *name;
    enum option_type type;
    const char *def;
    uint64_t least, most;
    const char *help;
};

static const struct option options[CONFIG_COUNT] = {
#define X(section_, name_, type_, def_, least_, most_, help_)                                                          \
    {.section = #section_, .name = #name_, .type = type_, .def = def_, .least = least_, .most = most_, .help = help_},
    CONFIG_TABLE(X)
#undef X
};

struct value {
    struct span text; /* as written, for config_show */
    uint64_t number;
    struct config_addr *addrs;
    size_t n_addrs;
    struct net *nets;
    size_t n_nets;
};

struct config {
    struct arena mem;
    struct value v[CONFIG_COUNT];
    int64_t limits[LIMIT_COUNT];
};

struct reading {
    struct config *c;
    struct span rest;   /* not read yet */
    const char *file;
    unsigned line;      /* that was read last */
    struct fail *f;
    bool failed;        /* *f holds the first mistake */
};

static const struct config *current;

/* ---- one value ---------------------------------------------------------------------------------------------------- */

static const char *const levels[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error",
};

static int parse_level(struct span s, uint64_t *out)
{
    for (size_t i = 0; i < COUNT_OF(levels); i++)
        if (span_eq_nocase(s, span_z(levels[i]))) {
            *out = i;
            return 0;
        }
    return -1;
}

static int parse_bool(struct span s, uint64_t *out)
{
    static const struct { const char *word; bool yes; } words[] = {
        {"yes", true}, {"no", false}, {"true", true}, {"false", false}, {"on", true}, {"off", false},
    };
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (span_eq_nocase(s, span_z(words[i].word))) {
            *out = words[i].yes;
            return 0;
        }
    return -1;
}

/* RFC 1123 2.1: letters, digits and inner hyphens, labels up to 63 */
static bool is_host_name(struct span s)
{
    if (s.n == 0 || s.n > 253)
        return false;
    while (s.p != NULL) {
        struct span label = span_split(&s, '.');
        if (label.n == 0 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
            return false;
        for (size_t i = 0; i < label.n; i++) {
            char c = label.p[i];
            if (!((c | 32) >= 'a' && (c | 32) <= 'z') && !(c >= '0' && c <= '9') && c != '-')
                return false;
        }
    }
    return true;
}

/* "192.0.2.1:25" or "[2001:db8::1]:25" */
static int parse_addr(struct arena *mem, struct span s, struct config_addr *out)
{
    ptrdiff_t colon = span_rfind_char(s, ':');
    struct span host = span_sub(s, 0, colon < 0 ? 0 : (size_t)colon);
    uint64_t port;
    if (colon <= 0 || num_u64(span_from(s, (size_t)colon + 1), 65535, &port) < 0)
        return -1;
    *out = (struct config_addr){.text = arena_copy(mem, s)};
    if (host.p[0] == '[' && host.p[host.n - 1] == ']') {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
        if (inet_pton(AF_INET6, arena_z(mem, span_sub(host, 1, host.n - 2)), &in6.sin6_addr) != 1)
            return -1;
        static_assert(sizeof in6 <= sizeof out->sockaddr, "config_addr holds both families");
        memcpy(out->sockaddr, &in6, out->len = sizeof in6);
        return 0;
    }
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, arena_z(mem, host), &in.sin_addr) != 1)
        return -1;
    memcpy(out->sockaddr, &in, out->len = sizeof in);
    return 0;
}

static bool is_gap(char c)
{
    return c == ' ' || c == '\t' || c == ',';
}

/* The next word of a list with blanks or commas between; empty at its end. */
static struct span next_word(struct span *rest)
{
    size_t i = 0, end;
    while (i < rest->n && is_gap(rest->p[i]))
        i++;
    for (end = i; end < rest->n && !is_gap(rest->p[end]);)
        end++;
    struct span word = span_sub(*rest, i, end - i);
    *rest = span_from(*rest, end);
    return word;
}

/* "none" alone is the empty list, nothing at all is a mistake (SEC-26). */
static int parse_addrs(struct arena *mem, struct span s, const struct option *o, struct value *v)
{
    v->addrs = arena_alloc(mem, (size_t)o->most * sizeof *v->addrs);
    v->n_addrs = 0;
    if (span_eq_nocase(s, SPAN("none")))
        return 0;
    for (struct span word = next_word(&s); word.n > 0; word = next_word(&s))
        if (v->n_addrs == o->most || parse_addr(mem, word, &v->addrs[v->n_addrs++]) < 0)
            return -1;
    return v->n_addrs == 0 ? -1 : 0;
}

static int parse_nets(struct arena *mem, struct span s, const struct option *o, struct value *v)
{
    v->nets = arena_alloc(mem, (size_t)o->most * sizeof *v->nets);
    v->n_nets = 0;
    if (span_eq_nocase(s, SPAN("none")))
        return 0;
    for (struct span word = next_word(&s); word.n > 0; word = next_word(&s))
        if (v->n_nets == o->most || net_parse(word, &v->nets[v->n_nets++]) < 0)
            return -1;
    return v->n_nets == 0 ? -1 : 0;
}

static int parse_number(enum option_type type, struct span s, uint64_t most, uint64_t *out)
{
    switch (type) {
    case SIZE: return num_size(s, most, out);
    case SECONDS: return num_seconds(s, most, out);
    default: return num_u64(s, most, out);
    }
}

/* What may part a local part in two: no letter, no digit, no dot, nothing that only some systems take. */
static bool is_sign(struct span s)
{
    return s.n == 1 && memchr("+-=_#~^", s.p[0], 7) != NULL;
}

static int parse_value(struct arena *mem, const struct option *o, struct span s, struct value *v)
{
    v->text = arena_copy(mem, s);
    switch (o->type) {
    case BOOL: return parse_bool(s, &v->number);
    case LEVEL: return parse_level(s, &v->number);
    case NAME: return is_host_name(s) ? 0 : -1;
    case TEXT: return s.n >= o->least && s.n <= o->most ? 0 : -1;
    case SIGN: return is_sign(s) || span_eq(s, SPAN("none")) ? 0 : -1;
    case ADDRS: return parse_addrs(mem, s, o, v);
    case NETS: return parse_nets(mem, s, o, v);
    case COUNT:
    case SECONDS:
    case SIZE: return parse_number(o->type, s, o->most, &v->number) == 0 && v->number >= o->least ? 0 : -1;
    }
    return -1;
}

/* What a value of this option looks like, for messages. */
static const char *wanted(const struct option *o, char out[64])
{
    switch (o->type) {
    case BOOL: return "yes or no";
    case LEVEL: return o->help;
    case NAME: return "a host name";
    case SIGN: return "one of + - = _ # ~ ^ or none";
    case ADDRS: return "addresses like 192.0.2.1:25 [2001:db8::1]:25, or none";
    case NETS: return "networks like 192.0.2.0/24 2001:db8::/32, or none";
    case TEXT: snprintf(out, 64, "%u to %u characters", (unsigned)o->least, (unsigned)o->most); return out;
    default: snprintf(out, 64, "a number from %llu to %llu", (unsigned long long)o->least, (unsigned long long)o->most);
        return out;
    }
}

/* ---- mistakes ------------------------------------------------------------------------------------------------------- */

static int mistake(struct reading *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int mistake(struct reading *r, const char *fmt, ...)
{
    char text[160];
    va_list ap;
    if (r->failed)
        return 0;
    r->failed = true;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fail_perm(r->f, "5.3.5", "%.40s:%u: %s", r->file, r->line, text);
    return 0;
}

/* Edit distance (Levenshtein 1966), of names of at most 50 bytes: inih cuts longer ones. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[52];
    size_t na = strlen(a), nb = strlen(b);
    if (na > 50 || nb > 50)
        return UINT32_MAX;
    for (size_t j = 0; j <= nb; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= na; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            unsigned up = row[j], change = diagonal + (a[i - 1] != b[j - 1]);
            row[j] = MIN_OF(change, MIN_OF(up, row[j - 1]) + 1);
            diagonal = up;
        }
    }
    return row[nb];
}

struct nearest { const char *section, *name; unsigned cost; };

static void consider(struct nearest *best, const char *section, const char *name, const char *in, const char *what)
{
    unsigned cost = distance(what, name);
    if (cost != UINT32_MAX)
        cost = cost * 2 + (strcmp(section, in) != 0); /* the same section first, but a right name before a near one */
    if (cost < best->cost)
        *best = (struct nearest){section, name, cost};
}

static int unknown_option(struct reading *r, const char *section, const char *name)
{
    struct nearest best = {"", "", UINT32_MAX};
    for (size_t i = 0; i < CONFIG_COUNT; i++)
        consider(&best, options[i].section, options[i].name, section, name);
    for (size_t i = 0; i < LIMIT_COUNT; i++)
        consider(&best, LIMITS, limit_table[i].name, section, name);
    if (best.cost / 2 > MAX_OF(2u, strlen(name) / 2))
        return mistake(r, "unknown option \"%s\" in [%s]; `postel config show` lists all", name, section);
    return mistake(r, "unknown option \"%s\" in [%s]; did you mean \"%s\" in [%s]?", name, section, best.name, best.section);
}

static bool section_known(const char *section, struct nearest *best)
{
    *best = (struct nearest){"", "", UINT32_MAX};
    consider(best, "", LIMITS, "", section);
    for (size_t i = 0; i < CONFIG_COUNT; i++)
        consider(best, "", options[i].section, "", section);
    return best->cost == 0;
}

/* ---- reading -------------------------------------------------------------------------------------------------------- */

static int set_limit(struct reading *r, const struct limit *l, const char *value)
{
    const char *unit = l->unit;
    enum option_type type = strcmp(unit, "bytes") == 0 || strcmp(unit, "octets") == 0 ? SIZE
        : strcmp(unit, "seconds") == 0                                                ? SECONDS
                                                                                      : COUNT;
    uint64_t n;
    if (parse_number(type, span_z(value), (uint64_t)l->most, &n) < 0 || n < (uint64_t)l->least)
        return mistake(r, "%s = %.30s: wants %lld to %lld %s", l->name, value, (long long)l->least, (long long)l->most, unit);
    r->c->limits[l - limit_table] = (int64_t)n;
    return 1;
}

static int set_option(struct reading *r, const struct option *o, const char *value)
{
    char room[64];
    if (parse_value(&r->c->mem, o, span_z(value), &r->c->v[o - options]) < 0)
        return mistake(r, "%s = %.40s: wants %s", o->name, value, wanted(o, room));
    return 1;
}

static int on_line(void *arg, const char *section, const char *name, const char *value)
{
    struct reading *r = arg;
    struct nearest best;
    if (r->failed)
        return 0;
    if (section[0] == '\0')
        return mistake(r, "\"%s\" stands before any [section]", name);
    if (!section_known(section, &best))
        return mistake(r, "unknown section [%s]; did you mean [%s]?", section, best.name);
    for (size_t i = 0; i < LIMIT_COUNT && strcmp(section, LIMITS) == 0; i++)
        if (strcmp(limit_table[i].name, name) == 0)
            return set_limit(r, &limit_table[i], value);
    for (size_t i = 0; i < CONFIG_COUNT; i++)
        if (strcmp(options[i].section, section) == 0 && strcmp(options[i].name, name) == 0)
            return set_option(r, &options[i], value);
    return unknown_option(r, section, name);
}

static bool has_control(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (((unsigned char)s.p[i] < 32 && s.p[i] != '\t') || s.p[i] == 127)
            return true;
    return false;
}

/* The fgets that inih calls. Indentation is dropped here: inih would take an indented line for more of the value above. */
static char *next_line(char *buf, int size, void *arg)
{
    struct reading *r = arg;
    if (r->rest.p == NULL || r->rest.n == 0 || r->failed)
        return NULL;
    struct span line = span_trim(span_split(&r->rest, '\n'));
    r->line++;
    if (line.n + 2 > (size_t)size) {
        mistake(r, "the line is longer than %d bytes", size - 2);
        return NULL;
    }
    if (has_control(line)) {
        mistake(r, "the line holds control characters");
        return NULL;
    }
    memcpy(buf, line.p, line.n);
    memcpy(buf + line.n, "\n", 2);
    return buf;
}

static struct config *defaults(void)
{
    struct config *c = base_alloc(sizeof *c);
    arena_init(&c->mem);
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        int bad = parse_value(&c->mem, &options[i], span_z(options[i].def), &c->v[i]);
        assert(bad == 0);
        (void)bad;
    }
    for (size_t i = 0; i < LIMIT_COUNT; i++)
        c->limits[i] = limit_table[i].def;
    return c;
}

struct config *config_parse(struct span text, const char *file, struct fail *f)
{
    struct reading r = {.c = defaults(), .rest = text, .file = file, .f = f};
    int line = ini_parse_stream(next_line, &r, on_line, &r);
    if (line > 0 && (!r.failed || (unsigned)line < r.line)) { /* inih goes on behind what it does not understand */
        r.failed = false;
        r.line = (unsigned)line;
        mistake(&r, "wants \"[section]\", \"name = value\" or a comment that begins with #");
    }
    if (!r.failed)
        return r.c;
    config_free(r.c);
    return NULL;
}

struct config *config_read(const char *path, struct span *text, struct arena *mem, struct fail *f)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        fail_perm(f, "5.3.5", "%.100s: %s", path, strerror(errno));
        return NULL;
    }
    char *buf = arena_alloc(mem, CONFIG_BYTES + 1);
    size_t n = 0;
    ssize_t got = 0;
    while (n <= CONFIG_BYTES && (got = read(fd, buf + n, CONFIG_BYTES + 1 - n)) > 0)
        n += (size_t)got;
    int err = errno;
    close(fd);
    if (got < 0 || n > CONFIG_BYTES) {
        fail_perm(f, "5.3.5", "%.100s: %s", path, got < 0 ? strerror(err) : "larger than 64 KiB");
        return NULL;
    }
    *text = span_of(buf, n);
    return config_parse(*text, path, f);
}

void config_free(struct config *c)
{
    if (c == NULL)
        return;
    arena_done(&c->mem);
    free(c);
}

/* ---- asking --------------------------------------------------------------------------------------------------------- */

void config_use(const struct config *c)
{
    current = c;
    memcpy(limit_value, c->limits, sizeof limit_value);
}

struct span config_get(const struct config *c, enum config_id id)
{
    return c->v[id].text;
}

size_t config_addrs(const struct config *c, enum config_id id, const struct config_addr **out)
{
    *out = c->v[id].addrs;
    return c->v[id].n_addrs;
}

struct span config_text(enum config_id id)
{
    assert(current != NULL);
    return current->v[id].text;
}

uint64_t config_count(enum config_id id)
{
    assert(current != NULL);
    return current->v[id].number;
}

bool config_bool(enum config_id id)
{
    return config_count(id) != 0;
}

bool config_net_has(enum config_id id, const unsigned char ip[16])
{
    assert(current != NULL);
    for (size_t i = 0; i < current->v[id].n_nets; i++)
        if (net_has(&current->v[id].nets[i], ip))
            return true;
    return false;
}

void config_show(const struct config *c, struct str *out)
{
    const char *section = "";
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        const struct option *o = &options[i];
        if (strcmp(section, o->section) != 0)
            str_addf(out, "%s[%s]\n", i == 0 ? "" : "\n", section = o->section);
        str_addf(out, "# %s (default: %s)\n%s = %.*s\n", o->help, o->def, o->name, SPAN_ARGS(c->v[i].text));
    }
    str_addz(out, "\n[" LIMITS "]\n");
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        const struct limit *l = &limit_table[i];
        str_addf(out, "# %s: %s (default: %lld, from %lld to %lld)\n%s = %lld\n", l->unit, l->reason, (long long)l->def,
                 (long long)l->least, (long long)l->most, l->name, (long long)c->limits[i]);
    }
}
