/* libFuzzer: whole IMAP sessions, against a real store and scan. The input is what a client says: the first byte tells
 * whether it comes in pieces and whether a login, three messages and SELECT went before it. Each input has an account of
 * its own. Whatever is said, the answers are whole lines, name only messages that there are, and the mailbox can be read
 * afterwards by another session. Dictionary: tests/corpus/imap_session_fuzz.dict. */
#include "base/num.h"
#include "base/utf8.h"
#include "roles/user_testing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LOGIN "p1 LOGIN alice right\r\n"
#define ONE "From: a@b.example\r\nSubject: one\r\n\r\ntext\r\n"
#define TWO "Subject: two\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" \
    "--b\r\n\r\npart\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: \xc3\xbc\r\n\r\nside\r\n--b--\r\n"
#define BEFORE LOGIN "p2 APPEND INBOX (\\Seen) {41+}\r\n" ONE "\r\np3 APPEND INBOX (word) {156+}\r\n" TWO "\r\n" \
    "p4 APPEND INBOX {41+}\r\n" ONE "\r\np5 SELECT INBOX\r\n"
static_assert(sizeof ONE - 1 == 41 && sizeof TWO - 1 == 156, "the sizes that BEFORE announces");

/* ---- the answers ----------------------------------------------------------------------------------------------------- */

/* One answer, with its literals taken out; moves *said on. False: the connection ended within it. */
static bool next_answer(struct span *said, struct str *out)
{
    str_clear(out);
    for (;;) {
        ptrdiff_t end = span_find(*said, SPAN("\r\n"));
        if (end < 0)
            return false;
        struct span line = span_sub(*said, 0, (size_t)end);
        *said = span_from(*said, (size_t)end + 2);
        str_add(out, line);
        ptrdiff_t brace = (ptrdiff_t)line.n - 1;
        while (brace >= 0 && line.p[brace] != '{')
            brace--;
        uint64_t n;
        struct span digits = brace >= 0 ? span_from(line, (size_t)brace + 1) : SPAN_NONE;
        if (digits.n < 2 || line.p[line.n - 1] != '}' || num_u64(span_sub(digits, 0, digits.n - 1), UINT32_MAX, &n) != 0)
            return true;
        if (n > said->n)
            return false;
        *said = span_from(*said, n);
    }
}

/* RFC 9051 7.4.1, 7.5.1: a number in an answer is one that was told. */
static void check_number(struct span line, uint64_t *count)
{
    uint64_t n;
    struct span rest = span_from(line, 2), number = span_split(&rest, ' '), what = span_split(&rest, ' ');
    if (num_u64(number, UINT32_MAX, &n) != 0)
        return;
    if (span_eq(what, SPAN("EXISTS")))
        *count = n;
    if (span_eq(what, SPAN("EXPUNGE")) || span_eq(what, SPAN("FETCH")))
        assert(n >= 1 && n <= *count);
    if (span_eq(what, SPAN("EXPUNGE")))
        --*count;
}

static void check_answers(struct span said, struct arena *mem)
{
    struct str line;
    uint64_t count = 0;
    str_init(&line, mem);
    assert(span_starts(said, SPAN("* OK [CAPABILITY ")));
    while (next_answer(&said, &line)) {
        struct span s = str_span(&line);
        assert(s.n > 0 && utf8_valid(s));
        for (size_t i = 0; i < s.n; i++)
            assert(s.p[i] != '\r' && s.p[i] != '\n' && s.p[i] != 0);
        if (span_starts(s, SPAN("* ")))
            check_number(s, &count);
    }
    assert(said.n == 0); /* cut within an answer: only a broken store may do that */
}

/* ---- one input ------------------------------------------------------------------------------------------------------- */

static WAITS void one(void *arg)
{
    struct span in = *(struct span *)arg;
    struct arena mem;
    struct str input;
    unsigned how = (unsigned char)in.p[0];
    arena_init(&mem);
    str_init(&input, &mem);
    if (how & 1)
        str_addz(&input, BEFORE);
    str_add(&input, span_from(in, 1));
    check_answers(user_testing_imap(str_span(&input), how & 2 ? 1 + (how >> 4) : 0, &mem), &mem);
    if (how & 1 && how & 4) {
        struct span said = user_testing_imap(SPAN(LOGIN "p2 SELECT INBOX\r\np3 UID FETCH 1:* (FLAGS ENVELOPE BODY)\r\n"
                                                        "p4 LOGOUT\r\n"), 0, &mem);
        check_answers(said, &mem);
        assert(span_find(said, SPAN("\r\np3 OK")) >= 0 && span_find(said, SPAN("\r\np4 OK")) >= 0);
    }
    arena_done(&mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    struct span in = span_of(data, size);
    if (size < 2)
        return 0;
    if (!started && user_testing_start() < 0)
        abort();
    started = true;
    user_testing_new_account();
    user_testing_run(one, &in);
    return 0;
}
