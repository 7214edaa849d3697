/* What goes into the pack comes out of it, in order and once; and it is small (SEC-07). */
#include "smtp/smtp_in_pack.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/str.h"
#include "base/vec.h"

/* The same without any packing. */
struct plain {
    VEC(struct msg_ingest_target) targets;
    VEC(struct msg_ingest_remote) remotes;
    VEC(struct msg_ingest_note) notes;
    VEC(struct smtp_in_to) tos;
    VEC(uint32_t) reach;
};

static uint64_t random_state;

static unsigned random_below(unsigned n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(random_state >> 33) % n;
}

static void plain_target(struct plain *p, const struct msg_rcpt_target *t, struct span via)
{
    uint32_t i = 0;
    while (i < p->targets.n && p->targets.v[i].account != t->account)
        i++;
    if (i == p->targets.n)
        *VEC_PUSH(&p->targets) = (struct msg_ingest_target){.account = t->account, .address = t->address, .lang = t->lang, .via = via};
    if (p->tos.n > 0) {
        *VEC_PUSH(&p->reach) = i;
        p->tos.v[p->tos.n - 1].n++;
    }
}

static void plain_remote(struct plain *p, const struct msg_ingest_remote *r)
{
    for (size_t i = 0; i < p->remotes.n; i++)
        if (span_eq(p->remotes.v[i].address, r->address) && span_eq(p->remotes.v[i].via, r->via))
            return;
    *VEC_PUSH(&p->remotes) = *r;
}

static void compare(const struct smtp_in_pack *pack, const struct plain *p, struct arena *mem)
{
    struct smtp_in_rcpts all;
    smtp_in_pack_open(pack, mem, &all);
    assert_int_equal(all.n_targets, p->targets.n);
    assert_int_equal(all.n_remotes, p->remotes.n);
    assert_int_equal(all.n_notes, p->notes.n);
    assert_int_equal(all.n_tos, p->tos.n);
    for (size_t i = 0; i < p->targets.n; i++) {
        const struct msg_ingest_target *a = &all.targets[i], *b = &p->targets.v[i];
        assert_true(a->account == b->account && span_eq(a->address, b->address) && span_eq(a->lang, b->lang) &&
                    span_eq(a->via, b->via));
    }
    for (size_t i = 0; i < p->remotes.n; i++) {
        const struct msg_ingest_remote *a = &all.remotes[i], *b = &p->remotes.v[i];
        assert_true(span_eq(a->address, b->address) && span_eq(a->domain, b->domain) && span_eq(a->via, b->via) &&
                    span_eq(a->orcpt, b->orcpt) && a->notify == b->notify);
    }
    for (size_t i = 0; i < p->notes.n; i++) {
        const struct msg_ingest_note *a = &all.notes[i], *b = &p->notes.v[i];
        assert_true(span_eq(a->address, b->address) && span_eq(a->orcpt, b->orcpt) && a->action == b->action);
    }
    for (size_t i = 0; i < p->tos.n; i++) {
        assert_int_equal(all.tos[i].first, p->tos.v[i].first);
        assert_int_equal(all.tos[i].n, p->tos.v[i].n);
    }
    for (size_t i = 0; i < p->reach.n; i++)
        assert_int_equal(all.reach[i], p->reach.v[i]);
}

static struct span text(struct arena *mem, const char *what, unsigned kinds)
{
    unsigned n = random_below(kinds + 1);
    return n == 0 ? SPAN_NONE : arena_printf(mem, "%s%0*u", what, (int)random_below(40), n);
}

/* Adds something to both; or to the pack alone, and takes it back. */
static void step(struct smtp_in_pack *pack, struct plain *p, bool lmtp, struct arena *mem)
{
    struct smtp_in_pack before = *pack;
    bool taken_back = random_below(5) == 0;
    static const uint64_t big[] = {0, 127, 128, 65536, 65537, UINT64_MAX};
    struct msg_rcpt_target t = {.address = text(mem, "bob", 9), .lang = text(mem, "de", 2),
                                .account = random_below(3) == 0 ? big[random_below(6)] : random_below(300)};
    struct msg_ingest_remote r = {.address = text(mem, "jon", 3), .domain = text(mem, "other", 2), .via = text(mem, "al", 3),
                                  .orcpt = text(mem, "rfc822;", 2), .notify = random_below(16)};
    struct msg_ingest_note note = {.address = text(mem, "al", 3), .orcpt = text(mem, "rfc822;", 2), .action = random_below(4)};
    if (lmtp && (random_below(3) == 0 || p->tos.n == 0)) {
        assert_true(smtp_in_pack_to(pack, SIZE_MAX));
        if (!taken_back)
            *VEC_PUSH(&p->tos) = (struct smtp_in_to){(uint32_t)p->reach.n, 0};
    } else if (random_below(2) == 0) {
        assert_true(smtp_in_pack_target(pack, SIZE_MAX, &t, r.via));
        if (!taken_back)
            plain_target(p, &t, r.via);
    } else if (random_below(2) == 0) {
        assert_true(smtp_in_pack_remote(pack, SIZE_MAX, &r));
        if (!taken_back)
            plain_remote(p, &r);
    } else {
        assert_true(smtp_in_pack_note(pack, SIZE_MAX, &note));
        if (!taken_back)
            *VEC_PUSH(&p->notes) = note;
    }
    if (taken_back)
        smtp_in_pack_undo(pack, &before);
}

static void test_random(void **state)
{
    struct arena mem;
    arena_init(&mem);
    for (random_state = 1; random_state < 300; random_state++) {
        uint64_t seed = random_state;
        struct smtp_in_pack pack = {0};
        struct plain p = {0};
        for (unsigned i = seed % 100; i > 0; i--)
            step(&pack, &p, seed % 2, &mem);
        compare(&pack, &p, &mem);
        smtp_in_pack_done(&pack);
        VEC_FREE(&p.targets);
        VEC_FREE(&p.remotes);
        VEC_FREE(&p.notes);
        VEC_FREE(&p.tos);
        VEC_FREE(&p.reach);
        random_state = seed;
    }
    arena_done(&mem);
}

/* A thousand recipients of usual length, whatever they are, fit into what a stranger may have; more are refused whole. */
static void test_small(void **state)
{
    enum { MOST = 36864 };
    struct arena mem;
    arena_init(&mem);
    struct smtp_in_pack accounts = {0}, remotes = {0};
    for (unsigned i = 0; i < 1000; i++) {
        struct span address = arena_printf(&mem, "bob.%05u@example.test", i), via = arena_printf(&mem, "all+%05u@example.test", i);
        struct msg_rcpt_target t = {.account = 1000 + i, .address = address, .lang = SPAN("en")};
        assert_true(smtp_in_pack_target(&accounts, MOST, &t, SPAN_NONE));
        if (i < 950) /* then the frame is full */
            assert_true(smtp_in_pack_remote(&remotes, MOST, &(struct msg_ingest_remote){.address = SPAN("jon@other.example"),
                                                                                        .domain = SPAN("other.example"),
                                                                                        .via = via}));
    }
    assert_true(accounts.cap <= MOST + 4096 && remotes.cap <= MOST + 4096);
    struct smtp_in_pack was = accounts;
    struct msg_rcpt_target t = {.account = 1, .address = SPAN("x")};
    assert_false(smtp_in_pack_target(&accounts, accounts.n + 8, &t, SPAN_NONE));
    assert_false(smtp_in_pack_to(&accounts, accounts.n));
    assert_int_equal(accounts.n, was.n);
    assert_int_equal(accounts.frame, was.frame);
    assert_memory_equal(accounts.count, was.count, sizeof was.count);
    assert_memory_equal(accounts.whole, was.whole, sizeof was.whole);
    assert_true(smtp_in_pack_target(&accounts, accounts.n + 9, &t, SPAN_NONE));
    smtp_in_pack_done(&accounts);
    smtp_in_pack_done(&remotes);
    arena_done(&mem);
}

/* The frame of ingest has an end (ipc.h), and so has a record. */
static void test_full(void **state)
{
    struct smtp_in_pack pack = {0};
    static char long_text[9000];
    memset(long_text, 'x', sizeof long_text);
    unsigned n = 0;
    while (n < 1000 && smtp_in_pack_note(&pack, SIZE_MAX, &(struct msg_ingest_note){.address = span_of(long_text, 300)}))
        n++;
    assert_int_equal(n, 96 * 1024 / (300 + 36)); /* though the pack refers to one text */
    assert_true(pack.n < 10000 && pack.count[PACK_NOTE] == n);
    smtp_in_pack_done(&pack);
    assert_false(smtp_in_pack_note(&pack, SIZE_MAX, &(struct msg_ingest_note){.address = span_of(long_text, 9000)}));
    assert_int_equal(pack.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
