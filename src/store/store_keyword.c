/* store_keyword: a message's keywords as the index keeps them: registered ones (IANA, RFC 5788) as one byte from 0x80
 * on, others as their text with a space behind. Case does not tell keywords apart (RFC 9051 9); the first spelling
 * stays. */
#include "base/limits.h"
#include "store/store_impl.h"

/* Numbers stand in stored rows: add at the end. */
static const char *const registered[] = {
    "$Forwarded",
    "$MDNSent",
    "$Junk",
    "$NotJunk",
    "$Phishing",
    "$Important",
    "$Submitted",
    "$SubmitPending",
    "$Muted",
    "$Followed",
    "$Notify",
    "$IsMailingList",
    "$IsNotification",
    "$HasAttachment",
    "$HasNoAttachment",
    "$AutoSent",
    "$Unsubscribed",
    "$CanUnsubscribe",
    "$Imported",
    "$IsTrusted",
    "$MaskedEmail",
    "$New",
    "$Memo",
    "$HasMemo",
    "$MailFlagBit0",
    "$MailFlagBit1",
    "$MailFlagBit2",
    "Junk",
    "NonJunk",
    "NotJunk",
    "Forwarded",
    "$label1",
    "$label2",
    "$label3",
    "$label4",
    "$label5",
};

/* RFC 9051 9, atom, and RFC 8621 4.1.1: the same bytes, but that ] is left to neither. */
static bool is_keyword_char(char c)
{
    return c > 0x20 && c < 0x7f && strchr("(){]%*\"\\", c) == NULL;
}

/* The next one of a packed list. */
static bool next(struct span *rest, struct span *word)
{
    if (rest->n == 0)
        return false;
    unsigned char c = (unsigned char)rest->p[0];
    if (c >= 0x80) {
        *word = c - 0x80u < COUNT_OF(registered) ? span_z(registered[c - 0x80u]) : SPAN("$Unknown");
        *rest = span_from(*rest, 1);
    } else {
        *word = span_split(rest, ' ');
    }
    return true;
}

static void add(struct str *out, struct span word)
{
    for (size_t i = 0; i < COUNT_OF(registered); i++)
        if (span_eq_nocase(word, span_z(registered[i]))) {
            str_addc(out, (char)(0x80 + i));
            return;
        }
    str_add(out, word);
    str_addc(out, ' ');
}

static bool has(struct span packed, struct span word)
{
    for (struct span w; next(&packed, &w);)
        if (span_eq_nocase(w, word))
            return true;
    return false;
}

static size_t count(struct span packed)
{
    size_t n = 0;
    for (struct span w; next(&packed, &w);)
        n++;
    return n;
}

int store_keyword_pack(struct span text, struct span *out, struct arena *mem, struct fail *f)
{
    struct str s;
    size_t n = 0;
    str_init(&s, mem);
    while (text.n > 0) {
        struct span word = span_split(&text, ' ');
        if (word.n == 0)
            continue;
        if (word.n > (size_t)LIMIT(KEYWORD_BYTES))
            return fail_perm(f, "5.2.36", "a keyword is too long");
        for (size_t i = 0; i < word.n; i++)
            if (!is_keyword_char(word.p[i]))
                return fail_perm(f, "5.2.35", "not a keyword");
        if (has(str_span(&s), word))
            continue;
        if (++n > (size_t)LIMIT(KEYWORDS))
            return fail_perm(f, "5.2.36", "too many keywords");
        add(&s, word);
    }
    *out = str_span(&s);
    return 0;
}

struct span store_keyword_text(struct span packed, struct arena *mem)
{
    struct str s;
    if (packed.n == 0)
        return SPAN("");
    str_init(&s, mem);
    for (struct span w; next(&packed, &w);) {
        if (s.n > 0)
            str_addc(&s, ' ');
        str_add(&s, w);
    }
    return str_span(&s);
}

bool store_keyword_same(struct span a, struct span b)
{
    if (span_eq(a, b))
        return true;
    if (count(a) != count(b))
        return false;
    for (struct span w; next(&a, &w);)
        if (!has(b, w))
            return false;
    return true;
}

int store_keyword_apply(struct span packed, uint32_t mode, struct span change, struct span *out, struct arena *mem,
                        struct fail *f)
{
    struct str s;
    struct span word, rest = mode == FLAGS_REPLACE ? change : packed;
    str_init(&s, mem);
    while (next(&rest, &word))
        if (mode != FLAGS_REMOVE || !has(change, word))
            add(&s, word);
    rest = change;
    while (mode == FLAGS_ADD && next(&rest, &word))
        if (!has(packed, word))
            add(&s, word);
    if (count(str_span(&s)) > (size_t)LIMIT(KEYWORDS))
        return fail_perm(f, "5.2.36", "a message would have too many keywords");
    *out = str_span(&s);
    return 0;
}
