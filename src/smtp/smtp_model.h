/* smtp_model: what an SMTP session ought to answer and to have stored, said by a second, slow reading of the rules. It takes
 * the client's octets whole; the session under test gets them in pieces. The grammar of one command line, and what the
 * played roles answer (smtp_in_testing.h), are the same for both; states, transactions, ends of data and logins are not. */
#ifndef POSTEL_SMTP_MODEL_H
#define POSTEL_SMTP_MODEL_H

#include "base/str.h"
#include "run/service.h"
#include "run/session_testing.h"

enum { SMTP_MODEL_FLIGHTS = 40 };

struct smtp_model {
    struct str codes;   /* of all replies: "220 250 354" */
    struct str stored;  /* a line for each ingest, as smtp_in_seen has them */
    size_t replies;
    struct session_flight flights[SMTP_MODEL_FLIGHTS]; /* how to say the input */
    size_t n;
};

/* Octets that are no input but what the client does there: it shakes hands where STARTTLS was just accepted; it sends
 * close_notify where there is TLS, and the rest in clear. Elsewhere they are nothing. */
enum { SMTP_MODEL_TLS = 1, SMTP_MODEL_CLEAR = 2 };

/* Runs the model; all lives in mem. tls: STARTTLS is possible. */
void smtp_model_run(enum service_id service, bool loopback, bool tls, struct span input, struct smtp_model *out,
                    struct arena *mem);
/* Are there so many whole replies in it? For session_flight. */
bool smtp_model_heard(struct span said, size_t n);
/* The codes of the whole replies in it. */
struct span smtp_model_codes(struct span said, struct arena *mem);

/* One input against the session: its first octet says which service and how it is cut. "" when both agree; else what is
 * different; lives in mem. In a coroutine of smtp_in_testing_run. */
WAITS struct span smtp_model_try(struct span input, struct arena *mem);
/* Limits and TLS as the model knows them, once before smtp_in_testing_run. 0 or -1. */
int smtp_model_setup(void);

#endif
