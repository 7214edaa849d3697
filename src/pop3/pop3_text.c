/* pop3_text: the table of texts, and which language a client means. */
#include "pop3/pop3_text.h"

static const struct { const char *code, *text[POP3_LANG_COUNT]; } texts[POP3_TEXT_COUNT] = {
#define X(name, code, en, de) {code, {en, de}},
    POP3_TEXT_TABLE(X)
#undef X
};

static const struct { struct span tag, name; } langs[POP3_LANG_COUNT] = {
    [POP3_LANG_EN] = {{"en", 2}, {"English", 7}},
    [POP3_LANG_DE] = {{"de", 2}, {"Deutsch", 7}},
};

const char *pop3_text(enum pop3_text t, enum pop3_lang lang) { return texts[t].text[lang]; }
const char *pop3_text_code(enum pop3_text t) { return texts[t].code; }
struct span pop3_text_lang(enum pop3_lang lang) { return langs[lang].tag; }
struct span pop3_text_lang_name(enum pop3_lang lang) { return langs[lang].name; }

int pop3_text_find(struct span range)
{
    struct span rest = range, first = span_split(&rest, '-');
    for (int i = 0; i < POP3_LANG_COUNT; i++)
        if (span_eq_nocase(first, langs[i].tag))
            return i;
    return -1;
}
