"""SEC-15: a hundred ways to dress up a recipient so that a server relays; and as many senders that are not the login's.

Port 25 accepts none of them, and what it does accept stays here: the queue of outgoing mail holds nothing but the target of
the one alias that leads elsewhere. Behind a login the reverse-path and the From field must be the login's own."""
import base64
import re
import socket
import sqlite3

import pytest

from lib.server import PASSWORD, Server

LOGIN = b"AUTH PLAIN " + base64.b64encode(f"\0alice@example.test\0{PASSWORD}".encode())

# What stands behind "RCPT TO:"; ours are example.test, its other name alias.test, and 127.0.0.1.
RECIPIENTS = r"""
# nothing but a foreign domain
<victim@example.net>
<victim@EXAMPLE.NET>
<victim@mail.example.net>
<victim@localhost>
<victim@localhost.localdomain>
<victim@net>
<"victim"@example.net>
<"vic\tim"@example.net>
<"vic tim"@example.net>
<victim+bob@example.net>
<bob@example.net>
<postmaster@example.net>
<abuse@example.net>
# the percent hack (RFC 1123 5.2.16)
<victim%example.net@example.test>
<victim%example.net%example.test@example.test>
<victim%example.net@alias.test>
<victim%example.net@[127.0.0.1]>
<victim%example.net@mx.example.test>
<"victim%example.net"@example.test>
<victim%example.net%@example.test>
<%example.net@example.test>
<victim%example.net>
<"victim%example.net">
<victim%40example.net@example.test>
# bang paths
<example.net!victim>
<example.net!victim@example.test>
<example.test!example.net!victim@example.test>
<example.net!victim@[127.0.0.1]>
<"example.net!victim"@example.test>
<example.net!victim%example.test@example.test>
<example.net!bob@example.test>
<@example.test:example.net!victim@example.test>
<!example.net!victim@example.test>
# an @ that is not the last, in quotes or without
<"victim@example.net"@example.test>
<"victim@example.net"@[127.0.0.1]>
<"victim@example.net">
<"victim\@example.net"@example.test>
<victim\@example.net@example.test>
<victim@example.net@example.test>
<bob@example.test@example.net>
<"bob@example.test"@example.net>
<"bob@example.test,victim"@example.net>
<"victim@example.net "@example.test>
<" victim@example.net"@example.test>
<"\"victim@example.net\""@example.test>
<"<victim@example.net>"@example.test>
<"victim"@"example.net"@example.test>
<victim(@example.net)@example.test>
<bob@example.test(@example.net)>
<(bob@example.test)victim@example.net>
# source routes (RFC 5321 F.2): only the last address counts, and that is foreign
<@example.test:victim@example.net>
<@example.test,@example.net:victim@example.net>
<@[127.0.0.1]:victim@example.net>
<@mx.example.test:victim@example.net>
<@example.test:"victim"@example.net>
<@example.test:victim%example.net@example.test>
<@example.test:@example.net:victim@example.test>
<@example.net:victim@example.test>
<@example.test:victim>
<@example.test>
# literals: of others, and of ours with nobody behind
<victim@[192.0.2.1]>
<victim@[127.0.0.2]>
<victim@[127.0.0.1]>
<victim@[127.1]>
<victim@[0177.0.0.1]>
<victim@[2130706433]>
<victim@[0.0.0.0]>
<victim@[IPv6:::1]>
<victim@[IPv6:2001:db8::1]>
<victim@[IPv6:::ffff:192.0.2.1]>
<victim@[IPv6:::ffff:127.0.0.1]>
<victim@[x-tag:example.net]>
<victim@[example.net]>
<victim@127.0.0.1>
<victim@[127.0.0.1].example.net>
<victim@[]>
<postmaster@[192.0.2.1]>
# domains that look like ours
<bob@example.test.example.net>
<bob@sub.example.test>
<bob@notexample.test>
<bob@xexample.test>
<bob@example-test>
<bob@example.tes>
<bob@test>
<bob@.example.test>
<bob@example..test>
<bob@example.test..>
<bob@example.test.>
<victim@example.net.>
<bob@example_test>
<bob@ex%61mple.test>
<bob@xn--exampl-gva.test>
<bob@example.xn--tst-bma>
<bob@*>
<bob@*.test>
<@>
<bob@>
# subaddresses that try to be more
<victim+@example.net>
<victim+bob@example.test@example.net>
<nobody+victim%example.net@example.test>
<nobody+victim=example.net@example.test>
<+victim=example.net@example.test>
<SRS0=AAAA=AA=example.net=victim@example.test>
<SRS1=AAAA=example.net==AAAA=AA=example.org=victim@example.test>
<prvs=0123456789=victim@example.net>
# the command dressed up
victim@example.net
<victim@example.net
victim@example.net>
<<victim@example.net>>
<bob@example.test>victim@example.net
<bob@example.test> <victim@example.net>
<bob@example.test>,<victim@example.net>
<bob@example.test,victim@example.net>
<bob@example.test;victim@example.net>
<bob@example.test> ORCPT=rfc822;victim@example.net X=<victim@example.net>
<"bob@example.test" <victim@example.net>>
<bob@example.test\0@example.net>
<bob@example.test\r@example.net>
<bob@example.test\n@example.net>
<bob@example.test\x00.example.net>
""".strip().splitlines()

# In a transaction with SMTPUTF8: letters that look like ours (RFC 5890 4.4), and dots that IDNA once took for dots
UTF8 = ["<bob@ехаmple.test>", "<bob@exаmple.test>", "<bob@examplе.test>", "<bob@example.tеst>", "<bob@exämple.test>",
        "<bob@example。net>", "<victim@example。net>", "<victim@example．net>", "<victim@ｅxample.net>", "<victim@example.net。>",
        "<victim＠example.net>", "<victim＠example.net@example.test>", "<victim％example.net@example.test>",
        "<bob@example.test\u202e>", "<bob@ex\u00admple.test>", "<вiсtim@example.net>"]

# Accepted, and all of it stays here: the signs have no meaning in a subaddress, and IDNA takes these letters for ours.
OURS = ["<bob@example.test>", "<BOB@Example.TEST>", "<bob+victim%example.net@example.test>", "<bob+example.net!victim@example.test>",
        "<bob+victim=example.net@example.test>", "<@example.net:bob@example.test>", "<@example.net,@example.org:bob@example.test>",
        "<bob@alias.test>", '<"bob"@example.test>', r'<"b\ob"@example.test>', "<away@example.test>", "<away+victim=example.net@example.test>",
        "<postmaster>", "<postmaster@[127.0.0.1]>", "<bob@ｅxample。test>", "<bob@exa\u200bmple.test>"]
AWAY = "friend@example.org" # whither away@ leads

# Whom alice may not be; what stands behind "MAIL FROM:"
SENDERS = r"""
<bob@example.test>
<BOB@example.test>
<bob+alice@example.test>
<bob@alias.test>
<jon@example.org>
<alice@example.org>
<alice@example.test.example.org>
<alice@sub.example.test>
<alice@notexample.test>
<alice@example..test>
<alice@example.test..>
<"alice@example.test"@example.org>
<"alice@example.test"@example.test>
<"alice@example.test">
<alice%example.test@example.org>
<alice%example.org@example.test>
<example.org!alice@example.test>
<@example.test:alice@example.org>
<@example.test:bob@example.test>
<@example.test:"alice@example.test"@example.org>
<alice@[127.0.0.1]>
<alice@[192.0.2.1]>
<alice@[IPv6:::1]>
<alice>
<alice@>
<@example.test>
<alice@example.test@example.org>
<alice@example.test> <bob@example.test>
<alice@example.test>,<bob@example.test>
<alice@example.test,bob@example.test>
<alice@example.test\x00@example.org>
<alice@example.test\r@example.org>
alice@example.test
<al"ice"@example.test>
<alice.@example.test>
<.alice@example.test>
<alicee@example.test>
<postmaster@example.org>
<away@example.test>
<SRS0=AAAA=AA=example.org=alice@example.test>
""".strip().splitlines()

# From fields that are not alice's, or not only
AUTHORS = ["bob@example.test", "jon@example.org", "alice@example.test, bob@example.test", '"alice@example.test" <bob@example.test>',
           "alice@example.test <bob@example.test>", "<alice@example.test@example.org>", '"alice@example.test"@example.org',
           "Alice <@example.test:bob@example.test>", "alice@example.test.example.org", "(alice@example.test) bob@example.test",
           "=?utf-8?q?alice=40example.test?= <bob@example.test>", "friends: alice@example.test, bob@example.test;",
           "alice@example.test\r\nFrom: bob@example.test", "alice@example.test,\r\n bob@example.test", "", "alice", "friends:;",
           "alice@example.test\r\nFROM : bob@example.test", "alice@example.test\r\nSender: alice@example.test\r\nFrom:\tbob@example.test"]


@pytest.fixture(scope="module")
def server():
    with Server(options={"limits.smtp_errors_soft": "999", "limits.smtp_errors_hard": "1000",
                         "limits.smtp_idle_commands": "10000"}) as s:
        s.cli("alias", "add", "away@example.test", AWAY)
        s.cli("domain", "alias", "add", "alias.test", "example.test")
        yield s


class Client:
    def __init__(self, server, service, login=b""):
        self.sock = socket.create_connection(("127.0.0.1", server.port[service]), 30)
        self.file = self.sock.makefile("rb")
        assert self.answer().startswith(b"220")
        assert self.ask(b"EHLO client.example.org").startswith(b"250")
        if login:
            assert self.ask(login).startswith(b"235")

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.file.close()
        self.sock.close()

    def answer(self):
        while (line := self.file.readline())[3:4] == b"-":
            pass
        return line

    def ask(self, command):
        self.sock.sendall(command + b"\r\n")
        return self.answer()


def octets(text):
    r"""\0, \r, \n and \xNN of a row as the octets that they stand for; other backslashes are the address's own."""
    return re.sub(rb"\\(x[0-9a-f]{2}|[0rn](?![a-z]))", lambda m: {b"0": b"\0", b"r": b"\r", b"n": b"\n"}.get(m[1])
                  or bytes([int(m[1][1:], 16)]), text.encode())


def rows(table):
    return [row for row in table if not row.startswith("#")]


def queued(server):
    """The addresses of all mail that waits for its way out."""
    db = sqlite3.connect(f"{server.data}/store/index.db")
    try:
        return [row[0].decode() for row in db.execute("SELECT address FROM queue_rcpt")]
    finally:
        db.close()


def settle(client):
    """Ends what a bare CR or LF in the row before left open: its own answers, then that of a RSET."""
    client.sock.sendall(b"RSET now\r\nRSET\r\n")
    while not client.answer().startswith(b"501 5.5.4 RSET"):
        pass
    assert client.answer().startswith(b"250")


@pytest.mark.parametrize("service", ["smtp", "submission"])
def test_recipients(server, service):
    """Refused on port 25, and on the submission port before a login: there even the sender is."""
    taken = []
    assert len(rows(RECIPIENTS)) + len(UTF8) > 100
    with Client(server, service) as client:
        for path in rows(RECIPIENTS) + UTF8:
            utf8 = b" SMTPUTF8" if path in UTF8 else b""
            begun = client.ask(b"MAIL FROM:<jon@example.org>" + utf8)
            assert begun.startswith(b"250" if service == "smtp" else b"530")
            answer = client.ask(b"RCPT TO:" + octets(path))
            if not re.match(rb"5\d\d ", answer):
                taken.append((path, answer))
            settle(client)
    assert taken == []
    assert queued(server) == []


def test_what_is_ours_stays_here(server):
    before, away = queued(server), 0
    with Client(server, "smtp") as client:
        for path in OURS:
            assert client.ask(b"MAIL FROM:<jon@example.org> SMTPUTF8").startswith(b"250")
            assert client.ask(b"RCPT TO:" + octets(path)).startswith(b"250"), path
            for other in ("<victim@example.net>", "<victim%example.net@example.test>"): # an accepted one opens no door
                assert client.ask(b"RCPT TO:" + octets(other)).startswith(b"550"), path
            assert client.ask(b"DATA").startswith(b"354")
            answer = client.ask(b"To: victim@example.net\r\nBcc: victim@example.net\r\nResent-To: victim@example.net\r\n\r\nx\r\n.")
            assert answer.startswith(b"250") or "away" in path, (path, answer)
            away += "away" in path and answer.startswith(b"250")
    assert sorted(queued(server)) == sorted(before + [AWAY] * away)


def test_a_refused_login_opens_nothing(server):
    wrong = b"AUTH PLAIN " + base64.b64encode(b"\0alice@example.test\0wrong horse")
    with Client(server, "submission") as client:
        assert client.ask(wrong).startswith(b"535")
        for command in (b"MAIL FROM:<alice@example.test>", b"RCPT TO:<victim@example.net>", b"RCPT TO:<bob@example.test>", b"DATA"):
            assert client.ask(command).startswith(b"530"), command
    with Client(server, "smtp") as client: # the port of other servers has no login at all
        assert client.ask(LOGIN).startswith(b"500")
        assert client.ask(b"MAIL FROM:<alice@example.test> AUTH=alice@example.test").startswith(b"555")


def test_senders_that_are_not_the_login(server):
    taken = []
    assert len(SENDERS) == 40
    with Client(server, "submission", LOGIN) as client:
        for path in SENDERS:
            answer = client.ask(b"MAIL FROM:" + octets(path))
            if not re.match(rb"5\d\d ", answer):
                taken.append((path, answer))
            assert client.ask(b"RCPT TO:<victim@example.net>").startswith(b"5"), path
            settle(client)
        for own in (b"<alice@example.test>", b"<Alice@EXAMPLE.test>", b"<alice+list@example.test>"):
            assert client.ask(b"MAIL FROM:" + own).startswith(b"250"), own
            assert client.ask(b"RSET").startswith(b"250")
    assert taken == []


def submit(client, author, *recipients):
    """One message of alice's with this From field; the answer to it."""
    assert client.ask(b"MAIL FROM:<alice@example.test>").startswith(b"250")
    for recipient in recipients:
        assert client.ask(b"RCPT TO:" + recipient).startswith(b"250"), recipient
    assert client.ask(b"DATA").startswith(b"354")
    return client.ask(b"From: " + author.encode() + b"\r\nSubject: x\r\n\r\nx\r\n.")


def test_authors_that_are_not_the_login(server):
    before, taken = queued(server), []
    with Client(server, "submission", LOGIN) as client:
        for author in AUTHORS:
            answer = submit(client, author, b"<bob@example.test>", b"<victim@[192.0.2.1]>")
            if not re.match(rb"5\d\d ", answer):
                taken.append((author, answer))
        assert taken == []
        assert queued(server) == before
        for author in ("Alice <alice@example.test>", "alice@EXAMPLE.test", "friends: alice@example.test;"):
            assert submit(client, author, b"<bob@example.test>").startswith(b"250"), author
