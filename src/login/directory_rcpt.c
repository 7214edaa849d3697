/* directory_rcpt: lookup and expansion of aliases, with bounds in depth and number, and a mark against circles. */
#include "login/directory_rcpt.h"

#include "base/limits.h"
#include "base/vec.h"
#include "login/login_name.h"

enum { REPLY_BYTES = 200 * 1024 }; /* of targets in one reply: the frame holds 224 KiB */

struct expansion {
    struct directory_cache *c;
    VEC(struct directory_account *) to;
    struct span forbidden;  /* an address that is about to become an alias: reaching it is a circle */
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

/* postmaster and abuse of each domain go to its admin unless somebody has the name (RFC 5321 4.5.1, RFC 2142 2). */
static struct directory_account *role_address(const struct directory_cache *c, struct span folded)
{
    ptrdiff_t at = span_rfind_char(folded, '@');
    struct span local = span_sub(folded, 0, (size_t)at);
    struct directory_domain *d;

    if (at < 0 || (!span_eq(local, SPAN("postmaster")) && !span_eq(local, SPAN("abuse"))))
        return NULL;
    d = directory_cache_domain(c, span_from(folded, (size_t)at + 1));
    return d != NULL ? d->admin : NULL;
}

static void expand_name(struct expansion *x, struct span address, int64_t depth)
{
    struct directory_name *name = directory_cache_name(x->c, address);
    struct directory_account *a = name != NULL ? name->account : role_address(x->c, address);

    if (span_eq(address, x->forbidden) || ++x->names > (size_t)LIMIT(ALIAS_TARGETS) || x->bytes > REPLY_BYTES) {
        x->loop = true;
        return;
    }
    if (a != NULL)
        reach(x, a);
    if (name == NULL || name->targets == NULL)
        return;
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

bool directory_rcpt_loops(struct directory_cache *c, struct span address, struct span targets)
{
    struct expansion x = {.c = c, .forbidden = address};

    c->expansion++;
    expand_targets(&x, targets, 1);
    VEC_FREE(&x.to);
    return x.loop;
}

static void answer(struct directory_account *const *v, size_t n, struct arena *mem, struct msg_rcpt_check_r *out)
{
    struct msg_rcpt_target *t = arena_alloc(mem, n * sizeof *t);

    for (size_t i = 0; i < n; i++)
        t[i] = (struct msg_rcpt_target){
            .account = v[i]->id, .address = span_z(v[i]->address), .lang = span_z(v[i]->lang)};
    out->status = RCPT_OK;
    out->targets.v = t;
    out->targets.n = (uint32_t)n;
}

static void answer_one(struct directory_account *a, struct arena *mem, struct msg_rcpt_check_r *out)
{
    if (a->disabled)
        out->status = RCPT_DISABLED;
    else
        answer(&a, 1, mem, out);
}

static void answer_alias(struct directory_cache *c, struct span folded, struct arena *mem, struct msg_rcpt_check_r *out)
{
    struct expansion x = {.c = c};

    c->expansion++;
    expand_name(&x, folded, 0);
    if (x.loop || x.bytes > REPLY_BYTES)
        out->status = RCPT_LOOP;
    else if (x.to.n > 0)
        answer(x.to.v, x.to.n, mem, out);
    else
        out->status = x.disabled ? RCPT_DISABLED : RCPT_NO_USER;
    VEC_FREE(&x.to);
}

/* A local part that can be nobody's name, too long for instance: still a matter of whose domain it is. */
static uint32_t nobody(const struct directory_cache *c, struct span address)
{
    char domain[LOGIN_NAME_DOMAIN];
    size_t n = login_name_fold_domain(span_from(address, (size_t)(span_rfind_char(address, '@') + 1)), domain);

    return directory_cache_domain(c, span_of(domain, n)) != NULL ? RCPT_NO_USER : RCPT_NOT_OURS;
}

void directory_rcpt_check(struct directory_cache *c, struct span address, struct arena *mem, struct msg_rcpt_check_r *out)
{
    char folded[LOGIN_NAME_BYTES];
    size_t at = 0, n = login_name_fold(address, folded, &at);
    struct directory_domain *domain;
    struct directory_account *a;
    struct directory_name *name;

    if (n == 0 && span_eq_nocase(address, SPAN("postmaster")) && c->first != NULL) { /* RFC 5321 4.5.1 */
        n = (size_t)snprintf(folded, sizeof folded, "postmaster@%s", c->first->name);
        at = sizeof "postmaster" - 1;
    }
    if (n == 0) {
        out->status = nobody(c, address);
        return;
    }
    domain = directory_cache_domain(c, span_of(folded + at + 1, n - at - 1));
    name = domain != NULL ? directory_cache_name(c, span_of(folded, n)) : NULL;
    a = name != NULL ? name->account : domain != NULL ? role_address(c, span_of(folded, n)) : NULL;
    if (a != NULL)
        answer_one(a, mem, out);
    else if (name != NULL)
        answer_alias(c, span_of(folded, n), mem, out);
    else
        out->status = domain != NULL ? RCPT_NO_USER : RCPT_NOT_OURS;
}
