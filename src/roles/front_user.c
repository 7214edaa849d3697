/* front-user: what people's programs connect to. */
#include "imap/imap_session.h"
#include "pop3/pop3_drop.h"
#include "pop3/pop3_session.h"
#include "roles/front.h"
#include "roles/roles.h"
#include "run/feed.h"
#include "smtp/smtp_in_session.h"

static const struct front_service services[] = {
    {SERVICE_submission, smtp_in_session_run, "421 4.7.0 Too many connections, try again later\r\n"},
    {SERVICE_submissions, smtp_in_session_run, "421 4.7.0 Too many connections, try again later\r\n"},
    {SERVICE_pop3, pop3_session_run, "-ERR [SYS/TEMP] Too many connections, try again later\r\n"},
    {SERVICE_pop3s, pop3_session_run, "-ERR [SYS/TEMP] Too many connections, try again later\r\n"},
    {SERVICE_imap, imap_session_run, "* BYE [UNAVAILABLE] Too many connections, try again later\r\n"},
    {SERVICE_imaps, imap_session_run, "* BYE [UNAVAILABLE] Too many connections, try again later\r\n"},
    {SERVICE_sendmail, smtp_in_session_run, "421 4.7.0 Too many connections, try again later\r\n"},
};

static const struct ipc_handler handlers[] = {
    {.id = MSG_ID_uid_login, .post = front_uid_login},
    {.id = MSG_ID_changed, .post = feed_changed},
};

static void new_peer(const struct ipc_peer *peer, struct ipc_chan *ch)
{
    front_peer(peer, ch);
    pop3_drop_peer(peer);
}

static int begin(struct fail *f)
{
    int r = front_begin(services, COUNT_OF(services), f);
    role_on_peer(new_peer);
    return r;
}

const struct role_def front_user_role = {
    .kind = ROLE_FRONT_USER,
    .begin = begin,
    .accepted = front_accepted,
    .stop = front_stop,
    .handlers = handlers,
    .n_handlers = COUNT_OF(handlers),
};
