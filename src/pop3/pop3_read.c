/* Reading ahead of the client: while one window is written to it the next are already asked for. */
#include "pop3/pop3_read.h"

static WAITS int ask(struct pop3_read *r, const struct pop3_drop *d, struct fail *f)
{
    while (r->n_flying < r->depth && (r->asked < r->size || r->asked == 0)) {
        struct msg_email_read in = {.handle = pop3_drop_handle(d), .eid = r->eid, .offset = r->asked,
                                    .length = POP3_READ_WINDOW};
        struct ipc_pending *p = ipc_begin(ROLE_STORE, MSG_ID_email_read, &in, f);
        if (p == NULL)
            return -1;
        r->flying[(r->first + r->n_flying++) % POP3_READ_FLYING] = p;
        r->asked += POP3_READ_WINDOW;
    }
    return 0;
}

WAITS int pop3_read_start(struct pop3_read *r, const struct pop3_drop *d, const struct pop3_item *item, unsigned depth,
                          struct fail *f)
{
    *r = (struct pop3_read){.eid = item->eid, .size = item->size, .depth = depth};
    return ask(r, d, f);
}

WAITS int pop3_read_next(struct pop3_read *r, const struct pop3_drop *d, struct span *data, struct arena *mem,
                         struct fail *f)
{
    struct msg_email_read_r out;
    *data = SPAN_NONE;
    if (r->n_flying == 0)
        return 0;
    struct ipc_pending *p = r->flying[r->first];
    r->flying[r->first] = NULL;
    r->first = (r->first + 1) % POP3_READ_FLYING;
    r->n_flying--;
    if (ipc_finish(p, &out, mem, 0, f) < 0)
        return -1;
    if (out.size != r->size || out.data.n != MIN_OF(r->size - r->got, (uint64_t)POP3_READ_WINDOW))
        return fail_temp(f, "4.3.0", "The message cannot be read as it was listed");
    r->got += out.data.n;
    *data = out.data;
    return ask(r, d, f);
}

void pop3_read_stop(struct pop3_read *r)
{
    for (unsigned i = 0; i < POP3_READ_FLYING; i++)
        if (r->flying[i] != NULL)
            ipc_forget(r->flying[i]);
    *r = (struct pop3_read){0};
}
