/* login_session: a table from handle to session, and a count for each front. */
#include "login/login_session.h"

#include <openssl/crypto.h>

#include "base/limits.h"
#include "base/map.h"
#include "base/rand.h"

struct front {
    uint64_t boot;
    size_t n;
};

struct login_sessions {
    struct map by_handle;
    struct map fronts; /* boot -> struct front */
};

struct login_sessions *login_session_table(void)
{
    struct login_sessions *t = base_alloc(sizeof *t);

    map_init(&t->by_handle);
    map_init(&t->fronts);
    return t;
}

static struct span handle_of(const struct login_session *s)
{
    return span_of(s->handle, LOGIN_HANDLE);
}

static void forget(struct login_sessions *t, struct login_session *s)
{
    struct front *front = map_get_u64(&t->fronts, s->front_boot);

    map_take(&t->by_handle, handle_of(s));
    if (--front->n == 0)
        free(map_take_u64(&t->fronts, s->front_boot));
    OPENSSL_cleanse(s, sizeof *s);
    free(s);
}

void login_session_done(struct login_sessions *t)
{
    if (t == NULL)
        return;
    login_session_end_all(t, 0, 0, NULL, NULL);
    map_done(&t->by_handle);
    map_done(&t->fronts);
    free(t);
}

const struct login_session *login_session_add(struct login_sessions *t, uint64_t account, uint64_t front_boot,
                                              uint32_t service, struct span lang)
{
    struct front *front = map_get_u64(&t->fronts, front_boot);
    struct login_session *s;

    if (front != NULL && front->n >= (size_t)LIMIT(SESSIONS))
        return NULL;
    if (front == NULL) {
        front = base_alloc(sizeof *front);
        front->boot = front_boot;
        map_put_u64(&t->fronts, front_boot, front);
    }
    front->n++;
    s = base_alloc(sizeof *s);
    rand_bytes(s->handle, sizeof s->handle);
    s->account = account;
    s->front_boot = front_boot;
    s->service = service;
    if (lang.n > 0 && lang.n < sizeof s->lang)
        memcpy(s->lang, lang.p, lang.n);
    map_put(&t->by_handle, handle_of(s), s);
    return s;
}

const struct login_session *login_session_find(const struct login_sessions *t, struct span handle, uint64_t front_boot)
{
    const struct login_session *s = handle.n == LOGIN_HANDLE ? map_get(&t->by_handle, handle) : NULL;

    return s != NULL && s->front_boot == front_boot ? s : NULL;
}

size_t login_session_count(const struct login_sessions *t)
{
    return map_count(&t->by_handle);
}

void login_session_end(struct login_sessions *t, struct span handle, uint64_t front_boot, login_session_fn *fn, void *arg)
{
    struct login_session *s = handle.n == LOGIN_HANDLE ? map_get(&t->by_handle, handle) : NULL;

    if (s == NULL || s->front_boot != front_boot)
        return;
    if (fn != NULL)
        fn(s, arg);
    forget(t, s);
}

void login_session_end_all(struct login_sessions *t, uint64_t account, uint64_t front_boot, login_session_fn *fn, void *arg)
{
    size_t at = 0;
    struct span key;
    void *value;

    while (map_next(&t->by_handle, &at, &key, &value)) {
        struct login_session *s = value;
        if ((account != 0 && s->account != account) || (front_boot != 0 && s->front_boot != front_boot))
            continue;
        if (fn != NULL)
            fn(s, arg);
        forget(t, s);
    }
}

void login_session_each(struct login_sessions *t, login_session_fn *fn, void *arg)
{
    size_t at = 0;
    struct span key;
    void *value;

    while (map_next(&t->by_handle, &at, &key, &value))
        fn(value, arg);
}
