/* Fuzz target: the TXT record (first byte even) and the policy. */
#include "trust/mtasts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena mem;
    struct mtasts_policy p;
    struct span id;
    if (size == 0)
        return 0;
    struct span text = span_of(data + 1, size - 1);
    if (data[0] % 2 == 0) {
        if (mtasts_record(&text, 1, &id) == 0 && (id.n == 0 || id.n > MTASTS_ID_MAX))
            abort();
        return 0;
    }
    if (mtasts_parse(text, &p, &mem) == 0) {
        if (p.mode != MTASTS_MODE_NONE && p.n_mx == 0)
            abort();
        for (size_t i = 0; i < p.n_mx; i++) /* each name that is a pattern fits itself */
            if (p.mx[i].p[0] != '*' && !mtasts_match(&p, p.mx[i]))
                abort();
    }
    arena_reset(&mem);
    return 0;
}
