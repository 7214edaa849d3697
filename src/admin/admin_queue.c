#include "admin/admin_queue.h"

#include "admin/columns.h"
#include "admin/control.h"
#include "base/clock.h"
#include "base/num.h"

static const char *const states[] = {"waiting", "leased", "held"};

/* 1 + enum queue_state; 0: any. -1: no such state. */
static int state_of(const char *name)
{
    if (name == NULL)
        return 0;
    for (size_t i = 0; i < COUNT_OF(states); i++)
        if (strcmp(states[i], name) == 0)
            return (int)i + 1;
    return -1;
}

static struct span option(const struct command_input *in, enum command_option which)
{
    return in->option[which] != NULL ? span_z(in->option[which]) : SPAN_NONE;
}

static int check_filters(const struct command_input *in)
{
    if (state_of(in->option[OPTION_STATE]) < 0)
        return command_wrong(in, "--state is waiting, leased or held");
    return 0;
}

/* ---- list, show ---- */

static void add_time(struct columns *rows, int64_t ms)
{
    char text[32];
    clock_rfc3339(ms, text);
    columns_addf(rows, "%s", ms == 0 ? "-" : text);
}

static void add_row(struct columns *rows, const struct msg_queue_row *r)
{
    columns_add(rows, r->trace);
    columns_addf(rows, "%s", r->state < COUNT_OF(states) ? states[r->state] : "?");
    columns_addf(rows, "%u", (unsigned)r->tries);
    add_time(rows, r->due_ms);
    columns_addf(rows, "%llu", (unsigned long long)r->size);
    columns_addf(rows, "<%.*s>", SPAN_ARGS(r->sender));
    columns_addf(rows, "<%.*s>", SPAN_ARGS(r->address));
    if (r->last_code != 0)
        columns_addf(rows, "%u %.*s %.*s", (unsigned)r->last_code, SPAN_ARGS(r->last_status), SPAN_ARGS(r->last_text));
    else
        columns_add(rows, r->last_text);
}

static struct msg_queue_list filters(const struct command_input *in)
{
    return (struct msg_queue_list){.trace = option(in, OPTION_ID), .domain = option(in, OPTION_DOMAIN), .sender = option(in, OPTION_FROM),
        .address = option(in, OPTION_TO), .state = (uint32_t)state_of(in->option[OPTION_STATE])};
}

static WAITS int list(struct control *c)
{
    static const char *const heads[] = {"ID", "STATE", "TRIES", "NEXT", "SIZE", "FROM", "TO", "LAST ANSWER"};
    struct msg_queue_list m = filters(c->in);
    struct msg_queue_list_r r;
    struct columns rows;
    int result;
    columns_init(&rows, COUNT_OF(heads), heads, c->plain);
    while ((result = control_call(c, MSG_ID_queue_list, &m, &r)) == 0) {
        for (uint32_t i = 0; i < r.rows.n; i++)
            add_row(&rows, &r.rows.v[i]);
        m.after = r.next;
        if (r.next == 0)
            break;
    }
    columns_print(&rows, c->plain, stdout);
    return result;
}

int admin_queue_list(const struct command_input *in)
{
    int wrong = check_filters(in);
    return wrong != 0 ? wrong : control_run(in, ROLE_STORE, list);
}

static void say(const char *what, struct span value)
{
    printf("  %-12s ", what);
    columns_escaped(stdout, value);
    printf("\n");
}

static void say_time(const char *what, int64_t ms)
{
    char text[32];
    clock_rfc3339(ms, text);
    if (ms != 0)
        say(what, span_z(text));
}

static void show_row(const struct msg_queue_row *r, struct arena *mem)
{
    printf("<");
    columns_escaped(stdout, r->address);
    printf(">\n");
    say("state", span_z(r->state < COUNT_OF(states) ? states[r->state] : "?"));
    say("from", arena_printf(mem, "<%.*s>, %llu octets", SPAN_ARGS(r->sender), (unsigned long long)r->size));
    say("tries", arena_printf(mem, "%u", (unsigned)r->tries));
    say_time("came", r->created_ms);
    say_time(r->state == QUEUE_HELD ? "held until" : "next try", r->due_ms);
    say_time("given up", r->expires_ms);
    if (r->route.n > 0)
        say("goes by", r->route);
    if (r->last_host.n > 0)
        say("last asked", r->last_host);
    if (r->last_text.n > 0 || r->last_code != 0)
        say("it said", arena_printf(mem, "%u %.*s %.*s", (unsigned)r->last_code, SPAN_ARGS(r->last_status), SPAN_ARGS(r->last_text)));
}

static WAITS int show(struct control *c)
{
    struct msg_queue_list m = {.trace = span_z(c->in->words[0])};
    struct msg_queue_list_r r;
    size_t n = 0;
    do {
        if (control_call(c, MSG_ID_queue_list, &m, &r) < 0)
            return -1;
        for (uint32_t i = 0; i < r.rows.n; i++, n++)
            show_row(&r.rows.v[i], &c->mem);
        m.after = r.next;
    } while (r.next != 0);
    return n > 0 ? 0 : fail_perm(&c->fail, "", "nothing of that message waits; see postel trace %.20s", c->in->words[0]);
}

int admin_queue_show(const struct command_input *in) { return control_run(in, ROLE_STORE, show); }

/* ---- change ---- */

static WAITS int change(struct control *c, enum queue_action action, struct span route, int64_t until_ms, const char *done)
{
    struct msg_queue_list f = filters(c->in);
    struct msg_queue_change m = {.trace = f.trace, .domain = f.domain, .sender = f.sender, .address = f.address, .state = f.state,
        .all = c->in->option[OPTION_ALL] != NULL, .action = action, .until_ms = until_ms, .route = route};
    struct msg_queue_change_r r;
    uint64_t changed = 0;
    do {
        if (control_call(c, MSG_ID_queue_change, &m, &r) < 0)
            return -1;
        changed += r.changed;
        m.after = r.next;
    } while (r.next != 0);
    printf(c->plain ? "%llu\n" : "%llu recipients ", (unsigned long long)changed);
    if (!c->plain)
        printf("%s.\n", done);
    return 0;
}

static WAITS int hold(struct control *c)
{
    const char *until = c->in->option[OPTION_FOR];
    uint64_t s = 0;
    if (until != NULL && num_seconds(span_z(until), INT32_MAX, &s) != 0)
        return fail_perm(&c->fail, "", "--for is a time like 30m, 4h or 2d");
    return change(c, QUEUE_HOLD, SPAN_NONE, until != NULL ? clock_now_ms() + (int64_t)s * 1000 : 0, "held");
}

static WAITS int release(struct control *c) { return change(c, QUEUE_RELEASE, SPAN_NONE, 0, "released"); }
static WAITS int retry(struct control *c) { return change(c, QUEUE_RETRY, SPAN_NONE, 0, "to be tried now"); }
static WAITS int drop(struct control *c) { return change(c, QUEUE_DROP, SPAN_NONE, 0, "dropped; nobody is told"); }
static WAITS int bounce(struct control *c) { return change(c, QUEUE_BOUNCE, SPAN_NONE, 0, "given up; their senders are told"); }

static WAITS int route(struct control *c)
{
    struct span to = span_z(c->in->words[0]);
    bool none = span_eq(to, SPAN("none"));
    return change(c, QUEUE_ROUTE, none ? SPAN_NONE : to, 0, none ? "go where their domains say" : "have a new route");
}

static int run_change(const struct command_input *in, control_fn *fn)
{
    int wrong = check_filters(in);
    bool any = in->option[OPTION_ID] || in->option[OPTION_DOMAIN] || in->option[OPTION_FROM] || in->option[OPTION_TO] || in->option[OPTION_STATE];
    if (wrong == 0 && !any && in->option[OPTION_ALL] == NULL)
        wrong = command_wrong(in, "which? give a filter, or --all");
    return wrong != 0 ? wrong : control_run(in, ROLE_STORE, fn);
}

int admin_queue_hold(const struct command_input *in) { return run_change(in, hold); }
int admin_queue_release(const struct command_input *in) { return run_change(in, release); }
int admin_queue_retry(const struct command_input *in) { return run_change(in, retry); }
int admin_queue_drop(const struct command_input *in) { return run_change(in, drop); }
int admin_queue_bounce(const struct command_input *in) { return run_change(in, bounce); }
int admin_queue_route(const struct command_input *in) { return run_change(in, route); }

/* ---- a domain's rest ---- */

static WAITS int suspend_to(struct control *c, bool on)
{
    struct msg_queue_suspend m = {.domain = span_z(c->in->words[0]), .on = on};
    struct msg_queue_suspend_r r;
    if (control_call(c, MSG_ID_queue_suspend, &m, &r) < 0)
        return -1;
    columns_escaped(stdout, m.domain);
    printf(on ? ": suspended, %llu recipients wait.\n" : ": goes on, %llu recipients wait.\n", (unsigned long long)r.waiting);
    return 0;
}

static WAITS int suspend(struct control *c) { return suspend_to(c, true); }
static WAITS int resume(struct control *c) { return suspend_to(c, false); }

int admin_queue_suspend(const struct command_input *in) { return control_run(in, ROLE_STORE, suspend); }
int admin_queue_resume(const struct command_input *in) { return control_run(in, ROLE_STORE, resume); }
