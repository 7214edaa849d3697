/* structure: writes BODYSTRUCTURE. Recursive; limit mime_depth bounds it. */
#include "format/structure.h"

struct job {
    struct imap_text *w;
    const struct mime_tree *tree;
    uint32_t n;
    struct arena *tmp;
};

static void params(struct imap_text *w, const struct mime_value *v)
{
    if (v->n_params == 0) {
        imap_text_raw(w, "NIL");
        return;
    }
    for (uint32_t i = 0; i < v->n_params && !w->over; i++) {
        if (i == w->params_max) {
            w->cut = true;
            break;
        }
        imap_text_raw(w, i == 0 ? "(" : " ");
        imap_text_string(w, v->params[i].name);
        imap_text_raw(w, " ");
        imap_text_string(w, v->params[i].value);
    }
    imap_text_raw(w, ")");
}

static void nfield(struct job *j, struct span value)
{
    if (value.p == NULL)
        imap_text_raw(j->w, "NIL");
    else
        imap_text_string(j->w, header_unfold(imap_text_clip(j->w, value), j->tmp));
}

/* RFC 3282: Content-Language is a list of tags, with comments. */
static void language(struct job *j, struct span value)
{
    size_t at = 0, n = 0;
    while (value.p != NULL && (at = mime_skip_blank(value, at)) < value.n && !j->w->over) {
        size_t from = at;
        while (at < value.n && value.p[at] != ',' && value.p[at] != '(')
            at++;
        struct span tag = span_trim(span_of(value.p + from, at - from));
        if (tag.n > 0 && n >= j->w->params_max) {
            j->w->cut = true;
            break;
        }
        if (tag.n > 0) {
            imap_text_raw(j->w, n++ == 0 ? "(" : " ");
            imap_text_string(j->w, tag);
        }
        at += at < value.n && value.p[at] == ',';
    }
    imap_text_raw(j->w, n > 0 ? ")" : "NIL");
}

/* disposition, language, location: the same for every kind of part. */
static void extension(struct job *j, const struct mime_part *p)
{
    imap_text_raw(j->w, " ");
    if (p->disposition.main.n > 0) {
        imap_text_raw(j->w, "(");
        imap_text_string(j->w, p->disposition.main);
        imap_text_raw(j->w, " ");
        params(j->w, &p->disposition);
        imap_text_raw(j->w, ") ");
    } else {
        imap_text_raw(j->w, "NIL ");
    }
    language(j, p->language);
    imap_text_raw(j->w, " ");
    nfield(j, p->location);
}

static void fields(struct job *j, const struct mime_part *p, bool with_params)
{
    static const struct mime_value none;
    imap_text_raw(j->w, " ");
    /* RFC 2045 5.2: without a type it is text/plain in US-ASCII */
    if (!p->has_type && p->at.type == MIME_TEXT_PLAIN)
        imap_text_raw(j->w, "(\"CHARSET\" \"US-ASCII\")");
    else
        params(j->w, with_params ? &p->type : &none);
    imap_text_raw(j->w, " ");
    nfield(j, p->id);
    imap_text_raw(j->w, " ");
    nfield(j, p->description);
    imap_text_raw(j->w, " ");
    if (p->at.encoding == MIME_UNKNOWN)
        nfield(j, p->encoding);
    else
        imap_text_string(j->w, mime_encoding_name((enum mime_encoding)p->at.encoding));
    imap_text_raw(j->w, " ");
    imap_text_number(j->w, p->at.body_end - p->at.body_at);
}

static void part(struct job *j, uint32_t number);

static void multipart(struct job *j, const struct mime_part *p)
{
    for (uint32_t c = p->at.first_child; c != 0 && c < j->n && !j->w->over; c = j->tree->v[c].next)
        part(j, c);
    imap_text_raw(j->w, " ");
    imap_text_string(j->w, p->type.sub);
    imap_text_raw(j->w, " ");
    params(j->w, &p->type);
    extension(j, p);
}

static void leaf(struct job *j, const struct mime_part *p, bool inside)
{
    bool mail = p->at.type == MIME_RFC822, multi = mime_is_multipart((enum mime_type)p->at.type);
    bool text = mime_is_text((enum mime_type)p->at.type);
    /* RFC 9051 9: a multipart has at least one body and message/rfc822 has one: what has none is called otherwise */
    bool renamed = (mail && !inside) || multi;
    if (renamed && multi && !p->opaque && p->at.first_child == 0) {
        imap_text_raw(j->w, "\"TEXT\" \"PLAIN\"");
        text = true;
    } else if (renamed) {
        imap_text_raw(j->w, "\"APPLICATION\" \"OCTET-STREAM\"");
    } else {
        imap_text_string(j->w, p->type.main);
        imap_text_raw(j->w, " ");
        imap_text_string(j->w, p->type.sub);
    }
    fields(j, p, !renamed);
    if (mail && inside) {
        const struct mime_part *child = &j->tree->v[p->at.first_child];
        imap_text_raw(j->w, " ");
        envelope_write(j->w, child->envelope, j->tmp);
        imap_text_raw(j->w, " ");
        part(j, p->at.first_child);
    }
    if (text || (mail && inside)) {
        imap_text_raw(j->w, " ");
        imap_text_number(j->w, p->at.lines);
    }
    imap_text_raw(j->w, " ");
    nfield(j, p->md5);
    extension(j, p);
}

static void part(struct job *j, uint32_t number)
{
    const struct mime_part *p = &j->tree->v[number];
    bool inside = p->at.first_child != 0 && p->at.first_child < j->n;
    imap_text_raw(j->w, "(");
    if (inside && p->at.type != MIME_RFC822)
        multipart(j, p);
    else
        leaf(j, p, inside);
    imap_text_raw(j->w, ")");
}

void structure_write(struct imap_text *w, const struct mime_tree *t, uint32_t n, struct arena *tmp)
{
    part(&(struct job){w, t, n, tmp}, 0);
}
