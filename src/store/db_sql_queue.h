/* db_sql_queue: the statements of the queue, of delivery events and of the limits of sending; a part of db_sql.h. */
#ifndef POSTEL_DB_SQL_QUEUE_H
#define POSTEL_DB_SQL_QUEUE_H

#define DB_SQL_QUEUE(X)                                                                                                \
    X(QUEUE_MESSAGE_INSERT, "INSERT INTO queue_message(qid, bid, account, size, flags, ret, rcpts, created_ms,"        \
                            " msgid_hash, trace, sender, report, envid, edits)"                                        \
                            " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)")                    \
    X(QUEUE_MESSAGE_GET, "SELECT bid, account, size, flags, ret, rcpts, created_ms, msgid_hash, trace, sender, report, envid"\
                         " FROM queue_message WHERE qid = ?1")                                                         \
    X(QUEUE_MESSAGE_PLACE, "SELECT m.size, m.edits, b.bid, b.seg, b.off, b.meta, b.len, b.big"                         \
                           " FROM queue_message m JOIN blob b ON b.bid = m.bid WHERE m.qid = ?1")                      \
    X(QUEUE_MESSAGE_LEFT, "SELECT (SELECT 1 FROM queue_rcpt WHERE rid > ?1 AND rid <= ?1 + ?2 LIMIT 1),"               \
                          " (SELECT 1 FROM queue_report WHERE rid > ?1 AND rid <= ?1 + ?2 LIMIT 1)")                   \
    X(QUEUE_MESSAGE_DELETE, "DELETE FROM queue_message WHERE qid = ?1")                                                \
    X(QUEUE_RCPT_INSERT, "INSERT INTO queue_rcpt(rid, qid, state, age, tries, maybe_sent, trying, delayed, notify, due_ms,"\
                         " expires_ms, held_ms, domain, address, orcpt, route, last_code, last_status, last_text, last_host)"\
                         " VALUES(?1, ?2, 0, 0, 0, 0, 0, 0, ?3, ?4, ?5, 0, ?6, ?7, ?8, x'', 0, x'', x'', x'')")         \
    X(QUEUE_RCPT_GET, "SELECT qid, state, tries, trying, delayed, notify, due_ms, expires_ms, held_ms, domain, address,"\
                      " orcpt, last_code, last_status, last_text, last_host FROM queue_rcpt WHERE rid = ?1")           \
    X(QUEUE_RCPT_DELETE, "DELETE FROM queue_rcpt WHERE rid = ?1")                                                      \
    X(QUEUE_RCPT_TRYING, "UPDATE queue_rcpt SET trying = ?2 WHERE rid = ?1")                                           \
    X(QUEUE_RCPT_DEFER, "UPDATE queue_rcpt SET tries = tries + 1, age = CASE WHEN tries < 3 THEN 1 ELSE 2 END, trying = 0,"\
                        " due_ms = CASE state WHEN 2 THEN due_ms ELSE ?2 END, delayed = delayed | ?3, last_code = ?4," \
                        " last_status = ?5, last_text = ?6, last_host = ?7, maybe_sent = maybe_sent + ?8 WHERE rid = ?1") \
    X(QUEUE_RCPT_LOST, "UPDATE queue_rcpt SET tries = tries + 1, age = 1, trying = 0, maybe_sent = maybe_sent + 1,"    \
                       " due_ms = CASE state WHEN 2 THEN due_ms ELSE ?2 END WHERE rid = ?1")                           \
    X(QUEUE_RCPT_HOLD, "UPDATE queue_rcpt SET state = 2, due_ms = ?2, held_ms = ?3 WHERE rid = ?1")                    \
    X(QUEUE_RCPT_RELEASE, "UPDATE queue_rcpt SET state = 0, due_ms = ?2, expires_ms = expires_ms + ?2 - held_ms, held_ms = 0"\
                          " WHERE rid = ?1")                                                                           \
    X(QUEUE_RCPT_DUE, "UPDATE queue_rcpt SET due_ms = ?2 WHERE rid = ?1 AND state = 0")                                \
    X(QUEUE_RCPT_ROUTE, "UPDATE queue_rcpt SET route = ?2, due_ms = CASE state WHEN 0 THEN ?3 ELSE due_ms END"         \
                        " WHERE rid = ?1")                                                                             \
    X(QUEUE_RCPT_RESUME, "UPDATE queue_rcpt NOT INDEXED SET expires_ms = expires_ms + ?4 - max(?5, (SELECT created_ms FROM"\
                         " queue_message m WHERE m.qid = queue_rcpt.qid)) WHERE rid > ?2 AND rid <= ?3 AND domain = ?1 AND state = 0"\
                         " AND (SELECT created_ms FROM queue_message m WHERE m.qid = queue_rcpt.qid) < ?4")             \
    X(QUEUE_RCPT_AFTER, "SELECT rid FROM queue_rcpt WHERE rid > ?1 ORDER BY rid LIMIT 1 OFFSET ?2")                    \
    X(QUEUE_DUE, "SELECT rid, qid, due_ms, address, notify, orcpt, tries, maybe_sent, trying, expires_ms, route"       \
                 " FROM queue_rcpt WHERE state = 0 AND domain = ?1 AND age = ?2 ORDER BY due_ms, rid")                 \
    X(QUEUE_DOMAIN_NEXT, "SELECT domain FROM queue_rcpt INDEXED BY queue_rcpt_due WHERE state = 0 AND domain > ?1"     \
                         " ORDER BY domain LIMIT 1")                                                                   \
    X(QUEUE_DOMAIN_COUNT, "SELECT count(*) FROM queue_rcpt INDEXED BY queue_rcpt_due WHERE state = 0 AND domain = ?1") \
    X(QUEUE_DOMAIN_DUE, "SELECT due_ms FROM queue_rcpt INDEXED BY queue_rcpt_due WHERE state = 0 AND domain = ?1"      \
                        " AND age = ?2 ORDER BY due_ms LIMIT 1")                                                       \
    X(QUEUE_TRYING, "SELECT rid FROM queue_rcpt INDEXED BY queue_rcpt_trying WHERE trying <> 0 AND trying <> ?1")      \
    X(QUEUE_HELD_OVER, "SELECT rid, domain FROM queue_rcpt INDEXED BY queue_rcpt_held WHERE state = 2 AND due_ms <= ?1"\
                       " ORDER BY due_ms LIMIT ?2")                                                                    \
    X(QUEUE_SCAN, "SELECT r.rid, r.qid, r.state, r.tries, r.due_ms, r.expires_ms, r.domain, r.address, r.route,"       \
                  " r.last_code, r.last_status, r.last_text, r.last_host, r.trying, m.trace, m.sender, m.created_ms, m.size"\
                  " FROM queue_rcpt r CROSS JOIN queue_message m ON m.qid = r.qid WHERE r.rid > ?1 ORDER BY r.rid")    \
    X(QUEUE_OLD, "SELECT rid, expires_ms FROM queue_rcpt WHERE rid > ?1 ORDER BY rid LIMIT ?2")                        \
    X(QUEUE_COUNT, "SELECT count(*) FROM queue_rcpt")                                                                  \
    X(QUEUE_ANY, "SELECT 1 FROM queue_rcpt LIMIT 1")                                                                   \
    X(QUEUE_SUSPENDED, "SELECT since_ms, until_ms, done FROM queue_suspended WHERE domain = ?1")                                       \
    X(QUEUE_SUSPEND, "INSERT OR IGNORE INTO queue_suspended(domain, since_ms) VALUES(?1, ?2)")                         \
    X(QUEUE_RESUMING, "UPDATE queue_suspended SET since_ms = ?2, until_ms = ?3, done = ?4 WHERE domain = ?1")          \
    X(QUEUE_UNSUSPEND, "DELETE FROM queue_suspended WHERE domain = ?1")                                                \
    X(QUEUE_REPORT_PUT, "INSERT OR IGNORE INTO queue_report(rid, action, qid, due_ms, tries, at_ms, code, cause, until_ms,"\
                        " address, orcpt, status, text, host) VALUES(?1, ?2, ?3, ?4, 0, ?5, ?6, ?7, ?8, ?9, ?10, ?11,"\
                        " ?12, ?13)")                                                                                  \
    X(QUEUE_REPORT_DUE, "SELECT qid, due_ms FROM queue_report ORDER BY due_ms LIMIT 1")                                \
    X(QUEUE_REPORT_OF, "SELECT rid, action, at_ms, code, cause, until_ms, address, orcpt, status, text, host, tries"   \
                       " FROM queue_report WHERE rid > ?1 AND rid <= ?1 + ?2 ORDER BY rid LIMIT ?3")                   \
    X(QUEUE_REPORT_ABOUT, "SELECT address FROM queue_report WHERE rid = ?1 AND action = ?2")                           \
    X(QUEUE_REPORT_LATER, "UPDATE queue_report SET due_ms = ?3, tries = tries + 1 WHERE rid > ?1 AND rid <= ?1 + ?2")  \
    X(QUEUE_REPORT_DELETE, "DELETE FROM queue_report WHERE rid = ?1 AND action = ?2")                                  \
    X(QUEUE_REPORT_DROP, "DELETE FROM queue_report WHERE rid > ?1 AND rid <= ?1 + ?2")                                 \
    X(EVENT_LAST, "SELECT coalesce(max(id), 0) FROM event")                                                            \
    X(EVENT_INSERT, "INSERT INTO event(id, trace, data) VALUES(?1, ?2, ?3)")                                           \
    X(EVENT_SCAN, "SELECT id, trace, data FROM event WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3")                 \
    X(EVENT_BACK, "SELECT id, trace, data FROM event WHERE id < ?1 ORDER BY id DESC LIMIT ?2")                         \
    X(EVENT_PURGE, "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE id < ?1 ORDER BY id LIMIT ?2)")          \
    X(SEND_DAY, "SELECT messages, fresh FROM send_day WHERE account = ?1 AND day = ?2")                                \
    X(SEND_ADD, "INSERT INTO send_day(account, day, messages, fresh) VALUES(?1, ?2, ?3, ?4)"                           \
                " ON CONFLICT(account, day) DO UPDATE SET messages = messages + ?3, fresh = fresh + ?4")               \
    X(SEND_PURGE, "DELETE FROM send_day WHERE day < ?1")                                                               \
    X(CORRESPONDENT_HAS, "SELECT 1 FROM correspondent WHERE account = ?1 AND address = ?2")                            \
    X(CORRESPONDENT_ADD, "INSERT INTO correspondent(account, address, last_s, messages) VALUES(?1, ?2, ?3, 1)"         \
                         " ON CONFLICT(account, address) DO UPDATE SET last_s = ?3, messages = messages + 1")

#endif
