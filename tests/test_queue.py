"""The queue from outside: mail for elsewhere comes in, people look at it and change it, reports come back, the trace tells it."""
import base64
import email
import email.policy
import imaplib
import smtplib
import sqlite3
import time

import pytest

from lib.dns import Dns
from lib.server import PASSWORD, Server

TEXT = "From: <alice@example.test>\r\nTo: <x@elsewhere.test>\r\nSubject: away\r\nMessage-ID: <away@example.test>\r\n\r\nthe body\r\n"
GONE = "gone-\u00fc.test".encode("idna").decode()


@pytest.fixture(scope="module")
def server():
    tree = Dns()
    away = ("elsewhere.test", "third.test", GONE)
    for domain in away:
        tree.zone(domain, secure=False)
        tree.mail(domain)
    with tree, Server({"limits.dsn_gather_ms": "0"}, dns=tree) as s:
        for domain in away:
            s.cli("queue", "suspend", domain)  # nothing is tried: this is not relay's test
        yield s


def submit(server, to, text=TEXT, options=(), mail=()):
    with smtplib.SMTP("127.0.0.1", server.port["submission"], timeout=30) as smtp:
        smtp.login("alice@example.test", PASSWORD)
        smtp.ehlo()
        dsn = smtp.has_extn("dsn")
        smtp.sendmail("alice@example.test", to, text, mail_options=mail if dsn else (), rcpt_options=options if dsn else ())
        return dsn


def rows(server, *args):
    return [line.split("\t") for line in server.cli("queue", "list", *args, "--plain").splitlines()]


def inbox(server, name="alice", want=1):
    """Messages of the INBOX, with their flags, once there are so many."""
    for _ in range(100):
        box = imaplib.IMAP4("127.0.0.1", server.port["imap"])
        box.login(name + "@example.test", PASSWORD)
        box.select("INBOX")
        found = []
        for n in box.search(None, "ALL")[1][0].split():
            answer = box.fetch(n, "(FLAGS BODY.PEEK[])")[1]
            flags = b" ".join(a if isinstance(a, bytes) else a[0] for a in answer)
            found.append((flags, email.message_from_bytes(answer[0][1], policy=email.policy.SMTP)))
        box.logout()
        if len(found) >= want:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{len(found)} messages\n" + server.log_tail())


def wait_for(what, seconds=20):
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.1)
    return what()


def drop_all(server):
    server.cli("queue", "drop", "--all")


def test_in_and_out(server):
    submit(server, ["x@elsewhere.test", "y@elsewhere.test", "bob@example.test"])
    listed = rows(server)
    assert sorted(r[6] for r in listed) == ["<x@elsewhere.test>", "<y@elsewhere.test>"]
    assert {r[1] for r in listed} == {"waiting"} and {r[5] for r in listed} == {"<alice@example.test>"}
    trace = listed[0][0]
    assert "x@elsewhere.test" in server.cli("queue", "show", trace)
    assert inbox(server, "bob")[0][1]["subject"] == "away"
    told = server.cli("trace", trace)
    for words in ("received from", "<bob@example.test>: put into the mailbox", "<x@elsewhere.test>: accepted for sending on"):
        assert words in told
    assert server.cli("trace", "<away@example.test>") == told == server.cli("trace", "away@example.test")
    assert "y@elsewhere.test" not in server.cli("trace", "x@elsewhere.test", "--since", "1h")
    assert trace in server.cli("trace", "last")
    steps = [line.split("\t") for line in server.cli("trace", trace, "--plain").splitlines()]
    assert [s[2] for s in steps] == ["received", "stored", "queued", "queued"]
    drop_all(server)
    assert rows(server) == []
    assert server.cli("trace", trace).count("removed from the queue") == 2
    assert server.cli("trace", "nobody@nowhere.test", check=False).returncode == 1


def test_filters(server):
    for i in range(3):
        submit(server, [f"u{i}@elsewhere.test"])
    assert len(rows(server, "--to", "u1@elsewhere.test")) == 1
    assert "3 recipients held" in server.cli("queue", "hold", "--domain", "elsewhere.test", "--for", "2h")
    assert len(rows(server, "--state", "held")) == 3
    assert server.cli("queue", "release", "--to", "u2@elsewhere.test").startswith("1 ")
    assert len(rows(server, "--state", "held", "--from", "*@example.test")) == 2
    server.cli("queue", "route", "127.0.0.1:9", "--to", "u0@elsewhere.test")
    assert "127.0.0.1:9" in server.cli("queue", "show", rows(server, "--to", "u0@elsewhere.test")[0][0])
    assert server.cli("queue", "drop", check=False).returncode == 2  # what, all?
    assert server.cli("queue", "list", "--state", "lost", check=False).returncode == 2
    drop_all(server)


def test_a_report_comes_back(server):
    before = len(inbox(server, want=0))
    dsn = submit(server, ["x@elsewhere.test"], options=["ORCPT=rfc822;X@elsewhere.test"], mail=["RET=HDRS", "ENVID=env-7"])
    trace = rows(server)[0][0]
    assert server.cli("queue", "bounce", "--id", trace).startswith("1 ")
    flags, report = inbox(server, want=before + 1)[-1]
    assert b"$bounce" in flags.lower()
    assert report["return-path"] == "<>" and report["auto-submitted"] == "auto-replied" and not report.defects
    text, status, original = report.iter_parts()
    assert "Your message to <x@elsewhere.test> could not be delivered." in text.get_content()
    of_message, of_rcpt = status.get_payload()
    assert of_message["reporting-mta"] == "dns; mx.example.test" and of_rcpt["action"] == "failed"
    assert of_rcpt["final-recipient"] == "rfc822; x@elsewhere.test" and of_rcpt["status"] == "5.7.0"
    if dsn:
        assert of_message["original-envelope-id"] == "env-7" and of_rcpt["original-recipient"] == "rfc822;X@elsewhere.test"
        assert original.get_content_type() == "text/rfc822-headers" and "Subject: away" in original.get_payload()
    else:
        assert original.get_content_type() == "message/rfc822" and original.get_payload(0)["subject"] == "away"
    time.sleep(0.5)
    assert len(inbox(server)) == before + 1 and rows(server) == []
    told = server.cli("trace", trace)
    assert "failed for good" in told and "<x@elsewhere.test>: report sent to <alice@example.test> (failed; " in told


def test_a_report_answers_its_message(server):
    """RFC 3834 3.1.5: In-Reply-To and References lead to the message, and both are in one thread."""
    before = len(inbox(server, want=0))
    text = TEXT.replace("away@", "second@").replace("\r\n\r\n", "\r\nReferences: <zero@example.test>\r\n <first@example.test>\r\n\r\n")
    submit(server, ["x@elsewhere.test", "alice@example.test"], text)
    mine = inbox(server, want=before + 1)[-1][1]
    server.cli("queue", "bounce", "--to", "x@elsewhere.test")
    report = inbox(server, want=before + 2)[-1][1]
    assert mine["message-id"] == report["in-reply-to"] == "<second@example.test>"
    assert report["references"] == "<zero@example.test> <first@example.test> <second@example.test>"

    def threads():
        db = sqlite3.connect(f"file:{server.data}/store/index.db?mode=ro", uri=True)
        found = db.execute("SELECT thread FROM thread_email ORDER BY eid").fetchall()
        db.close()
        return found
    wait_for(lambda: len(threads()) >= before + 2)
    assert threads()[-1] == threads()[-2] and (before == 0 or threads()[-3] != threads()[-1])


def test_a_sender_with_an_idn(server):
    """RFC 6533: a domain of ours that is not ASCII, and one that was ours: its report waits for the A-labels of it."""
    for domain in ("m\u00fcnchen.test", "gone-\u00fc.test"):
        sender = "eva@" + domain
        server.cli("domain", "add", domain, "--admin", sender, "--password-stdin", input=PASSWORD + "\n")
        with smtplib.SMTP("127.0.0.1", server.port["submission"], timeout=30) as smtp:
            smtp.ehlo()
            plain = base64.b64encode(f"\0{sender}\0{PASSWORD}".encode()).decode()
            assert smtp.docmd("AUTH", "PLAIN " + plain)[0] == 235
            text = f"From: <{sender}>\r\nSubject: away\r\n\r\nx\r\n".encode()
            smtp.sendmail(sender, ["y@elsewhere.test"], text, mail_options=["SMTPUTF8", "BODY=8BITMIME"])
        if domain.startswith("gone"):
            server.cli("domain", "remove", domain, "--accounts", "--yes")
        server.cli("queue", "bounce", "--to", "y@elsewhere.test")
    box = imaplib.IMAP4("127.0.0.1", server.port["imap"])
    box.authenticate("PLAIN", lambda _: f"\0eva@m\u00fcnchen.test\0{PASSWORD}".encode())
    box.enable("UTF8=ACCEPT")

    def arrived():
        box.select("INBOX")
        return box.search(None, "ALL")[1][0]
    assert wait_for(arrived)
    report = box.fetch("1", "(BODY.PEEK[])")[1][0][1]
    assert "To: <eva@m\u00fcnchen.test>".encode() in report and b"y@elsewhere.test" in report
    box.logout()
    away = wait_for(lambda: rows(server, "--to", "eva@" + GONE))
    assert away and away[0][5] == "<>", server.cli("queue", "list") + server.log_tail()
    drop_all(server)


def test_success_is_told_when_asked(server):
    before = len(inbox(server, want=0))
    if not submit(server, ["bob@example.test"], options=["NOTIFY=SUCCESS"]):
        pytest.skip("the submission service does not announce DSN")
    _, report = inbox(server, want=before + 1)[-1]
    assert "is in the mailbox" in list(report.iter_parts())[0].get_content()


def test_forwards(server):
    server.cli("alias", "add", "away@example.test", "jon@elsewhere.test")
    with smtplib.SMTP("127.0.0.1", server.port["smtp"], timeout=30) as smtp:
        smtp.sendmail("eve@third.test", ["away@example.test"], "Subject: x\r\n\r\nbody\r\n")
        listed = rows(server)
        assert len(listed) == 1 and listed[0][6] == "<jon@elsewhere.test>"
        assert listed[0][5].startswith("<SRS0=") and listed[0][5].endswith("@example.test>")
        assert "forwarded to <jon@elsewhere.test>" in server.cli("trace", "eve@third.test")
        with pytest.raises(smtplib.SMTPDataError) as refused:  # it comes round again
            smtp.sendmail("eve@third.test", ["away@example.test"], "Delivered-To: away@example.test\r\nSubject: x\r\n\r\nbody\r\n")
        assert refused.value.smtp_code == 554 or b"5.4.6" in refused.value.smtp_error
        # the report about it is for who answers for the alias, not for a sender who may be anybody
        before = len(inbox(server, want=0))
        server.cli("queue", "bounce", "--all")
        assert "<jon@elsewhere.test>" in list(inbox(server, want=before + 1)[-1][1].iter_parts())[0].get_content()
        assert rows(server) == []
        # a bounce to the address that we made finds the way back
        smtp.sendmail("", [listed[0][5][1:-1]], "Subject: bounce\r\n\r\nbody\r\n")
        assert [r[6] for r in rows(server)] == ["<eve@third.test>"]
        with pytest.raises(smtplib.SMTPDataError):
            smtp.sendmail("spam@third.test", [listed[0][5][1:-1]], "Subject: spam\r\n\r\nbody\r\n")
    drop_all(server)


def test_what_is_queued_outlives_us(server):
    submit(server, ["x@elsewhere.test"])
    server.stop()
    server.start()
    assert [r[6] for r in rows(server)] == ["<x@elsewhere.test>"]
    server.cli("verify")  # fails when anything is wrong
    drop_all(server)
