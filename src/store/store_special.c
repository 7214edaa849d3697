/* store_special: the mailboxes that an account has from the start beside its INBOX, named in its language (RFC 6154).
 * Another language is another column. */
#include "store/store_impl.h"

static const struct {
    uint32_t role;
    struct span en, de;
} table[] = {
    {MAILBOX_DRAFTS, SPAN("Drafts"), SPAN("Entw\xc3\xbcrfe")}, {MAILBOX_SENT, SPAN("Sent"), SPAN("Gesendet")},
    {MAILBOX_JUNK, SPAN("Junk"), SPAN("Spam")},                {MAILBOX_TRASH, SPAN("Trash"), SPAN("Papierkorb")},
    {MAILBOX_ARCHIVE, SPAN("Archive"), SPAN("Archiv")},
};

int store_special_make(struct store *s, struct store_account *a, struct span lang)
{
    bool german = span_starts_nocase(lang, SPAN("de")) && (lang.n == 2 || lang.p[2] == '-'); /* RFC 5646 2.1 */
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (store_account_add(s, a, 0, german ? table[i].de : table[i].en, table[i].role, true) == NULL)
            return -1;
    return 0;
}
