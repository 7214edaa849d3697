/* sasl_mech: the SASL mechanisms there are, once: auth serves them, the protocols announce them in this order. */
#ifndef POSTEL_SASL_MECH_H
#define POSTEL_SASL_MECH_H

/* X(name, plus, step, hash). plus 1: bound to the TLS channel (RFC 5802 6). step: of sasl.c. hash: enum scram_hash. None is
 * there where somebody may listen (SEC-13); never NTLM, DIGEST-MD5, CRAM-MD5. SCRAM-SHA-1 knows app passwords alone. */
#define SASL_MECH_TABLE(X)                                                                                             \
    X("SCRAM-SHA-256-PLUS", 1, sasl_scram_step, SCRAM_SHA256) /* RFC 7677, RFC 9266 */                                 \
    X("SCRAM-SHA-256", 0, sasl_scram_step, SCRAM_SHA256)      /* RFC 7677 */                                           \
    X("PLAIN", 0, plain_step, SCRAM_NONE)                     /* RFC 4616 */                                           \
    X("LOGIN", 0, login_step, SCRAM_NONE)                                                                              \
    X("SCRAM-SHA-1", 0, sasl_scram_step, SCRAM_SHA1)          /* RFC 5802 */

#endif
