/* summary_pack: the packed forms of the header index and the part table, written by scan and read for ever (summary.h). */
#ifndef POSTEL_SUMMARY_PACK_H
#define POSTEL_SUMMARY_PACK_H

#include "base/str.h"
#include "format/header_name.h"
#include "format/summary.h"

enum { SUMMARY_VERSION = 1, SUMMARY_FIELD_BYTES = 10, SUMMARY_PART_BYTES = 32 };

struct summary_field {
    enum summary_header name;
    uint8_t name_length;    /* 255: that long or longer */
    uint32_t at, length;    /* in the message, with its line end */
};

void summary_pack_field(struct str *out, const struct summary_field *f);
void summary_pack_part(struct str *out, const struct summary_part *p);

/* Walks the index: *at = 0 begins. False at the end, and at once when the version is another or bytes are missing. */
bool summary_pack_next_field(struct span headers, size_t *at, struct summary_field *f);
struct span summary_pack_text(struct span structure);       /* BODYSTRUCTURE; empty when the version is another */
size_t summary_pack_parts(struct span structure);           /* how many */
int summary_pack_get_part(struct span structure, size_t i, struct summary_part *p) MUST_CHECK; /* -1: no such part */

#endif
