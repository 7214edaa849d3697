/* db_sql_care: the statements of backup, verify, repair and rebuild; a part of db_sql.h. */
#ifndef POSTEL_DB_SQL_CARE_H
#define POSTEL_DB_SQL_CARE_H

#define DB_SQL_CARE(X)                                                                                                 \
    X(BACKUP_SEGMENTS, "SELECT seg, end FROM segment ORDER BY seg")                                                    \
    X(BACKUP_BIG, "SELECT bid, len FROM blob WHERE big = 1 ORDER BY bid")                                              \
    X(VERIFY_INDEX, "PRAGMA integrity_check(20)")                                                                      \
    X(VERIFY_SIZES, "SELECT (SELECT coalesce(sum(end), 0) FROM segment), (SELECT coalesce(max(bid), 0) FROM blob),"    \
                    " (SELECT coalesce(max(eid), 0) FROM email), (SELECT count(*) FROM mailbox)")                      \
    X(VERIFY_SEGMENT, "SELECT seg, end FROM segment WHERE seg > ?1 ORDER BY seg LIMIT 1")                              \
    X(VERIFY_LIVE, "SELECT s.seg, s.live, coalesce(b.n, 0) FROM segment s LEFT JOIN (SELECT seg,"                      \
                   " sum(64 + meta + len * (1 - big)) AS n FROM blob GROUP BY seg) b ON b.seg = s.seg"                 \
                   " WHERE s.live <> coalesce(b.n, 0)")                                                                \
    X(VERIFY_STORE, "SELECT s.seg, s.emails, (SELECT count(*) FROM email), s.blobs, (SELECT count(*) FROM blob),"      \
                    " s.next_eid, max((SELECT coalesce(max(eid), 0) FROM email), (SELECT coalesce(max(rid), 0) FROM queue_rcpt)),"\
                    " s.next_bid, (SELECT coalesce(max(bid), 0) FROM blob),"                                           \
                    " s.next_mailbox, (SELECT coalesce(max(mailbox), 0) FROM mailbox)"                                 \
                    " FROM segment s ORDER BY s.seg DESC LIMIT 1")                                                     \
    X(VERIFY_BLOBS, "SELECT b.bid, b.seg, b.off, b.meta, b.len, b.big, b.refs,"                                        \
                    " (SELECT count(*) FROM email e WHERE e.bid = b.bid) + (SELECT count(*) FROM upload u"             \
                    " WHERE u.bid = b.bid) + (SELECT count(*) FROM queue_message q WHERE q.bid = b.bid), (SELECT end FROM segment s WHERE s.seg = b.seg)"                           \
                    " FROM blob b WHERE b.bid > ?1 ORDER BY b.bid LIMIT ?2")                                           \
    X(VERIFY_USES, "SELECT e.eid, e.account, m.mailbox, m.uid, (SELECT name FROM mailbox x WHERE x.account = e.account" \
                   " AND x.mailbox = m.mailbox) FROM email e LEFT JOIN member m ON m.eid = e.eid WHERE e.bid = ?1"     \
                    " UNION ALL SELECT 0, account, 0, 0, NULL FROM upload WHERE bid = ?1"                              \
                    " UNION ALL SELECT -1, account, 0, qid, trace FROM queue_message WHERE bid = ?1")                  \
    X(VERIFY_EMAILS, "SELECT e.eid, e.account, e.bid, e.size, e.edits, b.len,"                                         \
                     " (SELECT count(*) FROM member m WHERE m.eid = e.eid),"                                           \
                     " e.eid >= coalesce((SELECT value FROM state WHERE name = 'threaded'), 1)"                        \
                     " OR EXISTS(SELECT 1 FROM thread_email t WHERE t.eid = e.eid)"                                    \
                     " FROM email e LEFT JOIN blob b ON b.bid = e.bid WHERE e.eid > ?1 ORDER BY e.eid LIMIT ?2")       \
    X(VERIFY_MAILBOX, "SELECT m.account, m.mailbox, m.name, m.uidnext, m.highmodseq, m.total, m.unseen, m.deleted,"    \
                      " m.size, a.account, a.modseq, a.floor, m.unread FROM mailbox m LEFT JOIN account a ON a.account = m.account" \
                      " WHERE m.account > ?1 OR (m.account = ?1 AND m.mailbox > ?2) ORDER BY m.account, m.mailbox LIMIT 1") \
    X(VERIFY_MEMBERS, "SELECT m.uid, m.eid, m.flags, m.size, m.created_modseq, m.modseq, e.account, e.size"            \
                      " FROM member m LEFT JOIN email e ON e.eid = m.eid WHERE m.mailbox = ?1 ORDER BY m.uid")         \
    X(VERIFY_THREADS, "SELECT t.eid, EXISTS(SELECT 1 FROM email e WHERE e.eid = t.eid) FROM thread_email t"            \
                      " WHERE t.eid > ?1 ORDER BY t.eid LIMIT ?2")                                                     \
    X(VERIFY_UPLOADS, "SELECT bid, account FROM upload u WHERE NOT EXISTS(SELECT 1 FROM blob b WHERE b.bid = u.bid)")  \
    X(VERIFY_MEMBER_BOX, "SELECT mailbox FROM member WHERE mailbox > ?1 ORDER BY mailbox LIMIT 1")                     \
    X(VERIFY_BOX_HAS, "SELECT 1 FROM mailbox WHERE mailbox = ?1")                                                      \
    X(VERIFY_GONE, "SELECT coalesce(max(modseq), 0) FROM gone WHERE account = ?1")                                     \
    X(VERIFY_GONE_ACCOUNT, "SELECT account FROM gone WHERE account > ?1 ORDER BY account LIMIT 1")                     \
    X(VERIFY_OPS, "SELECT count(*) FROM op WHERE length(op) <> 16 OR length(result) % 8 <> 0 OR expires_s <= 0")       \
    /* repair: each makes true again what a finding said is not */                                                     \
    X(REPAIR_LIVE, "UPDATE segment SET live = (SELECT coalesce(sum(64 + meta + len * (1 - big)), 0) FROM blob b"       \
                   " WHERE b.seg = segment.seg) WHERE seg = ?1")                                                       \
    X(REPAIR_STORE, "UPDATE segment SET emails = (SELECT count(*) FROM email), blobs = (SELECT count(*) FROM blob),"   \
                    " next_eid = max(next_eid, (SELECT coalesce(max(eid), 0) + 1 FROM email),"                         \
                    " (SELECT coalesce(max(rid), 0) + 1 FROM queue_rcpt)),"                                            \
                    " next_bid = max(next_bid, (SELECT coalesce(max(bid), 0) + 1 FROM blob)),"                         \
                    " next_mailbox = max(next_mailbox, (SELECT coalesce(max(mailbox), 0) + 1 FROM mailbox))"           \
                    " WHERE seg = ?1")                                                                                 \
    X(REPAIR_REFS, "UPDATE blob SET refs = (SELECT count(*) FROM email e WHERE e.bid = blob.bid)"                      \
                   " + (SELECT count(*) FROM upload u WHERE u.bid = blob.bid)"                                         \
                   " + (SELECT count(*) FROM queue_message q WHERE q.bid = blob.bid) WHERE bid = ?1")                       \
    X(REPAIR_BLOB, "DELETE FROM blob WHERE bid = ?1 AND NOT EXISTS(SELECT 1 FROM email e WHERE e.bid = blob.bid)"      \
                   " AND NOT EXISTS(SELECT 1 FROM upload u WHERE u.bid = blob.bid)"                                    \
                   " AND NOT EXISTS(SELECT 1 FROM queue_message q WHERE q.bid = blob.bid)")                              \
    X(REPAIR_MARK, "UPDATE email SET flags = flags | ?2 WHERE bid = ?1")                                               \
    X(REPAIR_EMAIL, "DELETE FROM email WHERE eid = ?1")                                                                \
    X(REPAIR_EMAIL_SIZE, "UPDATE email SET size = ?2 WHERE eid = ?1")                                                  \
    X(REPAIR_MEMBER_SIZE, "UPDATE member SET size = (SELECT size FROM email e WHERE e.eid = member.eid)"               \
                          " WHERE mailbox = ?1 AND uid = ?2")                                                          \
    X(REPAIR_MEMBER_GONE, "INSERT OR IGNORE INTO gone(account, modseq, gone_s, mailbox, uid, eid)"                     \
                          " SELECT ?1, (SELECT max(m) + 1 FROM (SELECT modseq AS m FROM account WHERE account = ?1 UNION ALL" \
                          " SELECT highmodseq FROM mailbox WHERE account = ?1 UNION ALL SELECT max(modseq) FROM gone"  \
                          " WHERE account = ?1)), strftime('%s', 'now'), mailbox, uid, eid FROM member WHERE mailbox = ?2 AND uid = ?3") \
    X(REPAIR_ACCOUNT, "INSERT OR IGNORE INTO account(account, modseq, floor, uidvalidity) VALUES(?1, 0, 0, 0)")        \
    X(REPAIR_MODSEQ, "UPDATE account SET modseq = (SELECT max(m) FROM (SELECT modseq AS m UNION ALL"                   \
                     " SELECT highmodseq FROM mailbox WHERE account = ?1 UNION ALL SELECT coalesce(max(modseq), 0) FROM gone" \
                     " WHERE account = ?1 UNION ALL SELECT coalesce(max(m.modseq), 0) FROM member m JOIN mailbox x"    \
                     " ON x.mailbox = m.mailbox WHERE x.account = ?1)) WHERE account = ?1")                            \
    X(REPAIR_FLOOR, "UPDATE account SET floor = modseq WHERE account = ?1 AND floor > modseq")                         \
    X(REPAIR_MAILBOX, "UPDATE mailbox SET total = n.total, unseen = n.unseen, deleted = n.deleted, size = n.size,"     \
                      " unread = n.unread,"                                                                            \
                      " uidnext = max(uidnext, n.uid + 1), highmodseq = max(highmodseq, n.modseq)"                     \
                      " FROM (SELECT count(*) AS total, coalesce(sum(flags & 1 = 0), 0) AS unseen,"                    \
                      " coalesce(sum(flags & 8 <> 0), 0) AS deleted, coalesce(sum(size), 0) AS size,"                  \
                      " coalesce(sum(flags & 25 = 0), 0) AS unread,"                                                   \
                      " coalesce(max(uid), 0) AS uid, coalesce(max(modseq), 0) AS modseq FROM member WHERE mailbox = ?2) AS n" \
                      " WHERE account = ?1 AND mailbox = ?2")                                                          \
    X(REPAIR_BOX, "INSERT INTO mailbox(account, mailbox, name, role, uidvalidity, uidnext, highmodseq, changed_modseq," \
                  " total, unseen, deleted, size, subscribed) SELECT account, ?1, 'Recovered ' || ?1, 0, ?2, 1, 1, 1," \
                  " 0, 0, 0, 0, 1 FROM email WHERE eid IN (SELECT eid FROM member WHERE mailbox = ?1) LIMIT 1")        \
    X(REPAIR_INBOX, "INSERT INTO member(mailbox, uid, eid, flags, size, internal_ms, saved_after_ms, created_modseq, modseq)" \
                    " SELECT mailbox, max(uidnext, (SELECT coalesce(max(uid), 0) + 1 FROM member m WHERE m.mailbox ="  \
                    " mailbox.mailbox)), e.eid, 0, e.size, e.received_ms, 0, ?2, ?2 FROM email e JOIN mailbox ON"      \
                    " mailbox.account = e.account AND role = 1 WHERE e.eid = ?1")                                      \
    X(REPAIR_INBOX_OF, "SELECT e.account, m.mailbox FROM email e JOIN mailbox m ON m.account = e.account AND m.role = 1" \
                       " WHERE e.eid = ?1")                                                                            \
    X(REPAIR_BOX_ACCOUNT, "SELECT account FROM mailbox WHERE mailbox = ?1")                                            \
    /* rebuild */                                                                                                      \
    X(REBUILD_ACCOUNT, "INSERT INTO account(account, modseq, floor, uidvalidity, quota, quota_messages)"               \
                       " VALUES(?1, ?2, 0, ?3, ?4, ?5) ON CONFLICT(account) DO UPDATE SET modseq = max(modseq, ?2),"   \
                       " uidvalidity = max(uidvalidity, ?3), quota = ?4, quota_messages = ?5")                         \
    X(REBUILD_HIDE, "UPDATE mailbox SET name = char(1) || mailbox, role = 0 WHERE account = ?1")                       \
    X(REBUILD_BOX, "INSERT INTO mailbox(account, mailbox, parent, name, role, uidvalidity, subscribed, created_modseq,"\
                   " highmodseq, changed_modseq, uidnext, total, unseen, deleted, size, unread)"                       \
                   " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?8, ?9, 0, 0, 0, 0, 0) ON CONFLICT(account, mailbox)"  \
                   " DO UPDATE SET parent = ?3, name = ?4, role = ?5, uidvalidity = ?6, subscribed = ?7,"              \
                   " uidnext = max(uidnext, ?9)")                                                                      \
    X(REBUILD_UNHIDE, "DELETE FROM mailbox WHERE account = ?1 AND name = char(1) || mailbox")                          \
    X(REBUILD_BOXES, "SELECT account, mailbox FROM mailbox ORDER BY account, mailbox")                                 \
    X(REBUILD_HAS_INBOX, "SELECT 1 FROM mailbox WHERE account = ?1 AND role = 1")                                      \
    X(REBUILD_HAS_NAME, "SELECT 1 FROM mailbox WHERE account = ?1 AND parent = 0 AND name = ?2")                       \
    X(REBUILD_EMAIL, "INSERT OR IGNORE INTO email(eid, account, bid, size, created_modseq, msgid_hash, date_s,"        \
                     " received_ms, flags, refs, edits, envelope, preview, structure, headers)"                        \
                     " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)")                      \
    X(REBUILD_MEMBER, "INSERT OR IGNORE INTO member(mailbox, uid, eid, flags, size, internal_ms, saved_after_ms,"      \
                      " created_modseq, modseq, keywords) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9)")             \
    X(REBUILD_LOST, "SELECT m.mailbox, min(e.account), max(length(e.edits) > 0) FROM member m JOIN email e"            \
                    " ON e.eid = m.eid WHERE m.mailbox NOT IN (SELECT mailbox FROM mailbox) GROUP BY m.mailbox"        \
                    " ORDER BY m.mailbox")                                                                             \
    X(REBUILD_RAISE, "UPDATE account SET modseq = modseq + ?1, floor = modseq + ?1")                                   \
    X(REBUILD_RAISE_BOX, "UPDATE mailbox SET uidnext = min(uidnext + ?1, 4294967294), highmodseq = (SELECT modseq"     \
                         " FROM account a WHERE a.account = mailbox.account), changed_modseq = (SELECT modseq"         \
                         " FROM account a WHERE a.account = mailbox.account)")                                         \
    X(REBUILD_DUE, "INSERT OR IGNORE INTO tree_due(account) SELECT account FROM account")                              \
    X(REBUILD_SEGMENTS, "DELETE FROM segment")                                                                         \
    X(REBUILD_LIVE, "UPDATE segment SET live = b.n FROM (SELECT seg AS g, sum(64 + meta + len * (1 - big)) AS n"       \
                    " FROM blob GROUP BY seg) AS b WHERE b.g = segment.seg")                                           \
    /* on top of an index from a backup */                                                                             \
    X(REBUILD_BLOBS, "SELECT bid FROM blob WHERE bid > ?1 ORDER BY bid LIMIT ?2")                                      \
    X(REBUILD_DROP_BLOB, "DELETE FROM member WHERE eid IN (SELECT eid FROM email WHERE bid = ?1)")                     \
    X(REBUILD_DROP_BLOB_2, "DELETE FROM email WHERE bid = ?1")                                                         \
    X(REBUILD_DROP_EMAIL, "DELETE FROM member WHERE eid = ?1")                                                         \
    X(REBUILD_DROP_ACCOUNT, "DELETE FROM member WHERE eid IN (SELECT eid FROM email WHERE account = ?1)")              \
    X(REBUILD_DROP_ACCOUNT_2, "DELETE FROM email WHERE account = ?1")                                                  \
    X(REBUILD_DROP_ACCOUNT_3, "DELETE FROM upload WHERE account = ?1")                                                 \
    X(REBUILD_REFS, "UPDATE blob SET refs = (SELECT count(*) FROM email e WHERE e.bid = blob.bid)"                     \
                    " + (SELECT count(*) FROM upload u WHERE u.bid = blob.bid)")                                       \
    X(REBUILD_UPLOADS, "DELETE FROM upload WHERE bid NOT IN (SELECT bid FROM blob)")                                   \
    X(REBUILD_UNUSED, "DELETE FROM blob WHERE refs = 0")                                                               \
    X(REBUILD_THREADS, "DELETE FROM thread_email WHERE eid NOT IN (SELECT eid FROM email)")                            \
    X(REBUILD_GONE, "DELETE FROM gone")                                                                                \
    X(REBUILD_COUNT, "SELECT (SELECT count(*) FROM account), (SELECT count(*) FROM mailbox), (SELECT count(*) FROM member)," \
                     " (SELECT count(*) FROM email WHERE flags & 256 <> 0), (SELECT count(*) FROM email WHERE flags & 512 <> 0)") \
    X(REPAIR_OPS, "DELETE FROM op WHERE length(op) <> 16 OR length(result) % 8 <> 0 OR expires_s <= 0")

#endif
