/* shared: memfd pages. A role gets its own page writable and the others' pages through a descriptor that was opened
 * read-only, which neither mmap nor mprotect can make writable again. */
#include "run/shared.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>

static struct shared_page private_page; /* until shared_map_own, and in tests */
static struct shared_page *own = &private_page;
static const struct shared_page *peers[ROLE_COUNT];

int shared_make(size_t size, int *rw, int *ro)
{
    char path[40];
    *ro = -1;
    *rw = memfd_create("postel-shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*rw < 0)
        return -1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", *rw);
    /* Sealed against shrinking: a mapping of it never gives SIGBUS. */
    if (ftruncate(*rw, (off_t)size) < 0 || fcntl(*rw, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0
        || (*ro = open(path, O_RDONLY | O_CLOEXEC)) < 0) {
        close(*rw);
        *rw = -1;
        return -1;
    }
    return 0;
}

static void *map(int fd, size_t size, int prot)
{
    void *p = mmap(NULL, size, prot, MAP_SHARED, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

int shared_map_own(int fd)
{
    struct shared_page *page = map(fd, sizeof *page, PROT_READ | PROT_WRITE);
    if (page == NULL)
        return -1;
    /* The page outlives a restart of its role, the connections of the dead one do not. */
    atomic_store(&page->counter[COUNTER_SESSIONS], 0);
    own = page;
    return 0;
}

int shared_map_peer(enum role_kind kind, int fd)
{
    const struct shared_page *page = map(fd, sizeof *page, PROT_READ);
    if (page == NULL || (unsigned)kind >= ROLE_COUNT)
        return -1;
    peers[kind] = page;
    return 0;
}

int shared_map_clock(int fd)
{
    const struct clock_page *page = map(fd, sizeof *page, PROT_READ);
    if (page == NULL)
        return -1;
    clock_use_page(page);
    return 0;
}

void counter_add(enum counter_id id, int64_t n)
{
    atomic_fetch_add_explicit(&own->counter[id], (uint64_t)n, memory_order_release);
}

uint64_t counter_of(enum role_kind kind, enum counter_id id)
{
    const struct shared_page *page = (unsigned)kind < ROLE_COUNT ? peers[kind] : NULL;
    return page == NULL ? 0 : atomic_load_explicit(&page->counter[id], memory_order_acquire);
}
