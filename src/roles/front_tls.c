/* Loads the chains when the front begins, when auth's counter says that they changed, and when auth comes back. */
#include "roles/front_tls.h"

#include "base/log.h"
#include "run/shared.h"

enum { LOOK_MS = 1000, RETRY_MS = 250 };

static struct tls_service *services[SERVICE_COUNT];
static struct coro *loader;
static bool stale; /* auth is new: it may know other keys */

/* tls_sign_fn: runs inside a handshake's coroutine */
static WAITS ptrdiff_t sign(uint64_t key_id, struct span digest, unsigned char *sig, size_t cap)
{
    struct msg_tls_sign in = {.key_id = key_id, .digest = digest};
    struct msg_tls_sign_r out;
    struct arena mem;
    struct fail f = {0};
    ptrdiff_t n = -1;
    arena_init(&mem);
    if (IPC_CALL(ROLE_AUTH, tls_sign, &in, &out, &mem, &f) < 0)
        LOG(LOG_WARN, "tls.sign", L_Z("why", f.text));
    else if (out.signature.n > 0 && out.signature.n <= cap) {
        memcpy(sig, out.signature.p, out.signature.n);
        n = (ptrdiff_t)out.signature.n;
    }
    arena_done(&mem);
    return n;
}

static WAITS int load(struct fail *f)
{
    static const struct msg_tls_chains in; /* asks for nothing in particular */
    struct msg_tls_chains_r out;
    struct arena mem;
    arena_init(&mem);
    int r = IPC_CALL(ROLE_AUTH, tls_chains, &in, &out, &mem, f);
    if (r == 0 && out.chains.n > 0) {
        struct tls_chain *v = arena_alloc(&mem, out.chains.n * sizeof *v);
        for (uint32_t i = 0; i < out.chains.n; i++)
            v[i] = (struct tls_chain){.key_id = out.chains.v[i].key_id, .pem = out.chains.v[i].pem};
        for (size_t s = 0; s < SERVICE_COUNT && r == 0; s++)
            if (services[s] != NULL)
                r = tls_service_load(services[s], v, out.chains.n, f);
    }
    arena_done(&mem);
    return r;
}

static WAITS void keep_loaded(void *arg)
{
    uint64_t seen = 0;
    bool loaded = false;
    for (;;) {
        uint64_t now = counter_of(ROLE_AUTH, COUNTER_TLS_GENERATION);
        struct fail f = {0};
        if (!loaded || stale || now != seen) {
            stale = false;
            loaded = load(&f) == 0;
            seen = now;
            if (!loaded)
                LOG(LOG_WARN, "tls.load", L_Z("why", f.text));
        }
        if (coro_wait(clock_mono_ms() + (loaded ? LOOK_MS : RETRY_MS)) == WAIT_CANCELLED)
            return;
    }
}

void front_tls_peer(const struct ipc_peer *peer)
{
    if (peer->kind != ROLE_AUTH)
        return;
    stale = true;
    if (loader != NULL)
        coro_wake(loader);
}

void front_tls_add(enum service_id id)
{
    const struct service *s = &service_table[id];
    services[id] = tls_service_new(s->name, span_z(s->alpn), sign);
}

int front_tls_begin(struct fail *f)
{
    loader = coro_start(keep_loaded, NULL);
    return loader != NULL ? 0 : fail_temp(f, "4.3.0", "no memory for a stack");
}

struct tls_service *front_tls_of(enum service_id id)
{
    return services[id];
}

WAITS bool front_tls_wait(enum service_id id)
{
    int64_t until = clock_mono_ms() + LIMIT(TLS_HANDSHAKE_S) * 1000;
    while (!tls_service_ready(services[id]))
        if (clock_mono_ms() >= until || coro_sleep(20) == WAIT_CANCELLED)
            return false;
    return true;
}
