/* sasl_mech: the SASL mechanisms there are, once: auth serves them, the protocols announce them in this order. */
#ifndef POSTEL_SASL_MECH_H
#define POSTEL_SASL_MECH_H

/* X(name, plus, step). plus 1: bound to the TLS channel (RFC 5802 6). step: of sasl.c, without its _step. None of them is
 * there where somebody may listen (SEC-13). */
#define SASL_MECH_TABLE(X) X("PLAIN", 0, plain) /* RFC 4616 */

#endif
