/* part_text: pieces end where nothing is cut: at line ends, at whole groups of base64, at whole characters. */
#include "format/part_text.h"

#include "base/base64.h"
#include "base/qp.h"
#include "format/fold.h"
#include "format/html_text.h"

enum { CHARSET_REST = 64 }; /* a character, shift sequences included, is shorter */

static bool is_base64(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

/* Where a piece that would end at n ends: behind the last line end, when there is one in its second half. */
static size_t cut_line(struct span s, size_t n)
{
    const char *nl = memrchr(s.p + n / 2, '\n', n - n / 2);
    if (nl != NULL)
        return (size_t)(nl - s.p) + 1;
    size_t back = n; /* a quoted-printable line without end: no escape is cut, nor blanks that may end the line */
    while (back > n / 2 && (s.p[back - 1] == ' ' || s.p[back - 1] == '\t' || s.p[back - 1] == '\r'))
        back--;
    for (unsigned i = 1; i <= 2 && back > n / 2; i++)
        if (s.p[back - i] == '=')
            return back - i;
    return back;
}

/* RFC 2045 6.8: a group is 4 characters of the alphabet; padding ends all. *last: it came. */
static size_t cut_group(struct span s, size_t n, bool *last)
{
    size_t whole = 0, count = 0;
    for (size_t i = 0; i < n; i++) {
        if (s.p[i] == '=') {
            *last = true;
            return i;
        }
        count += is_base64(s.p[i]);
        if (count % 4 == 0)
            whole = i + 1;
    }
    return whole;
}

void part_text_begin(struct part_text *t, struct span message, const struct mime_part *part, enum part_form form,
                     size_t from, struct arena *mem)
{
    *t = (struct part_text){.form = form, .encoding = (enum mime_encoding)part->at.encoding};
    bool text = mime_is_text((enum mime_type)part->at.type);
    t->raw = span_sub(message, part->at.body_at, part->at.body_end - part->at.body_at);
    t->html = form >= PART_VISIBLE && part->at.type == MIME_TEXT_HTML;
    if (t->html)
        t->raw = span_sub(t->raw, 0, PART_HTML_BYTES);
    t->at = t->next = MIN_OF(from, t->raw.n);
    if (form >= PART_TEXT)
        charset_begin(&t->charset, text ? mime_param(&part->type, SPAN("charset")) : SPAN(""));
    str_init(&t->bytes, mem);
    str_init(&t->text, mem);
    str_init(&t->visible, mem);
    str_init(&t->folded, mem);
}

bool part_text_resumes(const struct part_text *t)
{
    return t->form <= PART_DECODED || (!t->html && t->charset.kind != CHARSET_ICONV);
}

/* The next piece without its transfer encoding, behind the bytes that were kept. */
static struct span decoded(struct part_text *t, bool *last)
{
    struct span rest = span_from(t->raw, t->next);
    size_t n = MIN_OF(rest.n, (size_t)PART_PIECE);
    bool coded = t->form != PART_RAW && (t->encoding == MIME_BASE64 || t->encoding == MIME_QP);
    *last = n == rest.n;
    if (coded && t->encoding == MIME_BASE64) {
        size_t whole = cut_group(rest, n, last);
        n = *last || whole == 0 ? n : whole; /* none in all of it: what comes is hardly base64 */
    } else if (!*last) {
        n = cut_line(rest, n);
    }
    t->at = t->next - (coded ? 0 : t->kept);
    t->clean = !coded || t->kept == 0;
    struct span piece = span_sub(rest, 0, n);
    t->next += n;
    if (!coded) {
        piece = span_sub(t->raw, t->at, t->next - t->at);
        t->kept = 0;
        return piece;
    }
    t->bytes.n = t->kept;
    t->kept = 0;
    if (t->encoding == MIME_BASE64)
        base64_decode_mime(&t->bytes, piece);
    else
        qp_decode(&t->bytes, piece);
    return t->bytes.n > 0 ? str_span(&t->bytes) : SPAN("");
}

/* Into t->text; what belongs to the next piece is kept. */
static void to_utf8(struct part_text *t, struct span in, bool last)
{
    size_t used = charset_add(&t->charset, &t->text, in, last);
    if (in.n - used > CHARSET_REST) /* so that no piece waits for the next one for ever */
        used += charset_add(&t->charset, &t->text, span_from(in, used), true);
    t->kept = in.n - used;
    if (t->kept > 0 && in.p == t->bytes.p)
        memmove(t->bytes.p, in.p + used, t->kept);
}

static struct span folded(struct part_text *t, struct span in)
{
    str_clear(&t->folded);
    fold_text(&t->folded, in);
    return str_span(&t->folded);
}

bool part_text_next(struct part_text *t, struct span *piece)
{
    bool last;
    if (t->done)
        return false;
    str_clear(&t->text);
    do {
        *piece = decoded(t, &last);
        if (t->form >= PART_TEXT)
            to_utf8(t, *piece, last);
    } while (t->html && !last);
    t->done = last;
    if (t->form >= PART_TEXT)
        *piece = t->text.n > 0 ? str_span(&t->text) : SPAN("");
    if (t->html) {
        str_clear(&t->visible);
        html_text(&t->visible, *piece, SIZE_MAX / 2);
        *piece = str_span(&t->visible);
    }
    if (t->form == PART_FOLDED)
        *piece = folded(t, *piece);
    if (piece->p == NULL)
        *piece = SPAN("");
    return true;
}

/* RFC 9051 6.4.5.1: numbers count the parts of a multipart; a message that is none has itself as part 1; below
 * message/rfc822 they count the parts of the message inside. */
static int step(const struct mime_tree *t, uint32_t here, bool named, uint64_t number)
{
    const struct mime_part *p = &t->v[here];
    if (named && p->at.type == MIME_RFC822 && p->at.first_child != 0) {
        here = p->at.first_child;
        p = &t->v[here];
    } else if (named && (!mime_is_multipart((enum mime_type)p->at.type) || p->at.first_child == 0)) {
        return -1;
    }
    if (!mime_is_multipart((enum mime_type)p->at.type) || p->at.first_child == 0)
        return number == 1 ? (int)here : -1;
    for (here = p->at.first_child; number > 1 && here != 0; number--)
        here = t->v[here].next;
    return here != 0 && number > 0 ? (int)here : -1;
}

int part_text_find(const struct mime_tree *t, struct span path)
{
    int here = 0;
    bool named = false;
    while (path.n > 0 && here >= 0) {
        struct span digits = span_split(&path, '.');
        uint64_t number = 0;
        if (digits.n == 0 || digits.n > 5 || (path.p != NULL && path.n == 0))
            return -1;
        for (size_t i = 0; i < digits.n; i++) {
            if (digits.p[i] < '0' || digits.p[i] > '9')
                return -1;
            number = number * 10 + (uint64_t)(digits.p[i] - '0');
        }
        here = step(t, (uint32_t)here, named, number);
        named = true;
    }
    return here;
}
