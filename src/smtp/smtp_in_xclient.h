/* smtp_in_xclient: XCLIENT (Postfix XCLIENT_README): a listed source says whom it speaks for. For tests. */
#ifndef POSTEL_SMTP_IN_XCLIENT_H
#define POSTEL_SMTP_IN_XCLIENT_H

#include "smtp/smtp_in_session.h"

bool smtp_in_xclient_listed(const struct smtp_in *s); /* the peer is in a network of option smtp.xclient */
void smtp_in_xclient_say(const struct smtp_in *s, struct str *out); /* the attributes, a blank before each */
smtp_in_command smtp_in_xclient_run;

#endif
