/* login_uid: the table is the administrator's; every mistake in it is told, for it says who may write in whose name. */
#include "login/login_uid.h"

#include <pwd.h>

#include "base/num.h"

enum { OVERFLOW_UID = 65534 }; /* include/linux/highuid.h: who has no number in our user namespace comes as this one */

static int uid_of(struct span who, uint32_t *uid, struct fail *f)
{
    char name[64];
    uint64_t number;
    const struct passwd *pw;

    if (num_u64(who, UINT32_MAX - 1, &number) == 0) {
        *uid = (uint32_t)number;
        return 0;
    }
    if (who.n == 0 || who.n >= sizeof name)
        return fail_perm(f, "5.3.5", "sendmail.logins: write user=address or uid=address");
    snprintf(name, sizeof name, "%.*s", SPAN_ARGS(who));
    pw = getpwnam(name);
    if (pw == NULL)
        return fail_perm(f, "5.3.5", "sendmail.logins: there is no user \"%s\"", name);
    *uid = pw->pw_uid;
    return 0;
}

static int add(struct login_uids *t, struct span item, struct fail *f)
{
    struct span address = item, who = span_split(&address, '=');
    struct login_uid row = {0};
    size_t n, at;

    if (uid_of(who, &row.uid, f) < 0)
        return -1;
    if (row.uid == OVERFLOW_UID)
        return fail_perm(f, "5.3.5", "sendmail.logins: uid %d is whoever the kernel cannot name, and can be no account", OVERFLOW_UID);
    for (size_t i = 0; i < t->rows.n; i++)
        if (t->rows.v[i].uid == row.uid)
            return fail_perm(f, "5.3.5", "sendmail.logins: uid %u is there twice", row.uid);
    if (login_name_new(address, row.address, &n, &at, f) < 0)
        return fail_perm(f, "5.3.5", "sendmail.logins: \"%.*s\" is no user=address", SPAN_ARGS(span_sub(item, 0, 60)));
    row.address[n] = 0;
    *VEC_PUSH(&t->rows) = row;
    return 0;
}

int login_uid_parse(struct login_uids *t, struct span text, struct fail *f)
{
    while (text.n > 0) {
        struct span item = span_trim(span_split(&text, ' '));
        if (item.n > 0 && add(t, item, f) < 0)
            return -1;
    }
    return 0;
}

void login_uid_done(struct login_uids *t)
{
    VEC_FREE(&t->rows);
}
