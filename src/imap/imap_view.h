/* imap_view: the selected mailbox as this session sees it: message number <-> UID, flags, what was not told yet. */
#ifndef POSTEL_IMAP_VIEW_H
#define POSTEL_IMAP_VIEW_H

#include "base/fail.h"
#include "base/map.h"
#include "imap/imap_grammar.h"
#include "run/ipc.h"

struct imap;

struct imap_message { /* 24 bytes: a mailbox of 100,000 costs 2.4 MB a session */
    uint64_t modseq, eid;
    uint32_t uid;
    uint32_t flags : 5;     /* enum member_flag */
    uint32_t changed : 1;   /* flags or keywords changed and the client was not told */
    uint32_t gone : 1;      /* expunged and the client was not told: keeps its number until then */
    uint32_t unused : 1;
    uint32_t keywords : 24; /* set of keywords: imap_view_keywords */
};

struct imap_view {
    uint64_t mailbox, uidvalidity;
    uint64_t modseq;            /* of the account: all up to here is in the view */
    bool readonly;              /* EXAMINE */
    bool lost;                  /* the mailbox was removed meanwhile */
    struct imap_message *v;     /* ascending UIDs; message number is index + 1 */
    uint32_t n, cap;
    uint32_t told;              /* v[told..n) came and no EXISTS told it: they have no number yet */
    uint32_t n_gone, n_changed; /* not told */
    uint64_t uidnext;
    struct arena mem;           /* of the keyword sets */
    struct span *sets;          /* keywords separated by a space; 0: none */
    uint32_t n_sets, cap_sets;
    struct map set_of, words;   /* set -> its number; single keyword -> not NULL */
    uint32_t n_words;
    bool new_words;             /* a keyword that no FLAGS response told */
    bool saved_set;             /* "$" (RFC 9051 6.4.4.1) names something */
    struct imap_range *saved;   /* UIDs, malloc'd */
    uint32_t n_saved;
};

void imap_view_init(struct imap_view *v);
void imap_view_done(struct imap_view *v);
void imap_view_keep(uint64_t account, struct imap_view *v); /* the same, and the next session that selects it is faster */

/* Loads a mailbox (windows of member_view), or takes one that was kept and what changed since. 0 or -1 with *f; imap_view_done is due in both cases. */
WAITS int imap_view_open(struct imap *s, const struct msg_mailbox_row *row, struct fail *f);
/* Takes in what changed in the mailbox since; changes no number. 0 or -1 with *f. After a write of one's own this gives
 * the new flags and modseqs; `changed` is set on them as on those of others. */
WAITS int imap_view_refresh(struct imap *s, struct fail *f);
/* Tells what is new: EXPUNGE (only with `expunge`), EXISTS, FETCH of changed flags. 0 or WAIT_*. After an EXPUNGE all
 * indexes are others. imap_session_ok calls both, as the row allows. */
WAITS int imap_view_tell(struct imap *s, bool expunge);

/* ---- for the commands. Numbers and indexes hold until imap_view_tell with expunge; pointers until the next WAITS call. ---- */

struct imap_message *imap_view_by_uid(struct imap_view *v, uint32_t uid); /* NULL: not here (gone ones are) */
struct span imap_view_keywords(const struct imap_view *v, const struct imap_message *m); /* lives until imap_view_done */
/* The messages that a set names, as ranges of indexes: ascending, without overlap, in mem; *n = 0: none. by_uid: UIDs that
 * are not there are no error (RFC 9051 6.4.9); else a number that names no message is, and gives -1 (BAD). */
int imap_view_resolve(struct imap_view *v, const struct imap_set *set, bool by_uid, struct arena *mem,
                      struct imap_range **out, uint32_t *n);
/* The UIDs of such ranges as store wants them, without what is gone, joined over UIDs that name nothing here; returns how
 * many, at most `most`. Begins at index *next (0 at first) and leaves the one to go on at there, UINT32_MAX: all done. */
uint32_t imap_view_uids(const struct imap_view *v, const struct imap_range *idx, uint32_t n, struct msg_uid_range *out,
                        uint32_t most, uint32_t *next);
/* A set of UIDs as store wants it, for messages that this session was not told of as well; in mem, returns how many. */
uint32_t imap_view_set(const struct imap_view *v, const struct imap_set *set, struct arena *mem, struct msg_uid_range **out);
/* "FLAGS (...)" with every keyword in use, and counts them as told. */
WAITS int imap_view_tell_words(struct imap *s);
/* "* n FETCH (FLAGS (...))", with UID when by_uid, and counts it as told. */
WAITS int imap_view_tell_flags(struct imap *s, uint32_t index, bool uid);

#endif
