/* What an account may hold, as store counts it. */
#include "admin/admin_quota.h"

#include "admin/account.h"
#include "admin/columns.h"
#include "admin/control.h"
#include "base/num.h"

enum { NONE = -1, AS_IT_IS = -2 };

static void add_row(struct columns *rows, const char *what, uint64_t used, int64_t limit)
{
    columns_addf(rows, "%s", what);
    columns_addf(rows, "%llu", (unsigned long long)used);
    if (limit >= 0)
        columns_addf(rows, "%lld", (long long)limit);
    else
        columns_addf(rows, "none");
}

static WAITS int set_and_print(struct control *c, int64_t bytes, int64_t messages)
{
    static const char *const heads[] = {"WHAT", "USED", "LIMIT"};
    struct msg_quota_set m = {.limit_bytes = bytes, .limit_messages = messages};
    struct msg_quota_set_r r;
    struct columns rows;
    if (account_turn(c, &m.account) != 0 || control_call(c, MSG_ID_quota_set, &m, &r) != 0)
        return -1;
    columns_init(&rows, COUNT_OF(heads), heads, c->plain);
    add_row(&rows, "bytes", r.bytes, r.limit_bytes);
    add_row(&rows, "messages", r.messages, r.limit_messages);
    columns_print(&rows, c->plain, stdout);
    return 0;
}

static WAITS int show(struct control *c) { return set_and_print(c, AS_IT_IS, AS_IT_IS); }
int admin_quota_show(const struct command_input *in) { return control_run(in, ROLE_AUTH, show); }

/* ---- set ---- */

typedef int read_fn(struct span s, uint64_t max, uint64_t *out);

static bool read_limit(const char *text, read_fn *read, int64_t *out)
{
    uint64_t v;
    *out = AS_IT_IS;
    if (text == NULL)
        return true;
    *out = NONE;
    if (strcmp(text, "none") == 0)
        return true;
    if (read(span_z(text), INT64_MAX, &v) != 0)
        return false;
    *out = (int64_t)v;
    return true;
}

static int64_t new_bytes, new_messages;

static WAITS int set(struct control *c) { return set_and_print(c, new_bytes, new_messages); }

int admin_quota_set(const struct command_input *in)
{
    if (in->option[OPTION_BYTES] == NULL && in->option[OPTION_MESSAGES] == NULL)
        return command_wrong(in, "say what to set: --bytes, --messages or both");
    if (!read_limit(in->option[OPTION_BYTES], num_size, &new_bytes))
        return command_wrong(in, "--bytes is a size like 2GiB, or none");
    if (!read_limit(in->option[OPTION_MESSAGES], num_u64, &new_messages))
        return command_wrong(in, "--messages is a number, or none");
    return control_run(in, ROLE_AUTH, set);
}

/* ---- recount ---- */

static WAITS int recount(struct control *c)
{
    struct msg_recount m;
    struct msg_recount_r r = {0};
    if (account_turn(c, &m.account) != 0)
        return -1;
    if (control_call(c, MSG_ID_recount, &m, &r) != 0 && strcmp(c->fail.code, "5.2.0") != 0) /* that: it has no mail yet */
        return -1;
    printf("%llu messages counted", (unsigned long long)r.messages);
    if (r.wrong > 0)
        printf("; %llu counters were wrong and are right now.\n", (unsigned long long)r.wrong);
    else
        printf("; all counters were right.\n");
    return 0;
}

int admin_quota_recount(const struct command_input *in) { return control_run(in, ROLE_AUTH, recount); }
