/* downgrade_address: cuts a list into its items; those that are ASCII are copied, the others written anew. */
#include "format/downgrade_address.h"

#include "base/utf8.h"
#include "format/address.h"
#include "format/downgrade_text.h"
#include "format/encword.h"
#include "format/idna.h"

enum { DOMAIN_MOST = 255 };

struct list {
    struct span s;
    size_t at;
    bool unclosed;  /* behind `at` a < or [ is not closed any more: not looked for again, which keeps this linear */
};

/* The text up to a separator, which is *end (0: the list ended); moves behind it. */
static struct span next_item(struct list *l, bool in_group, char *end)
{
    struct span s = l->s;
    size_t from = l->at, i = from;
    bool address = in_group; /* behind an @ or < a colon names no group any more */
    *end = 0;
    while (i < s.n && *end == 0) {
        char c = s.p[i];
        if (c == ',' || c == ';' || (c == ':' && !address)) {
            *end = c;
            break;
        }
        address = address || c == '@' || c == '<';
        bool brackets = (c == '<' || c == '[') && !l->unclosed;
        size_t next = c == '"' || c == '(' || brackets ? downgrade_text_skip(s, i) : i + 1;
        l->unclosed = l->unclosed || (brackets && next == i + 1);
        i = next;
    }
    l->at = i + (*end != 0);
    return span_sub(s, from, i - from);
}

/* RFC 6857 3.1.8: `ENCODED-WORD :;` */
static void put_encoded(struct str *out, struct span addr)
{
    encword_write(out, addr);
    str_addz(out, " :;");
}

static bool dot_atom(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] == 127 || strchr("()<>[]:;@\\,\"", s.p[i]) != NULL ||
            (s.p[i] == '.' && (i == 0 || i + 1 == s.n || s.p[i - 1] == '.')))
            return false;
    return s.n > 0;
}

static void put_local(struct str *out, struct span local)
{
    if (dot_atom(local)) {
        str_add(out, local);
        return;
    }
    str_addc(out, '"');
    for (size_t i = 0; i < local.n; i++) {
        if (local.p[i] == '"' || local.p[i] == '\\')
            str_addc(out, '\\');
        str_addc(out, local.p[i]);
    }
    str_addc(out, '"');
}

static size_t angle_at(struct span s)
{
    size_t at = 0;
    while (at < s.n && s.p[at] != '<')
        at = s.p[at] == '"' || s.p[at] == '(' ? downgrade_text_skip(s, at) : at + 1;
    return at;
}

/* `Name name@host`: words that are no phrase. */
static void put_words(struct str *out, struct span name, bool more)
{
    struct str text;
    str_init(&text, out->mem);
    encword_decode(&text, name);
    if (more)
        str_addc(&text, ' ');
    encword_write(out, str_span(&text));
}

/* The display name, if any, and a space behind it. more: an encoded word follows. */
static void put_name(struct str *out, struct span item, size_t angle, const struct address *a, bool more)
{
    size_t before = out->n;
    bool words = downgrade_text_high(a->name) || span_find_char(item, '(') < 0; /* and not the comment beside the address */
    if (angle < item.n)
        downgrade_text_phrase(out, span_sub(item, 0, angle), more);
    else if (a->domain.n > 0 && a->name.n > 0 && words)
        put_words(out, a->name, more);
    if (out->n > before)
        str_addc(out, ' ');
}

/* One mailbox that is not ASCII. False: it is no address any more. */
static bool rewrite(struct str *out, struct span item, struct arena *mem)
{
    struct address_reader r;
    struct address a, other;
    struct str addr;
    char domain[DOMAIN_MOST];
    address_begin(&r, item, mem);
    if (!address_next(&r, &a) || a.kind != ADDRESS_MAILBOX || address_next(&r, &other) || (a.name.n == 0 && a.local.n == 0 && a.domain.n == 0)) {
        put_encoded(out, span_trim(item));
        return false;
    }
    size_t angle = angle_at(item), start = out->n;
    size_t n = utf8_ascii(a.local) ? idna_ascii(a.domain, domain, sizeof domain) : 0;
    put_name(out, item, angle, &a, n == 0);
    bool named = out->n > start || angle < item.n;
    if (n > 0) {
        str_addz(out, named ? "<" : "");
        put_local(out, a.local);
        str_addc(out, '@');
        str_add(out, span_of(domain, n));
        str_addz(out, named ? ">" : "");
    } else {
        str_init(&addr, mem);
        str_add(&addr, a.local.n > 0 || a.domain.n > 0 ? a.local : a.name);
        if (a.domain.n > 0)
            str_addc(&addr, '@');
        str_add(&addr, a.domain);
        put_encoded(out, str_span(&addr));
    }
    downgrade_text_keep_comments(out, span_from(item, angle < item.n ? angle : 0));
    return n > 0;
}

static bool put_item(struct str *out, struct span item, struct arena *mem)
{
    if (!downgrade_text_high(item)) {
        str_add(out, item);
        return true;
    }
    if (item.p[0] == ' ' || item.p[0] == '\t')
        str_addc(out, ' ');
    return rewrite(out, item, mem);
}

/* RFC 6857 3.1.7. From behind the colon to behind the `;`. */
static void group(struct str *out, struct span name, struct list *l, struct arena *mem)
{
    size_t from = l->at;
    struct str list;
    char end = 0;
    bool addresses = true;
    str_init(&list, mem);
    do {
        struct span item = next_item(l, true, &end);
        addresses = put_item(&list, item, mem) && addresses;
        if (end == ',')
            str_addc(&list, ',');
    } while (end == ',');
    if (name.n > 0 && name.p[0] == ' ')
        str_addc(out, ' ');
    downgrade_text_phrase(out, name, !addresses);
    if (addresses) {
        str_addc(out, ':');
        str_add(out, str_span(&list));
        str_addc(out, ';');
    } else {
        str_addc(out, ' ');
        put_encoded(out, span_trim(span_sub(l->s, from, l->at - (end != 0) - from)));
    }
}

void downgrade_address_list(struct str *out, struct span s, struct arena *mem)
{
    struct list l = {.s = s};
    while (l.at < s.n) {
        char end;
        struct span item = next_item(&l, false, &end);
        if (end == ':') {
            group(out, item, &l, mem);
            continue;
        }
        put_item(out, item, mem);
        if (end != 0)
            str_addc(out, end);
    }
}
