#include "admin/admin_store.h"

#include "admin/columns.h"
#include "admin/control.h"

static WAITS int stats(struct control *c)
{
    static const char *const heads[] = {"WHAT", "NUMBER"};
    struct msg_store_stats_r r;
    struct columns rows;
    if (control_call(c, MSG_ID_store_stats, NULL, &r) < 0)
        return -1;
    columns_init(&rows, COUNT_OF(heads), heads, c->plain);
#define STAT(type, name)                                                                                               \
    columns_addf(&rows, "%s", #name);                                                                                  \
    columns_addf(&rows, "%llu", (unsigned long long)r.name);
#define NO_LIST(record, name)
    MSG_store_stats_r(STAT, NO_LIST)
    columns_print(&rows, c->plain, stdout);
    return 0;
}

int admin_store_stats(const struct command_input *in) { return control_run(in, ROLE_STORE, stats); }
