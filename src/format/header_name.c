/* header_name: finds a known header field by its name. */
#include "format/header_name.h"

/* Length and first letter in one number: a line of the table costs one comparison for nearly every other name. */
#define KEY(n, first) ((uint16_t)((n) << 8 | ((unsigned char)(first) | 0x20)))

static const uint16_t key_table[HEADER_NAME_COUNT] = {
#define X(name, text) [HEADER_##name] = KEY(sizeof text - 1, (text)[0]),
    HEADER_NAME_TABLE(X)
#undef X
};

static const struct span text_table[HEADER_NAME_COUNT] = {
#define X(name, text) [HEADER_##name] = {text, sizeof text - 1},
    HEADER_NAME_TABLE(X)
#undef X
};

enum summary_header header_name_find(struct span name)
{
    if (name.n == 0 || name.n > 64)
        return HEADER_OTHER;
    uint16_t key = KEY(name.n, name.p[0]);
    for (unsigned i = 1; i < HEADER_NAME_COUNT; i++)
        if (key_table[i] == key && span_eq_nocase(text_table[i], name))
            return (enum summary_header)i;
    return HEADER_OTHER;
}

struct span header_name_text(enum summary_header name)
{
    return name > HEADER_OTHER && name < HEADER_NAME_COUNT ? text_table[name] : SPAN("");
}
