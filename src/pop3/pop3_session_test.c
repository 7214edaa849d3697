/* Whole POP3 sessions against a played auth and store. */
#include "pop3/pop3_session.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/utf8.h"
#include "format/summary.h"
#include "run/config.h"
#include "run/ipc_testing.h"
#include "run/session_testing.h"

enum { BIG = 300000, LONG = 70000 };

/* ---- the other roles ----------------------------------------------------------------------------------------------- */

static struct seen {
    unsigned logins, logouts, locks, expunges;
    struct { uint64_t first, last; } removed[16];
    unsigned n_removed;
    char days[8], fetched[200]; /* values of the account */
    bool full; /* expunge fails */
} *seen;

static char big[BIG];
static char long_header[LONG];
static struct span messages[] = {
    {"A: 1\r\n\r\none\r\n.dot\r\n..\r\nlast\r\n", 29},
    {"A: 2\r\n\r\n", 8},
    {big, BIG},
    {"A: 4\r\n\r\nfour\r\n", 14},
    {"A: 5\r\n\r\n.\r\n", 11}, /* this one is gone when it is read */
    {"A: \xC3\xA4\r\n\r\nutf8\r\n", 15},
    {"A: \xE4\r\n\r\nlatin\r\n", 15},
    {"A: 8\r\n\r\n\xC3\xA4\r\n", 12},
    {long_header, LONG},        /* its header ends in the second window; store knows that it is ASCII */
    {long_header, LONG},        /* or UTF-8 */
};

static void on_sasl(struct ipc_req *req)
{
    const struct msg_sasl *in = req->in;
    struct msg_sasl_r out = {.state = SASL_BAD, .wait_ms = 30, .lang = SPAN("de-CH")};
    seen->logins++;
    if (in->response.n == 0) { /* a mechanism of two steps, whose first challenge is not empty */
        out.state = SASL_MORE;
        out.dialog = 5;
        out.challenge = in->dialog == 5 ? SPAN("") : SPAN("x");
    } else if (in->response.n > 9000) {
        out.state = SASL_SYNTAX;
    } else if (!span_eq(in->mech, SPAN("PLAIN")) || in->ip.n != 16)
        out.state = SASL_SYNTAX;
    else if (span_eq(in->response, SPAN("\0bob@example.test\0a b ")) || span_eq(in->response, SPAN("\0locked\0x")) ||
             span_eq(in->response, SPAN("\0empty\0x"))) {
        out.state = SASL_OK;
        out.handle = in->response.p[1] == 'b' ? SPAN("handle-of-bob-16") : in->response.p[1] == 'l' ? SPAN("handle-of-locked")
                                                                                                    : SPAN("handle-of-empty!");
    } else if (span_eq(in->response, SPAN("\0busy\0x"))) {
        out.state = SASL_BUSY;
    }
    ipc_reply(req, &out);
}

static void on_logout(const struct ipc_peer *peer, const void *in)
{
    seen->logouts++;
}

static void on_mailbox_list(struct ipc_req *req)
{
    const struct msg_mailbox_list *in = req->in;
    static struct msg_mailbox_row row[] = {{.mailbox = 3, .role = MAILBOX_TRASH, .uidvalidity = 1},
                                           {.mailbox = 7, .role = MAILBOX_INBOX, .uidvalidity = 99}};
    struct msg_mailbox_list_r out = {.mailboxes = {.v = row, .n = span_eq(in->handle, SPAN("handle-of-empty!")) ? 1 : 2}};
    ipc_reply(req, &out);
}

static void on_mailbox_lock(struct ipc_req *req)
{
    const struct msg_mailbox_lock *in = req->in;
    struct fail f;
    seen->locks++;
    if (span_eq(in->handle, SPAN("handle-of-locked"))) {
        fail_temp(&f, "4.2.0", "another has it");
        ipc_refuse(req, &f);
    } else {
        ipc_reply(req, &(struct msg_mailbox_lock_r){});
    }
}

/* Two rows a reply, so that windows are walked. UIDs are 10, 20, ... */
static void on_member_scan(struct ipc_req *req)
{
    const struct msg_member_scan *in = req->in;
    struct msg_member_row rows[2];
    struct msg_member_scan_r out = {.rows = {.v = rows}};
    for (size_t i = 0; i < COUNT_OF(messages); i++) {
        if ((i + 1) * 10 < in->first)
            continue;
        if (out.rows.n == 2) {
            out.next = (i + 1) * 10;
            break;
        }
        rows[out.rows.n++] = (struct msg_member_row){.uid = (i + 1) * 10, .eid = 1000 + i, .size = messages[i].n,
                                                          .saved_ms = clock_now_ms() - (int64_t)(10 - i) * 86400000};
    }
    ipc_reply(req, &out);
}

static void on_email_read(struct ipc_req *req)
{
    const struct msg_email_read *in = req->in;
    struct fail f;
    if (in->eid < 1000 || in->eid == 1004 || in->eid >= 1000 + COUNT_OF(messages)) {
        fail_perm(&f, "5.1.1", "gone");
        ipc_refuse(req, &f);
        return;
    }
    struct span m = messages[in->eid - 1000];
    ipc_reply(req, &(struct msg_email_read_r){.size = m.n, .data = span_sub(m, in->offset, in->length)});
}

static void on_email_slices(struct ipc_req *req)
{
    const struct msg_email_slices *in = req->in;
    struct msg_email_slice_got *v = arena_zalloc(req->mem, (in->slices.n + 1) * sizeof *v);
    for (uint32_t i = 0; i < in->slices.n; i++) {
        const struct msg_email_slice *x = &in->slices.v[i];
        if (x->eid < 1000 || x->eid == 1004 || x->eid >= 1000 + COUNT_OF(messages))
            continue;
        struct span m = messages[x->eid - 1000];
        v[i] = (struct msg_email_slice_got){1, m.n, span_sub(m, x->offset, x->length)};
    }
    ipc_reply(req, &(struct msg_email_slices_r){{v, in->slices.n}});
}

static void on_email_get(struct ipc_req *req)
{
    const struct msg_email_get *in = req->in;
    struct msg_email_row row = {.eid = in->ids.v[0].eid, .summary_flags = in->ids.v[0].eid == 1009 ? SUMMARY_UTF8 : 0};
    CHECK(in->ids.n == 1 && in->ids.v[0].eid >= 1008);
    ipc_reply(req, &(struct msg_email_get_r){.done = 1, .emails = {&row, 1}});
}

static void on_expunge(struct ipc_req *req)
{
    const struct msg_expunge *in = req->in;
    struct fail f;
    seen->expunges++;
    if (seen->full || in->mailbox != 7 || in->op.n != 16) {
        fail_temp(&f, "4.3.1", "disk full");
        ipc_refuse(req, &f);
        return;
    }
    for (uint32_t i = 0; i < in->uids.n; i++) {
        seen->removed[seen->n_removed].first = in->uids.v[i].first;
        seen->removed[seen->n_removed++].last = in->uids.v[i].last;
    }
    ipc_reply(req, &(struct msg_expunge_r){0});
}

static void on_kv_get(struct ipc_req *req)
{
    const struct msg_kv_get *in = req->in;
    struct span v = span_z(span_eq(in->key, SPAN("pop3/keep_days")) ? seen->days : seen->fetched);
    ipc_reply(req, &(struct msg_kv_get_r){.found = v.n > 0, .value = v});
}

static void on_kv_set(struct ipc_req *req)
{
    const struct msg_kv_set *in = req->in;
    CHECK(span_eq(in->key, SPAN("pop3/fetched")) && in->value.n < sizeof seen->fetched);
    snprintf(seen->fetched, sizeof seen->fetched, "%.*s", SPAN_ARGS(in->value));
    ipc_reply(req, &(struct msg_kv_set_r){});
}

static const struct ipc_handler auth_rows[] = {{.id = MSG_ID_sasl, .call = on_sasl}, {.id = MSG_ID_logout, .post = on_logout}};
static const struct ipc_handler store_rows[] = {
    {.id = MSG_ID_mailbox_list, .call = on_mailbox_list}, {.id = MSG_ID_mailbox_lock, .call = on_mailbox_lock},
    {.id = MSG_ID_member_scan, .call = on_member_scan},   {.id = MSG_ID_email_read, .call = on_email_read},
    {.id = MSG_ID_email_slices, .call = on_email_slices},
    {.id = MSG_ID_expunge, .call = on_expunge},           {.id = MSG_ID_email_get, .call = on_email_get},
    {.id = MSG_ID_kv_get, .call = on_kv_get},             {.id = MSG_ID_kv_set, .call = on_kv_set},
};

static struct ipc_server auth, store;
static void (*test_fn)(void);

static WAITS void with_channels(void)
{
    ipc_self(ROLE_FRONT_USER);
    ipc_attach(auth.fd, (struct ipc_peer){ROLE_AUTH, 0, 1}, true, false);
    ipc_attach(store.fd, (struct ipc_peer){ROLE_STORE, 0, 2}, true, false);
    test_fn();
}

static int run(void (*fn)(void))
{
    auth = ipc_testing_server(ROLE_AUTH, ROLE_FRONT_USER, auth_rows, COUNT_OF(auth_rows));
    store = ipc_testing_server(ROLE_STORE, ROLE_FRONT_USER, store_rows, COUNT_OF(store_rows));
    test_fn = fn;
    *seen = (struct seen){0};
    int failed = ipc_testing_run(with_channels);
    failed += ipc_testing_wait(&auth) != 0;
    failed += ipc_testing_wait(&store) != 0;
    return failed;
}

/* ---- the dialogues ------------------------------------------------------------------------------------------------- */

#define LOGIN "USER bob@example.test\r\nPASS a b \r\n"
#define IN "+OK Postel POP3 ready\r\n+OK Password?\r\n+OK 10 messages\r\n"

#define REST "6 15\r\n7 15\r\n8 12\r\n9 70000\r\n10 70000\r\n"
#define RESTU "6 99.60\r\n7 99.70\r\n8 99.80\r\n9 99.90\r\n10 99.100\r\n"
#define READY "+OK Postel POP3 ready\r\n"
#define AUTHED "AUTH PLAIN AGJvYkBleGFtcGxlLnRlc3QAYSBiIA==\r\n"
#define UTF8_ERR "-ERR [UTF8] The message needs a mail program that sends UTF8\r\n"

static const struct talk {
    const char *input, *said;
} talks[] = {
    {"", "+OK Postel POP3 ready\r\n"},
    {"QUIT\r\n", "+OK Postel POP3 ready\r\n+OK Bye\r\n"},
    {LOGIN "STAT\r\nQUIT\r\n", IN "+OK 10 440104\r\n+OK Bye\r\n"},
    {LOGIN "LIST\r\nLIST 4\r\nLIST 11\r\nLIST 0\r\nLIST 1 2\r\n",
     IN "+OK 10 messages\r\n1 29\r\n2 8\r\n3 300000\r\n4 14\r\n5 11\r\n" REST ".\r\n+OK 4 14\r\n"
        "-ERR No such message\r\n-ERR No such message\r\n-ERR No such message\r\n"},
    {LOGIN "UIDL\r\nUIDL 2\r\n", IN "+OK 10 messages\r\n1 99.10\r\n2 99.20\r\n3 99.30\r\n4 99.40\r\n5 99.50\r\n" RESTU ".\r\n+OK 2 99.20\r\n"},
    {LOGIN "RETR 1\r\nRETR 2\r\nRETR 4\r\nRETR 5\r\n",
     IN "+OK 29 octets\r\nA: 1\r\n\r\none\r\n..dot\r\n...\r\nlast\r\n.\r\n+OK 8 octets\r\nA: 2\r\n\r\n.\r\n"
        "+OK 14 octets\r\nA: 4\r\n\r\nfour\r\n.\r\n-ERR The message is gone\r\n"},
    {LOGIN "TOP 1 0\r\nTOP 1 2\r\nTOP 1 99\r\nTOP 1\r\nTOP\r\nTOP 1 x\r\nTOP 11 1\r\n",
     IN "+OK Top\r\nA: 1\r\n\r\n.\r\n+OK Top\r\nA: 1\r\n\r\none\r\n..dot\r\n.\r\n"
        "+OK Top\r\nA: 1\r\n\r\none\r\n..dot\r\n...\r\nlast\r\n.\r\n"
        "-ERR How many lines?\r\n-ERR No such message\r\n-ERR How many lines?\r\n-ERR No such message\r\n"},
    {LOGIN "DELE 2\r\nDELE 2\r\nRETR 2\r\nLIST\r\nSTAT\r\nRSET\r\nSTAT\r\nQUIT\r\n",
     IN "+OK Deleted at QUIT\r\n-ERR No such message\r\n-ERR No such message\r\n"
        "+OK 9 messages\r\n1 29\r\n3 300000\r\n4 14\r\n5 11\r\n" REST ".\r\n+OK 9 440096\r\n+OK 10 messages\r\n+OK 10 440104\r\n+OK Bye\r\n"},
    {LOGIN "DELE 10\r\nLIST\r\nUIDL\r\n", /* the last one gone: the end of the list is still sent */
     IN "+OK Deleted at QUIT\r\n+OK 9 messages\r\n1 29\r\n2 8\r\n3 300000\r\n4 14\r\n5 11\r\n6 15\r\n7 15\r\n8 12\r\n"
        "9 70000\r\n.\r\n+OK 9 messages\r\n1 99.10\r\n2 99.20\r\n3 99.30\r\n4 99.40\r\n5 99.50\r\n6 99.60\r\n"
        "7 99.70\r\n8 99.80\r\n9 99.90\r\n.\r\n"},
    {"USER empty\r\nPASS x\r\nSTAT\r\nLIST\r\nQUIT\r\n",
     "+OK Postel POP3 ready\r\n+OK Password?\r\n+OK 0 messages\r\n+OK 0 0\r\n+OK 0 messages\r\n.\r\n+OK Bye\r\n"},
    {"USER locked\r\nPASS x\r\nSTAT\r\n",
     "+OK Postel POP3 ready\r\n+OK Password?\r\n-ERR [IN-USE] Another session has this mailbox\r\n"
     "-ERR STAT is not possible now\r\n"},
    {"USER bob@example.test\r\nPASS wrong\r\nPASS a b \r\nUSER busy\r\nPASS x\r\n",
     "+OK Postel POP3 ready\r\n+OK Password?\r\n-ERR [AUTH] Login failed\r\n-ERR PASS is not possible now\r\n+OK Password?\r\n"
     "-ERR [SYS/TEMP] Logins are not possible now, try again later\r\n"},
    {LOGIN "USER x\r\nSTLS\r\nAPOP a b\r\nFROB\r\n\r\n\x80\xff\r\nNOOP\nNOOP x\r\nNOOP\r\n",
     IN "-ERR USER is not possible after the login\r\n-ERR STLS is not possible after the login\r\n"
        "-ERR APOP is not possible after the login\r\n-ERR Unknown command\r\n-ERR That is no command\r\n"
        "-ERR That is no command\r\n-ERR That is no command\r\n-ERR NOOP takes no argument\r\n+OK Still here\r\n"},
    {"CAPA\r\nAPOP a b\r\n",
     "+OK Postel POP3 ready\r\n+OK What this server can do\r\nUSER\r\nSASL SCRAM-SHA-256 PLAIN LOGIN SCRAM-SHA-1\r\nUTF8 USER\r\nLANG\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n"
     "PIPELINING\r\nLOGIN-DELAY 0\r\nIMPLEMENTATION Postel\r\nEXPIRE 7 USER\r\n.\r\n"
     "-ERR APOP is not offered, use USER and PASS in TLS\r\n"},
    /* RFC 5034: initial response, empty challenge, cancel, rubbish; each failure leaves the next try open */
    {AUTHED "AUTH PLAIN x\r\nSTAT\r\nCAPA\r\n",
     READY "+OK 10 messages\r\n-ERR AUTH is not possible after the login\r\n+OK 10 440104\r\n"
     "+OK What this server can do\r\nUSER\r\nSASL SCRAM-SHA-256 PLAIN LOGIN SCRAM-SHA-1\r\nUTF8 USER\r\nLANG\r\nTOP\r\nUIDL\r\nRESP-CODES\r\n"
     "AUTH-RESP-CODE\r\nPIPELINING\r\nLOGIN-DELAY 0\r\nIMPLEMENTATION Postel\r\nEXPIRE NEVER\r\n.\r\n"},
    {"auth plain\r\n\r\nAGJvYkBleGFtcGxlLnRlc3QAYSBiIA==\r\nSTAT\r\n",
     READY "+ eA==\r\n+ \r\n+OK 10 messages\r\n+OK 10 440104\r\n"},
    {"AUTH PLAIN\r\n*\r\nAUTH PLAIN =\r\nAUTH PLAIN AAA=BBB\r\nAUTH PLAIN x y\r\nAUTH\r\nAUTH FROB\r\nAUTH PLAIN AGEAYg==\r\n" AUTHED,
     READY "+ eA==\r\n-ERR The login was cancelled\r\n-ERR That is no response of this mechanism\r\n-ERR That is no base64\r\n"
     "-ERR That is no base64\r\n-ERR Which mechanism?\r\n-ERR No such mechanism here\r\n-ERR [AUTH] Login failed\r\n"
     "+OK 10 messages\r\n"},
    /* RFC 6856 */
    {LOGIN "RETR 6\r\nTOP 6 0\r\nRETR 7\r\nRETR 8\r\nTOP 10 0\r\nUTF8\r\nDELE 6\r\n",
     IN UTF8_ERR UTF8_ERR "+OK 15 octets\r\nA: \xE4\r\n\r\nlatin\r\n.\r\n+OK 12 octets\r\nA: 8\r\n\r\n\xC3\xA4\r\n.\r\n"
     UTF8_ERR "-ERR UTF8 is not possible after the login\r\n+OK Deleted at QUIT\r\n"},
    {"UTF8\r\nUTF8\r\nUTF8 x\r\nSTLS\r\n" LOGIN "RETR 6\r\nTOP 6 0\r\n",
     READY "+OK UTF-8 from now on\r\n-ERR UTF-8 is on already\r\n-ERR UTF8 takes no argument\r\n-ERR TLS is not available now\r\n"
     "+OK Password?\r\n+OK 10 messages\r\n+OK 15 octets\r\nA: \xC3\xA4\r\n\r\nutf8\r\n.\r\n+OK Top\r\nA: \xC3\xA4\r\n\r\n.\r\n"},
    {"LANG\r\nLANG fr\r\nLANG DE-at\r\nLANG x\r\nUSER locked\r\nPASS x\r\nNOOP\r\nLANG en\r\nLANG *\r\nQUIT\r\n",
     READY "+OK Languages\r\nen English\r\nde Deutsch\r\n.\r\n-ERR There are no texts in that language\r\n"
     "+OK de Sprache gewechselt\r\n-ERR In dieser Sprache gibt es keine Texte\r\n+OK Passwort?\r\n"
     "-ERR [IN-USE] Eine andere Sitzung hat dieses Postfach\r\n-ERR NOOP ist jetzt nicht m\xC3\xB6glich\r\n"
     "+OK en Language changed\r\n+OK en Language changed\r\n+OK Bye\r\n"},
    {LOGIN "LANG *\r\nDELE 1\r\nLIST 2\r\nLIST\r\nQUIT\r\n",
     IN "+OK de Sprache gewechselt\r\n+OK Wird bei QUIT gel\xC3\xB6scht\r\n+OK 2 8\r\n+OK 9 Nachrichten\r\n2 8\r\n3 300000\r\n"
     "4 14\r\n5 11\r\n" REST ".\r\n-ERR [SYS/TEMP] Einige gel\xC3\xB6schte Nachrichten wurden nicht entfernt\r\n"},
};

static WAITS struct span talk(bool loopback, struct span input, size_t step, struct arena *mem)
{
    return session_testing_talk(pop3_session_run, SERVICE_pop3, loopback, input, step, mem);
}

static WAITS void talk_all(void)
{
    struct arena mem;
    arena_init(&mem);
    seen->full = true;
    for (size_t i = 0; i < COUNT_OF(talks); i++)
        for (size_t step = 0; step <= 1; step++) {
            struct span said = talk(true, span_z(talks[i].input), step, &mem);
            bool same = span_eq(said, span_z(talks[i].said));
            if (!same)
                fprintf(stderr, "step %zu: %s-> %.*s", step, talks[i].input, SPAN_ARGS(said));
            CHECK(same);
            arena_reset(&mem);
        }
    CHECK(seen->n_removed == 0); /* the one that came to a QUIT with marks met a full disk */
    arena_done(&mem);
}

/* A response may be longer than a command line, and no longer than that. */
static WAITS void long_response(void)
{
    struct arena mem;
    struct str s;
    arena_init(&mem);
    str_init(&s, &mem);
    str_addz(&s, "AUTH PLAIN\r\n");
    for (int i = 0; i < 3050; i++)
        str_addz(&s, "AAAA");
    str_addz(&s, "\r\nAUTH PLAIN\r\n");
    for (int i = 0; i < 3100; i++)
        str_addz(&s, "AAAA");
    struct span said = talk(true, str_span(&s), 0, &mem);
    CHECK(span_eq(said, SPAN(READY "+ eA==\r\n-ERR That is no response of this mechanism\r\n+ eA==\r\n"
                             "-ERR The line is too long\r\n")));
    arena_done(&mem);
}

/* What store knows is asked for when the header is longer than a window. */
static WAITS void long_headers(void)
{
    struct arena mem;
    arena_init(&mem);
    struct span said = talk(true, SPAN(LOGIN "RETR 9\r\nRETR 10\r\nQUIT\r\n"), 0, &mem);
    CHECK(said.n > LONG && span_ends_nocase(said, SPAN("\r\n.\r\n" UTF8_ERR "+OK Bye\r\n")));
    arena_done(&mem);
}

/* SEC-13: from elsewhere and without TLS no password is asked for. */
static WAITS void cleartext(void)
{
    struct arena mem;
    arena_init(&mem);
    struct span said = talk(false, SPAN("CAPA\r\n" LOGIN), 0, &mem);
    CHECK(span_find(said, SPAN("\r\nUSER\r\n")) < 0 && span_find(said, SPAN("SASL")) < 0);
    CHECK(span_ends_nocase(said, SPAN("-ERR Passwords are taken in TLS only: send STLS first\r\n"
                                      "-ERR PASS is not possible now\r\n")));
    said = talk(false, SPAN(AUTHED), 0, &mem);
    CHECK(span_eq(said, SPAN(READY "-ERR Passwords are taken in TLS only: send STLS first\r\n")));
    CHECK(seen->logins == 0);
    arena_done(&mem);
}

/* A message of several windows comes whole, and pipelining changes nothing. */
static WAITS void windows(void)
{
    struct arena mem;
    arena_init(&mem);
    struct span said = talk(true, SPAN(LOGIN "RETR 3\r\nTOP 3 2\r\nRETR 3\r\nQUIT\r\n"), 0, &mem);
    struct str want;
    str_init(&want, &mem);
    str_addz(&want, IN "+OK 300000 octets\r\n");
    str_add(&want, span_of(big, BIG));
    str_addz(&want, ".\r\n+OK Top\r\n");
    str_add(&want, span_of(big, 4 + 2 + 2 * 64));
    str_addz(&want, ".\r\n+OK 300000 octets\r\n");
    str_add(&want, span_of(big, BIG));
    str_addz(&want, ".\r\n+OK Bye\r\n");
    CHECK(span_eq(said, str_span(&want)));
    arena_done(&mem);
}

/* RFC 1939 6: only QUIT removes, as ranges; a failure is told and removes nothing. */
static WAITS void update(void)
{
    struct arena mem;
    arena_init(&mem);
    talk(true, SPAN(LOGIN "DELE 1\r\n"), 0, &mem); /* went away */
    for (int i = 0; i < 500 && seen->logouts == 0; i++) /* a post: auth hears of it a little later */
        coro_sleep(10);
    CHECK(seen->expunges == 0 && seen->logouts == 1);
    struct span said = talk(true, SPAN(LOGIN "DELE 1\r\nDELE 2\r\nDELE 4\r\nQUIT\r\n"), 0, &mem);
    CHECK(span_ends_nocase(said, SPAN("+OK Bye\r\n")));
    CHECK(seen->expunges == 1 && seen->n_removed == 2);
    CHECK(seen->removed[0].first == 10 && seen->removed[0].last == 20);
    CHECK(seen->removed[1].first == 40 && seen->removed[1].last == 40);
    seen->full = true;
    said = talk(true, SPAN(LOGIN "DELE 1\r\nQUIT\r\n"), 0, &mem);
    CHECK(span_ends_nocase(said, SPAN("-ERR [SYS/TEMP] Some deleted messages were not removed\r\n")));
    arena_done(&mem);
}

/* RFC 2449 6.7: message i came 10 - i days ago, the account keeps for 7. */
static WAITS void keep(void)
{
    struct arena mem;
    arena_init(&mem);
    talk(true, SPAN(LOGIN "RETR 1\r\nQUIT\r\n"), 0, &mem); /* no days: nothing is noted */
    CHECK(seen->fetched[0] == 0);
    snprintf(seen->days, sizeof seen->days, "3");             /* less than what was told before the login */
    struct span said = talk(true, SPAN(LOGIN "CAPA\r\n"), 0, &mem);
    CHECK(span_find(said, SPAN("\r\nEXPIRE 7\r\n")) >= 0);
    talk(true, SPAN(LOGIN "CAPA\r\nRETR 1\r\nRETR 2\r\nTOP 3 9\r\nRETR 4\r\nRETR 8\r\n"), 0, &mem);
    CHECK(seen->fetched[0] == 0 && seen->expunges == 0);      /* left without QUIT */
    talk(true, SPAN(LOGIN "CAPA\r\nRETR 1\r\nRETR 2\r\nTOP 3 9\r\nRETR 4\r\nRETR 8\r\nQUIT\r\n"), 0, &mem);
    CHECK(strcmp(seen->fetched, "99 10:20,40:40,80:80") == 0);
    CHECK(seen->expunges == 0);                               /* not in the session that fetched them */
    talk(true, SPAN(LOGIN "QUIT\r\n"), 0, &mem);
    CHECK(seen->expunges == 0);                               /* it was not told */
    talk(true, SPAN("CAPA\r\n" LOGIN "RETR 3\r\nQUIT\r\n"), 0, &mem);
    CHECK(seen->expunges == 1 && seen->n_removed == 2);       /* 10 and 9 days old; the others are younger */
    CHECK(seen->removed[0].first == 10 && seen->removed[1].last == 20);
    CHECK(strcmp(seen->fetched, "99 10:40,80:80") == 0);
    snprintf(seen->fetched, sizeof seen->fetched, "98 10:90"); /* of an INBOX that is no more */
    talk(true, SPAN("CAPA\r\n" LOGIN "QUIT\r\n"), 0, &mem);
    CHECK(seen->expunges == 1);
    arena_done(&mem);
}

static WAITS void hostile(void)
{
    struct arena mem;
    struct str s;
    arena_init(&mem);
    str_init(&s, &mem);
    for (int i = 0; i < 1000; i++)
        str_addz(&s, "FROB\r\n");
    struct span said = talk(true, str_span(&s), 0, &mem);
    CHECK(span_ends_nocase(said, SPAN("-ERR Unknown command\r\n-ERR Too many errors\r\n")));
    str_clear(&s);
    for (int i = 0; i < 100000; i++)
        str_addc(&s, 'y');
    said = talk(true, str_span(&s), 0, &mem);
    CHECK(span_ends_nocase(said, SPAN("-ERR The line is too long\r\n")));
    arena_done(&mem);
}

static void test_talks(void **state) { assert_int_equal(run(talk_all), 0); }
static void test_long_response(void **state) { assert_int_equal(run(long_response), 0); }
static void test_long_headers(void **state) { assert_int_equal(run(long_headers), 0); }
static void test_cleartext(void **state) { assert_int_equal(run(cleartext), 0); }
static void test_windows(void **state) { assert_int_equal(run(windows), 0); }
static void test_update(void **state) { assert_int_equal(run(update), 0); }
static void test_keep(void **state) { assert_int_equal(run(keep), 0); }
static void test_hostile(void **state) { assert_int_equal(run(hostile), 0); }

/* Every text is there in every language, with the same place for what it is about; English is ASCII. */
static void test_texts(void **state)
{
    for (int t = 0; t < POP3_TEXT_COUNT; t++) {
        const char *en = pop3_text((enum pop3_text)t, POP3_LANG_EN), *de = pop3_text((enum pop3_text)t, POP3_LANG_DE);
        assert_true(utf8_ascii(span_z(en)) && utf8_valid(span_z(de)) && *en != 0 && *de != 0);
        assert_true((strchr(en, '%') != NULL) == (strchr(de, '%') != NULL));
        assert_true(strlen(de) < 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_talks),  cmocka_unit_test(test_cleartext), cmocka_unit_test(test_windows),
        cmocka_unit_test(test_update), cmocka_unit_test(test_hostile),   cmocka_unit_test(test_long_response),
        cmocka_unit_test(test_long_headers), cmocka_unit_test(test_texts), cmocka_unit_test(test_keep),
    };
    struct fail f;
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memcpy(big, "\r\n", 2); /* header: empty; lines of 64 octets */
    snprintf(big, sizeof big, "B:\r\n\r\n");
    for (size_t i = 6; i < BIG; i++)
        big[i] = (i - 6) % 64 == 62 ? '\r' : (i - 6) % 64 == 63 ? '\n' : (char)('a' + i % 26);
    memcpy(big + BIG - 2, "\r\n", 2);
    memset(long_header, 'x', LONG);
    for (size_t i = 0; i + 64 < LONG; i += 64)
        memcpy(long_header + i, i == 0 ? "A: " : "\r\n ", 3);
    memcpy(long_header + LONG - 6, "\r\n\r\n\r\n", 6);
    config_use(config_parse(SPAN("[server]\nhostname = mx.example.test\ncleartext_loopback = yes\n"), "test", &f));
    log_setup("test", LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
