/* preview: decodes the beginning of the first text part. How much of it is looked at is bounded, so that a message's size
 * does not matter here. */
#include "format/preview.h"

#include "base/base64.h"
#include "base/qp.h"
#include "base/utf8.h"
#include "format/charset.h"
#include "format/html_text.h"

enum {
    PLAIN_FIRST = 1024,         /* raw bytes of a plain text part; */
    PLAIN_BYTES = 8192,         /* more when they gave little */
    HTML_FIRST = 16384,         /* the same of an HTML part, where style sheets come first */
    HTML_BYTES = 262144,
    HTML_TEXT = 4096,           /* bytes of visible text that are enough */
    TRIES = 3,                  /* text parts */
};

/* White space of any kind, and controls. */
static bool is_space(uint32_t cp)
{
    return cp <= 0x20 || (cp >= 0x7F && cp <= 0xA0) || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200A) || cp == 0x2028 ||
           cp == 0x2029 || cp == 0x202F || cp == 0x205F || cp == 0x3000;
}

/* What has no shape of its own: newsletters pad their previews with it, and bidi controls lie about the order. */
static bool is_invisible(uint32_t cp)
{
    return cp == 0xAD || cp == 0x34F || cp == 0x61C || cp == 0x180E || (cp >= 0x200B && cp <= 0x200F) ||
           (cp >= 0x202A && cp <= 0x202E) || (cp >= 0x2060 && cp <= 0x206F) || cp == 0xFEFF || (cp >= 0xE0000 && cp <= 0xE007F);
}

static struct span fold(struct span text, struct arena *mem)
{
    char *out = arena_alloc(mem, PREVIEW_CHARS * 4 + 1);
    size_t n = 0, at = 0, chars = 0;
    bool space = false;
    uint32_t cp;
    while (at < text.n && chars < PREVIEW_CHARS) {
        size_t len = utf8_decode(span_from(text, at), &cp);
        if (len == 0 || is_space(cp)) {
            space = chars > 0;
            at += len > 0 ? len : 1;
            continue;
        }
        if (!is_invisible(cp)) {
            if (space && chars + 1 == PREVIEW_CHARS)
                break;
            if (space)
                out[n++] = ' ';
            chars += 1u + space;
            space = false;
            memcpy(out + n, text.p + at, len);
            n += len;
        }
        at += len;
    }
    return span_of(out, n);
}

static struct span decode(struct span raw, const struct mime_part *p, struct arena *mem)
{
    struct str bytes, text;
    struct span charset = mime_param(&p->type, SPAN("charset"));
    str_init(&bytes, mem);
    str_init(&text, mem);
    if (p->at.encoding == MIME_BASE64)
        base64_decode_mime(&bytes, raw);
    else if (p->at.encoding == MIME_QP)
        qp_decode(&bytes, raw);
    struct span in = p->at.encoding == MIME_BASE64 || p->at.encoding == MIME_QP ? str_span(&bytes) : raw;
    if (charset.n == 0 && utf8_ascii(in))
        return in;
    charset_to_utf8(&text, charset, in);
    return str_span(&text);
}

static struct span part_text(struct span body, const struct mime_part *p, struct arena *mem)
{
    bool html = p->at.type == MIME_TEXT_HTML;
    size_t last = html ? HTML_BYTES : PLAIN_BYTES;
    for (size_t most = html ? HTML_FIRST : PLAIN_FIRST;; most = last) {
        struct span text = decode(span_sub(body, 0, most), p, mem);
        if (html) {
            struct str seen;
            str_init(&seen, mem);
            html_text(&seen, text, HTML_TEXT);
            text = str_span(&seen);
        }
        struct span out = fold(text, mem);
        if (out.n >= PREVIEW_CHARS || most >= body.n || most == last)
            return out;
    }
}

struct span preview_make(struct span message, const struct mime_tree *t, struct arena *mem)
{
    unsigned tries = 0;
    for (uint32_t i = 0; i < t->n && tries < TRIES; i++) {
        const struct mime_part *p = &t->v[i];
        bool text = p->at.type == MIME_TEXT_PLAIN || p->at.type == MIME_TEXT_HTML || p->at.type == MIME_TEXT;
        if (!text || p->attachment || p->at.encoding == MIME_UNKNOWN)
            continue;
        struct span out = part_text(span_sub(message, p->at.body_at, p->at.body_end - p->at.body_at), p, mem);
        if (out.n > 0)
            return out;
        tries++;
    }
    return SPAN("");
}
