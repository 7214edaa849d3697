/* scram: the messages of SCRAM as spans, and what proves them (RFC 5802, RFC 7677). No state, no I/O. */
#ifndef POSTEL_SCRAM_H
#define POSTEL_SCRAM_H

#include "base/span.h"

enum scram_hash { SCRAM_NONE, SCRAM_SHA1, SCRAM_SHA256 };

enum { SCRAM_KEY = 32, SCRAM_NAME = 512, SCRAM_NONCE = 256 }; /* the longest of each; 20 octets of a SHA-1 key count */

size_t scram_key_size(enum scram_hash h);

struct scram_first {
    struct span gs2;        /* "n,," "y,," "p=tls-exporter,a=...,": what the final message binds */
    struct span bare;       /* what stands behind it */
    char flag;              /* n, y, p */
    struct span binding;    /* name, with p */
    struct span authzid, name; /* encoded; authzid empty when there is none */
    struct span nonce;
};

struct scram_final {
    struct span without_proof;
    struct span binding, nonce, proof; /* binding and proof: base64 */
};

/* client-first-message and client-final-message of RFC 5802 7, whole and strict; a mandatory extension ("m=") is none that
 * we know. 0 and *out, borrowed from in; or -1. */
int scram_first_parse(struct span in, struct scram_first *out);
int scram_final_parse(struct span in, struct scram_final *out);
/* Undoes "=2C" and "=3D" of a saslname. Its length in out, or 0. */
size_t scram_name_decode(struct span name, char out[SCRAM_NAME]);

struct password;

/* StoredKey and ServerKey of a password. Computes PBKDF2: on the work pool. 0, or -1. */
int scram_derive(enum scram_hash h, const struct password *p, struct span salt, uint32_t iterations,
                 unsigned char stored_key[SCRAM_KEY], unsigned char server_key[SCRAM_KEY]);
/* Did whoever made the proof know the ClientKey? proof: decoded. Constant time but for its length. */
bool scram_proves(enum scram_hash h, const unsigned char *stored_key, struct span auth_message, struct span proof);
/* ServerSignature. Returns its length. */
size_t scram_sign(enum scram_hash h, const unsigned char *server_key, struct span auth_message,
                  unsigned char out[SCRAM_KEY]);

#endif
