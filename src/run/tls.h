/* tls: one TLS context per service (own tickets, own ALPN: RFC 9325, SEC-04), whose private keys live elsewhere. */
#ifndef POSTEL_TLS_H
#define POSTEL_TLS_H

#include "base/span.h"
#include "base/fail.h"

struct tls_service;

/* A certificate chain and the number by which auth knows its key. */
struct tls_chain {
    uint64_t key_id;
    struct span pem;    /* leaf first */
};

/* Signs a digest with the key `key_id` (ECDSA, DER): called during a handshake, inside its coroutine. Returns the
 * signature's length in sig[0..cap), or -1. */
typedef ptrdiff_t tls_sign_fn(uint64_t key_id, struct span digest, unsigned char *sig, size_t cap);

/* name: static; alpn: protocol names in wire form, or SPAN_NONE. TLS 1.2 and 1.3, no renegotiation, no compression. */
struct tls_service *tls_service_new(const char *name, struct span alpn, tls_sign_fn *sign);
/* Replaces the certificates of all later handshakes; the first is the default, others by SNI (RFC 6066 3). 0 or -1. */
int tls_service_load(struct tls_service *t, const struct tls_chain *chains, size_t n, struct fail *f);
bool tls_service_ready(const struct tls_service *t); /* has a certificate: STARTTLS may be announced */
void tls_service_free(struct tls_service *t);

#endif
