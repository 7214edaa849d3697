"""A session that is cut at any byte leaves what its whole commands made, no more and no less (SEC-05).

Each dialogue is played once command by command, which gives the state behind each; then it is cut at every byte (some of
them unless --all) by an end of file or by a reset, in mailboxes of its own."""
import os
import random
import re
import smtplib
import socket
import struct
import time

import pytest

from lib.imap_wire import Wire
from lib.server import PASSWORD, Server

ALL = os.environ.get("POSTEL_CHECK_ALL") == "yes"


@pytest.fixture(scope="module")
def server():
    with Server() as s:
        yield s


def literal(text):
    return b"{%d+}\r\n%s" % (len(text), text)


def message(n):
    return f"From: jon@example.org\r\nSubject: m{n}\r\n\r\ntext {n}\r\n".encode()


def dialogue(name):
    """Every command that writes, on mailboxes that begin with `name` (of one length always, so that cuts are alike)."""
    one, two = name.encode() + b"a", name.encode() + b"b"
    return [
        b"c01 CREATE " + one + b"\r\n",
        b"c02 CREATE " + literal(two) + b"\r\n",
        b"c03 APPEND " + one + b" " + literal(message(1)) + b"\r\n",
        b"c04 APPEND " + one + b" (\\Seen word) \"24-Nov-2026 20:17:00 +0000\" " + literal(message(2)) + b"\r\n",
        b"c05 APPEND " + literal(one) + b" " + literal(message(3)) + b"\r\n",
        b"c06 APPEND " + one + b" " + literal(message(4)) + b"\r\n",
        b"c07 SELECT " + one + b"\r\n",
        b"c08 STORE 1:2 +FLAGS (\\Flagged)\r\n",
        b"c09 UID STORE 3 FLAGS.SILENT (\\Deleted)\r\n",
        b"c10 FETCH 4 BODY[]\r\n",
        b"c11 COPY 1,2 " + two + b"\r\n",
        b"c12 UID MOVE 4 " + literal(two) + b"\r\n",
        b"c13 EXPUNGE\r\n",
        b"c14 SUBSCRIBE " + two + b"\r\n",
        b"c15 STORE 1 -FLAGS (\\Seen)\r\n",
        b"c16 RENAME " + two + b" " + name.encode() + b"c/x\r\n",
        b"c17 CLOSE\r\n",
        b"c18 DELETE " + one + b"\r\n",
        b"c19 LOGOUT\r\n",
    ]


def state(watcher, name):
    """All that the mailboxes of one dialogue hold: names, subscription, and each message with UID, flags and size."""
    found = []
    for line, literals in watcher.ok(f'LIST "" "{name}*" RETURN (SUBSCRIBED)')[1]:
        box = line.rsplit(" ", 1)[1].strip('"')
        watcher.ok(f"EXAMINE {box}")
        rows = []
        for row, _ in watcher.ok("UID FETCH 1:* (UID FLAGS RFC822.SIZE)")[1]:
            if m := re.search(r"FETCH \((.*)\)$", row):
                flags = sorted(re.search(r"FLAGS \(([^)]*)\)", m[1])[1].split())
                rows.append((re.search(r"UID (\d+)", m[1])[1], flags, re.search(r"SIZE (\d+)", m[1])[1]))
        found.append((box[len(name):], "\\Subscribed" in line, rows))
        watcher.ok("UNSELECT")
    return sorted(found)


def forget(watcher, name):
    for box, _, _ in reversed(state(watcher, name)):
        watcher.command(f"DELETE {name}{box}")


def play(server, data, service, reset=False):
    """Sends the bytes and ends the connection: half, and reads all that still comes, or by a reset."""
    with socket.create_connection(("127.0.0.1", server.port[service]), 30) as sock:
        sock.sendall(data)
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return b""
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(1 << 18), b""))


LOGIN = f'a1 LOGIN alice@example.test "{PASSWORD}"\r\n'.encode()


@pytest.fixture(scope="module")
def states(server):
    """The state behind each command of the dialogue."""
    watcher, player = Wire(server), Wire(server, who=None)
    player.send(LOGIN)
    while not player.answer()[0].startswith("a1 OK"):
        pass
    behind = [state(watcher, "t000")]
    for command in dialogue("t000"):
        player.send(command)
        tag = command.split()[0].decode()
        while not (line := player.answer()[0]).startswith(tag):
            pass
        assert line.startswith(tag + " OK"), (command, line)
        behind.append(state(watcher, "t000"))
    assert len({repr(b) for b in behind}) == len(behind) - 4 # SELECT, FETCH, CLOSE and LOGOUT write nothing
    watcher.close()
    player.close()
    return behind


def cuts(total, some):
    return range(total + 1) if ALL else sorted(random.Random(5).sample(range(total + 1), some) + [total])


def whole_commands(commands, n):
    done = 0
    for command in commands:
        n -= len(command)
        if n < 0:
            break
        done += 1
    return done


def test_imap_cut_by_end_of_file(server, states):
    watcher = Wire(server)
    total = len(b"".join(dialogue("t000")))
    for i, n in enumerate(cuts(total, 60)):
        name = f"e{i:03x}"
        commands = dialogue(name)
        said = play(server, LOGIN + b"".join(commands)[:n], "imap")
        assert state(watcher, name) == states[whole_commands(commands, n)], f"cut at {n}: {said}"
        forget(watcher, name)
    watcher.close()


def test_imap_cut_by_reset(server, states):
    """What was on its way may be lost with the connection, but never half of a command."""
    watcher = Wire(server)
    total = len(b"".join(dialogue("t000")))
    for i, n in enumerate(cuts(total, 30)):
        name = f"r{i:03x}"
        commands = dialogue(name)
        play(server, LOGIN + b"".join(commands)[:n], "imap", reset=True)
        end = time.monotonic() + 10
        wanted = states[:whole_commands(commands, n) + 1]
        while (now := settled(watcher, name)) not in wanted and time.monotonic() < end:
            pass
        assert now in wanted, f"cut at {n}: {now}"
        forget(watcher, name)
    watcher.close()


def settled(watcher, name):
    before = state(watcher, name)
    while (now := state(watcher, name)) != before:
        before = now
    return now


POP3 = [b"UTF8\r\n", b"USER bob@example.test\r\n", f"PASS {PASSWORD}\r\n".encode(), b"STAT\r\n", b"DELE 1\r\n", b"RETR 2\r\n", b"DELE 4\r\n",
        b"RSET\r\n", b"DELE 1\r\n", b"TOP 2 1\r\n", b"DELE 3\r\n", b"QUIT\r\n"]


def test_pop3_cut(server):
    """RFC 1939 6: only a QUIT that came whole removes anything."""
    with smtplib.SMTP("127.0.0.1", server.port["smtp"], timeout=30) as smtp:
        for n in range(4):
            smtp.sendmail("jon@example.org", ["bob@example.test"], message(n))
    watcher = Wire(server, "bob")
    watcher.ok("EXAMINE INBOX")

    def uids():
        return watcher.ok("UID SEARCH ALL")[1][-1][0].split()[1:]

    whole = b"".join(POP3)
    places = [n for n in cuts(len(whole), 40) if n < len(whole)]
    for n in places + [len(whole)]:
        # whole[:n] with the QUIT but not its line end is no command; a reset is one more way to go
        while b"[IN-USE]" in (said := play(server, whole[:n], "pop3", reset=n % 3 == 1 and n < len(whole))):
            time.sleep(0.01) # the session before is still going
        watcher.ok("NOOP")
        assert uids() == (["1", "2", "3", "4"] if n < len(whole) else ["2", "4"]), f"cut at {n}: {said}"
    watcher.close()
