/* read: header field values in their forms. */
#include "format/read.h"

#include "base/utf8.h"
#include "format/address.h"
#include "format/date.h"
#include "format/encword.h"
#include "format/message_id.h"

#include <endian.h>
#include <stdlib.h>
#include <uninorm.h>

static void put_string(struct str *out, struct span s)
{
    uint32_t n = htole32((uint32_t)s.n);
    str_add(out, span_of(&n, 4));
    str_add(out, s);
}

/* RFC 8621 4.1.2.2: decoded text is in NFC, or as it was when libunistring cannot do it. */
static struct span text(struct span value, struct arena *tmp)
{
    struct str s;
    size_t n = 0;
    str_init(&s, tmp);
    encword_decode(&s, value);
    if (s.n == 0)
        return SPAN("");
    bool ascii = true;
    for (size_t i = 0; i < s.n && ascii; i++)
        ascii = (s.p[i] & 0x80) == 0;
    uint8_t *nfc = ascii ? NULL : u8_normalize(UNINORM_NFC, (const uint8_t *)s.p, s.n, NULL, &n);
    if (nfc == NULL)
        return str_span(&s);
    struct span out = arena_copy(tmp, span_of(nfc, n));
    free(nfc);
    return out;
}

static void addresses(struct str *out, struct span value, size_t stop, struct arena *tmp)
{
    struct address_reader r;
    struct address a;
    address_begin(&r, value, tmp);
    while (address_next(&r, &a)) {
        struct span name = a.name.n > 0 ? text(a.name, tmp) : SPAN("");
        if (out->n + 13 + name.n + a.local.n + a.domain.n > stop)
            return;
        str_addc(out, (char)a.kind);
        put_string(out, name);
        put_string(out, a.local);
        put_string(out, a.domain);
    }
}

static void message_ids(struct str *out, struct span value, size_t stop, struct arena *tmp)
{
    struct span id;
    while (message_id_next(&value, &id, tmp) && out->n + 4 + id.n <= stop)
        put_string(out, id);
}

/* RFC 2369 2: URLs in <>, separated by commas; blanks inside are left out, comments are none of ours. */
static void urls(struct str *out, struct span value, size_t stop, struct arena *tmp)
{
    size_t at = 0, depth = 0;
    for (; at < value.n; at++) {
        char c = value.p[at];
        if (c == '(' || (c == ')' && depth > 0)) {
            depth += c == '(' ? 1 : (size_t)-1;
            continue;
        }
        if (c != '<' || depth > 0)
            continue;
        struct span rest = span_from(value, at + 1);
        ptrdiff_t end = span_find_char(rest, '>');
        if (end < 0)
            return;
        char *url = arena_alloc(tmp, (size_t)end + 1);
        size_t n = 0;
        for (ptrdiff_t i = 0; i < end; i++)
            if (strchr(" \t\r\n", rest.p[i]) == NULL)
                url[n++] = rest.p[i];
        if (out->n + 4 + n > stop)
            return;
        put_string(out, span_of(url, n));
        at += (size_t)end + 1;
    }
}

void read_value(struct str *out, struct span value, enum read_form form, size_t most, struct arena *tmp)
{
    int64_t date_s;
    size_t stop = out->n + most;
    switch (form) {
    case READ_RAW:
        str_add(out, span_sub(value, 0, most));
        break;
    case READ_TEXT:
        str_add(out, utf8_clip(text(value, tmp), most));
        break;
    case READ_ADDRESSES:
        addresses(out, value, stop, tmp);
        break;
    case READ_MESSAGE_IDS:
        message_ids(out, value, stop, tmp);
        break;
    case READ_DATE:
        if (date_parse(value, &date_s) == 0 && most >= 8) {
            uint64_t le = htole64((uint64_t)date_s);
            str_add(out, span_of(&le, 8));
        }
        break;
    case READ_URLS:
        urls(out, value, stop, tmp);
        break;
    case READ_FORM_COUNT:
        break;
    }
}

void read_slice(struct span message, const struct mime_part *part, enum part_form form, struct read_slice *s,
                struct arena *mem)
{
    struct part_text t;
    struct span piece;
    struct str data;
    size_t pos = 0, clean_pos = 0, skip = (size_t)s->skip, stop = skip + s->length;
    str_init(&data, mem);
    str_reserve(&data, s->length);
    part_text_begin(&t, message, part, form, (size_t)s->at, mem);
    while ((s->length == 0 || pos < stop) && part_text_next(&t, &piece)) {
        if (t.clean && part_text_resumes(&t)) {
            s->at = t.at;
            clean_pos = pos;
        }
        size_t from = MIN_OF(MAX_OF(pos, skip) - pos, piece.n), to = MIN_OF(MAX_OF(pos, stop) - pos, piece.n);
        str_add(&data, span_sub(piece, from, to - from));
        pos += piece.n;
    }
    s->data = data.n > 0 ? str_span(&data) : SPAN("");
    s->size = pos;
    s->end = t.done && (s->length == 0 || pos <= stop);
    s->skip = MIN_OF(skip + data.n, pos) - MIN_OF(clean_pos, skip + data.n);
}
