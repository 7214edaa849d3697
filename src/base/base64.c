/* base64: encoding, strict decoding, and the lenient decoding that bodies need. */
#include "base/base64.h"

/* Values of ASCII characters: 62 and 63 are of the standard alphabet, 126 and 127 of the url one, 255 is of neither. */
static const unsigned char values[128] = {
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 62, 255, 126, 255, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 255, 255, 255, 255, 255, 255,
    255, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 255, 255, 255, 255, 127,
    255, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 255, 255, 255, 255, 255,
};

/* 0..63, or more when c is not in the alphabet. */
static unsigned value_of(char c, bool url)
{
    unsigned char u = (unsigned char)c;
    if (u >= 128)
        return 255;
    return url && values[u] >= 62 ? values[u] ^ 64u : values[u];
}

static void encode(struct str *out, struct span in, const char *alphabet, bool pad)
{
    if (in.n == 0)
        return;
    const unsigned char *b = (const unsigned char *)in.p;
    size_t i = 0;
    str_reserve(out, (in.n + 2) / 3 * 4);
    char *to = out->p + out->n;
    for (; i + 3 <= in.n; i += 3) {
        uint32_t bits = (uint32_t)b[i] << 16 | (uint32_t)b[i + 1] << 8 | b[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6)
            *to++ = alphabet[bits >> shift & 63];
    }
    if (i < in.n) {
        bool two = in.n - i == 2;
        uint32_t bits = (uint32_t)b[i] << 16 | (two ? (uint32_t)b[i + 1] << 8 : 0);
        *to++ = alphabet[bits >> 18];
        *to++ = alphabet[bits >> 12 & 63];
        if (two)
            *to++ = alphabet[bits >> 6 & 63];
        for (size_t k = two ? 3 : 2; pad && k < 4; k++)
            *to++ = '=';
    }
    out->n = (size_t)(to - out->p);
}

void base64_encode(struct str *out, struct span in)
{
    encode(out, in, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", true);
}

void base64url_encode(struct str *out, struct span in)
{
    encode(out, in, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", false);
}

/* in holds no padding any more; a last group of 2 or 3 characters gives 1 or 2 bytes. */
static int decode(struct str *out, struct span in, bool url)
{
    uint32_t bits = 0;
    if (in.n % 4 == 1)
        return -1;
    str_reserve(out, in.n / 4 * 3 + 2);
    for (size_t i = 0; i < in.n; i++) {
        unsigned v = value_of(in.p[i], url);
        if (v > 63)
            return -1;
        bits = bits << 6 | v;
        if (i % 4 == 3) {
            out->p[out->n++] = (char)(bits >> 16);
            out->p[out->n++] = (char)(bits >> 8);
            out->p[out->n++] = (char)bits;
            bits = 0;
        }
    }
    /* RFC 4648 3.5: pad bits that are not zero would give one secret several spellings */
    if (in.n % 4 == 2) {
        str_addc(out, (char)(bits >> 4));
        return bits & 15 ? -1 : 0;
    }
    if (in.n % 4 == 3) {
        str_addc(out, (char)(bits >> 10));
        str_addc(out, (char)(bits >> 2));
        return bits & 3 ? -1 : 0;
    }
    return 0;
}

int base64_decode(struct str *out, struct span in)
{
    if (in.n % 4 != 0)
        return -1;
    for (int pad = 0; pad < 2 && in.n > 0 && in.p[in.n - 1] == '='; pad++)
        in.n--;
    return decode(out, in, false);
}

int base64url_decode(struct str *out, struct span in) { return decode(out, in, true); }

void base64_decode_mime(struct str *out, struct span in)
{
    uint32_t bits = 0;
    int have = 0;
    str_reserve(out, in.n / 4 * 3 + 3);
    char *to = out->p + out->n;
    for (size_t i = 0; i < in.n && in.p[i] != '='; i++) {
        unsigned v = value_of(in.p[i], false);
        if (v > 63) /* RFC 2045 6.8: characters outside the alphabet must be ignored */
            continue;
        bits = bits << 6 | v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            *to++ = (char)(bits >> have);
        }
    }
    out->n = (size_t)(to - out->p);
}
