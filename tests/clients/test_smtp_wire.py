"""SMTP and LMTP on the wire: chunks of BDAT in all sizes, answers of LMTP one by one, sessions cut at every byte."""
import os
import poplib
import random
import re
import smtplib
import socket

import pytest

from lib.server import PASSWORD, Server

ALL = os.environ.get("POSTEL_CHECK_ALL") == "yes"


@pytest.fixture(scope="module")
def server():
    with Server(accounts=("alice", "bob", "carol", "dave")) as s:
        yield s


class Bdat(smtplib.SMTP):
    """smtplib with RFC 3030: the message in the chunks given, all in one write or each waiting for its answer."""

    def send_chunks(self, sender, recipients, chunks, pipelined):
        self.ehlo_or_helo_if_needed()
        assert self.has_extn("chunking")
        code, _ = self.mail(sender)
        assert code == 250
        for to in recipients:
            assert self.rcpt(to)[0] == 250
        raw = [b"BDAT %d%s\r\n" % (len(c), b" LAST" if n == len(chunks) - 1 else b"") + c for n, c in enumerate(chunks)]
        if pipelined:
            self.sock.sendall(b"".join(raw))
            return [self.getreply()[0] for _ in raw]
        codes = []
        for piece in raw:
            self.sock.sendall(piece)
            codes.append(self.getreply()[0])
        return codes


def mailbox(server, who):
    pop = poplib.POP3("127.0.0.1", server.port["pop3"], timeout=30)
    pop.user(f"{who}@example.test")
    pop.pass_(PASSWORD)
    count = pop.stat()[0]
    found = [b"\r\n".join(pop.retr(n)[1]) + b"\r\n" for n in range(1, count + 1)]
    for n in range(1, count + 1):
        pop.dele(n)
    pop.quit()
    return found


def cut_up(text, rng, most):
    chunks = []
    while text:
        n = rng.randint(0, most)
        chunks.append(text[:n])
        text = text[n:]
    if rng.random() < 0.3:
        chunks.append(b"")
    return chunks


def test_bdat_chunks(server):
    """However a message is cut, what is stored is what was sent; dots at line starts are nothing special."""
    rng = random.Random(4711)
    text = b"Subject: chunks\r\n\r\n.\r\n..\r\n.a\r\n" + b"".join(b"%d\r\n" % n for n in range(40)) + b".\r\n"
    sent = 0
    with Bdat("127.0.0.1", server.port["smtp"], "client.example.org", timeout=60) as smtp:
        for most in (1, 2, 3, 7, 50, 1000):
            for pipelined in (False, True):
                chunks = cut_up(text, rng, most)
                assert set(smtp.send_chunks("jon@example.org", ["alice@example.test"], chunks, pipelined)) == {250}
                sent += 1
    found = mailbox(server, "alice")
    assert len(found) == sent and all(m.endswith(b"\r\n" + text) for m in found)


@pytest.mark.parametrize("size", [65_000, 1_100_000, 5_000_000])
def test_bdat_sizes(server, size):
    text = b"Subject: big\r\n\r\n" + b"".join(b"%070d\r\n" % n for n in range(size // 72))
    rng = random.Random(size)
    with Bdat("127.0.0.1", server.port["smtp"], "client.example.org", timeout=60) as smtp:
        assert set(smtp.send_chunks("jon@example.org", ["bob@example.test"], cut_up(text, rng, 300_000), True)) == {250}
    found = mailbox(server, "bob")
    assert len(found) == 1 and found[0].endswith(text)


def test_bdat_without_a_last_line_end(server):
    with Bdat("127.0.0.1", server.port["smtp"], "client.example.org", timeout=60) as smtp:
        assert smtp.send_chunks("jon@example.org", ["bob@example.test"], [b"a: b\r\n\r\nno end"], False) == [250]
    assert mailbox(server, "bob")[0].endswith(b"\r\n\r\nno end\r\n")


def test_bdat_error_in_the_middle(server):
    """A chunk that is refused takes its followers with it: their octets are read away, the session goes on."""
    server_limit = 70_000
    with Server(options={"limits.message_bytes": str(server_limit)}, accounts=("alice",)) as small:
        with Bdat("127.0.0.1", small.port["smtp"], "client.example.org", timeout=60) as smtp:
            line = b"NOOP\r\n"
            chunks = [line * 5000, line * 5000, line * 5000, line * 5000, line]
            codes = smtp.send_chunks("jon@example.org", ["alice@example.test"], chunks, True)
            assert codes == [250, 250, 552, 503, 503]
            assert smtp.noop()[0] == 250
            assert smtp.send_chunks("jon@example.org", ["alice@example.test"], [b"x: y\r\n"], True) == [250]
        assert len(mailbox(small, "alice")) == 1


def test_utf8(server):
    """RFC 6531: a sender with UTF-8 on both sides of the @, kept as written."""
    with smtplib.SMTP("127.0.0.1", server.port["smtp"], "client.example.org", timeout=30) as smtp:
        smtp.ehlo()
        assert smtp.has_extn("smtputf8")
        smtp.command_encoding = "utf-8"
        smtp.sendmail("jürgen@bücher.example", ["carol@example.test"],
                      "From: jürgen@bücher.example\r\nSubject: Grüße\r\n\r\nx\r\n".encode(), mail_options=["SMTPUTF8"])
    pop = poplib.POP3("127.0.0.1", server.port["pop3"], timeout=30)
    pop.utf8()
    pop.user("carol@example.test")
    pop.pass_(PASSWORD)
    text = b"\r\n".join(pop.retr(1)[1]).decode()
    pop.dele(1)
    pop.quit()
    assert "Return-Path: <jürgen@bücher.example>" in text and "with UTF8SMTP " in " ".join(text.split())


def test_lmtp(server):
    with smtplib.LMTP("127.0.0.1", server.port["lmtp"], "client.example.org") as lmtp:
        lmtp.ehlo()
        assert lmtp.has_extn("pipelining") and lmtp.has_extn("enhancedstatuscodes")  # RFC 2033 5
        lmtp.mail("jon@example.org")
        assert [lmtp.rcpt(f"{who}@example.test")[0] for who in ("alice", "nobody-here", "bob")] == [250, 550, 250]
        lmtp.putcmd("data")
        assert lmtp.getreply()[0] == 354
        lmtp.send(b"Subject: by LMTP\r\n\r\nx\r\n.\r\n")
        assert [lmtp.getreply()[0] for _ in range(2)] == [250, 250]
        assert lmtp.noop()[0] == 250
    for who in ("alice", "bob"):
        found = mailbox(server, who)
        assert len(found) == 1 and b"with LMTP id" in b" ".join(found[0].split()) and b"Return-Path: <jon@example.org>" in found[0]


DIALOGUE = [(b"EHLO client.example.org\r\n", 0), (b"MAIL FROM:<jon@example.org> BODY=8BITMIME\r\n", 0),
            (b"RCPT TO:<dave@example.test>\r\n", 0), (b"RCPT TO:<nobody@example.test>\r\n", 0),
            (b"BDAT 12\r\nSubject: x\r\n", 0), (b"BDAT 0\r\n", 0), (b"BDAT 7 LAST\r\n\r\ny\r\n\r\n", 1),
            (b"MAIL FROM:<jon@example.org>\r\n", 0), (b"RCPT TO:<dave@example.test>\r\n", 0), (b"DATA\r\n", 0),
            (b"Subject: y\r\n\r\n..\r\n.\r\n", 1), (b"RSET\r\n", 0), (b"MAIL FROM:<>\r\n", 0),
            (b"RCPT TO:<dave@example.test>\r\n", 0), (b"BDAT 5 LAST\r\nx: y\n", 0)]


def test_cut_at_any_byte(server):
    """SEC-05: whatever is cut off, what is stored is what was confirmed, and that is the whole messages."""
    whole = b"".join(piece for piece, _ in DIALOGUE)
    ends = []
    at = 0
    for piece, stores in DIALOGUE:
        at += len(piece)
        ends += [at] * stores
    total = 0
    for cut in range(1, len(whole) + 1, 1 if ALL else 3):
        want = sum(end <= cut for end in ends)
        with socket.create_connection(("127.0.0.1", server.port["smtp"]), 30) as s:
            s.settimeout(30)
            s.sendall(whole[:cut])
            s.shutdown(socket.SHUT_WR)
            said = b""
            while more := s.recv(65536):
                said += more
        assert len(re.findall(rb"^250 2\.0\.0 Ok, stored", said, re.M)) == want, (cut, said)
        total += want
    assert len(mailbox(server, "dave")) == total
