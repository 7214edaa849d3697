/* A gate in front of scan: many messages at a time, or one alone. When scan dies, everything that was in it is suspect;
 * alone, only the guilty one brings it down a second time, and that one is refused (SEC-25). */
#include "run/scanner.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"

static struct {
    bool made;
    unsigned inside;  /* messages in scan now */
    unsigned waiting; /* that want to be alone there: nobody else enters before them */
    bool alone;
    struct waitq q;
} gate;

static WAITS int enter(bool alone, int64_t deadline_ms, struct fail *f)
{
    if (!gate.made)
        waitq_init(&gate.q);
    gate.made = true;
    gate.waiting += alone;
    int r = 0;
    while (r == 0 && (gate.alone || (alone ? gate.inside > 0 : gate.waiting > 0)))
        r = waitq_wait(&gate.q, deadline_ms);
    gate.waiting -= alone;
    if (r != 0) {
        waitq_wake_all(&gate.q);
        return fail_temp(f, "4.3.0", "Messages cannot be read now");
    }
    gate.inside++;
    gate.alone = alone;
    return 0;
}

static void leave(void)
{
    assert(gate.inside > 0);
    gate.inside--;
    gate.alone = false;
    waitq_wake_all(&gate.q);
}

WAITS int scanner_enter(struct fail *f)
{
    return enter(false, clock_mono_ms() + LIMIT(SCAN_CALL_S) * 1000, f);
}

void scanner_leave(void)
{
    leave();
}

/* ---- one call -------------------------------------------------------------------------------------------------------- */

struct reading {
    enum msg_id id;
    const void *in;
    void *out;
    uint32_t *flags; /* of in, of those that read a whole new message; else NULL */
    uint64_t size;
    struct span trace;
    struct arena *mem;
};

static WAITS int attempt(const struct reading *r, bool alone, struct fail *f, bool *broken)
{
    int64_t wait_ms = LIMIT(SCAN_CALL_S) * 1000;
    *broken = false;
    if (enter(alone, clock_mono_ms() + wait_ms, f) < 0)
        return -1;
    if (r->flags != NULL)
        *r->flags = alone ? 1 : 0;
    int got = ipc_call(ROLE_SCAN, r->id, r->in, r->out, r->mem, wait_ms, f, broken);
    leave();
    return got;
}

static WAITS int read_it(const struct reading *r, struct fail *f)
{
    bool broken;
    if (attempt(r, false, f, &broken) == 0)
        return 0;
    if (!broken)
        return fail_temp(f, "4.3.0", "Messages cannot be read now");
    LOG(LOG_WARN, "scan.suspect", L_ID(r->trace), L_INT("size", (int64_t)r->size));
    if (attempt(r, true, f, &broken) == 0)
        return 0;
    if (broken)
        LOG(LOG_ERROR, "scan.poison", L_ID(r->trace), L_INT("size", (int64_t)r->size));
    return fail_temp(f, "4.3.0", broken ? "The message cannot be read" : "Messages cannot be read now");
}

WAITS int scanner_summarize(struct msg_summarize *in, struct msg_summarize_r *out, struct span trace,
                            struct arena *mem, struct fail *f)
{
    return read_it(&(struct reading){MSG_ID_summarize, in, out, &in->flags, in->size, trace, mem}, f);
}

WAITS int scanner_submit(struct msg_scan_submit *in, struct msg_scan_submit_r *out, struct span trace,
                         struct arena *mem, struct fail *f)
{
    return read_it(&(struct reading){MSG_ID_scan_submit, in, out, &in->flags, in->size, trace, mem}, f);
}

/* ---- messages that are in the store, and so come again with every search ---------------------------------------------- */

enum { POISONS = 64, POISON_MS = 3600 * 1000 };

static struct { uint64_t key; int64_t until_ms; } poisons[POISONS];
static unsigned next_poison;

static bool known_poison(uint64_t key)
{
    for (unsigned i = 0; i < POISONS; i++)
        if (poisons[i].key == key && poisons[i].until_ms > clock_mono_ms())
            return true;
    return false;
}

static void note_poison(uint64_t key)
{
    poisons[next_poison].key = key;
    poisons[next_poison].until_ms = clock_mono_ms() + POISON_MS;
    next_poison = (next_poison + 1) % POISONS;
}

WAITS int scanner_call(enum msg_id id, const void *in, void *out, uint64_t key, bool suspect, struct span trace,
                       struct arena *mem, struct fail *f)
{
    struct reading r = {.id = id, .in = in, .out = out, .trace = trace, .mem = mem};
    bool broken = false;
    if (known_poison(key))
        return fail_perm(f, "5.6.0", "The message cannot be read");
    if (!suspect && attempt(&r, false, f, &broken) == 0)
        return 0;
    if (!suspect && !broken)
        return fail_temp(f, "4.3.0", "Messages cannot be read now");
    LOG(LOG_WARN, "scan.suspect", L_ID(trace), L_Z("call", ipc_name(id)), L_INT("message", (int64_t)key));
    if (attempt(&r, true, f, &broken) == 0)
        return 0;
    if (!broken)
        return fail_temp(f, "4.3.0", "Messages cannot be read now");
    LOG(LOG_ERROR, "scan.poison", L_ID(trace), L_Z("call", ipc_name(id)), L_INT("message", (int64_t)key));
    note_poison(key);
    return fail_perm(f, "5.6.0", "The message cannot be read");
}
