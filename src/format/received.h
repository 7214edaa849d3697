/* received: the trace field that Postel puts on top of mail it takes (RFC 5321 4.4). */
#ifndef POSTEL_RECEIVED_H
#define POSTEL_RECEIVED_H

#include "base/str.h"

/* Empty fields are left out. Nothing in here need be clean: what could break the field's syntax becomes `?`. */
struct received {
    struct span helo;       /* as the client said it */
    struct span peer;       /* its address as text, "192.0.2.1" or "2001:db8::1" */
    struct span by;         /* our name */
    struct span protocol;   /* RFC 3848: ESMTP, ESMTPS, ESMTPSA, SMTP, LMTP... */
    struct span tls;        /* "TLSv1.3 TLS_AES_256_GCM_SHA384": version, cipher suite by its registered name */
    struct span id;         /* trace id */
    struct span rcpt;       /* the one recipient; empty when there are several (RFC 5321 7.2) */
    int64_t time_s;
};

void received_write(struct str *out, const struct received *r); /* the whole field with its CRLF */
size_t received_count(struct span message); /* Received fields in its header (RFC 5321 6.3); O(header) */

#endif
