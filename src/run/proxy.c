/* Both versions begin with bytes that no protocol of ours does, so a header is there or the connection ends. */
#include "run/proxy.h"

#include "base/num.h"
#include "run/net.h"

enum { V1_MOST = 107, V2_FIXED = 16 };

static const char v2_magic[12] = "\r\n\r\n\0\r\nQUIT\n";

/* ---- version 1: "PROXY TCP4 192.0.2.1 192.0.2.2 4000 25\r\n" ---- */

static int address(struct span text, bool v4, unsigned char ip[16])
{
    return (span_find_char(text, ':') < 0) == v4 ? net_address(text, ip) : -1;
}

static int port(struct span text, uint16_t *out)
{
    uint64_t n;
    if (num_u64(text, 65535, &n) < 0)
        return -1;
    *out = (uint16_t)n;
    return 0;
}

static int v1_line(struct span line, struct proxy *out)
{
    struct span family;
    line = span_from(line, 6);
    family = span_split(&line, ' ');
    if (span_eq(family, SPAN("UNKNOWN"))) /* whatever else it says is to be ignored */
        return 0;
    bool v4 = span_eq(family, SPAN("TCP4"));
    if (!v4 && !span_eq(family, SPAN("TCP6")))
        return -1;
    if (address(span_split(&line, ' '), v4, out->peer) < 0 || address(span_split(&line, ' '), v4, out->local) < 0 ||
        port(span_split(&line, ' '), &out->peer_port) < 0 || port(span_split(&line, ' '), &out->local_port) < 0 ||
        line.p != NULL)
        return -1;
    out->known = true;
    return 0;
}

static ptrdiff_t v1(struct span in, struct proxy *out, size_t *need)
{
    ptrdiff_t lf = span_find_char(span_sub(in, 0, V1_MOST), '\n');
    if (lf < 0) {
        *need = 1; /* its end is not announced */
        return in.n < V1_MOST ? 0 : -1;
    }
    if (lf == 0 || in.p[lf - 1] != '\r')
        return -1;
    return v1_line(span_sub(in, 0, (size_t)lf - 1), out) < 0 ? -1 : lf + 1;
}

/* ---- version 2 ---- */

static void v4_mapped(unsigned char out[16], const char *from)
{
    memset(out, 0, 10);
    memset(out + 10, 0xff, 2);
    memcpy(out + 12, from, 4);
}

static uint16_t be16(const char *p)
{
    return (uint16_t)((unsigned char)p[0] << 8 | (unsigned char)p[1]);
}

static void v2_addresses(const char *p, size_t size, struct proxy *out)
{
    if (size == 4) {
        v4_mapped(out->peer, p);
        v4_mapped(out->local, p + 4);
    } else {
        memcpy(out->peer, p, 16);
        memcpy(out->local, p + 16, 16);
    }
    out->peer_port = be16(p + 2 * size);
    out->local_port = be16(p + 2 * size + 2);
    out->known = true;
}

static ptrdiff_t v2(struct span in, struct proxy *out, size_t *need)
{
    if (in.n < V2_FIXED) {
        *need = V2_FIXED - in.n;
        return 0;
    }
    unsigned char command = (unsigned char)in.p[12], family = (unsigned char)in.p[13];
    size_t whole = V2_FIXED + (size_t)be16(in.p + 14);
    size_t size = family == 0x11 ? 4 : family == 0x21 ? 16 : 0; /* TCP over IPv4, over IPv6 */
    if ((command != 0x20 && command != 0x21) || whole > PROXY_MOST || whole < V2_FIXED + (size > 0 ? 2 * size + 4 : 0))
        return -1;
    if (in.n < whole) {
        *need = whole - in.n;
        return 0;
    }
    if (command == 0x21 && size > 0) /* 0x20: LOCAL, the proxy looks after us */
        v2_addresses(in.p + V2_FIXED, size, out);
    return (ptrdiff_t)whole;
}

ptrdiff_t proxy_parse(struct span in, struct proxy *out, size_t *need)
{
    static const struct span word = {"PROXY ", 6};
    *out = (struct proxy){0};
    *need = 15; /* "PROXY UNKNOWN\r\n", the shortest of all */
    if (in.n == 0)
        return 0;
    if (memcmp(in.p, word.p, MIN_OF(in.n, word.n)) == 0) {
        if (in.n >= word.n)
            return v1(in, out, need);
        *need = word.n - in.n;
        return 0;
    }
    return memcmp(in.p, v2_magic, MIN_OF(in.n, sizeof v2_magic)) == 0 ? v2(in, out, need) : -1;
}
