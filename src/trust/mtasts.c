/* The two texts of RFC 8461 3: the TXT record and the policy. Strict, but for empty lines: whoever drops a policy for one
 * would send in plain text. */
#include "trust/mtasts.h"

#include "base/num.h"
#include "base/utf8.h"

#define MAX_AGE_S 31557600u

enum { MX_MOST = 1000, NAME_MOST = 32 };

static bool alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_wsp(char c)
{
    return c == ' ' || c == '\t';
}

static struct span trim_wsp(struct span s)
{
    while (s.n > 0 && is_wsp(s.p[0]))
        s = span_from(s, 1);
    while (s.n > 0 && is_wsp(s.p[s.n - 1]))
        s.n--;
    return s;
}

/* sts-ext-name, sts-policy-ext-name */
static bool is_field_name(struct span s)
{
    if (s.n == 0 || s.n > NAME_MOST || !alnum(s.p[0]))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!alnum(s.p[i]) && s.p[i] != '_' && s.p[i] != '-' && s.p[i] != '.')
            return false;
    return true;
}

/* ---- the TXT record ---- */

static bool is_id(struct span s)
{
    if (s.n == 0 || s.n > MTASTS_ID_MAX)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!alnum(s.p[i]))
            return false;
    return true;
}

static bool is_ext_value(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x21 || s.p[i] > 0x7e || s.p[i] == ';' || s.p[i] == '=')
            return false;
    return s.n > 0;
}

/* Behind "v=STSv1;": fields with ";" between and perhaps at the end. */
static int read_fields(struct span rest, struct span *id)
{
    *id = SPAN_NONE;
    while (rest.p != NULL) {
        struct span field = trim_wsp(span_split(&rest, ';')), value = field, name = span_split(&value, '=');
        if (field.n == 0 && rest.p == NULL)
            break;
        if (value.p == NULL || !is_field_name(name))
            return -1;
        if (!span_eq(name, SPAN("id"))) {
            if (!is_ext_value(value))
                return -1;
        } else if (id->n == 0) { /* RFC 8461 3.2: of several the first */
            if (!is_id(value))
                return -1;
            *id = value;
        }
    }
    return id->n > 0 ? 0 : -1;
}

int mtasts_record(const struct span *texts, size_t n, struct span *id)
{
    struct span rest = SPAN_NONE;
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        struct span text = texts[i], version = span_split(&text, ';');
        while (version.n > 0 && is_wsp(version.p[version.n - 1]))
            version.n--;
        if (span_eq(version, SPAN("v=STSv1")) && text.p != NULL) { /* others are discarded */
            rest = text;
            found++;
        }
    }
    return found == 1 ? read_fields(rest, id) : -1;
}

/* ---- the policy ---- */

struct reading {
    struct mtasts_policy *p;
    struct span *mx;
    struct arena *mem;
    bool version, mode, max_age;
};

/* RFC 5321 4.1.2 Domain, of letters, digits and hyphens; here in lower case. */
static bool lower_domain(struct span s)
{
    if (s.n == 0 || s.n > 253)
        return false;
    while (s.p != NULL) {
        struct span label = span_split(&s, '.');
        if (label.n == 0 || label.n > 63 || !alnum(label.p[0]) || !alnum(label.p[label.n - 1]))
            return false;
        for (size_t i = 0; i < label.n; i++) {
            char *c = (char *)(uintptr_t)&label.p[i];
            if (!alnum(*c) && *c != '-')
                return false;
            if (*c >= 'A' && *c <= 'Z')
                *c = (char)(*c | 32);
        }
    }
    return true;
}

static int read_version(struct reading *r, struct span v)
{
    r->version = true;
    return span_eq(v, SPAN("STSv1")) ? 0 : -1;
}

static int read_mode(struct reading *r, struct span v)
{
    static const struct span words[] = {{"none", 4}, {"testing", 7}, {"enforce", 7}};
    for (size_t i = 0; i < COUNT_OF(words) && !r->mode; i++)
        if (span_eq(v, words[i])) {
            r->p->mode = (enum mtasts_mode)i;
            r->mode = true;
        }
    return r->mode ? 0 : -1;
}

static int read_max_age(struct reading *r, struct span v)
{
    uint64_t n;
    if (v.n == 0 || v.n > 10 || num_u64(v, UINT64_MAX, &n) != 0)
        return -1;
    r->p->max_age_s = (uint32_t)MIN_OF(n, (uint64_t)MAX_AGE_S);
    r->max_age = true;
    return 0;
}

static int read_mx(struct reading *r, struct span v)
{
    if (r->p->n_mx == MX_MOST)
        return -1;
    struct span name = arena_copy(r->mem, v);
    if (!lower_domain(span_starts(name, SPAN("*.")) ? span_from(name, 2) : name))
        return -1;
    r->mx[r->p->n_mx++] = name;
    return 0;
}

static int read_line(struct reading *r, struct span line)
{
    struct span value = line, name = span_split(&value, ':');
    if (value.p == NULL || !is_field_name(name))
        return -1;
    value = trim_wsp(value);
    /* RFC 8461 3.2: all but mx count once, and unknown ones not at all */
    if (span_eq(name, SPAN("version")))
        return r->version ? 0 : read_version(r, value);
    if (span_eq(name, SPAN("mode")))
        return r->mode ? 0 : read_mode(r, value);
    if (span_eq(name, SPAN("max_age")))
        return r->max_age ? 0 : read_max_age(r, value);
    if (span_eq(name, SPAN("mx")))
        return read_mx(r, value);
    return value.n > 0 ? 0 : -1;
}

static bool printable(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f)
            return false;
    return utf8_valid(s);
}

int mtasts_parse(struct span text, struct mtasts_policy *out, struct arena *mem)
{
    struct reading r = {.p = out, .mem = mem};
    *out = (struct mtasts_policy){0};
    if (text.n == 0 || text.n > MTASTS_POLICY_BYTES)
        return -1;
    size_t lines = 1;
    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    out->mx = r.mx = arena_alloc(mem, MIN_OF(lines, (size_t)MX_MOST) * sizeof *r.mx);
    while (text.p != NULL) {
        struct span line = span_split(&text, '\n');
        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        line = trim_wsp(line);
        if (line.n > 0 && (!printable(line) || read_line(&r, line) != 0))
            return -1;
    }
    bool complete = r.version && r.mode && r.max_age && (out->n_mx > 0 || out->mode == MTASTS_MODE_NONE);
    return complete ? 0 : -1;
}

/* ---- applied ---- */

bool mtasts_match(const struct mtasts_policy *p, struct span host)
{
    if (host.n > 0 && host.p[host.n - 1] == '.')
        host.n--;
    for (size_t i = 0; i < p->n_mx; i++) {
        struct span pattern = p->mx[i], rest = host;
        /* RFC 8461 4.1: "*" is the whole leftmost label, and one label */
        if (span_starts(pattern, SPAN("*."))) {
            if (span_split(&rest, '.').n > 0 && rest.p != NULL && span_eq_nocase(rest, span_from(pattern, 2)))
                return true;
        } else if (span_eq_nocase(host, pattern)) {
            return true;
        }
    }
    return false;
}

enum mtasts_verdict mtasts_decide(const struct mtasts_policy *p, struct span host)
{
    if (p == NULL || p->mode == MTASTS_MODE_NONE)
        return MTASTS_FREE;
    if (p->mode == MTASTS_MODE_TESTING)
        return MTASTS_WATCH;
    return mtasts_match(p, host) ? MTASTS_VERIFY : MTASTS_REFUSE;
}
