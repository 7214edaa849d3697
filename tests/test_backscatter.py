"""SEC-19: who forges senders gets nothing sent in their name: all is refused while he is still there to hear it, so nothing is
kept, waits or is reported."""
import os
import random
import re
import socket

import pytest

from lib.server import Server

COUNT = 100000 if os.environ.get("POSTEL_CHECK_ALL") == "yes" else 10000
GROUP = 250   # transactions in one go
ERRORS = 999  # the server's patience with one connection, for the flood shall not wait


@pytest.fixture(scope="module")
def server():
    with Server({"limits.smtp_errors_soft": str(ERRORS), "limits.smtp_errors_hard": str(ERRORS + 1),
                 "limits.smtp_idle_commands": "100000", "limits.hops": "25"}) as s:
        s.cli("quota", "set", "bob@example.test", "--messages", "0")
        s.cli("alias", "add", "away@example.test", "jon@elsewhere.test")
        yield s


class Client:
    """Says many transactions at once and reads the answers; a new connection before the server has had enough."""

    def __init__(self, server):
        self.port, self.sock, self.errors = server.port["smtp"], None, 0

    def open(self):
        self.close()
        self.sock = socket.create_connection(("127.0.0.1", self.port), 60)
        self.lines = self.sock.makefile("rb")
        self.errors = 0
        assert self.answer().startswith(b"220")
        self.sock.sendall(b"EHLO zombie.example.org\r\n")
        assert self.answer().startswith(b"250")

    def close(self):
        if self.sock:
            self.lines.close()
            self.sock.close()
        self.sock = None

    def answer(self):
        while (line := self.lines.readline())[3:4] == b"-":
            pass
        return line

    def send(self, transactions, codes):
        """Each is a list of lines; codes: what each of its lines is answered with, the same in all."""
        if self.sock is None or self.errors + len(transactions) > ERRORS - 10:
            self.open()
        self.errors += len(transactions)
        self.sock.sendall("".join("\r\n".join(lines) + "\r\n" for lines in transactions).encode())
        for lines in transactions:
            got = [self.answer()[:9].decode() for _ in codes]
            assert all(re.match(code, said) for code, said in zip(codes, got)), (lines, got)


def forged(i, rng):
    """A sender as they are forged: of any domain, of ours, made for SRS or VERP, of nobody."""
    name = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(8))
    return [f"{name}@victim{i % 997}.example.org", f"{name}@example.test", "alice@example.test", "",
            f"SRS0=abcd=XY=victim.example.org={name}@example.test", f"bounces-{i}-{name}=example.org@lists.example.net"][rng.randrange(6)]


def nothing_came_of_it(server):
    assert server.cli("queue", "list", "--plain") == ""
    assert not re.search(r"ev=(queue\.report|relay\.result|smtp\.stored)", server.log_text())
    stats = dict(line.split() for line in server.cli("store", "stats").splitlines())
    assert stats["emails"] == stats["blobs"] == "0", stats


def test_unknown_recipients(server):
    client, rng = Client(server), random.Random()
    before = server.log_text().count("ev=smtp.rcpt ")
    for start in range(0, COUNT, GROUP):
        client.send([[f"MAIL FROM:<{forged(i, rng)}>", f"RCPT TO:<u{i}.{rng.randrange(1 << 40)}@example.test>", "RSET"]
                     for i in range(start, start + GROUP)], ["250 2.1.0", "550 5.1.1", "250 2.0.0"])
    client.close()
    assert server.log_text().count("ev=smtp.rcpt ") == before + COUNT
    nothing_came_of_it(server)


HOPS = ["Received: from a.example by b.example; Tue, 24 Nov 2026 20:00:00 +0000"] * 40
TEXT = ["From: x@victim.example.org", "", "buy", "."]


@pytest.mark.parametrize("to, code, text, end", [
    ("u@elsewhere.test", "550 5.7.1", None, None),                                      # not ours
    ("bob@example.test", "452 4.2.2", None, None),                                      # full
    ("SRS0=abcd=XY=victim.example.org=eve@example.test", "550 5.1.1", None, None),      # a bounce to what we never sent
    ("alice@example.test", "250", HOPS + TEXT, "554 5.4.6"),                            # more hops than there are
    ("away@example.test", "250", ["Delivered-To: away@example.test"] + TEXT, "554 5.4.6"),  # went round already
    ("away@example.test", "250", HOPS + TEXT, "554 5.4.6"),
])
def test_what_else_is_refused(server, to, code, text, end):
    client, rng = Client(server), random.Random()
    for i in range(100):
        mail = [f"MAIL FROM:<{forged(i, rng)}>", f"RCPT TO:<{to}>"]
        if text:
            client.send([mail + ["DATA"]], ["250", code, "354"])
            client.send([text], [end])
        else:
            client.send([mail + ["RSET"]], ["250", code, "250"])
    client.close()
    nothing_came_of_it(server)
