/* smtp_in_pack: what the recipients of a transaction come down to, held in few bytes until the message is there (SEC-07). */
#ifndef POSTEL_SMTP_IN_PACK_H
#define POSTEL_SMTP_IN_PACK_H

#include "run/ipc.h"

enum smtp_in_pack_text { PACK_ADDRESS, PACK_DOMAIN, PACK_VIA, PACK_ORCPT, PACK_LANG, PACK_TEXTS };
enum smtp_in_pack_kind { PACK_TO, PACK_TARGET, PACK_AGAIN, PACK_REMOTE, PACK_NOTE, PACK_KINDS };

/* All zero is empty. */
struct smtp_in_pack {
    char *v;                      /* records, one behind the other */
    size_t n, cap;
    size_t frame;                 /* bytes that all will take in the frame of ingest */
    uint32_t count[PACK_KINDS];
    size_t whole[PACK_TEXTS];     /* 1 + where the last of these texts stands in full, so that the next can refer to it */
};

/* A recipient that LMTP answers by itself: n accounts reach[first]..., each an index of targets. */
struct smtp_in_to { uint32_t first, n; };

struct smtp_in_rcpts { /* unpacked; n of each list as in pack->count */
    struct msg_ingest_target *targets; /* one per account */
    struct msg_ingest_remote *remotes; /* one per address and alias */
    struct msg_ingest_note *notes;
    struct smtp_in_to *tos;
    uint32_t *reach;
    uint32_t n_targets, n_remotes, n_notes, n_tos;
};

/* Each adds something, unless it is there already (not: notes). most: bytes that may be held. False: no room; the pack is
 * what it was. */
bool smtp_in_pack_to(struct smtp_in_pack *p, size_t most); /* LMTP: the targets behind it are this recipient's */
/* via: of msg_ingest_target; that of whoever led there first counts. */
bool smtp_in_pack_target(struct smtp_in_pack *p, size_t most, const struct msg_rcpt_target *t, struct span via);
bool smtp_in_pack_remote(struct smtp_in_pack *p, size_t most, const struct msg_ingest_remote *r);
bool smtp_in_pack_note(struct smtp_in_pack *p, size_t most, const struct msg_ingest_note *note);
/* As it was when *before was copied from it: what was added since is gone. */
void smtp_in_pack_undo(struct smtp_in_pack *p, const struct smtp_in_pack *before);
void smtp_in_pack_done(struct smtp_in_pack *p); /* gives the memory back; may be used again */

/* All of it, in the order of adding. Arrays live in mem, texts are borrowed from p until it changes. */
void smtp_in_pack_open(const struct smtp_in_pack *p, struct arena *mem, struct smtp_in_rcpts *out);

#endif
