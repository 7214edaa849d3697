#include "admin/admin_domain.h"

#include "admin/columns.h"
#include "admin/control.h"
#include "admin/secret.h"

static WAITS int add(struct control *c)
{
    const struct command_input *in = c->in;
    struct msg_domain_add m = {
        .name = span_z(in->words[0]),
        .admin = span_z(in->option[OPTION_ADMIN]),
        .lang = span_z(in->option[OPTION_LANGUAGE]),
    };
    struct msg_domain_add_r r;
    /* Whether the account exists, only the server knows; without a terminal an account that exists needs no password. */
    if ((in->option[OPTION_PASSWORD_STDIN] || isatty(STDIN_FILENO)) &&
        secret_read(in, in->option[OPTION_ADMIN], " (empty if the account exists)", &c->mem, &m.password, &c->fail) < 0)
        return -1;
    int result = control_call(c, MSG_ID_domain_add, &m, &r);
    if (m.password.n > 0)
        explicit_bzero((void *)(uintptr_t)m.password.p, m.password.n);
    if (result < 0)
        return -1;
    printf("Domain ");
    columns_escaped(stdout, m.name);
    printf(r.account_made ? " added; the account " : " added for ");
    columns_escaped(stdout, m.admin);
    printf(r.account_made ? " was made and gets its postmaster@ and abuse@.\n" : ".\n");
    return 0;
}

int admin_domain_add(const struct command_input *in)
{
    if (!in->option[OPTION_ADMIN])
        return command_wrong(in, "--admin ADDRESS is missing: somebody must read postmaster@ and abuse@ (RFC 5321 4.5.1)");
    return control_run(in, ROLE_AUTH, add);
}

static WAITS int list(struct control *c)
{
    static const char *const heads[] = {"DOMAIN", "ADMIN", "ACCOUNTS", "ALIASES"};
    struct msg_domain_list_r r;
    struct columns rows;
    if (control_call(c, MSG_ID_domain_list, NULL, &r) < 0)
        return -1;
    columns_init(&rows, COUNT_OF(heads), heads, c->plain);
    for (uint32_t i = 0; i < r.domains.n; i++) {
        const struct msg_domain_row *d = &r.domains.v[i];
        columns_add(&rows, d->name);
        columns_add(&rows, d->admin);
        columns_addf(&rows, "%llu", (unsigned long long)d->accounts);
        columns_addf(&rows, "%llu", (unsigned long long)d->aliases);
    }
    columns_print(&rows, c->plain, stdout);
    return 0;
}

int admin_domain_list(const struct command_input *in) { return control_run(in, ROLE_AUTH, list); }

/* ---- changes ---- */

static WAITS int set_admin(struct control *c)
{
    struct msg_domain_admin m = {.name = span_z(c->in->words[0]), .admin = span_z(c->in->words[1])};
    struct msg_domain_admin_r r;
    if (control_call(c, MSG_ID_domain_admin, &m, &r) < 0)
        return -1;
    columns_said("postmaster@ and abuse@ of the domain go to ", c->in->words[1], " now.");
    return 0;
}

int admin_domain_admin(const struct command_input *in) { return control_run(in, ROLE_AUTH, set_admin); }

static int refused; /* exit status of somebody who was not sure */

/* Of aliases that lead into what is to go: their mail would be sent out from then on, without a word. */
static bool sure_of_leads(struct control *c, const struct msg_alias_row *v, uint32_t n, uint64_t all)
{
    static const char *const heads[] = {"ALIAS", "TARGETS"};
    struct columns rows;
    fprintf(stderr, "Aliases that lead there (%llu):\n", (unsigned long long)all);
    columns_init(&rows, COUNT_OF(heads), heads, c->plain);
    for (uint32_t i = 0; i < n; i++) {
        columns_add(&rows, v[i].address);
        columns_add(&rows, v[i].targets);
    }
    columns_print(&rows, c->plain, stderr);
    if (n < all)
        fprintf(stderr, "and %llu others.\n", (unsigned long long)all - n);
    return command_sure(c->in, "This sends their mail out from now on, to whoever has the domain then: ", "domain",
                        c->in->words[0], &refused);
}

static void said_leads(uint64_t leads)
{
    if (leads > 0)
        printf("%llu aliases send mail out to it now.\n", (unsigned long long)leads);
}

static WAITS int remove_one(struct control *c)
{
    struct msg_domain_remove m = {.name = span_z(c->in->words[0]), .accounts = c->in->option[OPTION_ACCOUNTS] != NULL};
    struct msg_domain_remove_r r;
    if (control_call(c, MSG_ID_domain_remove, &m, &r) < 0)
        return -1;
    if (!r.removed) {
        if (!sure_of_leads(c, r.aliases.v, r.aliases.n, r.leads))
            return 0;
        m.forwards = 1;
        if (control_call(c, MSG_ID_domain_remove, &m, &r) < 0)
            return -1;
    }
    columns_said("Domain ", c->in->words[0], " removed with its aliases.");
    if (r.accounts > 0)
        printf("%llu accounts went with it, and all their mail.\n", (unsigned long long)r.accounts);
    said_leads(r.leads);
    return 0;
}

static int run_unless_refused(const struct command_input *in, control_fn *fn)
{
    refused = 0;
    int status = control_run(in, ROLE_AUTH, fn);
    return refused != 0 ? refused : status;
}

int admin_domain_remove(const struct command_input *in)
{
    int status;
    if (in->option[OPTION_ACCOUNTS] && !command_sure(in, "This removes the domain, every account in it and all their mail for good: ", "domain", in->words[0], &status))
        return status;
    return run_unless_refused(in, remove_one);
}

/* ---- domain alias ---- */

static WAITS int alias_add(struct control *c)
{
    struct msg_domain_alias_add m = {.name = span_z(c->in->words[0]), .domain = span_z(c->in->words[1])};
    struct msg_domain_alias_add_r r;
    if (control_call(c, MSG_ID_domain_alias_add, &m, &r) < 0)
        return -1;
    columns_said("", c->in->words[0], " is another name of the domain now.");
    return 0;
}

int admin_domain_alias_add(const struct command_input *in) { return control_run(in, ROLE_AUTH, alias_add); }

static WAITS int alias_list(struct control *c)
{
    static const char *const heads[] = {"ALIAS", "DOMAIN"};
    struct msg_domain_alias_list_r r;
    struct columns rows;
    if (control_call(c, MSG_ID_domain_alias_list, NULL, &r) < 0)
        return -1;
    columns_init(&rows, COUNT_OF(heads), heads, c->plain);
    for (uint32_t i = 0; i < r.aliases.n; i++) {
        columns_add(&rows, r.aliases.v[i].name);
        columns_add(&rows, r.aliases.v[i].domain);
    }
    columns_print(&rows, c->plain, stdout);
    return 0;
}

int admin_domain_alias_list(const struct command_input *in) { return control_run(in, ROLE_AUTH, alias_list); }

static WAITS int alias_remove(struct control *c)
{
    struct msg_domain_alias_remove m = {.name = span_z(c->in->words[0])};
    struct msg_domain_alias_remove_r r;
    if (control_call(c, MSG_ID_domain_alias_remove, &m, &r) < 0)
        return -1;
    if (!r.removed) {
        if (!sure_of_leads(c, r.aliases.v, r.aliases.n, r.leads))
            return 0;
        m.forwards = 1;
        if (control_call(c, MSG_ID_domain_alias_remove, &m, &r) < 0)
            return -1;
    }
    columns_said("Domain alias ", c->in->words[0], " removed.");
    said_leads(r.leads);
    return 0;
}

int admin_domain_alias_remove(const struct command_input *in) { return run_unless_refused(in, alias_remove); }
