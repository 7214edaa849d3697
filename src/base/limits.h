/* limits: every limit is a number in this one table (doc/limits.md), with its unit and its reason. */
#ifndef POSTEL_LIMITS_H
#define POSTEL_LIMITS_H

#include "base/base.h"

/* X(NAME, default, least, most, unit, reason). Settable as `[limits] name = value` in postel.conf; LIMIT(NAME) reads it.
 * "0 is a number": a limit that may be absent says so in its reason and is spelled "none" (SEC-26). */
#define LIMIT_TABLE(X)                                                                                                 \
    X(SMTP_LINE, 2048, 512, 65536, "bytes", "a command line; RFC 5321 4.5.3.1.4 wants 512, extensions add to it")      \
    X(SMTP_LINE_DISCARD, 65536, 2048, 1048576, "bytes", "of an overlong line read and dropped before 421")             \
    X(SMTP_RCPTS, 1000, 100, 100000, "recipients", "per transaction; RFC 5321 4.5.3.1.8 wants 100")                    \
    X(SMTP_RCPT_BYTES, 49152, 32768, 49152, "bytes", "of all recipient addresses of a transaction: they travel in one frame") \
    X(SMTP_RCPT_HELD, 36864, 8192, 98304, "bytes", "of a transaction's recipients behind the first held without a login, packed: 1,000 of usual length (SEC-07)") \
    X(SMTP_MAILS, 10000, 10, 1000000, "messages", "in one session; announced as MAILMAX, RFC 9422 4.1")                \
    X(SMTP_ERRORS_SOFT, 10, 1, 1000, "errors", "then each further one waits a second")                                 \
    X(SMTP_ERRORS_HARD, 20, 2, 1000, "errors", "then 421")                                                             \
    X(SMTP_IDLE_COMMANDS, 100, 10, 100000, "commands", "without progress (NOOP, RSET, VRFY, HELO...) before 421")      \
    X(SMTP_COMMAND_S, 300, 5, 3600, "seconds", "between commands; RFC 5321 4.5.3.2.7")                                 \
    X(SMTP_DATA_S, 180, 5, 3600, "seconds", "between chunks of data; RFC 5321 4.5.3.2.5")                              \
    X(MESSAGE_BYTES, 52428800, 65536, 1073741824, "bytes", "a message, as announced by SIZE")                          \
    X(HEADER_FIELD_BYTES, 102400, 2048, 1048576, "bytes", "one header field")                                          \
    X(HEADER_BYTES, 1048576, 65536, 4194304, "bytes", "the header of a message; what follows counts as body (SEC-20)") \
    X(HEADER_FIELDS, 1000, 100, 10000, "fields", "of a message header")                                                \
    X(HEADER_ADDRESSES, 1000, 100, 10000, "addresses", "parsed per header field")                                      \
    X(MIME_DEPTH, 50, 5, 100, "levels", "deeper parts are opaque")                                                     \
    X(MIME_PARTS, 1000, 50, 10000, "parts", "indexed per message")                                                     \
    X(MIME_PARAMS, 128, 16, 1024, "parameters", "per header field, RFC 2231 pieces included")                          \
    X(ALIAS_DEPTH, 10, 1, 50, "steps", "an alias that names an alias")                                                 \
    X(ALIAS_TARGETS, 10000, 1, 100000, "addresses", "that one recipient may expand to")                                \
    X(HOPS, 50, 25, 200, "fields", "Received fields before mail is refused as looping; RFC 5321 6.3")                  \
    X(POP3_LINE, 255, 255, 12288, "octets", "a command line; RFC 2449 4")                                              \
    X(POP3_LOGIN_S, 60, 5, 3600, "seconds", "for the whole login")                                                     \
    X(POP3_IDLE_S, 600, 600, 86400, "seconds", "autologout; RFC 1939 3 wants at least 10 minutes")                     \
    X(POP3_ERRORS, 20, 2, 1000, "errors", "in a row before the connection is closed")                                  \
    X(POP3_KEEP_DAYS, 7, 1, 3650, "days", "the least that an account may have fetched mail kept; RFC 2449 6.7")              \
    X(IMAP_LINE, 65536, 8192, 1048576, "bytes", "a command without its literals, after login")                         \
    X(IMAP_LINE_BEFORE, 8192, 1024, 65536, "bytes", "a command before login, literals included; of an ID what is kept of it") \
    X(IMAP_LITERAL, 65536, 4096, 1048576, "bytes", "all literals of a command that are no message, after login")       \
    X(IMAP_LITERAL_BEFORE, 1024, 256, 4096, "bytes", "a literal before login: a name or a password")                   \
    X(IMAP_RANGES, 10000, 100, 100000, "ranges", "in one set of message numbers")                                      \
    X(IMAP_DEPTH, 16, 4, 64, "levels", "of parentheses in a command")                                                  \
    X(IMAP_LOGIN_S, 60, 5, 3600, "seconds", "for the whole login")                                                     \
    X(IMAP_KEPT_BYTES, 16777216, 0, 1073741824, "bytes", "views of mailboxes that sessions left, all together; 0: none")   \
    X(IMAP_IDLE_S, 1800, 1800, 86400, "seconds", "autologout; RFC 9051 5.4 wants at least 30 minutes")                 \
    X(IMAP_ERRORS, 20, 2, 1000, "errors", "in a row before the connection is closed")                                  \
    X(SASL_LINE, 12288, 12288, 65536, "octets", "RFC 4954 4")                                                          \
    X(PASSWORD_BYTES, 1024, 64, 4096, "bytes", "a password")                                                           \
    X(PASSWORD_LEAST, 10, 1, 64, "characters", "a new password has at least")                                        \
    X(APP_PASSWORDS, 20, 1, 100, "passwords", "for programs, of an account; each costs a hash at every SCRAM login")     \
    X(LOGIN_ATTEMPTS, 1000, 10, 100000, "attempts", "to log in that are kept for an account's owner to see")             \
    X(LOGIN_ATTEMPT_S, 7776000, 3600, 315360000, "seconds", "they are kept")                                          \
    X(PASSWORD_ITERATIONS, 100000, 4096, 10000000, "rounds", "of PBKDF2 for newly set passwords")                      \
    X(PASSWORD_QUEUE, 64, 1, 1024, "checks", "waiting in auth; more are told to come back")                            \
    X(SESSIONS, 15000, 10, 32000, "sessions", "per front; each has a stack with a guard page (vm.max_map_count)")      \
    X(SESSIONS_PER_IP, 100, 1, 32000, "sessions", "of one IPv4 address or IPv6 /64; loopback and server.no_limits are exempt") \
    X(SESSIONS_PER_NET, 400, 1, 32000, "sessions", "of one IPv4 /24 or IPv6 /48; exempt as above")                     \
    X(SENDMAIL_PER_UID, 20, 1, 32000, "sessions", "of one user's sendmail commands, per front")                        \
    X(CONNECTS_PER_IP, 600, 1, 1000000, "connections", "a minute from one IPv4 address or IPv6 /64; exempt as above")  \
    X(CONNECTS_PER_NET, 2400, 1, 1000000, "connections", "a minute from one IPv4 /24 or IPv6 /48; exempt as above")    \
    X(MAILS_PER_IP, 1200, 1, 1000000, "messages", "a minute on port 25 from one IPv4 address or IPv6 /64; exempt as above") \
    X(MAILS_PER_NET, 4800, 1, 1000000, "messages", "a minute on port 25 from one IPv4 /24 or IPv6 /48; exempt as above") \
    X(PROXY_HEADER_S, 5, 1, 60, "seconds", "for the PROXY header of a connection from server.proxy")                   \
    X(TLS_HANDSHAKE_S, 30, 2, 300, "seconds", "for a TLS handshake")                                                   \
    X(BODY_INLINE, 65536, 4096, 65536, "bytes", "a body up to this travels in its frame")                              \
    X(BODY_SHARED, 6291456, 0, 4294967296, "bytes", "of memory that a front's bodies share, each beyond its first 8 KiB; without it they wait in memfds (SEC-07)") \
    X(BODY_MEMFD, 1048576, 65536, 16777216, "bytes", "up to this as sealed memfd, above it streams to store")          \
    X(MEMFD_BUDGET, 268435456, 1048576, 4294967296, "bytes", "of memfd per front, then 452 before 354")                \
    X(IPC_CREDITS, 64, 1, 4096, "calls", "outstanding per channel")                                                    \
    X(IPC_CALL_S, 30, 1, 600, "seconds", "a call between roles, retries after a restart included")                     \
    X(SCAN_MESSAGES, 1000, 1, 1000000000, "messages", "a scan handles before it is replaced")                          \
    X(SCAN_S, 60, 1, 86400, "seconds", "a scan lives before it is replaced, once it has seen a message")               \
    X(SCAN_BYTES, 268435456, 67108864, 4294967296, "bytes", "of address space for data in scan (RLIMIT_DATA)")         \
    X(SCAN_CALL_S, 20, 1, 600, "seconds", "scan may take for one message")                                             \
    X(RCPT_CACHE_MS, 2000, 0, 60000, "ms", "a recipient's answer is reused in a front; 0 asks auth each time")         \
    X(SEGMENT_BYTES, 67108864, 1048576, 1073741824, "bytes", "a segment of the message log")                           \
    X(SPOOLS, 256, 1, 100000, "messages", "above body_memfd on their way in at the same time")                         \
    X(BIG_BYTES, 1048576, 65536, 1073741824, "bytes", "messages above this get a file of their own")                   \
    X(MAILBOXES, 1000, 10, 10000, "mailboxes", "of an account")                                                        \
    X(MAILBOX_DEPTH, 20, 5, 100, "levels", "of mailboxes below each other")                                            \
    X(MAILBOX_NAME_BYTES, 255, 50, 1000, "bytes", "one level of a mailbox's name")                                     \
    X(KEYWORDS, 100, 20, 1000, "keywords", "of a message")                                                             \
    X(KEYWORD_BYTES, 100, 30, 255, "bytes", "a keyword; RFC 8621 4.1.1 has 255 at most")                               \
    X(THREAD_REFS, 32, 4, 250, "ids", "of In-Reply-To and References that decide a message's thread")                  \
    X(TOMBSTONE_S, 7776000, 3600, 315360000, "seconds", "clients may stay away and still be told what is gone")        \
    X(UPLOAD_S, 86400, 3600, 2592000, "seconds", "an upload waits to be used; RFC 8620 6.1 wants an hour at least")    \
    X(UPLOADS, 1000, 10, 100000, "uploads", "of an account waiting to be used")                                        \
    X(UPLOAD_BYTES, 536870912, 1048576, 1099511627776, "bytes", "of an account's uploads waiting to be used")          \
    X(KV_KEY_BYTES, 255, 64, 1000, "bytes", "the name of a small value")                                               \
    X(KV_VALUE_BYTES, 65536, 4096, 131072, "bytes", "a small value")                                                   \
    X(KV_VALUES, 1000, 10, 1000000, "values", "small ones, of an account")                                             \
    X(SWEEP_PERCENT, 50, 0, 90, "percent", "a segment of the log with less still in use is rewritten")                  \
    X(SWEEP_STEP_BYTES, 1048576, 65536, 67108864, "bytes", "of the log rewritten at once, between commits")            \
    X(SEARCH_TEXT_BYTES, 196608, 4096, 196608, "bytes", "of a message's text kept for searches; longer ones are read each time") \
    X(SEARCH_FILES, 8, 1, 64, "accounts", "whose text for searches stays open")                                        \
    X(ORPHAN_S, 3600, 0, 31536000, "seconds", "a file that nothing refers to is kept before it is removed")            \
    X(QUEUE_S, 432000, 3600, 2592000, "seconds", "mail for elsewhere is tried; RFC 5321 4.5.4.1 wants 4 to 5 days")    \
    X(EXPIRE_GRACE_S, 3600, 60, 86400, "seconds", "beyond queue_s that mail may wait for a last try")                  \
    X(DSN_DELAY_S, 14400, 60, 432000, "seconds", "before the sender is told that mail still waits")                    \
    X(DSN_GATHER_MS, 2000, 0, 600000, "ms", "a report waits for other recipients of its message")                      \
    X(DSN_BODY_BYTES, 50000, 0, 1048576, "bytes", "a message up to this comes back whole in a report, else its header") \
    X(SEND_MESSAGES, 1000, 1, 1000000000, "messages", "a day from one account")                                        \
    X(SEND_NEW_RCPTS, 200, 1, 1000000000, "recipients", "a day that an account never wrote to before")                 \
    X(EVENT_DAYS, 30, 1, 3650, "days", "delivery events are kept")                                                     \
    X(RETRY_FIRST_S, 300, 1, 86400, "seconds", "until the second attempt; each further wait is half as long again")     \
    X(RETRY_MOST_S, 3960, 1, 86400, "seconds", "between attempts, at most; RFC 5321 4.5.4.1 wants 30 minutes at least")  \
    X(RELAY_SESSIONS, 200, 1, 10000, "sessions", "with other servers at the same time")                                \
    X(RELAY_CONCURRENCY, 20, 1, 1000, "sessions", "with one destination at most")                                      \
    X(RELAY_CONCURRENCY_FIRST, 5, 1, 1000, "sessions", "with one destination of which nothing is known yet")           \
    X(RELAY_LEASE, 10, 1, 100, "messages", "that a session takes from the queue at once")                              \
    X(RELAY_RCPTS, 100, 1, 1000, "recipients", "in one outgoing transaction; RFC 5321 4.5.3.1.8: all servers take 100") \
    X(RELAY_SESSION_MAILS, 100, 1, 100000, "messages", "over one outgoing connection")                                 \
    X(RELAY_HOSTS, 10, 2, 100, "addresses", "tried for one message before it waits; RFC 5321 5.1 wants two at least")   \
    X(RELAY_CONNECT_S, 30, 1, 300, "seconds", "for a connection to be made")                                           \
    X(RELAY_GREETING_S, 300, 1, 3600, "seconds", "for the greeting; RFC 5321 4.5.3.2.1")                               \
    X(RELAY_COMMAND_S, 300, 1, 3600, "seconds", "for the answer to a command; RFC 5321 4.5.3.2.2 to 4.5.3.2.4")        \
    X(RELAY_DATA_S, 180, 1, 3600, "seconds", "between pieces of the text; RFC 5321 4.5.3.2.5")                         \
    X(RELAY_FINAL_S, 600, 1, 3600, "seconds", "for the answer to the whole text; RFC 5321 4.5.3.2.6")                  \
    X(RELAY_QUIT_S, 2, 1, 60, "seconds", "for the answer to QUIT")                                                     \
    X(RELAY_REPLY_LINES, 1000, 10, 100000, "lines", "of one answer; more is no answer")                                \
    X(MTASTS_POLICIES, 10000, 10, 1000000, "domains", "whose policies are kept; RFC 8461 3.3")                         \
    X(MTASTS_FETCH_S, 60, 1, 600, "seconds", "to fetch a policy; RFC 8461 3.3 suggests a minute")                      \
    X(DNS_QUERIES, 500, 10, 10000, "queries", "for names, asked and not answered; more fail for now")                  \
    X(DNS_TTL_S, 86400, 0, 604800, "seconds", "an answer is kept at most, whatever it says itself; denials 900")       \
    X(DNS_CACHE_BYTES, 33554432, 1048576, 4294967296, "bytes", "of answers kept")                                      \
    X(DNS_ANSWER_BYTES, 65536, 4096, 131072, "bytes", "of records in an answer; a larger one is none")                 \
    X(STOP_FRONT_S, 10, 0, 600, "seconds", "fronts may take to finish commands at stop")                               \
    X(STOP_RELAY_S, 30, 0, 600, "seconds", "relay may take at stop")

enum limit_id {
#define X(name, def, least, most, unit, reason) LIMIT_##name,
    LIMIT_TABLE(X)
#undef X
    LIMIT_COUNT
};

struct limit {
    const char *name; /* lower case, as in postel.conf: "smtp_line" */
    int64_t def, least, most;
    const char *unit, *reason;
};

extern const struct limit limit_table[LIMIT_COUNT];
extern int64_t limit_value[LIMIT_COUNT]; /* defaults, changed only while the configuration is read */
#define LIMIT(name) (limit_value[LIMIT_##name])

#endif
