/* summarize: what holds for every message, under the limits of a server and under tight ones. */
#include "format/format_testing.h"

#include "base/limits.h"
#include "format/charset.h"
#include "format/mime_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena mem;
    struct summary s;
    struct span in = span_of(data, size);
    charset_open_all();
    for (int tight = 0; tight < 2; tight++) {
        limit_value[LIMIT_MIME_DEPTH] = tight ? 2 : 50;
        limit_value[LIMIT_MIME_PARTS] = tight ? 5 : 1000;
        limit_value[LIMIT_MIME_PARAMS] = tight ? 2 : 128;
        limit_value[LIMIT_HEADER_FIELDS] = tight ? 4 : 1000;
        limit_value[LIMIT_HEADER_ADDRESSES] = tight ? 2 : 1000;
        limit_value[LIMIT_HEADER_BYTES] = tight ? 300 : 1048576;
        limit_value[LIMIT_HEADER_FIELD_BYTES] = tight ? 50 : 102400;
        summarize(in, &s, &mem);
        const char *bad = format_testing_check(in, &s);
        if (bad != NULL) {
            fprintf(stderr, "%s\n", bad);
            abort();
        }
        arena_reset(&mem);
    }
    return 0;
}
