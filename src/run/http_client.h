/* http_client: small documents by HTTPS, for MTA-STS: libcurl on the work pool, addresses from our own resolver. */
#ifndef POSTEL_HTTP_CLIENT_H
#define POSTEL_HTTP_CLIENT_H

#include "run/dns.h"

/* Once, before Landlock. ca_pem: the authorities (lives on), SPAN_NONE: none, so that nothing is fetched. may: whether an
 * address (IPv6; IPv4 mapped) may be connected to. The role needs threads of the work pool. */
int http_client_open(struct span ca_pem, bool (*may)(const unsigned char ip[16]), struct fail *f);
void http_client_close(void);

struct http_client_get {
    struct span host;       /* A-labels; the certificate must be for it */
    uint16_t port;
    struct span path;       /* "/.well-known/mta-sts.txt" */
    size_t most;            /* bytes of the body; a larger one fails */
    int64_t wait_ms;        /* for all of it */
};

struct http_client_got {
    int status;             /* 200 alone has a body */
    struct span type;       /* media type in lower case without parameters, or empty */
    struct span body;
};

/* GET, TLS 1.2 or later, certificate checked, no redirect followed, no proxy, nothing remembered. 0, or -1 with *f
 * (FAIL_TEMP) when no answer came; an answer other than 200 is an answer. Lives in mem. Not ended by cancel. */
WAITS int http_client_fetch(const struct http_client_get *get, struct http_client_got *out, struct arena *mem, struct fail *f);

#endif
