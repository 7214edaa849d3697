/* relay: resolves names for everybody, and hands mail to other servers. The only role that opens connections. */
#include "roles/relay.h"
#include "roles/relay_out.h"
#include "roles/roles.h"
#include "run/resolver.h"

static int prepare(struct fail *f)
{
    return resolver_open(f) < 0 ? -1 : relay_out_prepare(f);
}

static int begin(struct fail *f)
{
    dns_use(&resolver_way);
    relay_out_begin();
    role_on_peer(relay_out_peer);
    return resolver_begin(f);
}

static const struct ipc_handler handlers[] = {
    {.id = MSG_ID_dns, .call = relay_dns},
    {.id = MSG_ID_queue_ready, .post = relay_out_ready},
};

const struct role_def relay_role = {
    .kind = ROLE_RELAY,
    .prepare = prepare,
    .start = resolver_start,
    .begin = begin,
    .stop = relay_out_stop,
    .handlers = handlers,
    .n_handlers = COUNT_OF(handlers),
};
