/* model: what the store's mailboxes mean, as plain arrays and loops, slow and to be read: a specification that runs.
 *
 * The states (RFC 9051 2.3.1, RFC 7162 3.1, RFC 8474 5, RFC 8621 1.4, 2, 3, 4):
 *   - An account has one modseq. Each single change (a message comes, changes, goes; a mailbox is made, changed, removed)
 *     raises it by one and is stamped with it; a mailbox carries the stamp of the last change in it or to it.
 *   - A message in a mailbox is a member: a uid, which only grows there (RFC 9051 2.3.1.1), flags, keywords, stamps.
 *   - What a member shows is an email: immutable, and shared by all members that COPY and MOVE made of it (RFC 8474 5.1).
 *     It goes with its last member.
 *   - What goes leaves a tombstone: whoever knew an earlier modseq is told (RFC 7162 3.2.10 VANISHED, RFC 8620 5.2).
 *     Tombstones go by age, the oldest first; up to the last that went, the floor, nothing is told any more.
 *   - An upload is bytes of an account under an id until it is too old (RFC 8620 6.1); a message may be made of it.
 *   - A value is bytes under a key, of an account or of the whole store, perhaps for a time.
 *   - Counters are not kept here: they are counted when asked for.
 * An operation is refused as a whole or done as a whole. One that was done is remembered by its id: asked again, it gives
 * the same answer and does nothing.
 */
#ifndef POSTEL_MODEL_H
#define POSTEL_MODEL_H

#include "base/rand.h"
#include "run/ipc.h"

enum {
    MODEL_ACCOUNTS = 4,
    MODEL_BOXES = 12, /* the limit on mailboxes is set to it */
    MODEL_DEPTH = 5,
    MODEL_MEMBERS = 1000,
    MODEL_KEYS = 4000,
    MODEL_GONE = 8000,
    MODEL_TARGETS = 3,
    MODEL_RANGES = 3,
    MODEL_REFS = 3,
    MODEL_OPS = 512,
    MODEL_WORDS = 6,
    MODEL_UPLOADS = 6, /* limits are set to these */
    MODEL_VALUES = 6,
    MODEL_AGE = MSG_ID_COUNT + 1, /* as an operation: hours pass, and what is too old goes */
    MODEL_UPLOAD_H = 24, MODEL_TOMBSTONE_H = 90 * 24, MODEL_OP_H = 24,
};

struct model_member {
    uint64_t box, uid, eid, modseq, created;
    uint32_t flags, keywords; /* keywords: bit i is model_words[i] */
    int64_t internal_ms, saved_ms;
};
struct model_email {
    uint64_t eid, created, thread, key, refs[MODEL_REFS], seed;
    uint64_t blob; /* those of one arrival share one: the first one's eid */
    int64_t received_ms;
    uint32_t n_refs, length; /* of the body, which seed tells */
    bool delivered;          /* by ingest: two lines stand in front of it */
};
struct model_box {
    uint64_t id, parent, uidvalidity, uidnext, modseq, created, changed;
    uint32_t role;
    bool subscribed;
    char name[32];
};
struct model_gone { uint64_t modseq, box, uid, eid, thread; int64_t at_h; }; /* uid 0: the mailbox itself */
struct model_upload { uint64_t blob, seed; int64_t at_h; uint32_t length; };
struct model_value { uint64_t seed; int64_t until_h; uint32_t length; char key[16]; }; /* until_h 0: for good */
struct model_key { uint64_t key, thread; };

struct model_account {
    uint64_t number, modseq, uidvalidity; /* uidvalidity: the greatest seen */
    uint64_t floor;                       /* tombstones up to it are gone */
    int64_t hours;                        /* what the clock of all shows */
    int64_t limit_bytes, limit_messages;  /* -1: none */
    size_t n_boxes, n_members, n_emails, n_keys, n_gone, n_uploads, n_values;
    struct model_upload uploads[MODEL_UPLOADS];   /* in order of id */
    struct model_value values[2 * MODEL_VALUES];
    struct model_box boxes[MODEL_BOXES];          /* in order of id */
    struct model_member members[MODEL_MEMBERS];   /* in order of mailbox, then uid */
    struct model_email emails[MODEL_MEMBERS];     /* in order of arrival */
    struct model_key keys[MODEL_KEYS];
    struct model_gone gone[MODEL_GONE];           /* in order of modseq */
};

struct model_target { uint32_t account, flags; uint64_t mailbox; }; /* account: an index, as in model_request */
struct model_request {
    enum msg_id id;
    struct op_id op;
    uint32_t account;
    uint64_t mailbox, to, parent, unchangedsince, upload;
    uint32_t mode, flags, keywords, move, what, role, subscribed, n_ranges, n_targets, n_refs, length;
    uint32_t step;          /* of a copy alone in its round: rows at a time, 0: all */
    bool bad_keyword, loud; /* loud: keywords in upper case, which is the same */
    bool spool;             /* the body comes in pieces, before */
    bool whole;             /* a value of the whole store */
    int64_t hours;          /* that pass, or that a value lives */
    uint64_t seed, key, refs[MODEL_REFS];
    int64_t internal_ms, limit_bytes, limit_messages;
    struct msg_uid_range ranges[MODEL_RANGES];
    struct model_target targets[MODEL_TARGETS];
    char name[32];
};

/* What an operation answers, of whatever kind; unused fields are 0, so that two are compared by their bytes. */
struct model_answer {
    uint64_t ok, repeated, modseq, mailbox, uidvalidity, uid, eid, count, extra[2];
    char code[16]; /* of the refusal */
    struct msg_ingest_result results[MODEL_TARGETS];
    uint64_t n_list, list[MODEL_MEMBERS]; /* uids or eids */
};

struct model_done { struct op_id op; struct model_request q; struct model_answer a; int64_t at_h; };
struct model_world {
    struct model_account accounts[MODEL_ACCOUNTS + 1]; /* the last one: the whole store's values, and nothing else */
    struct model_done *done; /* a ring of MODEL_OPS */
    size_t n_done;
    uint64_t last_id[2];                   /* the greatest eid and mailbox before this round */
    uint64_t last_modseq[MODEL_ACCOUNTS]; /* of each account before this round */
    bool ageing; /* what is too old may still be there: a power cut came before its end */
};

extern const char *const model_words[MODEL_WORDS];

/* model.c: accounts, and what all the others need. */
void model_forget(struct model_account *a, uint64_t number);  /* an account that nobody has used */
void model_copy(struct model_account *to, const struct model_account *from);
struct model_box *model_box(struct model_account *a, uint64_t id); /* 0: INBOX; NULL: none */
struct model_box *model_box_add(struct model_account *a, uint64_t id, uint64_t parent, const char *name, uint32_t role,
                                bool subscribed);
struct model_email *model_email(struct model_account *a, uint64_t eid);
uint64_t model_email_size(const struct model_account *a, const struct model_email *e);
uint64_t model_stamp(struct model_account *a, struct model_box *b); /* the next modseq, for a change in b */
struct model_member *model_member_add(struct model_account *a, struct model_box *b, const struct model_member *m);
/* Removes member i; moved: the email lives on elsewhere. */
void model_member_remove(struct model_account *a, size_t i, bool moved);
int model_refuse(struct model_answer *out, const char *code); /* -1 */

/* Applies q to w and says what it answers. `told`: what the store answered; from it the model takes the names that it
 * cannot know: eids, ids of mailboxes, uidvalidities (which it checks to be new ones). */
void model_apply(struct model_world *w, const struct model_request *q, const struct model_answer *told,
                 struct model_answer *out);
void model_remember(struct model_world *w, const struct model_request *q, const struct model_answer *a);

/* model_message.c, model_mailbox.c: one function per operation; 0 or -1 with out->code set and nothing changed. */
int model_ingest(struct model_world *w, const struct model_request *q, const struct model_answer *told, struct model_answer *out);
int model_append(struct model_world *w, const struct model_request *q, const struct model_answer *told, struct model_answer *out);
int model_flags(struct model_account *a, const struct model_request *q, struct model_answer *out);
int model_expunge(struct model_account *a, const struct model_request *q, struct model_answer *out);
int model_transfer(struct model_account *a, const struct model_request *q, struct model_answer *out);
int model_create(struct model_account *a, const struct model_request *q, const struct model_answer *told, struct model_answer *out);
int model_set(struct model_account *a, const struct model_request *q, const struct model_answer *told, struct model_answer *out);
int model_remove(struct model_account *a, const struct model_request *q, struct model_answer *out);

/* model_upload.c */
int model_upload(struct model_account *a, const struct model_request *q, const struct model_answer *told, struct model_answer *out);
int model_set_value(struct model_account *a, const struct model_request *q, struct model_answer *out);
const struct model_upload *model_upload_find(const struct model_account *a, uint64_t blob); /* NULL: none, or too old */
bool model_value_lives(const struct model_account *a, const struct model_value *v);
/* Hours pass: what is too old is not found any more. Then it goes. */
void model_pass(struct model_world *w, int64_t hours);
void model_drop(struct model_world *w);
/* The store has dropped tombstones up to `floor`: -1 when it may not have. */
int model_floor(struct model_account *a, uint64_t floor, bool all);
uint64_t model_blobs(const struct model_world *w, bool old_too); /* bytes in the log, by arrival or upload */

/* model_view.c: what readers are told. */
void model_threads(struct model_account *a); /* gives each email that has none its thread */
struct msg_mailbox_row model_row(const struct model_account *a, const struct model_box *b);
size_t model_changes(const struct model_account *a, uint64_t since, struct msg_change_row *out, uint32_t *keywords);

#endif
