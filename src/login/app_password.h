/* app_password: passwords for one program each: made by us, so long that nobody guesses them, and good for what their scope
 * says. */
#ifndef POSTEL_APP_PASSWORD_H
#define POSTEL_APP_PASSWORD_H

#include "login/password.h"
#include "login/scram.h"
#include "run/service.h"

enum { APP_PASSWORD_TEXT = 26, APP_PASSWORD_LABEL = 60 }; /* 128 bits in letters of RFC 4648 6; bytes */

struct app_password {
    struct app_password *next;  /* of the same account */
    uint64_t id;
    uint32_t scope;             /* enum app_scope bits */
    int64_t created_s, used_s;  /* used_s 0: never */
    char label[APP_PASSWORD_LABEL + 1];
    unsigned char hash[32];     /* SHA-256: what has 128 bits needs no stretching */
    unsigned char stored_key[SCRAM_SHA256 + 1][SCRAM_KEY], server_key[SCRAM_SHA256 + 1][SCRAM_KEY]; /* by enum scram_hash */
};

/* Its text, random, without what could be read as another letter. */
void app_password_text(char out[APP_PASSWORD_TEXT + 1]);
/* The hash, and the SCRAM keys with the salt and iterations of the account's own password: SCRAM has one salt for all that
 * a name may log in with. Computes PBKDF2: on the work pool. 0, or -1 and *f. */
int app_password_make(struct app_password *a, const char *text, const struct password_verifier *of, struct fail *f);
/* The first of the list that has this hash; looks at all. */
const struct app_password *app_password_find(const struct app_password *list, const struct password *p);
/* May it open this service? */
bool app_password_opens(const struct app_password *a, uint32_t service);

#endif
