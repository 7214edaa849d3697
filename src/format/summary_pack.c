/* summary_pack: packs and unpacks, little endian. */
#include "format/summary_pack.h"

static void put(struct str *out, uint32_t v, unsigned bytes)
{
    for (; bytes > 0; bytes--, v >>= 8)
        str_addc(out, (char)(v & 0xFF));
}

static uint32_t get(const char **p, unsigned bytes)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v |= (uint32_t)(unsigned char)(*p)[i] << (8 * i);
    *p += bytes;
    return v;
}

void summary_pack_field(struct str *out, const struct summary_field *f)
{
    put(out, f->name, 1);
    put(out, f->at, 4);
    put(out, f->length, 4);
    put(out, f->name_length, 1);
}

void summary_pack_part(struct str *out, const struct summary_part *p)
{
    put(out, p->parent, 2);
    put(out, p->depth, 1);
    put(out, p->encoding, 1);
    put(out, p->header_at, 4);
    put(out, p->body_at, 4);
    put(out, p->body_end, 4);
    put(out, p->lines, 4);
    put(out, p->type, 2);
    put(out, p->first_child, 2);
    put(out, p->charset, 4);
    put(out, p->reserved, 4);
}

bool summary_pack_next_field(struct span headers, size_t *at, struct summary_field *f)
{
    if (headers.n == 0 || headers.p[0] != SUMMARY_VERSION)
        return false;
    size_t from = *at == 0 ? 1 : *at;
    if (from > headers.n || headers.n - from < SUMMARY_FIELD_BYTES)
        return false;
    const char *p = headers.p + from;
    uint32_t name = get(&p, 1);
    f->name = name < HEADER_NAME_COUNT ? (enum summary_header)name : HEADER_OTHER; /* of a newer program */
    f->at = get(&p, 4);
    f->length = get(&p, 4);
    f->name_length = (uint8_t)get(&p, 1);
    *at = from + SUMMARY_FIELD_BYTES;
    return true;
}

struct span summary_pack_text(struct span structure)
{
    if (structure.n == 0 || structure.p[0] != SUMMARY_VERSION)
        return SPAN("");
    const char *nul = memchr(structure.p, 0, structure.n);
    return nul != NULL ? span_of(structure.p + 1, (size_t)(nul - structure.p) - 1) : SPAN("");
}

size_t summary_pack_parts(struct span structure)
{
    size_t text = summary_pack_text(structure).n;
    return text > 0 ? (structure.n - text - 2) / SUMMARY_PART_BYTES : 0;
}

int summary_pack_get_part(struct span structure, size_t i, struct summary_part *out)
{
    if (i >= summary_pack_parts(structure))
        return -1;
    const char *p = structure.p + summary_pack_text(structure).n + 2 + i * SUMMARY_PART_BYTES;
    out->parent = (uint16_t)get(&p, 2);
    out->depth = (uint8_t)get(&p, 1);
    out->encoding = (uint8_t)get(&p, 1);
    out->header_at = get(&p, 4);
    out->body_at = get(&p, 4);
    out->body_end = get(&p, 4);
    out->lines = get(&p, 4);
    out->type = (uint16_t)get(&p, 2);
    out->first_child = (uint16_t)get(&p, 2);
    out->charset = get(&p, 4);
    out->reserved = get(&p, 4);
    return 0;
}
