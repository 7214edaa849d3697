/* imap_surrogate: one message's bytes from store, one question to scan. Nothing is kept in the store: the original is what
 * counts, and who can read it gets it. */
#include "imap/imap_surrogate.h"

#include "format/summary.h"
#include "imap/imap_read.h"
#include "run/scanner.h"

bool imap_surrogate_needed(const struct imap *s, uint32_t summary_flags)
{
    return !imap_session_utf8(s) && (summary_flags & (SUMMARY_UTF8 | SUMMARY_UTF8_PARTS)) != 0;
}

void imap_surrogate_drop(struct imap *s)
{
    if (s->surrogate == NULL)
        return;
    arena_done(&s->surrogate->mem);
    free(s->surrogate);
    s->surrogate = NULL;
}

void imap_surrogate_rest(struct imap *s)
{
    if (s->surrogate != NULL && s->surrogate->stored <= IMAP_READ_WINDOW)
        imap_surrogate_drop(s);
}

/* The message for scan: what fits a window in the frame, else as a file. */
static WAITS int take_message(struct imap *s, uint64_t eid, uint64_t size, struct msg_scan_surrogate *in, struct arena *mem,
                              struct fail *f)
{
    struct msg_email_read ask = {.handle = imap_session_handle(s), .eid = eid, .length = IMAP_READ_WINDOW};
    struct msg_email_read_r got;
    *in = (struct msg_scan_surrogate){.size = size, .body = SPAN(""), .file = -1};
    if (size > IMAP_READ_WINDOW)
        return imap_read_file(s, eid, size, size, &in->file, f);
    if (IPC_CALL(ROLE_STORE, email_read, &ask, &got, mem, f) != 0)
        return -1;
    if (got.size != size || got.data.n != size)
        return fail_perm(f, "5.2.0", "The message cannot be read as it was listed");
    in->body = got.data;
    return 0;
}

/* One that brings scan down is shown as it is. */
static WAITS int ask_scan(struct imap *s, const struct msg_scan_surrogate *in, struct imap_surrogate *x, struct fail *f)
{
    struct msg_scan_surrogate_r got;
    if (scanner_call(MSG_ID_scan_surrogate, in, &got, x->eid, false, span_z(s->trace), &x->mem, f) < 0)
        return f->kind == FAIL_PERM ? 0 : -1;
    x->edits = got.edits;
    x->size = got.size;
    x->envelope = got.envelope;
    x->structure = got.structure;
    return 0;
}

WAITS int imap_surrogate_get(struct imap *s, uint64_t eid, uint64_t size, const struct imap_surrogate **out, struct fail *f)
{
    struct msg_scan_surrogate in;
    struct arena mem;
    *out = NULL;
    if (s->surrogate == NULL || s->surrogate->eid != eid) {
        imap_surrogate_drop(s);
        struct imap_surrogate *x = base_alloc(sizeof *x);
        *x = (struct imap_surrogate){.eid = eid, .stored = size, .edits = SPAN("")};
        arena_init(&x->mem);
        arena_init(&mem);
        int r = take_message(s, eid, size, &in, &mem, f);
        if (r == 0) {
            r = ask_scan(s, &in, x, f);
            if (in.file >= 0)
                close(in.file);
        }
        arena_done(&mem);
        s->surrogate = x; /* to be freed in any case */
        if (r != 0) {
            imap_surrogate_drop(s);
            return f->kind == FAIL_PERM ? 1 : -1;
        }
    }
    *out = s->surrogate->edits.n > 0 ? s->surrogate : NULL;
    return 0;
}
