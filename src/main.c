/* The postel program: the command table. */
#include "admin/admin_account.h"
#include "admin/admin_alias.h"
#include "admin/admin_backup.h"
#include "admin/admin_config.h"
#include "admin/admin_dns.h"
#include "admin/admin_domain.h"
#include "admin/admin_login.h"
#include "admin/admin_queue.h"
#include "admin/admin_quota.h"
#include "admin/admin_rebuild.h"
#include "admin/admin_sendmail.h"
#include "admin/admin_store.h"
#include "admin/admin_trace.h"
#include "admin/admin_verify.h"
#include "admin/control.h"
#include "admin/place.h"
#include "roles/roles.h"

#define AT_SERVER (OPTION_BIT(DATA) | OPTION_BIT(CONFIG))
#define LISTING (AT_SERVER | OPTION_BIT(PLAIN))
#define QUEUE_FILTERS                                                                                                  \
    (AT_SERVER | OPTION_BIT(ID) | OPTION_BIT(DOMAIN) | OPTION_BIT(FROM) | OPTION_BIT(TO) | OPTION_BIT(STATE))
#define QUEUE_CHANGES (QUEUE_FILTERS | OPTION_BIT(ALL) | OPTION_BIT(PLAIN))

static int print_ipc(const struct command_input *in)
{
    ipc_print_doc(stdout);
    return 0;
}

static int serve(const struct command_input *in)
{
    static struct arena mem; /* holds the text as long as the server runs */
    struct fail f;
    struct span text;
    arena_init(&mem);
    struct config *c = place_config_read(in, place_config(in), &text, &mem, &f);
    if (!c)
        return control_say(in, &f);
    config_use(c);
    int status = master_main(c, text);
    config_free(c);
    arena_done(&mem);
    return status;
}

static int role(const struct command_input *in)
{
    static const struct role_def *const roles[] = {&front_mx_role, &front_user_role, &scan_role,
                                                   &relay_role,    &store_role,      &auth_role};
    int kind = role_kind_of(in->words[0]);
    for (size_t i = 0; i < COUNT_OF(roles); i++)
        if ((int)roles[i]->kind == kind)
            return role_main(roles[i]);
    return command_wrong(in, "there is no role %s; master starts roles, nobody else", in->words[0]);
}

static const struct command commands[] = {
    {"serve", "", 0, 0, OPTION_BIT(CONFIG) | OPTION_BIT(SET), serve, "runs the server",
     "Binds the ports, starts every role, starts again what dies; ends on SIGTERM or SIGINT. Logs to standard error.\n"
     "Started as root it becomes the user of `server.user` once the ports are bound.\n",
     "  postel serve\n"
     "  postel serve --config ./postel.conf --set listen.smtp=127.0.0.1:2025 --set limits.message_bytes=10MiB\n"},
    {"domain add", "NAME", 1, 1, AT_SERVER | OPTION_BIT(ADMIN) | OPTION_BIT(LANGUAGE) | OPTION_BIT(PASSWORD_STDIN),
     admin_domain_add, "makes a domain of ours",
     "Mail for NAME is accepted from now on. Each domain has an account that gets what is sent to postmaster@ and\n"
     "abuse@; if ADDRESS is no account yet, it is made, and its password is asked for.\n",
     "  postel domain add example.org --admin jon@example.org\n"
     "  postel domain add example.org --admin jon@example.org --password-stdin <FILE\n"},
    {"domain list", "", 0, 0, LISTING, admin_domain_list, "shows the domains",
     "Name, address of the admin, number of accounts and of aliases.\n",
     "  postel domain list\n  postel domain list --plain | cut -f1\n"},
    {"domain admin", "NAME ADDRESS", 2, 2, AT_SERVER, admin_domain_admin, "gives a domain another admin",
     "ADDRESS, an account, gets what is sent to postmaster@ and abuse@ from now on.\n",
     "  postel domain admin example.org ann@example.org\n"},
    {"domain remove", "NAME", 1, 1, AT_SERVER | OPTION_BIT(ACCOUNTS) | OPTION_BIT(YES), admin_domain_remove,
     "removes a domain",
     "Its aliases and other names go with it. A domain that has accounts is refused unless --accounts is given; then they\n"
     "go as well, with all their mail. There is no way back. Aliases of other domains that lead there are shown: they would\n"
     "send their mail out from then on, so that is asked first, or wants --yes.\n",
     "  postel domain remove example.org\n  postel domain remove example.org --accounts\n"},
    {"domain alias add", "ALIAS DOMAIN", 2, 2, AT_SERVER, admin_domain_alias_add, "gives a domain another name",
     "Every address in DOMAIN is one in ALIAS as well, for mail, for logins and as a sender.\n",
     "  postel domain alias add example.net example.org\n"},
    {"domain alias list", "", 0, 0, LISTING, admin_domain_alias_list, "shows other names of domains", "Alias and domain.\n",
     "  postel domain alias list\n"},
    {"domain alias remove", "ALIAS", 1, 1, AT_SERVER | OPTION_BIT(YES), admin_domain_alias_remove,
     "takes another name from a domain",
     "Mail to ALIAS is refused from now on. If aliases lead there, they are shown: they would send their mail out, so that is\n"
     "asked first, or wants --yes.\n",
     "  postel domain alias remove example.net\n"},
    {"account add", "ADDRESS", 1, 1, AT_SERVER | OPTION_BIT(LANGUAGE) | OPTION_BIT(PASSWORD_STDIN), admin_account_add,
     "makes an account",
     "ADDRESS must be in a domain of ours. The password is asked for twice; it has 10 characters at least (limit\n"
     "password_least) and is not the address.\n",
     "  postel account add jon@example.org --language en\n"
     "  postel account add jon@example.org --password-stdin <FILE\n"},
    {"account list", "[DOMAIN]", 0, 1, LISTING, admin_account_list, "shows the accounts",
     "Address, language, state, when it was made, and the number by which the store knows it.\n",
     "  postel account list example.org\n  postel account list --plain | cut -f1\n"},
    {"account passwd", "ADDRESS", 1, 1, AT_SERVER | OPTION_BIT(PASSWORD_STDIN) | OPTION_BIT(REVOKE_APPS), admin_account_passwd,
     "sets a password",
     "The new password is asked for twice. Sessions that are open end. App passwords stay good unless --revoke-apps is given:\n"
     "give it when somebody else may have known the old password.\n",
     "  postel account passwd jon@example.org\n  postel account passwd jon@example.org --revoke-apps\n"},
    {"account app-password add", "ADDRESS LABEL", 2, 2, AT_SERVER | OPTION_BIT(PLAIN) | OPTION_BIT(SCOPE), admin_login_app_add,
     "makes a password for one program",
     "LABEL says which program or device it is for. The password is made by the server and shown once. Besides the account's\n"
     "own password it opens what its scope says, and can be taken away alone.\n",
     "  postel account app-password add jon@example.org 'old printer' --scope smtp\n"},
    {"account app-password list", "ADDRESS", 1, 1, LISTING, admin_login_app_list, "shows the passwords for programs",
     "Label, scope, when it was made and last used. The passwords themselves are not kept.\n",
     "  postel account app-password list jon@example.org\n"},
    {"account app-password remove", "ADDRESS LABEL", 2, 2, AT_SERVER, admin_login_app_remove,
     "takes a password from a program", "The account's open sessions end.\n",
     "  postel account app-password remove jon@example.org 'old printer'\n"},
    {"account logins", "ADDRESS", 1, 1, LISTING, admin_login_attempts, "shows who tried to log in to an account",
     "The latest first: when, how often in that hour, over which service, from which address, how, and what came of it.\n",
     "  postel account logins jon@example.org\n"},
    {"account disable", "ADDRESS", 1, 1, AT_SERVER, admin_account_disable, "stops an account without removing it",
     "Mail to it is refused, its sessions end, its password opens nothing. Its mail stays.\n",
     "  postel account disable jon@example.org\n"},
    {"account enable", "ADDRESS", 1, 1, AT_SERVER, admin_account_enable, "undoes account disable",
     "Mail and logins are as they were before.\n", "  postel account enable jon@example.org\n"},
    {"account set", "ADDRESS", 1, 1, AT_SERVER | OPTION_BIT(POP3_KEEP), admin_account_set, "sets what an account wishes",
     "With --pop3-keep N a message goes at the QUIT of a POP3 session when an earlier session fetched it, it came more than N\n"
     "days ago, and the client asked for CAPA, which says EXPIRE N. No N below limits.pop3_keep_days counts. At first: forever.\n",
     "  postel account set jon@example.org --pop3-keep 30\n  postel account set jon@example.org --pop3-keep forever\n"},
    {"account remove", "ADDRESS", 1, 1, AT_SERVER | OPTION_BIT(YES), admin_account_remove,
     "removes an account and its mail", "There is no way back. Asks for the address again unless --yes is given.\n",
     "  postel account remove jon@example.org\n"},
    {"alias add", "ADDRESS TARGET...", 2, SIZE_MAX, AT_SERVER, admin_alias_add, "makes an address for others",
     "Mail to ADDRESS goes to each TARGET: accounts or other aliases of ours, or addresses elsewhere. ADDRESS may be\n"
     "\"prefix*@domain\", which takes what begins so and is nobody's own address, or \"@domain\", which takes all of that\n"
     "kind. An exact address goes first, then one with a detail (jon+list), then the longest prefix.\n",
     "  postel alias add info@example.org jon@example.org ann@example.org\n"
     "  postel alias add 'shop-*@example.org' jon@example.org\n  postel alias add @example.org jon@example.org\n"
     "  postel alias add ann@example.org ann@example.net\n"},
    {"alias list", "", 0, 0, LISTING, admin_alias_list, "shows the aliases", "Address and targets.\n",
     "  postel alias list\n"},
    {"alias remove", "ADDRESS", 1, 1, AT_SERVER, admin_alias_remove, "removes an alias",
     "Mail to ADDRESS is refused from now on. Its targets stay.\n", "  postel alias remove info@example.org\n"},
    {"quota show", "ADDRESS", 1, 1, LISTING, admin_quota_show, "shows what an account may hold and holds",
     "Bytes and messages over all its mailboxes; a message in two of them counts twice, as its reader sees it.\n",
     "  postel quota show jon@example.org\n  postel quota show jon@example.org --plain | cut -f3\n"},
    {"quota set", "ADDRESS", 1, 1, LISTING | OPTION_BIT(BYTES) | OPTION_BIT(MESSAGES), admin_quota_set,
     "limits what an account may hold",
     "What is not named stays as it is. Above its limit an account gets no new mail (SMTP 552, IMAP NO [OVERQUOTA]); what it\n"
     "has stays, also when a limit is set below that. Shows the result.\n",
     "  postel quota set jon@example.org --bytes 2GiB\n  postel quota set jon@example.org --bytes none --messages 100000\n"},
    {"quota recount", "ADDRESS", 1, 1, AT_SERVER, admin_quota_recount, "counts an account's messages again",
     "Goes through its mailboxes and corrects every counter that is wrong. The log of the server says which those were.\n",
     "  postel quota recount jon@example.org\n"},
    {"queue list", "", 0, 0, QUEUE_FILTERS | OPTION_BIT(PLAIN), admin_queue_list, "shows mail that waits to be sent",
     "A line per recipient: trace id, state, tries, next try, size, sender, recipient, the far side's last answer.\n",
     "  postel queue list\n  postel queue list --domain example.org --state held\n  postel queue list --to '*@example.org' --plain | cut -f1\n"},
    {"queue show", "ID", 1, 1, AT_SERVER, admin_queue_show, "shows a message that waits",
     "ID is its trace id, as replies, logs and headers have it. Its way so far: postel trace ID.\n",
     "  postel queue show k3n5q7w2abcd\n"},
    {"queue hold", "", 0, 0, QUEUE_CHANGES | OPTION_BIT(FOR), admin_queue_hold, "keeps mail from being sent",
     "Until it is released, or as long as --for says. Held mail does not grow too old.\n",
     "  postel queue hold --from spammer@example.org\n  postel queue hold --domain example.org --for 4h\n"},
    {"queue release", "", 0, 0, QUEUE_CHANGES, admin_queue_release, "lets held mail go on", "It is tried at once.\n",
     "  postel queue release --domain example.org\n  postel queue release --all\n"},
    {"queue retry", "", 0, 0, QUEUE_CHANGES, admin_queue_retry, "tries mail now", "Whatever time was set for the next try.\n",
     "  postel queue retry --domain example.org\n"},
    {"queue drop", "", 0, 0, QUEUE_CHANGES, admin_queue_drop, "removes mail and tells nobody", "There is no way back.\n",
     "  postel queue drop --from spammer@example.org\n"},
    {"queue bounce", "", 0, 0, QUEUE_CHANGES, admin_queue_bounce, "gives mail up and tells its senders",
     "They get the report that they would get if no try had helped.\n", "  postel queue bounce --to jon@gone.example.org\n"},
    {"queue route", "HOST:PORT|none", 1, 1, QUEUE_CHANGES, admin_queue_route, "sends mail another way",
     "Mail that waits goes to this server instead of the one that the domain names. none: as the domain says again.\n",
     "  postel queue route backup.example.org:25 --domain example.org\n  postel queue route none --id k3n5q7w2abcd\n"},
    {"queue suspend", "DOMAIN", 1, 1, AT_SERVER, admin_queue_suspend, "sends nothing to a domain for now",
     "Its mail waits, new mail too, and does not grow too old, until postel queue resume.\n", "  postel queue suspend example.org\n"},
    {"queue resume", "DOMAIN", 1, 1, AT_SERVER, admin_queue_resume, "sends to a domain again", "What waited is tried at once.\n",
     "  postel queue resume example.org\n"},
    {"trace", "ID|MESSAGE-ID|ADDRESS|last [N]", 1, 2, LISTING | OPTION_BIT(SINCE), admin_trace, "tells what became of a message",
     "Each step that it took here, message by message: received, stored, tried, put off, delivered, failed, reported. Times\n"
     "are UTC. An address is that of a sender or a recipient; '*@example.org' is a whole domain. Kept for 30 days.\n"
     "With --plain: time, id, step, sender, recipient, host, protection, code, status, text, until, octets.\n",
     "  postel trace k3n5q7w2abcd\n  postel trace '<5f3@example.org>'\n  postel trace jon@example.org --since 2d\n  postel trace last 3\n"},
    {"store stats", "", 0, 0, LISTING, admin_store_stats, "counts what is stored",
     "Accounts with mail, mailboxes, messages, bodies, bytes of the message log, commits and what they carried.\n",
     "  postel store stats\n"},
    {"dns lookup", "NAME TYPE...", 2, SIZE_MAX, OPTION_BIT(CONFIG) | OPTION_BIT(SET) | OPTION_BIT(PLAIN), admin_dns_lookup,
     "looks names up as the server does",
     "TYPE: A, AAAA, MX, TXT, TLSA, CNAME, or PTR with an address for NAME. Resolves and validates by itself, as [dns] of the\n"
     "configuration says, with an empty cache; STATUS and DNSSEC are what the server would go by.\n",
     "  postel dns lookup example.org MX _25._tcp.mx.example.org TLSA\n"},
    {"verify", "", 0, 0, AT_SERVER | OPTION_BIT(REPAIR) | OPTION_BIT(YES), admin_verify, "looks at all that is stored, and says what is damaged",
     "Reads every message against its checksum, follows every reference both ways and counts everything again. Each damage\n"
     "is a line: what, where, whose. While the server runs it is asked, a step at a time, and goes on serving; else the data\n"
     "directory is read. With --repair, for which the server must be stopped: says what it will do, asks, and does it.\n"
     "Lost text cannot be mended: such messages are marked. Exit status: 0 clean, 1 damage or failure, 2 wrong usage.\n",
     "  postel verify\n  postel verify --repair --data /var/lib/postel\n"},
    {"backup", "DIR", 1, 1, AT_SERVER, admin_backup, "saves mail, directory and keys of the running server into DIR",
     "DIR holds one moment afterwards: mail, flags, accounts, passwords and private keys. Keep it as safe as the server.\n"
     "Again into the same DIR: only what is new is fetched; until the new manifest is written the old backup stays whole.\n"
     "DIR can be copied with any tool (rsync, restic) between two runs.\n",
     "  postel backup /backup/postel\n"},
    {"restore", "DIR", 1, 1, OPTION_BIT(DATA) | OPTION_BIT(SEND_QUEUE), admin_restore, "makes a new data directory from a backup",
     "Checks every file against the manifest. --data names the new data directory: it must not exist or be empty; if it\n"
     "exists, what is restored belongs to its owner. The configuration is not part of a backup.\n"
     "Mail that waited in its queue is held, for it may have gone out since: postel queue release, or drop, decides.\n",
     "  postel restore /backup/postel --data /var/lib/postel\n"},
    {"rebuild", "", 0, 0, AT_SERVER | OPTION_BIT(BACKUP) | OPTION_BIT(YES), admin_rebuild, "makes a new index from the message log",
     "For a store whose index is lost or damaged beyond what `verify --repair` can mend; the server must be stopped. Says what\n"
     "it found in the log and what it will do, asks, and does it. The old index is kept, nothing is deleted. Messages come back\n"
     "with UID, date and the flags that they arrived with, in the mailbox where they arrived; clients see the same messages.\n"
     "With --backup flags, copies and moves are those of the backup, and what came since is added.\n",
     "  postel rebuild\n  postel rebuild --backup /backup/postel --data /var/lib/postel\n"},
    {"config check", "[FILE]", 0, 1, 0, admin_config_check, "reads a configuration and says what is wrong with it",
     "FILE is /etc/postel/postel.conf unless given. The running server is not asked.\n",
     "  postel config check ./postel.conf\n"},
    {"config show", "[FILE]", 0, 1, 0, admin_config_show, "shows every option with its value, default and meaning",
     "What it prints is itself a valid configuration. Without FILE and with none in /etc/postel: the defaults.\n",
     "  postel config show >postel.conf\n"},
    {"sendmail", "[OPTION...] [RECIPIENT...]", 0, SIZE_MAX, 0, NULL /* main sees it first: its options are old */, "hands a message from standard input to the server",
     "The sendmail that cron, mailx and other programs call; a link to postel with the name sendmail does the same. It is an\n"
     "SMTP client with the rights of its user: it reaches whom port 25 takes mail for. A user whom option sendmail.logins names\n"
     "(\"www-data=web@example.org 1001=ann@example.org\") sends as that account instead, wherever it may, and in its names only;\n"
     "an alias makes a name its own. Options as usual: -t -i -f SENDER -F NAME -N NOTIFY -R RETURN -V ENVID -C CONFIG; -o*, -bm\n"
     "and others are accepted. Exit status: sysexits.h.\n",
     "  postel sendmail -t <message\n  ln -s /usr/bin/postel /usr/sbin/sendmail\n"},
    {"role", "NAME", 1, 1, 0, role, NULL, NULL, NULL},
    {"doc ipc", "", 0, 0, 0, print_ipc, NULL, NULL, NULL},
};

int main(int argc, char **argv)
{
    if (admin_sendmail_called(argc, argv))
        return admin_sendmail_main(argc, argv);
    return command_main(commands, COUNT_OF(commands), argc, argv);
}
