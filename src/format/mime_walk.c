/* mime_walk: splits a message into parts. What is open is a stack of at most MIME_DEPTH frames; each line is looked at
 * once, and only lines that begin with "--" are compared with the boundaries of the stack. */
#include "format/mime_walk.h"

#include "base/limits.h"

enum {
    STACK_MAX = 104,    /* frames: limit mime_depth is at most 100 */
    BOUNDARY_MAX = 996, /* RFC 2046 5.1.1 allows 70; a line holds 998 with the "--" */
};

struct frame {
    uint16_t part;
    struct span boundary;   /* n 0: no multipart, or one that was closed */
    size_t lines_at;        /* line ends before its body */
    uint16_t last_child;
};

struct walk {
    struct span text;
    size_t at, lines;       /* lines: line ends before `at` */
    struct frame stack[STACK_MAX];
    unsigned depth;         /* frames in use */
    unsigned open;          /* of them with a boundary */
    uint32_t cap, most;
    struct mime_tree *tree;
    mime_walk_field *field;
    void *arg;
    struct arena *mem;
};

struct match {
    int frame;      /* -1: the line is no delimiter */
    bool close;
};

/* RFC 2046 5.1.1: "--boundary" or "--boundary--", then only blanks. 5.1.2 would take any line that begins so; then a
 * part with the boundary "a" would swallow one with "ab", which mailers do nest. Innermost first. */
static struct match match(const struct walk *w, struct span line)
{
    size_t n = line.n;
    while (n > 2 && (line.p[n - 1] == ' ' || line.p[n - 1] == '\t' || line.p[n - 1] == '\r'))
        n--;
    for (unsigned i = w->depth; i-- > 0;) {
        struct span b = w->stack[i].boundary;
        if (b.n == 0 || (n != b.n + 2 && n != b.n + 4) || memcmp(line.p + 2, b.p, b.n) != 0)
            continue;
        if (n == b.n + 2)
            return (struct match){(int)i, false};
        if (line.p[n - 2] == '-' && line.p[n - 1] == '-')
            return (struct match){(int)i, true};
    }
    return (struct match){-1, false};
}

static bool stop_header(void *arg, struct span line)
{
    const struct walk *w = arg;
    return w->open > 0 && match(w, line).frame >= 0;
}

static struct mime_part *add_part(struct walk *w)
{
    struct mime_tree *t = w->tree;
    if (t->n == w->cap) {
        uint32_t cap = MIN_OF(w->cap * 4, w->most);
        struct mime_part *v = arena_alloc(w->mem, cap * sizeof *v);
        memcpy(v, t->v, t->n * sizeof *v);
        t->v = v;
        w->cap = cap;
    }
    struct mime_part *p = &t->v[t->n++];
    memset(p, 0, sizeof *p);
    return p;
}

static bool has_high(struct span s)
{
    uint64_t word, any = 0;
    size_t i = 0;
    for (; i + 8 <= s.n; i += 8) {
        memcpy(&word, s.p + i, 8);
        any |= word;
    }
    for (; i < s.n; i++)
        any |= (uint64_t)(unsigned char)s.p[i];
    return (any & 0x8080808080808080u) != 0;
}

bool mime_walk_is_report(const struct mime_part *p)
{
    return p->at.type == MIME_MESSAGE && p->at.encoding <= MIME_BINARY &&
           (span_eq_nocase(p->type.sub, SPAN("delivery-status")) ||
            span_eq_nocase(p->type.sub, SPAN("global-delivery-status")));
}

static void take_mime_field(struct walk *w, struct mime_part *p, enum summary_header name, struct span value)
{
    struct span *keep = NULL;
    switch (name) {
    case HEADER_CONTENT_TYPE:
        if (!p->has_type && p->type.main.p == NULL) {
            p->has_type = mime_content_type(value, &p->type, w->mem);
            w->tree->truncated |= p->type.truncated;
        }
        return;
    case HEADER_CONTENT_DISPOSITION:
        if (p->disposition.main.n == 0 && mime_disposition(value, &p->disposition, w->mem)) {
            w->tree->truncated |= p->disposition.truncated;
            p->attachment = span_eq_nocase(p->disposition.main, SPAN("attachment"));
        }
        return;
    case HEADER_CONTENT_ENCODING: keep = &p->encoding; break;
    case HEADER_CONTENT_ID: keep = &p->id; break;
    case HEADER_CONTENT_DESCRIPTION: keep = &p->description; break;
    case HEADER_CONTENT_MD5: keep = &p->md5; break;
    case HEADER_CONTENT_LANGUAGE: keep = &p->language; break;
    case HEADER_CONTENT_LOCATION: keep = &p->location; break;
    default: return;
    }
    if (keep->p == NULL)
        *keep = value;
}

/* Reads the header at w->at; leaves w->at at the body. message: a whole one, which has an envelope. */
static void read_header(struct walk *w, struct mime_part *p, bool message)
{
    struct header_reader r;
    struct header_field f;
    struct envelope *e = message ? arena_zalloc(w->mem, sizeof *e) : NULL;
    bool root = w->tree->n == 1;
    size_t fields = 0;
    header_begin(&r, span_from(w->text, w->at));
    r.stop = stop_header;
    r.arg = w;
    while (header_next(&r, &f)) {
        enum summary_header name = header_name_find(f.name);
        if (fields++ < (size_t)LIMIT(HEADER_FIELDS)) {
            if (e != NULL)
                envelope_take(e, name, f.value, w->mem);
            take_mime_field(w, p, name, f.value);
        }
        if (root && w->field != NULL)
            w->field(w->arg, &f, name);
    }
    p->envelope = e;
    w->tree->truncated |= r.truncated || fields > (size_t)LIMIT(HEADER_FIELDS);
    if (!root)
        w->tree->parts_8bit |= has_high(span_sub(w->text, w->at, r.at));
    w->at += r.at;
    w->lines += r.lines;
    p->at.body_at = (uint32_t)w->at;
}

/* What the type and encoding come to, when all fields are known. digest: the default is another (RFC 2046 5.1.5). */
static void settle(struct mime_part *p, bool digest)
{
    if (!p->has_type) {
        p->type = (struct mime_value){.main = digest ? SPAN("message") : SPAN("text"),
                                      .sub = digest ? SPAN("rfc822") : SPAN("plain")};
    }
    struct span charset = mime_param(&p->type, SPAN("charset"));
    p->at.type = (uint16_t)mime_type(&p->type);
    p->at.encoding = (uint8_t)mime_encoding(p->encoding);
    p->at.charset = charset.n > 0 ? (uint32_t)span_hash_nocase(charset) : 0;
}

/* Whether the part has parts of its own; *boundary is set for a multipart. */
static bool composite(const struct mime_part *p, struct span *boundary)
{
    bool identity = p->at.encoding <= MIME_BINARY;
    *boundary = SPAN("");
    if (p->at.type == MIME_RFC822)
        return identity; /* RFC 2046 5.2.1: no other encoding is allowed */
    if (!mime_is_multipart((enum mime_type)p->at.type))
        return false;
    struct span b = mime_param(&p->type, SPAN("boundary"));
    while (b.n > 0 && (b.p[b.n - 1] == ' ' || b.p[b.n - 1] == '\t'))
        b.n--;
    *boundary = b;
    return b.n > 0 && b.n <= BOUNDARY_MAX; /* its encoding is not asked: many say base64 here and do not mean it */
}

/* Opens the part whose header begins at w->at, and, for message/rfc822, what is inside. False: too many parts. */
static bool open_part(struct walk *w)
{
    bool message = w->depth == 0;
    for (;;) {
        struct span boundary;
        struct frame *up = w->depth > 0 ? &w->stack[w->depth - 1] : NULL;
        if (w->tree->n >= w->most) {
            w->tree->truncated = true;
            return false;
        }
        uint16_t number = (uint16_t)w->tree->n;
        struct mime_part *p = add_part(w);
        p->at.header_at = (uint32_t)w->at;
        p->at.depth = (uint8_t)w->depth;
        bool digest = false;
        if (up != NULL) {
            struct mime_part *parent = &w->tree->v[up->part];
            p->at.parent = up->part;
            digest = parent->at.type == MIME_DIGEST;
            if (up->last_child == 0)
                parent->at.first_child = number;
            else
                w->tree->v[up->last_child].next = number;
            up->last_child = number;
        }
        read_header(w, p, message);
        settle(p, digest);
        bool inside = composite(p, &boundary);
        if (inside && w->depth >= (unsigned)LIMIT(MIME_DEPTH)) {
            p->opaque = w->tree->truncated = true;
            inside = false;
        }
        p->opaque = p->opaque || (!inside && p->at.type == MIME_RFC822);
        w->stack[w->depth++] = (struct frame){.part = number, .boundary = inside ? boundary : SPAN(""), .lines_at = w->lines};
        w->open += inside && boundary.n > 0;
        if (!inside || boundary.n > 0)
            return true;
        message = true;
    }
}

/* Ends all frames above `keep`. delimited: the line end before `end` belongs to the delimiter (RFC 2046 5.1.1). */
static void close_to(struct walk *w, unsigned keep, size_t end, bool delimited)
{
    for (; w->depth > keep; w->depth--) {
        const struct frame *f = &w->stack[w->depth - 1];
        struct summary_part *p = &w->tree->v[f->part].at;
        size_t body_end = end, lines = w->lines;
        if (delimited && body_end > p->body_at) {
            lines--;
            body_end--;
            if (body_end > p->body_at && w->text.p[body_end - 1] == '\r')
                body_end--;
        }
        p->body_end = (uint32_t)body_end;
        if (mime_walk_is_report(&w->tree->v[f->part]))
            w->tree->parts_8bit |= has_high(span_sub(w->text, p->body_at, body_end - p->body_at));
        p->lines = (uint32_t)(lines - f->lines_at);
        w->open -= f->boundary.n > 0;
    }
}

/* The rest of the text without a boundary open: nothing but line ends to count. */
static void count_lines(struct walk *w)
{
    const char *p = w->text.p + w->at, *end = w->text.p + w->text.n;
    while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        w->lines++;
        p++;
    }
    w->at = w->text.n;
}

static void walk_body(struct walk *w)
{
    while (w->at < w->text.n) {
        if (w->open == 0) {
            count_lines(w);
            break;
        }
        const char *p = w->text.p + w->at;
        const char *nl = memchr(p, '\n', w->text.n - w->at);
        size_t n = nl != NULL ? (size_t)(nl - p) : w->text.n - w->at;
        struct match m = {-1, false};
        if (n >= 3 && p[0] == '-' && p[1] == '-')
            m = match(w, span_of(p, n));
        if (m.frame >= 0)
            close_to(w, (unsigned)m.frame + 1, w->at, true);
        w->at += n + (nl != NULL);
        w->lines += nl != NULL;
        if (m.close) { /* what follows is epilogue */
            w->stack[m.frame].boundary = SPAN("");
            w->open--;
        } else if (m.frame >= 0) {
            open_part(w);
        }
    }
}

void mime_walk(struct span message, struct mime_tree *out, mime_walk_field *field, void *arg, struct arena *mem)
{
    struct walk *w = arena_alloc(mem, sizeof *w);
    *w = (struct walk){.text = span_sub(message, 0, UINT32_MAX), .cap = 4, .most = (uint32_t)LIMIT(MIME_PARTS),
                       .tree = out, .field = field, .arg = arg, .mem = mem};
    memset(out, 0, sizeof *out);
    out->v = arena_alloc(mem, w->cap * sizeof *out->v);
    out->truncated = w->text.n < message.n;
    open_part(w);
    size_t body_at = out->v[0].at.body_at;
    out->header_8bit = has_high(span_sub(w->text, 0, body_at));
    out->body_8bit = has_high(span_from(w->text, body_at));
    walk_body(w);
    close_to(w, 0, w->text.n, false);
}
