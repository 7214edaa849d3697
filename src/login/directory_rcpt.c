/* directory_rcpt: expansion of aliases, with bounds in depth and number, and a mark against circles; SRS. */
#include "login/directory_rcpt.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/vec.h"
#include "login/directory_find.h"

enum { REPLY_BYTES = 200 * 1024 }; /* of targets in one reply: the frame holds 224 KiB */

struct expansion {
    struct directory_cache *c;
    VEC(struct directory_account *) to;
    VEC(struct span) forwards;          /* addresses elsewhere, borrowed from the aliases */
    struct map forwarded;               /* those, as keys */
    struct span forbidden;              /* an address that is about to become an alias: reaching it is a circle */
    size_t via_bytes;                   /* what each forward names besides itself */
    size_t names, bytes;
    bool loop, disabled;
};

static void expand_name(struct expansion *x, struct span address, int64_t depth);

static void expand_targets(struct expansion *x, struct span targets, int64_t depth)
{
    struct span rest = targets;

    while (rest.p != NULL && !x->loop) {
        struct span one = span_split(&rest, ' ');
        if (one.n > 0)
            expand_name(x, one, depth);
    }
}

static void reach(struct expansion *x, struct directory_account *a)
{
    if (a->seen == x->c->expansion) /* once, whatever ways lead there */
        return;
    a->seen = x->c->expansion;
    if (a->disabled) {
        x->disabled = true;
        return;
    }
    x->bytes += 32 + strlen(a->address) + strlen(a->lang);
    *VEC_PUSH(&x->to) = a;
}

static void reach_elsewhere(struct expansion *x, struct span address)
{
    if (map_put(&x->forwarded, address, x->c) != NULL)
        return;
    x->bytes += 32 + 2 * address.n + x->via_bytes;
    *VEC_PUSH(&x->forwards) = address;
}

static void expand_alias(struct expansion *x, struct directory_name *name, int64_t depth)
{
    if (name->on_path || depth >= LIMIT(ALIAS_DEPTH)) {
        x->loop = true;
        return;
    }
    if (name->seen == x->c->expansion) /* by another way already */
        return;
    name->seen = x->c->expansion;
    name->on_path = true;
    expand_targets(x, span_z(name->targets), depth + 1);
    name->on_path = false;
}

static void expand_name(struct expansion *x, struct span address, int64_t depth)
{
    struct directory_found f;

    if (++x->names > (size_t)LIMIT(ALIAS_TARGETS) || x->bytes > REPLY_BYTES) {
        x->loop = true;
        return;
    }
    if (!directory_find(x->c, address, &f)) {
        reach_elsewhere(x, address);
        return;
    }
    if (f.n > 0 && span_eq(span_of(f.folded, f.n), x->forbidden))
        x->loop = true;
    else if (f.account != NULL)
        reach(x, f.account);
    else if (f.name != NULL)
        expand_alias(x, f.name, depth);
}

static void expansion_begin(struct expansion *x, struct directory_cache *c)
{
    *x = (struct expansion){.c = c};
    map_init(&x->forwarded);
    c->expansion++;
}

static void expansion_end(struct expansion *x)
{
    VEC_FREE(&x->to);
    VEC_FREE(&x->forwards);
    map_done(&x->forwarded);
}

bool directory_rcpt_loops(struct directory_cache *c, struct span address, struct span targets)
{
    struct expansion x;

    expansion_begin(&x, c);
    x.forbidden = address;
    x.via_bytes = address.n;
    expand_targets(&x, targets, 1);
    expansion_end(&x);
    return x.loop || x.bytes > REPLY_BYTES;
}

/* ---- answers -------------------------------------------------------------------------------------------------------- */

static void answer_targets(struct directory_account *const *v, size_t n, struct arena *mem, struct msg_rcpt_check_r *out)
{
    struct msg_rcpt_target *t = arena_alloc(mem, n * sizeof *t);

    for (size_t i = 0; i < n; i++)
        t[i] = (struct msg_rcpt_target){
            .account = v[i]->id, .address = span_z(v[i]->address), .lang = span_z(v[i]->lang)};
    out->status = RCPT_OK;
    out->targets.v = t;
    out->targets.n = (uint32_t)n;
}

static void answer_forwards(const struct span *v, size_t n, struct span via, struct arena *mem, struct msg_rcpt_check_r *out)
{
    struct msg_rcpt_forward *t = arena_alloc(mem, n * sizeof *t);

    for (size_t i = 0; i < n; i++)
        t[i] = (struct msg_rcpt_forward){
            .address = v[i], .domain = span_from(v[i], (size_t)span_rfind_char(v[i], '@') + 1), .via = via};
    out->status = RCPT_OK;
    out->forwards.v = t;
    out->forwards.n = (uint32_t)n;
}

static void answer_account(struct directory_account *a, struct arena *mem, struct msg_rcpt_check_r *out)
{
    if (a->disabled)
        out->status = RCPT_DISABLED;
    else
        answer_targets(&a, 1, mem, out);
}

/* via: the address asked for, which led to the alias. */
static void answer_alias(struct directory_cache *c, struct directory_name *name, struct span via, struct arena *mem,
                         struct msg_rcpt_check_r *out)
{
    struct expansion x;

    expansion_begin(&x, c);
    x.via_bytes = via.n;
    expand_alias(&x, name, 0);
    out->status = x.disabled ? RCPT_DISABLED : RCPT_NO_USER;
    if (x.to.n > 0)
        answer_targets(x.to.v, x.to.n, mem, out);
    if (x.forwards.n > 0)
        answer_forwards(x.forwards.v, x.forwards.n, arena_copy(mem, via), mem, out);
    if (x.to.n + x.forwards.n > 1)
        out->flags |= RCPT_EXPANDED;
    if (x.loop || x.bytes > REPLY_BYTES)
        *out = (struct msg_rcpt_check_r){.status = RCPT_LOOP, .generation = out->generation};
    expansion_end(&x);
}

/* A bounce to something that we once forwarded. */
static bool answer_srs(struct directory_cache *c, struct span address, struct arena *mem, struct msg_rcpt_check_r *out)
{
    struct span local = span_sub(address, 0, (size_t)span_rfind_char(address, '@')), to;
    struct directory_found f;
    char folded[LOGIN_NAME_BYTES];
    size_t n;

    if (!srs_is(local))
        return false;
    out->status = RCPT_NO_USER;
    to = srs_reverse(c->srs, local, clock_now_s(), mem);
    if (to.p == NULL)
        return true;
    if (directory_find(c, to, &f)) { /* the domain became ours meanwhile */
        if (f.account != NULL)
            answer_account(f.account, mem, out);
        return true;
    }
    n = login_name_fold_domain(span_from(to, (size_t)span_rfind_char(to, '@') + 1), folded);
    if (n == 0)
        return true;
    answer_forwards(&to, 1, SPAN_NONE, mem, out);
    ((struct msg_rcpt_forward *)out->forwards.v)->domain = arena_copy(mem, span_of(folded, n));
    return true;
}

void directory_rcpt_check(struct directory_cache *c, struct span address, struct arena *mem, struct msg_rcpt_check_r *out)
{
    struct directory_found f;

    if (!directory_find(c, address, &f)) {
        out->status = RCPT_NOT_OURS;
        return;
    }
    if ((f.name == NULL || f.name->targets != NULL) && f.account == NULL && answer_srs(c, address, mem, out))
        return;
    if (f.account != NULL)
        answer_account(f.account, mem, out);
    else if (f.name != NULL)
        answer_alias(c, f.name, span_of(f.folded, f.n), mem, out);
    else
        out->status = RCPT_NO_USER;
    if (f.detail_n > 0 && out->status == RCPT_OK)
        out->detail = arena_copy(mem, span_of(f.folded + f.detail, f.detail_n));
}

bool directory_rcpt_owns(struct directory_cache *c, uint64_t account, struct span address)
{
    struct msg_rcpt_check_r r = {0};
    struct arena mem;
    bool own;

    arena_init(&mem);
    directory_rcpt_check(c, address, &mem, &r);
    own = r.status == RCPT_OK && r.targets.n == 1 && r.forwards.n == 0 && r.targets.v[0].account == account;
    arena_done(&mem);
    return own;
}

int directory_rcpt_srs(struct directory_cache *c, struct span sender, struct span via, struct arena *mem,
                       struct msg_srs_make_r *out, struct fail *f)
{
    struct directory_found alias, from;

    if (!directory_find(c, via, &alias) || alias.domain->admin == NULL)
        return fail_perm(f, "5.7.1", "No alias of ours forwards that.");
    out->account = alias.domain->admin->id;
    out->address = span_z(alias.domain->admin->address);
    out->sender = sender;
    if (sender.n == 0 || directory_find(c, sender, &from))
        return 0;
    out->sender = srs_forward(c->srs, sender, span_z(alias.domain->name), clock_now_s(), mem);
    if (out->sender.p == NULL)
        out->sender = out->address;
    return 0;
}
