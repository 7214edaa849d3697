/* smtp_out_data: the text of a message on its way out: DATA with its dots, or BDAT (RFC 5321 4.5.2, RFC 3030). */
#ifndef POSTEL_SMTP_OUT_DATA_H
#define POSTEL_SMTP_OUT_DATA_H

#include "smtp/smtp_out.h"

/* Appends `in` with a dot doubled at the start of each line. *bol: at the start of a line; true at first. */
void smtp_out_data_stuff(struct str *out, struct span in, bool *bol);

/* Sends the text: everything but what makes it final, then m->attempt, then that; *a: the answer for everybody accepted. */
WAITS void smtp_out_data_send(struct smtp_out *s, struct smtp_out_mail *m, struct smtp_out_answer *a);

/* smtp_out_send.c: the envelope of m->next, behind the text of m, where all is well for that. */
WAITS void smtp_out_send_ahead(struct smtp_out *s, const struct smtp_out_mail *m);

#endif
