/* scanner: has scan read a message; one that brings scan down is tried once more alone (doc/architecture.md, 1). */
#ifndef POSTEL_SCANNER_H
#define POSTEL_SCANNER_H

#include "run/ipc.h"

/* 0, or -1 with *f (always FAIL_TEMP). trace: for the log. out: lives in mem. */
WAITS int scanner_summarize(struct msg_summarize *in, struct msg_summarize_r *out, struct span trace,
                            struct arena *mem, struct fail *f);
/* The same for a message that one of our own people sends. */
WAITS int scanner_submit(struct msg_scan_submit *in, struct msg_scan_submit_r *out, struct span trace,
                         struct arena *mem, struct fail *f);

#endif
