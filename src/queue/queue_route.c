#include "queue/queue_route.h"

#include "base/num.h"

int queue_route_hop(struct span text, uint16_t mx_port, struct queue_hop *out)
{
    *out = (struct queue_hop){.host = text, .port = 25};
    if (span_eq_nocase(text, SPAN("mx"))) {
        *out = (struct queue_hop){.port = mx_port, .mx = true};
        return 0;
    }
    ptrdiff_t end = text.n > 0 && text.p[0] == '[' ? span_find_char(text, ']') : 0;
    struct span behind = end < 0 ? SPAN_NONE : span_from(text, (size_t)end);
    ptrdiff_t colon = end < 0 ? -1 : span_find_char(behind, ':');
    uint64_t port;
    if (colon >= 0) {
        size_t at = (size_t)(end + colon);
        if (num_u64(span_from(text, at + 1), 65535, &port) < 0 || port == 0)
            return -1;
        out->port = (uint16_t)port;
        out->host = span_sub(text, 0, at);
    }
    if (out->host.n == 0 || out->host.n > 255 || end < 0)
        return -1;
    if (end > 0 && out->host.n != (size_t)end + 1)
        return -1;
    for (size_t i = 0; i < out->host.n; i++)
        if ((unsigned char)out->host.p[i] <= 32 || (unsigned char)out->host.p[i] >= 127)
            return -1;
    return 0;
}

static struct span lower(struct span s, struct arena *mem)
{
    char *p = arena_alloc(mem, s.n + 1);
    for (size_t i = 0; i < s.n; i++)
        p[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] + 32 : s.p[i]);
    return span_of(p, s.n);
}

static int parse_one(struct queue_routes *r, struct span item, struct arena *mem, struct fail *f)
{
    struct span hop = item, key = span_split(&hop, '=');
    struct queue_route row = {.kind = QUEUE_ROUTE_RCPT};
    if (key.n == 0 || hop.n == 0 || queue_route_hop(hop, r->mx_port, &row.hop) < 0)
        return fail_perm(f, "5.5.4", "\"%.*s\" is no route; write domain=host:port", SPAN_ARGS(span_sub(item, 0, 60)));
    if (span_starts_nocase(key, SPAN("from:"))) {
        key = span_from(key, 5);
        row.kind = span_find_char(key, '@') >= 0 ? QUEUE_ROUTE_SENDER : QUEUE_ROUTE_SENDER_DOMAIN;
    } else if (key.p[0] == '.') {
        row.kind = QUEUE_ROUTE_RCPT_BELOW;
    }
    row.key = lower(key, mem);
    *VEC_PUSH(&r->rows) = row;
    return 0;
}

int queue_route_parse(struct queue_routes *r, struct span routes, struct span smarthost, uint16_t mx_port, struct arena *mem,
                      struct fail *f)
{
    *r = (struct queue_routes){.mx_port = mx_port};
    smarthost = span_trim(smarthost);
    if (smarthost.n > 0) {
        if (queue_route_hop(smarthost, mx_port, &r->smarthost) < 0 || r->smarthost.mx)
            return fail_perm(f, "5.5.4", "smarthost: \"%.*s\" is no host:port", SPAN_ARGS(span_sub(smarthost, 0, 60)));
        r->smarthost.login = true;
    }
    while (routes.n > 0) {
        struct span item = span_trim(span_split(&routes, ' '));
        if (item.n > 0 && parse_one(r, item, mem, f) < 0)
            return -1;
    }
    return 0;
}

void queue_route_done(struct queue_routes *r)
{
    VEC_FREE(&r->rows);
}

static bool fits(const struct queue_route *row, struct span sender, struct span sender_domain, struct span domain)
{
    switch (row->kind) {
    case QUEUE_ROUTE_SENDER: return span_eq_nocase(row->key, sender);
    case QUEUE_ROUTE_SENDER_DOMAIN: return span_eq_nocase(row->key, sender_domain);
    case QUEUE_ROUTE_RCPT: return span_eq_nocase(row->key, domain);
    case QUEUE_ROUTE_RCPT_BELOW: return span_ends_nocase(domain, row->key);
    }
    return false;
}

/* Which kind counts for more; longer ones below a domain for more than shorter ones. */
static size_t weight(const struct queue_route *row)
{
    static const size_t kinds[] = {[QUEUE_ROUTE_SENDER] = 4000, [QUEUE_ROUTE_SENDER_DOMAIN] = 3000,
                                   [QUEUE_ROUTE_RCPT] = 2000, [QUEUE_ROUTE_RCPT_BELOW] = 1000};
    return kinds[row->kind] + MIN_OF(row->key.n, (size_t)999);
}

void queue_route_find(const struct queue_routes *r, struct span forced, struct span sender, struct span domain,
                      struct queue_hop *out)
{
    const struct queue_route *best = NULL;
    ptrdiff_t at = span_rfind_char(sender, '@');
    struct span sender_domain = at < 0 ? SPAN_NONE : span_from(sender, (size_t)at + 1);
    if (forced.n > 0 && queue_route_hop(forced, r->mx_port, out) == 0 && !out->mx)
        return;
    for (size_t i = 0; i < r->rows.n && forced.n == 0; i++)
        if (fits(&r->rows.v[i], sender, sender_domain, domain) && (best == NULL || weight(&r->rows.v[i]) > weight(best)))
            best = &r->rows.v[i];
    if (best != NULL && !best->hop.mx)
        *out = best->hop;
    else if (best == NULL && forced.n == 0 && r->smarthost.host.n > 0)
        *out = r->smarthost;
    else
        *out = (struct queue_hop){.host = domain, .port = r->mx_port, .mx = true};
}

bool queue_route_by_sender(const struct queue_routes *r)
{
    for (size_t i = 0; i < r->rows.n; i++)
        if (r->rows.v[i].kind == QUEUE_ROUTE_SENDER || r->rows.v[i].kind == QUEUE_ROUTE_SENDER_DOMAIN)
            return true;
    return false;
}
