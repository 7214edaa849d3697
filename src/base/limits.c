/* limits: the table of limits.h as data. */
#include "base/limits.h"

/* The table holds names once, in upper case; postel.conf has them in lower case. */
static char names[LIMIT_COUNT][32] = {
#define X(name, def, least, most, unit, reason) [LIMIT_##name] = #name,
    LIMIT_TABLE(X)
#undef X
};

const struct limit limit_table[LIMIT_COUNT] = {
#define X(name, def, least, most, unit, reason) [LIMIT_##name] = {names[LIMIT_##name], def, least, most, unit, reason},
    LIMIT_TABLE(X)
#undef X
};

int64_t limit_value[LIMIT_COUNT] = {
#define X(name, def, least, most, unit, reason) [LIMIT_##name] = def,
    LIMIT_TABLE(X)
#undef X
};

#define X(name, def, least, most, unit, reason)                                                                        \
    _Static_assert(0 <= (least) && (least) <= (def) && (def) <= (most), #name ": default outside its range");          \
    _Static_assert(sizeof #name <= sizeof names[0], #name ": name too long");
LIMIT_TABLE(X)
#undef X

/* Before main, so that nobody can see them otherwise. */
static void __attribute__((constructor)) lower_names(void)
{
    for (size_t i = 0; i < LIMIT_COUNT; i++)
        for (char *p = names[i]; *p; p++)
            if (*p >= 'A' && *p <= 'Z')
                *p = (char)(*p + 32);
}
