/* Tests of the operations on mailboxes and messages: the tree, append, copy and move, keywords, expunge. */
#include "store/store_ops_testing.h"

/* ---- mailboxes ---- */

static void mailboxes(void **state)
{
    struct msg_mailbox_create_r c, again;
    struct msg_mailbox_set_r set;
    struct msg_mailbox_remove_r gone;
    struct span o = op();
    OK(DO(mailbox_create, 1, &c, .op = o, .name = SPAN("Work"), .subscribed = 1));
    OK(DO(mailbox_create, 1, &again, .op = o, .name = SPAN("Work")));
    assert_true(again.mailbox == c.mailbox && again.uidvalidity == c.uidvalidity && again.modseq == c.modseq);
    reopen();
    OK(DO(mailbox_create, 1, &again, .op = o, .name = SPAN("Work")));
    assert_int_equal(again.mailbox, c.mailbox);
    assert_string_equal(DO(mailbox_create, 1, &again, .op = op(), .name = SPAN("Work")), "5.2.31");
    uint64_t child = make(1, c.mailbox, SPAN("Work")); /* the same name elsewhere */
    uint64_t deep = make(1, child,
                         SPAN("Gr\xc3\xbc\xc3\x9f"
                              "e"));
    struct msg_mailbox_row inbox = row_of(1, 0), row = row_of(1, child);
    assert_true(row.parent == c.mailbox && row.subscribed == 1 && row.created_modseq > c.modseq);
    assert_true(row.uidvalidity > c.uidvalidity && inbox.subscribed == 1);

    /* renaming the parent changes one row */
    OK(DO(mailbox_set, 1, &set, .op = op(), .mailbox = c.mailbox, .what = MAILBOX_SET_NAME, .name = SPAN("Play")));
    assert_true(row_of(1, c.mailbox).changed_modseq == set.modseq &&
                row_of(1, child).changed_modseq == row.changed_modseq);
    assert_true(span_eq(row_of(1, c.mailbox).name, SPAN("Play")));
    OK(DO(mailbox_set, 1, &set, .op = op(), .mailbox = deep, .what = MAILBOX_SET_PARENT));
    assert_int_equal(row_of(1, deep).parent, 0);
    OK(DO(mailbox_set, 1, &set, .op = op(), .mailbox = deep, .what = MAILBOX_SET_SUBSCRIBED | MAILBOX_SET_ROLE,
          .role = MAILBOX_SENT));
    assert_true(row_of(1, deep).subscribed == 0 && row_of(1, deep).role == MAILBOX_SENT);
    uint64_t before = set.modseq;
    OK(DO(mailbox_set, 1, &set, .op = op(), .mailbox = deep, .what = MAILBOX_SET_ROLE, .role = MAILBOX_SENT));
    assert_int_equal(set.modseq, before); /* nothing changed */

    assert_string_equal(DO(mailbox_remove, 1, &gone, .op = op(), .mailbox = c.mailbox), "5.2.32");
    APPEND(1, child, SPAN("x"));
    assert_string_equal(DO(mailbox_remove, 1, &gone, .op = op(), .mailbox = child), "5.2.33");
    o = op();
    OK(DO(mailbox_remove, 1, &gone, .op = o, .mailbox = child, .flags = MAILBOX_REMOVE_MESSAGES));
    OK(DO(mailbox_remove, 1, &gone, .op = o, .mailbox = child, .flags = MAILBOX_REMOVE_MESSAGES));
    OK(DO(mailbox_remove, 1, &gone, .op = op(), .mailbox = c.mailbox));
    assert_string_equal(DO(mailbox_remove, 1, &gone, .op = op(), .mailbox = c.mailbox), "5.2.0");
    assert_string_equal(DO(mailbox_remove, 1, &gone, .op = op(), .mailbox = inbox.mailbox), "5.2.34");
    assert_string_equal(DO(mailbox_remove, 2, &gone, .op = op(), .mailbox = deep), "5.2.0"); /* another account's */
    struct msg_store_stats_r stats;
    assert_int_equal(store_stats(s, &stats, &f), 0);
    assert_true(stats.mailboxes == 2 && stats.emails == 0 && stats.blobs == 0);
    assert_true(make(1, 0, SPAN("Work")) > deep);
    reopen();
    assert_true(row_of(1, deep).role == MAILBOX_SENT && store_modseq(s, 1) > gone.modseq);
    assert_int_equal(recount(1), 0);
}

/* As many as fit a frame at a time. */
static void listing_many(void **state)
{
    enum { MANY = 900 };
    struct msg_mailbox_list_r r;
    uint64_t after = 0;
    unsigned n = 0, pages = 0;
    for (int i = 0; i < MANY; i++)
        make(1, 0, arena_printf(&mem, "%0250d", i));
    do {
        f = (struct fail){0};
        assert_int_equal(store_mailbox_page(s, 1, SPAN_NONE, &(struct msg_mailbox_list){.after = after}, &r, &mem, &f), 0);
        struct str frame;
        str_init(&frame, &mem);
        ipc_encode(&frame, MSG_ID_mailbox_list, true, &r);
        assert_in_range(frame.n, 100, IPC_FRAME_MAX - 100);
        for (uint32_t i = 0; i < r.mailboxes.n; i++, n++) {
            assert_true(r.mailboxes.v[i].mailbox > after && (r.mailboxes.v[i].role == MAILBOX_INBOX) == (n == 0));
            after = r.mailboxes.v[i].mailbox;
        }
        pages++;
    } while (r.more != 0);
    assert_true(n == MANY + 1 && pages > 1);
}

/* An email in many places, each with all the keywords there may be: the reply still fits. */
static void email_in_many_places(void **state)
{
    struct str words, frame;
    struct msg_email_get_r g;
    struct msg_copy_r c;
    str_init(&words, &mem);
    for (int i = 0; i < 100; i++)
        str_addf(&words, "%0100d ", i);
    uint64_t eid = APPEND(1, 0, SPAN("x"), .keywords = str_span(&words)).eid, inbox = row_of(1, 0).mailbox;
    for (int i = 0; i < 5; i++)
        OK(DO(copy, 1, &c, .op = op(), .from = inbox, .to = inbox, .uids = ALL));
    struct msg_email_id ids[2] = {{eid}, {eid}};
    OK(GET(email_get, 1, &g, .ids = {ids, 2}));
    assert_true(g.done == 1 && g.emails.n == 1 && g.members.n >= 10 && g.members.n < 32);
    str_init(&frame, &mem);
    ipc_encode(&frame, MSG_ID_email_get, true, &g);
    assert_true(frame.n < IPC_FRAME_MAX - 100);
    struct msg_changes_r ch;
    OK(GET(changes, 1, &ch, .since = 0));
    str_clear(&frame);
    ipc_encode(&frame, MSG_ID_changes, true, &ch);
    assert_true(frame.n < IPC_FRAME_MAX - 100 && ch.more == 1);
}

static void names_and_rules(void **state)
{
    static char longest[1001];
    memset(longest, 'x', sizeof longest);
    const struct {
        struct span name;
        const char *want;
    } rows[] = {
        {SPAN("inBox"), "5.2.31"},      {SPAN(""), "5.2.35"},
        {SPAN("a/b"), "5.2.35"},        {SPAN("a\nb"), "5.2.35"},
        {SPAN("a\0b"), "5.2.35"},       {SPAN("\x7f"), "5.2.35"},
        {SPAN("\xc2\x85"), "5.2.35"},   {SPAN("\xff"), "5.2.35"},
        {SPAN("\xc0\xaf"), "5.2.35"},   {SPAN("u\xcc\x88"), "5.2.35"} /* not composed */,
        {SPAN("\xc3\xbc"), ""},         {SPAN("\xe2\x80\xa8"), "5.2.35"},
        {SPAN("with space % * &"), ""}, {{longest, 255}, ""},
        {{longest, 256}, "5.2.35"},
    };
    struct msg_mailbox_create_r r;
    struct msg_mailbox_set_r set;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_string_equal(DO(mailbox_create, 1, &r, .op = op(), .name = rows[i].name), rows[i].want);
    uint64_t a = make(1, 0, SPAN("a")), b = make(1, a, SPAN("b")),
             c = make(1, b, SPAN("inbox")); /* below: a name as any */
    assert_string_equal(DO(mailbox_set, 1, &set, .op = op(), .mailbox = a, .what = MAILBOX_SET_PARENT, .parent = c),
                        "5.2.34");
    assert_string_equal(DO(mailbox_set, 1, &set, .op = op(), .mailbox = a, .what = MAILBOX_SET_PARENT, .parent = a),
                        "5.2.34");
    assert_string_equal(DO(mailbox_set, 1, &set, .op = op(), .mailbox = c, .what = MAILBOX_SET_PARENT),
                        "5.2.31"); /* INBOX */
    assert_string_equal(DO(mailbox_set, 1, &set, .op = op(), .mailbox = a, .what = MAILBOX_SET_PARENT, .parent = 999),
                        "5.2.0");
    assert_string_equal(DO(mailbox_set, 1, &set, .op = op(), .mailbox = a, .what = 16), "5.5.4");
    assert_string_equal(DO(mailbox_create, 1, &r, .op = op(), .name = SPAN("r"), .role = MAILBOX_INBOX), "5.2.34");
    assert_string_equal(DO(mailbox_create, 1, &r, .op = op(), .name = SPAN("r"), .role = 99), "5.5.4");
    OK(DO(mailbox_create, 1, &r, .op = op(), .name = SPAN("r"), .role = MAILBOX_JUNK));
    assert_string_equal(DO(mailbox_create, 1, &r, .op = op(), .name = SPAN("r2"), .role = MAILBOX_JUNK), "5.2.31");
    OK(DO(mailbox_create, 2, &r, .op = op(), .name = SPAN("r"), .role = MAILBOX_JUNK)); /* another account */
    uint64_t inbox = row_of(1, 0).mailbox;
    assert_string_equal(
        DO(mailbox_set, 1, &set, .op = op(), .mailbox = inbox, .what = MAILBOX_SET_ROLE, .role = MAILBOX_SENT),
        "5.2.34");
    /* depth: the moved one's own height counts */
    uint64_t at = 0;
    for (int i = 0; i < LIMIT(MAILBOX_DEPTH); i++)
        at = make(3, at, SPAN("d"));
    assert_string_equal(DO(mailbox_create, 3, &r, .op = op(), .name = SPAN("d"), .parent = at), "5.2.36");
    uint64_t tall = make(3, 0, SPAN("t"));
    make(3, tall, SPAN("t"));
    uint64_t parent = row_of(3, at).parent;
    assert_string_equal(
        DO(mailbox_set, 3, &set, .op = op(), .mailbox = tall, .what = MAILBOX_SET_PARENT, .parent = parent), "5.2.36");
    int64_t most = LIMIT(MAILBOXES);
    limit_value[LIMIT_MAILBOXES] = 2;
    make(4, 0, SPAN("one"));
    assert_string_equal(DO(mailbox_create, 4, &r, .op = op(), .name = SPAN("two")), "5.2.36");
    limit_value[LIMIT_MAILBOXES] = most;
}

/* RFC 9051 6.3.6. 5,000 messages: several commits, and others get in between. */
static void renaming_inbox(void **state)
{
    enum { MANY = 5000 };
    struct msg_mailbox_set_r set, again;
    struct msg_copy_r cp;
    APPEND(1, 0, SPAN("x"), .keywords = SPAN("k $Junk"), .flags = FLAG_FLAGGED);
    uint64_t inbox = row_of(1, 0).mailbox, below = make(1, inbox, SPAN("below"));
    for (uint64_t n = 1; n < MANY; n += cp.count)
        OK(DO(copy, 1, &cp, .op = op(), .from = inbox, .to = inbox, .uids = UIDS(1, MIN_OF(n, MANY - n))));
    assert_int_equal(row_of(1, inbox).total, MANY);
    assert_string_equal(
        DO(mailbox_set, 1, &set, .op = op(), .mailbox = inbox, .what = MAILBOX_SET_NAME, .name = SPAN("Inbox")),
        "5.2.31");
    struct span o = op();
    OK(DO(mailbox_set, 1, &set, .op = o, .mailbox = inbox, .what = MAILBOX_SET_NAME, .name = SPAN("old")));
    OK(DO(mailbox_set, 1, &again, .op = o, .mailbox = inbox, .what = MAILBOX_SET_NAME, .name = SPAN("old")));
    assert_true(set.mailbox == again.mailbox && set.mailbox != inbox && set.modseq == again.modseq);
    assert_true(row_of(1, inbox).total == 0 && row_of(1, set.mailbox).total == MANY);
    assert_true(row_of(1, below).parent == inbox && row_of(1, inbox).role == MAILBOX_INBOX);
    struct msg_member_row r = rows_of(1, set.mailbox, 0).rows.v[0];
    assert_true(r.uid == 1 && r.flags == FLAG_FLAGGED && span_eq(r.keywords, SPAN("k $Junk")));
    assert_int_equal(recount(1), 0);
    struct msg_mailbox_remove_r gone;
    OK(DO(mailbox_remove, 1, &gone, .op = op(), .mailbox = set.mailbox, .flags = MAILBOX_REMOVE_MESSAGES));
    struct msg_store_stats_r stats;
    assert_int_equal(store_stats(s, &stats, &f), 0);
    assert_true(stats.emails == 0 && stats.blobs == 0);
}

/* ---- messages ---- */

static void appending(void **state)
{
    struct msg_append_r r, again;
    uint64_t box = make(1, 0, SPAN("a"));
    struct span o = op();
    for (int i = 0; i < 3; i++) {
        OK(DO(append, 1, i == 0 ? &r : &again, .op = o, .mailbox = box, .size = 4, .body = SPAN("A: b"), .file = -1,
              .flags = FLAG_SEEN, .keywords = SPAN("One $Forwarded one"), .internal_ms = 77000, .date_s = 5));
        assert_true(i == 0 ||
                    (again.uid == r.uid && again.eid == r.eid && again.modseq == r.modseq && again.mailbox == box));
        if (i == 1)
            reopen();
    }
    struct msg_mailbox_row row = row_of(1, box);
    assert_true(row.total == 1 && row.unseen == 0 && row.unread == 0 && row.size == 4 &&
                row.uidvalidity == r.uidvalidity);
    struct msg_member_row m = rows_of(1, box, 0).rows.v[0];
    assert_true(m.uid == r.uid && m.internal_ms == 77000 && m.flags == FLAG_SEEN && m.saved_ms > 77000);
    assert_true(span_eq(m.keywords, SPAN("One $Forwarded")));
    assert_true(span_eq(store_testing_read(s, 1, r.eid, &mem), SPAN("A: b"))); /* as it was given, nothing in front */
    struct msg_append_r other;
    assert_string_equal(DO(append, 1, &other, .op = op(), .mailbox = 999, .file = -1), "5.2.0");
    assert_string_equal(DO(append, 2, &other, .op = op(), .mailbox = box, .file = -1), "5.2.0");
    assert_string_equal(DO(append, 1, &other, .op = op(), .mailbox = box, .file = -1, .flags = 1024), "5.5.4");
    assert_string_equal(DO(append, 1, &other, .op = op(), .mailbox = box, .file = -1, .keywords = SPAN("a(b")),
                        "5.2.35");
    assert_string_equal(DO(append, 1, &other, .op = op(), .mailbox = box, .file = -1, .refs = SPAN("odd")), "5.5.4");
    assert_string_equal(DO(append, 1, &other, .op = SPAN("short"), .mailbox = box, .file = -1), "5.5.4");
    OK(DO(append, 9, &other, .op = op(), .file = -1)); /* empty, into an INBOX that is made */
    assert_int_equal(row_of(9, 0).total, 1);
    struct span big = {arena_zalloc(&mem, 200000), 200000};
    assert_int_equal(store_testing_read(s, 1, append(1, box, big, (struct extra){0}).eid, &mem).n, 200000);
}

static void copying_and_moving(void **state)
{
    struct msg_copy_r c, again;
    uint64_t a = make(1, 0, SPAN("a")), b = make(1, 0, SPAN("b")), eids[11];
    for (int i = 1; i <= 10; i++)
        eids[i] = APPEND(1, a, SPAN("text"), .flags = i % 2 ? FLAG_SEEN : FLAG_DELETED,
                         .keywords = i == 3 ? SPAN("k") : SPAN(""))
                      .eid;
    APPEND(1, b, SPAN("first"));
    struct span o = op();
    struct msg_uid_range ranges[] = {{9, 30}, {2, 4}};
    for (int i = 0; i < 3; i++) {
        OK(DO(copy, 1, i == 0 ? &c : &again, .op = o, .from = a, .to = b, .uids = {ranges, 2}));
        assert_true(i == 0 ||
                    (again.uid == c.uid && again.count == c.count && again.uids.n == 2 && again.modseq == c.modseq));
        if (i == 1)
            reopen();
    }
    assert_true(c.uid == 2 && c.count == 5 && c.next == 0 && c.uidvalidity == row_of(1, b).uidvalidity);
    assert_true(c.uids.n == 2 && c.uids.v[0].first == 2 && c.uids.v[0].last == 4 && c.uids.v[1].first == 9 &&
                c.uids.v[1].last == 10);
    struct msg_member_scan_r in_b = rows_of(1, b, 0);
    assert_int_equal(in_b.rows.n, 6);
    assert_true(in_b.rows.v[2].eid == eids[3] && span_eq(in_b.rows.v[2].keywords, SPAN("k")) &&
                in_b.rows.v[2].flags == FLAG_SEEN);
    assert_int_equal(in_b.rows.v[2].internal_ms, 1700000000000);
    assert_int_equal(row_of(1, a).total, 10);

    OK(DO(copy, 1, &c, .op = op(), .from = a, .to = b, .move = 1, .uids = UIDS(1, 3)));
    assert_true(c.uid == 7 && c.count == 3 && row_of(1, a).total == 7 && row_of(1, b).total == 9);
    struct msg_changes_r ch;
    OK(GET(changes, 1, &ch, .since = c.modseq - 3));
    assert_true(ch.rows.n == 3 && ch.rows.v[0].kind == CHANGE_EXPUNGED && ch.rows.v[0].uid == 1 &&
                ch.rows.v[0].thread == 0);
    assert_true(span_eq(store_testing_read(s, 1, eids[1], &mem), SPAN("text")));

    /* JMAP: by email. 4 is in both already; 5 is not */
    struct msg_uid_range e[] = {{eids[4], eids[4]}, {eids[5], eids[5]}};
    OK(DO(copy, 1, &c, .op = op(), .from = 0, .to = b, .uids = {e, 2}));
    assert_true(c.count == 1 && c.uids.n == 1 && c.uids.v[0].first == eids[5]);
    uint64_t z = make(1, 0, SPAN("z"));
    OK(DO(copy, 1, &c, .op = op(), .from = 0, .to = z, .move = 1, .uids = {e, 2}));
    struct msg_email_get_r g;
    struct msg_email_id ids[] = {{eids[4]}, {eids[5]}, {12345}};
    OK(GET(email_get, 1, &g, .ids = {ids, 3}));
    assert_true(g.done == 3 && g.emails.n == 2 && g.members.n == 2 && g.members.v[0].mailbox == z &&
                g.members.v[1].mailbox == z);
    OK(GET(email_get, 2, &g, .ids = {ids, 3}));
    assert_int_equal(g.emails.n, 0); /* another account's */
    assert_string_equal(DO(copy, 2, &c, .op = op(), .from = a, .to = b, .uids = ALL), "5.2.0");
    assert_string_equal(DO(copy, 1, &c, .op = op(), .from = a, .to = 999, .uids = ALL), "5.2.0");
    OK(DO(copy, 2, &c, .op = op(), .from = 0, .to = row_of(2, 0).mailbox, .uids = {e, 2}));
    assert_int_equal(c.count, 0);
    assert_int_equal(recount(1), 0);
}

static struct span keywords_of(uint64_t account, uint64_t box, uint64_t uid)
{
    struct msg_member_scan_r r;
    OK(GET(member_scan, account, &r, .mailbox = box, .first = uid, .last = uid));
    return r.rows.n == 1 ? r.rows.v[0].keywords : SPAN("none");
}

static void keywords(void **state)
{
    struct msg_flags_set_r r;
    APPEND(1, 0, SPAN("x"));
    APPEND(1, 0, SPAN("y"));
    uint64_t box = row_of(1, 0).mailbox;
#define SET(how, words, ...)                                                                                           \
    DO(flags_set, 1, &r, .op = op(), .mailbox = box, .mode = how, .keywords = SPAN(words), .uids = UIDS(1, 1),         \
       __VA_ARGS__)
    OK(SET(FLAGS_ADD, "$Junk Mine"));
    assert_true(r.changed == 1 && span_eq(keywords_of(1, box, 1), SPAN("$Junk Mine")));
    OK(SET(FLAGS_ADD, "mine $JUNK"));
    assert_int_equal(r.changed, 0); /* RFC 9051 9: in any case the same */
    OK(SET(FLAGS_ADD, "", .flags = FLAG_SEEN));
    assert_true(span_eq(keywords_of(1, box, 1), SPAN("$Junk Mine")));
    OK(SET(FLAGS_REMOVE, "MINE other"));
    assert_true(span_eq(keywords_of(1, box, 1), SPAN("$Junk")));
    OK(SET(FLAGS_REPLACE, "b a"));
    assert_true(span_eq(keywords_of(1, box, 1), SPAN("b a")));
    assert_int_equal(rows_of(1, box, 0).rows.v[0].flags, 0);
    OK(SET(FLAGS_REPLACE, "a b"));
    assert_int_equal(r.changed, 0);
    OK(SET(FLAGS_REPLACE, ""));
    assert_int_equal(keywords_of(1, box, 1).n, 0);
    assert_string_equal(SET(FLAGS_ADD, "\\Seen"), "5.2.35");
    assert_string_equal(SET(FLAGS_ADD, "gr\xc3\xbcn"), "5.2.35");
    struct str many;
    str_init(&many, &mem);
    for (int64_t i = 0; i < LIMIT(KEYWORDS); i++)
        str_addf(&many, "k%d ", (int)i);
    OK(DO(flags_set, 1, &r, .op = op(), .mailbox = box, .keywords = str_span(&many), .uids = ALL));
    assert_int_equal(r.changed, 2);
    assert_string_equal(SET(FLAGS_ADD, "onemore"), "5.2.36");
    OK(SET(FLAGS_ADD, "K1"));
    char *long_one = arena_zalloc(&mem, 300);
    memset(long_one, 'k', 300);
    assert_string_equal(DO(flags_set, 1, &r, .op = op(), .mailbox = box,
                           .keywords = span_of(long_one, (size_t)LIMIT(KEYWORD_BYTES) + 1), .uids = ALL),
                        "5.2.36");
    struct msg_changes_r ch;
    OK(GET(changes, 1, &ch, .since = row_of(1, 0).modseq - 1));
    assert_true(ch.rows.n == 1 && ch.rows.v[0].keywords.n > 300);
}

static void expunging(void **state)
{
    struct msg_expunge_r r;
    for (int i = 0; i < 6; i++)
        APPEND(1, 0, SPAN("x"), .flags = i % 2 ? FLAG_DELETED : 0);
    uint64_t box = row_of(1, 0).mailbox;
    struct msg_mailbox_row m = row_of(1, box);
    assert_true(m.deleted == 3 && m.unseen == 6 && m.unread == 3);
    OK(DO(expunge, 1, &r, .op = op(), .mailbox = box, .flags = EXPUNGE_ONLY_DELETED, .uids = UIDS(3, 99)));
    assert_true(r.removed == 2 && row_of(1, box).total == 4 && row_of(1, box).deleted == 1);
    struct msg_changes_r ch;
    OK(GET(changes, 1, &ch, .since = r.modseq - 1));
    assert_true(ch.rows.n == 1 && ch.rows.v[0].uid == 6 && ch.rows.v[0].thread != 0);
    uint64_t eid = rows_of(1, box, 0).rows.v[0].eid;
    OK(DO(expunge, 1, &r, .op = op(), .mailbox = 0, .uids = UIDS(eid, eid)));
    assert_true(r.removed == 1 && row_of(1, box).total == 3);
    assert_string_equal(DO(expunge, 1, &r, .op = op(), .mailbox = box, .flags = 2, .uids = ALL), "5.5.4");
    assert_string_equal(DO(expunge, 1, &r, .op = op(), .mailbox = 0, .uids = ALL), "5.5.4"); /* eids want to be few */
    assert_int_equal(recount(1), 0);
}

/* More than a commit's worth: in steps, with one answer. */
static void long_ones(void **state)
{
    enum { MANY = 12000 };
    struct msg_copy_r c;
    struct msg_flags_set_r fl;
    struct msg_expunge_r ex;
    APPEND(1, 0, SPAN("x"));
    uint64_t box = row_of(1, 0).mailbox, to = make(1, 0, SPAN("to")), total = 0, first = 1;
    for (uint64_t n = 1; n < MANY; n += c.count)
        OK(DO(copy, 1, &c, .op = op(), .from = box, .to = box, .uids = UIDS(1, MIN_OF(n, MANY - n))));
    do { /* copy: one commit each, the caller goes on */
        OK(DO(copy, 1, &c, .op = op(), .from = box, .to = to, .uids = UIDS(first, UINT64_MAX)));
        total += c.count;
        first = c.next;
    } while (c.next != 0);
    assert_int_equal(total, MANY);
    uint64_t half = row_of(1, to).modseq - MANY / 2;
    OK(DO(flags_set, 1, &fl, .op = op(), .mailbox = to, .flags = FLAG_SEEN, .unchangedsince = half, .uids = ALL));
    assert_int_equal(fl.changed, MANY / 2);
    assert_true(fl.modified.n == 1 && fl.modified.v[0].first == MANY / 2 + 1 && fl.modified.v[0].last == MANY);
    OK(DO(flags_set, 1, &fl, .op = op(), .mailbox = to, .flags = FLAG_SEEN, .uids = ALL));
    assert_true(fl.changed == MANY / 2 && row_of(1, to).unseen == 0);
    OK(DO(expunge, 1, &ex, .op = op(), .mailbox = to, .uids = ALL));
    assert_true(ex.removed == MANY && row_of(1, to).total == 0 && row_of(1, to).size == 0);
    assert_int_equal(recount(1), 0);
    reopen();
    assert_int_equal(recount(1), 0);
}

/* ---- several in one batch ---- */

struct together {
    size_t left;
    pthread_mutex_t lock;
    pthread_cond_t wake;
};

static void one_done(struct store_write *w)
{
    struct together *t = w->arg;
    pthread_mutex_lock(&t->lock);
    t->left--;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->lock);
}

static void batch(struct store_write *v, size_t n)
{
    struct together t = {n, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER};
    pthread_mutex_lock(&s->lock); /* so that the committer takes all at once */
    for (size_t i = 0; i < n; i++) {
        v[i].account = 1;
        v[i].mem = &mem;
        v[i].arg = &t;
        v[i].done = one_done;
        v[i].next = NULL;
        *s->last = &v[i];
        s->last = &v[i].next;
    }
    s->asleep = false;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    pthread_mutex_lock(&t.lock);
    while (t.left > 0)
        pthread_cond_wait(&t.wake, &t.lock);
    pthread_mutex_unlock(&t.lock);
}

/* A mailbox goes while messages were planned into it: they are refused, for all their targets, and the rest stands. */
static void removed_under_an_arrival(void **state)
{
    for (int round = 0; round < 20; round++) {
        uint64_t box = make(1, 0, SPAN("short-lived"));
        struct msg_mailbox_remove gone = {.op = op(), .mailbox = box, .flags = MAILBOX_REMOVE_MESSAGES};
        struct msg_mailbox_remove_r gone_r;
        struct msg_append in[2] = {{.op = op(), .mailbox = box, .body = SPAN("a"), .size = 1, .file = -1},
                                   {.op = op(), .body = SPAN("b"), .size = 1, .file = -1}};
        struct msg_append_r out[2];
        struct msg_ingest_target to[2] = {{.account = 2}, {.account = 1, .mailbox = box}};
        struct msg_ingest mail = {.op = op(), .body = SPAN("c"), .size = 1, .file = -1, .targets = {to, 2}};
        struct msg_ingest_r mail_r;
        struct store_write w[] = {{.id = MSG_ID_mailbox_remove, .in = &gone, .out = &gone_r},
                                  {.id = MSG_ID_append, .in = &in[0], .out = &out[0]},
                                  {.id = MSG_ID_append, .in = &in[1], .out = &out[1]},
                                  {.id = MSG_ID_ingest, .in = &mail, .out = &mail_r}};
        batch(w, COUNT_OF(w));
        assert_true(w[0].result == 0 && w[1].result == -1 && w[2].result == 0 && w[3].result == -1);
        assert_string_equal(w[1].fail.code, "5.2.0");
        assert_string_equal(w[3].fail.code, "5.2.0");
        assert_int_equal(row_of(1, 0).total, round + 1);
        assert_int_equal(row_of(2, 0).total, 0);
    }
    assert_int_equal(recount(1), 0);
    assert_int_equal(recount(2), 0);
    verify_clean();
}

/* A message that never came refuses nobody: not the removal of the empty mailbox that it was planned into. */
static void refused_for_an_arrival(void **state)
{
    struct msg_mailbox_remove gone[2] = {{.op = op(), .mailbox = make(1, 0, SPAN("empty"))}, {.op = op()}};
    struct msg_mailbox_remove_r gone_r[2];
    gone[1].mailbox = gone[0].mailbox;
    gone[1].flags = MAILBOX_REMOVE_MESSAGES;
    struct msg_append in = {.op = op(), .mailbox = gone[0].mailbox, .body = SPAN("a"), .size = 1, .file = -1};
    struct msg_append_r out;
    struct store_write w[] = {{.id = MSG_ID_mailbox_remove, .in = &gone[0], .out = &gone_r[0]},
                              {.id = MSG_ID_mailbox_remove, .in = &gone[1], .out = &gone_r[1]},
                              {.id = MSG_ID_append, .in = &in, .out = &out}};
    batch(w, COUNT_OF(w));
    assert_true(w[0].result == 0 && w[1].result == -1 && w[2].result == -1);
    assert_string_equal(w[1].fail.code, "5.2.0");
    assert_string_equal(w[2].fail.code, "5.2.0");
    verify_clean();
}

/* What was planned is counted before its row is there. */
static void recount_beside_arrivals(void **state)
{
    APPEND(1, 0, SPAN("first"));
    struct msg_recount re = {.account = 1};
    struct msg_recount_r re_r;
    struct msg_append in = {.op = op(), .body = SPAN("a"), .size = 1, .file = -1};
    struct msg_append_r out;
    struct store_write w[] = {{.id = MSG_ID_recount, .in = &re, .out = &re_r},
                              {.id = MSG_ID_append, .in = &in, .out = &out}};
    batch(w, COUNT_OF(w));
    assert_true(w[0].result == 0 && w[1].result == 0 && re_r.wrong == 0 && row_of(1, 0).total == 2);
    assert_int_equal(recount(1), 0);
}

/* ---- anything in any order: counters are what a recount gives, uids and modseqs only grow ---- */

enum { BOXES = 5 };

static void random_step(uint64_t boxes[BOXES])
{
    union {
        struct msg_append_r a;
        struct msg_copy_r c;
        struct msg_flags_set_r f;
        struct msg_expunge_r e;
        struct msg_mailbox_remove_r r;
    } out;
    uint64_t box = boxes[rand_below(BOXES)], first = 1 + rand_below(60), last = first + rand_below(20);
    switch (rand_below(8)) {
    case 0:
    case 1:
    case 2:
        append(1, box, SPAN("some text"),
               (struct extra){.flags = (uint32_t)rand_below(32), .msgid = 1 + rand_below(50)});
        break;
    case 3:
        OK(DO(copy, 1, &out.c, .op = op(), .from = rand_below(4) ? box : 0, .to = boxes[rand_below(BOXES)],
              .move = (uint32_t)rand_below(2), .uids = UIDS(first, last)));
        break;
    case 4:
    case 5:
        OK(DO(flags_set, 1, &out.f, .op = op(), .mailbox = rand_below(4) ? box : 0, .mode = (uint32_t)rand_below(3),
              .flags = (uint32_t)rand_below(32), .keywords = rand_below(2) ? SPAN("kw $Junk") : SPAN(""),
              .unchangedsince = rand_below(300), .uids = UIDS(first, last)));
        break;
    case 6:
        OK(DO(expunge, 1, &out.e, .op = op(), .mailbox = rand_below(4) ? box : 0, .flags = (uint32_t)rand_below(2),
              .uids = UIDS(first, last)));
        break;
    default:
        if (rand_below(10) != 0)
            break;
        OK(DO(mailbox_remove, 1, &out.r, .op = op(), .mailbox = boxes[BOXES - 1], .flags = MAILBOX_REMOVE_MESSAGES));
        boxes[BOXES - 1] = make(1, 0, SPAN("again and again"));
    }
}

static size_t members_in(const uint64_t boxes[BOXES])
{
    size_t n = 0;
    for (int i = 0; i < BOXES; i++) {
        struct msg_member_scan_r r = rows_of(1, boxes[i], 0);
        struct msg_mailbox_row row = row_of(1, boxes[i]);
        uint64_t uid = 0;
        assert_int_equal(r.rows.n, row.total);
        for (uint32_t j = 0; j < r.rows.n; j++) {
            assert_true(r.rows.v[j].uid > uid && r.rows.v[j].uid < row.uidnext && r.rows.v[j].modseq <= row.modseq);
            uid = r.rows.v[j].uid;
            assert_true(span_eq(store_testing_read(s, 1, r.rows.v[j].eid, &mem), SPAN("some text")));
        }
        n += r.rows.n;
    }
    return n;
}

static void anything(void **state)
{
    uint64_t boxes[BOXES], modseq = 0;
    boxes[0] = row_of(1, 0).mailbox;
    for (int i = 1; i < BOXES; i++)
        boxes[i] = make(1, 0, arena_printf(&mem, "box %d", i));
    for (int i = 0; i < 1500; i++) {
        random_step(boxes);
        if (i % 10 == 0)
            assert_int_equal(recount(1), 0);
        uint64_t now = store_modseq(s, 1);
        assert_true(now >= modseq);
        modseq = now;
        if (i % 500 == 499) {
            members_in(boxes);
            reopen();
            arena_reset(&mem);
        }
    }
    members_in(boxes);
    assert_int_equal(recount(1), 0);
    verify_clean();
    struct msg_account_gone gone = {.account = 1};
    assert_int_equal(store_testing_write(s, MSG_ID_account_gone, 1, &gone, NULL, NULL, &f), 0);
    struct msg_store_stats_r stats;
    assert_int_equal(store_stats(s, &stats, &f), 0);
    assert_true(stats.emails == 0 && stats.blobs == 0 && stats.mailboxes == 0 && stats.accounts == 0);
}

/* ---- the keys of threads that ended ---- */

static int64_t keys(void) { return store_testing_sql("SELECT count(*) FROM thread_key"); }

static uint64_t thread_of(uint64_t eid)
{
    struct msg_email_get_r g;
    OK(GET(email_get, 1, &g, .ids = {&(struct msg_email_id){eid}, 1}));
    assert_int_equal(g.emails.n, 1);
    return g.emails.v[0].thread;
}

static struct span refs_to(uint64_t key)
{
    key = htole64(key);
    return arena_copy(&mem, span_of(&key, 8));
}

static void walk(int64_t left)
{
    s->keys.fresh = INT32_MAX; /* as if that many had come and gone */
    for (int i = 0; i < 2000 && keys() != left; i++)
        usleep(10000);
    assert_int_equal(keys(), left);
}

static void keys_of_ended_threads(void **state)
{
    struct msg_expunge_r gone;
    struct msg_append_r r, a = APPEND(1, 0, SPAN("a"), .msgid = 7001);
    uint64_t box = row_of(1, 0).mailbox;
    APPEND(1, 0, SPAN("o"), .msgid = 7003);
    assert_int_equal(thread_of(APPEND(1, 0, SPAN("b"), .msgid = 7002, .refs = refs_to(7001)).eid), thread_of(a.eid));
    OK(DO(expunge, 1, &gone, .op = op(), .mailbox = box, .uids = UIDS(a.uid, a.uid)));
    r = APPEND(1, 0, SPAN("c"), .msgid = 7004, .refs = refs_to(7001)); /* b still stands for the thread */
    assert_int_equal(thread_of(r.eid), a.eid);
    assert_int_equal(keys(), 4);
    walk(4);

    /* its last emails go: what answers to it begins anew, and is the one that later ones find */
    OK(DO(expunge, 1, &gone, .op = op(), .mailbox = box, .uids = ALL));
    assert_int_equal(gone.removed, 3);
    r = APPEND(1, 0, SPAN("d"), .msgid = 7005, .refs = refs_to(7001));
    assert_int_equal(thread_of(r.eid), r.eid);
    assert_int_equal(thread_of(APPEND(1, 0, SPAN("e"), .msgid = 7006, .refs = refs_to(7001)).eid), r.eid);
    assert_int_equal(keys(), 6); /* those of b, c and o are known from nobody now */
    walk(3);
    reopen();
    assert_int_equal(thread_of(APPEND(1, 0, SPAN("f"), .msgid = 7001).eid), r.eid);
    r = APPEND(1, 0, SPAN("g"), .msgid = 7003);
    assert_int_equal(thread_of(r.eid), r.eid);
    verify_clean();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(mailboxes),
        T(names_and_rules),
        T(listing_many),
        T(email_in_many_places),
        T(renaming_inbox),
        T(appending),
        T(copying_and_moving),
        T(keywords),
        T(expunging),
        T(keys_of_ended_threads),
        T(long_ones),
        T(removed_under_an_arrival),
        T(refused_for_an_arrival),
        T(recount_beside_arrivals),

        T(anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
