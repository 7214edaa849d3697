/* tls_inner: what conn and the parts of tls share; nobody else includes this. */
#ifndef POSTEL_TLS_INNER_H
#define POSTEL_TLS_INNER_H

#include <openssl/ssl.h>

#include "run/tls.h"
#include "run/tls_client.h"

/* A server's end of a connection with the service's context; caller frees with SSL_free. NULL without certificates. */
SSL *tls_ssl(struct tls_service *t);

/* tls_client.c: a client's end that wants `want`, which lives until tls_client_judge. NULL when that cannot be asked for
 * (no name, an overlong one). After the handshake _judge fills *got. */
SSL *tls_client_ssl(const struct tls_client_want *want, struct tls_client_got *got);
void tls_client_judge(SSL *ssl, const struct tls_client_want *want, struct tls_client_got *got);

/* tls_sign.c: a private key that is none: it has the certificate's public half, and signs by calling `sign`.
 * caller frees; NULL when the certificate's key is not an EC key. */
EVP_PKEY *tls_sign_key(X509 *leaf, uint64_t key_id, tls_sign_fn *sign);

/* tls_ticket.c: the keys of session tickets (RFC 5077 4) of one service, which wear out and are replaced. */
struct tls_ticket_key {
    unsigned char name[16], aes[32], hmac[32];
};
struct tls_ticket {
    struct tls_ticket_key now, before;
    int64_t made_ms;
};
void tls_ticket_init(struct tls_ticket *k);
/* For SSL_CTX_set_tlsext_ticket_key_evp_cb. */
int tls_ticket_use(struct tls_ticket *k, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                   EVP_MAC_CTX *mac, int encrypt);

#endif
