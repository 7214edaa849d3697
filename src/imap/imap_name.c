/* imap_name: names on the wire and inside, and the patterns of LIST. */
#include "imap/imap_name.h"

#include <uninorm.h>

#include "base/limits.h"
#include "base/utf8.h"
#include "imap/imap_grammar.h"

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/* ---- modified UTF-7 (RFC 3501 5.1.3) ---- */

static int value_of(char c)
{
    const char *at = c != 0 ? strchr(base64, c) : NULL;
    return at != NULL ? (int)(at - base64) : -1;
}

/* UTF-16 units one by one; a pair becomes one character. */
struct units {
    struct str *out;
    uint32_t high; /* first half of a pair, or 0 */
};

static bool add_unit(struct units *u, uint32_t unit)
{
    char utf8[4];
    bool low = unit >= 0xDC00 && unit <= 0xDFFF;
    if (low != (u->high != 0))
        return false;
    if (unit >= 0xD800 && unit <= 0xDBFF) {
        u->high = unit;
        return true;
    }
    if (low)
        unit = 0x10000 + ((u->high - 0xD800) << 10) + (unit - 0xDC00);
    else if (unit >= 0x20 && unit < 0x7F) /* printable ASCII stands for itself: one name, one spelling */
        return false;
    u->high = 0;
    str_add(u->out, span_of(utf8, utf8_encode(unit, utf8)));
    return true;
}

/* "&...-" from behind the "&"; how long with its "-", 0: not well formed. */
static size_t decode_shift(struct str *out, struct span s)
{
    struct units u = {.out = out};
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t i = 0;
    for (; i < s.n && s.p[i] != '-'; i++) {
        int v = value_of(s.p[i]);
        if (v < 0)
            return 0;
        bits = (bits << 6 | (uint32_t)v) & 0xFFFFFF;
        n_bits += 6;
        if (n_bits >= 16) {
            n_bits -= 16;
            if (!add_unit(&u, bits >> n_bits & 0xFFFF))
                return 0;
        }
    }
    bool whole = i < s.n && i > 0 && n_bits < 6 && (bits & ((1u << n_bits) - 1)) == 0 && u.high == 0;
    return whole ? i + 1 : 0;
}

bool imap_name_decode(struct str *out, struct span in)
{
    for (size_t i = 0; i < in.n; i++) {
        unsigned char c = (unsigned char)in.p[i];
        if (c < 0x20 || c > 0x7E)
            return false;
        if (c != '&') {
            str_addc(out, (char)c);
        } else if (i + 1 < in.n && in.p[i + 1] == '-') {
            str_addc(out, '&');
            i++;
        } else {
            size_t n = decode_shift(out, span_from(in, i + 1));
            if (n == 0)
                return false;
            i += n;
        }
    }
    return true;
}

static void encode_unit(struct str *out, uint32_t unit, uint32_t *bits, unsigned *n_bits)
{
    *bits = *bits << 16 | unit;
    *n_bits += 16;
    while (*n_bits >= 6) {
        *n_bits -= 6;
        str_addc(out, base64[*bits >> *n_bits & 63]);
    }
    *bits &= (1u << *n_bits) - 1;
}

void imap_name_encode(struct str *out, struct span in)
{
    uint32_t bits = 0, cp;
    unsigned n_bits = 0;
    bool shifted = false;
    for (size_t i = 0; i < in.n;) {
        size_t n = utf8_decode(span_from(in, i), &cp);
        bool plain = n == 1 && cp >= 0x20 && cp < 0x7F;
        if (n == 0) { /* not from our store */
            cp = 0xFFFD;
            n = 1;
        }
        if (plain && shifted) {
            if (n_bits > 0)
                str_addc(out, base64[bits << (6 - n_bits) & 63]);
            str_addc(out, '-');
            bits = n_bits = 0;
            shifted = false;
        }
        if (plain) {
            str_addc(out, in.p[i]);
            if (cp == '&')
                str_addc(out, '-');
        } else {
            if (!shifted)
                str_addc(out, '&');
            shifted = true;
            if (cp >= 0x10000) {
                encode_unit(out, 0xD800 + ((cp - 0x10000) >> 10), &bits, &n_bits);
                encode_unit(out, 0xDC00 + ((cp - 0x10000) & 0x3FF), &bits, &n_bits);
            } else {
                encode_unit(out, cp, &bits, &n_bits);
            }
        }
        i += n;
    }
    if (shifted) {
        if (n_bits > 0)
            str_addc(out, base64[bits << (6 - n_bits) & 63]);
        str_addc(out, '-');
    }
}

void imap_name_add(struct str *out, struct span path, bool utf8)
{
    struct str coded;
    if (utf8 || utf8_ascii(path)) {
        bool amp = !utf8 && path.n > 0 && memchr(path.p, '&', path.n) != NULL;
        if (!amp) {
            imap_grammar_add_astring(out, path, utf8);
            return;
        }
    }
    str_init(&coded, out->mem);
    imap_name_encode(&coded, path);
    imap_grammar_add_astring(out, str_span(&coded), false);
}

/* ---- paths ---- */

struct span imap_name_leaf(struct span path)
{
    return span_from(path, (size_t)(span_rfind_char(path, '/') + 1));
}

struct span imap_name_parent(struct span path)
{
    ptrdiff_t at = span_rfind_char(path, '/');
    return at < 0 ? SPAN("") : span_sub(path, 0, (size_t)at);
}

/* NFC, as store keeps names; lives in mem. */
static bool normal(struct span in, struct arena *mem, struct span *out)
{
    size_t n = 0;
    uint8_t *v = u8_normalize(UNINORM_NFC, (const uint8_t *)in.p, in.n, NULL, &n);
    if (v == NULL)
        return false;
    *out = arena_copy(mem, span_of(v, n));
    free(v);
    return true;
}

static bool levels_fine(struct span path)
{
    for (struct span rest = path; rest.p != NULL;) {
        struct span level = span_split(&rest, '/');
        if (level.n == 0)
            return false;
    }
    for (size_t i = 0; i < path.n; i++)
        if ((unsigned char)path.p[i] < 0x20 || path.p[i] == 0x7F)
            return false;
    return true;
}

bool imap_name_wide(struct span wire, bool utf8, struct arena *mem, struct span *out)
{
    struct str s;
    str_init(&s, mem);
    if (utf8)
        *out = wire;
    else if (imap_name_decode(&s, wire))
        *out = str_span(&s);
    else /* a client that never learned of UTF-7 */
        *out = wire;
    if (out->n > 0 && !utf8_valid(*out))
        return false;
    return out->n == 0 || utf8_ascii(*out) || normal(*out, mem, out);
}

bool imap_name_read(struct span wire, bool utf8, struct arena *mem, struct span *path)
{
    size_t most = (size_t)(LIMIT(MAILBOX_NAME_BYTES) * LIMIT(MAILBOX_DEPTH));
    /* modified UTF-7 takes at most four times the room of UTF-8; NFC may take more than what came */
    if (wire.n > 4 * most || !imap_name_wide(wire, utf8, mem, path) || path->n > most)
        return false;
    if (path->n > 1 && path->p[path->n - 1] == '/') /* RFC 9051 6.3.4: only says that children will follow */
        path->n--;
    if (path->n == 0 || !levels_fine(*path))
        return false;
    /* RFC 9051 5.1: INBOX in any case; as a parent as well, for there is no other one beside it */
    if (span_starts_nocase(*path, SPAN("INBOX")) && (path->n == 5 || path->p[5] == '/')) {
        struct str s;
        str_init(&s, mem);
        str_addz(&s, "INBOX");
        str_add(&s, span_from(*path, 5));
        *path = str_span(&s);
    }
    return true;
}

/* ---- patterns ---- */

/* Which prefixes of the pattern match the path so far, one bit each: a step per character of the path, no way back. */
static void close_over(struct span pattern, unsigned char *on)
{
    for (size_t i = 0; i < pattern.n; i++)
        if (on[i] && (pattern.p[i] == '*' || pattern.p[i] == '%'))
            on[i + 1] = 1; /* may be empty */
}

static bool match(struct span pattern, struct span path, bool nocase)
{
    unsigned char now[IMAP_NAME_PATTERN + 1] = {1}, next[IMAP_NAME_PATTERN + 1];
    close_over(pattern, now);
    for (size_t k = 0; k < path.n; k++) {
        memset(next, 0, pattern.n + 1);
        for (size_t i = 0; i < pattern.n; i++) {
            char c = pattern.p[i];
            if (!now[i])
                continue;
            if (c == '*' || (c == '%' && path.p[k] != '/'))
                next[i] = 1;
            else if (c == path.p[k] || (nocase && k < 5 && span_eq_nocase(span_of(&c, 1), span_of(path.p + k, 1))))
                next[i + 1] = 1;
        }
        close_over(pattern, next);
        memcpy(now, next, pattern.n + 1);
    }
    return now[pattern.n] != 0;
}

bool imap_name_match(struct span pattern, struct span path)
{
    if (pattern.n > IMAP_NAME_PATTERN)
        return false;
    return match(pattern, path, span_starts(path, SPAN("INBOX")) && (path.n == 5 || path.p[5] == '/'));
}
