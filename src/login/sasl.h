/* sasl: the mechanisms and their dialogues (RFC 4422); what they prove is decided by whoever checks passwords. */
#ifndef POSTEL_SASL_H
#define POSTEL_SASL_H

#include "run/ipc.h"

struct sasl;

struct sasl *sasl_new(bool cleartext_loopback); /* option server.cleartext_loopback */
void sasl_free(struct sasl *s);

/* What one step came to. The spans are borrowed from the request. */
struct sasl_step {
    bool check;             /* is `password` the password of `name`? The dialogue is over either way */
    struct span name, password;
    enum sasl_state state;  /* when there is nothing to check: MORE, SYNTAX, MECH, BAD */
    uint64_t dialog;        /* MORE */
    struct span challenge;  /* MORE */
};

/* owner: boot of the front that asks: nobody continues the dialogue of another. */
void sasl_step(struct sasl *s, const struct msg_sasl *in, uint64_t owner, struct sasl_step *out);
size_t sasl_dialogs(const struct sasl *s);

struct sasl_plain { struct span authzid, authcid, password; };

/* The message of RFC 4616 2, whole. 0 and *out (borrowed from in), or -1. */
int sasl_plain_parse(struct span in, struct sasl_plain *out);

#endif
