/* rebuild_scan: summaries of messages by a child process in the sandbox of scan: strangers wrote what it parses (SEC-27). */
#ifndef POSTEL_REBUILD_SCAN_H
#define POSTEL_REBUILD_SCAN_H

#include "base/fail.h"
#include "format/summary.h"

struct rebuild_scan;

struct rebuild_scan *rebuild_scan_new(struct fail *f); /* NULL and *f */
void rebuild_scan_free(struct rebuild_scan *s);
/* As store_rebuild_summary_fn; arg: the rebuild_scan. A child that dies or takes longer than 30 s is replaced, and its
 * message has no summary. Waits. */
bool rebuild_scan_summary(void *arg, struct span message, struct summary *out, struct arena *mem);

#endif
