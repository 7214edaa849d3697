/* Names in rdata come uncompressed and become text. Only letters, digits, hyphens and underscores may be in them: what has
 * anything else is no host that mail could go to or come from, and could upset whoever prints it. */
#include "run/dns_rr.h"

enum { LABEL_MAX = 63 };

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static int add_label(char *out, size_t *n, struct span label)
{
    if (*n + (*n > 0) + label.n > DNS_NAME_MAX)
        return -1;
    if (*n > 0)
        out[(*n)++] = '.';
    for (size_t i = 0; i < label.n; i++) {
        char c = label.p[i];
        if (!name_char(c))
            return -1;
        out[(*n)++] = (char)(c >= 'A' && c <= 'Z' ? c | 32 : c);
    }
    return 0;
}

/* RFC 1035 3.1: labels, each with its length in front, up to the empty one of the root. The name is all there is. */
static int read_name(struct span s, struct span *out, struct arena *mem)
{
    char text[DNS_NAME_MAX];
    size_t n = 0;
    for (;;) {
        if (s.n == 0)
            return -1;
        size_t len = (unsigned char)s.p[0];
        if (len == 0)
            break;
        if (len > LABEL_MAX || len >= s.n || add_label(text, &n, span_sub(s, 1, len)) != 0)
            return -1;
        s = span_from(s, 1 + len);
    }
    if (s.n != 1)
        return -1;
    *out = arena_copy(mem, span_of(text, n));
    return 0;
}

int dns_rr_name(struct span rdata, struct span *out, struct arena *mem)
{
    return read_name(rdata, out, mem);
}

int dns_rr_mx(struct span rdata, struct dns_mx_host *out, struct arena *mem)
{
    if (rdata.n < 3)
        return -1;
    out->preference = (uint16_t)((unsigned char)rdata.p[0] << 8 | (unsigned char)rdata.p[1]);
    return read_name(span_from(rdata, 2), &out->name, mem);
}

int dns_rr_txt(struct span rdata, struct span *out, struct arena *mem)
{
    char *text = arena_alloc(mem, rdata.n + 1);
    size_t n = 0;
    if (rdata.n == 0) /* RFC 1035 3.3.14: one or more strings */
        return -1;
    while (rdata.n > 0) {
        size_t len = (unsigned char)rdata.p[0];
        if (len >= rdata.n)
            return -1;
        memcpy(text + n, rdata.p + 1, len);
        n += len;
        rdata = span_from(rdata, 1 + len);
    }
    text[n] = '\0';
    *out = span_of(text, n);
    return 0;
}

int dns_rr_tlsa(struct span rdata, struct dns_tlsa *out)
{
    if (rdata.n < 4) /* RFC 6698 2.1: three octets, and data */
        return -1;
    *out = (struct dns_tlsa){(uint8_t)rdata.p[0], (uint8_t)rdata.p[1], (uint8_t)rdata.p[2], span_from(rdata, 3)};
    return 0;
}

int dns_rr_addr(enum dns_type type, struct span rdata, struct conn_addr *out)
{
    if (rdata.n != (type == DNS_A ? 4 : 16))
        return -1;
    return conn_addr_ip(out, rdata, 0);
}

bool dns_rr_askable(struct span name)
{
    if (name.n > 0 && name.p[name.n - 1] == '.')
        name.n--;
    if (name.n == 0 || name.n > DNS_NAME_MAX)
        return false;
    while (name.p != NULL) {
        struct span label = span_split(&name, '.');
        if (label.n == 0 || label.n > LABEL_MAX)
            return false;
        for (size_t i = 0; i < label.n; i++)
            if (label.p[i] <= ' ' || label.p[i] > '~' || label.p[i] == '\\') /* \ begins an escape */
                return false;
    }
    return true;
}
