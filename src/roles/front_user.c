/* front-user: what people's programs connect to. */
#include "pop3/pop3_session.h"
#include "roles/front.h"
#include "roles/roles.h"

static const struct front_service services[] = {
    {SERVICE_pop3, pop3_session_run, "-ERR [SYS/TEMP] Too many connections, try again later\r\n"},
    {SERVICE_pop3s, pop3_session_run, "-ERR [SYS/TEMP] Too many connections, try again later\r\n"},
};

static int begin(struct fail *f)
{
    return front_begin(services, COUNT_OF(services), f);
}

const struct role_def front_user_role = {
    .kind = ROLE_FRONT_USER,
    .begin = begin,
    .accepted = front_accepted,
    .stop = front_stop,
};
