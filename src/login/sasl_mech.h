/* sasl_mech: the SASL mechanisms there are, once: auth serves them, the protocols announce them. */
#ifndef POSTEL_SASL_MECH_H
#define POSTEL_SASL_MECH_H

/* X(name, plain, step): plain 1: it sends the password itself, so it is there only where nobody listens (SEC-13);
 * step: of sasl.c, without its _step. */
#define SASL_MECH_TABLE(X) X("PLAIN", 1, plain) /* RFC 4616 */

#endif
