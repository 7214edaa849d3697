/* dns_tlsa: a TLSA record as RFC 6698 2.1 has it. */
#ifndef POSTEL_DNS_TLSA_H
#define POSTEL_DNS_TLSA_H

#include "base/span.h"

struct dns_tlsa {
    uint8_t usage, selector, matching; /* any values: RFC 6698 2.1.1 to 2.1.3 */
    struct span data;
};

#endif
