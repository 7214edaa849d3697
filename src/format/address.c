/* address: reads address lists as they come (RFC 5322 3.4, 4.4): one state machine, each byte looked at once. */
#include "format/address.h"

#include "base/limits.h"

/* What is being gathered. The three texts grow at the same time, each in a room of its own. */
struct item {
    char *phrase, *comment, *addr;
    size_t n_phrase, n_comment, n_addr;
    size_t addr_at;     /* of n_addr: where the local part or domain in work begins */
    size_t phrase_cut;  /* of n_phrase: where the word began that may be the local part */
    size_t words;
    bool blank;         /* blanks or a comment lie before this token */
    bool at, angle, done, domain_over, any;
    struct span route, local, domain;
};

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static bool is_special(char c)
{
    switch (c) {
    case ' ': case '\t': case '\r': case '\n': case 0:
    case '(': case ')': case '<': case '>': case '[': case ']': case ':': case ';': case '@': case ',': case '"':
        return true;
    default:
        return false;
    }
}

void address_begin(struct address_reader *r, struct span value, struct arena *mem)
{
    memset(r, 0, sizeof *r);
    r->p = value.p;
    r->end = value.p + value.n;
    r->left = (size_t)LIMIT(HEADER_ADDRESSES);
    char *room = arena_alloc(mem, 3 * (value.n + 1));
    for (int i = 0; i < 3; i++)
        r->out[i] = room + (size_t)i * (value.n + 1);
}

static void put(char *text, size_t *n, char c)
{
    if (c != '\r' && c != '\n' && c != 0)
        text[(*n)++] = c;
}

/* RFC 5322 3.2.2: comments nest; what is inside becomes the name of an address that has no other. */
static void comment(struct address_reader *r, struct item *it)
{
    size_t depth = 0;
    if (it->n_comment > 0)
        put(it->comment, &it->n_comment, ' '); /* takes the place of the parenthesis */
    for (; r->p < r->end; r->p++) {
        if (*r->p == '(' && depth++ == 0)
            continue;
        if (*r->p == ')' && --depth == 0)
            break;
        if (*r->p == '\\' && r->p + 1 < r->end)
            r->p++;
        put(it->comment, &it->n_comment, *r->p);
    }
    r->p += r->p < r->end;
    it->blank = true;
}

/* Before a word of phrase or addr-spec: one space in the phrase where there were blanks; a word that follows another
 * without a dot between begins a new local part ("Joe joe@x.test" has the name Joe). */
static void before_word(struct item *it, bool dot)
{
    bool after_dot = it->n_addr > it->addr_at && it->addr[it->n_addr - 1] == '.';
    it->any = true;
    if (it->blank && it->n_addr > it->addr_at && !dot && !after_dot) {
        if (it->at) {
            it->domain_over = true;
        } else if (it->angle) {
            put(it->addr, &it->n_addr, ' '); /* shows that this is no local part */
        } else {
            it->words++;
            it->addr_at = it->n_addr;
            it->phrase_cut = it->n_phrase;
        }
    }
    if (it->blank && it->n_phrase > 0 && !it->angle)
        it->phrase[it->n_phrase++] = ' '; /* takes the place of the blank */
    it->blank = false;
}

static void word_char(struct item *it, char c)
{
    if (!it->angle)
        put(it->phrase, &it->n_phrase, c);
    if (!it->domain_over)
        put(it->addr, &it->n_addr, c);
}

/* RFC 5322 3.2.4; an open quote goes to the end of the field. */
static void quoted(struct address_reader *r, struct item *it)
{
    before_word(it, false);
    for (r->p++; r->p < r->end && *r->p != '"'; r->p++) {
        if (*r->p == '\\' && r->p + 1 < r->end)
            r->p++;
        word_char(it, *r->p);
    }
    r->p += r->p < r->end;
}

/* RFC 5322 3.4.1: domain-literal, kept with its brackets, without folding. */
static void literal(struct address_reader *r, struct item *it)
{
    before_word(it, false);
    for (; r->p < r->end && *r->p != ']'; r->p++)
        if (!is_blank(*r->p))
            word_char(it, *r->p);
    if (r->p < r->end)
        word_char(it, *r->p++);
}

static void at_sign(struct address_reader *r, struct item *it)
{
    bool first = !it->at;
    it->any = true;
    if (!it->angle)
        put(it->phrase, &it->n_phrase, '@');
    if (first) {
        it->local = span_of(it->addr + it->addr_at, it->n_addr - it->addr_at);
        it->addr_at = it->n_addr;
        it->at = true;
    } else if (!it->domain_over) {
        put(it->addr, &it->n_addr, '@'); /* stays in the domain, which is then none that anybody accepts */
    }
    it->blank = false;
    r->p++;
}

static void atom(struct address_reader *r, struct item *it)
{
    before_word(it, *r->p == '.');
    do
        word_char(it, *r->p++);
    while (r->p < r->end && !is_special(*r->p));
}

/* RFC 5322 4.4: obs-route, "@a,@b:" before the address. */
static void route(struct address_reader *r, struct item *it)
{
    size_t from = it->n_addr;
    while (r->p < r->end && *r->p != ':' && *r->p != '>') {
        if (!is_blank(*r->p))
            put(it->addr, &it->n_addr, *r->p);
        r->p++;
    }
    struct span text = span_of(it->addr + from, it->n_addr - from);
    if (r->p < r->end && *r->p == ':') {
        it->route = text;
        it->addr_at = it->n_addr;
        r->p++;
    } else { /* <@host>: no local part */
        it->at = true;
        it->addr_at = from + (text.n > 0);
    }
}

static void open_angle(struct address_reader *r, struct item *it)
{
    it->angle = true;
    it->at = it->domain_over = false;
    it->any = true;
    it->addr_at = it->n_addr;
    it->phrase_cut = it->n_phrase;
    it->local = SPAN_NONE;
    r->p++;
    while (r->p < r->end && is_blank(*r->p))
        r->p++;
    if (r->p < r->end && *r->p == '@')
        route(r, it);
}

static void close_angle(struct address_reader *r, struct item *it)
{
    it->done = it->angle;
    it->domain = span_of(it->addr + it->addr_at, it->n_addr - it->addr_at);
    r->p++;
}

/* One token; false when the item is over (the separator is left to the caller). */
static bool token(struct address_reader *r, struct item *it)
{
    char c = *r->p;
    switch (c) {
    case ' ': case '\t': case '\r': case '\n': case 0:
        it->blank = true;
        r->p++;
        return true;
    case '(':
        comment(r, it);
        return true;
    case ',': case ';':
        return false;
    case ':':
        if (!it->angle && !it->at && !r->in_group)
            return false;
        if (it->angle && !it->done) { /* <mailto:a@b>: is no address, and must not look like one */
            atom(r, it);
            return true;
        }
        break;
    case '<':
        if (!it->angle) {
            open_angle(r, it);
            return true;
        }
        break;
    case '>':
        if (it->angle && !it->done) {
            close_angle(r, it);
            return true;
        }
        break;
    case '@':
        if (!it->done) {
            at_sign(r, it);
            return true;
        }
        break;
    case '[':
        if (it->at && !it->done) {
            literal(r, it);
            return true;
        }
        break;
    case '"':
        if (!it->done) {
            quoted(r, it);
            return true;
        }
        break;
    case ')': case ']':
        break;
    default:
        if (!it->done) {
            atom(r, it);
            return true;
        }
    }
    r->p++; /* what has no meaning here */
    return true;
}

static void mailbox(struct item *it, struct address *a)
{
    struct span rest = span_of(it->addr + it->addr_at, it->n_addr - it->addr_at);
    struct span phrase = span_of(it->phrase, it->n_phrase);
    a->kind = ADDRESS_MAILBOX;
    a->route = it->route;
    a->local = it->local;
    if (it->angle || it->at) {
        a->name = span_of(phrase.p, it->phrase_cut);
        if (it->at)
            a->domain = it->done ? it->domain : rest;
        else
            a->local = it->done ? it->domain : rest; /* <root> */
    } else if (it->words == 0) {
        a->local = rest; /* root */
    } else {
        a->name = phrase; /* words that are no address at all */
    }
    if (a->name.n == 0)
        a->name = span_trim(span_of(it->comment, it->n_comment));
}

static struct address empty_address(enum address_kind kind)
{
    return (struct address){.kind = kind, .name = SPAN(""), .route = SPAN(""), .local = SPAN(""), .domain = SPAN("")};
}

bool address_next(struct address_reader *r, struct address *a)
{
    while (r->p < r->end && r->left > 0) {
        struct item it = {.phrase = r->out[0], .comment = r->out[1], .addr = r->out[2], .local = SPAN("")};
        while (r->p < r->end && token(r, &it))
            ;
        char over = r->p < r->end ? *r->p : 0;
        r->out[0] += it.n_phrase;
        r->out[1] += it.n_comment;
        r->out[2] += it.n_addr;
        if (over == ':' || over == ',' || (over == ';' && !r->in_group) || (over == ';' && !it.any))
            r->p++;
        *a = empty_address(ADDRESS_MAILBOX);
        if (over == ':') {
            a->kind = ADDRESS_GROUP;
            a->name = span_of(it.phrase, it.n_phrase);
            r->in_group = true;
        } else if (it.any) {
            mailbox(&it, a);
        } else if (over == ';' && r->in_group) {
            a->kind = ADDRESS_GROUP_END;
            r->in_group = false;
        } else {
            continue;
        }
        r->left--;
        return true;
    }
    r->truncated = r->p < r->end;
    if (!r->in_group)
        return false;
    r->in_group = false;
    *a = empty_address(ADDRESS_GROUP_END);
    return true;
}
