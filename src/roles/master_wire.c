/* master_wire: hands descriptors to roles. Which role may call which is decided here, by which sockets exist at all. */
#include "roles/master_wire.h"

#include <sys/socket.h>

#include "roles/master_listen.h"

/* doc/architecture.md, 1: whom a role may call. auth posts session handles to store. */
static const unsigned calls[ROLE_COUNT] = {
    [ROLE_FRONT_MX] = ROLE_BIT(ROLE_AUTH) | ROLE_BIT(ROLE_SCAN) | ROLE_BIT(ROLE_STORE) | ROLE_BIT(ROLE_RELAY),
    [ROLE_FRONT_USER] = ROLE_BIT(ROLE_AUTH) | ROLE_BIT(ROLE_SCAN) | ROLE_BIT(ROLE_STORE) | ROLE_BIT(ROLE_RELAY),
    [ROLE_SCAN] = ROLE_BIT(ROLE_RELAY),
    [ROLE_RELAY] = ROLE_BIT(ROLE_STORE),
    [ROLE_STORE] = ROLE_BIT(ROLE_SCAN) | ROLE_BIT(ROLE_AUTH) | ROLE_BIT(ROLE_RELAY),
    [ROLE_AUTH] = ROLE_BIT(ROLE_STORE),
};

struct master_wire master_wire = {.clock_page = -1};

/* ---- wiring ----------------------------------------------------------------------------------------------------------------- */

static bool tell_peer(const struct master_slot *to, const struct master_slot *about, bool calling, int fd)
{
    struct msg_ctl_peer m = {.kind = about->kind, .index = about->index, .boot = about->boot, .calls = calling, .socket = fd};
    bool told = ipc_post_on(to->control, MSG_ID_ctl_peer, &m) == 0; /* takes a copy of fd */
    close(fd);
    return told;
}

static bool wire_pair(const struct master_slot *caller, const struct master_slot *callee)
{
    int ends[2];
    if (!(calls[caller->kind] & ROLE_BIT(callee->kind)))
        return true;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0)
        return false;
    bool served = tell_peer(callee, caller, false, ends[1]);
    return tell_peer(caller, callee, true, ends[0]) && served;
}

bool master_wire_peers(const struct master_slot *fresh)
{
    bool all = true;
    for (struct master_slot *s = master_wire.slots; s < master_wire.slots + master_wire.n_slots; s++)
        if (s != fresh && s->state == MASTER_READY && s->control != NULL)
            all = wire_pair(fresh, s) && wire_pair(s, fresh) && all;
    ipc_flush(); /* gives the copies of descriptors back before the next role needs some */
    return all;
}

/* ---- the handover ------------------------------------------------------------------------------------------------------------- */

static bool send_pages(const struct master_slot *s)
{
    bool all = true;
    for (const struct master_slot *o = master_wire.slots; o < master_wire.slots + master_wire.n_slots; o++) {
        struct msg_ctl_page m = {.kind = o->kind, .index = o->index, .page = o == s ? s->page : o->page_ro};
        if (o == s || o->index == 0)
            all = ipc_post_on(s->control, MSG_ID_ctl_page, &m) == 0 && all;
    }
    struct msg_ctl_page clock = {.kind = ROLE_MASTER, .page = master_wire.clock_page};
    return all && (master_wire.clock_page < 0 || ipc_post_on(s->control, MSG_ID_ctl_page, &clock) == 0);
}

static bool send_sockets(const struct master_slot *s)
{
    bool all = true;
    const struct master_listener *l;
    size_t n = master_listen_all(&l);
    for (size_t i = 0; i < n; i++)
        if (service_table[l[i].service].role == s->kind) {
            struct msg_ctl_listener m = {.service = l[i].service, .socket = l[i].fd};
            all = ipc_post_on(s->control, MSG_ID_ctl_listener, &m) == 0 && all;
        }
    for (size_t i = 0; s->kind == ROLE_AUTH && i < master_wire.uids.rows.n; i++) {
        const struct login_uid *row = &master_wire.uids.rows.v[i];
        struct msg_ctl_uid m = {.uid = row->uid, .address = span_z(row->address)};
        all = ipc_post_on(s->control, MSG_ID_ctl_uid, &m) == 0 && all;
    }
    struct msg_ctl_admin admin = {.socket = master_wire.control_socket[s->kind]};
    return all && (admin.socket < 0 || ipc_post_on(s->control, MSG_ID_ctl_admin, &admin) == 0);
}

bool master_wire_hand_over(const struct master_slot *s)
{
    struct msg_ctl_config config = {.text = master_wire.config};
    struct msg_ctl_self self = {.kind = s->kind, .index = s->index, .boot = s->boot};
    bool all = ipc_post_on(s->control, MSG_ID_ctl_config, &config) == 0 && ipc_post_on(s->control, MSG_ID_ctl_self, &self) == 0
        && send_pages(s) && send_sockets(s) && ipc_post_on(s->control, MSG_ID_ctl_go, &(struct msg_ctl_go){}) == 0;
    ipc_flush();
    return all;
}
