/* key_make: a key and a self-signed certificate, for the time before there is a real one. */
#ifndef POSTEL_KEY_MAKE_H
#define POSTEL_KEY_MAKE_H

#include "base/fail.h"

/* Makes NAME.key (P-256) and NAME.pem for hostname and localhost in directory `dir`, mode 0600, good for ten years; a
 * pair that is there is replaced. 0, or -1 and *f. */
int key_make_pair(int dir, const char *name, const char *hostname, struct fail *f);

#endif
