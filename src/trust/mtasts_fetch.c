#include "trust/mtasts_fetch.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/num.h"
#include "run/config.h"
#include "run/http_client.h"

/* A fetch under way: whoever wants the same domain meanwhile waits for it. On the stack of who fetches. */
struct under_way {
    struct list node;
    struct span domain;
    struct waitq done;
};

static struct mtasts_cache *cache;
static struct list fetches;
static const struct mtasts_fetch_keeper *keeper;

static struct under_way *find(struct span domain)
{
    for (struct list *n = fetches.next; n != &fetches; n = n->next) {
        struct under_way *u = LIST_ITEM(n, struct under_way, node);
        if (span_eq(u->domain, domain))
            return u;
    }
    return NULL;
}

/* SPAN_NONE, and why in the log, when there is no policy. */
static WAITS struct span get(struct span domain, struct arena *mem)
{
    struct fail f = {0};
    struct http_client_got got;
    struct http_client_get want = {.host = arena_printf(mem, "mta-sts.%.*s", SPAN_ARGS(domain)),
                                   .port = (uint16_t)config_count(CONFIG_relay_https_port),
                                   .path = SPAN("/.well-known/mta-sts.txt"),
                                   .most = MTASTS_POLICY_BYTES,
                                   .wait_ms = LIMIT(MTASTS_FETCH_S) * 1000};
    int r = http_client_fetch(&want, &got, mem, &f);
    if (r == 0 && got.status != 200) /* RFC 8461 3.3 */
        r = fail_temp(&f, "4.7.5", "status %d", got.status);
    else if (r == 0 && !span_eq(got.type, SPAN("text/plain"))) /* RFC 8461 3.2: guards against pages of strangers */
        r = fail_temp(&f, "4.7.5", "its type is %.60s", arena_z(mem, got.type));
    if (r == 0)
        return got.body;
    LOG(LOG_WARN, "mtasts.fetch", L_SPAN("domain", domain), L_Z("why", f.text));
    return SPAN_NONE;
}

/* What is kept: "ID SECONDS", a newline, the policy as it came; SECONDS: when that was. */
static WAITS void keep(struct span domain, struct span id, struct span text, int64_t fetched_s, struct arena *mem)
{
    const struct mtasts_policy *p = mtasts_cache_get(cache, domain, fetched_s);
    struct str kept;
    if (keeper == NULL || p == NULL) /* it holds for no time at all */
        return;
    int64_t ttl_s = p->max_age_s;
    str_init(&kept, mem);
    str_addf(&kept, "%.*s %lld\n", SPAN_ARGS(id), (long long)fetched_s);
    str_add(&kept, text);
    keeper->put(domain, str_span(&kept), ttl_s, mem);
}

/* RFC 8461 3.3: a policy holds until it runs out, so a restart must not forget it: whoever can make us start anew and keep
 * the policy's host away would have our mail in clear. */
static WAITS void recall(struct span domain, struct arena *mem)
{
    struct span text, line, id;
    uint64_t fetched_s;
    int64_t now_s = clock_now_s();
    if (keeper == NULL || mtasts_cache_get(cache, domain, now_s) != NULL || keeper->get(domain, &text, mem) != 0 ||
        mtasts_cache_get(cache, domain, now_s) != NULL) /* somebody fetched it meanwhile */
        return;
    line = span_split(&text, '\n');
    id = span_split(&line, ' ');
    if (num_u64(line, INT64_MAX, &fetched_s) == 0)
        mtasts_cache_put(cache, domain, id, text, MIN_OF((int64_t)fetched_s, now_s));
}

static WAITS void refresh(struct span domain, struct span id, struct arena *mem)
{
    struct under_way u = {.domain = domain};
    waitq_init(&u.done);
    list_push(&fetches, &u.node);
    struct span text = get(domain, mem);
    int64_t now_s = clock_now_s();
    int r = mtasts_cache_put(cache, domain, id, text, now_s);
    list_remove(&u.node);
    waitq_wake_all(&u.done);
    if (r == 0) {
        LOG(LOG_INFO, "mtasts.policy", L_SPAN("domain", domain), L_SPAN("policy_id", id), L_INT("bytes", (int64_t)text.n));
        keep(domain, id, text, now_s, mem);
    } else if (text.p != NULL) {
        LOG(LOG_WARN, "mtasts.fetch", L_SPAN("domain", domain), L_Z("why", "the policy is not as RFC 8461 3.2 wants it"));
    }
}

static const struct mtasts_policy *copy(const struct mtasts_policy *p, struct arena *mem)
{
    if (p == NULL)
        return NULL;
    struct mtasts_policy *out = arena_alloc(mem, sizeof *out);
    struct span *mx = arena_alloc(mem, (p->n_mx + 1) * sizeof *mx);
    *out = *p;
    for (size_t i = 0; i < p->n_mx; i++)
        mx[i] = arena_copy(mem, p->mx[i]);
    out->mx = mx;
    return out;
}

WAITS const struct mtasts_policy *mtasts_fetch(struct span domain, struct arena *mem)
{
    struct dns_texts t;
    struct span id;
    struct under_way *other;
    if (cache == NULL) {
        cache = mtasts_cache_new((size_t)LIMIT(MTASTS_POLICIES));
        list_init(&fetches);
    }
    recall(domain, mem);
    dns_txt(arena_printf(mem, "_mta-sts.%.*s", SPAN_ARGS(domain)), &t, mem);
    bool has = t.answer.status == DNS_OK && mtasts_record(t.v, t.n, &id) == 0;
    while (has && (other = find(domain)) != NULL)
        if (waitq_wait(&other->done, clock_mono_ms() + LIMIT(MTASTS_FETCH_S) * 2000) != WAIT_OK)
            has = false;
    if (has && mtasts_cache_stale(cache, domain, id, clock_now_s()))
        refresh(domain, id, mem);
    return copy(mtasts_cache_get(cache, domain, clock_now_s()), mem);
}

void mtasts_fetch_keep(const struct mtasts_fetch_keeper *k)
{
    keeper = k;
}

void mtasts_fetch_done(void)
{
    mtasts_cache_free(cache);
    cache = NULL;
}
