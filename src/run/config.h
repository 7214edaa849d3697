/* config: postel.conf, one table of options (name, type, range, default, help); domains and people are in the directory. */
#ifndef POSTEL_CONFIG_H
#define POSTEL_CONFIG_H

#include "base/fail.h"
#include "base/limits.h"
#include "base/str.h"

/* X(section, name, TYPE, default text, least, most, help). TYPE: BOOL, COUNT (u64), SECONDS, SIZE, TEXT, SIGN (a
 * character, or none), LEVEL (of the log), ADDRS (list of ip:port, IPv6 in brackets, "none" for an empty one: SEC-26),
 * NETS (list of networks, net.h, or "none"), NAME (host name). least and most: of the number, of a text's length, of the
 * number of addresses or networks. */
#define CONFIG_TABLE(X)                                                                                                \
    X(server, hostname, NAME, "localhost.localdomain", 1, 253, "the name in greetings and Received; must resolve to us") \
    X(server, data, TEXT, "/var/lib/postel", 1, 180, "the data directory; mode 0700")                                  \
    X(server, user, TEXT, "", 0, 32, "started as root: become this user once the ports are bound")                     \
    X(server, log_level, LEVEL, "info", 0, 0, "debug, info, warn or error")                                            \
    X(server, fronts, COUNT, "1", 1, 64, "processes of each front role")                                               \
    X(server, scans, COUNT, "1", 1, 64, "processes of the scan role")                                                  \
    X(server, cleartext_loopback, BOOL, "no", 0, 1, "allow logins without TLS where both ends are loopback; for demos") \
    X(server, subaddress, SIGN, "+", 0, 0, "what stands between user and detail in user+detail@domain (RFC 5233), or none") \
    X(server, no_limits, NETS, "none", 0, 64, "networks that the limits per address and network do not hold for")      \
    X(server, proxy, NETS, "none", 0, 64, "networks whose connections begin with a PROXY header saying whom they speak for") \
    X(smtp, early_talkers, BOOL, "no", 0, 1, "take mail from clients that speak before our greeting")                  \
    X(smtp, greet_delay, COUNT, "0", 0, 30000, "ms to wait for early talkers before the greeting")                     \
    X(smtp, check_sender, BOOL, "no", 0, 1, "ask DNS whether a sender's domain exists and takes mail (RFC 7505 4.2)")   \
    X(smtp, xclient, NETS, "none", 0, 16, "networks that may say by XCLIENT whom they speak for; for tests")           \
    X(relay, smarthost, TEXT, "", 0, 300, "host:port that takes all mail for others; empty: it goes to each domain's own hosts") \
    X(relay, smarthost_login, TEXT, "", 0, 1000, "file with one line \"user password\" for the smart host; then TLS is a must") \
    X(relay, routes, TEXT, "", 0, 60000, "ways of their own: \"example.org=host:port .example.net=host from:ann@example.com=host\"") \
    X(relay, allow, NETS, "none", 0, 64, "networks mail may go to although they are private or loopback: \"192.168.7.0/24\"") \
    X(relay, port, COUNT, "25", 1, 65535, "of other servers; another one only for tests")                              \
    X(relay, ca_file, TEXT, "/etc/ssl/certs/ca-certificates.crt", 0, 180, "authorities that vouch for servers (MTA-STS), PEM; empty: none") \
    X(relay, https_port, COUNT, "443", 1, 65535, "where policies of MTA-STS are fetched; another one only for tests")  \
    X(dns, forward, ADDRS, "none", 0, 8, "resolvers to ask; none: ask the servers of each zone, from the root on; validated here in both cases") \
    X(dns, stub, TEXT, "", 0, 1000, "zones whose servers are not asked for but given: corp.example=192.0.2.1:53 ...")   \
    X(dns, root_hints, TEXT, "", 0, 180, "a file with the root's servers; empty: those built in")                      \
    X(dns, trust_anchor, TEXT, "", 0, 180, "a file with the root's keys, or one DS record; empty: those built in")     \
    X(dns, timeout, SECONDS, "15", 1, 120, "for an answer, then it is a temporary failure")                            \
    X(sendmail, domain, TEXT, "", 0, 253, "the sendmail command puts it behind names without a domain; empty: server.hostname") \
    X(sendmail, logins, TEXT, "", 0, 60000, "whose sendmail is a submission of an account, without a password: user=address uid=address ...") \
    X(listen, smtp, ADDRS, "0.0.0.0:25 [::]:25", 0, 16, "mail from other servers")                                     \
    X(listen, lmtp, ADDRS, "none", 0, 16, "mail from a server of yours by LMTP; never open to the net: no login is asked") \
    X(listen, submission, ADDRS, "0.0.0.0:587 [::]:587", 0, 16, "mail from your own people, STARTTLS")                 \
    X(listen, submissions, ADDRS, "0.0.0.0:465 [::]:465", 0, 16, "mail from your own people in TLS")                   \
    X(listen, pop3, ADDRS, "0.0.0.0:110 [::]:110", 0, 16, "POP3, STARTTLS by STLS")                                    \
    X(listen, pop3s, ADDRS, "0.0.0.0:995 [::]:995", 0, 16, "POP3 in TLS")                                              \
    X(listen, imap, ADDRS, "0.0.0.0:143 [::]:143", 0, 16, "IMAP, STARTTLS")                                            \
    X(listen, imaps, ADDRS, "0.0.0.0:993 [::]:993", 0, 16, "IMAP in TLS")                                                      \
    X(listen, sendmail, TEXT, "/run/postel/sendmail.sock", 2, 107, "Unix socket of the sendmail command, there when sendmail.logins names somebody")

enum config_id {
#define X(section, name, type, def, least, most, help) CONFIG_##section##_##name,
    CONFIG_TABLE(X)
#undef X
    CONFIG_COUNT
};

struct config; /* immutable once read */

/* Parses text (inih: "[section]", "name = value"). Unknown section or key: FAIL_PERM naming the line and the nearest
 * known name. `[limits]` holds limits.h. A name given twice: the later one wins. file: for messages. caller frees with
 * config_free. */
struct config *config_parse(struct span text, const char *file, struct fail *f);
struct config *config_read(const char *path, struct span *text, struct arena *mem, struct fail *f); /* also gives the text */
void config_free(struct config *c);

/* What the server runs with: set once in each process; sets limit_value too. */
void config_use(const struct config *c);
struct span config_text(enum config_id id);
uint64_t config_count(enum config_id id);   /* COUNT, SECONDS, SIZE; LEVEL as enum log_level */
bool config_bool(enum config_id id);

struct config_addr { struct span text; unsigned char sockaddr[28]; uint32_t len; };
bool config_net_has(enum config_id id, const unsigned char ip[16]); /* is it in a network of a NETS option? */
/* The addresses of an ADDRS option; returns how many, *out lives as long as the config. */
size_t config_addrs(const struct config *c, enum config_id id, const struct config_addr **out);
struct span config_get(const struct config *c, enum config_id id);

void config_show(const struct config *c, struct str *out);      /* every option with value, default, help: itself a valid file */

#endif
