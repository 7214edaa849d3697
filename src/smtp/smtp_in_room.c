/* The memory of free room. Bounded in number; full, it starts anew. */
#include "smtp/smtp_in_room.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/map.h"

enum { ENTRIES_MAX = 4096 };

struct entry { int64_t at_ms, bytes; };

static struct map rooms;

void smtp_in_room_forget(void)
{
    struct span key;
    void *value;
    for (size_t at = 0; map_next(&rooms, &at, &key, &value);)
        free(value);
    map_done(&rooms);
    map_init(&rooms);
}

WAITS int64_t smtp_in_room_of(uint64_t account)
{
    struct msg_room in = {.account = account};
    struct msg_room_r out;
    struct arena mem;
    struct fail f;
    const struct entry *known = map_get_u64(&rooms, account);
    if (known != NULL && clock_mono_ms() - known->at_ms < LIMIT(RCPT_CACHE_MS))
        return known->bytes;
    arena_init(&mem);
    int64_t bytes = IPC_CALL(ROLE_STORE, room, &in, &out, &mem, &f) < 0 ? INT64_MAX : out.bytes;
    arena_done(&mem);
    if (map_count(&rooms) >= ENTRIES_MAX)
        smtp_in_room_forget();
    struct entry *e = base_alloc(sizeof *e);
    *e = (struct entry){clock_mono_ms(), bytes};
    free(map_put_u64(&rooms, account, e));
    return bytes;
}
