"""SEC-07: 10,000 connections before the login, 10,000 sessions in IDLE; what each costs, and how soon one hears (--all)."""
import os
import re
import resource
import smtplib
import socket
import time

import pytest

from lib.server import PASSWORD, ROOT, Server

RELEASE = os.path.join(ROOT, "build", "postel")
COUNT = int(os.environ.get("POSTEL_MANY", "10000"))

pytestmark = pytest.mark.skipif(os.environ.get("POSTEL_CHECK_ALL") != "yes", reason="--all")


def rss_kib(pid):
    return int(re.search(r"^VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read(), re.M)[1])


@pytest.fixture(scope="module")
def server():
    """Of the release build: sanitizers count for themselves."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < COUNT + 500:
        pytest.skip(f"only {hard} descriptors")
    if not os.path.exists(RELEASE):
        pytest.skip("no release build")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Server(options={"limits.sessions": str(COUNT + 1000), "limits.imap_login_s": "3600"}, accounts=("alice", "bob"),
                binary=RELEASE) as s:
        yield s


def fronts(server):
    return [pid for pid, name in server.roles().items() if name == "front-user"]


def connect(server, number, words=()):
    """A connection from one of many loopback addresses, read up to the answer to each of the words."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((f"127.0.{1 + number // 5000}.1", 0))
    sock.connect(("127.0.0.1", server.port["imap"]))
    sock.settimeout(60)
    said(sock, b"* OK ")
    for word, answer in words:
        sock.sendall(word)
        said(sock, answer)
    return sock


def said(sock, what):
    """Reads up to a line that begins with what."""
    got = b""
    while not (got.startswith(what) or b"\n" + what in got) or not got.endswith(b"\n"):
        more = sock.recv(65536)
        assert more, (what, got)
        got += more
    return got


def hold(server, words, warm=100):
    """COUNT connections; the memory each costs, in KiB, beyond what the first ones make once."""
    held = [connect(server, n, words) for n in range(warm)]
    time.sleep(0.5)
    before = sum(map(rss_kib, fronts(server)))
    held += [connect(server, n, words) for n in range(warm, COUNT)]
    time.sleep(1)
    return held, (sum(map(rss_kib, fronts(server))) - before) / (COUNT - warm)


def let_go(held):
    for sock in held:
        sock.close()
    time.sleep(2) # the front closes its ends


def test_before_the_login(server):
    held, each = hold(server, ())
    print(f"{COUNT} connections before the login: {each:.1f} KiB each")
    held[-1].sendall(b"a NOOP\r\n")
    said(held[-1], b"a OK")
    let_go(held)
    assert each <= 64


def test_sessions_in_idle(server):
    login = f'a LOGIN alice@example.test "{PASSWORD}"\r\n'.encode()
    held, each = hold(server, ((login, b"a OK"), (b"b SELECT INBOX\r\n", b"b OK"), (b"c IDLE\r\n", b"+ ")))
    print(f"{COUNT} sessions in IDLE: {each:.1f} KiB each")
    bob = connect(server, 0, ((login.replace(b"alice", b"bob"), b"a OK"), (b"b SELECT INBOX\r\n", b"b OK"), (b"c IDLE\r\n", b"+ ")))
    late = []
    with smtplib.SMTP("127.0.0.1", server.port["smtp"], timeout=30) as smtp:
        for n in range(10):
            smtp.sendmail("jon@example.org", ["bob@example.test"], "Subject: x\r\n\r\ntext\r\n")
            committed = time.monotonic()
            said(bob, b"* %d EXISTS" % (n + 1))
            late.append((time.monotonic() - committed) * 1000)
        late.sort()
        print(f"one of them hears of its mail after {late[5]:.2f} ms (median), {late[-1]:.2f} ms (worst)")
        smtp.sendmail("jon@example.org", ["alice@example.test"], "Subject: x\r\n\r\ntext\r\n")
        committed = time.monotonic()
        for sock in held:
            said(sock, b"* 1 EXISTS")
        print(f"all {COUNT} hear of one message within {(time.monotonic() - committed) * 1000:.0f} ms")
    for sock in held[::100]:
        sock.sendall(b"DONE\r\n")
        said(sock, b"c OK")
    bob.close()
    let_go(held)
    assert each <= 32 and late[5] < 50
