#include "admin/admin_login.h"

#include <arpa/inet.h>

#include "admin/columns.h"
#include "admin/control.h"
#include "base/str.h"

static const struct { const char *name; uint32_t scope; } scopes[] = {
    {"all", APP_SCOPE_ALL}, {"imap", APP_SCOPE_IMAP}, {"pop3", APP_SCOPE_POP3}, {"smtp", APP_SCOPE_SMTP},
};

static void add_time(struct columns *rows, int64_t at_s)
{
    char when[32] = "never";
    time_t t = (time_t)at_s;
    struct tm tm;
    if (at_s != 0 && gmtime_r(&t, &tm))
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    columns_addf(rows, "%s", when);
}

/* ---- app passwords ---- */

/* "imap,smtp" or "all". 0: not that. */
static uint32_t scope_of(const char *text)
{
    struct span rest = span_z(text);
    uint32_t scope = 0;
    while (rest.p) {
        struct span one = span_split(&rest, ',');
        uint32_t bit = 0;
        for (size_t i = 0; i < COUNT_OF(scopes); i++)
            if (span_eq_nocase(one, span_z(scopes[i].name)))
                bit = scopes[i].scope;
        if (bit == 0)
            return 0;
        scope |= bit;
    }
    return scope;
}

static struct span scope_text(struct arena *mem, uint32_t scope)
{
    struct str s;
    str_init(&s, mem);
    for (size_t i = 0; i < COUNT_OF(scopes) && scope != 0; i++)
        if ((scope & scopes[i].scope) == scopes[i].scope) {
            str_addf(&s, "%s%s", s.n > 0 ? "," : "", scopes[i].name);
            scope &= ~scopes[i].scope;
        }
    return str_span(&s);
}

static WAITS int app_add(struct control *c)
{
    const char *scope = c->in->option[OPTION_SCOPE];
    struct msg_app_password_add m = {.address = span_z(c->in->words[0]), .label = span_z(c->in->words[1]),
                                     .scope = scope ? scope_of(scope) : APP_SCOPE_ALL};
    struct msg_app_password_add_r r;
    if (control_call(c, MSG_ID_app_password_add, &m, &r) < 0)
        return -1;
    if (c->plain) {
        printf("%.*s\n", SPAN_ARGS(r.password));
        return 0;
    }
    printf("Password for ");
    columns_escaped(stdout, m.label);
    printf(": %.*s\nIt is shown this once. The login name is ", SPAN_ARGS(r.password));
    columns_escaped(stdout, m.address);
    printf(".\n");
    return 0;
}

int admin_login_app_add(const struct command_input *in)
{
    if (in->option[OPTION_SCOPE] && scope_of(in->option[OPTION_SCOPE]) == 0)
        return command_wrong(in, "a scope is imap, pop3, smtp or all, or several with commas between");
    return control_run(in, ROLE_AUTH, app_add);
}

static WAITS int app_list(struct control *c)
{
    static const char *const heads[] = {"LABEL", "SCOPE", "CREATED", "LAST USED"};
    struct msg_app_password_list m = {.address = span_z(c->in->words[0])};
    struct msg_app_password_list_r r;
    struct columns rows;
    if (control_call(c, MSG_ID_app_password_list, &m, &r) < 0)
        return -1;
    columns_init(&rows, COUNT_OF(heads), heads, c->plain);
    for (uint32_t i = 0; i < r.passwords.n; i++) {
        const struct msg_app_password_row *p = &r.passwords.v[i];
        columns_add(&rows, p->label);
        columns_add(&rows, scope_text(&c->mem, p->scope));
        add_time(&rows, p->created_s);
        add_time(&rows, p->used_s);
    }
    columns_print(&rows, c->plain, stdout);
    return 0;
}

int admin_login_app_list(const struct command_input *in) { return control_run(in, ROLE_AUTH, app_list); }

static WAITS int app_remove(struct control *c)
{
    struct msg_app_password_remove m = {.address = span_z(c->in->words[0]), .label = span_z(c->in->words[1])};
    struct msg_app_password_remove_r r;
    if (control_call(c, MSG_ID_app_password_remove, &m, &r) < 0)
        return -1;
    printf("Password for ");
    columns_escaped(stdout, m.label);
    printf(" removed; the account's open sessions have ended.\n");
    return 0;
}

int admin_login_app_remove(const struct command_input *in) { return control_run(in, ROLE_AUTH, app_remove); }

/* ---- attempts ---- */

static void add_ip(struct columns *rows, struct span ip)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    char text[INET6_ADDRSTRLEN] = "?";
    if (ip.n == 16) {
        bool v4 = memcmp(ip.p, mapped, sizeof mapped) == 0;
        inet_ntop(v4 ? AF_INET : AF_INET6, ip.p + (v4 ? 12 : 0), text, sizeof text);
    }
    columns_addf(rows, "%s", text);
}

static WAITS int attempts(struct control *c)
{
    static const char *const heads[] = {"LAST", "FIRST", "TIMES", "SERVICE", "FROM", "MECHANISM", "RESULT", "APP PASSWORD"};
    static const char *const results[] = {[LOGIN_OK] = "ok", [LOGIN_BAD] = "refused", [LOGIN_BUSY] = "put off"};
    struct msg_logins m = {.address = span_z(c->in->words[0])};
    struct msg_logins_r r;
    struct columns rows;
    int result;
    columns_init(&rows, COUNT_OF(heads), heads, c->plain);
    while ((result = control_call(c, MSG_ID_logins, &m, &r)) == 0 && r.logins.n > 0) {
        for (uint32_t i = 0; i < r.logins.n; i++) {
            const struct msg_login_row *l = &r.logins.v[i];
            add_time(&rows, l->last_s);
            add_time(&rows, l->first_s);
            columns_addf(&rows, "%u", l->count);
            columns_add(&rows, l->service);
            add_ip(&rows, l->ip);
            columns_add(&rows, l->mech);
            columns_addf(&rows, "%s", l->result < COUNT_OF(results) ? results[l->result] : "?");
            columns_add(&rows, l->label);
        }
        m.before = r.logins.v[r.logins.n - 1].id;
    }
    columns_print(&rows, c->plain, stdout);
    return result;
}

int admin_login_attempts(const struct command_input *in) { return control_run(in, ROLE_AUTH, attempts); }
