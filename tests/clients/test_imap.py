"""IMAP as real clients speak it: Python's imaplib, curl; how soon IDLE tells, and what an idle session costs."""
import imaplib
import os
import re
import smtplib
import socket
import ssl
import subprocess
import time

import pytest

from lib.server import PASSWORD, Server


@pytest.fixture(scope="module")
def box():
    with Server(accounts=("alice", "bob", "carol")) as server:
        yield server


def context():
    c = ssl.create_default_context()
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    return c


def deliver(server, who, subject, times=1):
    with smtplib.SMTP("127.0.0.1", server.port["smtp"], timeout=30) as smtp:
        for _ in range(times):
            smtp.sendmail("jon@example.org", [f"{who}@example.test"], f"Subject: {subject}\r\n\r\ntext\r\n")


def login(server, who, tls=False):
    if tls:
        imap = imaplib.IMAP4_SSL("127.0.0.1", server.port["imaps"], ssl_context=context(), timeout=30)
    else:
        imap = imaplib.IMAP4("127.0.0.1", server.port["imap"], timeout=30)
    imap.login(f"{who}@example.test", PASSWORD)
    return imap


def test_imaplib(box):
    deliver(box, "alice", "hello", 2)
    imap = login(box, "alice", tls=True)
    assert imap.select("INBOX") == ("OK", [b"2"])
    kind, listed = imap.list()
    assert kind == "OK" and sum(b"\\" in line for line in listed) == 6
    assert imap.create("Work/2026")[0] == "OK"
    assert imap.rename("Work", "Done")[0] == "OK"
    assert [l.split()[-1] for l in imap.list('""', "Done*")[1]] == [b"Done", b"Done/2026"]
    assert imap.subscribe("Done")[0] == "OK"
    assert imap.status("INBOX", "(MESSAGES UNSEEN)")[1] == [b"INBOX (MESSAGES 2 UNSEEN 2)"]
    assert imap.delete("Done/2026")[0] == "OK" and imap.delete("Done")[0] == "OK"
    assert imap.close()[0] == "OK"
    imap.logout()


def test_starttls(box):
    imap = imaplib.IMAP4("127.0.0.1", box.port["imap"], timeout=30)
    assert imap.starttls(context())[0] == "OK"
    imap.authenticate("PLAIN", lambda _: f"\0bob@example.test\0{PASSWORD}".encode())
    assert imap.select("INBOX", readonly=True)[0] == "OK"
    imap.logout()


def test_curl(box):
    done = subprocess.run(["curl", "-sS", "--user", f"bob@example.test:{PASSWORD}", "--ssl-reqd", "--insecure",
                           f"imap://127.0.0.1:{box.port['imap']}/"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert '* LIST (\\HasNoChildren) "/" INBOX' in done.stdout


def test_folders_in_german():
    with Server(accounts=("alice",)) as server:
        server.cli("account", "add", "berta@example.test", "--language", "de", "--password-stdin", input=PASSWORD + "\n")
        imap = login(server, "berta")
        names = {line.decode().split(' "/" ')[1]: line.decode() for line in imap.list()[1]}
        assert set(names) == {"INBOX", "Entw&APw-rfe", "Gesendet", "Spam", "Papierkorb", "Archiv"}
        assert "\\Drafts" in names["Entw&APw-rfe"] and "\\Trash" in names["Papierkorb"]
        imap.logout()


def folders(imap):
    return {line.decode().split(' "/" ')[1] for line in imap.list()[1]}


def talk(server, data, step=0):
    """Sends the bytes (step at a time), closes our half, and returns what the server says until it closes."""
    with socket.create_connection(("127.0.0.1", server.port["imap"]), 30) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(data), step or len(data) or 1):
            sock.sendall(data[at:at + (step or len(data))])
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def test_cut_at_every_byte(box):
    """What was said in full counts, what was cut does not (SEC-05), in clear literals and lines alike."""
    login_line = f'a LOGIN bob@example.test "{PASSWORD}"\r\n'.encode()
    create, delete = b"b CREATE {3+}\r\ncut\r\n", b"c DELETE {3+}\r\ncut\r\n"
    whole = login_line + create + delete + b"d LOGOUT\r\n"
    watcher = login(box, "bob")
    for n in range(len(whole) + 1):
        talk(box, whole[:n])
        made = n >= len(login_line + create)
        assert ("cut" in folders(watcher)) == (made and n < len(login_line + create + delete)), f"cut at {n}"
        if "cut" in folders(watcher):
            watcher.delete("cut")
    said = talk(box, whole, 1)
    assert said.endswith(b"d OK LOGOUT done\r\n") and b"b OK" in said and b"c OK" in said
    watcher.logout()


class Idler:
    """A session in IDLE, read line by line."""

    def __init__(self, server, who):
        self.sock = socket.create_connection(("127.0.0.1", server.port["imap"]), 30)
        self.rest = b""
        self.line()
        self.send(f'a LOGIN {who}@example.test "{PASSWORD}"')
        self.until(b"a OK")
        self.send("b SELECT INBOX")
        self.until(b"b OK")
        self.send("c IDLE")
        self.until(b"+ ")

    def send(self, text):
        self.sock.sendall(text.encode() + b"\r\n")

    def line(self):
        while b"\n" not in self.rest:
            more = self.sock.recv(65536)
            assert more, "closed"
            self.rest += more
        line, _, self.rest = self.rest.partition(b"\n")
        return line.strip()

    def until(self, start):
        while not (line := self.line()).startswith(start):
            pass
        return line


def test_idle_tells_at_once(box):
    """From the answer to the final dot to the EXISTS: the sender's 250 is the commit's word."""
    idler = Idler(box, "carol")
    late = []
    with smtplib.SMTP("127.0.0.1", box.port["smtp"], timeout=30) as smtp:
        for n in range(20):
            smtp.sendmail("jon@example.org", ["carol@example.test"], "Subject: x\r\n\r\ntext\r\n")
            committed = time.monotonic()
            assert idler.line() == b"* %d EXISTS" % (n + 1)
            late.append((time.monotonic() - committed) * 1000)
    late.sort()
    print(f"IDLE told after {late[10]:.2f} ms (median), {late[-1]:.2f} ms (worst)")
    assert late[10] < 5
    idler.sock.close()


def rss_kib(pid):
    return int(re.search(r"^VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read(), re.M)[1])


@pytest.mark.skipif("asan" in os.environ.get("POSTEL", "asan"), reason="needs the release build: POSTEL=build/postel")
def test_memory_of_idle_sessions(box):
    """SEC-07: an idle logged-in session costs at most 32 KiB."""
    front = next(pid for pid, name in box.roles().items() if name == "front-user")
    first = [Idler(box, "bob") for _ in range(50)]  # what a first session makes once
    before = rss_kib(front)
    more = [Idler(box, "bob") for _ in range(400)]
    each = (rss_kib(front) - before) / len(more)
    print(f"{each:.1f} KiB per session in IDLE")
    assert each <= 32
    for idler in first + more:
        idler.sock.close()
