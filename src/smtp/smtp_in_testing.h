/* smtp_in_testing: the roles that an SMTP session calls, played by small processes. */
#ifndef POSTEL_SMTP_IN_TESTING_H
#define POSTEL_SMTP_IN_TESTING_H

#include "run/ipc_testing.h"
#include "run/session_testing.h"

/* What the played store was last asked to keep; in memory that all processes share. */
struct smtp_in_seen {
    unsigned ingests, drops, scans, scans_alone, rcpt_checks;
    char sender[300];
    unsigned targets;
    uint64_t accounts[16];
    uint64_t size;
    bool spool, file;
    size_t body_n;
    char body[4096]; /* its beginning */
    char tail[16];   /* its last bytes */
    uint64_t hash;   /* of all */
};
extern struct smtp_in_seen *smtp_in_seen;

/* Starts auth, scan and store, before any loop; then runs fn in a coroutine with channels to them. auth knows
 * bob, carol@example.test and list@example.test (both and dave); "disabled", "loop". scan dies of "CRASH-ALWAYS", and of
 * "CRASH-ONCE" unless alone. store refuses "SENDER-FULL" in the reverse-path. Returns how many checks failed. */
int smtp_in_testing_run(void (*fn)(void));

/* The codes of the replies in it: "220 250 354". */
struct span smtp_in_testing_codes(struct span said, struct arena *mem);

#endif
