/* The resolver of the relay role, run in this command: the same code, the same configuration, no cache of before. */
#include "admin/admin_dns.h"

#include <arpa/inet.h>
#include <errno.h>

#include "admin/columns.h"
#include "admin/control.h"
#include "admin/place.h"
#include "run/loop.h"
#include "run/resolver.h"

static const struct { const char *word; enum dns_type type; } types[] = {
    {"A", DNS_A}, {"AAAA", DNS_AAAA}, {"MX", DNS_MX}, {"TXT", DNS_TXT}, {"TLSA", DNS_TLSA}, {"PTR", DNS_PTR}, {"CNAME", DNS_CNAME},
};

struct look {
    const struct command_input *in;
    struct columns rows;
    struct arena mem;
};

static void row(struct look *l, struct span name, const char *type, const struct dns_answer *a, struct span value)
{
    columns_add(&l->rows, name);
    columns_addf(&l->rows, "%s", type);
    columns_addf(&l->rows, "%s", dns_status_word(a->status));
    columns_addf(&l->rows, "%s", a->secure ? "secure" : "insecure");
    columns_addf(&l->rows, "%u", a->ttl_s);
    columns_add(&l->rows, a->canonical);
    columns_add(&l->rows, value);
}

static WAITS void look_mx(struct look *l, struct span name, const char *type)
{
    struct dns_mx mx;
    dns_mx(name, &mx, &l->mem);
    for (size_t i = 0; i < mx.n; i++)
        row(l, name, type, &mx.answer, arena_printf(&l->mem, "%u %.*s", mx.hosts[i].preference, SPAN_ARGS(mx.hosts[i].name)));
    if (mx.n == 0)
        row(l, name, type, &mx.answer, mx.null_mx ? SPAN("takes no mail") : SPAN_NONE);
}

static WAITS void look_tlsa(struct look *l, struct span name, const char *type)
{
    struct dns_tlsas t;
    dns_tlsa(name, &t, &l->mem);
    for (size_t i = 0; i < t.n; i++) {
        struct str s;
        str_init(&s, &l->mem);
        str_addf(&s, "%u %u %u ", t.v[i].usage, t.v[i].selector, t.v[i].matching);
        for (size_t k = 0; k < t.v[i].data.n; k++)
            str_addf(&s, "%02x", (unsigned char)t.v[i].data.p[k]);
        row(l, name, type, &t.answer, str_span(&s));
    }
    if (t.n == 0)
        row(l, name, type, &t.answer, SPAN_NONE);
}

static void rows_of(struct look *l, struct span name, const char *type, const struct dns_answer *a, const struct span *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        row(l, name, type, a, v[i]);
    if (n == 0)
        row(l, name, type, a, SPAN_NONE);
}

static WAITS void look_txt(struct look *l, struct span name, const char *type)
{
    struct dns_texts t;
    dns_txt(name, &t, &l->mem);
    rows_of(l, name, type, &t.answer, t.v, t.n);
}

/* The name of an address is asked for by the address. */
static WAITS void look_ptr(struct look *l, struct span name, const char *type)
{
    struct dns_names t;
    struct conn_addr addr;
    char ip[16];
    const char *z = arena_z(&l->mem, name);
    bool v4 = inet_pton(AF_INET, z, ip) == 1;
    if (!v4 && inet_pton(AF_INET6, z, ip) != 1) {
        row(l, name, type, &(struct dns_answer){.status = DNS_NXDOMAIN}, SPAN("wants an address"));
        return;
    }
    conn_addr_ip(&addr, span_of(ip, v4 ? 4 : 16), 0);
    dns_ptr(&addr, &t, &l->mem);
    rows_of(l, name, type, &t.answer, t.v, t.n);
}

static WAITS void look_other(struct look *l, struct span name, const char *word, enum dns_type type)
{
    struct dns_answer a;
    struct conn_addr addr;
    struct span text;
    dns_query(name, type, &a, &l->mem);
    struct span *v = arena_alloc(&l->mem, (a.n + 1) * sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < a.n; i++)
        if (type == DNS_CNAME && dns_rr_name(a.records[i].rdata, &text, &l->mem) == 0)
            v[n++] = text;
        else if (type != DNS_CNAME && dns_rr_addr(type, a.records[i].rdata, &addr) == 0)
            v[n++] = arena_copy(&l->mem, span_z(addr.text));
    rows_of(l, name, word, &a, v, n);
}

static WAITS void look_up(struct look *l, struct span name, const char *word, enum dns_type type)
{
    switch (type) {
    case DNS_MX: look_mx(l, name, word); break;
    case DNS_TLSA: look_tlsa(l, name, word); break;
    case DNS_TXT: look_txt(l, name, word); break;
    case DNS_PTR: look_ptr(l, name, word); break;
    default: look_other(l, name, word, type); break;
    }
}

static size_t type_of(const char *word)
{
    size_t i = 0;
    while (i < COUNT_OF(types) && strcasecmp(types[i].word, word) != 0)
        i++;
    return i;
}

static void look_all(void *arg)
{
    struct look *l = arg;
    for (size_t i = 0; i + 1 < l->in->n_words; i += 2) {
        size_t t = type_of(l->in->words[i + 1]);
        look_up(l, span_z(l->in->words[i]), types[t].word, types[t].type);
    }
    loop_stop();
}

static int resolve(struct look *l, struct fail *f)
{
    if (loop_init() < 0)
        return fail_errno(f, "loop", errno);
    if (resolver_open(f) < 0 || resolver_start(f) < 0 || resolver_begin(f) < 0)
        return -1;
    dns_use(&resolver_way);
    if (coro_start(look_all, l) == NULL)
        return fail_temp(f, "4.3.0", "no memory");
    loop_run();
    resolver_close();
    return 0;
}

int admin_dns_lookup(const struct command_input *in)
{
    static const char *const heads[] = {"NAME", "TYPE", "STATUS", "DNSSEC", "TTL", "CANONICAL", "VALUE"};
    struct look l = {.in = in};
    struct fail f;
    struct span text;
    for (size_t i = 1; i < in->n_words; i += 2)
        if (type_of(in->words[i]) == COUNT_OF(types))
            return command_wrong(in, "%s is none of A, AAAA, MX, TXT, TLSA, PTR, CNAME", in->words[i]);
    if (in->n_words % 2 != 0)
        return command_wrong(in, "each NAME wants a TYPE behind it");
    arena_init(&l.mem);
    bool defaults = in->option[OPTION_CONFIG] == NULL && access(PLACE_CONFIG, F_OK) < 0;
    struct config *c = defaults ? config_parse(SPAN(""), "", &f) : place_config_read(in, place_config(in), &text, &l.mem, &f);
    int status = 1;
    if (c == NULL) {
        control_say(in, &f);
    } else {
        config_use(c);
        bool plain = in->option[OPTION_PLAIN] != NULL;
        columns_init(&l.rows, COUNT_OF(heads), heads, plain);
        status = resolve(&l, &f) < 0 ? control_say(in, &f) : 0;
        columns_print(&l.rows, plain, stdout);
    }
    config_free(c);
    arena_done(&l.mem);
    return status;
}
