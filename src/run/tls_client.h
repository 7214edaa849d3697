/* tls_client: what a connection that we open wants of TLS, and what came of it. Exports tls_verify, tls_cause too. */
#ifndef POSTEL_TLS_CLIENT_H
#define POSTEL_TLS_CLIENT_H

#include "base/fail.h"
#include "run/dns_tlsa.h"

enum tls_verify {
    TLS_WANT_ANY,  /* encrypted, whoever it is (RFC 7435) */
    TLS_WANT_CA,   /* a chain to an authority of tls_client_setup and a name of ours in the certificate (RFC 8461 4.1) */
    TLS_WANT_DANE, /* one of the TLSA records (RFC 7672 3); when none can be used at all, the same as TLS_WANT_ANY */
};

struct tls_client_want {
    enum tls_verify verify;
    struct span name;               /* A-labels: SNI (RFC 7672 8.1: the TLSA base domain), and a name the certificate may have */
    const struct span *also;        /* further names that it may have (RFC 7672 3.2.2); DANE-EE checks none */
    size_t n_also;
    const struct dns_tlsa *tlsa;    /* for TLS_WANT_DANE, usage 2 and 3 only */
    size_t n_tlsa;
};

/* Why there is no TLS as wanted; near the result types of RFC 8460 4.3. */
enum tls_cause {
    TLS_FINE,
    TLS_TIMEOUT,        /* no end of the handshake in time */
    TLS_HANDSHAKE,      /* closed, reset, an alert, no version or cipher in common, or not TLS at all */
    TLS_NAME,           /* certificate-host-mismatch */
    TLS_EXPIRED,        /* certificate-expired, or not yet valid */
    TLS_UNTRUSTED,      /* certificate-not-trusted */
    TLS_NO_TLSA_MATCH,  /* validation-failure: no TLSA record fits */
};

enum tls_verified { TLS_UNVERIFIED, TLS_BY_CA, TLS_BY_DANE_TA, TLS_BY_DANE_EE };

struct tls_client_got {
    enum tls_cause cause;
    enum tls_verified verified;
    bool tlsa_unusable;     /* TLS_WANT_DANE and no record could be used: encrypted, not verified (RFC 7672 2.2) */
    char version[12];       /* "TLSv1.3"; empty when the handshake did not end */
    char cipher[48];
};

/* The authorities for TLS_WANT_CA in PEM (as /etc/ssl/certs/ca-certificates.crt), or SPAN_NONE for none. Once per process
 * before the first connection, again to replace them; 0, or -1 when that is no such file. */
int tls_client_setup(struct span ca_pem, struct fail *f);
void tls_client_done(void); /* for tests */

const char *tls_client_cause(enum tls_cause cause);         /* for logs: "name", "expired", ... */
const char *tls_client_verified(enum tls_verified verified); /* "no", "ca", "dane-ta", "dane-ee" */

#endif
