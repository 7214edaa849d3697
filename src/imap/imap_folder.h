/* imap_folder: the account's mailboxes as a list of paths, and finding one. */
#ifndef POSTEL_IMAP_FOLDER_H
#define POSTEL_IMAP_FOLDER_H

#include "imap/imap_session.h"
#include "run/ipc.h"

struct imap_folder {
    struct span path;                   /* "Parent/Child" */
    bool children;
    const struct msg_mailbox_row *row;
};

struct imap_folders { /* lives in s->cmd */
    struct imap_folder *v;              /* in order of path, INBOX first */
    uint32_t n;
};

WAITS int imap_folder_load(struct imap *s, struct imap_folders *out, struct fail *f);
void imap_folder_sort(struct imap_folders *all); /* for who adds some */
const struct imap_folder *imap_folder_find(const struct imap_folders *all, struct span path); /* NULL: none */
/* What a client named: reads the name (an astring), loads and finds. 0 and *out; -1 with *f: none of that name 5.2.0, or
 * store's refusal. For SELECT, STATUS, COPY, APPEND... */
WAITS int imap_folder_named(struct imap *s, struct span wire, const struct imap_folder **out, struct fail *f);

const char *imap_folder_use(uint32_t role);  /* "\\Sent" (RFC 6154 2), or NULL */

#endif
