/* db_sql: every statement of the store, once. Tables: db_schema.c. */
#ifndef POSTEL_DB_SQL_H
#define POSTEL_DB_SQL_H

#include "store/db_sql_care.h"
#include "store/db_sql_queue.h"

#define DB_SQL(X)                                                                                                      \
    X(BEGIN_WRITE, "BEGIN IMMEDIATE")                                                                                  \
    X(BEGIN_READ, "BEGIN")                                                                                             \
    X(COMMIT, "COMMIT")                                                                                                \
    X(ROLLBACK, "ROLLBACK")                                                                                            \
    /* log */                                                                                                          \
    X(SEGMENT_LAST, "SELECT seg, end, next_eid, next_bid, next_mailbox, emails, blobs FROM segment"                    \
                    " ORDER BY seg DESC LIMIT 1")                                                                      \
    X(SEGMENT_PUT, "INSERT INTO segment(seg, end, live, next_eid, next_bid, next_mailbox, emails, blobs)"              \
                   " VALUES(?1, ?2, 0, ?3, ?4, ?5, ?6, ?7) ON CONFLICT(seg) DO UPDATE SET end = ?2, next_eid = ?3,"    \
                   " next_bid = ?4, next_mailbox = ?5, emails = ?6, blobs = ?7")                                       \
    X(SEGMENT_LIVE, "UPDATE segment SET live = live + ?2 WHERE seg = ?1")                                              \
    X(SEGMENT_SPARSE, "SELECT seg, end, live FROM segment WHERE seg > ?1 AND seg < ?2 AND live * 100 < end * ?3"       \
                      " ORDER BY seg LIMIT 1")                                                                         \
    X(SEGMENT_HAS, "SELECT 1 FROM segment WHERE seg = ?1")                                                             \
    X(SEGMENT_DELETE, "DELETE FROM segment WHERE seg = ?1")                                                            \
    X(SEGMENT_SUM, "SELECT count(*), sum(end) FROM segment")                                                           \
    X(BLOB_INSERT, "INSERT INTO blob(bid, seg, off, meta, len, big, refs) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)")         \
    X(BLOB_GET, "SELECT refs, seg, meta, len, big, off FROM blob WHERE bid = ?1")                                      \
    X(BLOB_PLACE, "SELECT seg, off, meta, len, big FROM blob WHERE bid = ?1")                                          \
    X(BLOB_MOVE, "UPDATE blob SET seg = ?2, off = ?3 WHERE bid = ?1")                                                  \
    X(BLOB_UNREF, "UPDATE blob SET refs = refs - 1 WHERE bid = ?1")                                                    \
    X(BLOB_DELETE, "DELETE FROM blob WHERE bid = ?1")                                                                  \
    /* accounts and mailboxes */                                                                                       \
    X(ACCOUNT_GET, "SELECT modseq, floor, quota, uidvalidity, quota_messages FROM account WHERE account = ?1")         \
    X(ACCOUNT_INSERT, "INSERT INTO account(account, modseq, floor, uidvalidity) VALUES(?1, 0, 0, 0)")                  \
    X(ACCOUNT_UPDATE, "UPDATE account SET modseq = ?2, floor = ?3, uidvalidity = ?4, quota = ?5, quota_messages = ?6"  \
                      " WHERE account = ?1")                                                                           \
    X(ACCOUNT_DELETE, "DELETE FROM account WHERE account = ?1")                                                        \
    X(ACCOUNT_COUNT, "SELECT (SELECT count(*) FROM account), (SELECT count(*) FROM mailbox)")                          \
    X(ACCOUNT_MODSEQ, "SELECT max(m) FROM (SELECT modseq AS m FROM account WHERE account = ?1 UNION ALL"               \
                      " SELECT highmodseq FROM mailbox WHERE account = ?1)")                                           \
    X(MAILBOX_INSERT, "INSERT INTO mailbox(account, mailbox, parent, name, role, uidvalidity, subscribed, created_modseq,"\
                      " highmodseq, changed_modseq, uidnext, total, unseen, deleted, size, unread)"                    \
                      " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?8, 1, 0, 0, 0, 0, 0)")                             \
    X(MAILBOX_UPDATE, "UPDATE mailbox SET uidnext = ?3, highmodseq = ?4, total = ?5, unseen = ?6, deleted = ?7,"       \
                      " size = ?8, unread = ?9 WHERE account = ?1 AND mailbox = ?2")                                   \
    X(MAILBOX_LIST, "SELECT mailbox, name, role, uidvalidity, uidnext, highmodseq, total, unseen, deleted, size,"      \
                    " changed_modseq, parent, subscribed, unread, created_modseq"                                      \
                    " FROM mailbox WHERE account = ?1 ORDER BY mailbox")                                               \
    X(TEXT_MESSAGES, "SELECT sum(total) FROM mailbox WHERE account = ?1")                                              \
    X(MAILBOX_HAS, "SELECT 1 FROM mailbox WHERE account = ?1 AND mailbox = ?2")                                        \
    X(MAILBOX_CHANGE, "UPDATE mailbox SET parent = ?3, name = ?4, role = ?5, subscribed = ?6, changed_modseq = ?7"     \
                      " WHERE account = ?1 AND mailbox = ?2")                                                          \
    X(MAILBOX_DELETE, "DELETE FROM mailbox WHERE account = ?1 AND mailbox = ?2")                                       \
    X(MAILBOX_DELETE_ALL, "DELETE FROM mailbox WHERE account = ?1")                                                    \
    /* emails and members */                                                                                           \
    X(EMAIL_INSERT, "INSERT INTO email(eid, account, bid, size, created_modseq, msgid_hash, date_s, received_ms, flags,"\
                    " refs, edits, envelope, preview, structure, headers)"                                             \
                    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)")                       \
    X(EMAIL_PLACE, "SELECT e.account, e.size, e.edits, b.bid, b.seg, b.off, b.meta, b.len, b.big, e.flags"             \
                   " FROM email e JOIN blob b ON b.bid = e.bid WHERE e.eid = ?1")                                      \
    X(EMAIL_BID, "SELECT bid FROM email WHERE eid = ?1")                                                               \
    X(EMAIL_GET, "SELECT account, size, created_modseq, received_ms, date_s, flags, envelope, structure, headers, preview"\
                 " FROM email WHERE eid = ?1")                                                                         \
    X(EMAIL_HEAD, "SELECT account, received_ms FROM email WHERE eid = ?1")                                             \
    X(EMAIL_KEYS, "SELECT eid, account, msgid_hash, refs FROM email WHERE eid >= ?1 AND eid < ?2 ORDER BY eid LIMIT ?3")\
    X(EMAIL_DELETE, "DELETE FROM email WHERE eid = ?1")                                                                \
    X(MEMBER_INSERT, "INSERT INTO member(mailbox, uid, eid, flags, size, internal_ms, saved_after_ms,"                 \
                     " created_modseq, modseq, keywords) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9)")              \
    X(MEMBER_SCAN, "SELECT uid, eid, modseq, flags, internal_ms, size, keywords, internal_ms + saved_after_ms FROM member"\
                   " WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3 ORDER BY uid LIMIT ?4")                              \
    X(MEMBER_SCAN_DELETED, "SELECT uid, eid, modseq, flags, internal_ms, size, keywords FROM member WHERE mailbox = ?1"\
                           " AND uid BETWEEN ?2 AND ?3 AND flags & 8 <> 0 ORDER BY uid LIMIT ?4")                      \
    X(MEMBER_VIEW, "SELECT uid, eid, modseq, flags, keywords FROM member WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3" \
                   " ORDER BY uid LIMIT ?4")                                                                           \
    X(MEMBER_SCAN_WIDE, "SELECT m.uid, m.eid, m.modseq, m.flags, m.internal_ms, m.size, m.keywords,"                   \
                        " m.internal_ms + m.saved_after_ms, e.flags, e.envelope, e.structure, e.headers, e.preview"    \
                        " FROM member m CROSS JOIN email e ON e.eid = m.eid"                                           \
                        " WHERE m.mailbox = ?1 AND m.uid BETWEEN ?2 AND ?3 ORDER BY m.uid LIMIT ?4")                   \
    X(MEMBER_SCAN_SUMMARY, "SELECT m.uid, m.eid, m.modseq, m.flags, m.internal_ms, m.size, m.keywords,"                \
                           " m.internal_ms + m.saved_after_ms, e.flags FROM member m CROSS JOIN email e ON e.eid = m.eid"\
                           " WHERE m.mailbox = ?1 AND m.uid BETWEEN ?2 AND ?3 ORDER BY m.uid LIMIT ?4")                \
    X(MEMBER_FLAGS, "UPDATE member SET flags = ?3, modseq = ?4 WHERE mailbox = ?1 AND uid = ?2")                       \
    X(MEMBER_KEYWORDS, "UPDATE member SET flags = ?3, modseq = ?4, keywords = ?5 WHERE mailbox = ?1 AND uid = ?2")     \
    X(MEMBER_COUNT, "SELECT count(*), sum(flags & 1 = 0), sum(flags & 8 <> 0), sum(size), sum(flags & 25 = 0)"         \
                    " FROM member WHERE mailbox = ?1")                                                                 \
    X(MEMBER_DELETE, "DELETE FROM member WHERE mailbox = ?1 AND uid = ?2")                                             \
    X(MEMBER_OF_EMAIL, "SELECT mailbox, uid FROM member WHERE eid = ?1 LIMIT 1")                                       \
    X(MEMBER_ALL_OF_EMAIL, "SELECT m.uid, m.eid, m.modseq, m.flags, m.internal_ms, m.size, m.keywords, m.mailbox"      \
                           " FROM member m WHERE m.eid = ?1 ORDER BY m.mailbox, m.uid")                                \
    X(MEMBER_CREATED_AT, "SELECT uid, created_modseq FROM member WHERE mailbox = ?1 AND uid >= ?2"                     \
                         " ORDER BY uid LIMIT 1")                                                                      \
    X(MEMBER_NEW, "SELECT uid, eid, created_modseq, flags, keywords FROM member WHERE mailbox = ?1 AND uid >= ?2"      \
                  " ORDER BY uid LIMIT ?3")                                                                            \
    X(MEMBER_CHANGED, "SELECT uid, eid, modseq, flags, keywords FROM member INDEXED BY member_changed WHERE mailbox = ?1"\
                      " AND modseq > ?2 AND modseq <> created_modseq AND created_modseq <= ?2 ORDER BY modseq LIMIT ?3")\
    X(GONE_INSERT, "INSERT INTO gone(account, modseq, mailbox, uid, eid, thread, gone_s)"                              \
                   " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)")                                                              \
    X(GONE_SCAN, "SELECT modseq, mailbox, uid, eid, thread FROM gone WHERE account = ?1 AND modseq > ?2"               \
                 " ORDER BY modseq LIMIT ?3")                                                                          \
    X(GONE_OLDEST, "SELECT account, modseq, gone_s FROM gone WHERE account > ?1 ORDER BY account, modseq LIMIT 1")     \
    X(GONE_OLD, "SELECT modseq, gone_s FROM gone WHERE account = ?1 ORDER BY modseq LIMIT ?2")                         \
    X(GONE_PURGE, "DELETE FROM gone WHERE account = ?1 AND modseq <= ?2")                                              \
    X(ACCOUNT_FLOOR, "UPDATE account SET floor = max(floor, ?2), modseq = max(modseq, ?2) WHERE account = ?1")         \
    X(GONE_DELETE_ALL, "DELETE FROM gone WHERE account = ?1")                                                          \
    /* notes */                                                                                                        \
    X(TREE_DUE, "INSERT OR IGNORE INTO tree_due(account) VALUES(?1)")                                                  \
    X(TREE_NEXT, "SELECT account FROM tree_due ORDER BY account LIMIT ?1")                                             \
    X(TREE_DONE, "DELETE FROM tree_due WHERE account = ?1")                                                            \
    X(SEGMENT_BEFORE, "SELECT 1 FROM segment WHERE seg <= ?1 AND seg <> ?2 LIMIT 1")                                   \
    /* threads */                                                                                                      \
    X(STATE_GET, "SELECT value FROM state WHERE name = ?1")                                                            \
    X(STATE_PUT, "INSERT INTO state(name, value) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET value = ?2")           \
    X(THREAD_OF, "SELECT thread FROM thread_email WHERE eid = ?1")                                                     \
    X(THREAD_PUT, "INSERT OR REPLACE INTO thread_email(eid, thread) VALUES(?1, ?2)")                                   \
    X(THREAD_DROP, "DELETE FROM thread_email WHERE eid = ?1")                                                          \
    X(THREAD_EMAILS, "SELECT eid FROM thread_email WHERE thread = ?1 ORDER BY eid")                                    \
    X(THREAD_KEY_GET, "SELECT thread FROM thread_key k WHERE account = ?1 AND key = ?2"                                \
                      " AND EXISTS(SELECT 1 FROM thread_email t WHERE t.thread = k.thread)")                           \
    X(THREAD_KEY_PUT, "INSERT INTO thread_key(account, key, thread) VALUES(?1, ?2, ?3)"                                \
                      " ON CONFLICT(account, key) DO UPDATE SET thread = ?3"                                           \
                      " WHERE NOT EXISTS(SELECT 1 FROM thread_email t WHERE t.thread = thread_key.thread)")            \
    X(THREAD_KEY_AHEAD, "SELECT account, key FROM thread_key WHERE (account, key) > (?1, ?2)"                          \
                        " ORDER BY account, key LIMIT 1 OFFSET ?3")                                                    \
    X(THREAD_KEY_SWEEP, "DELETE FROM thread_key WHERE (account, key) > (?1, ?2) AND (account, key) <= (?3, ?4)"        \
                        " AND NOT EXISTS(SELECT 1 FROM thread_email t WHERE t.thread = thread_key.thread)")            \
    /* uploads and values */                                                                                           \
    X(UPLOAD_PUT, "INSERT INTO upload(bid, account, size, crc, expires_s) VALUES(?1, ?2, ?3, ?4, ?5)")                      \
    X(UPLOAD_SUM, "SELECT count(*), sum(size) FROM upload WHERE account = ?1")                                         \
    X(UPLOAD_PLACE, "SELECT u.account, u.crc, u.expires_s, b.bid, b.seg, b.off, b.meta, b.len, b.big"                 \
                    " FROM upload u JOIN blob b ON b.bid = u.bid WHERE u.bid = ?1")                                    \
    X(UPLOAD_OLD, "SELECT bid, expires_s FROM upload ORDER BY bid LIMIT ?1")                                           \
    X(UPLOAD_OF, "SELECT bid FROM upload WHERE account = ?1 LIMIT 1")                                                  \
    X(UPLOAD_DELETE, "DELETE FROM upload WHERE bid = ?1")                                                              \
    X(KV_GET, "SELECT value, expires_s FROM kv WHERE account = ?1 AND key = ?2")                                       \
    X(KV_PUT, "INSERT INTO kv(account, key, value, expires_s) VALUES(?1, ?2, ?3, ?4)"                                  \
              " ON CONFLICT(account, key) DO UPDATE SET value = ?3, expires_s = ?4")                                   \
    X(KV_DELETE, "DELETE FROM kv WHERE account = ?1 AND key = ?2")                                                     \
    X(KV_DELETE_ALL, "DELETE FROM kv WHERE account = ?1")                                                              \
    X(KV_COUNT, "SELECT count(*) FROM kv WHERE account = ?1")                                                          \
    X(KV_LIST, "SELECT key, value, expires_s FROM kv WHERE account = ?1 AND key > ?2 AND key >= ?3"                    \
               " ORDER BY key LIMIT ?4")                                                                               \
    X(KV_PURGE, "DELETE FROM kv WHERE (account, key) IN (SELECT account, key FROM kv"                                  \
                " WHERE expires_s > 0 AND expires_s < ?1 ORDER BY expires_s LIMIT ?2)")                                \
    /* operations seen */                                                                                              \
    X(OP_GET, "SELECT result FROM op WHERE op = ?1")                                                                   \
    X(OP_INSERT, "INSERT INTO op(op, expires_s, result) VALUES(?1, ?2, ?3) ON CONFLICT(op) DO UPDATE SET result = ?3") \
    DB_SQL_QUEUE(X)                                                                                                    \
    DB_SQL_CARE(X)                                                                                                     \
    X(OP_PURGE, "DELETE FROM op WHERE op IN (SELECT op FROM op WHERE op < ?1 AND expires_s < ?2 ORDER BY op LIMIT ?3)")

#endif
