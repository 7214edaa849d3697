/* account: see the header. */
#include "admin/account.h"

WAITS int account_turn(struct control *c, uint64_t *account)
{
    struct span address = span_z(c->in->words[0]);
    struct msg_account_list m = {0};
    struct msg_account_list_r r;
    int result;
    while ((result = control_call(c, MSG_ID_account_list, &m, &r)) == 0 && r.accounts.n > 0) {
        for (uint32_t i = 0; i < r.accounts.n; i++) {
            if (!span_eq_nocase(r.accounts.v[i].address, address))
                continue;
            *account = r.accounts.v[i].account;
            return control_turn(c, ROLE_STORE);
        }
        m.after = r.accounts.v[r.accounts.n - 1].address;
    }
    return result != 0 ? -1 : fail_perm(&c->fail, "", "there is no account %.200s", c->in->words[0]);
}
