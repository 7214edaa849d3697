/* sasl: the mechanisms and their dialogues (RFC 4422); what they prove is decided by whoever keeps the passwords. */
#ifndef POSTEL_SASL_H
#define POSTEL_SASL_H

#include "login/scram.h"
#include "run/ipc.h"

struct sasl;

struct sasl *sasl_new(bool cleartext_loopback); /* option server.cleartext_loopback */
void sasl_free(struct sasl *s);

/* What one step needs from whoever keeps the passwords. */
enum sasl_want {
    SASL_WANT_NOTHING,  /* `state` is the answer; of SASL_MORE, SASL_SYNTAX, SASL_MECH, SASL_BAD */
    SASL_WANT_CHECK,    /* is `password` the password of `name`? The dialogue is over either way */
    SASL_WANT_SALT,     /* sasl_salt, with what `name` has or seems to have */
    SASL_WANT_PROOF,    /* does `proof` hold for auth_message and a key of `name`? Then sasl_proven, else sasl_refused */
    SASL_WANT_SESSION,  /* `account` is in, by `credential`; the dialogue is over */
};

/* Its spans are borrowed from the request, from the dialogue, or live in the mem given. */
struct sasl_step {
    enum sasl_want want;
    const char *mech;       /* NULL when there is none of that name */
    enum scram_hash hash;   /* of SALT and PROOF */
    struct span name, password;
    struct span auth_message, proof;
    uint64_t account, credential; /* as given to sasl_proven */
    enum sasl_state state;
    uint64_t dialog;        /* of SALT, PROOF, and of SASL_MORE */
    struct span challenge;  /* of SASL_MORE */
};

/* owner: boot of the front that asks: nobody continues the dialogue of another. */
void sasl_step(struct sasl *s, const struct msg_sasl *in, uint64_t owner, struct arena *mem, struct sasl_step *out);
/* The answers to SASL_WANT_SALT and SASL_WANT_PROOF; no other step of any dialogue may lie between. The first two set
 * state SASL_MORE and challenge. */
void sasl_salt(struct sasl *s, struct sasl_step *step, struct span salt, uint32_t iterations, struct arena *mem);
void sasl_proven(struct sasl *s, struct sasl_step *step, const unsigned char *server_key, uint64_t account,
                 uint64_t credential, struct arena *mem);
void sasl_refused(struct sasl *s, struct sasl_step *step);
size_t sasl_dialogs(const struct sasl *s);

struct sasl_plain { struct span authzid, authcid, password; };

/* The message of RFC 4616 2, whole. 0 and *out (borrowed from in), or -1. */
int sasl_plain_parse(struct span in, struct sasl_plain *out);

#endif
