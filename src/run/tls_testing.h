/* tls_testing: keys and certificates made on the spot, signed with here, for tests of whatever speaks TLS. */
#ifndef POSTEL_TLS_TESTING_H
#define POSTEL_TLS_TESTING_H

#include <openssl/ssl.h>

#include "run/tls.h"

/* A self-signed P-256 certificate for `san` ("DNS:mail.example.org,DNS:*.example.org"). pem: caller frees pem.p. */
struct tls_chain tls_testing_cert(const char *san);
/* Signs with the key of that certificate at once, in place of auth. */
tls_sign_fn tls_testing_sign;
void tls_testing_done(void); /* forgets all keys */

#endif
