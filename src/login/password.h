/* password: the one stored form of a password, the SCRAM-SHA-256 verifier (RFC 5802 3, RFC 7677). */
#ifndef POSTEL_PASSWORD_H
#define POSTEL_PASSWORD_H

#include "base/fail.h"

#define PASSWORD_SALT 16
#define PASSWORD_KEY 32

struct password_verifier {
    unsigned char salt[PASSWORD_SALT];
    uint32_t iterations;
    unsigned char stored_key[PASSWORD_KEY]; /* H(ClientKey): for PLAIN and for a client's proof */
    unsigned char server_key[PASSWORD_KEY]; /* for the server's signature in SCRAM */
};

/* A password as it is hashed: OpaqueString (RFC 8265 4.2). Wipe it after use. */
struct password {
    size_t n;
    char b[4096];
};

/* 0, or -1 when `raw` can be nobody's password (empty, above limit password_bytes, control characters, bad UTF-8). */
int password_prepare(struct password *p, struct span raw, struct fail *f);
void password_wipe(struct password *p);
void password_wipe_span(struct span s);     /* for a request's memory that held one */

/* These compute PBKDF2 (tens of ms): on the work pool only. */
int password_make(struct password_verifier *v, const struct password *p, struct fail *f); /* new salt, limit password_iterations */
int password_derive(struct password_verifier *v, const struct password *p, struct fail *f); /* keeps v's salt and iterations */
bool password_check(const struct password_verifier *v, const struct password *p); /* compares in constant time */
uint64_t password_computed(void);           /* how often PBKDF2 ran in this process (SEC-13, SEC-14) */

/* For a name that does not exist: a verifier that nothing matches and that is the same each time (SEC-13). */
void password_fake(struct password_verifier *v, struct span secret, struct span name);

#endif
