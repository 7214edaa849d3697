#include "admin/admin_config.h"

#include "admin/columns.h"
#include "admin/control.h"
#include "admin/place.h"
#include "login/login_uid.h"

static const char *file_of(const struct command_input *in)
{
    return in->n_words > 0 ? in->words[0] : PLACE_CONFIG;
}

int admin_config_check(const struct command_input *in)
{
    struct arena mem;
    struct fail f;
    struct span text;
    arena_init(&mem);
    struct config *c = config_read(file_of(in), &text, &mem, &f);
    struct login_uids uids = {0};
    bool good = c != NULL && login_uid_parse(&uids, config_get(c, CONFIG_sendmail_logins), &f) == 0;
    int status = good ? 0 : control_say(in, &f);
    login_uid_done(&uids);
    if (good) {
        columns_escaped(stdout, span_z(file_of(in)));
        printf(": fine\n");
    }
    config_free(c);
    arena_done(&mem);
    return status;
}

/* Without a file, and with none at the usual place: the defaults. */
int admin_config_show(const struct command_input *in)
{
    struct arena mem;
    struct fail f;
    struct span text;
    struct str out;
    arena_init(&mem);
    str_init(&out, &mem);
    bool defaults = in->n_words == 0 && access(PLACE_CONFIG, F_OK) < 0;
    struct config *c = defaults ? config_parse(SPAN(""), "", &f) : config_read(file_of(in), &text, &mem, &f);
    int status = c ? 0 : control_say(in, &f);
    if (c) {
        config_show(c, &out);
        fwrite(out.p, 1, out.n, stdout);
    }
    config_free(c);
    arena_done(&mem);
    return status;
}
