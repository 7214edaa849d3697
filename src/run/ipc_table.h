/* ipc_table: every message between roles, once. Structs, encoder, decoder, permissions, fuzz target and doc/ipc.md
 * all come from here (SEC-24).
 *
 * F(type, name)  a field: u32, u64, i64, bytes (a span), fd (a descriptor, -1 = none; at most one per message)
 * L(record, name) a list of records: struct { struct msg_<record> *v; uint32_t n; }; a record holds no list and no fd
 *
 * A CALL has a reply, MSG_<name>_r; a POST has none. `to` is the role that receives, `from` who may send it.
 * A role that sends what its row does not allow is cut off. Bytes are opaque here: whoever uses them checks them.
 */
#ifndef POSTEL_IPC_TABLE_H
#define POSTEL_IPC_TABLE_H

/* ---- records -------------------------------------------------------------------------------------------------- */

/* A recipient comes down to accounts of ours. address: the account's own, for Delivered-To. */
#define MSG_rcpt_target(F, L) F(u64, account) F(bytes, address) F(bytes, lang)
/* An address elsewhere that an alias of ours leads to. domain: its folded A-labels. via: that alias, with our domain. */
#define MSG_rcpt_forward(F, L) F(bytes, address) F(bytes, domain) F(bytes, via)
#define MSG_tls_chain(F, L) F(u64, key_id) F(bytes, pem)
#define MSG_domain_row(F, L) F(bytes, name) F(bytes, admin) F(u64, accounts) F(u64, aliases)
#define MSG_domain_alias_row(F, L) F(bytes, name) F(bytes, domain)
#define MSG_account_row(F, L) F(u64, account) F(bytes, address) F(bytes, lang) F(u32, disabled) F(i64, created_s)
/* A password for one program. scope: enum app_scope. used_s: last login with it, 0 = none. */
#define MSG_app_password_row(F, L) F(bytes, label) F(u32, scope) F(i64, created_s) F(i64, used_s)
/* Attempts to log in that were alike, count of them from first_s to last_s. ip: as in sasl. result: enum login_result.
 * label: of the app password, or empty. */
#define MSG_login_row(F, L)                                                                                            \
    F(u64, id) F(i64, first_s) F(i64, last_s) F(u32, count) F(bytes, service) F(bytes, ip) F(bytes, mech)              \
    F(u32, result) F(bytes, label)
#define MSG_alias_row(F, L) F(bytes, address) F(bytes, targets) /* targets: separated by a space */
/* mailbox 0: the account's INBOX, made when it is not there. flags: enum member_flag. via: the recipient that led there when
 * that is another address (an alias, a detail, another name of the domain), for the trace; or empty. */
#define MSG_ingest_target(F, L) F(u64, account) F(u64, mailbox) F(bytes, address) F(bytes, lang) F(u32, flags) F(bytes, via)
#define MSG_ingest_result(F, L) F(u64, account) F(u64, mailbox) F(u64, uid) F(u64, eid) F(u64, modseq)
/* A recipient elsewhere, queued in the same commit. address: as it is sent on; domain: folded A-labels, or a literal with
 * its brackets. notify: enum dsn_notify, 0 = not given (RFC 3461 4.1). orcpt: "rfc822;address" out of its xtext, or empty.
 * via: the alias of ours that leads there; without a login no others are taken, and store asks auth whether it is so. */
#define MSG_ingest_remote(F, L) F(bytes, address) F(bytes, domain) F(u32, notify) F(bytes, orcpt) F(bytes, via)
/* A recipient of the envelope whose sender wants to hear that it went well (NOTIFY=SUCCESS) and for whom our part ends
 * with this commit. action: DSN_DELIVERED, or DSN_EXPANDED by an alias with several targets (RFC 3461 5.2.7). */
#define MSG_ingest_note(F, L) F(bytes, address) F(u32, action) F(bytes, orcpt)
/* A message of the queue that relay has leased, and its recipients by qid. flags: enum envelope_flag. sender: without <>,
 * already rewritten (SRS). route: where queue route sends it ("host:port"), or empty. trace: 12 characters. size: of what
 * goes out, edit list applied. */
#define MSG_queue_message(F, L)                                                                                        \
    F(u64, qid) F(bytes, sender) F(u64, account) F(u64, size) F(u32, flags) F(bytes, envid) F(u32, ret)                \
    F(i64, created_ms) F(i64, expires_ms) F(bytes, trace) F(bytes, route)
/* tries: attempts so far. maybe_sent: how many of them ended between the far side's answer and our commit (REL-03). */
#define MSG_queue_rcpt(F, L)                                                                                           \
    F(u64, rid) F(u64, qid) F(bytes, address) F(u32, notify) F(bytes, orcpt) F(u32, tries) F(u32, maybe_sent)
/* waiting: recipients not done and not held. due_ms: of the first one. */
#define MSG_queue_domain(F, L) F(bytes, domain) F(u64, waiting) F(i64, due_ms) F(u32, suspended)
#define MSG_queue_rid(F, L) F(u64, rid)
/* Another server, as events tell of it. host: "name [ip]"; tls: how the session is protected, in words ("TLSv1.3, DANE"), or,
 * when there was none, how it would have had to be ("DANE"). lease: under which what is told there was taken. */
#define MSG_queue_place(F, L) F(bytes, host) F(bytes, tls) F(u64, lease)
/* A recipient who may get the message at that place as soon as this is durable. Those of a session's message follow each other,
 * with a place of their own. */
#define MSG_queue_try(F, L) F(u64, qid) F(u64, rid) F(u32, place)
/* Of a message that is tried at a place, in their order. refused: nothing of it may go out, for this relay does not have it (any more).
 * text: the whole message as it goes out, when it is small and in memory; else empty, and for queue_read. */
#define MSG_queue_begun(F, L) F(u64, qid) F(u32, refused) F(bytes, text)
/* A host that was asked before what is told of the attempts or results at that place, and did not take the message. */
#define MSG_queue_tried(F, L) F(u32, place) F(bytes, host) F(bytes, tls) F(u32, code) F(bytes, status) F(bytes, text)
/* What came of one recipient. outcome: enum queue_outcome. code, status, text: the far side's last answer ("550", "5.1.1"
 * and its words without them), or our own reason with code 0. due_ms: when to try again, for QUEUE_DEFERRED. cause: a row
 * of the table of causes, 0 = none. flags: enum queue_done_flag. */
#define MSG_queue_done(F, L)                                                                                           \
    F(u64, rid) F(u32, place) F(u32, outcome) F(u32, code) F(bytes, status) F(bytes, text) F(i64, due_ms)              \
    F(u32, cause) F(u32, flags)
/* A recipient as `postel queue` shows it. state: enum queue_state. last_*: of the last attempt. */
#define MSG_queue_row(F, L)                                                                                            \
    F(u64, rid) F(u64, qid) F(bytes, trace) F(bytes, sender) F(bytes, address) F(bytes, domain) F(u32, state)          \
    F(u32, tries) F(i64, created_ms) F(i64, due_ms) F(i64, expires_ms) F(u64, size) F(bytes, route) F(u32, last_code)  \
    F(bytes, last_status) F(bytes, last_text) F(bytes, last_host)
/* One step of a message's way. kind: enum event_kind. trace: 12 characters. account: whose message it is, 0 = nobody's.
 * address: the recipient of the step, empty = of all. host, tls: of the other side. msgid_hash as in summarize_r. */
#define MSG_event_row(F, L)                                                                                            \
    F(u64, id) F(i64, at_ms) F(bytes, trace) F(u32, kind) F(u64, account) F(bytes, sender) F(bytes, address)           \
    F(bytes, host) F(bytes, tls) F(u32, code) F(bytes, status) F(bytes, text) F(u32, cause) F(i64, due_ms)             \
    F(u64, size) F(u64, msgid_hash)
/* rdata: one record, names in it uncompressed (RFC 1035 3.3). */
#define MSG_dns_record(F, L) F(bytes, rdata)
/* parent 0: at the root. name: one level of it, NFC UTF-8. total, unseen (not \Seen), deleted (\Deleted), size: what IMAP
 * sees. What JMAP sees: total - deleted, and unread: neither \Seen nor \Draft nor \Deleted (RFC 8621 2). modseq: of the
 * last change in it or to it; created_modseq, changed_modseq: of the mailbox itself (name, parent, role, subscription). */
#define MSG_mailbox_row(F, L)                                                                                          \
    F(u64, mailbox) F(u64, parent) F(bytes, name) F(u32, role) F(u32, subscribed) F(u64, uidvalidity) F(u64, uidnext)  \
    F(u64, modseq) F(u64, total) F(u64, unseen) F(u64, deleted) F(u64, size) F(u64, unread) F(u64, created_modseq)     \
    F(u64, changed_modseq)
/* size: octets of what a client reads (edit list applied). keywords: separated by a space, in an order of their own.
 * saved_ms: when it came into this mailbox (RFC 8514). What stands behind it is empty or 0 unless asked for in `want`;
 * summary_flags come with a part of the summary, and with WANT_SUMMARY alone. */
#define MSG_member_row(F, L)                                                                                           \
    F(u64, uid) F(u64, eid) F(u64, modseq) F(u32, flags) F(i64, internal_ms) F(u64, size) F(bytes, keywords)           \
    F(i64, saved_ms) F(bytes, envelope) F(bytes, structure) F(bytes, headers) F(bytes, preview) F(u64, thread)         \
    F(u32, summary_flags)
#define MSG_uid_range(F, L) F(u64, first) F(u64, last) /* first <= last, both included */
/* kind: enum change_kind. keywords with CHANGE_ADDED and CHANGE_FLAGS. thread: with CHANGE_EXPUNGED, of an email that
 * went with it because it was nowhere else; 0: it is still in another mailbox. */
#define MSG_change_row(F, L)                                                                                           \
    F(u64, modseq) F(u32, kind) F(u64, mailbox) F(u64, uid) F(u64, eid) F(u32, flags) F(bytes, keywords) F(u64, thread)
#define MSG_email_id(F, L) F(u64, eid)
/* An email whatever mailboxes it is in; created_modseq: 0 for what came before the index had it (version 1). */
#define MSG_email_row(F, L)                                                                                            \
    F(u64, eid) F(u64, thread) F(u64, created_modseq) F(u64, size) F(u32, summary_flags) F(i64, received_ms)           \
    F(i64, date_s) F(bytes, envelope) F(bytes, structure) F(bytes, headers) F(bytes, preview)
#define MSG_email_member(F, L)                                                                                         \
    F(u64, eid) F(u64, mailbox) F(u64, uid) F(u64, modseq) F(u32, flags) F(i64, internal_ms) F(bytes, keywords)
/* visible: 1 when a mailbox has it without \Deleted, that is, when JMAP sees it. */
#define MSG_thread_email(F, L) F(u64, thread) F(u64, eid) F(i64, received_ms) F(u32, visible)
#define MSG_scan_needle(F, L) F(u32, where) F(bytes, name) F(bytes, text)
#define MSG_scan_ask(F, L) F(bytes, name) F(u32, form)
#define MSG_scan_value(F, L) F(u32, ask) F(bytes, data)
#define MSG_email_slice(F, L) F(u64, eid) F(u64, offset) F(u32, length)
#define MSG_email_slice_got(F, L) F(u32, there) F(u64, size) F(bytes, data)
#define MSG_search_hit(F, L) F(u64, eid) F(u64, found)
#define MSG_kv_row(F, L) F(bytes, key) F(bytes, value)

/* kind: enum verify_kind (store/store_verify.h); text: what, where, whose, one line. remedy: what --repair would do, or empty. */
#define MSG_verify_finding(F, L) F(u32, kind) F(bytes, text) F(bytes, remedy)
#define MSG_backup_file(F, L) F(bytes, name) F(u64, size)

#define RECORD_TABLE(R)                                                                                                \
    R(rcpt_target) R(rcpt_forward) R(tls_chain) R(domain_row) R(domain_alias_row) R(account_row) R(app_password_row) R(login_row) R(alias_row) R(ingest_target) R(ingest_result)            \
    R(mailbox_row) R(member_row) R(uid_range) R(change_row) R(email_id) R(email_row) R(email_member) R(thread_email)   \
    R(kv_row) R(email_slice) R(email_slice_got) R(search_hit) R(scan_needle) R(scan_ask) R(scan_value) R(verify_finding) R(backup_file) \
    R(ingest_remote) R(ingest_note) R(queue_message) R(queue_rcpt) R(queue_domain) R(queue_rid) R(queue_place)         \
    R(queue_try) R(queue_begun) R(queue_tried) R(queue_done) R(queue_row) R(event_row) R(dns_record)

/* ---- auth ----------------------------------------------------------------------------------------------------- */

/* address: local-part@domain as the grammar accepted it, quotes removed; "postmaster" alone is allowed (RFC 5321 4.5.1).
 * status: enum rcpt_status. targets, forwards: empty unless RCPT_OK; a bounce to an SRS address of ours comes back as one
 * forward without `via`. flags: enum rcpt_flag. detail: behind the subaddress sign (RFC 5233), or empty. generation: of
 * the directory, for caches. */
#define MSG_rcpt_check(F, L) F(bytes, address)
#define MSG_rcpt_check_r(F, L)                                                                                         \
    F(u32, status) F(u64, generation) F(u32, flags) F(bytes, detail) L(rcpt_target, targets) L(rcpt_forward, forwards)
/* May the account of this session send as `address` (SEC-15)? Its own one (with any subaddress, under any alias of its
 * domain) and every alias that leads to it alone. own: 1. */
#define MSG_identity(F, L) F(bytes, handle) F(bytes, address)
#define MSG_identity_r(F, L) F(u32, own)
/* Whom did the account of this session mean by `address`, which is nobody's? An account of its own domain, or empty. */
#define MSG_rcpt_near(F, L) F(bytes, handle) F(bytes, address)
#define MSG_rcpt_near_r(F, L) F(bytes, address)
/* The reverse-path with which the alias `via` forwards what `sender` sent (SRS); empty stays empty. account: the one that
 * gets reports about it (the admin of the alias's domain, SEC-19), with its address. */
#define MSG_srs_make(F, L) F(bytes, sender) F(bytes, via)
#define MSG_srs_make_r(F, L) F(bytes, sender) F(u64, account) F(bytes, address)
/* The addresses and the language of an account, for reports: what store knows of it is its number. */
#define MSG_account_find(F, L) F(u64, account)
#define MSG_account_find_r(F, L) F(bytes, address) F(bytes, lang)

/* One step of a SASL dialogue (RFC 4422). dialog 0 begins one. mech: upper case. USER/PASS comes as PLAIN (RFC 4616).
 * ip: 16 bytes, IPv4 mapped. flags: enum sasl_flag. state: enum sasl_state; challenge for SASL_MORE.
 * On SASL_OK `handle` (16 bytes) names the session at store; wait_ms: answer a failure only after that time (SEC-14). */
#define MSG_sasl(F, L)                                                                                                 \
    F(u64, dialog) F(u32, service) F(bytes, mech) F(bytes, response) F(bytes, ip) F(u32, flags) F(bytes, binding)
#define MSG_sasl_r(F, L)                                                                                               \
    F(u32, state) F(u64, dialog) F(bytes, challenge) F(u32, wait_ms) F(bytes, handle) F(u64, account)                  \
    F(bytes, address) F(bytes, lang)
#define MSG_logout(F, L) F(bytes, handle)
/* Somebody has connected to the socket of the sendmail command, and the kernel says who: the front leads the dialogue.
 * result: enum login_result; handle, address of the account: with LOGIN_OK. */
#define MSG_uid_login(F, L) F(fd, socket) F(u32, uid) F(u32, result) F(bytes, handle) F(bytes, address)

#define MSG_tls_chains(F, L)
#define MSG_tls_chains_r(F, L) F(u64, generation) L(tls_chain, chains)
/* digest: 32..64 bytes, ECDSA over it; signature in DER. */
#define MSG_tls_sign(F, L) F(u64, key_id) F(bytes, digest)
#define MSG_tls_sign_r(F, L) F(bytes, signature)

/* admin: the address that gets postmaster@ and abuse@; it is created with `password` when it does not exist. */
#define MSG_domain_add(F, L) F(bytes, name) F(bytes, admin) F(bytes, password) F(bytes, lang)
#define MSG_domain_add_r(F, L) F(u32, account_made)
#define MSG_domain_list(F, L)
#define MSG_domain_list_r(F, L) L(domain_row, domains)
#define MSG_domain_admin(F, L) F(bytes, name) F(bytes, admin)
#define MSG_domain_admin_r(F, L)
/* accounts 1: with its accounts and all their mail; else a domain that has some is refused. Its aliases go with it.
 * forwards 1: aliases of other domains that lead there shall send mail out from then on; else, when there are some, nothing
 * is removed and removed is 0. leads: how many there are, aliases: the first of them. */
#define MSG_domain_remove(F, L) F(bytes, name) F(u32, accounts) F(u32, forwards)
#define MSG_domain_remove_r(F, L) F(u32, removed) F(u64, accounts) F(u64, leads) L(alias_row, aliases)
/* Another name for a domain of ours: every address of the one is an address of the other. */
#define MSG_domain_alias_add(F, L) F(bytes, name) F(bytes, domain)
#define MSG_domain_alias_add_r(F, L)
#define MSG_domain_alias_list(F, L)
#define MSG_domain_alias_list_r(F, L) L(domain_alias_row, aliases)
#define MSG_domain_alias_remove(F, L) F(bytes, name) F(u32, forwards)
#define MSG_domain_alias_remove_r(F, L) F(u32, removed) F(u64, leads) L(alias_row, aliases)
#define MSG_account_add(F, L) F(bytes, address) F(bytes, password) F(bytes, lang)
#define MSG_account_add_r(F, L) F(u64, account)
#define MSG_account_list(F, L) F(bytes, after) /* 500 a reply, in order of address; after: the last one seen */
#define MSG_account_list_r(F, L) L(account_row, accounts)
/* revoke_apps 1: its app passwords go, else they stay good. apps: how many of them. */
#define MSG_account_passwd(F, L) F(bytes, address) F(bytes, password) F(u32, revoke_apps)
#define MSG_account_passwd_r(F, L) F(u32, apps)
#define MSG_account_state(F, L) F(bytes, address) F(u32, disabled)
#define MSG_account_state_r(F, L)
#define MSG_account_remove(F, L) F(bytes, address)
#define MSG_account_remove_r(F, L)
/* password: made by auth, told this once. */
#define MSG_app_password_add(F, L) F(bytes, address) F(bytes, label) F(u32, scope)
#define MSG_app_password_add_r(F, L) F(bytes, password)
#define MSG_app_password_list(F, L) F(bytes, address)
#define MSG_app_password_list_r(F, L) L(app_password_row, passwords)
#define MSG_app_password_remove(F, L) F(bytes, address) F(bytes, label)
#define MSG_app_password_remove_r(F, L)
/* Attempts to log in to an account, the latest first, some hundred a reply: of the session's, or, from the command line
 * with an empty handle, of `address`. before: the last id seen, 0 = from the latest on. */
#define MSG_logins(F, L) F(bytes, handle) F(bytes, address) F(u64, before)
#define MSG_logins_r(F, L) L(login_row, logins)
#define MSG_alias_add(F, L) F(bytes, address) F(bytes, targets)
#define MSG_alias_add_r(F, L)
#define MSG_alias_list(F, L) F(bytes, after)
#define MSG_alias_list_r(F, L) L(alias_row, aliases)
#define MSG_alias_remove(F, L) F(bytes, address)
#define MSG_alias_remove_r(F, L)

/* The directory and the keys as one bundle (doc/decisions/09-backup.md) of one moment, in windows of 65,536 bytes; id 0
 * begins one. It is forgotten with its last window, or when another begins. */
#define MSG_auth_backup(F, L) F(u64, id) F(u64, offset)
#define MSG_auth_backup_r(F, L) F(u64, id) F(u64, size) F(bytes, data)

/* ---- scan ----------------------------------------------------------------------------------------------------- */

/* The message: in `body`, or `size` bytes of `file` (a sealed memfd or a read-only file). flags: bit 0, the last scan
 * died with this message: nothing else is in flight. The reply is at most 60 KiB; what does not fit is left out and
 * marked in flags (enum summary_flag). Formats: src/format/summary.h. */
#define MSG_summarize(F, L) F(u64, size) F(bytes, body) F(fd, file) F(u32, flags)
#define MSG_summarize_r(F, L)                                                                                          \
    F(u32, flags) F(u32, hops) F(u64, msgid_hash) F(i64, date_s) F(bytes, headers) F(bytes, envelope)                  \
    F(bytes, structure) F(bytes, preview) F(bytes, refs)
/* The same for a message that one of our own people sends (RFC 6409 8): `edits` (format/edit.h) adds a missing Date and
 * Message-ID and cuts Bcc, and the rest speaks of the message with these edits. date: an RFC 5322 date; msgid: "<...>".
 * authors: the addresses of From, then of Sender and Resent-From when there, LF behind each. faults: enum submit_fault. */
#define MSG_scan_submit(F, L)                                                                                          \
    F(u64, size) F(bytes, body) F(fd, file) F(u32, flags) F(bytes, date) F(bytes, msgid)
#define MSG_scan_submit_r(F, L)                                                                                        \
    F(u32, flags) F(u32, hops) F(u64, msgid_hash) F(i64, date_s) F(bytes, headers) F(bytes, envelope)                  \
    F(bytes, structure) F(bytes, preview) F(bytes, refs) F(bytes, edits) F(bytes, authors) F(u32, faults)
/* Which needles occur in the message as its reader sees it, decoded and whatever their case (RFC 9051 6.4.4). where: enum
 * match_where; name: of the field, for MATCH_HEADER; text: UTF-8. At most 64 needles of 4,096 bytes (src/format/match.h).
 * found: bit i for needle i. The message as in summarize. */
#define MSG_scan_match(F, L) F(u64, size) F(bytes, body) F(fd, file) L(scan_needle, needles)
#define MSG_scan_match_r(F, L) F(u64, found)
/* The text of a message for later searches (src/format/match_text.h), unless there is too much of it: whole = 0. */
#define MSG_scan_text(F, L) F(u64, size) F(bytes, body) F(fd, file)
#define MSG_scan_text_r(F, L) F(u32, whole) F(u32, parts_at) F(u32, body_at) F(bytes, text)
/* Fields of the message's header, or of the part's that `part` names as IMAP does ("2.1"; "": the message). form: enum
 * read_form. One value per field of that name, in order; ask: which one of asks it answers. cut: 1 when not all fits. */
#define MSG_scan_fields(F, L) F(u64, size) F(bytes, body) F(fd, file) F(bytes, part) L(scan_ask, asks)
#define MSG_scan_fields_r(F, L) F(u32, cut) L(scan_value, values)
/* A part's content in a form (enum part_form): `length` bytes (at most 131,072) behind the first `skip` ones, counted from
 * `at`, which is 0 or what the reply before this one gave, so that slices in a row cost one walk. found 0: no such part.
 * size: bytes that were walked over from `at` on; length 0: of all there are. end: 1 when nothing follows; else go on with
 * at, skip of the reply. */
#define MSG_scan_read(F, L)                                                                                            \
    F(u64, size) F(bytes, body) F(fd, file) F(bytes, part) F(u32, form) F(u64, at) F(u64, skip) F(u32, length)
#define MSG_scan_read_r(F, L) F(u32, found) F(u64, size) F(bytes, data) F(u32, end) F(u64, at) F(u64, skip)
/* The message for a reader who knows no UTF-8 in headers (RFC 6857): edits (format/edit.h) make it of the message, size,
 * envelope and structure are its own. edits empty: it is as good for that reader as it is, and the rest is empty. */
#define MSG_scan_surrogate(F, L) F(u64, size) F(bytes, body) F(fd, file)
#define MSG_scan_surrogate_r(F, L) F(bytes, edits) F(u64, size) F(bytes, envelope) F(bytes, structure)

/* ---- store ---------------------------------------------------------------------------------------------------- */

#define MSG_session_add(F, L)                                                                                          \
    F(bytes, handle) F(u64, account) F(u64, front_boot) F(u32, service) F(bytes, lang)
#define MSG_session_end(F, L) F(bytes, handle)
#define MSG_account_gone(F, L) F(u64, account)

/* A message for local mailboxes, durable when the reply comes (REL-01). op: 16 bytes; the same op again gives the same
 * reply and nothing else. The message: `body`, or `size` bytes of `file`, or what spool_write gathered under op
 * (spool = 1). The log gets it as it is; sender and target address go in front of it as Return-Path and Delivered-To
 * by edit list. The rest is summarize_r. All or nothing over all targets and remotes.
 * handle: of the login that submits it, or empty; remotes without `via` want one of a submission service, whose account
 * then owns the message: its sending is counted (send_check) and reports go to it. edits: of scan_submit, or empty.
 * envelope_flags: enum envelope_flag. envid: out of its xtext; ret: enum dsn_ret (RFC 3461 4.3, 4.4). peer: "name [ip]",
 * tls: "TLSv1.3 ..." or empty; login: the address of who logged in, or empty: for the first delivery event. */
#define MSG_ingest(F, L)                                                                                               \
    F(bytes, op) F(bytes, sender) F(u64, size) F(bytes, body) F(fd, file) F(u32, spool) F(i64, received_ms)            \
    F(u32, summary_flags) F(u64, msgid_hash) F(i64, date_s) F(bytes, headers) F(bytes, envelope) F(bytes, structure)   \
    F(bytes, preview) F(bytes, refs) F(bytes, handle) F(bytes, edits) F(u32, envelope_flags) F(bytes, envid)           \
    F(u32, ret) F(u32, service) F(bytes, peer) F(bytes, tls) F(bytes, login) L(ingest_target, targets)                 \
    L(ingest_remote, remotes) L(ingest_note, notes)
#define MSG_ingest_r(F, L) F(u32, repeated) L(ingest_result, results)

/* A message above BODY_MEMFD on its way in: bytes in order from offset 0; repeating an offset is fine. */
#define MSG_spool_write(F, L) F(bytes, op) F(u64, offset) F(bytes, data)
#define MSG_spool_write_r(F, L) F(u64, size)
#define MSG_spool_lend(F, L) F(bytes, op)
#define MSG_spool_lend_r(F, L) F(fd, file) F(u64, size) /* read-only */
#define MSG_spool_drop(F, L) F(bytes, op)

/* In order of number, which has the INBOX first; more = 1: there are others, ask again with `after` the last one told. */
#define MSG_mailbox_list(F, L) F(bytes, handle) F(u64, after)
#define MSG_mailbox_list_r(F, L) F(u32, more) L(mailbox_row, mailboxes)
/* Exclusive use of a mailbox by a POP3 session (RFC 1939 4); ends with the session. Fails TEMP when another has it. */
#define MSG_mailbox_lock(F, L) F(bytes, handle) F(u64, mailbox)
#define MSG_mailbox_lock_r(F, L)
/* Rows with first <= uid <= last in order, at most `limit`, at most what fits a frame; next: go on there, 0 = all told.
 * want: enum member_want. */
#define MSG_member_scan(F, L) F(bytes, handle) F(u64, mailbox) F(u64, first) F(u64, last) F(u32, limit) F(u32, want)
#define MSG_member_scan_r(F, L) F(u64, next) L(member_row, rows)
/* What a session that selects the mailbox must know, packed: n times u64 modseq, u64 eid, u32 uid, u8 flags, u24 number of a
 * set of keywords, little endian; words: the sets, each ended by LF, from number 1 on. first, last, next as in member_scan. */
#define MSG_member_view(F, L) F(bytes, handle) F(u64, mailbox) F(u64, first) F(u64, last) F(u32, limit)
#define MSG_member_view_r(F, L) F(u64, next) F(u32, n) F(bytes, rows) F(bytes, words)
/* Up to 65,536 bytes of the message as a client reads it, edit list applied; size: of the whole. */
#define MSG_email_read(F, L) F(bytes, handle) F(u64, eid) F(u64, offset) F(u32, length)
#define MSG_email_read_r(F, L) F(u64, size) F(bytes, data) F(u32, summary_flags)
/* The same of many messages, as many as fit a frame; there 0: it is not, or cannot be read (email_read says why). */
#define MSG_email_slices(F, L) F(bytes, handle) L(email_slice, slices)
#define MSG_email_slices_r(F, L) L(email_slice_got, got)
/* Which needles (folded; at most 64, as in scan_match) are in the account's emails of those ids, by the texts that are kept;
 * hits: those that have any. unknown: those of the ids whose text is not there. At most 8,000 ids. */
#define MSG_search(F, L) F(bytes, handle) L(scan_needle, needles) L(uid_range, eids)
#define MSG_search_r(F, L) L(search_hit, hits) L(uid_range, unknown)
/* Makes the texts that are missing of those ids, from `from` on, as many as may be in a moment; next: go on there, 0 = nothing
 * is left to try. */
#define MSG_search_fill(F, L) F(bytes, handle) F(u64, from) L(uid_range, eids)
#define MSG_search_fill_r(F, L) F(u64, next)
/* In flags_set, expunge and copy mailbox (from) 0 means: `uids` are eids, in whatever mailboxes they are (JMAP).
 * mode: enum flags_mode. keywords: separated by a space; FLAGS_REPLACE replaces them too. unchangedsince: 0 = none
 * (RFC 7162 3.1.3); modified: what it kept from being changed. */
#define MSG_flags_set(F, L)                                                                                            \
    F(bytes, handle) F(bytes, op) F(u64, mailbox) F(u32, mode) F(u32, flags) F(bytes, keywords)                        \
    F(u64, unchangedsince) L(uid_range, uids)
#define MSG_flags_set_r(F, L) F(u64, modseq) F(u64, changed) L(uid_range, modified)
/* flags: enum expunge_flag. */
#define MSG_expunge(F, L) F(bytes, handle) F(bytes, op) F(u64, mailbox) F(u32, flags) L(uid_range, uids)
#define MSG_expunge_r(F, L) F(u64, modseq) F(u64, removed)
/* A message that a client brings: as ingest, with what summarize said of it, but without an edit list, and with a new eid.
 * upload: not 0: the message is what blob_put gave this id. internal_ms: INTERNALDATE, received_at. */
#define MSG_append(F, L)                                                                                               \
    F(bytes, handle) F(bytes, op) F(u64, mailbox) F(u64, size) F(bytes, body) F(fd, file) F(u32, spool) F(u64, upload) \
    F(u32, flags) F(bytes, keywords) F(i64, internal_ms) F(u32, summary_flags) F(u64, msgid_hash) F(i64, date_s)       \
    F(bytes, headers) F(bytes, envelope) F(bytes, structure) F(bytes, preview) F(bytes, refs)
#define MSG_append_r(F, L) F(u64, mailbox) F(u64, uidvalidity) F(u64, uid) F(u64, eid) F(u64, modseq)
/* The messages of `from` into `to`, with flags, keywords and INTERNALDATE, the same eid (RFC 8474 5.1); move = 1: and out
 * of `from`. All or nothing, up to a number of messages; next: go on there with another op, 0 = all done. uids: the
 * messages it found; they got uid, uid + 1, ... uid + count - 1, in that order (RFC 9051 COPYUID). */
#define MSG_copy(F, L) F(bytes, handle) F(bytes, op) F(u64, from) F(u64, to) F(u32, move) L(uid_range, uids)
#define MSG_copy_r(F, L)                                                                                               \
    F(u64, modseq) F(u64, uidvalidity) F(u64, uid) F(u64, count) F(u64, next) L(uid_range, uids)
/* parent 0: at the root. name: one level. role: enum mailbox_role, one mailbox of each per account. */
#define MSG_mailbox_create(F, L)                                                                                       \
    F(bytes, handle) F(bytes, op) F(u64, parent) F(bytes, name) F(u32, role) F(u32, subscribed)
#define MSG_mailbox_create_r(F, L) F(u64, mailbox) F(u64, uidvalidity) F(u64, modseq)
/* what: enum mailbox_set_what, which of the fields count. A new name or parent for INBOX moves its messages to a new
 * mailbox of that name (RFC 9051 6.3.6): `mailbox` of the reply; else it is the one asked for. */
#define MSG_mailbox_set(F, L)                                                                                          \
    F(bytes, handle) F(bytes, op) F(u64, mailbox) F(u32, what) F(u64, parent) F(bytes, name) F(u32, role)              \
    F(u32, subscribed)
#define MSG_mailbox_set_r(F, L) F(u64, mailbox) F(u64, modseq)
/* flags: enum mailbox_remove_flag. Never INBOX, never one with children. */
#define MSG_mailbox_remove(F, L) F(bytes, handle) F(bytes, op) F(u64, mailbox) F(u32, flags)
#define MSG_mailbox_remove_r(F, L) F(u64, modseq)
/* Emails by id: as many of those asked for, from the first on, as fit a frame; done: how many were looked for. One that is
 * not there (any more) has no row. want: enum member_want. */
#define MSG_email_get(F, L) F(bytes, handle) F(u32, want) L(email_id, ids)
#define MSG_email_get_r(F, L) F(u32, done) L(email_row, emails) L(email_member, members)
/* The emails of threads, each thread's oldest first (RFC 8621 3); ids and done as in email_get. */
#define MSG_thread_get(F, L) F(bytes, handle) L(email_id, threads)
#define MSG_thread_get_r(F, L) F(u32, done) L(thread_email, emails)
/* Bytes that belong to no email yet (RFC 8620 6.1); gone at expires_s. Body as in ingest. */
#define MSG_blob_put(F, L) F(bytes, handle) F(bytes, op) F(u64, size) F(bytes, body) F(fd, file) F(u32, spool)
#define MSG_blob_put_r(F, L) F(u64, blob) F(i64, expires_s)
#define MSG_blob_get(F, L) F(bytes, handle) F(u64, blob) F(u64, offset) F(u32, length)
#define MSG_blob_get_r(F, L) F(u64, size) F(bytes, data)
/* RFC 9208 4.1: use and limits of an account. limits: -1 = none. */
#define MSG_quota_get(F, L) F(bytes, handle)
#define MSG_quota_get_r(F, L)                                                                                          \
    F(u64, bytes) F(u64, messages) F(u64, mailboxes) F(i64, limit_bytes) F(i64, limit_messages) F(i64, limit_mailboxes)
/* -1: none, -2: as it is. */
#define MSG_quota_set(F, L) F(u64, account) F(i64, limit_bytes) F(i64, limit_messages)
#define MSG_quota_set_r(F, L) F(u64, bytes) F(u64, messages) F(i64, limit_bytes) F(i64, limit_messages)
/* Counts the account's mailboxes anew; wrong: counters that were not right. */
#define MSG_recount(F, L) F(u64, account)
#define MSG_recount_r(F, L) F(u64, wrong) F(u64, messages)
/* Small values of an account, which parts of the program keep under names of their own. ttl_s 0: for good.
 * account: from admin, which has no handle. Relay has none either: its values are nobody's, and begin with "mtasts/". */
#define MSG_kv_get(F, L) F(bytes, handle) F(bytes, key)
#define MSG_kv_get_r(F, L) F(u32, found) F(bytes, value) F(i64, expires_s)
#define MSG_kv_set(F, L) F(bytes, handle) F(bytes, key) F(bytes, value) F(i64, ttl_s) F(u32, remove) F(u64, account)
#define MSG_kv_set_r(F, L)
#define MSG_kv_list(F, L) F(bytes, handle) F(bytes, prefix) F(bytes, after) /* in order of key; after: the last one seen */
#define MSG_kv_list_r(F, L) F(u32, more) L(kv_row, rows)
/* What changed in the account after modseq `since`, oldest first, at most `limit` rows; floor: below it tombstones
 * are gone and the caller starts anew. */
#define MSG_changes(F, L) F(bytes, handle) F(u64, since) F(u32, limit)
#define MSG_changes_r(F, L) F(u64, modseq) F(u64, floor) F(u32, more) L(change_row, rows)
/* From now on `changed` is posted to this front whenever the account's modseq grows. */
#define MSG_watch(F, L) F(bytes, handle)
#define MSG_watch_r(F, L) F(u64, modseq)
#define MSG_changed(F, L) F(u64, account) F(u64, modseq)
#define MSG_store_stats(F, L)
#define MSG_store_stats_r(F, L)                                                                                        \
    F(u64, accounts) F(u64, mailboxes) F(u64, emails) F(u64, blobs) F(u64, log_bytes) F(u64, commits) F(u64, committed)

/* Octets that still fit the account's quota; INT64_MAX: no limit (RFC 5321 4.2.3, SEC-19: asked at RCPT). */
#define MSG_room(F, L) F(u64, account)
#define MSG_room_r(F, L) F(i64, bytes)
/* May this session's account send to `address` (folded) today? refused: enum send_refusal; again_ms: when it may. */
#define MSG_send_check(F, L) F(bytes, handle) F(bytes, address)
#define MSG_send_check_r(F, L) F(u32, refused) F(i64, again_ms)

/* The queue, for relay. domains: in order, `after` the last one told; more: others follow. */
#define MSG_queue_domains(F, L) F(bytes, after)
#define MSG_queue_domains_r(F, L) F(u32, more) L(queue_domain, domains)
/* Posted at the commit that gives a domain something to do earlier than relay was told before. */
#define MSG_queue_ready(F, L) F(bytes, domain) F(i64, due_ms)
/* Leases what is due for a domain: fresh before old (few tries first), then the longest due; at most so many messages and
 * recipients, and what fits a frame. The lease is this relay's until queue_note, queue_return, or its channel closes.
 * next_due_ms: of what was not leased, 0 = nothing waits. lease: its name; what an older one says of a recipient that was leased
 * again, to this relay or another, counts for nothing (REL-03). */
#define MSG_queue_lease(F, L) F(bytes, domain) F(u32, messages) F(u32, rcpts)
#define MSG_queue_lease_r(F, L) F(u64, lease) F(i64, next_due_ms) L(queue_message, messages) L(queue_rcpt, rcpts)
#define MSG_queue_return(F, L) F(u64, lease) L(queue_rid, rids) /* untried: the lease ends, nothing else changes */
/* At most 131,072 bytes of a leased message as it goes out. */
#define MSG_queue_read(F, L) F(u64, qid) F(u64, offset) F(u32, length)
#define MSG_queue_read_r(F, L) F(u64, size) F(bytes, data)
/* Attempts that begin, and behind them results, of all sessions of relay that have some; durable with the reply. An attempt is
 * told before its final dot goes out (REL-03), and once more when it moves to another place. A recipient that is done already
 * stays so. place: an index of places. */
#define MSG_queue_note(F, L) L(queue_place, places) L(queue_tried, tried) L(queue_try, tries) L(queue_done, done)
#define MSG_queue_note_r(F, L) L(queue_begun, begun)
/* The queue, for people. Empty filters match all; domain, sender, address: exact, or "*@domain" for an address. state: 1
 * + enum queue_state, 0 = any. after: the last rid told. */
#define MSG_queue_list(F, L)                                                                                           \
    F(bytes, trace) F(bytes, domain) F(bytes, sender) F(bytes, address) F(u32, state) F(u64, after) F(u32, limit)
#define MSG_queue_list_r(F, L) F(u64, next) L(queue_row, rows)
/* action: enum queue_action on what the filters match, which must not all be empty unless all = 1. until_ms: of a hold, 0 =
 * for ever; route: "host:port", or empty for none; changed: recipients. next: go on there (after), 0 = all done. */
#define MSG_queue_change(F, L)                                                                                         \
    F(bytes, trace) F(bytes, domain) F(bytes, sender) F(bytes, address) F(u32, state) F(u32, all) F(u32, action)       \
    F(i64, until_ms) F(bytes, route) F(u64, after)
#define MSG_queue_change_r(F, L) F(u64, changed) F(u64, next)
#define MSG_queue_suspend(F, L) F(bytes, domain) F(u32, on) /* a domain's mail waits, and does not grow too old meanwhile */
#define MSG_queue_suspend_r(F, L) F(u64, waiting)
/* Delivery events, oldest first, of messages that match: trace, or msgid_hash, or address (of sender or recipient), within
 * [from_ms, to_ms]; last > 0: of the last so many messages. handle: only of this session's account; empty for the command
 * line. after: the last id told; more: ask again. Looks through some thousand events a call: rows may be empty with more. */
#define MSG_events(F, L)                                                                                               \
    F(bytes, handle) F(bytes, trace) F(u64, msgid_hash) F(bytes, address) F(i64, from_ms) F(i64, to_ms) F(u32, last)   \
    F(u64, after)
#define MSG_events_r(F, L) F(u32, more) F(u64, seen) L(event_row, rows)
/* A refusal that belongs into an account's story although nothing was stored: a submission that was turned away. */
#define MSG_event_note(F, L)                                                                                           \
    F(bytes, handle) F(bytes, trace) F(u32, kind) F(bytes, sender) F(bytes, address) F(u32, code) F(bytes, status)     \
    F(bytes, text)

/* ---- relay ---------------------------------------------------------------------------------------------------- */

/* name: A-labels, with or without the last dot; type: of RFC 1035 (1 A, 15 MX...). status: enum dns_status. secure: 1 when
 * our own validation says so (RFC 4035 4.3). canonical: where CNAMEs led; canonical_secure follows from secure. */
#define MSG_dns(F, L) F(bytes, name) F(u32, type)
#define MSG_dns_r(F, L) F(u32, status) F(u32, secure) F(u32, ttl_s) F(bytes, canonical) L(dns_record, records)

/* One step of a look at everything; begin = 1: a new look, which ends another one. done of total: roughly. */
#define MSG_verify(F, L) F(u32, begin)
#define MSG_verify_r(F, L) F(u32, more) F(u64, done) F(u64, total) L(verify_finding, found)
/* A backup: the index of one moment, and until backup_end, or ten minutes without a call, every file it names stays. One
 * at a time; a new one ends the one before. list: in pages, next: go on there, 0 = all told. Sizes: of what belongs to
 * that moment; the files may be longer. read: at most 65,536 bytes. */
#define MSG_backup_begin(F, L)
#define MSG_backup_begin_r(F, L) F(u64, id)
#define MSG_backup_list(F, L) F(u64, id) F(u64, from)
#define MSG_backup_list_r(F, L) F(u64, next) L(backup_file, files)
#define MSG_backup_read(F, L) F(u64, id) F(bytes, name) F(u64, offset)
#define MSG_backup_read_r(F, L) F(bytes, data)
#define MSG_backup_end(F, L) F(u64, id)
#define MSG_backup_end_r(F, L)

/* ---- master and its roles (the control channel) ------------------------------------------------------------------ */

#define MSG_ctl_config(F, L) F(bytes, text)
#define MSG_ctl_self(F, L) F(u32, kind) F(u32, index) F(u64, boot)
/* A channel to a role that (re)started; calls = 1: the receiver of this calls there, 0: it is called. */
#define MSG_ctl_peer(F, L) F(u32, kind) F(u32, index) F(u64, boot) F(u32, calls) F(fd, socket)
#define MSG_ctl_listener(F, L) F(u32, service) F(fd, socket) /* service: enum service_id */
#define MSG_ctl_admin(F, L) F(fd, socket) /* a listening control socket: auth and store take the command line's calls there */
#define MSG_ctl_uid(F, L) F(u32, uid) F(bytes, address) /* option sendmail.logins: this user is that account; to auth */
#define MSG_ctl_page(F, L) F(u32, kind) F(u32, index) F(fd, page) /* kind ROLE_MASTER: the clock */
#define MSG_ctl_go(F, L)        /* everything was handed over: close the sandbox, begin */
#define MSG_ctl_stop(F, L)      /* finish and exit 0 */
#define MSG_ctl_reload(F, L)    /* SIGHUP: read again what may have changed outside: auth its keys */
#define MSG_ctl_ready(F, L) F(bytes, isolation)
#define MSG_ctl_retire(F, L)    /* scan: replace me, I exit when my channels have closed */

/* ---- the table -------------------------------------------------------------------------------------------------- */

#define FROM_ADMIN ROLE_BIT(ROLE_ADMIN)
#define FROM_STORE ROLE_BIT(ROLE_STORE)
#define FROM_AUTH ROLE_BIT(ROLE_AUTH)
#define FROM_MASTER ROLE_BIT(ROLE_MASTER)
#define FROM_ROLES (ROLE_BIT(ROLE_COUNT) - 1)
#define FROM_RELAY ROLE_BIT(ROLE_RELAY)
#define FROM_FRONT_MX ROLE_BIT(ROLE_FRONT_MX)
#define FROM_FRONT_USER ROLE_BIT(ROLE_FRONT_USER)

/* CALL(name, to, from, retry): retry = 1 when the caller may send it again to a restarted role (it reads only, or is
 * idempotent by op). POST(name, to, from). `to` AUTH etc.; FRONTS and ROLES for posts towards callers. */
#define IPC_TABLE(CALL, POST)                                                                                          \
    CALL(rcpt_check, ROLE_AUTH, ROLES_FRONT | FROM_STORE, 1)                                                           \
    CALL(identity, ROLE_AUTH, FROM_FRONT_USER, 1)                                                                      \
    CALL(rcpt_near, ROLE_AUTH, FROM_FRONT_USER, 1)                                                                     \
    CALL(srs_make, ROLE_AUTH, FROM_STORE, 1)                                                                           \
    CALL(account_find, ROLE_AUTH, FROM_STORE, 1)                                                                       \
    CALL(sasl, ROLE_AUTH, ROLES_FRONT, 0)                                                                              \
    POST(logout, ROLE_AUTH, ROLES_FRONT)                                                                               \
    POST(uid_login, ROLE_FRONT_USER, FROM_AUTH)                                                                        \
    CALL(tls_chains, ROLE_AUTH, ROLES_FRONT, 1)                                                                        \
    CALL(tls_sign, ROLE_AUTH, ROLES_FRONT, 1)                                                                          \
    CALL(domain_add, ROLE_AUTH, FROM_ADMIN, 0)                                                                         \
    CALL(domain_list, ROLE_AUTH, FROM_ADMIN, 1)                                                                        \
    CALL(domain_admin, ROLE_AUTH, FROM_ADMIN, 1)                                                                       \
    CALL(domain_remove, ROLE_AUTH, FROM_ADMIN, 0)                                                                      \
    CALL(domain_alias_add, ROLE_AUTH, FROM_ADMIN, 0)                                                                   \
    CALL(domain_alias_list, ROLE_AUTH, FROM_ADMIN, 1)                                                                  \
    CALL(domain_alias_remove, ROLE_AUTH, FROM_ADMIN, 0)                                                                \
    CALL(account_add, ROLE_AUTH, FROM_ADMIN, 0)                                                                        \
    CALL(account_list, ROLE_AUTH, FROM_ADMIN, 1)                                                                       \
    CALL(account_passwd, ROLE_AUTH, FROM_ADMIN, 0)                                                                     \
    CALL(account_state, ROLE_AUTH, FROM_ADMIN, 1)                                                                      \
    CALL(account_remove, ROLE_AUTH, FROM_ADMIN, 0)                                                                     \
    CALL(app_password_add, ROLE_AUTH, FROM_ADMIN, 0)                                                                   \
    CALL(app_password_list, ROLE_AUTH, FROM_ADMIN, 1)                                                                  \
    CALL(app_password_remove, ROLE_AUTH, FROM_ADMIN, 0)                                                                \
    CALL(logins, ROLE_AUTH, FROM_FRONT_USER | FROM_ADMIN, 1)                                                           \
    CALL(alias_add, ROLE_AUTH, FROM_ADMIN, 0)                                                                          \
    CALL(alias_list, ROLE_AUTH, FROM_ADMIN, 1)                                                                         \
    CALL(alias_remove, ROLE_AUTH, FROM_ADMIN, 0)                                                                       \
    CALL(summarize, ROLE_SCAN, ROLES_FRONT | FROM_STORE, 0)                                                            \
    CALL(scan_submit, ROLE_SCAN, FROM_FRONT_USER, 0)                                                                   \
    CALL(scan_match, ROLE_SCAN, FROM_FRONT_USER | FROM_STORE, 0)                                                       \
    CALL(scan_text, ROLE_SCAN, FROM_STORE, 0)                                                                          \
    CALL(scan_fields, ROLE_SCAN, FROM_FRONT_USER | FROM_STORE, 0)                                                      \
    CALL(scan_read, ROLE_SCAN, FROM_FRONT_USER | FROM_STORE, 0)                                                        \
    CALL(scan_surrogate, ROLE_SCAN, FROM_FRONT_USER, 0)                                                                \
    POST(session_add, ROLE_STORE, FROM_AUTH)                                                                           \
    POST(session_end, ROLE_STORE, FROM_AUTH)                                                                           \
    POST(account_gone, ROLE_STORE, FROM_AUTH)                                                                          \
    CALL(ingest, ROLE_STORE, ROLES_FRONT, 1)                                                                           \
    CALL(spool_write, ROLE_STORE, ROLES_FRONT, 0)                                                                      \
    CALL(spool_lend, ROLE_STORE, ROLES_FRONT, 0)                                                                       \
    POST(spool_drop, ROLE_STORE, ROLES_FRONT)                                                                          \
    CALL(mailbox_list, ROLE_STORE, FROM_FRONT_USER, 1)                                                                 \
    CALL(mailbox_lock, ROLE_STORE, FROM_FRONT_USER, 1)                                                                 \
    CALL(member_scan, ROLE_STORE, FROM_FRONT_USER, 1)                                                                  \
    CALL(member_view, ROLE_STORE, FROM_FRONT_USER, 1)                                                                  \
    CALL(email_read, ROLE_STORE, FROM_FRONT_USER, 1)                                                                   \
    CALL(email_slices, ROLE_STORE, FROM_FRONT_USER, 1)                                                                 \
    CALL(search, ROLE_STORE, FROM_FRONT_USER, 1)                                                                       \
    CALL(search_fill, ROLE_STORE, FROM_FRONT_USER, 1)                                                                  \
    CALL(flags_set, ROLE_STORE, FROM_FRONT_USER, 1)                                                                    \
    CALL(expunge, ROLE_STORE, FROM_FRONT_USER, 1)                                                                      \
    CALL(append, ROLE_STORE, FROM_FRONT_USER, 1)                                                                       \
    CALL(copy, ROLE_STORE, FROM_FRONT_USER, 1)                                                                         \
    CALL(mailbox_create, ROLE_STORE, FROM_FRONT_USER, 1)                                                               \
    CALL(mailbox_set, ROLE_STORE, FROM_FRONT_USER, 1)                                                                  \
    CALL(mailbox_remove, ROLE_STORE, FROM_FRONT_USER, 1)                                                               \
    CALL(email_get, ROLE_STORE, FROM_FRONT_USER, 1)                                                                    \
    CALL(thread_get, ROLE_STORE, FROM_FRONT_USER, 1)                                                                   \
    CALL(blob_put, ROLE_STORE, FROM_FRONT_USER, 1)                                                                     \
    CALL(blob_get, ROLE_STORE, FROM_FRONT_USER, 1)                                                                     \
    CALL(quota_get, ROLE_STORE, FROM_FRONT_USER, 1)                                                                    \
    CALL(kv_get, ROLE_STORE, FROM_FRONT_USER | FROM_RELAY, 1)                                                          \
    CALL(kv_set, ROLE_STORE, FROM_FRONT_USER | FROM_ADMIN | FROM_RELAY, 1)                                             \
    CALL(kv_list, ROLE_STORE, FROM_FRONT_USER, 1)                                                                      \
    CALL(quota_set, ROLE_STORE, FROM_ADMIN, 1)                                                                         \
    CALL(recount, ROLE_STORE, FROM_ADMIN, 1)                                                                           \
    CALL(changes, ROLE_STORE, FROM_FRONT_USER, 1)                                                                      \
    CALL(watch, ROLE_STORE, FROM_FRONT_USER, 1)                                                                        \
    POST(changed, ROLE_FRONT_USER, FROM_STORE)                                                                         \
    CALL(room, ROLE_STORE, ROLES_FRONT, 1)                                                                             \
    CALL(send_check, ROLE_STORE, FROM_FRONT_USER, 1)                                                                   \
    CALL(queue_domains, ROLE_STORE, FROM_RELAY, 1)                                                                     \
    POST(queue_ready, ROLE_RELAY, FROM_STORE)                                                                          \
    CALL(queue_lease, ROLE_STORE, FROM_RELAY, 0)                                                                       \
    POST(queue_return, ROLE_STORE, FROM_RELAY)                                                                         \
    CALL(queue_read, ROLE_STORE, FROM_RELAY, 1)                                                                        \
    CALL(queue_note, ROLE_STORE, FROM_RELAY, 1)                                                                        \
    CALL(queue_list, ROLE_STORE, FROM_ADMIN, 1)                                                                        \
    CALL(queue_change, ROLE_STORE, FROM_ADMIN, 0)                                                                      \
    CALL(queue_suspend, ROLE_STORE, FROM_ADMIN, 1)                                                                     \
    CALL(events, ROLE_STORE, FROM_FRONT_USER | FROM_ADMIN, 1)                                                          \
    POST(event_note, ROLE_STORE, FROM_FRONT_USER)                                                                      \
    CALL(dns, ROLE_RELAY, ROLES_FRONT | ROLE_BIT(ROLE_SCAN), 1)                                                        \
    CALL(verify, ROLE_STORE, FROM_ADMIN, 0)                                                                            \
    CALL(backup_begin, ROLE_STORE, FROM_ADMIN, 0)                                                                      \
    CALL(backup_list, ROLE_STORE, FROM_ADMIN, 0)                                                                       \
    CALL(backup_read, ROLE_STORE, FROM_ADMIN, 0)                                                                       \
    CALL(backup_end, ROLE_STORE, FROM_ADMIN, 0)                                                                        \
    CALL(auth_backup, ROLE_AUTH, FROM_ADMIN, 0)                                                                        \
    CALL(store_stats, ROLE_STORE, FROM_ADMIN, 1)                                                                       \
    POST(ctl_config, ROLE_COUNT, FROM_MASTER)                                                                          \
    POST(ctl_self, ROLE_COUNT, FROM_MASTER)                                                                            \
    POST(ctl_peer, ROLE_COUNT, FROM_MASTER)                                                                            \
    POST(ctl_listener, ROLE_COUNT, FROM_MASTER)                                                                        \
    POST(ctl_admin, ROLE_COUNT, FROM_MASTER)                                                                           \
    POST(ctl_uid, ROLE_AUTH, FROM_MASTER)                                                                              \
    POST(ctl_page, ROLE_COUNT, FROM_MASTER)                                                                            \
    POST(ctl_go, ROLE_COUNT, FROM_MASTER)                                                                              \
    POST(ctl_stop, ROLE_COUNT, FROM_MASTER)                                                                            \
    POST(ctl_reload, ROLE_COUNT, FROM_MASTER)                                                                          \
    POST(ctl_ready, ROLE_MASTER, FROM_ROLES)                                                                           \
    POST(ctl_retire, ROLE_MASTER, ROLE_BIT(ROLE_SCAN))

/* ---- values of the u32 fields ------------------------------------------------------------------------------------- */

enum rcpt_status {
    RCPT_OK,
    RCPT_NO_USER,    /* 550 5.1.1 */
    RCPT_NOT_OURS,   /* no domain of ours: 550 5.7.1 relaying denied on port 25 (SEC-15) */
    RCPT_DISABLED,   /* 550 5.2.1 */
    RCPT_LOOP,       /* aliases run in a circle or expand beyond the limits: 550 5.4.6 */
};

enum rcpt_flag { RCPT_EXPANDED = 1 }; /* an alias with several targets */

/* RFC 3461 4.1; NEVER excludes the others. */
enum dsn_notify { DSN_NEVER = 1, DSN_SUCCESS = 2, DSN_FAILURE = 4, DSN_DELAY = 8 };
enum dsn_ret { DSN_RET_NONE, DSN_RET_FULL, DSN_RET_HDRS };
enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED, DSN_RELAYED, DSN_EXPANDED }; /* RFC 3464 2.3.3 */

enum envelope_flag {
    ENVELOPE_SMTPUTF8 = 1, /* RFC 6531 3.4: asked for, and an address or the header is not ASCII */
    ENVELOPE_8BIT = 2,     /* BODY=8BITMIME, or scan found bytes above 127 */
    ENVELOPE_VERIFIED = 4, /* the sender is who it says: logged in, later SPF or DMARC: it may get reports (SEC-19) */
    ENVELOPE_REPORT = 8,   /* made by us: never causes another one */
};

enum submit_fault { SUBMIT_NO_FROM = 1, SUBMIT_MANY_FROM = 2, SUBMIT_BAD_FROM = 4, SUBMIT_FULL = 8 /* header limits */ };
enum send_refusal { SEND_OK, SEND_MESSAGES, SEND_NEW_RCPTS };

enum queue_state { QUEUE_WAITING, QUEUE_LEASED, QUEUE_HELD };
enum queue_outcome {
    QUEUE_DELIVERED, /* the far side took it */
    QUEUE_DEFERRED,  /* try again at due_ms */
    QUEUE_FAILED,    /* never */
    QUEUE_UNTRIED,   /* nothing of it went out: as it was before its attempt */
};
enum queue_done_flag {
    QUEUE_DSN_SENT = 1,   /* the far side takes care of NOTIFY: it announced DSN (RFC 3461 5.2.2) */
    QUEUE_MAYBE_SENT = 2, /* the connection broke between the final dot and its answer: EVENT_MAYBE_TWICE (RFC 1047) */
};
enum queue_action { QUEUE_HOLD, QUEUE_RELEASE, QUEUE_RETRY, QUEUE_DROP, QUEUE_BOUNCE, QUEUE_ROUTE };

enum event_kind {
    EVENT_RECEIVED = 1, /* from host, with tls, size, sender; text: who logged in there; no host: a report, made here */
    EVENT_STORED,       /* in a mailbox of ours */
    EVENT_QUEUED,       /* for an address elsewhere */
    EVENT_ATTEMPT,      /* the final dot may follow */
    EVENT_DELIVERED,    /* the far side's answer in code, status, text */
    EVENT_DEFERRED,     /* until due_ms */
    EVENT_FAILED,
    EVENT_EXPIRED,      /* failed, for it waited too long */
    EVENT_REPORTED,     /* a DSN about address was made: text says for whom, of which kind, and its trace id */
    EVENT_HELD, EVENT_RELEASED, EVENT_DROPPED, EVENT_ROUTED, /* by a person */
    EVENT_MAYBE_TWICE,  /* an attempt ended without an answer: what follows may be a second copy (REL-03) */
    EVENT_FORWARDED,    /* an address leads to another: text has that one, and the reverse-path when it is elsewhere */
    EVENT_REFUSED,      /* a submission was turned away */
    EVENT_TRIED,        /* a host was asked and did not take it, others were left to ask: its answer in code, status, text */
};

enum dns_status {
    DNS_OK,
    DNS_NODATA,   /* the name is there, this type is not */
    DNS_NXDOMAIN,
    DNS_SERVFAIL, /* try again later; also all that did not answer in time */
    DNS_BOGUS,    /* signed, and wrong: to be treated as SERVFAIL (RFC 7672 2.1.1) */
};

enum app_scope { APP_SCOPE_IMAP = 1, APP_SCOPE_POP3 = 2, APP_SCOPE_SMTP = 4, APP_SCOPE_ALL = 7 };
enum login_result { LOGIN_OK, LOGIN_BAD, LOGIN_BUSY /* too many attempts: not even looked at */ };

enum sasl_state {
    SASL_OK,
    SASL_MORE,   /* send `challenge`, call again with `dialog` */
    SASL_BAD,    /* unknown user, wrong password, disabled: one answer for all (SEC-13) */
    SASL_BUSY,   /* throttled or the queue of checks is full: temporary, RFC 3206 [SYS/TEMP] */
    SASL_SYNTAX, /* not what the mechanism's RFC allows */
    SASL_MECH,   /* no such mechanism */
};

/* SASL_PLUS: a -PLUS mechanism was announced to this client (RFC 5802 6: a 'y' flag is then an attack). binding: the
 * channel's tls-exporter bytes (RFC 9266), empty without TLS 1.3. */
enum sasl_flag { SASL_IN_TLS = 1, SASL_LOOPBACK = 2, SASL_PLUS = 4 };

enum member_flag {
    FLAG_SEEN = 1,
    FLAG_ANSWERED = 2,
    FLAG_FLAGGED = 4,
    FLAG_DELETED = 8,
    FLAG_DRAFT = 16,
};

enum flags_mode { FLAGS_ADD, FLAGS_REMOVE, FLAGS_REPLACE };
enum member_want {
    WANT_ENVELOPE = 1, WANT_STRUCTURE = 2, WANT_HEADERS = 4, WANT_PREVIEW = 8, WANT_THREAD = 16, WANT_SUMMARY = 32
};
enum change_kind { CHANGE_ADDED, CHANGE_FLAGS, CHANGE_EXPUNGED, CHANGE_MAILBOX, CHANGE_MAILBOX_ADDED, CHANGE_MAILBOX_GONE };
enum expunge_flag { EXPUNGE_ONLY_DELETED = 1 };             /* those with \Deleted, of those asked for */
enum mailbox_set_what { MAILBOX_SET_PARENT = 1, MAILBOX_SET_NAME = 2, MAILBOX_SET_ROLE = 4, MAILBOX_SET_SUBSCRIBED = 8 };
enum mailbox_remove_flag { MAILBOX_REMOVE_MESSAGES = 1 };   /* else one that holds messages is refused */
enum mailbox_role { MAILBOX_PLAIN, MAILBOX_INBOX, MAILBOX_DRAFTS, MAILBOX_SENT, MAILBOX_JUNK, MAILBOX_TRASH, MAILBOX_ARCHIVE };

#endif
