/* doc/ipc.md, printed from the same table that the code is made of. */
#include "run/ipc_code.h"

static const char *const type_name[] = {"u32", "u64", "i64", "bytes", "fd", "list"};

static void print_fields(FILE *to, const struct ipc_layout *l)
{
    if (l->n == 0)
        fprintf(to, "nothing");
    for (unsigned i = 0; i < l->n; i++) {
        const struct ipc_field *f = &l->fields[i];
        const char *sep = i ? ", " : "";
        if (f->type == IPC_T_list)
            fprintf(to, "%s`%s` list of %s", sep, f->name, f->record_name);
        else
            fprintf(to, "%s`%s` %s", sep, f->name, type_name[f->type]);
    }
}

static void print_roles(FILE *to, uint32_t roles)
{
    const char *sep = "";
    for (int k = 0; k < ROLE_COUNT; k++)
        if (roles & ROLE_BIT(k)) {
            fprintf(to, "%s%s", sep, role_kind_name((enum role_kind)k));
            sep = ", ";
        }
}

static void print_row(FILE *to, const struct ipc_row *row)
{
    fprintf(to, "\n### %s\n\n| | |\n|---|---|\n", row->name);
    fprintf(to, "| kind | %s%s |\n", row->out ? "call" : "post", row->retry ? ", sent again after a restart" : "");
    fprintf(to, "| to | %s |\n", row->to == ROLE_COUNT ? "every role" : role_kind_name(row->to));
    fprintf(to, "| from | ");
    if (row->from == FROM_ROLES)
        fprintf(to, "every role");
    else
        print_roles(to, row->from);
    fprintf(to, " |\n| carries | ");
    print_fields(to, row->in());
    fprintf(to, " |\n");
    if (row->out) {
        fprintf(to, "| reply | ");
        print_fields(to, row->out());
        fprintf(to, " |\n");
    }
}

static void print_record(FILE *to, const struct ipc_field *f)
{
    fprintf(to, "| %s | ", f->record_name);
    print_fields(to, f->record());
    fprintf(to, " |\n");
}

/* Every record once: where it is first used. */
static void print_records(FILE *to)
{
    const struct ipc_layout *seen[64];
    unsigned n = 0;
    fprintf(to, "\n## Records\n\n| record | fields |\n|---|---|\n");
    for (int id = 0; id < MSG_ID_COUNT; id++) {
        const struct ipc_layout *both[] = {ipc_code_rows[id].in(), ipc_code_rows[id].out ? ipc_code_rows[id].out() : NULL};
        for (unsigned b = 0; b < 2 && both[b]; b++)
            for (unsigned i = 0; i < both[b]->n; i++) {
                const struct ipc_field *f = &both[b]->fields[i];
                unsigned k = 0;
                if (f->type != IPC_T_list)
                    continue;
                while (k < n && seen[k] != f->record())
                    k++;
                if (k == n && n < COUNT_OF(seen)) {
                    seen[n++] = f->record();
                    print_record(to, f);
                }
            }
    }
}

void ipc_print_doc(FILE *to)
{
    fprintf(to, "# Messages between roles\n\n"
                "Printed from `src/run/ipc_table.h`; the comments there say what the fields mean.\n\n"
                "A frame: u32 length of what follows, u32 call id, u16 message id (in the order below, from 0), u16 kind\n"
                "(0 call, 1 reply, 2 fail, 3 post), then the fields in order. Numbers are little endian; bytes are a u32\n"
                "length and the bytes; a list is a u32 count and its records; an fd is a u32, 1 when a descriptor rides\n"
                "with the first byte of the frame. A frame has at most %d bytes. A post has call id 0. A frame of kind\n"
                "fail carries ",
            IPC_FRAME_MAX);
    print_fields(to, ipc_code_fail());
    fprintf(to, " in place of the reply.\n\n## Messages\n");
    for (int id = 0; id < MSG_ID_COUNT; id++)
        print_row(to, &ipc_code_rows[id]);
    print_records(to);
}
