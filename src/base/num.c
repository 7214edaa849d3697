/* num: reading numbers; the limit is compared before each multiplication, so nothing can overflow. */
#include "base/num.h"

enum { DIGITS_MOST = 20 }; /* of 2^64 - 1 */

ptrdiff_t num_u64_prefix(struct span s, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    size_t i = 0;
    for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++) {
        unsigned digit = (unsigned)(s.p[i] - '0');
        if (i == DIGITS_MOST || v > max / 10 || (v == max / 10 && digit > max % 10))
            return -1;
        v = v * 10 + digit;
    }
    if (i == 0)
        return -1;
    *out = v;
    return (ptrdiff_t)i;
}

int num_u64(struct span s, uint64_t max, uint64_t *out)
{
    uint64_t v;
    ptrdiff_t used = num_u64_prefix(s, max, &v);
    if (used < 0 || (size_t)used != s.n)
        return -1;
    *out = v;
    return 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int num_hex(struct span s, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    if (s.n == 0 || s.n > 16)
        return -1;
    for (size_t i = 0; i < s.n; i++) {
        int digit = hex_digit(s.p[i]);
        if (digit < 0)
            return -1;
        v = v << 4 | (unsigned)digit; /* 16 digits fit */
    }
    if (v > max)
        return -1;
    *out = v;
    return 0;
}

struct unit {
    const char *name;
    uint64_t times;
};

static int with_unit(struct span s, uint64_t max, const struct unit *units, size_t n, uint64_t *out)
{
    uint64_t v;
    ptrdiff_t used = num_u64_prefix(s, max, &v);
    if (used < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (span_eq_nocase(span_from(s, (size_t)used), span_z(units[i].name))) {
            if (v > max / units[i].times)
                return -1;
            *out = v * units[i].times;
            return 0;
        }
    return -1;
}

int num_size(struct span s, uint64_t max, uint64_t *out)
{
    static const struct unit units[] = {
        {"", 1},          {"B", 1},          {"KB", 1000},          {"KiB", 1024},
        {"MB", 1000000},  {"MiB", 1 << 20},  {"GB", 1000000000},    {"GiB", 1 << 30},
    };
    return with_unit(s, max, units, COUNT_OF(units), out);
}

int num_seconds(struct span s, uint64_t max, uint64_t *out)
{
    static const struct unit units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    return with_unit(s, max, units, COUNT_OF(units), out);
}
