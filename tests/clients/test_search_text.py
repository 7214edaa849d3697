"""SEARCH by the texts that store keeps finds exactly what scan finds in the messages themselves (RFC 9051 6.4.4)."""
import base64
import glob
import os
import quopri
import random
import socket
import time

import pytest

from lib.server import PASSWORD, Server

UMLAUTS = "Größe ÄÖÜ ΣΊΣΥΦΟΣ İstanbul Привет"
MULTI = ("From: =?utf-8?B?SsO2cmc=?= <joerg@example.org>\r\nTo: bob@example.test\r\nSubject: =?iso-8859-1?Q?Gr=FC=DFe?=\r\n =?iso-8859-1?Q?_aus?= K\r\n"
         "X-Empty:\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n"
         "--b\r\nContent-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: base64\r\nX-Part: partfield\r\n\r\n"
         + base64.encodebytes("Привет мир needle".encode("koi8-r")).decode().replace("\n", "\r\n") +
         "--b\r\nContent-Type: text/html\r\n\r\n<p title=hidden>Vi<b>si</b>ble &amp; &auml; text</p><script>unseen</script>\r\n"
         "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: Inner =?utf-8?Q?=C3=84?=\r\nFrom: inner@example.org\r\n\r\nwithin\r\n"
         "--b\r\nContent-Type: application/octet-stream; name=\"Bill.pdf\"\r\n\r\nopaque\r\n"
         "--b\r\nContent-Type: message/delivery-status\r\n\r\nFinal-Recipient: rfc822; gone@example.org\r\n--b--\r\nepilogue\r\n").encode()
MESSAGES = [
    b"Subject: plain\r\nFrom: a@example.org\r\n\r\nNeedle in HAY\r\n",
    b"From: a@example.org\r\nSubject: x\r\n\r\n",
    b"\r\nno header at all, needle\r\n",
    b"no colon\r\nSubject: late\r\n\r\nx\r\n",
    MULTI,
    b"Subject: nested\r\nContent-Type: message/rfc822\r\n\r\n" + MULTI,
    b"Subject: 8bit \xe4\xf6\xfc raw\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\n\xc4\xd6\xdc needle \xff\r\n",
    ("Subject: " + UMLAUTS + "\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + UMLAUTS + "\r\n").encode(),
    b"Subject: qp\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    + quopri.encodestring(("needle " + UMLAUTS * 5).encode()).replace(b"\n", b"\r\n"),
    b"Subject: jp\r\nContent-Type: text/plain; charset=iso-2022-jp\r\n\r\n" + "日本語 テスト".encode("iso-2022-jp") + b"\r\n",
    b"Subject: long\r\n\r\n" + b"".join(b"line %d of many, filled up a little\r\n" % n for n in range(200)) + b"needle at the end\r\n",
    b"Subject: too long\r\n\r\n" + b"".join(b"line %d of many more, filled up a little\r\n" % n for n in range(400)) + b"needle at the end\r\n",
    b"Subject: attached\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\nneedle\r\n--q\r\n"
    b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"bmVlZGxl" * 9 + b"\r\n" * 40000 + b"--q--\r\n",
    b"Subject: dotted\r\nX-Many: one\r\nX-Many: two\r\n\r\n.\r\n..\r\nKELVIN \xe2\x84\xaa\r\n",
]
WORDS = ["needle", "NEEDLE", "größe", "ΣΊσυφος", "привет", "visible & ä", "hidden", "unseen", "inner ä", "within", "opaque", "bill.PDF",
         "gone@", "preamble", "partfield", "日本語", "テ", "line 199 of", "many, filled", "kelvin k", "k", "e", "x-part: p", "jörg", "Grüße aus",
         "äöü", "İ", "i", "ss", "\ufffd", "no header", "subject", "X-Many: two", "", "epilogue", "koi8", "late"]
FIELDS = ["Subject", "FROM", "x-many", "X-Empty", "Content-Type", "Nothing", "X-Part", "To"]


class Client:
    def __init__(self, server, who="alice"):
        self.sock = socket.create_connection(("127.0.0.1", server.port["imap"]), 60)
        self.file = self.sock.makefile("rb")
        self.file.readline()
        self.run(b'LOGIN %s@example.test "%s"' % (who.encode(), PASSWORD.encode()))

    def run(self, *parts):
        """Parts of a command with literals between them; the untagged SEARCH answer as a set."""
        found = None
        for n, part in enumerate(parts):
            last = n + 1 == len(parts)
            self.sock.sendall((b"t " if n == 0 else b"") + part + (b"" if last else b" {%d}" % len(parts[n + 1])) + b"\r\n" if n % 2 == 0 else part)
            if n % 2 == 0 and not last:
                assert self.file.readline().startswith(b"+")
            if n % 2 == 1 and last:
                self.sock.sendall(b"\r\n")
        while not (line := self.file.readline()).startswith(b"t "):
            assert line
            if line.startswith(b"* SEARCH"):
                found = set(map(int, line.split()[2:]))
        assert line.startswith(b"t OK"), (parts, line)
        return found

    def append(self, message):
        self.run(b"APPEND INBOX", message)

    def search(self, *parts):
        return self.run(b"SEARCH CHARSET UTF-8 " + parts[0], *parts[1:])

    def search_messages(self, *parts):
        """The same, but no text can answer it: a string with a byte 1 in it."""
        return self.run(b"SEARCH CHARSET UTF-8 OR BODY", b"\x01never", b" " + parts[0], *parts[1:])


def all_searches():
    for n, word in enumerate(WORDS):
        for where in (b"BODY", b"TEXT"):
            yield where, word.encode()
        for field in FIELDS if os.environ.get("POSTEL_CHECK_ALL") == "yes" else (FIELDS[n % len(FIELDS)],):
            yield b"HEADER " + field.encode(), word.encode()
    for word in ("needle", "grüße", "k", "inner", "joerg"):
        for where in (b"SUBJECT", b"FROM", b"TO"):
            yield where, word.encode()
        yield b"SINCE 1-Jan-2020 NOT BODY", word.encode()
        yield b"LARGER 300 OR FROM example TEXT", word.encode()
        yield b"SUBJECT a BODY", word.encode()
        yield b"UNSEEN NOT TEXT", word.encode()


@pytest.fixture(scope="module")
def box():
    with Server({"limits.search_text_bytes": "12000"}, accounts=("alice", "bob")) as server:
        client = Client(server)
        for message in MESSAGES:
            client.append(message)
        client.run(b"SELECT INBOX")
        yield server, client


def text_files(server):
    return glob.glob(os.path.join(server.data, "store", "text", "*"))


def test_same_as_in_the_messages(box):
    server, client = box
    for parts in all_searches():
        assert client.search(*parts) == client.search_messages(*parts), parts
    assert len(text_files(server)) == 1
    assert client.search(b"BODY", b"needle") >= {1, 5, 6, 11, 12}


def test_lost_and_made_again(box):
    server, _ = box
    client = Client(server)
    client.run(b"SELECT INBOX")
    want = client.search(b"BODY", b"needle")
    chance = random.Random(5)
    for damage in ("none", "removed", "cut", "changed"):
        server.stop()
        if damage == "removed":
            os.unlink(text_files(server)[0])
        elif damage != "none":
            name = text_files(server)[0]
            size = os.path.getsize(name)
            with open(name, "r+b") as f:
                f.seek(chance.randrange(size))
                f.write(b"needle needle") if damage == "changed" else f.truncate()
        server.start()
        client = Client(server)
        client.run(b"SELECT INBOX")
        assert client.search(b"BODY", b"needle") == want, damage
        assert client.search(b"TEXT", b"example.org") == client.search_messages(b"TEXT", b"example.org")
    client.append(MESSAGES[0])
    assert client.search(b"BODY", b"needle") == want | {len(MESSAGES) + 1}
    client.run(b"STORE 1 +FLAGS (\\Deleted)")
    client.run(b"EXPUNGE")
    assert client.search(b"BODY", b"needle") == {n - 1 for n in want - {1}} | {len(MESSAGES)}


def test_goes_with_the_account(box):
    server, _ = box
    client = Client(server, "bob")
    client.append(MESSAGES[0])
    client.run(b"SELECT INBOX")
    assert client.search(b"BODY", b"needle") == {1}
    assert len(text_files(server)) == 2
    server.cli("account", "remove", "bob@example.test", "--yes")
    for _ in range(100):
        if len(text_files(server)) == 1:
            break
        time.sleep(0.05)
    assert len(text_files(server)) == 1
