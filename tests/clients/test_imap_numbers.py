"""Message numbers stay right for each session while others change the mailbox (RFC 9051 7.5.1)."""
import random
import re
import smtplib
import socket

import pytest

from lib.server import PASSWORD, Server


class Client:
    """Knows the mailbox from untagged answers alone: for each number a UID and flags, or None while it was not told."""

    def __init__(self, server):
        self.sock = socket.create_connection(("127.0.0.1", server.port["imap"]), 30)
        self.rest, self.count, self.view = b"", 0, []
        self.line()
        self.run(f'LOGIN alice@example.test "{PASSWORD}"')
        self.run("SELECT INBOX")
        self.sync()

    def line(self):
        while b"\n" not in self.rest:
            more = self.sock.recv(65536)
            assert more, "closed"
            self.rest += more
        line, _, self.rest = self.rest.partition(b"\n")
        return line.strip().decode()

    def run(self, text, still=False):
        """still: the command must not tell EXPUNGE."""
        self.count += 1
        tag = f"t{self.count}"
        self.sock.sendall(f"{tag} {text}\r\n".encode())
        while not (line := self.line()).startswith(tag + " "):
            if m := re.match(r"\* (\d+) (EXISTS|EXPUNGE|FETCH)(.*)", line):
                self.told(int(m[1]), m[2], m[3], still)
        assert line.startswith(tag + " OK"), (text, line)

    def told(self, number, what, rest, still):
        if what == "EXISTS":
            assert number >= len(self.view)
            self.view += [None] * (number - len(self.view))
            return
        assert 1 <= number <= len(self.view)
        if what == "EXPUNGE":
            assert not still
            del self.view[number - 1]
            return
        uid, flags = re.search(r"UID (\d+)", rest), re.search(r"FLAGS \(([^)]*)\)", rest)
        old = self.view[number - 1]
        if uid and flags:
            assert old is None or old[0] == int(uid[1])
            self.view[number - 1] = (int(uid[1]), frozenset(flags[1].split()))
        elif flags and old:
            self.view[number - 1] = (old[0], frozenset(flags[1].split()))

    def sync(self):
        if self.view:
            self.run("UID FETCH 1:* (UID FLAGS)")


def one_step(chance, client, smtp):
    op, n = chance.random(), len(client.view)
    if op < .15:
        smtp.sendmail("jon@example.org", ["alice@example.test"], "Subject: x\r\n\r\ntext\r\n")
    elif op < .45 and n:
        first = chance.randint(1, n)
        flag = chance.choice([r"\Seen", r"\Flagged", r"\Deleted", f"word{chance.randint(0, 3)}"])
        client.run(f"STORE {first}:{min(n, first + chance.randint(0, 4))} "
                   f"{chance.choice(['+', '-', ''])}FLAGS{chance.choice(['', '.SILENT'])} ({flag})", still=True)
        client.sync()  # what was done in silence
    elif op < .55:
        client.run("EXPUNGE")
    elif op < .65 and n:
        client.run(f"FETCH {chance.randint(1, n)} (FLAGS UID)", still=True)
    elif op < .75 and n and client.view[-1]:
        client.run(f"UID COPY {client.view[-1][0]} INBOX")
    else:
        client.run("NOOP")
        client.sync()


@pytest.mark.parametrize("seed", [1, 2])
def test_three_sessions_agree(seed):
    chance = random.Random(seed)
    with Server(accounts=("alice",)) as server, smtplib.SMTP("127.0.0.1", server.port["smtp"], timeout=30) as smtp:
        for _ in range(20):
            smtp.sendmail("jon@example.org", ["alice@example.test"], "Subject: x\r\n\r\ntext\r\n")
        clients = [Client(server) for _ in range(3)]
        for step in range(500):
            one_step(chance, chance.choice(clients), smtp)
            if step % 50 != 49:
                continue
            for client in clients:
                client.run("NOOP")
            fresh = Client(server)
            for client in clients:
                assert len(client.view) == len(fresh.view)
                assert all(mine in (None, now) for mine, now in zip(client.view, fresh.view))
            fresh.sock.close()
