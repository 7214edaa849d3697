"""postel quota: limits are shown, set and kept; a counter that is wrong is found and corrected while serving (RFC 9208)."""
import imaplib
import smtplib
import sqlite3

import pytest

from lib.server import PASSWORD, Server


def send(server, n=1):
    with smtplib.SMTP("127.0.0.1", server.port["smtp"]) as smtp:
        for i in range(n):
            smtp.sendmail("carol@example.org", ["alice@example.test"], f"Subject: {i}\r\n\r\n{'x' * 500}\r\n")


def shown(server, *args):
    """{what: (used, limit)}"""
    rows = [line.split("\t") for line in server.cli("quota", *args, "--plain").splitlines()]
    return {row[0]: (int(row[1]), row[2]) for row in rows}


def test_quota_from_the_command_line():
    with Server() as server:
        nothing = {"bytes": (0, "none"), "messages": (0, "none")}
        assert shown(server, "show", "bob@example.test") == nothing
        send(server, 3)
        found = shown(server, "show", "alice@example.test")
        assert found["messages"] == (3, "none") and 1500 < found["bytes"][0] < 3000
        found = shown(server, "set", "Alice@Example.Test", "--messages", "4")
        assert found["messages"] == (3, "4") and found["bytes"][1] == "none"
        send(server)
        with pytest.raises(smtplib.SMTPDataError) as refused:
            send(server)
        assert refused.value.smtp_code == 552
        imap = imaplib.IMAP4("127.0.0.1", server.port["imap"])
        imap.login("alice@example.test", PASSWORD)
        status, text = imap.append("INBOX", None, None, b"Subject: x\r\n\r\nx\r\n")
        assert status == "NO" and b"[OVERQUOTA]" in text[0]
        found = shown(server, "set", "alice@example.test", "--bytes", "1KiB", "--messages", "none")
        assert found["bytes"][1] == "1024" and found["bytes"][0] > 1024 and found["messages"] == (4, "none")
        with pytest.raises(smtplib.SMTPDataError):
            send(server)
        shown(server, "set", "alice@example.test", "--bytes", "none")
        send(server)
        imap.logout()
        assert server.cli("quota", "recount", "alice@example.test") == "5 messages counted; all counters were right.\n"
        assert server.cli("quota", "recount", "bob@example.test") == "0 messages counted; all counters were right.\n"
        server.stop()
        db = sqlite3.connect(f"{server.data}/store/index.db")
        db.execute("UPDATE mailbox SET total = total + 7, size = 1 WHERE total > 0")
        db.commit()
        db.close()
        server.start()
        assert shown(server, "show", "alice@example.test")["messages"][0] == 12
        said = server.cli("quota", "recount", "alice@example.test")
        assert said == "5 messages counted; 2 counters were wrong and are right now.\n"
        assert shown(server, "show", "alice@example.test")["messages"][0] == 5
        assert "ev=store.recount" in server.log_text()


def test_what_quota_refuses():
    with Server() as server:
        for args, want in ((("show", "carol@example.test"), "there is no account carol@example.test"),
                           (("set", "alice@example.test"), "say what to set"),
                           (("set", "alice@example.test", "--bytes", "many"), "is a size"),
                           (("set", "alice@example.test", "--messages", "-1"), "is a number"),
                           (("recount", "nobody@example.test"), "there is no account")):
            done = server.cli("quota", *args, check=False)
            assert done.returncode != 0 and want in done.stderr, done.stderr
