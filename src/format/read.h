/* read: what scan tells of one message when somebody asks for it: the value of header fields in the forms that mail
 * programs want (RFC 8621 4.1.2), and the content of a part by slices. */
#ifndef POSTEL_READ_H
#define POSTEL_READ_H

#include "format/part_text.h"

/* Forms of a header field. Packed, little endian: string = u32 length, bytes; texts are UTF-8, NFC. */
enum read_form {
    READ_RAW,       /* all behind the colon but the last line end, folding included */
    READ_TEXT,      /* unfolded, encoded words decoded */
    READ_ADDRESSES, /* per address: u8 kind (0 mailbox, 1 group begins, 2 group ends), string name, string local-part,
                     * string domain */
    READ_MESSAGE_IDS, /* strings, without <> */
    READ_DATE,      /* i64 seconds since 1970 UTC; no bytes at all when it is no date */
    READ_URLS,      /* strings: what stands in <> (RFC 2369 2) */
    READ_FORM_COUNT
};

/* value: as header_next gives it. Appends at most what `most` says, whole items only. */
void read_value(struct str *out, struct span value, enum read_form form, size_t most, struct arena *tmp);

/* A slice of a part's content. In: at, skip, length (0: only count). Out: data (lives in mem), size, end, and at and skip
 * for the slice behind this one. */
struct read_slice {
    uint64_t at;            /* a place in the part where a walk may begin: 0, or what an earlier slice gave */
    uint64_t skip;          /* bytes of the content behind it; at most SIZE_MAX / 4 */
    uint32_t length;
    bool end;               /* nothing follows */
    uint64_t size;          /* bytes of the content walked over, from the first `at` on */
    struct span data;
};
void read_slice(struct span message, const struct mime_part *part, enum part_form form, struct read_slice *s,
                struct arena *mem);

#endif
