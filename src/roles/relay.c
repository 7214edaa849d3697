/* relay: resolves names for everybody; will speak to other servers. The only role that opens connections. */
#include "roles/relay.h"
#include "roles/roles.h"
#include "run/resolver.h"

static int begin(struct fail *f)
{
    dns_use(&resolver_way);
    return resolver_begin(f);
}

static const struct ipc_handler handlers[] = {
    {.id = MSG_ID_dns, .call = relay_dns},
};

const struct role_def relay_role = {
    .kind = ROLE_RELAY,
    .prepare = resolver_open,
    .start = resolver_start,
    .begin = begin,
    .handlers = handlers,
    .n_handlers = COUNT_OF(handlers),
};
