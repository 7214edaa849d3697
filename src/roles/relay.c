/* relay: resolves names for everybody, and hands mail to other servers. The only role that opens connections. */
#include "roles/relay.h"
#include "roles/relay_out.h"
#include "roles/roles.h"
#include "queue/queue_address.h"
#include "run/config.h"
#include "run/http_client.h"
#include "run/resolver.h"

#include <errno.h>
#include <fcntl.h>

#include "base/log.h"

enum { FETCHES = 2, AUTHORITIES_BYTES = 4 * 1024 * 1024 };

static bool may_connect(const unsigned char ip[16])
{
    return !queue_address_special(ip) || config_net_has(CONFIG_relay_allow, ip);
}

/* The file of authorities, for good; one that is not there is a warning: no policy is fetched then, and mail goes on. */
static struct span read_authorities(void)
{
    static struct arena mem;
    const char *path = arena_z(&mem, config_text(CONFIG_relay_ca_file));
    if (path[0] == '\0')
        return SPAN_NONE;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *buf = fd < 0 ? NULL : arena_alloc(&mem, AUTHORITIES_BYTES);
    size_t n = 0;
    ssize_t got = fd < 0 ? -1 : 0;
    while (fd >= 0 && n < AUTHORITIES_BYTES && (got = read(fd, buf + n, AUTHORITIES_BYTES - n)) > 0)
        n += (size_t)got;
    if (got < 0)
        LOG(LOG_WARN, "relay.authorities", L_Z("file", path), L_Z("error", strerrordesc_np(errno)));
    if (fd >= 0)
        close(fd);
    return got < 0 ? SPAN_NONE : span_of(buf, n);
}

static int prepare(struct fail *f)
{
    struct span authorities = read_authorities();
    return tls_client_setup(authorities, f) < 0 || http_client_open(authorities, may_connect, f) < 0 || resolver_open(f) < 0
        ? -1
        : relay_out_prepare(f);
}

static int begin(struct fail *f)
{
    dns_use(&resolver_way);
    mtasts_fetch_keep(&relay_policies);
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
    .threads = FETCHES,
    .prepare = prepare,
    .start = resolver_start,
    .begin = begin,
    .stop = relay_out_stop,
    .handlers = handlers,
    .n_handlers = COUNT_OF(handlers),
};
