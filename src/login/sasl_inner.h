/* sasl_inner: a dialogue, for the files of the mechanisms. */
#ifndef POSTEL_SASL_INNER_H
#define POSTEL_SASL_INNER_H

#include "base/list.h"
#include "login/sasl.h"

struct sasl_mech;

struct sasl_dialog_state {
    struct list age;
    uint64_t id, owner;     /* id 0: in its first step, not kept yet */
    int64_t until_ms;
    const struct sasl_mech *mech;
    unsigned phase;         /* steps of the mechanism that are behind us */
    struct arena mem;       /* all that follows */
    struct span name;
    struct span gs2, bare, nonce, server_first; /* SCRAM */
    uint64_t account, credential;
};

struct sasl_mech {
    const char *name;
    bool plus;
    void (*step)(struct sasl_dialog_state *d, const struct msg_sasl *in, struct arena *mem, struct sasl_step *out);
    enum scram_hash hash;
};

/* sasl_scram.c */
void sasl_scram_step(struct sasl_dialog_state *d, const struct msg_sasl *in, struct arena *mem, struct sasl_step *out);
void sasl_scram_salt(struct sasl_dialog_state *d, struct sasl_step *step, struct span salt, uint32_t iterations);
void sasl_scram_sign(struct sasl_dialog_state *d, struct sasl_step *step, const unsigned char *server_key, struct arena *mem);
bool sasl_same_name(struct span a, struct span b); /* folded */

#endif
