/* resolver: names resolved and validated here, by libunbound in a thread of its own; one cache for all roles (SEC-18). */
#ifndef POSTEL_RESOLVER_H
#define POSTEL_RESOLVER_H

#include "run/dns.h"

/* In this order, with config_use before: _open reads files ([dns]); _start makes the thread; nothing is read or started
 * later, so Landlock may come between the two and seccomp behind. _begin needs the loop. */
int resolver_open(struct fail *f);
int resolver_start(struct fail *f);
int resolver_begin(struct fail *f);
void resolver_close(void); /* for commands and tests: without a question under way */

/* Asks; done is called once, by the loop thread, perhaps before this returns. The answer is borrowed for that call. More
 * than limit dns_queries at once, or none within dns.timeout, are DNS_SERVFAIL. name: as dns_rr_askable has it. */
typedef void resolver_done(void *arg, const struct dns_answer *answer);
void resolver_ask(struct span name, enum dns_type type, resolver_done *done, void *arg);

void resolver_give_up(void); /* whoever waits for an answer has DNS_SERVFAIL now; the role ends */

extern const struct dns_way resolver_way; /* for dns_use */

#endif
