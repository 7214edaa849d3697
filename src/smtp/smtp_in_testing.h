/* smtp_in_testing: the roles that an SMTP session calls, played by small processes, and a client that plays scripts. */
#ifndef POSTEL_SMTP_IN_TESTING_H
#define POSTEL_SMTP_IN_TESTING_H

#include "run/ipc_testing.h"
#include "run/session.h"

/* What the played store was last asked to keep; in memory that all processes share. */
struct smtp_in_seen {
    unsigned ingests, drops, scans, scans_alone;
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

/* One session fed with `input`, `step` bytes at a time (0: all at once), then end of file. Returns all it said; lives in
 * mem. session: session_fn. */
WAITS struct span smtp_in_testing_talk(session_fn *session, struct span input, size_t step, struct arena *mem);
/* The codes of the replies in it: "220 250 354". */
struct span smtp_in_testing_codes(struct span said, struct arena *mem);

#endif
