/* Fuzz target: rdata of every type that is read; the first byte chooses. */
#include "run/dns_rr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(struct span name)
{
    if (name.n > 0 && !dns_rr_askable(name))
        abort(); /* what is read can be asked for */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena mem;
    struct dns_mx_host mx;
    struct dns_tlsa tlsa;
    struct conn_addr addr;
    struct span text;
    if (size == 0)
        return 0;
    struct span rdata = span_of(data + 1, size - 1);
    switch (data[0] % 6) {
    case 0:
        if (dns_rr_mx(rdata, &mx, &mem) == 0)
            check_name(mx.name);
        break;
    case 1:
        if (dns_rr_name(rdata, &text, &mem) == 0)
            check_name(text);
        break;
    case 2:
        if (dns_rr_txt(rdata, &text, &mem) == 0 && text.n >= rdata.n)
            abort();
        break;
    case 3:
        if (dns_rr_tlsa(rdata, &tlsa) == 0 && tlsa.data.n + 3 != rdata.n)
            abort();
        break;
    case 4:
        dns_rr_addr(rdata.n % 2 ? DNS_A : DNS_AAAA, rdata, &addr);
        break;
    default:
        dns_rr_askable(rdata);
    }
    arena_reset(&mem);
    return 0;
}
