/* front-mx: mail from other servers, and by LMTP from servers of our own house. */
#include "roles/front.h"
#include "roles/roles.h"
#include "smtp/smtp_in_session.h"

static const struct front_service services[] = {
    {SERVICE_smtp, smtp_in_session_run, "421 4.7.0 Too many connections, try again later\r\n"},
    {SERVICE_lmtp, smtp_in_session_run, "421 4.7.0 Too many connections, try again later\r\n"},
};

static int begin(struct fail *f)
{
    return front_begin(services, COUNT_OF(services), f);
}

const struct role_def front_mx_role = {
    .kind = ROLE_FRONT_MX,
    .begin = begin,
    .accepted = front_accepted,
    .stop = front_stop,
};
