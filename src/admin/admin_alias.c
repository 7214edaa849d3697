#include "admin/admin_alias.h"

#include "admin/columns.h"
#include "admin/control.h"
#include "base/str.h"

static WAITS int add(struct control *c)
{
    const struct command_input *in = c->in;
    struct msg_alias_add_r r;
    struct str targets;
    str_init(&targets, &c->mem);
    for (size_t i = 1; i < in->n_words; i++) {
        if (i > 1)
            str_addc(&targets, ' ');
        str_addz(&targets, in->words[i]);
    }
    struct msg_alias_add m = {.address = span_z(in->words[0]), .targets = str_span(&targets)};
    if (control_call(c, MSG_ID_alias_add, &m, &r) < 0)
        return -1;
    printf("Alias ");
    columns_escaped(stdout, m.address);
    printf(" added.\n");
    return 0;
}

int admin_alias_add(const struct command_input *in) { return control_run(in, ROLE_AUTH, add); }

static WAITS int list(struct control *c)
{
    static const char *const heads[] = {"ADDRESS", "TARGETS"};
    struct msg_alias_list m = {0};
    struct msg_alias_list_r r;
    struct columns rows;
    int result;
    columns_init(&rows, COUNT_OF(heads), heads, c->plain);
    while ((result = control_call(c, MSG_ID_alias_list, &m, &r)) == 0 && r.aliases.n > 0) {
        for (uint32_t i = 0; i < r.aliases.n; i++) {
            columns_add(&rows, r.aliases.v[i].address);
            columns_add(&rows, r.aliases.v[i].targets);
        }
        m.after = r.aliases.v[r.aliases.n - 1].address;
    }
    columns_print(&rows, c->plain, stdout);
    return result;
}

int admin_alias_list(const struct command_input *in) { return control_run(in, ROLE_AUTH, list); }

static WAITS int remove_one(struct control *c)
{
    struct msg_alias_remove m = {.address = span_z(c->in->words[0])};
    struct msg_alias_remove_r r;
    if (control_call(c, MSG_ID_alias_remove, &m, &r) < 0)
        return -1;
    printf("Alias ");
    columns_escaped(stdout, m.address);
    printf(" removed.\n");
    return 0;
}

int admin_alias_remove(const struct command_input *in) { return control_run(in, ROLE_AUTH, remove_one); }
