/* relay: will speak to other servers and resolve names. Already a sandboxed role of its own that answers nothing yet, so
 * that channels, restarts and the order of stopping are the final ones. Its sandbox gets socket and connect with its work. */
#include "roles/roles.h"

const struct role_def relay_role = {.kind = ROLE_RELAY};
