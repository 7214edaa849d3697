/* auth_uid: logins by the number of a user of this machine. Who connects to the sendmail command's socket is accepted here:
 * so the kernel itself says to auth who it is, of a connection that nobody else has had in his hands, and no front can claim
 * anything. Not one byte is read here; the connection goes to a front-user, with the session that it was given. */
#include <errno.h>
#include <sys/socket.h>

#include "base/log.h"
#include "roles/auth.h"

enum { WAITING_MOST = 64 };

struct waiting { int fd; uint32_t uid; };

static struct map addresses;          /* uid -> address of the account */
static VEC(uint64_t) fronts;          /* boots of the front-users that there are, which take turns */
static VEC(struct waiting) waiting;   /* accepted while there was none */
static size_t turn;

void auth_uid_is(const struct ipc_peer *peer, const void *in)
{
    const struct msg_ctl_uid *m = in;
    char *z = base_alloc(m->address.n + 1);

    memcpy(z, m->address.p, m->address.n);
    free(map_put_u64(&addresses, m->uid, z));
}

/* The connection is the front's from now on, or closed. */
static void give(int fd, uint32_t uid)
{
    uint64_t boot = fronts.v[turn++ % fronts.n];
    const char *address = map_get_u64(&addresses, uid);
    struct msg_uid_login m = {.socket = fd, .uid = uid, .result = LOGIN_BAD};
    const struct login_session *s = NULL;

    if (address != NULL)
        s = auth_login_uid(span_z(address), uid, boot, &m);
    else
        LOG(LOG_INFO, "auth.uid", L_INT("uid", uid), L_Z("result", "nobody's account"));
    if (ipc_post_boot(ROLE_FRONT_USER, boot, MSG_ID_uid_login, &m) < 0) {
        LOG(LOG_WARN, "auth.uid", L_INT("uid", uid), L_Z("why", "the connection could not be handed over"));
        if (s != NULL)
            auth_login_end(s);
    }
    close(fd);
}

void auth_uid_accepted(enum service_id service, int fd, const struct conn_addr *peer, const struct conn_addr *local)
{
    struct ucred who;
    socklen_t n = sizeof who;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0 || n != sizeof who) {
        LOG(LOG_WARN, "auth.uid", L_Z("why", strerror(errno)));
        close(fd);
    } else if (fronts.n > 0) {
        give(fd, who.uid);
    } else if (waiting.n < WAITING_MOST) {
        *VEC_PUSH(&waiting) = (struct waiting){fd, who.uid};
    } else {
        close(fd);
    }
}

void auth_uid_front(uint64_t boot)
{
    *VEC_PUSH(&fronts) = boot;
    for (size_t i = 0; i < waiting.n; i++)
        give(waiting.v[i].fd, waiting.v[i].uid);
    waiting.n = 0;
}

void auth_uid_front_gone(uint64_t boot)
{
    for (size_t i = 0; i < fronts.n; i++)
        if (fronts.v[i] == boot)
            fronts.v[i--] = fronts.v[--fronts.n];
}
