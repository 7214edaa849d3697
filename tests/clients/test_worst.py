"""SEC-07: 10,000 connections, each of which holds the worst that its command lets it hold without a login (--all).

What each costs is the growth of all roles together, divided; it is printed, and 64 KiB is the limit. What lies in memfds is
shown beside it and has a limit of its own, for all together."""
import os
import resource
import select
import socket
import time

import pytest

from lib.server import Server
from test_many import COUNT, RELEASE, rss_kib

pytestmark = pytest.mark.skipif(os.environ.get("POSTEL_CHECK_ALL") != "yes", reason="--all")

LIMIT_KIB = 64
BUDGET_KIB = 256 * 1024 # limit memfd_budget
FULL = b"452 4.3.1"
HELLO = b"EHLO client.example.org\r\n"
ENVELOPE = HELLO + b"MAIL FROM:<jon@example.org>\r\nRCPT TO:<bob@example.test>\r\n"
RCPTS = b"".join(b"RCPT TO:<bob+%d@example.test>\r\n" % n for n in range(1000))
AWAY = b"".join(b"RCPT TO:<away+%04d@example.test>\r\n" % n for n in range(1000)) # an alias that leads elsewhere
MAIL = HELLO + b"MAIL FROM:<jon@example.org>\r\n"
TEXT = (b"t" * 998 + b"\r\n") * 64

# name: service, what is sent in rounds (each with how its last answer begins), what is left half, at least so many KiB (it
# shows that what is held is counted), how many connections in a hundred
CASES = {
    "half a command of 2,048 octets": ("smtp", [(HELLO, b"250 ")], b"x" * 2000, 1, 100),
    "half of 12,288 octets in AUTH": ("submission", [(HELLO, b"250 "), (b"AUTH PLAIN\r\n", b"334 ")], b"A" * 12000, 8, 100),
    "half a line of DATA": ("smtp", [(ENVELOPE, b"250 2.1.5"), (b"DATA\r\n", b"354 ")], b"y" * 998, 1, 100),
    "half a chunk of BDAT": ("smtp", [(ENVELOPE, b"250 2.1.5")], b"BDAT 60000\r\n" + b"z" * 30000, 25, 100),
    "64,000 octets of DATA": ("smtp", [(ENVELOPE, b"250 2.1.5"), (b"DATA\r\n", b"354 ")], TEXT, 25, 100),
    "64,000 octets of a chunk": ("smtp", [(ENVELOPE, b"250 2.1.5")], b"BDAT 65000\r\n" + TEXT, 25, 10),
    "64,000 octets in two chunks": ("smtp", [(ENVELOPE, b"250 2.1.5"), (b"BDAT 40000\r\n" + b"z" * 40000, b"250 2.0.0")],
                                    b"BDAT 25000\r\n" + b"z" * 24000, 25, 10),
    "1,000 recipients": ("smtp", [(MAIL, b"250 2.1.0"), (RCPTS, b"250 2.1.5")], b"RCPT TO:<", 0, 5),
    "1,000 recipients elsewhere": ("smtp", [(MAIL, b"250 2.1.0"), (AWAY, b"")], b"RCPT TO:<", 25, 5),
    "1,000 recipients elsewhere and 64,000 octets": ("smtp", [(MAIL, b"250 2.1.0"), (AWAY, b""), (b"DATA\r\n", b"354 ")], TEXT, 40, 5),
}


@pytest.fixture(scope="module")
def server():
    """Of the release build: sanitizers count for themselves."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < COUNT + 500:
        pytest.skip(f"only {hard} descriptors")
    if not os.path.exists(RELEASE):
        pytest.skip("no release build")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Server(options={"limits.sessions": str(COUNT + 1000), "limits.smtp_command_s": "3600", "limits.smtp_data_s": "3600"},
                binary=RELEASE) as s:
        s.cli("alias", "add", "away@example.test", "jon@elsewhere.example.org")
        yield s


def memfd_kib(pid):
    """What of messages it holds outside of itself: limit memfd_budget bounds that for all together."""
    files = f"/proc/{pid}/fd"
    try:
        there = [os.path.join(files, n) for n in os.listdir(files)]
        return sum(os.stat(f).st_blocks // 2 for f in there if os.readlink(f).startswith("/memfd:message"))
    except PermissionError:
        return 0 # not root: nobody else may look


def memory_kib(server):
    return sum(rss_kib(pid) for pid in server.roles()), sum(memfd_kib(pid) for pid in server.roles())


def connect(server, service, number):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((f"127.0.{1 + number // 5000}.1", 0))
    sock.connect(("127.0.0.1", server.port[service]))
    sock.settimeout(120)
    hear(sock, 1, b"220 ")
    return sock


def hear(sock, replies, what):
    """Reads so many whole replies, of which the last begins with `what`. False: it says that there is too much mail already."""
    got = b""
    while True:
        lines = got.split(b"\r\n")[:-1]
        ends = [line for line in lines if line[3:4] == b" "]
        if len(ends) == replies:
            assert ends[-1].startswith((what, FULL)), ends[-1]
            return not ends[-1].startswith(FULL)
        assert len(ends) < replies, got
        more = sock.recv(65536)
        assert more, got
        got += more


def hold(server, held, service, rounds, rest, number):
    """So many connections more. Returns how many of them were told that there is too much mail."""
    refused = 0
    for _ in range(number):
        sock = connect(server, service, len(held))
        held.append(sock)
        for words, answer in rounds:
            sock.sendall(words)
            if not hear(sock, words.count(b"\r\n"), answer):
                refused += 1
                break
        else:
            sock.sendall(rest)
    time.sleep(1) # all of it was read
    return refused


@pytest.mark.parametrize("name", CASES)
def test_worst(server, name):
    service, rounds, rest, least, percent = CASES[name]
    count = max(200, COUNT * percent // 100)
    held = []
    try:
        hold(server, held, service, rounds, rest, 100) # what the first ones make once
        rss, memfd = memory_kib(server)
        refused = hold(server, held, service, rounds, rest, count - 100)
        rss, memfd = ((now - then) / (count - 100) for now, then in zip(memory_kib(server), (rss, memfd)))
        print(f"{count} connections with {name}: {rss:.1f} KiB each, and {memfd:.1f} in memfds; {refused} refused")
        poll = select.poll()
        for sock in held:
            poll.register(sock, select.POLLIN)
        gone = len(poll.poll(0)) # closed, or told something
    finally:
        for sock in held:
            sock.close()
        time.sleep(2) # the front closes its ends
    assert gone == 0
    assert refused == 0 or memfd * (count - 100) > BUDGET_KIB * 3 / 4 or os.getuid() != 0
    assert least <= rss + memfd and rss <= LIMIT_KIB and memfd * count <= BUDGET_KIB
