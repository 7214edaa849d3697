/* sasl_fuzz: PLAIN messages, and names folded and checked, from anybody. */
#include "login/login_name.h"
#include "login/password.h"
#include "login/sasl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    char folded[LOGIN_NAME_BYTES], again[LOGIN_NAME_BYTES];
    size_t n, at = 0;
    struct sasl_plain p;
    struct password pw;

    if (sasl_plain_parse(in, &p) == 0) {
        assert(p.authzid.n + p.authcid.n + p.password.n + 2 == size);
        in = p.authcid;
        if (password_prepare(&pw, p.password, NULL) == 0)
            assert(pw.n > 0 && pw.n <= sizeof pw.b && memchr(pw.b, 0, pw.n) == NULL);
    }
    n = login_name_fold(in, folded, &at);
    assert(n <= sizeof folded && (n == 0 || folded[at] == '@'));
    if (login_name_new(in, folded, &n, &at, NULL) == 0) {
        /* What may be created is found again, and is its own fold. */
        size_t m = login_name_fold(span_of(folded, n), again, &at);
        assert(m == n && memcmp(folded, again, n) == 0);
    }
    return 0;
}
