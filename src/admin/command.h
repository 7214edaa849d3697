/* command: rows of the table of subcommands: finds one, reads its options, prints its help. */
#ifndef POSTEL_COMMAND_H
#define POSTEL_COMMAND_H

#include "base/base.h"

/* X(NAME, spelled, what it takes or "", help) */
#define COMMAND_OPTIONS(X)                                                                                             \
    X(DATA, "data", "DIR", "the server's data directory (else $POSTEL_DATA, else what --config says)")                 \
    X(CONFIG, "config", "FILE", "the configuration (default /etc/postel/postel.conf)")                                 \
    X(SET, "set", "SECTION.NAME=VALUE", "overrides one option of the configuration; may be given again")               \
    X(ADMIN, "admin", "ADDRESS", "the account that gets postmaster@ and abuse@; made if it does not exist")            \
    X(LANGUAGE, "language", "de|en", "the language of what the server writes to this account")                         \
    X(PASSWORD_STDIN, "password-stdin", "", "the password is the first line of standard input")                        \
    X(YES, "yes", "", "does not ask back")                                                                             \
    X(PLAIN, "plain", "", "for scripts: fields separated by a tab, no heading")                                        \
    X(SCOPE, "scope", "SERVICES", "what the password opens: imap, pop3, smtp, with commas between; all unless given")    \
    X(REVOKE_APPS, "revoke-apps", "", "the app passwords of the account are good no more")                             \
    X(ACCOUNTS, "accounts", "", "with all accounts in it and their mail")                                              \
    X(ID, "id", "ID", "of the message with this trace id")                                                             \
    X(DOMAIN, "domain", "DOMAIN", "for this domain")                                                                   \
    X(FROM, "from", "ADDRESS", "from this sender; '*@example.org' is a whole domain")                                  \
    X(TO, "to", "ADDRESS", "for this recipient; '*@example.org' is a whole domain")                                    \
    X(STATE, "state", "STATE", "waiting, leased (being sent now) or held")                                             \
    X(ALL, "all", "", "everything that waits")                                                                         \
    X(FOR, "for", "TIME", "so long: 30m, 4h, 2d")                                                                      \
    X(SINCE, "since", "TIME", "only what happened in this time: 30m, 4h, 2d")                                          \
    X(REPAIR, "repair", "", "mends what can be mended, after saying what it will do")                                  \
    X(BYTES, "bytes", "SIZE|none", "how many octets all messages of the account may have: 500MB, 2GiB")                \
    X(MESSAGES, "messages", "N|none", "how many messages the account may have")                            \
    X(POP3_KEEP, "pop3-keep", "DAYS|forever", "how long mail that was fetched by POP3 is kept")                            \
    X(BACKUP, "backup", "DIR", "a backup of this server: what it knows is not lost")                               \
    X(SEND_QUEUE, "send-queue", "", "what waited in the backup is sent, even what went out since; else it is held")

enum command_option {
#define X(name, spelled, takes, help) OPTION_##name,
    COMMAND_OPTIONS(X)
#undef X
    OPTION_COUNT
};

struct command_input {
    const struct command *row;
    char **words;                       /* what is no option */
    size_t n_words;
    const char *option[OPTION_COUNT];   /* NULL: not given; "" for one that takes nothing */
    const char *set[64];                /* every --set */
    size_t n_set;
};

typedef int command_fn(const struct command_input *in); /* exit status: 0 ok, 1 failed, 2 wrong usage */

struct command {
    const char *name;           /* "account add" */
    const char *words;          /* "ADDRESS", as the usage line shows it */
    size_t least, most;         /* how many words it takes */
    unsigned options;           /* OPTION_BITs */
    command_fn *run;
    const char *summary;        /* one line; NULL: internal, not listed */
    const char *help, *examples; /* whole lines */
};

#define OPTION_BIT(name) (1u << OPTION_##name)

int command_main(const struct command *rows, size_t n, int argc, char **argv);
/* Before something is removed for good: --yes, or the name typed once more at a terminal. what: "This removes the account
 * and all its mail for good: "; kind: "address". False: do not, *status is the exit status. */
bool command_sure(const struct command_input *in, const char *what, const char *kind, const char *name, int *status);
int command_wrong(const struct command_input *in, const char *fmt, ...) PRINTF_LIKE(2, 3); /* says it on stderr; gives 2 */
unsigned command_distance(const char *a, const char *b); /* edits between them; both under 64 bytes, else large */

#endif
