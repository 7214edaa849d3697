/* header_name: the header fields that Postel knows by number. The numbers stand in stored header indexes: add at the end. */
#ifndef POSTEL_HEADER_NAME_H
#define POSTEL_HEADER_NAME_H

#include "base/span.h"

/* X(NAME, spelling) */
#define HEADER_NAME_TABLE(X)                                                                                           \
    X(FROM, "From") X(SENDER, "Sender") X(REPLY_TO, "Reply-To") X(TO, "To") X(CC, "Cc") X(BCC, "Bcc")                  \
    X(DATE, "Date") X(SUBJECT, "Subject") X(MESSAGE_ID, "Message-ID") X(IN_REPLY_TO, "In-Reply-To")                    \
    X(REFERENCES, "References") X(RECEIVED, "Received") X(RETURN_PATH, "Return-Path")                                  \
    X(DELIVERED_TO, "Delivered-To") X(MIME_VERSION, "MIME-Version") X(CONTENT_TYPE, "Content-Type")                    \
    X(CONTENT_ENCODING, "Content-Transfer-Encoding") X(CONTENT_DISPOSITION, "Content-Disposition")                     \
    X(CONTENT_ID, "Content-ID") X(CONTENT_DESCRIPTION, "Content-Description")                                          \
    X(CONTENT_LANGUAGE, "Content-Language") X(CONTENT_LOCATION, "Content-Location") X(CONTENT_MD5, "Content-MD5")      \
    X(DKIM_SIGNATURE, "DKIM-Signature") X(AUTHENTICATION_RESULTS, "Authentication-Results")                            \
    X(ARC_SEAL, "ARC-Seal") X(ARC_MESSAGE_SIGNATURE, "ARC-Message-Signature")                                          \
    X(ARC_AUTHENTICATION_RESULTS, "ARC-Authentication-Results") X(RECEIVED_SPF, "Received-SPF")                        \
    X(LIST_ID, "List-Id") X(LIST_POST, "List-Post") X(LIST_HELP, "List-Help")                                          \
    X(LIST_SUBSCRIBE, "List-Subscribe") X(LIST_UNSUBSCRIBE, "List-Unsubscribe")                                        \
    X(LIST_UNSUBSCRIBE_POST, "List-Unsubscribe-Post") X(AUTO_SUBMITTED, "Auto-Submitted")                              \
    X(PRECEDENCE, "Precedence") X(RESENT_FROM, "Resent-From") X(RESENT_DATE, "Resent-Date")                            \
    X(RESENT_TO, "Resent-To") X(RESENT_MESSAGE_ID, "Resent-Message-ID")                                                \
    X(DISPOSITION_NOTIFICATION_TO, "Disposition-Notification-To") X(IMPORTANCE, "Importance")                          \
    X(X_PRIORITY, "X-Priority") X(USER_AGENT, "User-Agent")

enum summary_header {
    HEADER_OTHER = 0,
#define X(name, text) HEADER_##name,
    HEADER_NAME_TABLE(X)
#undef X
    HEADER_NAME_COUNT
};

enum summary_header header_name_find(struct span name);     /* any case; HEADER_OTHER when it is none of the table */
struct span header_name_text(enum summary_header name);     /* as spelled in the table; empty for HEADER_OTHER */

#endif
