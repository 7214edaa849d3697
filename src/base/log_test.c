/* SEC-10: log values escaped; a line's order and its limits. */
#include "base/log.h"
#include "base/rand.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>

#include <cmocka.h>

static char seen[1 << 20]; /* what was logged, NUL behind it */
static int real_stderr, copy;

static void begin(void)
{
    real_stderr = dup(STDERR_FILENO);
    copy = memfd_create("log", 0);
    assert_true(real_stderr >= 0 && copy >= 0);
    dup2(copy, STDERR_FILENO);
}

static size_t end(void)
{
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    ssize_t n = pread(copy, seen, sizeof seen - 1, 0);
    close(copy);
    assert_true(n >= 0);
    seen[n] = '\0';
    return (size_t)n;
}

static void escape(void **state)
{
    static const struct {
        struct span in;
        const char *want;
    } rows[] = {
#define IN(lit) {"" lit, sizeof(lit) - 1}
        {IN("bob@b.example"), "bob@b.example"},
        {IN("<>"), "<>"},
        {IN("a:b/c,d;e"), "a:b/c,d;e"},
        {IN(""), "\"\""},
        {IN("two words"), "\"two words\""},
        {IN("a=b"), "\"a=b\""},
        {IN("say \"hi\""), "\"say \\\"hi\\\"\""},
        {IN("\""), "\"\\\"\""},
        {IN("back\\slash"), "\"back\\\\slash\""},
        {IN("a\r\nt=1 ev=fake"), "\"a\\x0d\\x0at=1 ev=fake\""},
        {IN("\t"), "\"\\x09\""},
        {IN("a\0b"), "\"a\\x00b\""},
        {IN("\x1b[31m"), "\"\\x1b[31m\""},
        {IN("\x7f"), "\"\\x7f\""},
        {IN("gr\xc3\xbc\xc3\x9f"), "\"gr\xc3\xbc\xc3\x9f\""},
        {IN("\xe2\x82\xac \xf0\x9f\x93\xac"), "\"\xe2\x82\xac \xf0\x9f\x93\xac\""},
        {IN("\xc2\x80"), "\"\\xc2\\x80\""},         /* C1: first */
        {IN("\xc2\x9b" "31m"), "\"\\xc2\\x9b31m\""}, /* C1: CSI */
        {IN("\xc2\x9f\xc2\xa0"), "\"\\xc2\\x9f\xc2\xa0\""},
        {IN("\xe2\x80\xae" "cod.exe"), "\"\\xe2\\x80\\xaecod.exe\""}, /* U+202E */
        {IN("\xe2\x81\xa6"), "\"\\xe2\\x81\\xa6\""},                  /* U+2066 */
        {IN("\xe2\x80\x8f"), "\"\\xe2\\x80\\x8f\""},                  /* U+200F */
        {IN("\xd8\x9c"), "\"\\xd8\\x9c\""},                           /* U+061C */
        {IN("\xe2\x80\xa8"), "\"\\xe2\\x80\\xa8\""},                  /* U+2028 */
        {IN("\xf3\xa0\x80\xa1"), "\"\\xf3\\xa0\\x80\\xa1\""},         /* U+E0021, a tag */
        {IN("\xff\xfe"), "\"\\xff\\xfe\""},
        {IN("\xc3"), "\"\\xc3\""},                     /* cut off */
        {IN("\xc3("), "\"\\xc3(\""},                   /* broken */
        {IN("\xc0\xaf"), "\"\\xc0\\xaf\""},            /* overlong */
        {IN("\xed\xa0\x80"), "\"\\xed\\xa0\\x80\""},   /* surrogate */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char out[64];
        size_t n = log_escape(rows[i].in, out, sizeof out);
        if (n != strlen(rows[i].want) || memcmp(out, rows[i].want, n) != 0)
            fail_msg("row %zu: %.*s, want %s", i, (int)n, out, rows[i].want);
    }
}

/* Whatever comes in and however little room there is: short enough, printable, quotes closed. */
static void escape_random(void **state)
{
    for (int round = 0; round < 20000; round++) {
        char in[700], out[3000];
        size_t n = rand_below(round % 10 ? 40 : sizeof in), cap = rand_below(round % 3 ? 60 : sizeof out);
        rand_bytes(in, n);
        if (round & 1)
            for (size_t i = 0; i < n; i++)
                in[i] = "ab \"\\\xe2\x80\xae\xc3\xbc\n"[rand_below(12)];
        size_t len = log_escape(span_of(in, n), out, cap);
        assert_true(len <= cap);
        if (len == 0) { /* not even the dots fit */
            assert_true(cap < 5);
            continue;
        }
        assert_true(utf8_valid(span_of(out, len)));
        for (size_t i = 0; i < len; i++)
            assert_true((unsigned char)out[i] >= ' ' && out[i] != 0x7f);
        if (out[0] != '"') {
            assert_true(span_find_char(span_of(out, len), '"') < 0 && span_find_char(span_of(out, len), ' ') < 0);
            continue;
        }
        size_t i = 1;
        while (i < len && out[i] != '"')
            i += out[i] == '\\' ? 2 : 1;
        assert_int_equal(i, len - 1);
    }
}

static void cut_at_512(void **state)
{
    char in[2000], out[3000];
    memset(in, 'a', sizeof in);
    assert_int_equal(log_escape(span_of(in, 512), out, sizeof out), 512);
    assert_int_equal(log_escape(span_of(in, 513), out, sizeof out), 515);
    assert_memory_equal(out + 512, "...", 3);
    memcpy(in + 511, "\xc3\xbc", 2); /* a character across the border goes whole */
    assert_int_equal(log_escape(span_of(in, 600), out, sizeof out), 511 + 3);
}

static void line(void **state)
{
    log_setup("front-mx", LOG_INFO);
    begin();
    errno = EXDEV;
    LOG(LOG_WARN, "smtp.rcpt", L_Z("to", "bob@b.example"), L_ID(SPAN("7f3ak2")), L_INT("code", -250));
    assert_int_equal(errno, EXDEV);
    LOG(LOG_DEBUG, "not.shown");
    LOG(LOG_INFO, "bare");
    end();
    assert_memory_equal(seen, "t=20", 4);
    assert_int_equal(seen[25], 'Z');
    const char *want = " lv=warn role=front-mx id=7f3ak2 ev=smtp.rcpt to=bob@b.example code=-250\n";
    assert_memory_equal(seen + 26, want, strlen(want));
    const char *second = seen + 26 + strlen(want);
    assert_string_equal(second + 26, " lv=info role=front-mx ev=bare\n");
}

static void long_line(void **state)
{
    char big[512];
    memset(big, '\n', sizeof big); /* four bytes each when escaped */
    struct span v = span_of(big, sizeof big);
    begin();
    LOG(LOG_ERROR, "big", L_SPAN("a", v), L_SPAN("b", v), L_SPAN("c", v), L_INT("d", 1));
    size_t n = end();
    assert_true(n <= 4096);
    assert_int_equal(seen[n - 1], '\n');
    assert_int_equal(span_find_char(span_of(seen, n), '\n'), n - 1);
    assert_memory_equal(seen + n - 7, " cut=1\n", 7);
}

static void *talker(void *arg)
{
    for (int i = 0; i < 500; i++)
        LOG(LOG_INFO, "talk", L_Z("who", arg), L_INT("i", i));
    return NULL;
}

static void threads(void **state)
{
    pthread_t t[4];
    static char who[][2] = {"a", "b", "c", "d"};
    begin();
    fcntl(STDERR_FILENO, F_SETFL, O_APPEND);
    for (size_t i = 0; i < COUNT_OF(t); i++)
        pthread_create(&t[i], NULL, talker, who[i]);
    for (size_t i = 0; i < COUNT_OF(t); i++)
        pthread_join(t[i], NULL);
    end();
    int next[4] = {0}, lines = 0;
    for (struct span rest = span_z(seen), l; l = span_split(&rest, '\n'), rest.p; lines++) {
        ptrdiff_t at = span_find(l, SPAN(" ev=talk who="));
        assert_true(span_starts(l, SPAN("t=")) && at > 0);
        int from = l.p[at + 13] - 'a';
        assert_true(from >= 0 && from < 4);
        char want[24];
        snprintf(want, sizeof want, " i=%d", next[from]++);
        assert_true(span_eq(span_from(l, (size_t)at + 14), span_z(want)));
    }
    assert_int_equal(lines, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escape), cmocka_unit_test(escape_random), cmocka_unit_test(cut_at_512),
        cmocka_unit_test(line), cmocka_unit_test(long_line), cmocka_unit_test(threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
