/* XCLIENT name=value ...: from then on the session is one with that client; it begins anew. */
#include "smtp/smtp_in_xclient.h"

#include "base/log.h"
#include "base/num.h"
#include "run/config.h"
#include "run/net.h"

/* What is being said; taken over when every attribute was good. */
struct client {
    struct conn_addr peer, local;
    struct span helo;
    bool smtp; /* PROTO=SMTP */
};

static int set_ip(struct span value, struct conn_addr *a)
{
    unsigned char ip[16];
    uint16_t port = a->port;
    if (net_address(span_starts_nocase(value, SPAN("IPV6:")) ? span_from(value, 5) : value, ip) < 0)
        return -1;
    conn_addr_of(a, ip, port);
    return 0;
}

static int set_port(struct span value, struct conn_addr *a)
{
    uint64_t port;
    if (num_u64(value, 65535, &port) < 0)
        return -1;
    a->port = (uint16_t)port;
    return 0;
}

static int addr(struct client *c, struct span v) { return set_ip(v, &c->peer); }
static int port(struct client *c, struct span v) { return set_port(v, &c->peer); }
static int destaddr(struct client *c, struct span v) { return set_ip(v, &c->local); }
static int destport(struct client *c, struct span v) { return set_port(v, &c->local); }
static int name(struct client *c, struct span v) { return 0; } /* nothing here goes by names */

static int helo(struct client *c, struct span v)
{
    return smtp_grammar_helo(v, &c->helo) > 0 ? 0 : -1;
}

static int proto(struct client *c, struct span v)
{
    c->smtp = span_eq_nocase(v, SPAN("SMTP"));
    return c->smtp || span_eq_nocase(v, SPAN("ESMTP")) ? 0 : -1;
}

static const struct { const char *name; int (*set)(struct client *c, struct span value); } attributes[] = {
    {"NAME", name}, {"ADDR", addr}, {"PORT", port}, {"PROTO", proto}, {"HELO", helo},
    {"DESTADDR", destaddr}, {"DESTPORT", destport},
};

bool smtp_in_xclient_listed(const struct smtp_in *s)
{
    return s->env->login == NULL && config_net_has(CONFIG_smtp_xclient, conn_peer(s->c)->ip);
}

void smtp_in_xclient_say(const struct smtp_in *s, struct str *out)
{
    for (size_t i = 0; i < COUNT_OF(attributes); i++)
        str_addf(out, " %s", attributes[i].name);
}

static int one(struct client *c, struct span attribute)
{
    struct span value = attribute, key = span_split(&value, '=');
    bool unknown = span_eq_nocase(value, SPAN("[UNAVAILABLE]")) || span_eq_nocase(value, SPAN("[TEMPUNAVAIL]"));
    for (size_t i = 0; i < COUNT_OF(attributes) && value.p != NULL; i++)
        if (span_eq_nocase(key, span_z(attributes[i].name)))
            return unknown ? 0 : attributes[i].set(c, value);
    return -1;
}

WAITS int smtp_in_xclient_run(struct smtp_in *s, struct span args)
{
    struct client c = {.peer = *conn_peer(s->c), .local = *conn_local(s->c)};
    bool good = args.n > 0;
    while (args.n > 0 && good)
        good = one(&c, span_split(&args, ' ')) == 0;
    if (!good)
        return smtp_in_session_reply(s, 501, "5.5.4", "Wants XCLIENT with attributes as announced");
    LOG(LOG_INFO, "smtp.xclient", L_ID(span_z(s->trace)), L_Z("ip", conn_peer(s->c)->text), L_Z("for", c.peer.text));
    smtp_in_session_forget(s);
    conn_ends(s->c, &c.peer, &c.local);
    if (c.helo.n > 0 && c.helo.n < sizeof s->helo) {
        memcpy(s->helo, c.helo.p, c.helo.n);
        s->helo_n = c.helo.n;
    }
    s->code = 220;
    return conn_printf(s->c, "220 %.*s ESMTP Postel\r\n", SPAN_ARGS(config_text(CONFIG_server_hostname)));
}
