/* net: see the header. */
#include "run/net.h"

#include <arpa/inet.h>

#include "base/num.h"

int net_address(struct span text, unsigned char ip[16])
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    char z[64];
    if (text.n == 0 || text.n >= sizeof z || memchr(text.p, 0, text.n) != NULL)
        return -1;
    memcpy(z, text.p, text.n);
    z[text.n] = 0;
    if (inet_pton(AF_INET6, z, ip) == 1)
        return 0;
    memcpy(ip, mapped, sizeof mapped);
    return inet_pton(AF_INET, z, ip + 12) == 1 ? 0 : -1;
}

static bool same_bits(const unsigned char a[16], const unsigned char b[16], unsigned bits)
{
    unsigned whole = bits / 8, part = bits % 8;
    return memcmp(a, b, whole) == 0 && (part == 0 || (a[whole] ^ b[whole]) >> (8 - part) == 0);
}

int net_parse(struct span text, struct net *out)
{
    struct span rest = text, address = span_split(&rest, '/');
    bool v4 = span_find_char(address, ':') < 0;
    uint64_t bits = v4 ? 32 : 128;
    if (net_address(address, out->ip) < 0 || (rest.p != NULL && num_u64(rest, bits, &bits) < 0))
        return -1;
    out->bits = (unsigned)bits + (v4 ? 96 : 0);
    for (unsigned i = out->bits; i < 128; i++)
        if (out->ip[i / 8] & (0x80 >> i % 8))
            return -1;
    return 0;
}

bool net_has(const struct net *n, const unsigned char ip[16])
{
    return same_bits(n->ip, ip, n->bits);
}
