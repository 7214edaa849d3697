/* Stacks. A stack is one mapping whose lowest page may not be touched, so it costs the kernel two areas (of
 * vm.max_map_count, 65,530 on Debian) and a touched page. Up to WARM stacks wait with their pages, up to COLD more
 * without, the rest goes back: a burst of sessions leaves address space behind, not memory. */
#include "run/coro_stack.h"

#include <sys/mman.h>

#if CORO_STACK_ASAN
#include <sanitizer/asan_interface.h>
#endif

enum { WARM = 64, COLD = 1024 };

struct pile {
    char *low[COLD];
    size_t n;
};

static struct pile warm, cold;
static size_t page;

static void unmap(char *low)
{
    if (munmap(low - page, CORO_STACK_BYTES + page) != 0)
        base_die("munmap of a stack");
}

char *coro_stack_take(void)
{
    if (warm.n > 0)
        return warm.low[--warm.n];
    if (cold.n > 0)
        return cold.low[--cold.n];
    if (page == 0)
        page = (size_t)sysconf(_SC_PAGESIZE);

    char *p = mmap(NULL, CORO_STACK_BYTES + page, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    if (mprotect(p, page, PROT_NONE) != 0) {
        munmap(p, CORO_STACK_BYTES + page);
        return NULL;
    }
    return p + page;
}

void coro_stack_give(char *low)
{
#if CORO_STACK_ASAN
    /* The last frames never returned, their red zones still stand in the shadow memory. */
    __asan_unpoison_memory_region(low, CORO_STACK_BYTES);
#endif
    if (warm.n < WARM) {
        warm.low[warm.n++] = low;
    } else if (cold.n < COLD) {
        madvise(low, CORO_STACK_BYTES, MADV_DONTNEED);
        cold.low[cold.n++] = low;
    } else {
        unmap(low);
    }
}

void coro_stack_trim(char *low, const char *sp)
{
    size_t depth = (size_t)(sp - low) & ~(page - 1);
    if (depth > page) /* the page below sp holds the red zone and what is called next */
        madvise(low, depth - page, MADV_DONTNEED);
}

void coro_stack_drop_all(void)
{
    while (warm.n > 0)
        unmap(warm.low[--warm.n]);
    while (cold.n > 0)
        unmap(cold.low[--cold.n]);
}
