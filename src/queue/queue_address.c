#include "queue/queue_address.h"

static const unsigned char v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* RFC 6890 2.2.2 and 2.2.3, and multicast (RFC 5771, RFC 4291 2.7). */
static const struct {
    unsigned char net[4];
    unsigned bits;
} special_v4[] = {
    {{0, 0, 0, 0}, 8},      {{10, 0, 0, 0}, 8},     {{100, 64, 0, 0}, 10}, {{127, 0, 0, 0}, 8},    {{169, 254, 0, 0}, 16},
    {{172, 16, 0, 0}, 12},  {{192, 0, 0, 0}, 24},   {{192, 0, 2, 0}, 24},  {{192, 168, 0, 0}, 16}, {{198, 18, 0, 0}, 15},
    {{198, 51, 100, 0}, 24}, {{203, 0, 113, 0}, 24}, {{224, 0, 0, 0}, 4},   {{240, 0, 0, 0}, 4},
};

static bool special_four(const unsigned char ip[4])
{
    for (size_t i = 0; i < COUNT_OF(special_v4); i++) {
        uint32_t a = (uint32_t)ip[0] << 24 | (uint32_t)ip[1] << 16 | (uint32_t)ip[2] << 8 | ip[3];
        const unsigned char *n = special_v4[i].net;
        uint32_t b = (uint32_t)n[0] << 24 | (uint32_t)n[1] << 16 | (uint32_t)n[2] << 8 | n[3];
        if ((a ^ b) >> (32 - special_v4[i].bits) == 0)
            return true;
    }
    return false;
}

bool queue_address_special(const unsigned char ip[16])
{
    static const unsigned char zero[12] = {0}, nat64[12] = {0, 0x64, 0xff, 0x9b};
    if (memcmp(ip, v4_prefix, sizeof v4_prefix) == 0)
        return special_four(ip + 12);
    if (memcmp(ip, zero, sizeof zero) == 0) /* ::, ::1, and the IPv4-compatible ones, long out of use */
        return true;
    if (memcmp(ip, nat64, sizeof nat64) == 0)
        return special_four(ip + 12);
    if (ip[0] == 0x20 && ip[1] == 0x02) /* 6to4 carries an IPv4 address */
        return special_four(ip + 2);
    return (ip[0] & 0xe0) != 0x20                                     /* outside of 2000::/3: ULA, link-local, multicast... */
           || (ip[0] == 0x20 && ip[1] == 0x01 && ip[2] < 2)           /* 2001::/23: Teredo, benchmarking, ORCHID */
           || (ip[0] == 0x20 && ip[1] == 0x01 && ip[2] == 0x0d && ip[3] == 0xb8) /* documentation */
           || (ip[0] == 0x3f && ip[1] == 0xff && ip[2] < 0x10);       /* 3fff::/20: documentation */
}
