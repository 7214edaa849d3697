/* submit: what a message that one of our own people sends needs before it may go (RFC 6409 6, 8): its authors, and what is
 * missing or must not be told, as an edit list. */
#ifndef POSTEL_SUBMIT_H
#define POSTEL_SUBMIT_H

#include "base/str.h"
#include "run/ipc_table.h"

struct submit {
    struct span edits;    /* format/edit.h; empty when nothing is to be done */
    struct span authors;  /* addresses of From, then of Sender and Resent-From, Resent-Sender, LF behind each */
    uint32_t faults;      /* enum submit_fault */
};

/* Adds Date and Message-ID where they are missing (RFC 6409 8.1, 8.2), cuts Bcc, Resent-Bcc (RFC 5322 3.6.3) and
 * Return-Path (RFC 5321 4.4: final delivery writes it). date: an RFC 5322 date; msgid: "<...>"; both without line ends.
 * Never fails; one forward pass over the header. out lives in mem. */
void submit_read(struct span message, struct span date, struct span msgid, struct submit *out, struct arena *mem);

#endif
