/* sendmail: nothing but an SMTP client of the server on this machine, with no right that its user has not: no setuid, no
 * file of the server's (SEC-27, doc/decisions/14-sendmail.md). On the server's Unix socket a user whom option
 * sendmail.logins names is logged in as he comes, and submits; everybody else sends to whom port 25 takes mail for. */
#include "admin/admin_sendmail.h"

#include <errno.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>

#include "admin/place.h"
#include "admin/sendmail_text.h"
#include "base/clock.h"
#include "base/num.h"
#include "base/utf8.h"

enum { GREETING_TRIES = 5 };

struct sending {
    struct arena mem;
    struct config *config;
    const char *config_path;
    struct span host;
    struct sendmail_text text;
    VEC(struct span) to;       /* of the command line */
    const char *sender, *name, *notify, *ret, *envid;
    bool dots;                 /* -i: a line that is a dot does not end the message */
    int fd;
    char buf[4096];
    size_t at, end;            /* of buf: received and not read */
    bool utf8_there, dsn_there;
    struct span account;       /* whose submission this is, by our uid; empty: nobody's */
    char reply[600];           /* the last line of the last reply */
};

static int say(struct sending *s, int status, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int say(struct sending *s, int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("sendmail: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return status;
}

/* ---- the command line ----------------------------------------------------------------------------------------------------- */

/* Takes the argument of option argv[*i]: behind its letter, or the next word. */
static char *argument(int argc, char **argv, int *i)
{
    if (argv[*i][2] != 0)
        return argv[*i] + 2;
    return *i + 1 < argc ? argv[++*i] : NULL;
}

/* One option. 0, or an exit status. */
static int option(struct sending *s, int argc, char **argv, int *i)
{
    static const char ignored_alone[] = "eGnoUvmd", ignored_with[] = "BhLOXpq";
    const char *word = argv[*i];
    char letter = word[1];
    const char **to = letter == 'f' || letter == 'r' ? &s->sender : letter == 'F' ? &s->name : letter == 'N' ? &s->notify
                    : letter == 'R' ? &s->ret : letter == 'V' ? &s->envid : letter == 'C' ? &s->config_path : NULL;
    if (to != NULL) {
        *to = argument(argc, argv, i);
        return *to != NULL ? 0 : say(s, EX_USAGE, "-%c wants an argument", letter);
    }
    if (strcmp(word, "-oi") == 0 || strcmp(word, "-i") == 0)
        s->dots = true;
    else if (strncmp(word, "-t", 2) == 0 || strcmp(word, "-ti") == 0)
        s->text.recipients = true, s->dots |= strchr(word, 'i') != NULL;
    else if (letter == 'b' && word[2] != 'm')
        return say(s, EX_USAGE, "%s is not to be had here; see postel help", word);
    else if (strchr(ignored_with, letter) != NULL)
        argument(argc, argv, i);
    else if (letter != 'b' && (letter == 0 || strchr(ignored_alone, letter) == NULL))
        return say(s, EX_USAGE, "unknown option %s", word);
    return 0;
}

static int options(struct sending *s, int argc, char **argv)
{
    int i = 1, r = 0;
    for (; i < argc && argv[i][0] == '-' && strcmp(argv[i], "--") != 0 && r == 0; i++)
        r = option(s, argc, argv, &i);
    if (r == 0 && i < argc && strcmp(argv[i], "--") == 0)
        i++;
    for (; i < argc; i++)
        *VEC_PUSH(&s->to) = span_z(argv[i]);
    return r;
}

/* ---- who, whither --------------------------------------------------------------------------------------------------------- */

/* The configuration tells the server's name and where it listens; one that this user may not read need not be read. */
static int settings(struct sending *s)
{
    struct fail f;
    struct span text;
    const char *path = s->config_path ? s->config_path : PLACE_CONFIG;
    if (access(path, R_OK) == 0)
        s->config = config_read(path, &text, &s->mem, &f);
    else if (s->config_path)
        return say(s, EX_CONFIG, "%s: %s", path, strerror(errno));
    else
        s->config = config_parse(SPAN(""), "", &f);
    if (s->config == NULL)
        return say(s, EX_CONFIG, "%s", f.text);
    config_use(s->config);
    s->host = config_text(CONFIG_server_hostname);
    return 0;
}

static struct span with_domain(struct sending *s, struct span address)
{
    struct span domain = config_text(CONFIG_sendmail_domain);
    if (span_find_char(address, '@') >= 0 || span_eq_nocase(address, SPAN("postmaster")))
        return address;
    return arena_printf(&s->mem, "%.*s@%.*s", SPAN_ARGS(address), SPAN_ARGS(domain.n > 0 ? domain : s->host));
}

static int who(struct sending *s)
{
    const struct passwd *p = getpwuid(getuid());
    s->text.user = span_z(p != NULL ? p->pw_name : "");
    s->text.domain = config_text(CONFIG_sendmail_domain).n > 0 ? config_text(CONFIG_sendmail_domain) : s->host;
    s->text.host = s->host;
    s->text.name = span_z(s->name ? s->name : "");
    s->text.now_s = clock_now_s();
    s->text.mem = &s->mem;
    if (s->sender != NULL && (*s->sender == 0 || strcmp(s->sender, "<>") == 0)) {
        s->text.sender = SPAN("");
        return 0;
    }
    bool own = s->sender == NULL || (p != NULL && strcmp(s->sender, p->pw_name) == 0);
    if (own && p == NULL && s->account.n == 0)
        return say(s, EX_NOUSER, "who are you? There is no user with your number; say -f ADDRESS");
    s->text.sender = own && s->account.n > 0 ? s->account
                                             : with_domain(s, arena_copy(&s->mem, span_z(own ? p->pw_name : s->sender)));
    return 0;
}

static int read_all(struct sending *s)
{
    struct str raw;
    char piece[65536];
    size_t n;
    str_init(&raw, &s->mem);
    while ((n = fread(piece, 1, sizeof piece, stdin)) > 0 && raw.n <= (size_t)LIMIT(MESSAGE_BYTES))
        str_add(&raw, span_of(piece, n));
    if (ferror(stdin))
        return say(s, EX_IOERR, "standard input: %s", strerror(errno));
    s->text.raw = str_span(&raw);
    for (struct span rest = s->text.raw; !s->dots && rest.n > 0;) {
        const char *begin = rest.p;
        struct span line = span_split(&rest, '\n');
        if (span_eq(line, SPAN(".")) || span_eq(line, SPAN(".\r"))) {
            s->text.raw.n = (size_t)(begin - s->text.raw.p);
            return 0;
        }
    }
    return 0;
}

/* ---- SMTP ------------------------------------------------------------------------------------------------------------------ */

static int write_all(struct sending *s, struct span what)
{
    while (what.n > 0) {
        ssize_t n = send(s->fd, what.p, what.n, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        what = span_from(what, (size_t)n);
    }
    return 0;
}

/* Reads one line into s->reply, cut at its size. 0 or -1. */
static int read_line(struct sending *s)
{
    size_t n = 0;
    for (;;) {
        if (s->at == s->end) {
            ssize_t got = recv(s->fd, s->buf, sizeof s->buf, 0);
            if (got <= 0)
                return -1;
            s->at = 0;
            s->end = (size_t)got;
        }
        char c = s->buf[s->at++];
        if (c == '\n')
            break;
        if (n + 1 < sizeof s->reply && (unsigned char)c >= 32)
            s->reply[n++] = c;
    }
    s->reply[n] = 0;
    return 0;
}

/* A whole reply; its code, or 0 when the connection is gone. */
static int read_reply(struct sending *s)
{
    uint64_t code;
    do {
        if (read_line(s) < 0 || num_u64(span_sub(span_z(s->reply), 0, 3), 999, &code) < 0)
            return 0;
        if (strncmp(s->reply + 4, "XLOGIN ", 7) == 0)
            s->account = arena_copy(&s->mem, span_z(s->reply + 11));
        s->utf8_there |= strcmp(s->reply + 4, "SMTPUTF8") == 0;
        s->dsn_there |= strcmp(s->reply + 4, "DSN") == 0;
    } while (s->reply[3] == '-');
    return (int)code;
}

static int ask(struct sending *s, struct span line)
{
    return write_all(s, line) < 0 ? 0 : read_reply(s);
}

/* What a refusal means to the program that called us. */
static int refused(struct sending *s, int code, const char *about)
{
    if (code == 0)
        return say(s, EX_TEMPFAIL, "the server is gone");
    return say(s, code < 500 ? EX_TEMPFAIL : code == 550 ? EX_NOUSER : EX_UNAVAILABLE, "%s%s%s", about,
               *about ? ": " : "", s->reply);
}

static void hang_up(struct sending *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    s->at = s->end = 0;
}

static int dial_net(struct sending *s)
{
    const struct config_addr *at;
    if (config_addrs(s->config, CONFIG_listen_smtp, &at) == 0)
        return say(s, EX_CONFIG, "the server does not listen for SMTP");
    struct sockaddr_storage to = {0};
    memcpy(&to, at->sockaddr, at->len);
    struct sockaddr_in *in = (struct sockaddr_in *)&to;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&to;
    if (to.ss_family == AF_INET && in->sin_addr.s_addr == 0)
        in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (to.ss_family == AF_INET6 && memcmp(&in6->sin6_addr, &in6addr_any, sizeof in6addr_any) == 0)
        in6->sin6_addr = in6addr_loopback;
    s->fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || connect(s->fd, (struct sockaddr *)&to, at->len) < 0)
        return say(s, EX_TEMPFAIL, "%.*s: %s", SPAN_ARGS(at->text), strerror(errno));
    return 0;
}

/* The socket where the server asks the kernel who we are. 220 and whatever else it greets with, or 0: nobody is there. */
static int dial_local(struct sending *s)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct span path = config_text(CONFIG_listen_sendmail);
    if (path.n >= sizeof a.sun_path)
        return 0;
    memcpy(a.sun_path, path.p, path.n);
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || connect(s->fd, (struct sockaddr *)&a, sizeof a) < 0)
        return 0;
    int code = read_reply(s);
    return code != 0 ? code : -1;
}

/* Greeted where we are somebody, else on port 25. What stands on the socket but does not answer is starting anew: then it
 * would be wrong to go on as nobody, and have mail to the world refused for good. */
static int dial(struct sending *s)
{
    int code = dial_local(s);
    for (int i = 0; i < GREETING_TRIES && code < 0; i++) {
        hang_up(s);
        sleep(1);
        code = dial_local(s);
    }
    if (code == 220)
        return 0;
    if (code < 0 || code / 100 == 4)
        return refused(s, MAX_OF(code, 0), "");
    hang_up(s);
    int r = dial_net(s);
    if (r == 0 && (code = read_reply(s)) != 220)
        r = refused(s, code, "");
    return r;
}

static int greet(struct sending *s)
{
    int code = ask(s, arena_printf(&s->mem, "EHLO %.*s\r\n", SPAN_ARGS(s->host)));
    return code == 250 ? 0 : refused(s, code, "");
}

static bool needs_utf8(const struct sending *s)
{
    bool ascii = utf8_ascii(s->text.sender);
    for (size_t i = 0; i < s->to.n; i++)
        ascii = ascii && utf8_ascii(s->to.v[i]);
    return !ascii;
}

static int mail_from(struct sending *s)
{
    struct str line;
    str_init(&line, &s->mem);
    str_addf(&line, "MAIL FROM:<%.*s>%s%s", SPAN_ARGS(s->text.sender), s->text.eight_bit ? " BODY=8BITMIME" : "",
             needs_utf8(s) && s->utf8_there ? " SMTPUTF8" : "");
    if (s->dsn_there && s->ret)
        str_addf(&line, " RET=%s", s->ret);
    if (s->dsn_there && s->envid)
        str_addf(&line, " ENVID=%s", s->envid);
    str_addz(&line, "\r\n");
    int code = ask(s, str_span(&line));
    return code == 250 ? 0 : refused(s, code, "");
}

/* *status: of the last one that was refused, or 0. Gives how many were taken, or -1 when the server is gone. */
static int rcpt_to(struct sending *s, int *status)
{
    int taken = 0;
    for (size_t i = 0; i < s->to.n; i++) {
        const char *who_z = arena_z(&s->mem, s->to.v[i]);
        bool notify = s->dsn_there && s->notify;
        int code = ask(s, arena_printf(&s->mem, "RCPT TO:<%s>%s%s\r\n", who_z, notify ? " NOTIFY=" : "", notify ? s->notify : ""));
        taken += code == 250;
        if (code != 250)
            *status = refused(s, code, who_z);
        if (code == 0)
            return -1;
    }
    return taken;
}

static int data(struct sending *s)
{
    struct str out;
    struct span rest = str_span(&s->text.out);
    int code = ask(s, SPAN("DATA\r\n"));
    if (code != 354)
        return refused(s, code, "");
    str_init(&out, &s->mem);
    while (rest.n > 0) { /* RFC 5321 4.5.2 */
        struct span line = span_split(&rest, '\n');
        if (line.n > 0 && line.p[0] == '.')
            str_addc(&out, '.');
        str_add(&out, line);
        str_addc(&out, '\n');
    }
    str_addz(&out, ".\r\n");
    code = ask(s, str_span(&out));
    return code == 250 ? 0 : refused(s, code, "");
}

static int hand_over(struct sending *s)
{
    int status = 0, taken, r = mail_from(s);
    if (r != 0)
        return r;
    taken = rcpt_to(s, &status);
    if (taken > 0 && (r = data(s)) != 0)
        return r;
    if (taken >= 0)
        ask(s, SPAN("QUIT\r\n"));
    return status;
}

/* ---- all of it -------------------------------------------------------------------------------------------------------------- */

bool admin_sendmail_called(int argc, char **argv)
{
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    return (argc > 0 && strcmp(slash ? slash + 1 : argv[0], "sendmail") == 0) ||
           (argc > 1 && strcmp(argv[1], "sendmail") == 0 && (argc < 3 || strcmp(argv[2], "--help") != 0));
}

/* Nothing that is put into a command may become a second one. */
static bool clean(struct span word)
{
    for (size_t i = 0; i < word.n; i++)
        if ((unsigned char)word.p[i] <= 32 || word.p[i] == '<' || word.p[i] == '>')
            return false;
    return true;
}

static int recipients(struct sending *s)
{
    const struct span words[] = {s->text.sender, span_z(s->notify), span_z(s->ret), span_z(s->envid)};
    for (size_t i = 0; i < s->to.n; i++)
        s->to.v[i] = with_domain(s, s->to.v[i]);
    for (size_t i = 0; i < s->text.to.n; i++)
        *VEC_PUSH(&s->to) = s->text.to.v[i];
    for (size_t i = 0; i < s->to.n; i++)
        if (!clean(s->to.v[i]))
            return say(s, EX_DATAERR, "that is no address: %.*s", SPAN_ARGS(s->to.v[i]));
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (!clean(words[i]))
            return say(s, EX_USAGE, "that is no address, and no DSN parameter: %.*s", SPAN_ARGS(words[i]));
    return s->to.n > 0 ? 0 : say(s, EX_USAGE, "to whom? Name recipients, or -t to take them from the message");
}

int admin_sendmail_main(int argc, char **argv)
{
    static struct sending s = {.fd = -1}; /* lives as long as the program */
    struct fail f;
    int skip = argc > 1 && strcmp(argv[1], "sendmail") == 0;
    int r = options(&s, argc - skip, argv + skip);
    if (r == 0)
        r = settings(&s);
    if (r == 0)
        r = read_all(&s); /* before there is a connection: whoever writes to us may take his time */
    if (r == 0)
        r = dial(&s);
    if (r == 0)
        r = greet(&s);
    if (r == 0)
        r = who(&s);
    if (r == 0 && sendmail_text_make(&s.text, &f) < 0)
        r = say(&s, EX_DATAERR, "%s", f.text);
    if (r == 0)
        r = recipients(&s);
    if (r == 0)
        r = hand_over(&s);
    VEC_FREE(&s.to);
    VEC_FREE(&s.text.to);
    hang_up(&s);
    config_free(s.config);
    arena_done(&s.mem);
    return r;
}
