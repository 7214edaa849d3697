/* Runs between the line ends that need something; nothing is copied. */
#include "imap/imap_crlf.h"

/* A place in s where something is to be done: NUL, a CR without LF behind it, an LF without CR before it; s.n: none. */
static size_t next_odd(const struct imap_crlf *c, struct span s)
{
    bool cr = c->cr;
    for (size_t i = 0; i < s.n; i++) {
        char b = s.p[i];
        if (b == 0 || (cr && b != '\n') || (!cr && b == '\n'))
            return i;
        cr = b == '\r';
    }
    return s.n;
}

bool imap_crlf_next(struct imap_crlf *c, struct span *in, struct span *run)
{
    if (in->n == 0 || c->bad)
        return false;
    if (c->owed) { /* the LF itself, still in front of *in */
        c->owed = false;
        *run = span_sub(*in, 0, 1);
        *in = span_from(*in, 1);
        return true;
    }
    size_t n = next_odd(c, *in);
    if (n > 0) {
        *run = span_sub(*in, 0, n);
        c->cr = in->p[n - 1] == '\r';
        *in = span_from(*in, n);
        return true;
    }
    if (in->p[0] != '\n' || c->cr) {
        c->bad = true;
        return false;
    }
    c->owed = true;
    *run = SPAN("\r");
    return true;
}

int imap_crlf_end(const struct imap_crlf *c)
{
    return c->cr || c->bad ? -1 : 0;
}
