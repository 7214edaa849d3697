/* smtp_in_testing: the roles that an SMTP session calls, played by small processes. */
#ifndef POSTEL_SMTP_IN_TESTING_H
#define POSTEL_SMTP_IN_TESTING_H

#include "run/ipc_testing.h"
#include "run/session_testing.h"

/* What the played store was last asked to keep; in memory that all processes share. */
struct smtp_in_seen {
    unsigned ingests, drops, scans, scans_alone, rcpt_checks, submits, notes_posted, logouts;
    char remotes[400];    /* "address domain notify orcpt via", LF behind each */
    char notes[400];      /* "address action orcpt", LF behind each */
    char refusal[300];    /* the last event_note: "code status address text" */
    char envid[128];
    uint32_t ret, flags;  /* of the envelope */
    bool handle, edits;
    char sender[300];
    unsigned targets;
    uint64_t accounts[16];
    uint64_t size;
    bool spool, file;
    size_t body_n;
    char body[4096]; /* its beginning */
    char tail[16];   /* its last bytes */
    uint64_t hash;   /* of all */
    char log[65536]; /* smtp_in_testing_line of each message, one behind the other; whoever reads it sets log_n to 0 before */
    size_t log_n;
};
extern struct smtp_in_seen *smtp_in_seen;

/* Starts auth, scan, store and relay, before any loop; then runs fn in a coroutine with channels to them. auth knows
 * bob, carol@example.test and list@example.test (both and dave); "disabled", "loop". scan dies of "CRASH-ALWAYS", and of
 * "CRASH-ONCE" unless alone. store refuses "SENDER-FULL" in the reverse-path, and what has "fullbox@example.test" among its
 * targets; the room of "small@example.test" is 100 octets. Logins: PLAIN of bob with the password "secret", LOGIN-like "TWO"
 * steps. bob owns robert@example.test too. scan says an author for each line "From: address". relay knows other.example,
 * null.example (null MX), gone.example (not there), slow.example (SERVFAIL); store lets nobody send to enough@. Returns how many checks failed. */
int smtp_in_testing_run(void (*fn)(void));

/* The same for a whole process, without an end: starts them once, 0 or -1; then runs fn(arg) in a coroutine, again and again. */
int smtp_in_testing_start(void);
void smtp_in_testing_go(void (*fn)(void *arg), void *arg);

/* What they answer, for a model of the session: auth's rcpt_check, sasl and identity, store's room and what it refuses. */
void smtp_in_testing_rcpt(struct span address, struct msg_rcpt_check_r *out); /* borrowed from nobody: static texts */
void smtp_in_testing_sasl(const struct msg_sasl *in, struct msg_sasl_r *out);
bool smtp_in_testing_owns(struct span address);
int64_t smtp_in_testing_room(uint64_t account);
int smtp_in_testing_keeps(const struct msg_ingest *in, struct fail *f);
uint32_t smtp_in_testing_flags(struct span message); /* scan's: enum summary_flag, of any part of it above 127 */
/* Envelope and text (without our trace field) of what is kept, as one line. */
void smtp_in_testing_line(struct str *out, const struct msg_ingest *in, struct span text);

/* The codes of the replies in it: "220 250 354". */
struct span smtp_in_testing_codes(struct span said, struct arena *mem);

#endif
