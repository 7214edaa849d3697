/* admin_trace: asks the store for events and tells them message by message, in plain words. */
#include "admin/admin_trace.h"

#include "admin/columns.h"
#include "admin/control.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/num.h"
#include "format/message_id.h"

enum { ROWS_MOST = 20000, FOLLOWED_MOST = 20 };

struct story { struct span trace; size_t first, last; };
struct found { VEC(struct msg_event_row) rows; };

static const char *const names[] = {
    [EVENT_RECEIVED] = "received", [EVENT_STORED] = "stored", [EVENT_QUEUED] = "queued", [EVENT_ATTEMPT] = "attempt",
    [EVENT_DELIVERED] = "delivered", [EVENT_DEFERRED] = "deferred", [EVENT_FAILED] = "failed", [EVENT_EXPIRED] = "expired",
    [EVENT_REPORTED] = "reported", [EVENT_HELD] = "held", [EVENT_RELEASED] = "released", [EVENT_DROPPED] = "dropped",
    [EVENT_ROUTED] = "routed", [EVENT_MAYBE_TWICE] = "maybe-twice", [EVENT_FORWARDED] = "forwarded", [EVENT_REFUSED] = "refused", [EVENT_TRIED] = "tried"};

static const char *name_of(uint32_t kind) { return kind < COUNT_OF(names) && names[kind] != NULL ? names[kind] : "?"; }

/* ---- plain ---- */

static void print_plain(const struct found *f)
{
    struct columns rows;
    columns_init(&rows, 12, NULL, true);
    for (size_t i = 0; i < f->rows.n; i++) {
        const struct msg_event_row *r = &f->rows.v[i];
        char at[32], due[32];
        clock_rfc3339(r->at_ms, at);
        clock_rfc3339(r->due_ms, due);
        columns_addf(&rows, "%s", at);
        columns_add(&rows, r->trace);
        columns_addf(&rows, "%s", name_of(r->kind));
        columns_add(&rows, r->sender);
        columns_add(&rows, r->address);
        columns_add(&rows, r->host);
        columns_add(&rows, r->tls);
        columns_addf(&rows, "%u", (unsigned)r->code);
        columns_add(&rows, r->status);
        columns_add(&rows, r->text);
        columns_addf(&rows, "%s", r->due_ms != 0 ? due : "");
        columns_addf(&rows, "%llu", (unsigned long long)r->size);
    }
    columns_print(&rows, true, stdout);
}

/* ---- told ---- */

/* "2026-11-25 00:43:10" in UTC. */
static void print_time(int64_t ms)
{
    char text[32];
    clock_rfc3339(ms, text);
    printf("%.10s %.8s", text, text + 11);
}

static void print_if(const char *before, struct span s, const char *after)
{
    if (s.n == 0)
        return;
    printf("%s", before);
    columns_escaped(stdout, s);
    printf("%s", after);
}

static void print_answer(const struct msg_event_row *r)
{
    if (r->code != 0)
        printf(": %u", (unsigned)r->code);
    else if (r->text.n > 0)
        printf(":");
    print_if(" ", r->status, "");
    print_if(" ", r->text, "");
}

static void print_where(const struct msg_event_row *r)
{
    print_if(" ", r->host, "");
    print_if(" (", r->tls, ")");
}

/* Whom was asked, and what it said; or why it said nothing, in our own words. */
static void print_said(const struct msg_event_row *r)
{
    if (r->host.n > 0 && r->code == 0)
        printf(" at");
    print_where(r);
    if (r->host.n > 0 && r->code != 0)
        printf(" said");
    print_answer(r);
}

static void tell_due(const char *what, int64_t ms)
{
    if (ms == 0)
        return;
    printf("%s", what);
    print_time(ms);
}

static void tell_received(const struct msg_event_row *r)
{
    if (r->host.n == 0) {
        printf("made by this server");
        return;
    }
    printf("received from");
    print_where(r);
    if (r->tls.n == 0)
        printf(" (not encrypted)");
    print_if(", logged in as <", r->text, ">");
}

static void tell_step(const struct msg_event_row *r)
{
    printf("  ");
    print_time(r->at_ms);
    print_if("  <", r->address, ">:");
    printf(r->address.n > 0 ? " " : "  ");
    switch ((enum event_kind)r->kind) {
    case EVENT_RECEIVED: tell_received(r); break;
    case EVENT_STORED: printf("put into the mailbox"); break;
    case EVENT_QUEUED: printf("accepted for sending on"); break;
    case EVENT_ATTEMPT: printf("being handed to"), print_where(r); break;
    case EVENT_DELIVERED: printf("delivered: taken by"), print_where(r), print_answer(r); break;
    case EVENT_DEFERRED: printf("put off"), tell_due(" until ", r->due_ms), printf(";"), print_said(r); break;
    case EVENT_FAILED: printf("failed for good;"), print_said(r); break;
    case EVENT_EXPIRED: printf("given up, it was tried for too long; at last"), print_said(r); break;
    case EVENT_TRIED: printf("tried in vain:"), print_said(r); break;
    case EVENT_REPORTED: printf("report sent"), print_if(" ", r->text, ""); break;
    case EVENT_HELD: r->text.n > 0 ? print_if("held: ", r->text, "") : (void)printf("held by the administrator"), tell_due(" until ", r->due_ms); break;
    case EVENT_RELEASED: printf("released by the administrator"); break;
    case EVENT_DROPPED: printf("removed from the queue by the administrator"); break;
    case EVENT_ROUTED: printf("goes another way"), print_if(" by ", r->text, ""); break;
    case EVENT_MAYBE_TWICE: printf("no answer came to the last attempt; it may arrive twice"); break;
    case EVENT_FORWARDED: printf("forwarded"), print_if(" ", r->text, ""); break;
    case EVENT_REFUSED: printf("refused"), print_answer(r); break;
    }
    printf("\n");
}

static void tell_stories(const struct found *f)
{
    for (size_t i = 0; i < f->rows.n; i++) {
        const struct msg_event_row *r = &f->rows.v[i];
        bool told = false;
        for (size_t k = 0; k < i && !told; k++)
            told = span_eq(f->rows.v[k].trace, r->trace);
        if (told)
            continue;
        printf(i > 0 ? "\nMessage " : "Message ");
        columns_escaped(stdout, r->trace);
        printf(" from <");
        columns_escaped(stdout, r->sender);
        printf(">");
        if (r->size > 0)
            printf(", %llu octets", (unsigned long long)r->size);
        printf("\n");
        for (size_t k = i; k < f->rows.n; k++)
            if (span_eq(f->rows.v[k].trace, r->trace))
                tell_step(&f->rows.v[k]);
    }
}

/* ---- asking ---- */

static WAITS int gather(struct control *c, struct msg_events *m, struct found *f)
{
    struct msg_events_r r;
    m->after = 0;
    do {
        if (control_call(c, MSG_ID_events, m, &r) < 0)
            return -1;
        for (uint32_t i = 0; i < r.rows.n && f->rows.n < ROWS_MOST; i++)
            *VEC_PUSH(&f->rows) = r.rows.v[i];
        m->after = r.seen;
    } while (r.more != 0 && f->rows.n < ROWS_MOST);
    return 0;
}

/* Mail that an alias sends on has another reverse-path from there on: what was found by an address is only its beginning.
 * Such stories are told whole; the first ones. */
static WAITS int follow(struct control *c, struct found *f)
{
    static char waiting, told;
    struct found out = {0};
    struct map on;
    int rc = 0;
    map_init(&on);
    for (size_t i = 0; i < f->rows.n && map_count(&on) < FOLLOWED_MOST; i++)
        if (f->rows.v[i].kind == EVENT_FORWARDED && span_starts(f->rows.v[i].text, SPAN("to <"))) /* not here */
            map_put(&on, f->rows.v[i].trace, &waiting);
    for (size_t i = 0; i < f->rows.n && rc == 0; i++) {
        const struct msg_event_row *r = &f->rows.v[i];
        const char *state = map_get(&on, r->trace);
        if (state == NULL) {
            *VEC_PUSH(&out.rows) = *r;
        } else if (state == &waiting) {
            map_put(&on, r->trace, &told);
            rc = gather(c, &(struct msg_events){.trace = r->trace, .from_ms = r->at_ms - 1000}, &out);
        }
    }
    map_done(&on);
    VEC_FREE(&f->rows);
    *f = out;
    return rc;
}

static bool is_trace(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '2' && s.p[i] <= '7')))
            return false;
    return s.n == 12;
}

/* What the words ask for. 0, or -1 and c->fail. */
static int ask(struct control *c, struct msg_events *m)
{
    const struct command_input *in = c->in;
    struct span what = span_z(in->words[0]);
    uint64_t n = 1, since_s;
    if (in->option[OPTION_SINCE] != NULL) {
        if (num_seconds(span_z(in->option[OPTION_SINCE]), INT32_MAX, &since_s) != 0)
            return fail_perm(&c->fail, "", "--since is a time like 30m, 4h or 2d");
        m->from_ms = clock_now_ms() - (int64_t)since_s * 1000;
    }
    if (span_eq(what, SPAN("last"))) {
        if (in->n_words > 1 && (num_u64(span_z(in->words[1]), 100, &n) != 0 || n == 0))
            return fail_perm(&c->fail, "", "last N: 1 to 100 messages");
        m->last = (uint32_t)n;
    } else if (in->n_words > 1) {
        return fail_perm(&c->fail, "", "one message, one address, or last N");
    } else if (is_trace(what)) {
        m->trace = what;
    } else if (span_starts(what, SPAN("<"))) {
        m->msgid_hash = message_id_hash(what, &c->mem);
    } else if (span_find_char(what, '@') >= 0) {
        m->address = what;
    } else {
        return fail_perm(&c->fail, "", "neither a trace id (12 characters), a <Message-ID>, nor an address");
    }
    return 0;
}

static WAITS int trace(struct control *c)
{
    struct msg_events m = {0};
    struct found f = {0};
    int rc = ask(c, &m);
    if (rc == 0)
        rc = gather(c, &m, &f);
    if (rc == 0 && m.address.n > 0)
        rc = follow(c, &f);
    if (rc == 0 && f.rows.n == 0 && m.address.n > 0) { /* a Message-ID without its brackets, perhaps */
        m.msgid_hash = message_id_hash(arena_printf(&c->mem, "<%.*s>", SPAN_ARGS(m.address)), &c->mem);
        m.address = SPAN_NONE;
        rc = gather(c, &m, &f);
    }
    if (rc == 0 && f.rows.n == 0)
        rc = fail_perm(&c->fail, "", "nothing is known of it; events are kept for limits.event_days days");
    if (rc == 0 && c->plain)
        print_plain(&f);
    else if (rc == 0)
        tell_stories(&f);
    VEC_FREE(&f.rows);
    return rc;
}

int admin_trace(const struct command_input *in) { return control_run(in, ROLE_STORE, trace); }
