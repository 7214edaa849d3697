/* qp: bodies and header words. */
#include "base/qp.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct arena mem;

static void bodies(void **state)
{
    static const char *const rows[][2] = {
        {"", ""},
        {"plain text\r\n", "plain text\r\n"},
        {"a=3Db", "a=b"},
        {"=c3=BC", "\xc3\xbc"},
        {"soft=\r\nbreak", "softbreak"},
        {"soft=\nbreak", "softbreak"},
        {"soft= \t\r\nbreak", "softbreak"},
        {"trailing  \t\r\nblanks \n", "trailing\r\nblanks\n"},
        {"end of data  ", "end of data"},
        {"kept=20\r\n", "kept \r\n"},
        {"in  side", "in  side"},
        {" \tlead", " \tlead"},
        {"cut=", "cut"},
        {"cut= ", "cut"},
        {"bad=", "bad"},
        {"=X1", "=X1"},
        {"=4", "=4"},
        {"=4G", "=4G"},
        {"==41", "=A"},
        {"= 41", "= 41"},
        {"=\r\n=\r\nx", "x"},
        {"=\rx", "=\rx"},
        {"8bit \xc3\xbc", "8bit \xc3\xbc"},
        {"a_b", "a_b"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct str s;
        str_init(&s, &mem);
        qp_decode(&s, span_z(rows[i][0]));
        if (!span_eq(str_span(&s), span_z(rows[i][1])))
            fail_msg("row %zu: \"%s\"", i, str_z(&s));
    }
}

static void words(void **state)
{
    static const char *const rows[][2] = {
        {"a_b", "a b"}, {"=5F_=3D", "_ ="}, {"=C3=bc", "\xc3\xbc"}, {"x=", "x="}, {"x=4", "x=4"}, {"=zz", "=zz"}, {"", ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct str s;
        str_init(&s, &mem);
        qp_decode_word(&s, span_z(rows[i][0]));
        if (!span_eq(str_span(&s), span_z(rows[i][1])))
            fail_msg("row %zu: \"%s\"", i, str_z(&s));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bodies), cmocka_unit_test(words)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_done(&mem);
    return failed;
}
