/* Names for the other roles. */
#include "roles/relay.h"
#include "run/resolver.h"

static void answer(void *arg, const struct dns_answer *a)
{
    ipc_reply(arg, &(struct msg_dns_r){.status = a->status, .secure = a->secure, .ttl_s = a->ttl_s, .canonical = a->canonical,
                                       .records = {(struct msg_dns_record *)(uintptr_t)a->records, (uint32_t)a->n}});
}

void relay_dns(struct ipc_req *req)
{
    const struct msg_dns *in = req->in;
    if (in->type == 0 || in->type > UINT16_MAX) {
        answer(req, &(struct dns_answer){.status = DNS_SERVFAIL});
        return;
    }
    resolver_ask(in->name, (enum dns_type)in->type, answer, req);
}
