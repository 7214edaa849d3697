/* pop3_text: what people may read of POP3's answers, in each language that LANG offers (RFC 6856 3). */
#ifndef POSTEL_POP3_TEXT_H
#define POSTEL_POP3_TEXT_H

#include "base/span.h"

/* X(NAME, response code with a space or nothing (RFC 2449 8), English, German): `%` stands for what the answer is about.
 * English is ASCII: it is what is said before LANG (RFC 1939 3); other languages are UTF-8. */
#define POP3_TEXT_TABLE(X)                                                                                             \
    X(READY, "", "Postel POP3 ready", "Postel POP3 bereit")                                                            \
    X(CAPA, "", "What this server can do", "Was dieser Server kann")                                                   \
    X(TLS_THERE, "", "TLS is there already", "TLS besteht schon")                                                      \
    X(TLS_NOT_NOW, "", "TLS is not available now", "TLS ist jetzt nicht verfügbar")                                    \
    X(TLS_AFTER_UTF8, "", "STLS comes before UTF8", "STLS kommt vor UTF8")                                             \
    X(TLS_BEGIN, "", "Begin TLS", "TLS beginnt")                                                                       \
    X(APOP, "", "APOP is not offered, use USER and PASS in TLS",                                                       \
      "APOP wird nicht angeboten, bitte USER und PASS in TLS verwenden")                                               \
    X(NOOP, "", "Still here", "Noch da")                                                                               \
    X(NOT_REMOVED, "[SYS/TEMP] ", "Some deleted messages were not removed",                                            \
      "Einige gelöschte Nachrichten wurden nicht entfernt")                                                            \
    X(BYE, "", "Bye", "Auf Wiedersehen")                                                                               \
    X(NO_COMMAND, "", "That is no command", "Das ist kein Befehl")                                                     \
    X(UNKNOWN, "", "Unknown command", "Unbekannter Befehl")                                                            \
    X(NOT_AFTER_LOGIN, "", "% is not possible after the login", "% ist nach der Anmeldung nicht möglich")              \
    X(NOT_NOW, "", "% is not possible now", "% ist jetzt nicht möglich")                                               \
    X(NO_ARGUMENT, "", "% takes no argument", "% hat kein Argument")                                                   \
    X(LINE_LONG, "", "The line is too long", "Die Zeile ist zu lang")                                                  \
    X(ERRORS, "", "Too many errors", "Zu viele Fehler")                                                                \
    X(STOPPING, "[SYS/TEMP] ", "Shutting down, nothing was deleted", "Der Server hält an, nichts wurde gelöscht")      \
    X(LOGIN_SLOW, "", "The login took too long", "Die Anmeldung dauerte zu lange")                                     \
    X(IN_TLS_ONLY, "", "Passwords are taken in TLS only: send STLS first",                                             \
      "Passwörter nur in TLS: bitte zuerst STLS senden")                                                               \
    X(WHO, "", "Who?", "Wer?")                                                                                         \
    X(PASSWORD, "", "Password?", "Passwort?")                                                                          \
    X(LOGIN_BUSY, "[SYS/TEMP] ", "Logins are not possible now, try again later",                                       \
      "Anmeldungen sind jetzt nicht möglich, bitte später noch einmal")                                                \
    X(LOGIN_FAILED, "[AUTH] ", "Login failed", "Anmeldung fehlgeschlagen")                                             \
    X(IN_USE, "[IN-USE] ", "Another session has this mailbox", "Eine andere Sitzung hat dieses Postfach")              \
    X(NO_MAILBOX, "[SYS/TEMP] ", "The mailbox cannot be opened now",                                                   \
      "Das Postfach kann jetzt nicht geöffnet werden")                                                                 \
    X(MESSAGES, "", "% messages", "% Nachrichten")                                                                     \
    X(NO_MESSAGE, "", "No such message", "Keine solche Nachricht")                                                     \
    X(DELETED, "", "Deleted at QUIT", "Wird bei QUIT gelöscht")                                                        \
    X(GONE, "", "The message is gone", "Die Nachricht ist nicht mehr da")                                              \
    X(UNREADABLE, "[SYS/TEMP] ", "The message cannot be read now", "Die Nachricht kann jetzt nicht gelesen werden")    \
    X(NEEDS_UTF8, "[UTF8] ", "The message needs a mail program that sends UTF8",                                       \
      "Die Nachricht braucht ein Mailprogramm, das UTF8 sendet")                                                       \
    X(TOP, "", "Top", "Anfang")                                                                                        \
    X(OCTETS, "", "% octets", "% Bytes")                                                                               \
    X(HOW_MANY, "", "How many lines?", "Wie viele Zeilen?")                                                            \
    X(UTF8, "", "UTF-8 from now on", "Ab jetzt UTF-8")                                                                 \
    X(UTF8_THERE, "", "UTF-8 is on already", "UTF-8 ist schon an")                                                     \
    X(LANGUAGES, "", "Languages", "Sprachen")                                                                          \
    X(LANGUAGE, "", "Language changed", "Sprache gewechselt")                                                          \
    X(NO_LANGUAGE, "", "There are no texts in that language", "In dieser Sprache gibt es keine Texte")                 \
    X(MECHANISM, "", "Which mechanism?", "Welches Verfahren?")                                                         \
    X(NO_MECHANISM, "", "No such mechanism here", "Dieses Verfahren gibt es hier nicht")                               \
    X(CANCELLED, "", "The login was cancelled", "Die Anmeldung wurde abgebrochen")                                     \
    X(BAD_RESPONSE, "", "That is no response of this mechanism", "Das ist keine Antwort dieses Verfahrens")            \
    X(BASE64, "", "That is no base64", "Das ist kein Base64")

enum pop3_text {
#define X(name, code, en, de) POP3_TEXT_##name,
    POP3_TEXT_TABLE(X)
#undef X
    POP3_TEXT_COUNT
};

enum pop3_lang { POP3_LANG_EN, POP3_LANG_DE, POP3_LANG_COUNT };

const char *pop3_text(enum pop3_text t, enum pop3_lang lang);
const char *pop3_text_code(enum pop3_text t);           /* "[AUTH] " or "" */
struct span pop3_text_lang(enum pop3_lang lang);        /* "de" */
struct span pop3_text_lang_name(enum pop3_lang lang);   /* "Deutsch" */
/* The language of a range as clients send it ("de", "DE-at": RFC 4647 3.4, lookup); -1 when it is none of ours. */
int pop3_text_find(struct span range);

#endif
