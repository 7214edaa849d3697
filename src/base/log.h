/* log: one line per event, logfmt, on standard error, escaped (SEC-10).
 *
 *     LOG(LOG_INFO, "smtp.rcpt", L_ID(s->trace), L_SPAN("to", rcpt), L_INT("code", 250));
 *     -> t=2026-11-24T20:17:00.123Z lv=info role=front-mx id=7f3ak2 ev=smtp.rcpt to=bob@b.example code=250
 *
 * Never secrets, never message text. A value with spaces or anything outside printable ASCII is quoted and escaped
 * (C0, C1, DEL, bidi controls, bad UTF-8 as \xNN); values are cut at 512 bytes, marked by a final "...".
 */
#ifndef POSTEL_LOG_H
#define POSTEL_LOG_H

#include "base/span.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_field {
    const char *key;
    struct span s; /* p NULL: use num */
    int64_t num;
};

#define L_SPAN(k, v) {.key = (k), .s = (v)}
#define L_Z(k, v) {.key = (k), .s = span_z(v)}
#define L_INT(k, v) {.key = (k), .num = (v)}
#define L_ID(v) {.key = "id", .s = (v)}
#define LOG(level, ev, ...)                                                                                            \
    do {                                                                                                               \
        const struct log_field log_fields_[] = {__VA_ARGS__};                                                          \
        log_write((level), (ev), log_fields_, COUNT_OF(log_fields_));                                                  \
    } while (0)

void log_setup(const char *role, enum log_level least); /* role: static string shown in each line */
void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n);
/* Escapes one value as described above into out (not NUL-terminated); returns its length, <= cap. */
size_t log_escape(struct span v, char *out, size_t cap);

#endif
