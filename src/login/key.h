/* key: the TLS keys. They stay here: others get certificates and signatures (SEC-24). */
#ifndef POSTEL_KEY_H
#define POSTEL_KEY_H

#include "base/fail.h"
#include "run/ipc.h"

struct key_store;

/* Loads every NAME.pem + NAME.key of directory `dir`. Makes the directory (0700), and self-signed.pem/.key (P-256) for
 * `hostname` when it is not there, is for another name or soon expires. What cannot be used is logged and left out;
 * RSA keys are. NULL and *f when there is no directory to be had or no key at all. */
struct key_store *key_open(const char *dir, struct span hostname, struct fail *f);
void key_close(struct key_store *k);

size_t key_count(const struct key_store *k);
/* Leaf first; the first chain is the default: one for `hostname` that is not self-made if there is one. Lives in mem. */
void key_chains(const struct key_store *k, struct msg_tls_chains_r *out, struct arena *mem);
/* ECDSA over a digest of 32..64 bytes, DER. Returns its length in sig[0..cap), or -1: no such key, not a digest. */
ptrdiff_t key_sign(struct key_store *k, uint64_t key_id, struct span digest, unsigned char *sig, size_t cap);
/* Logs a warning for each certificate with less than 14 days left. Returns how many. */
size_t key_warn(const struct key_store *k);

#endif
