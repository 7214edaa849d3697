"""SEC-02: 42 ends of data, and a second message smuggled behind each, in one packet or cut; by DATA and by BDAT.

What must come of it is said by a reader of its own here: a message ends at CRLF.CRLF and nowhere else; a bare CR, a bare LF
or a NUL before that ends the connection with 550, and nothing behind it is obeyed. A chunk of BDAT ends where its size says."""
import base64
import itertools
import re
import socket

import pytest

from lib.server import PASSWORD, Server

BEFORE = {"CRLF": b"\r\n", "LF": b"\n", "CR": b"\r", "LFCR": b"\n\r", "CRCRLF": b"\r\r\n", "NUL": b"\0\r\n", "blank": b"\r\n "}
AFTER = {"CRLF": b"\r\n", "LF": b"\n", "CR": b"\r", "LFCR": b"\n\r", "CRCRLF": b"\r\r\n", "blank": b" \r\n"}
LOGIN = b"AUTH PLAIN " + base64.b64encode(f"\0alice@example.test\0{PASSWORD}".encode()) + b"\r\n"
HEAD = b"From: alice@example.test\r\nSubject: good\r\n\r\ntext"
SUBMITS_OR_NOT = ["smtp", "submission"]


@pytest.fixture(scope="module")
def server():
    with Server() as s:
        yield s


def expected(data):
    """What a reader of RFC 5321 sees in `data` behind 354: 'bad', or how many messages end in it."""
    messages = 0
    while data:
        bad = re.search(rb"(?<!\r)\n|\r(?!\n)|\0", data)
        end = re.search(rb"(?:\A|\r\n)\.\r\n", data)
        if bad and (end is None or bad.start() < end.end()):
            return messages, "bad"
        if end is None:
            return messages, "open"
        messages += 1
        data = data[end.end():]
        # behind the end: the smuggler's commands are commands, as they would be without any smuggling
        command = data.find(b"DATA\r\n")
        data = data[command + 6:] if command >= 0 else b""
    return messages, "done"


def envelope(submits, who=b"alice"):
    sender = who + b"@example.test" if submits else b"jon@example.org"
    return b"MAIL FROM:<" + sender + b">\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"


def talk(server, service, packets):
    """Sends the packets without waiting for answers in between; gives all that the server said."""
    with socket.create_connection(("127.0.0.1", server.port[service]), 30) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.settimeout(30)
        said = b""
        try:
            for packet in packets:
                s.sendall(packet)
            s.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        try:
            while more := s.recv(65536):
                said += more
        except ConnectionResetError:
            pass
        return said


@pytest.mark.parametrize("service", SUBMITS_OR_NOT)
@pytest.mark.parametrize("before, after", itertools.product(BEFORE, AFTER))
def test_end_of_data(server, service, before, after):
    submits = service == "submission"
    hello = b"EHLO client.example.org\r\n" + (LOGIN if submits else b"")
    end = BEFORE[before] + b"." + AFTER[after]
    smuggled = envelope(submits) + b"From: alice@example.test\r\nSubject: smuggled\r\n\r\nevil\r\n.\r\nQUIT\r\n"
    data = HEAD + end + smuggled
    want, how = expected(data)
    for packets in ([hello + envelope(submits) + data],                       # all in one
                    [hello, envelope(submits), data],                         # in groups (RFC 2920)
                    [hello + envelope(submits) + HEAD + end, smuggled],       # cut behind the end
                    [hello + envelope(submits) + HEAD + BEFORE[before], b".", AFTER[after] + smuggled]):
        said = talk(server, service, packets)
        lines = re.findall(rb"^(\d{3}) .*$", said, re.M)
        assert said.count(b"stored as") == want, said
        assert (b"550 5.6.0" in said) == (how == "bad"), said
        # a message that went on past the false end took the smuggler's commands in as its text
        assert lines.count(b"354") == want + (how == "bad"), said
        if how == "bad":
            assert lines[-1] == b"550", said


@pytest.mark.parametrize("service", SUBMITS_OR_NOT)
@pytest.mark.parametrize("before, after", itertools.product(BEFORE, AFTER))
def test_end_of_data_in_a_chunk(server, service, before, after):
    submits = service == "submission"
    begin = b"EHLO client.example.org\r\n" + (LOGIN if submits else b"") + envelope(submits).replace(b"DATA\r\n", b"")
    end = BEFORE[before] + b"." + AFTER[after]
    text = HEAD + end + envelope(submits) + b"From: alice@example.test\r\nSubject: smuggled\r\n\r\nevil\r\n.\r\nQUIT\r\n"
    bad = re.search(rb"(?<!\r)\n|\r(?!\n)|\0", text)
    one = b"BDAT %d LAST\r\n" % len(text) + text
    for cut in (len(HEAD), len(HEAD) + len(BEFORE[before]), len(HEAD + end) - 1, len(HEAD + end)):
        two = [b"BDAT %d\r\n" % cut + text[:cut], b"BDAT %d LAST\r\n" % (len(text) - cut) + text[cut:]]
        for packets in ([begin + one + b"NOOP\r\n"], [begin, one[:cut + 20], one[cut + 20:] + b"NOOP\r\n"],
                        [begin + two[0] + two[1] + b"NOOP\r\n"], [begin + two[0], two[1] + b"NOOP\r\n"]):
            said = talk(server, service, packets)
            lines = re.findall(rb"^(\d{3}) (.*)\r$", said, re.M)
            assert b"\n354 " not in said and said.count(b"2.1.0 Ok") == 1, said # MAIL was obeyed once
            assert said.count(b"stored as") == (0 if bad else 1), said
            if bad:
                assert lines[-1][0] == b"550" and b"5.6.0" in lines[-1][1], said
            else:
                assert lines[-1] == (b"250", b"2.0.0 Ok"), said # of NOOP


def test_reader():
    """The reader of this test itself."""
    assert expected(b"a\r\n.\r\n") == (1, "done")
    assert expected(b"a\n.\r\nDATA\r\n.\r\n") == (0, "bad")
    assert expected(b"a\r\n.\r\nMAIL\r\nDATA\r\nb\r\n.\r\nQUIT\r\n") == (2, "done")
    assert expected(b"a\r\n. \r\nDATA\r\nb\r\n.\r\n") == (1, "done")
    assert expected(b"a\r\n") == (0, "open")
