"""smtp.check_sender: a sender whose domain is not there, or says that it takes no mail, is refused (RFC 7505 4.2), and whom
DNS tells nothing about is not. Nobody is asked where the option is off, on other services, or when there is no name."""
import smtplib

import pytest

from lib.dns import standard
from lib.server import Server

SENDERS = {
    "jon@example.test": (250, "2.1.0"), # MX
    "jon@EXAMPLE.Test": (250, "2.1.0"),
    "jon@mx1.example.test": (250, "2.1.0"), # an address only (RFC 5321 5.1)
    "jon@alias.example.test": (250, "2.1.0"), # a CNAME, and an address there
    "jon@plain.test": (250, "2.1.0"), # not signed
    "jon@xn--bcher-kva.example.test": (250, "2.1.0"),
    "jon@nowhere.example.test": (550, "5.1.8"),
    "jon@nowhere.test": (550, "5.1.8"),
    "jon@text.example.test": (550, "5.1.8"), # a name without MX and address
    "jon@ent.example.test": (550, "5.1.8"),
    "jon@lost.example.test": (550, "5.1.8"), # a CNAME that leads nowhere
    "jon@null.example.test": (550, "5.7.27"),
    "jon@servfail.test": (250, "2.1.0"), # nobody knows now
    "jon@refused.test": (250, "2.1.0"),
    "jon@bogus.test": (250, "2.1.0"),
    "jon@[192.0.2.1]": (250, "2.1.0"),
    "": (250, "2.1.0"),
}


@pytest.fixture(scope="module")
def tree():
    with standard() as tree:
        tree.mail("xn--bcher-kva.example.test")
        yield tree


@pytest.fixture(scope="module")
def server(tree):
    with Server({"smtp.check_sender": "yes", "dns.timeout": "60"}, dns=tree) as server:
        yield server


def mail(smtp, sender, *options):
    smtp.rset()
    code, text = smtp.docmd("MAIL", " ".join([f"FROM:<{sender}>", *options]))
    return code, text.decode().split()[0]


@pytest.mark.parametrize("sender", SENDERS)
def test_sender(server, sender):
    with smtplib.SMTP("127.0.0.1", server.port["smtp"], timeout=60) as smtp:
        smtp.ehlo("client.example.org")
        assert mail(smtp, sender) == SENDERS[sender]
        code, _ = smtp.docmd("RCPT", "TO:<alice@example.test>")
        assert code == (250 if SENDERS[sender][0] == 250 else 503) # a refused sender begins nothing


def test_in_other_letters(server):
    """RFC 5890: a domain is asked for by its A-labels."""
    with smtplib.SMTP("127.0.0.1", server.port["smtp"], timeout=60) as smtp:
        smtp.ehlo("client.example.org")
        for domain, want in (("bücher.example.test", (250, "2.1.0")), ("bäcker.example.test", (550, "5.1.8"))):
            smtp.rset()
            smtp.send(f"MAIL FROM:<jon@{domain}> SMTPUTF8\r\n".encode())
            code, text = smtp.getreply()
            assert (code, text.decode().split()[0]) == want


def test_the_log_says_why(server):
    start = len(server.log_text())
    with smtplib.SMTP("127.0.0.1", server.port["smtp"], timeout=60) as smtp:
        smtp.ehlo("client.example.org")
        mail(smtp, "jon@null.example.test")
    assert [line for line in server.log_text(start).splitlines()
            if "ev=smtp.mail" in line and "from=jon@null.example.test" in line and "why=5.7.27" in line]


def asked(tree, name):
    return sum(n for (other, _), n in tree.asked.items() if other == name)


def test_others_are_not_asked(tree, server):
    """LMTP takes what its own side sends."""
    with smtplib.LMTP("127.0.0.1", server.port["lmtp"], local_hostname="client.example.org") as lmtp:
        lmtp.ehlo("client.example.org")
        assert mail(lmtp, "jon@one.nowhere.test") == (250, "2.1.0")
    assert asked(tree, "one.nowhere.test") == 0


def test_no_answer(tree):
    """Who is not told in time waits dns.timeout and takes the mail."""
    with (Server({"smtp.check_sender": "yes", "dns.timeout": "1"}, dns=tree, accounts=()) as server,
          smtplib.SMTP("127.0.0.1", server.port["smtp"], timeout=60) as smtp):
        smtp.ehlo("client.example.org")
        assert mail(smtp, "jon@drop.test") == (250, "2.1.0")
    assert asked(tree, "drop.test") > 0


def test_off(tree):
    with Server(dns=tree, accounts=()) as server, smtplib.SMTP("127.0.0.1", server.port["smtp"], timeout=60) as smtp:
        smtp.ehlo("client.example.org")
        for sender in ("jon@two.nowhere.test", "jon@null.example.test"):
            assert mail(smtp, sender) == (250, "2.1.0")
    assert asked(tree, "two.nowhere.test") == 0
