/* Finds configuration and data directory for a command. */
#include "admin/place.h"

#include <errno.h>
#include <grp.h>
#include <sys/stat.h>

const char *place_config(const struct command_input *in)
{
    return in->option[OPTION_CONFIG] ? in->option[OPTION_CONFIG] : PLACE_CONFIG;
}

/* "server.data=/x" becomes the lines "[server]" and "data = /x"; what is wrong with them, config_parse says. */
static int add_override(struct str *out, const char *set, struct fail *f)
{
    struct span rest = span_z(set), section = span_split(&rest, '.');
    struct span name = rest.p ? span_split(&rest, '=') : SPAN_NONE;
    if (!rest.p || section.n == 0 || name.n == 0 || strpbrk(set, "\r\n"))
        return fail_perm(f, "5.3.5", "--set wants SECTION.NAME=VALUE, not \"%.60s\"", set);
    str_addf(out, "\n[%.*s]\n%.*s = %.*s\n", SPAN_ARGS(section), SPAN_ARGS(name), SPAN_ARGS(rest));
    return 0;
}

struct config *place_config_read(const struct command_input *in, const char *path, struct span *text, struct arena *mem,
                                 struct fail *f)
{
    struct config *c = config_read(path, text, mem, f);
    if (!c || in->n_set == 0)
        return c;
    config_free(c);
    struct str all;
    str_init(&all, mem);
    str_add(&all, *text);
    for (size_t i = 0; i < in->n_set; i++)
        if (add_override(&all, in->set[i], f) < 0)
            return NULL;
    *text = str_span(&all);
    return config_parse(*text, path, f);
}

const char *place_data(const struct command_input *in, struct arena *mem, struct fail *f)
{
    const char *from_env = getenv("POSTEL_DATA");
    if (in->option[OPTION_DATA])
        return in->option[OPTION_DATA];
    if (!in->option[OPTION_CONFIG] && from_env && *from_env)
        return from_env;
    struct span text;
    bool none = !in->option[OPTION_CONFIG] && access(PLACE_CONFIG, F_OK) < 0 && errno == ENOENT;
    struct config *c = none ? config_parse(SPAN(""), "", f) : config_read(place_config(in), &text, mem, f);
    if (!c)
        return NULL;
    const char *dir = arena_z(mem, config_get(c, CONFIG_server_data));
    config_free(c);
    return dir;
}

int place_become_owner(const char *dir, struct fail *f)
{
    struct stat st;
    if (stat(dir, &st) != 0)
        return fail_errno(f, dir, errno);
    if (geteuid() != 0 || st.st_uid == 0)
        return 0;
    if (setgroups(0, NULL) != 0 || setgid(st.st_gid) != 0 || setuid(st.st_uid) != 0)
        return fail_errno(f, "become the owner of the data directory", errno);
    return 0;
}
