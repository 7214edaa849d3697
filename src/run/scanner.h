/* scanner: has scan read messages; one that brings scan down is tried once more alone (doc/architecture.md, 1). */
#ifndef POSTEL_SCANNER_H
#define POSTEL_SCANNER_H

#include "run/ipc.h"

/* 0, or -1 with *f (always FAIL_TEMP). trace: for the log. out: lives in mem. */
WAITS int scanner_summarize(struct msg_summarize *in, struct msg_summarize_r *out, struct span trace,
                            struct arena *mem, struct fail *f);
/* The same for a message that one of our own people sends. */
WAITS int scanner_submit(struct msg_scan_submit *in, struct msg_scan_submit_r *out, struct span trace,
                         struct arena *mem, struct fail *f);

/* Around several calls of scan that are under way at once: 0, or -1 with *f after SCAN_CALL_S. What failed in there is to be
 * asked again by scanner_call as a suspect, behind scanner_leave. */
WAITS int scanner_enter(struct fail *f);
void scanner_leave(void);

/* One call about one message. key: names the message in this front's memory (its eid); suspect: scan may have died of it
 * just now. 0; or -1 with *f, FAIL_TEMP; or -1 with FAIL_PERM 5.6.0: this message has brought scan down twice, now or in the
 * last hour, and scan was not troubled with it again. */
WAITS int scanner_call(enum msg_id id, const void *in, void *out, uint64_t key, bool suspect, struct span trace,
                       struct arena *mem, struct fail *f);

#endif
