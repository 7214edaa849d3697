"""What clients get of messages with UTF-8 in their headers: those that enabled it the message, the others its surrogate
(RFC 6857), the same whichever way they ask. Python's email is the oracle for parts and encoded words."""
import email.header
import email.policy
import imaplib
import re
import shutil
import smtplib
import subprocess

import pytest

from lib.imap_wire import Wire
from lib.server import PASSWORD, Server

USER = "alice@example.test"
BIG = "".join(f"line {i:06}\r\n" for i in range(12000))  # three windows of store

PLAIN = "From: a <a@example.org>\r\nSubject: plain\r\n\r\ntext\r\n"
SUBJECT = "From: Jörg <joerg@bücher.example>\r\nTo: j@x.example, Ü: ü@x.example;\r\nSubject: Grüße aus 日本\r\n\r\nGrüße\r\n"
PARTS = ("From: a <a@example.org>\r\nSubject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
         '--b\r\nContent-Type: text/plain; charset=utf-8; name="übung.txt"\r\nContent-Transfer-Encoding: 8bit\r\n\r\nfür\r\n' + BIG +
         "--b\r\nContent-Type: message/global\r\n\r\nFrom: Ö <ö@example.org>\r\nSubject: innen\r\n\r\n" + BIG +
         "\r\n--b\r\nContent-Disposition: attachment; filename=größe.bin\r\nContent-Type: application/octet-stream\r\n"
         "Content-Transfer-Encoding: base64\r\n\r\nYWJj\r\n--b--\r\n")
HEAVY = "".join(f"X-{i}: ü{i}\r\n" for i in range(400)) + "Subject: viel ü\r\n\r\n" + BIG
REPORT = ("From: a <a@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; boundary=b; report-type=delivery-status\r\n\r\n"
          "--b\r\n\r\nfailed\r\n--b\r\nContent-Type: message/global-delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
          "Final-Recipient: utf-8; ü@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n--b--\r\n")
LATIN = "From: a <a@example.org>\r\nSubject: b\xe4d\r\n\r\ntext\r\n".encode("latin-1")
MESSAGES = [m if isinstance(m, bytes) else m.encode() for m in (PLAIN, SUBJECT, PARTS, HEAVY, REPORT, LATIN)]
CHANGED = [2, 3, 4, 5]


@pytest.fixture(scope="module")
def server():
    with Server() as s:
        imap = imaplib.IMAP4("127.0.0.1", s.port["imap"], timeout=30)
        imap.login(USER, PASSWORD)
        imap.create("world")
        for m in MESSAGES:
            assert imap.append("world", None, None, m)[0] == "OK"
        imap.logout()
        yield s


@pytest.fixture
def wire(server):
    w = Wire(server)
    w.ok("EXAMINE world")
    return w


def items(wire, number, what):
    """The only literal, or all of them, and the text of one message's answer."""
    said, untagged = wire.command(f"FETCH {number} {what}")
    assert said.startswith("OK"), said
    (text, literals), = [u for u in untagged if u[0].startswith(f"{number} FETCH")]
    return text, literals


def body(wire, number, section=""):
    return items(wire, number, f"BODY.PEEK[{section}]")[1][0]


def leaves(message, path=()):
    """Part numbers and parts as IMAP counts them."""
    if message.get_content_type().startswith("message/") and message.is_multipart() and "status" not in message.get_content_type():
        yield path or (1,), message
        inner = message.get_payload(0)
        if inner.is_multipart():
            yield from leaves(inner, path)
        return
    if not message.is_multipart() or "status" in message.get_content_type():
        yield path or (1,), message
        return
    for i, part in enumerate(message.get_payload(), 1):
        yield from leaves(part, path + (i,))


@pytest.mark.parametrize("number", range(1, len(MESSAGES) + 1))
def test_one_message_whichever_way_it_is_asked_for(wire, number):
    text, (whole,) = items(wire, number, "(RFC822.SIZE BODY.PEEK[])")
    assert int(re.search(r"RFC822.SIZE (\d+)", text)[1]) == len(whole)
    assert f"RFC822.SIZE {len(whole)})" in items(wire, number, "RFC822.SIZE")[0]
    assert (whole == MESSAGES[number - 1]) == (number not in CHANGED)
    head = body(wire, number, "HEADER")
    assert head + body(wire, number, "TEXT") == whole
    if number in CHANGED:
        assert head.isascii()
    fields = re.findall(rb"^[^\s:][^:]*:.*\r\n(?:[ \t].*\r\n)*", head, re.M)
    assert body(wire, number, "HEADER.FIELDS (SUBJECT FROM)") == \
        b"".join(f for f in fields if f.lower().startswith((b"subject:", b"from:"))) + b"\r\n"
    parts = list(leaves(email.message_from_bytes(whole)))
    for path, part in parts if len(parts) > 1 else []:
        dotted = ".".join(map(str, path))
        got = body(wire, number, dotted)
        assert body(wire, number, dotted + ".MIME").isascii()
        assert got in whole and whole.count(got) >= 1
        if part.get_content_type() == "message/rfc822":
            assert body(wire, number, dotted + ".HEADER") + body(wire, number, dotted + ".TEXT") == got
            assert body(wire, number, dotted + ".HEADER").isascii()


@pytest.mark.parametrize("number", CHANGED)
def test_pieces_come_together(wire, number):
    whole = body(wire, number)
    steps = [(0, 1), (0, 100), (3, 64), (len(whole) - 5, 50), (len(whole), 10), (len(whole) // 2, 70000), (65530, 20)]
    steps += [(at, 7) for at in range(0, 400, 7)] if number == 2 else [(at, 60000) for at in range(0, len(whole), 60000)]
    for at, n in steps:
        assert items(wire, number, f"BODY.PEEK[]<{at}.{n}>")[1] == [whole[at:at + n]]
    assert items(wire, number, "BODY.PEEK[TEXT]<5.20>")[1] == [body(wire, number, "TEXT")[5:25]]


def test_the_text_survives(wire):
    head = email.message_from_bytes(body(wire, 2), policy=email.policy.default)
    assert head["Subject"] == "Grüße aus 日本"
    assert [(a.display_name, a.addr_spec) for a in head["From"].addresses] == [("Jörg", "joerg@xn--bcher-kva.example")]
    assert [g.display_name.split() for g in head["To"].groups if g.display_name] == [["Ü", "ü@x.example"]]
    attachment = email.message_from_bytes(body(wire, 3), policy=email.policy.default)
    names = [p.get_filename() for p in attachment.walk()]
    assert "übung.txt" in names and "größe.bin" in names
    assert [p["From"].addresses == () for p in attachment.walk() if p["Subject"] == "innen"] == [True]
    heavy = email.message_from_bytes(body(wire, 4), policy=email.policy.default)
    assert all(heavy[f"X-{i}"] == f"ü{i}" for i in range(400))
    assert b"Final-Recipient: utf-8; \\x{FC}@example.org\r\n" in body(wire, 5)
    assert "xn--bcher-kva.example" in items(wire, 2, "ENVELOPE")[0]


def test_no_byte_above_127_in_what_describes_them(wire):
    for number in CHANGED:
        text, literals = items(wire, number, "(ENVELOPE BODYSTRUCTURE BODY)")
        assert text.isascii() and not literals, text
    text, _ = items(wire, 3, "BODYSTRUCTURE")
    assert "\"UTF-8''%C3%BCbung.txt\"" in text and '"rfc822"' in text and "global" not in text


def test_who_was_shown_a_surrogate_is_told(wire):
    assert wire.command("FETCH 1:* RFC822.SIZE")[0].startswith("OK [DOWNGRADED 2:5] ")
    assert wire.command("UID FETCH 1:* (FLAGS INTERNALDATE)")[0] == "OK Fetched"
    assert wire.command("UID FETCH 5,3,1 BODY.PEEK[HEADER]")[0].startswith("OK [DOWNGRADED 3,5] ")
    wire.ok("ENABLE UTF8=ACCEPT")
    assert wire.command("FETCH 1:* (RFC822.SIZE ENVELOPE)")[0] == "OK Fetched"
    assert [body(wire, n + 1) for n in range(len(MESSAGES))] == MESSAGES


def test_many_at_once_as_one_by_one(wire):
    said, untagged = wire.command("FETCH 1:* (UID BODY.PEEK[] ENVELOPE RFC822.SIZE)")
    together = {int(text.split()[0]): (text, literals) for text, literals in untagged}
    for number in range(1, len(MESSAGES) + 1):
        assert together[number] == items(wire, number, "(UID BODY.PEEK[] ENVELOPE RFC822.SIZE)")


def test_delivered_by_smtp(server):
    """What final delivery puts in front belongs to the header, and may be all there is of UTF-8 in it."""
    with smtplib.SMTP("127.0.0.1", server.port["smtp"], timeout=30) as smtp:
        smtp.ehlo()
        smtp.mail("jörg@example.org", ["SMTPUTF8"])
        smtp.rcpt(USER)
        smtp.data("Subject: from far away\r\n\r\ntext\r\n")
    imap = imaplib.IMAP4("127.0.0.1", server.port["imap"], timeout=30)
    imap.login(USER, PASSWORD)
    imap.select("INBOX", readonly=True)
    (_, head), _ = imap.fetch("1", "(BODY.PEEK[HEADER])")[1]
    assert head.startswith(b"Return-Path: =?UTF-8?Q?j=C3=B6rg=40example=2Eorg?= :;\r\nDelivered-To: alice@example.test\r\n")
    imap.logout()


def test_imaplib_with_utf8_and_without(server):
    for enable in (False, True):
        imap = imaplib.IMAP4("127.0.0.1", server.port["imap"], timeout=30)
        imap.login(USER, PASSWORD)
        if enable:
            assert imap.enable("UTF8=ACCEPT")[0] == "OK" and imap.utf8_enabled
            assert imap.create('"Entwürfe-日本"')[0] == "OK"
            assert any("日本".encode() in line for line in imap.list()[1])
        assert imap.select("world", readonly=True) == ("OK", [str(len(MESSAGES)).encode()])
        (_, whole), _ = imap.uid("FETCH", "2", "(BODY.PEEK[])")[1]
        assert (whole == MESSAGES[1]) == enable
        assert imap.search(None, "SUBJECT", '"plain"') == ("OK", [b"1"])
        imap.logout()


def test_curl(server):
    done = subprocess.run(["curl", "-sS", "--user", f"{USER}:{PASSWORD}",
                           f"imap://127.0.0.1:{server.port['imap']}/world;UID=2"], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    head = done.stdout.split(b"\r\n\r\n")[0]
    assert head.isascii() and b"Subject: =?UTF-8?" in head


def test_mutt(server, tmp_path):
    """Asks for UTF8=ACCEPT where it is told of it, and so has the messages themselves."""
    if not shutil.which("mutt") or not shutil.which("script"):
        pytest.skip("mutt is not installed")
    rc = tmp_path / "muttrc"
    rc.write_text(f"""set imap_user="{USER}" imap_pass="{PASSWORD}" ssl_starttls=no ssl_force_tls=no
set folder="imap://127.0.0.1:{server.port['imap']}/" spoolfile=+world header_cache="" confirmappend=no charset=utf-8
set confirmcreate=no delete=yes move=no quit=yes save_empty=yes copy=yes wait_key=no
push "<tag-pattern>~A<enter><tag-prefix><copy-message>{tmp_path}/out<enter><exit>"
""")
    subprocess.run(["timeout", "40", "script", "-qec", f"mutt -F {rc}", "/dev/null"], env={"HOME": str(tmp_path), "TERM": "xterm",
                   "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}, input=b"", capture_output=True, timeout=60)
    raw = (tmp_path / "out").read_bytes()
    assert raw.count(b"\nSubject: plain\n") == 1 and "\nSubject: Grüße aus 日本\n".encode() in raw
