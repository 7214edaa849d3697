/* login_uid: which users of this machine are which accounts to the sendmail command (option sendmail.logins). */
#ifndef POSTEL_LOGIN_UID_H
#define POSTEL_LOGIN_UID_H

#include "base/vec.h"
#include "login/login_name.h"

struct login_uid {
    uint32_t uid;
    char address[LOGIN_NAME_BYTES + 1]; /* of the account, folded; whether there is such an account shows when it is used */
};

struct login_uids { VEC(struct login_uid) rows; }; /* zero is empty */

/* text: "user=address uid=address ...". Users are looked up in the system's list: for processes that may read files. A user
 * that is not there, one that is named twice, and the number that the kernel gives to users it cannot name (65534, "nobody")
 * are mistakes. 0, or -1 with *f. Free with login_uid_done in both cases. */
int login_uid_parse(struct login_uids *t, struct span text, struct fail *f);
void login_uid_done(struct login_uids *t);

#endif
