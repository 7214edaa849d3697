/* date: a date lies in the years 1900-9999. */
#include "format/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t t = 0;
    if (date_parse(span_of(data, size), &t) == 0 && (t < -2209500000 || t > 253402700000))
        abort();
    return 0;
}
