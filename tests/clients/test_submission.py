"""Submission by real clients: swaks, msmtp, curl, smtplib and nodemailer; by STARTTLS and in TLS; what is repaired and refused."""
import email
import email.policy
import os
import poplib
import re
import smtplib
import ssl
import subprocess

import pytest

from lib import npm
from lib.server import PASSWORD, Server

CONTEXT = ssl.create_default_context()
CONTEXT.check_hostname = False
CONTEXT.verify_mode = ssl.CERT_NONE  # the server's own self-signed certificate


@pytest.fixture(scope="module")
def box():
    with Server(accounts=("alice", "bob", "carol")) as server:
        server.cli("alias", "add", "sales@example.test", "alice@example.test")
        yield server


def run(*command, input=None, check=True):
    done = subprocess.run(command, input=input, capture_output=True, text=True, timeout=60)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}\nstatus {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def inbox(server, who):
    pop = poplib.POP3("127.0.0.1", server.port["pop3"], timeout=30)
    pop.user(f"{who}@example.test")
    pop.pass_(PASSWORD)
    found = [email.message_from_bytes(b"\r\n".join(pop.retr(n)[1]) + b"\r\n") for n in range(1, pop.stat()[0] + 1)]
    for n in range(1, len(found) + 1):
        pop.dele(n)
    pop.quit()
    return found


def the_one(server, who, subject):
    [mail] = inbox(server, who)
    assert mail["Subject"] == subject
    received = " ".join(mail["Received"].split())
    # nobody learns where our own people write from (FEATURES: client address hidden)
    assert received.startswith("from mx.example.test by mx.example.test with ESMTP"), received
    assert "127.0.0.1" not in mail.as_string()
    return mail


@pytest.mark.parametrize("service, tls, word", [("submission", "--tls", "ESMTPSA"), ("submissions", "--tlsc", "ESMTPSA"),
                                                ("submission", None, "ESMTPA")])
def test_swaks(box, service, tls, word):
    run("swaks", "--server", f"127.0.0.1:{box.port[service]}", "--from", "alice@example.test", "--to", "bob@example.test",
        "--auth", "PLAIN", "--auth-user", "alice@example.test", "--auth-password", PASSWORD,
        "--header", f"Subject: swaks {service}", *([tls] if tls else []))
    assert word in the_one(box, "bob", f"swaks {service}")["Received"]


@pytest.mark.parametrize("service, starttls", [("submission", "on"), ("submissions", "off")])
def test_msmtp(box, service, starttls, tmp_path):
    run("msmtp", "--host=127.0.0.1", f"--port={box.port[service]}", "--from=alice@example.test", "--auth=plain",
        "--user=alice@example.test", f"--passwordeval=echo {PASSWORD}", "--tls=on", f"--tls-starttls={starttls}",
        "--tls-certcheck=off", "bob@example.test",
        input="From: alice@example.test\nTo: bob@example.test\nBcc: carol@example.test\nSubject: msmtp\n\nx\n")
    mail = the_one(box, "bob", "msmtp")
    assert mail["Bcc"] is None and mail["Return-Path"] == "<alice@example.test>"


def test_curl(box, tmp_path):
    file = tmp_path / "m.eml"
    file.write_bytes(b"From: alice@example.test\r\nSubject: curl\r\n\r\nx\r\n")
    run("curl", "-sSk", "--mail-from", "alice@example.test", "--mail-rcpt", "bob@example.test", "-T", str(file),
        "--user", f"alice@example.test:{PASSWORD}", f"smtps://127.0.0.1:{box.port['submissions']}/client.example.org")
    the_one(box, "bob", "curl")


def test_nodemailer(box):
    npm.install()
    for service in ("submission", "submissions"):
        said = npm.run("nodemailer.js", {"port": box.port[service], "secure": service == "submissions",
                                         "user": "alice@example.test", "pass": PASSWORD, "to": "bob@example.test",
                                         "subject": f"nodemailer {service}"})
        assert said["accepted"] == ["bob@example.test"] and re.match(r"250 2\.0\.0 ", said["response"])
        mail = the_one(box, "bob", f"nodemailer {service}")
        assert mail.get_payload()[1].get_filename() == "Grüße.txt"


def login(server, who="alice"):
    smtp = smtplib.SMTP("127.0.0.1", server.port["submission"], "client.example.org", timeout=30)
    smtp.starttls(context=CONTEXT)
    smtp.login(f"{who}@example.test", PASSWORD)
    return smtp


def test_did_you_mean(box):
    """A slip in a colleague's name is pointed out to who has logged in, and to nobody else (no names for strangers)."""
    with login(box) as smtp:
        smtp.mail("alice@example.test")
        assert smtp.rcpt("crol@example.test") == (550, b"5.1.1 No such user here. Did you mean carol@example.test?")
        assert smtp.rcpt("Cralo@example.test") == (550, b"5.1.1 No such user here")
    for service in ("smtp", "submission"):
        with smtplib.SMTP("127.0.0.1", box.port[service], "client.example.org", timeout=30) as smtp:
            smtp.ehlo()
            smtp.mail("alice@example.test")
            assert b"carol" not in smtp.rcpt("crol@example.test")[1]


def test_repair(box):
    """RFC 6409 8: Date and Message-ID are added where they are missing and left where they are; Bcc goes."""
    with login(box) as smtp:
        smtp.sendmail("alice@example.test", ["bob@example.test", "carol@example.test"],
                      b"From: Alice <alice@example.test>\r\nTo: bob@example.test\r\nBcc: carol@example.test,\r\n dave@example.test\r\nSubject: bare\r\n\r\ntext\r\n")
        smtp.sendmail("alice@example.test", ["bob@example.test"],
                      b"Date: Tue, 24 Nov 2026 20:17:00 +0000\r\nMessage-ID: <mine@example.test>\r\nFrom: sales@example.test\r\nSubject: whole\r\n\r\ntext\r\n")
    bare, whole = inbox(box, "bob")
    assert bare["Bcc"] is None and bare["Message-ID"].endswith("@mx.example.test>") and bare["Date"]
    assert bare["To"] == "bob@example.test" and bare.get_payload() == "text\r\n"
    assert whole["Message-ID"] == "<mine@example.test>" and whole["Date"] == "Tue, 24 Nov 2026 20:17:00 +0000"
    assert len(inbox(box, "carol")) == 1


@pytest.mark.parametrize("head, says", [
    (b"From: bob@example.test\r\n", b"not yours"),
    (b"From: alice@example.test, bob@example.test\r\n", b"not yours"),
    (b"From: alice@example.test\r\nSender: bob@example.test\r\n", b"not yours"),
    (b"From: alice@example.test\r\nFrom: alice@example.test\r\n", b"more than one From"),
    (b"Subject: x\r\n", b"no From"),
    (b"From: nobody\r\n", b""),
    (b"From: \"alice@example.test\" <ceo@bank.example>\r\n", b"not yours"),
])
def test_authors(box, head, says):
    """SEC-15: whoever the message names as its author is the login."""
    with login(box) as smtp:
        with pytest.raises(smtplib.SMTPDataError) as e:
            smtp.sendmail("alice@example.test", ["carol@example.test"], head + b"\r\ntext\r\n")
    assert 500 <= e.value.smtp_code < 600 and says in e.value.smtp_error, e.value
    assert inbox(box, "carol") == []


def test_identities(box):
    """The reverse-path: the account's address, a subaddress of it, an alias to it alone; nobody else's."""
    with login(box) as smtp:
        for own in ("alice@example.test", "ALICE@Example.Test", "alice+tag@example.test", "sales@example.test"):
            assert smtp.mail(own)[0] == 250, own
            smtp.rset()
        for other in ("bob@example.test", "alice@example.org", "postmaster@example.net", "alice@example.test.example.org",
                      "nobody@example.test"):
            code, text = smtp.mail(other)
            assert code == 550 and b"alice@example.test" in text, other
