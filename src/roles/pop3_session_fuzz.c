/* libFuzzer: whole POP3 sessions, against a real store. The input is what a client says: the first byte tells whether it
 * comes in pieces and whether it begins after the login. Each input has an account of its own, with three messages.
 * Whatever is said, nothing is removed without QUIT (RFC 1939 6). Dictionary: tests/corpus/pop3_session_fuzz.dict. */
#include "roles/user_testing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILL "p1 LOGIN alice right\r\np2 APPEND INBOX {9+}\r\nA: b\r\n\r\nc\r\np3 APPEND INBOX {23+}\r\nA: \xC3\xA4\r\n\r\n.dot\r\n..\r\nlast\r\n" \
    "p4 APPEND INBOX {4+}\r\n\r\nx\n\r\np5 LOGOUT\r\n"
#define COUNT "p1 LOGIN alice right\r\np2 STATUS INBOX (MESSAGES)\r\np3 LOGOUT\r\n"

static bool has_quit(struct span in)
{
    for (size_t i = 0; i + 4 <= in.n; i++)
        if (span_eq_nocase(span_sub(in, i, 4), SPAN("QUIT")))
            return true;
    return false;
}

static void check_lines(struct span said)
{
    assert(span_starts(said, SPAN("+OK Postel POP3 ready\r\n")));
    assert(span_ends_nocase(said, SPAN("\r\n")));
    while (said.n > 0) {
        struct span line = span_split(&said, '\n');
        assert(line.n > 0 && line.p[line.n - 1] == '\r'); /* RFC 1939 3: each line ends with CRLF */
    }
}

static WAITS void one(void *arg)
{
    struct span in = *(struct span *)arg;
    struct arena mem;
    struct str input;
    unsigned how = (unsigned char)in.p[0];
    arena_init(&mem);
    str_init(&input, &mem);
    struct span filled = user_testing_imap(SPAN(FILL), 0, &mem);
    assert(span_find(filled, SPAN("\r\np4 OK")) >= 0);
    if (how & 1)
        str_addz(&input, how & 8 ? "UTF8\r\nUSER alice\r\nPASS right\r\n" : "USER alice\r\nPASS right\r\n");
    str_add(&input, span_from(in, 1));
    check_lines(user_testing_pop3(str_span(&input), how & 2 ? 1 + (how >> 4) : 0, &mem));
    struct span said = user_testing_imap(SPAN(COUNT), 0, &mem);
    assert(span_find(said, SPAN("\r\n* STATUS INBOX (MESSAGES ")) >= 0);
    assert(has_quit(in) || span_find(said, SPAN("(MESSAGES 3)")) >= 0);
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
