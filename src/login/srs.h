/* srs: reverse-paths of what an alias forwards, so that the far side's SPF sees us and its bounces find the way back
 * (Wong, "SRS: the Sender Rewriting Scheme"; the forms of libsrs2 1.0: SRS0=hash=time=domain=local, SRS1=hash=domain=rest). */
#ifndef POSTEL_SRS_H
#define POSTEL_SRS_H

#include "base/str.h"

#define SRS_KEY 32
#define SRS_DAYS 21 /* how long a bounce may take: four times the days that mail is tried */

/* The key of our hashes, from the directory's secret. */
void srs_key(struct span secret, unsigned char key[SRS_KEY]);

/* Does the local part look like one of these, whoever made it? */
bool srs_is(struct span local);

/* sender: local@domain, not empty. The rewritten address below `domain`, or SPAN_NONE when its local part would get longer
 * than a local part may be (RFC 5321 4.5.3.1.1). Lives in mem. */
struct span srs_forward(const unsigned char key[SRS_KEY], struct span sender, struct span domain, int64_t now_s,
                        struct arena *mem);

/* The address that srs_forward was given, or for an SRS1 the SRS0 address that its first forwarder made; SPAN_NONE for
 * what we did not sign, or too long ago. local: our address without its domain; its case may have changed on the way,
 * and so may that of the result's. Lives in mem. */
struct span srs_reverse(const unsigned char key[SRS_KEY], struct span local, int64_t now_s, struct arena *mem);

#endif
