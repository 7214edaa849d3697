/* smtp_in_auth: logins of the submission services (RFC 4954). */
#ifndef POSTEL_SMTP_IN_AUTH_H
#define POSTEL_SMTP_IN_AUTH_H

#include "smtp/smtp_in_session.h"

bool smtp_in_auth_possible(const struct smtp_in *s);            /* some mechanism can be had here and now */
void smtp_in_auth_say(const struct smtp_in *s, struct str *out); /* their names, a blank before each */

#endif
