"""What scan reads out of a message (contents of parts, values of fields, words that are searched for), beside Python's
email package and GMime; malformed, deeply nested and huge messages."""
import base64
import email
import email.header
import email.utils
import glob
import json
import os
import quopri
import random
import struct
import subprocess
import time

import pytest

from test_scan_oracle import PRINT, ROOT, SUITE, imap, needs_suite, our_tree, scan, tree

GMIME = os.environ.get("GMIME_PRINT", os.path.join(ROOT, "build-asan", "tests", "gmime_print"))
TEXTS = {"utf-8": "Grüße, 日本 und мир", "iso-8859-1": "Grüße aus Köln", "iso-8859-15": "5 € für Øre", "koi8-r": "привет мир",
         "windows-1252": "“quoted” – €", "iso-2022-jp": "こんにちは世界", "shift_jis": "日本語テスト", "euc-kr": "안녕하세요",
         "gb18030": "你好，世界", "big5": "繁體中文", "us-ascii": "plain text"}


def encode(rnd, data):
    how = rnd.choice(["base64", "quoted-printable", "8bit"])
    if how == "base64":
        return how, base64.encodebytes(data).replace(b"\n", b"\r\n")
    if how == "quoted-printable":
        return how, quopri.encodestring(data.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    return how, data


def part(rnd):
    charset = rnd.choice(list(TEXTS))
    text = "\r\n".join(rnd.choice([TEXTS[charset], "ascii " * rnd.randrange(20), ""]) for _ in range(rnd.randrange(1, 9))) + "\r\n"
    how, data = encode(rnd, text.encode(charset))
    return (f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {how}\r\n\r\n").encode() + data, text


def message(rnd):
    parts = [part(rnd) for _ in range(rnd.randrange(1, 5))]
    head = b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n"
    return head + b"".join(b"--bb\r\n" + p + b"\r\n" for p, _ in parts) + b"--bb--\r\n", [t for _, t in parts]


@pytest.mark.parametrize("seed", range(40))
def test_contents_beside_python(seed):
    rnd = random.Random(seed)
    data, texts = message(rnd)
    got = scan(data, "all")
    theirs = [p for p in email.message_from_bytes(data).walk() if not p.is_multipart()]
    assert len(theirs) == len(got["contents"]) - 1 == len(texts)
    for ours, their, text in zip(got["contents"][1:], theirs, texts):
        assert bytes.fromhex(ours["decoded"]) == their.get_payload(decode=True)
        assert bytes.fromhex(ours["text"]).decode().rstrip("\r\n") == text.rstrip("\r\n")


def addresses(packed):
    """What READ_ADDRESSES says, without the marks of groups."""
    out, at = [], 0
    while at < len(packed):
        kind, at, words = packed[at], at + 1, []
        for _ in range(3):
            n = struct.unpack_from("<I", packed, at)[0]
            words.append(packed[at + 4:at + 4 + n].decode())
            at += 4 + n
        if kind == 0:
            out.append((words[0], words[1] + "@" + words[2]))
    return out


@pytest.mark.parametrize("seed", range(40))
def test_values_beside_python(seed):
    rnd = random.Random(seed)
    text = " ".join(rnd.choice([*TEXTS.values(), "word", "long " * 12]).strip() for _ in range(rnd.randrange(1, 5)))
    subject = email.header.Header(text, rnd.choice(["utf-8", "utf-8", None]) if text.isascii() else "utf-8").encode(linesep="\r\n")
    people = [(rnd.choice(["", "Jon Doe", "Doe, Jon", "Grüße", 'a "b" c', "日本"]), f"a{n}@example.org") for n in range(rnd.randrange(1, 9))]
    to = ",\r\n ".join(email.utils.formataddr(p) for p in people)
    got = scan(f"Subject: {subject}\r\nTo: {to}\r\n\r\n".encode(), "all")["values"]
    assert [bytes.fromhex(v["name"]) for v in got] == [b"Subject", b"To"]
    assert bytes.fromhex(got[0]["text"]).decode().split() == text.split()
    assert addresses(bytes.fromhex(got[1]["addresses"])) == people


@pytest.mark.parametrize("seed", range(20))
def test_words_are_found_where_they_are(seed):
    """Any piece of what a reader sees is found, whatever its case; what is nowhere is not."""
    rnd = random.Random(seed)
    data, texts = message(rnd)
    lines = [line for t in texts for line in t.split("\r\n") if len(line) > 8]
    there = []
    for line in rnd.sample(lines, min(8, len(lines))):
        at = rnd.randrange(len(line) - 4)
        there.append(line[at:at + 4].strip() or "x")
    there = [w.upper() if w.isascii() else w for w in there]
    seen = "\n".join(texts).casefold()
    missing = ["qqqq", "日本日本日本", "nowhere at all"]
    assert not any(w in seen for w in missing)
    found = scan(data, "all", *there, *missing)["found"]
    assert found == (1 << len(there)) - 1, (there, bin(found))


# ---- the vectors, by GMime and Python ---------------------------------------------------------------------------------

def gmime(data):
    done = subprocess.run([GMIME], input=data, capture_output=True, timeout=60, env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.decode("utf-8", "replace").splitlines()]


def leaves(got, types):
    return [(t.lower(), bytes.fromhex(c["decoded"])) for t, c in zip(types, got["contents"]) if not t.startswith(("multipart/", "message/rfc822"))]


def ours_of(data):
    got = scan(data, "all")
    return leaves(got, [t for t, _ in our_tree(data, got)])


def same_bytes(a, b):
    return [(t, c.rstrip(b"\r\n")) for t, c in a] == [(t, c.rstrip(b"\r\n")) for t, c in b]


def files():
    return sorted(glob.glob(os.path.join(SUITE, "*", "*.eml")))


ALONE = {
    "rfc/008.eml": "a message/rfc822 in base64, which RFC 2046 5.2.1 forbids, is application/octet-stream to us",
    "thirdparty/015.eml": "an outer boundary ends an inner part (RFC 2046 5.1.2), for which the others look no further",
}


def differing(what):
    """The vectors whose leaves `what` sees in another way: other types, or other decoded contents."""
    return {os.path.relpath(path, SUITE) for path in files() if not same_bytes(ours_of(open(path, "rb").read()), what(open(path, "rb").read()))}


def by_gmime(data):
    return [(p["type"].lower(), bytes.fromhex(p["content"])) for p in gmime(data) if p["content"] is not None]


def by_python(data):
    return [(t, b or b"") for t, b in tree(email.message_from_bytes(data)) if not t.startswith(("multipart/", "message/rfc822"))]


@needs_suite
@pytest.mark.skipif(not os.path.exists(GMIME), reason="GMime was not there when the tests were built")
def test_vectors_beside_others():
    """Each vector is read as GMime or as Python reads it, and most as both do."""
    gmimes, pythons = differing(by_gmime), differing(by_python)
    assert gmimes & pythons == set(ALONE)
    assert len(gmimes) <= 5 and len(pythons) <= 6, (gmimes, pythons)


@pytest.mark.parametrize("seed", range(40, 60))
@pytest.mark.skipif(not os.path.exists(GMIME), reason="GMime was not there when the tests were built")
def test_contents_beside_gmime(seed):
    data, _ = message(random.Random(seed))
    assert same_bytes(ours_of(data), by_gmime(data))


# ---- more than anybody sends -------------------------------------------------------------------------------------------

def nested(levels):
    out = b"Subject: deep\r\n"
    for n in range(levels):
        out += b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
    return out + b"\r\nthe bottom\r\n"


@pytest.mark.parametrize("what, data", [
    ("multiparts in each other", lambda: nested(3000)),
    ("messages in each other", lambda: b"Content-Type: message/rfc822\r\n\r\n" * 3000 + b"\r\nthe bottom\r\n"),
    ("many parts", lambda: b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 50000 + b"--b--\r\n"),
    ("many fields", lambda: b"X-Field: value\r\n" * 50000 + b"\r\n"),
    ("many addresses", lambda: b"To: " + b",\r\n ".join(b"a%d@example.org" % n for n in range(50000)) + b"\r\n\r\n"),
    ("one long line", lambda: b"Subject: x\r\n\r\n" + b"y" * 20_000_000),
    ("one long field", lambda: b"Subject: " + b"x" * 5_000_000 + b"\r\n\r\n"),
    ("only boundaries", lambda: b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n" * 200000),
    ("open comments", lambda: b"To: " + b"(" * 1_000_000 + b"\r\n\r\n"),
    ("broken base64", lambda: b"Content-Transfer-Encoding: base64\r\n\r\n" + b"A=B!\xff" * 500000),
    ("open encoded words", lambda: b"Subject: " + b"=?utf-8?q?" * 200000 + b"\r\n\r\n"),
    ("no header", lambda: b"\r\n" * 1_000_000),
    ("nothing", lambda: b""),
    ("zeros", lambda: b"\0" * 5_000_000),
])
def test_outsized(what, data):
    began = time.monotonic()
    got = scan(data())
    imap(got["envelope"])
    imap(got["structure"])
    assert time.monotonic() - began < 20 # seconds, with sanitizers on a busy machine


def test_huge_is_searched_to_its_end():
    data = b"Content-Type: text/plain\r\n\r\n" + b"haystack of words and lines\r\n" * 100_000 + b"the Needle\r\n"
    run = subprocess.run([PRINT, "all", "THE NEEDLE", "pin"], input=data, capture_output=True, timeout=120)
    assert json.loads(run.stdout)["found"] == 1


@pytest.mark.parametrize("seed", range(30))
def test_malformed(seed):
    """Whole messages with bytes changed, cut out and put in: the summary stays well formed, contents stay readable."""
    rnd = random.Random(seed)
    data = bytearray(message(rnd)[0])
    for _ in range(rnd.randrange(1, 30)):
        at = rnd.randrange(len(data))
        if rnd.random() < .4:
            data[at] = rnd.choice(b"\0\r\n-=;\"()<>\xff \t?")
        elif rnd.random() < .5:
            del data[at:at + rnd.randrange(20)]
        else:
            data[at:at] = rnd.choice([b"--bb\r\n", b"--bb--\r\n", b"\n\n", b"Content-Type: multipart/mixed; boundary=bb\r\n", b"=?x?b?"])
        if not data:
            data = bytearray(b"x")
    got = scan(bytes(data), "all")
    imap(got["envelope"])
    imap(got["structure"])
    assert len(got["contents"]) == len(got["parts"])
    for p, c in zip(got["parts"], got["contents"]):
        assert p["header_at"] <= p["body_at"] <= p["body_end"] <= len(data)
        bytes.fromhex(c["text"]).decode()  # always UTF-8
