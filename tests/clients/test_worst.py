"""SEC-07: 10,000 connections, each of which holds the worst that its command lets it hold without a login (--all).

What each costs is the growth of all roles together, divided; it is printed, and 64 KiB is the limit."""
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
HELLO = b"EHLO client.example.org\r\n"
ENVELOPE = HELLO + b"MAIL FROM:<jon@example.org>\r\nRCPT TO:<bob@example.test>\r\n"
RCPTS = b"".join(b"RCPT TO:<bob+%d@example.test>\r\n" % n for n in range(1000))

# name: service, what is sent in rounds (each with how its last answer begins), what is left half, at least so many KiB (it
# shows that what is held is counted), how many connections in a hundred
CASES = {
    "half a command of 2,048 octets": ("smtp", [(HELLO, b"250 ")], b"x" * 2000, 1, 100),
    "half of 12,288 octets in AUTH": ("submission", [(HELLO, b"250 "), (b"AUTH PLAIN\r\n", b"334 ")], b"A" * 12000, 8, 100),
    "half a line of DATA": ("smtp", [(ENVELOPE, b"250 2.1.5"), (b"DATA\r\n", b"354 ")], b"y" * 998, 1, 100),
    "half a chunk of BDAT": ("smtp", [(ENVELOPE, b"250 2.1.5")], b"BDAT 60000\r\n" + b"z" * 30000, 25, 100),
    "1,000 recipients": ("smtp", [(HELLO + b"MAIL FROM:<jon@example.org>\r\n", b"250 2.1.0"), (RCPTS, b"250 2.1.5")], b"RCPT TO:<", 0, 5),
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
        yield s


def memory_kib(server):
    return sum(rss_kib(pid) for pid in server.roles())


def connect(server, service, number):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((f"127.0.{1 + number // 5000}.1", 0))
    sock.connect(("127.0.0.1", server.port[service]))
    sock.settimeout(120)
    hear(sock, 1, b"220 ")
    return sock


def hear(sock, replies, what):
    """Reads so many whole replies, of which the last begins with `what`."""
    got = b""
    while True:
        lines = got.split(b"\r\n")[:-1]
        ends = [line for line in lines if line[3:4] == b" "]
        if len(ends) == replies:
            assert ends[-1].startswith(what), ends[-1]
            return
        assert len(ends) < replies, got
        more = sock.recv(65536)
        assert more, got
        got += more


def hold(server, service, rounds, rest, first, last):
    held = []
    for number in range(first, last):
        sock = connect(server, service, number)
        for words, answer in rounds:
            sock.sendall(words)
            hear(sock, words.count(b"\r\n"), answer)
        sock.sendall(rest)
        held.append(sock)
    time.sleep(1) # all of it was read
    return held


@pytest.mark.parametrize("name", CASES)
def test_worst(server, name):
    service, rounds, rest, least, percent = CASES[name]
    count = max(200, COUNT * percent // 100)
    held = hold(server, service, rounds, rest, 0, 100) # what the first ones make once
    before = memory_kib(server)
    held += hold(server, service, rounds, rest, 100, count)
    each = (memory_kib(server) - before) / (count - 100)
    print(f"{count} connections with {name}: {each:.1f} KiB each")
    poll = select.poll()
    for sock in held:
        poll.register(sock, select.POLLIN)
    gone = len(poll.poll(0)) # closed, or told something
    for sock in held:
        sock.close()
    time.sleep(2) # the front closes its ends
    assert gone == 0
    assert least <= each <= LIMIT_KIB
