/* IMAP sessions in this process, against a real store and scan: each command in each state (RFC 9051 3, 6), said at once and
 * a byte at a time, and the state behind it. */
#include "imap/imap_session.h"
#include "roles/user_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "run/coro_testing.h"
#include "run/session_testing.h"
#include "run/tls_testing.h"

#define LOGIN "p1 LOGIN alice right\r\n"
#define BOX LOGIN "p2 CREATE box\r\np3 APPEND INBOX (\\Flagged) {9+}\r\nA: b\r\n\r\nx\r\n"

/* Not authenticated, authenticated, selected, selected by EXAMINE; behind LOGOUT nothing is answered. */
enum state { N, A, S, E, STATES };
static const char *const before[STATES] = {"", BOX, BOX "p4 SELECT INBOX\r\n", BOX "p4 EXAMINE INBOX\r\n"};

/* want: O(K), N(O), B(AD) by state; after: the state behind it, by its letter, "-": the session is over. */
static const struct row { const char *said, *want, *after; } rows[] = {
    {"CAPABILITY", "OOOO", "NASE"},
    {"NOOP", "OOOO", "NASE"},
    {"LOGOUT", "OOOO", "----"},
    {"ID NIL", "OOOO", "NASE"},
    {"ID (\"name\" \"x\" \"version\" NIL)", "OOOO", "NASE"},
    {"STARTTLS", "BBBB", "NASE"}, /* there is no certificate here; with one: see starttls */
    {"AUTHENTICATE PLAIN AGFsaWNlAHJpZ2h0", "OBBB", "AASE"},
    {"AUTHENTICATE PLAIN\r\nAGFsaWNlAHJpZ2h0", "OBBB", "AASE"},
    {"AUTHENTICATE PLAIN\r\n*", "BBBB", "NASE"},
    {"AUTHENTICATE FROB", "NBBB", "NASE"},
    {"LOGIN alice right", "OBBB", "AASE"},
    {"LOGIN {5+}\r\nalice {5+}\r\nright", "OBBB", "AASE"},
    {"LOGIN alice wrong", "NBBB", "NASE"},
    {"LOGIN alice", "BBBB", "NASE"},
    {"ENABLE IMAP4rev2 UTF8=ACCEPT FROB", "BOOO", "NASE"},
    {"SELECT INBOX", "BOOO", "NSSS"},
    {"SELECT nowhere", "BNNN", "NAAA"}, /* RFC 9051 6.3.2: a SELECT that fails leaves none selected */
    {"SELECT", "BBBB", "NASE"},
    {"EXAMINE INBOX", "BOOO", "NEEE"},
    {"EXAMINE nowhere", "BNNN", "NAAA"},
    {"CREATE new/one", "BOOO", "NASE"},
    {"CREATE INBOX", "BNNN", "NASE"},
    {"DELETE box", "BOOO", "NASE"},
    {"DELETE INBOX", "BNNN", "NASE"},
    {"RENAME box other", "BOOO", "NASE"},
    {"RENAME nowhere other", "BNNN", "NASE"},
    {"SUBSCRIBE box", "BOOO", "NASE"},
    {"UNSUBSCRIBE box", "BOOO", "NASE"},
    {"LIST \"\" *", "BOOO", "NASE"},
    {"LIST (SUBSCRIBED) \"\" (box *) RETURN (CHILDREN STATUS (MESSAGES))", "BOOO", "NASE"},
    {"LSUB \"\" *", "BOOO", "NASE"},
    {"NAMESPACE", "BOOO", "NASE"},
    {"STATUS INBOX (MESSAGES UNSEEN SIZE)", "BOOO", "NASE"},
    {"STATUS nowhere (MESSAGES)", "BNNN", "NASE"},
    {"IDLE\r\nDONE", "BOOO", "NASE"},
    {"IDLE\r\nDOWN", "BBBB", "NASE"},
    {"CHECK", "BBOO", "NASE"},
    {"CLOSE", "BBOO", "NAAA"},
    {"UNSELECT", "BBOO", "NAAA"},
    {"APPEND INBOX {9+}\r\nC: d\r\n\r\ny", "BOOO", "NASE"},
    {"APPEND {5+}\r\nINBOX (\\Seen) \" 1-Feb-2020 10:00:00 +0100\" {9+}\r\nC: d\r\n\r\ny", "BOOO", "NASE"},
    {"APPEND INBOX UTF8 (~{9+}\r\nC: d\r\n\r\ny)", "BOOO", "-ASE"}, /* before the login no binary literal is read */
    {"APPEND INBOX (\\Seen) UTF8 (~{9+}\r\nC: d\r\n\r\ny", "BBBB", "-ASE"},
    {"APPEND INBOX ~{9+}\r\nC: d\r\n\r\ny", "BNNN", "-ASE"},
    {"APPEND nowhere {9+}\r\nC: d\r\n\r\ny", "BNNN", "NASE"},
    {"APPEND INBOX {9+}\r\nC: d\r\n\rxy", "BNNN", "NASE"}, /* a bare CR (SEC-03) */
    {"APPEND INBOX", "BBBB", "NASE"},
    {"EXPUNGE", "BBON", "NASE"},
    {"EXPUNGE 1", "BBBB", "NASE"},
    {"UID EXPUNGE 1:*", "BBON", "NASE"},
    {"UID EXPUNGE", "BBBN", "NASE"},
    {"SEARCH FLAGGED", "BBOO", "NASE"},
    {"SEARCH RETURN (SAVE) ALL", "BBOO", "NASE"},
    {"UID SEARCH SUBJECT x", "BBOO", "NASE"},
    {"SEARCH CHARSET KLINGON ALL", "BBNN", "NASE"},
    {"SEARCH FROB", "BBBB", "NASE"},
    {"FETCH 1 (FLAGS BODY.PEEK[])", "BBOO", "NASE"},
    {"FETCH 1 BODY[]", "BBOO", "NASE"},
    {"FETCH 2 FLAGS", "BBBB", "NASE"},
    {"FETCH 1 FROB", "BBBB", "NASE"},
    {"UID FETCH 1:* FLAGS", "BBOO", "NASE"},
    {"UID FETCH 99 ALL", "BBOO", "NASE"}, /* RFC 9051 6.4.9: no error */
    {"STORE 1 +FLAGS (\\Seen $Forwarded)", "BBON", "NASE"},
    {"UID STORE 1 FLAGS.SILENT ()", "BBON", "NASE"},
    {"STORE 2 FLAGS ()", "BBBN", "NASE"},
    {"STORE 1 FLAGS (\\Frob)", "BBBN", "NASE"},
    {"COPY 1 box", "BBOO", "NASE"},
    {"UID COPY 1 box", "BBOO", "NASE"},
    {"COPY 1 nowhere", "BBNN", "NASE"},
    {"COPY 2 box", "BBBB", "NASE"},
    {"MOVE 1 box", "BBON", "NASE"},
    {"UID MOVE 1 box", "BBON", "NASE"},
    {"MOVE 1 nowhere", "BBNN", "NASE"},
    /* what no state knows */
    {"FROB", "BBBB", "NASE"},
    {"UID", "BBBB", "NASE"},
    {"UID NOOP", "BBBB", "NASE"},
    {"UID FROB 1", "BBBB", "NASE"},
    {"NOOP x", "BBBB", "NASE"},
    {"NOOP {3+}\r\nabc", "BBBB", "NASE"},
    {"noop", "OOOO", "NASE"},
};

/* The first letter of what was answered to `tag`; "-": nothing was. */
static char answer_to(struct span said, const char *tag, struct arena *mem)
{
    struct span mark = arena_printf(mem, "\r\n%s ", tag);
    ptrdiff_t at = span_find(said, mark);
    return at < 0 || (size_t)at + mark.n >= said.n ? '-' : said.p[(size_t)at + mark.n];
}

/* EXPUNGE tells a selected mailbox from one that was examined, NAMESPACE whether somebody is logged in. */
static char state_after(struct span said, struct arena *mem)
{
    char expunge = answer_to(said, "y1", mem), names = answer_to(said, "y2", mem);
    return names == '-' ? '-' : expunge == 'O' ? 'S' : expunge == 'N' ? 'E' : names == 'O' ? 'A' : 'N';
}

static bool check(const struct row *r, enum state state, size_t step, struct arena *mem)
{
    struct str input;
    user_testing_new_account();
    str_init(&input, mem);
    str_addz(&input, before[state]);
    str_addz(&input, "x1 ");
    str_addz(&input, r->said);
    str_addz(&input, "\r\ny1 EXPUNGE\r\ny2 NAMESPACE\r\n");
    struct span said = user_testing_imap(str_span(&input), step, mem);
    char got = answer_to(said, "x1", mem), after = state_after(said, mem);
    if (got == r->want[state] && after == r->after[state])
        return true;
    fprintf(stderr, "%s in state %c, step %zu: %c, then %c\n%.*s\n", r->said, "NASE"[state], step, got, after, SPAN_ARGS(said));
    return false;
}

static WAITS void each_command(void *arg)
{
    unsigned bad = 0;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (enum state state = N; state < STATES; state++)
            for (size_t step = 0; step <= 1; step++) {
                struct arena mem;
                arena_init(&mem);
                bad += !check(&rows[i], state, step, &mem);
                arena_done(&mem);
            }
    CHECK(bad == 0);
}

/* Nothing is answered, and nothing is done, behind the answer to LOGOUT. */
static WAITS void behind_logout(void *arg)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena mem;
        struct str input;
        arena_init(&mem);
        str_init(&input, &mem);
        str_addz(&input, BOX "p4 LOGOUT\r\nx1 ");
        str_addz(&input, rows[i].said);
        str_addz(&input, "\r\n");
        user_testing_new_account();
        struct span said = user_testing_imap(str_span(&input), 0, &mem);
        CHECK(answer_to(said, "p4", &mem) == 'O' && answer_to(said, "x1", &mem) == '-');
        CHECK(span_ends_nocase(said, SPAN("p4 OK LOGOUT done\r\n")));
        arena_done(&mem);
    }
    struct arena mem; /* the last one brought a message in vain, and so did they all */
    arena_init(&mem);
    user_testing_new_account();
    user_testing_imap(SPAN(BOX "p4 LOGOUT\r\nx1 APPEND INBOX {9+}\r\nC: d\r\n\r\ny\r\n"), 0, &mem);
    CHECK(span_find(user_testing_imap(SPAN(LOGIN "x1 STATUS INBOX (MESSAGES)\r\n"), 0, &mem), SPAN("(MESSAGES 1)")) >= 0);
    arena_done(&mem);
}

/* A new command needs a line above. */
static void every_command(void **state)
{
    for (size_t i = 0; imap_session_row(i) != NULL; i++) {
        struct span name = span_z(imap_session_row(i)->name);
        bool plain = false, uid = false;
        for (size_t k = 0; k < COUNT_OF(rows); k++) {
            struct span said = span_z(rows[k].said), first = span_split(&said, ' '), second = span_split(&said, ' ');
            struct span line = first;
            first = span_split(&line, '\r');
            plain = plain || span_eq(first, name);
            uid = uid || (span_eq(first, SPAN("UID")) && span_eq(second, name));
        }
        if (!plain || (!uid && (imap_session_row(i)->flags & (IMAP_ROW_UID | IMAP_ROW_UID_ONLY)) != 0))
            fail_msg("%s", imap_session_row(i)->name);
    }
}

/* ---- longer talks ------------------------------------------------------------------------------------------------------- */

#define NOPE "n FROB\r\n"
#define TEN NOPE NOPE NOPE NOPE NOPE NOPE NOPE NOPE NOPE NOPE

/* want: pieces of what is said, in this order; the last one ends it when it begins with "$". */
static const struct { const char *said, *want[6]; } talks[] = {
    {"", {"* OK [CAPABILITY IMAP4rev1 IMAP4rev2 ", "AUTH=PLAIN"}},
    {"\r\na NOOP\r\n", {"* BAD ", "a OK "}},
    {"a NOOP\nb NOOP\r\n", {"a BAD A line ends in CRLF", "b OK "}},
    {TEN TEN "a NOOP\r\n", {"* BYE Too many errors", "$errors\r\n"}},
    {TEN NOPE "a NOOP\r\n" TEN "b NOOP\r\n", {"a OK ", "b OK "}}, /* in a row */
    {LOGIN "a LOGOUT\r\n", {"p1 OK ", "* BYE ", "a OK ", "$LOGOUT done\r\n"}},
    {"a CAPABILITY\r\n" LOGIN "b CAPABILITY\r\n", {"AUTH=PLAIN", "a OK ", "p1 OK ", " UTF8=ACCEPT", "b OK "}},
    {LOGIN "a APPEND INBOX {5000+}\r\n", {"p1 OK ", "a BAD A literal of that size waits", "$(LITERAL-)\r\n"}},
    {LOGIN "a APPEND INBOX {3}\r\nb: \r\nb NOOP\r\n", {"p1 OK ", "+ Go on", "a OK [APPENDUID ", "b OK "}},
    {"a LOGIN {2000}\r\nb NOOP\r\n", {"a BAD A literal is too long", "b OK "}},
    /* what one session does another one of the same mailbox is told */
    {BOX "p4 SELECT INBOX\r\na STORE 1 +FLAGS.SILENT (\\Deleted)\r\nb CLOSE\r\nc STATUS INBOX (MESSAGES)\r\n",
     {"* 1 EXISTS", "a OK ", "b OK ", "(MESSAGES 0)", "c OK "}},
    {BOX "p4 EXAMINE INBOX\r\na CLOSE\r\nb STATUS INBOX (MESSAGES)\r\n", {"p4 OK [READ-ONLY]", "(MESSAGES 1)", "b OK "}},
    {BOX "p4 SELECT INBOX\r\na MOVE 1 box\r\nb SELECT box\r\n", {"* OK [COPYUID ", "* 1 EXPUNGE", "a OK ", "* OK [CLOSED]", "* 1 EXISTS", "b OK "}},
    {BOX "p4 SELECT INBOX\r\na DELETE box\r\nb SELECT box\r\nc FETCH 1 FLAGS\r\n", {"a OK ", "b NO [NONEXISTENT]", "c BAD Select a mailbox first"}},
    /* a surrogate (RFC 6857), until UTF8=ACCEPT is enabled */
    {LOGIN "p2 APPEND INBOX {16+}\r\nSubject: \xc3\xbc\r\n\r\nx\r\np3 SELECT INBOX\r\na FETCH 1 (RFC822.SIZE BODY[])\r\nb ENABLE UTF8=ACCEPT\r\n"
     "c FETCH 1 (RFC822.SIZE BODY[])\r\n",
     {"* 1 FETCH (RFC822.SIZE 30 BODY[] {30}\r\nSubject: =?UTF-8?B?w7w=?=\r\n\r\nx", "a OK [DOWNGRADED 1] ", "* ENABLED UTF8=ACCEPT",
      "* 1 FETCH (RFC822.SIZE 16 BODY[] {16}\r\nSubject: \xc3\xbc\r\n\r\nx", "c OK Fetched"}},
};

static WAITS void each_talk(void *arg)
{
    unsigned bad = 0;
    for (size_t i = 0; i < COUNT_OF(talks); i++)
        for (size_t step = 0; step <= 1; step++) {
            struct arena mem;
            arena_init(&mem);
            user_testing_new_account();
            struct span said = user_testing_imap(span_z(talks[i].said), step, &mem), rest = said;
            for (size_t k = 0; k < COUNT_OF(talks[i].want) && talks[i].want[k] != NULL; k++) {
                struct span want = span_z(talks[i].want[k]);
                ptrdiff_t at = want.p[0] == '$' ? -1 : span_find(rest, want);
                if (at >= 0 || (want.p[0] == '$' && span_ends_nocase(said, span_from(want, 1)))) {
                    rest = at >= 0 ? span_from(rest, (size_t)at + want.n) : rest;
                    continue;
                }
                fprintf(stderr, "talk %zu, step %zu: no \"%s\" in\n%.*s\n", i, step, talks[i].want[k], SPAN_ARGS(said));
                bad++;
                break;
            }
            arena_done(&mem);
        }
    CHECK(bad == 0);
}

/* RFC 2971 3.3: 30 pairs of 30 and 1,024 characters fit before the login, where a line has 8 KiB; more do not. */
static WAITS void each_id(void *arg)
{
    static const struct { unsigned pairs; int value; char want; bool over; } ids[] = {
        {1, 10, 'O', false}, {30, 1024, 'O', false}, {31, 1024, 'B', false}, {200, 1024, 'B', true}, {30, 3000, 'O', false}, {2, 9000, 'B', true},
    };
    for (size_t i = 0; i < COUNT_OF(ids); i++)
        for (size_t step = 0; step <= 1000; step += 1000) {
            struct arena mem;
            struct str input;
            arena_init(&mem);
            str_init(&input, &mem);
            str_addz(&input, "x1 ID (");
            for (unsigned n = 0; n < ids[i].pairs; n++)
                str_addf(&input, "%s\"%030u\" \"%0*u\"", n > 0 ? " " : "", n, ids[i].value, n);
            str_addz(&input, ")\r\ny1 NOOP\r\n");
            struct span said = user_testing_imap(str_span(&input), step, &mem);
            if (answer_to(said, "x1", &mem) != ids[i].want || (answer_to(said, "y1", &mem) == '-') != ids[i].over)
                fprintf(stderr, "ID %zu, step %zu\n%.*s", i, step, SPAN_ARGS(said));
            CHECK(answer_to(said, "x1", &mem) == ids[i].want && (answer_to(said, "y1", &mem) == '-') == ids[i].over);
            arena_done(&mem);
        }
}

/* ---- STARTTLS ----------------------------------------------------------------------------------------------------------- */

/* The answer to a, or to e: an end of file in TLS could take with it what was said. */
static bool begun(struct span said, size_t n) { return span_find(said, SPAN("\r\na OK Begin TLS\r\n")) >= 0; }
static bool answered(struct span said, size_t n) { return span_find(said, SPAN("\r\ne OK ")) >= 0; }

/* RFC 9051 6.2.1: it is there before the login, and not in TLS; capabilities are others then. What lay behind it in clear is
 * no command (SEC-04). */
static WAITS void each_starttls(void *arg)
{
    static const struct session_flight good[] = {
        {.bytes = SPAN("a STARTTLS\r\n"), .then = SESSION_TLS, .heard = begun},
        {.bytes = SPAN("b STARTTLS\r\nc CAPABILITY\r\n" LOGIN "d STARTTLS\r\ne NAMESPACE\r\n"), .heard = answered},
    };
    static const struct session_flight injected[] = {
        {.bytes = SPAN("a STARTTLS\r\n" LOGIN), .then = SESSION_TLS, .heard = begun}, {.bytes = SPAN("e NAMESPACE\r\n")},
    };
    struct arena mem;
    struct fail f;
    struct tls_chain chain = tls_testing_cert("DNS:mx.example.test");
    struct tls_service *tls = tls_service_new("imap", SPAN_NONE, tls_testing_sign);
    CHECK(tls_service_load(tls, &chain, 1, &f) == 0);
    arena_init(&mem);
    for (size_t step = 0; step <= 1; step++) {
        user_testing_new_account();
        struct span said = session_testing_flights(imap_session_run, SERVICE_imap, true, tls, good, COUNT_OF(good), step, &mem);
        CHECK(span_find(said, SPAN(" STARTTLS ")) >= 0 && span_find(said, SPAN("b BAD TLS is there already")) >= 0);
        ptrdiff_t in_tls = span_find(said, SPAN("\r\n* CAPABILITY "));
        CHECK(in_tls >= 0 && span_find(span_from(said, (size_t)in_tls), SPAN(" STARTTLS ")) < 0);
        CHECK(answer_to(said, "d", &mem) == 'B' && answer_to(said, "e", &mem) == 'O');
    }
    struct span said = session_testing_flights(imap_session_run, SERVICE_imap, true, tls, injected, COUNT_OF(injected), 0, &mem);
    CHECK(answer_to(said, "p1", &mem) == '-' && answer_to(said, "e", &mem) == '-');
    arena_done(&mem);
    tls_service_free(tls);
    tls_testing_done();
    free((char *)(uintptr_t)chain.pem.p);
}

static void long_id(void **state) { user_testing_run(each_id, NULL); }
static void starttls(void **state) { user_testing_run(each_starttls, NULL); }
static void commands(void **state) { user_testing_run(each_command, NULL); }
static void logout(void **state) { user_testing_run(behind_logout, NULL); }
static void longer(void **state) { user_testing_run(each_talk, NULL); }

static int start(void **state) { return user_testing_start(); }

static int stop(void **state)
{
    user_testing_stop();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_command), cmocka_unit_test(commands), cmocka_unit_test(logout),
                                       cmocka_unit_test(longer), cmocka_unit_test(long_id), cmocka_unit_test(starttls)};
    return cmocka_run_group_tests(tests, start, stop);
}
