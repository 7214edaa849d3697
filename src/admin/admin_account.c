#include "admin/admin_account.h"

#include "admin/account.h"
#include "admin/columns.h"
#include "admin/control.h"
#include "admin/secret.h"
#include "base/limits.h"
#include "base/num.h"

static WAITS int add(struct control *c)
{
    const char *address = c->in->words[0];
    struct msg_account_add m = {.address = span_z(address), .lang = span_z(c->in->option[OPTION_LANGUAGE])};
    struct msg_account_add_r r;
    if (secret_read(c->in, address, "", &c->mem, &m.password, &c->fail) < 0)
        return -1;
    int result = control_call(c, MSG_ID_account_add, &m, &r);
    explicit_bzero((void *)(uintptr_t)m.password.p, m.password.n);
    if (result == 0)
        columns_said("Account ", address, " added.");
    return result;
}

int admin_account_add(const struct command_input *in) { return control_run(in, ROLE_AUTH, add); }

static void said_apps(uint32_t apps, bool revoked)
{
    if (apps > 0 && revoked)
        printf("Its %u app passwords are good no more.\n", apps);
    else if (apps > 0)
        printf("Its %u app passwords stay good: --revoke-apps takes them away.\n", apps);
}

/* App passwords are there so that programs need not know the other: when that is changed they go on, unless told. */
static WAITS int passwd(struct control *c)
{
    const char *address = c->in->words[0];
    struct msg_account_passwd m = {.address = span_z(address), .revoke_apps = c->in->option[OPTION_REVOKE_APPS] != NULL};
    struct msg_account_passwd_r r;
    if (secret_read(c->in, address, "", &c->mem, &m.password, &c->fail) < 0)
        return -1;
    int result = control_call(c, MSG_ID_account_passwd, &m, &r);
    explicit_bzero((void *)(uintptr_t)m.password.p, m.password.n);
    if (result < 0)
        return -1;
    columns_said("Password of ", address, " changed; its open sessions have ended.");
    said_apps(r.apps, m.revoke_apps);
    return 0;
}

int admin_account_passwd(const struct command_input *in) { return control_run(in, ROLE_AUTH, passwd); }

/* ---- remove ---- */

static WAITS int remove_one(struct control *c)
{
    struct msg_account_remove m = {.address = span_z(c->in->words[0])};
    struct msg_account_remove_r r;
    if (control_call(c, MSG_ID_account_remove, &m, &r) < 0)
        return -1;
    columns_said("Account ", c->in->words[0], " removed with all its mail.");
    return 0;
}

int admin_account_remove(const struct command_input *in)
{
    int status;
    if (!command_sure(in, "This removes the account and all its mail for good: ", "address", in->words[0], &status))
        return status;
    return control_run(in, ROLE_AUTH, remove_one);
}

static WAITS int state(struct control *c, bool disabled)
{
    struct msg_account_state m = {.address = span_z(c->in->words[0]), .disabled = disabled};
    struct msg_account_state_r r;
    if (control_call(c, MSG_ID_account_state, &m, &r) < 0)
        return -1;
    columns_said("Account ", c->in->words[0], disabled ? " takes no mail and no login any more; what it has stays." : " enabled.");
    return 0;
}

static WAITS int disable(struct control *c) { return state(c, true); }
static WAITS int enable(struct control *c) { return state(c, false); }

int admin_account_disable(const struct command_input *in) { return control_run(in, ROLE_AUTH, disable); }
int admin_account_enable(const struct command_input *in) { return control_run(in, ROLE_AUTH, enable); }

/* ---- set ---- */

static struct span keep_days; /* empty: for ever */

static WAITS int set(struct control *c)
{
    struct msg_kv_set m = {.key = SPAN("pop3/keep_days"), .value = keep_days, .remove = keep_days.n == 0};
    struct msg_kv_set_r r;
    if (account_turn(c, &m.account) < 0 || control_call(c, MSG_ID_kv_set, &m, &r) < 0)
        return -1;
    if (keep_days.n == 0)
        columns_said("Account ", c->in->words[0], " keeps mail that was fetched by POP3 for ever.");
    else
        printf("Mail that was fetched by POP3 is removed %.*s days after it came, at the end of a later session.\n",
               SPAN_ARGS(keep_days));
    return 0;
}

int admin_account_set(const struct command_input *in)
{
    const char *days = in->option[OPTION_POP3_KEEP];
    uint64_t n;
    if (days == NULL)
        return command_wrong(in, "say what to set: --pop3-keep");
    keep_days = strcmp(days, "forever") == 0 ? SPAN("") : span_z(days);
    if (keep_days.n > 0 && (num_u64(keep_days, 36500, &n) != 0 || n == 0))
        return command_wrong(in, "--pop3-keep is a number of days, or forever");
    return control_run(in, ROLE_AUTH, set);
}

/* ---- list ---- */

static bool in_domain(struct span address, const char *domain)
{
    ptrdiff_t at = span_rfind_char(address, '@');
    return !domain || (at >= 0 && span_eq_nocase(span_from(address, (size_t)at + 1), span_z(domain)));
}

static void add_row(struct columns *rows, const struct msg_account_row *a)
{
    char when[32] = "?";
    time_t t = (time_t)a->created_s;
    struct tm tm;
    if (gmtime_r(&t, &tm))
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    columns_add(rows, a->address);
    columns_add(rows, a->lang);
    columns_addf(rows, "%s", a->disabled ? "disabled" : "enabled");
    columns_addf(rows, "%s", when);
    columns_addf(rows, "%llu", (unsigned long long)a->account);
}

static WAITS int list(struct control *c)
{
    static const char *const heads[] = {"ADDRESS", "LANGUAGE", "STATE", "CREATED", "NUMBER"};
    const char *domain = c->in->n_words > 0 ? c->in->words[0] : NULL;
    struct msg_account_list m = {0};
    struct msg_account_list_r r;
    struct columns rows;
    int result;
    columns_init(&rows, COUNT_OF(heads), heads, c->plain);
    while ((result = control_call(c, MSG_ID_account_list, &m, &r)) == 0 && r.accounts.n > 0) {
        for (uint32_t i = 0; i < r.accounts.n; i++)
            if (in_domain(r.accounts.v[i].address, domain))
                add_row(&rows, &r.accounts.v[i]);
        m.after = r.accounts.v[r.accounts.n - 1].address;
    }
    columns_print(&rows, c->plain, stdout);
    return result;
}

int admin_account_list(const struct command_input *in) { return control_run(in, ROLE_AUTH, list); }
