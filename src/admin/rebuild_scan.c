/* rebuild_scan: parent and child share memory; one byte through a pipe says that it is the other's turn. */
#include "admin/rebuild_scan.h"

#include "base/limits.h"
#include "format/charset.h"
#include "run/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { ROOM = 1 << 20, WAIT_MS = 30000, FIELDS = 5 };

/* What the child gives back; the bytes of the fields follow each other in `bytes`. */
struct answer {
    uint32_t flags;
    uint64_t msgid_hash;
    int64_t date_s;
    uint32_t n[FIELDS]; /* headers, envelope, structure, preview, refs */
    char bytes[ROOM];
};

struct shared { uint64_t size; struct answer answer; char message[]; };

struct rebuild_scan {
    struct shared *mem;
    size_t mapped, message_most;
    pid_t child;
    int to, from;
};

/* ---- the child ---- */

static void answer(struct shared *m, struct arena *mem)
{
    struct summary s;
    struct answer *a = &m->answer;
    summarize(span_of(m->message, (size_t)m->size), &s, mem);
    const struct span fields[FIELDS] = {s.headers, s.envelope, s.structure, s.preview, s.refs};
    size_t at = 0;
    a->flags = s.flags;
    a->msgid_hash = s.msgid_hash;
    a->date_s = s.date_s;
    for (size_t i = 0; i < FIELDS; i++) {
        a->n[i] = (uint32_t)fields[i].n;
        if (fields[i].n > ROOM - at)
            _exit(1);
        if (fields[i].n > 0)
            memcpy(a->bytes + at, fields[i].p, fields[i].n);
        at += fields[i].n;
    }
}

static _Noreturn void child(struct rebuild_scan *s, int from, int to)
{
    struct sandbox_level level;
    struct arena mem;
    struct fail f;
    char c;
    charset_open_all();
    tzset();
    if (dup2(from, 0) < 0 || dup2(to, 1) < 0 || close_range(3, ~0u, 0) != 0 || sandbox_early(ROLE_SCAN, NULL, &level, &f) != 0 ||
        sandbox_enter(ROLE_SCAN, &level, &f) != 0)
        _exit(1);
    arena_init(&mem);
    while (read(0, &c, 1) == 1) {
        answer(s->mem, &mem);
        arena_reset(&mem);
        if (write(1, &c, 1) != 1)
            break;
    }
    _exit(0);
}

/* ---- the parent ---- */

static void end(struct rebuild_scan *s)
{
    if (s->child <= 0)
        return;
    close(s->to);
    close(s->from);
    kill(s->child, SIGKILL);
    waitpid(s->child, NULL, 0);
    s->child = 0;
}

static int start(struct rebuild_scan *s, struct fail *f)
{
    int there[2], back[2];
    if (pipe2(there, O_CLOEXEC) != 0)
        return fail_errno(f, "pipe", errno);
    if (pipe2(back, O_CLOEXEC) != 0) {
        close(there[0]), close(there[1]);
        return fail_errno(f, "pipe", errno);
    }
    s->child = fork();
    if (s->child == 0)
        child(s, there[0], back[1]);
    close(there[0]);
    close(back[1]);
    s->to = there[1];
    s->from = back[0];
    if (s->child > 0)
        return 0;
    close(s->to), close(s->from);
    return fail_errno(f, "fork", errno);
}

struct rebuild_scan *rebuild_scan_new(struct fail *f)
{
    struct rebuild_scan *s = base_alloc(sizeof *s);
    signal(SIGPIPE, SIG_IGN); /* of a child that died */
    s->message_most = (size_t)limit_table[LIMIT_MESSAGE_BYTES].most + ROOM;
    s->mapped = sizeof *s->mem + s->message_most;
    s->mem = mmap(NULL, s->mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (s->mem == MAP_FAILED) {
        fail_errno(f, "memory for messages", errno);
        s->mem = NULL;
    } else if (start(s, f) == 0) {
        return s;
    }
    rebuild_scan_free(s);
    return NULL;
}

void rebuild_scan_free(struct rebuild_scan *s)
{
    if (s == NULL)
        return;
    end(s);
    if (s->mem != NULL)
        munmap(s->mem, s->mapped);
    free(s);
}

static bool ask(struct rebuild_scan *s)
{
    char c = 0;
    struct pollfd p = {.fd = s->from, .events = POLLIN};
    int n;
    if (write(s->to, &c, 1) != 1)
        return false;
    while ((n = poll(&p, 1, WAIT_MS)) < 0 && errno == EINTR)
        continue;
    return n == 1 && read(s->from, &c, 1) == 1;
}

bool rebuild_scan_summary(void *arg, struct span message, struct summary *out, struct arena *mem)
{
    struct rebuild_scan *s = arg;
    struct fail f;
    if (message.n > s->message_most || (s->child <= 0 && start(s, &f) != 0))
        return false;
    s->mem->size = message.n;
    memcpy(s->mem->message, message.p, message.n);
    if (!ask(s)) {
        end(s);
        return false;
    }
    /* Copied before it is believed: the child may write at any time. */
    const struct answer *a = &s->mem->answer;
    struct span *const fields[FIELDS] = {&out->headers, &out->envelope, &out->structure, &out->preview, &out->refs};
    size_t at = 0;
    *out = (struct summary){.flags = a->flags, .msgid_hash = a->msgid_hash, .date_s = a->date_s};
    for (size_t i = 0; i < FIELDS; i++) {
        size_t n = ((const volatile uint32_t *)a->n)[i];
        if (n > ROOM - at)
            return false;
        *fields[i] = arena_copy(mem, span_of(a->bytes + at, n));
        at += n;
    }
    return out->refs.n % 8 == 0 && out->refs.n <= 8 * (size_t)LIMIT(THREAD_REFS);
}
