"""Real IMAP clients: imaplib, mbsync, offlineimap, imapfilter, mutt, curl."""
import imaplib
import mailbox
import os
import shutil
import socket
import subprocess

import pytest

from lib.server import PASSWORD, Server

USER = "alice@example.test"


@pytest.fixture(scope="module")
def server():
    with Server() as s:
        yield s


def message(number, body="One line.\r\n"):
    return (f"From: Jon <jon@example.org>\r\nTo: {USER}\r\nSubject: message {number}\r\n"
            f"Date: Tue, 24 Nov 2026 20:17:00 +0000\r\nMessage-ID: <{number}@example.org>\r\n\r\n{body}").encode()


def login(server):
    c = imaplib.IMAP4("127.0.0.1", server.port["imap"])
    c.login(USER, PASSWORD)
    return c


def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]


@pytest.fixture
def box(server):
    """INBOX with three messages, nothing else."""
    c = login(server)
    for name in ("Kept", "Filtered"):
        c.delete(name)
    count = int(ok(c.select("INBOX"))[0])
    if count > 0:
        ok(c.store("1:*", "+FLAGS.SILENT", r"(\Deleted)"))
    ok(c.expunge())
    for n in range(1, 4):
        ok(c.append("INBOX", r"(\Flagged)" if n == 2 else None, None, message(n)))
    yield c
    c.logout()


def run(*command, env=None, input=None):
    done = subprocess.run(command, input=input, capture_output=True, text=True, timeout=60, env={**os.environ, **(env or {})})
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done


def need(program):
    if shutil.which(program) is None:
        pytest.skip(program + " is not installed")


def test_imaplib(box):
    ok(box.select("INBOX"))
    data = ok(box.fetch("1:3", "(UID FLAGS RFC822.SIZE BODY.PEEK[])"))
    bodies = [d[1] for d in data if isinstance(d, tuple)]
    assert bodies == [message(n) for n in range(1, 4)]
    assert ok(box.search(None, "FLAGGED"))[0] == b"2"
    assert ok(box.search(None, "SUBJECT", '"message 3"'))[0] == b"3"
    assert ok(box.search(None, "BODY", '"one LINE"'))[0] == b"1 2 3"
    ok(box.create("Kept"))
    ok(box.copy("1", "Kept"))
    ok(box.uid("MOVE", ok(box.fetch("2", "UID"))[0].decode().split()[2].rstrip(")"), "Kept"))
    assert ok(box.status("Kept", "(MESSAGES UNSEEN)"))[0].endswith(b"(MESSAGES 2 UNSEEN 2)")
    assert ok(box.search(None, "ALL"))[0] == b"1 2"
    ok(box.store("1", "+FLAGS", r"(\Deleted)"))
    assert ok(box.expunge())[-1:] == [b"1"] # imaplib still holds the one that MOVE told


def test_large_message(box):
    """Above what travels in a frame, and above what a memfd takes: APPEND and FETCH stream."""
    for size in (200_000, 3_000_000):
        sent = message(size, ("x" * 70 + "\r\n") * (size // 72))
        ok(box.append("INBOX", None, None, sent))
        ok(box.select("INBOX"))
        got = ok(box.fetch("*", "(BODY.PEEK[] RFC822.SIZE)"))
        assert got[0][1] == sent
        assert ok(box.fetch("*", f"BODY.PEEK[]<{size - 100}.50>"))[0][1] == sent[size - 100:size - 50]


def test_sec_03(box):
    """SEC-03: a lone LF becomes CRLF, a bare CR and a NUL are refused."""
    with socket.create_connection(("127.0.0.1", int(box.port))) as s:
        f = s.makefile("rb")
        f.readline()

        def say(line):
            s.sendall(line)
            while True:
                answer = f.readline()
                if not answer.startswith((b"* ", b"+ ")):
                    return answer

        assert say(b'a LOGIN %s "%s"\r\n' % (USER.encode(), PASSWORD.encode())).startswith(b"a OK")
        assert say(b"b APPEND INBOX {9+}\r\nA: b\n\nxyz\r\n").startswith(b"b OK [APPENDUID")
        assert say(b"c APPEND INBOX {9+}\r\nA: b\r\rxyz\r\n").startswith(b"c NO")
        assert say(b"d APPEND INBOX {9+}\r\nA: b\r\n\0yz\r\n").startswith(b"d NO")
        assert say(b"e APPEND nowhere {3+}\r\nA:b\r\n").startswith(b"e NO [TRYCREATE]")
    ok(box.select("INBOX"))
    assert ok(box.fetch("*", "BODY.PEEK[]"))[0][1] == b"A: b\r\n\r\nxyz"


def test_curl(server, box):
    need("curl")
    url = f"imap://127.0.0.1:{server.port['imap']}/INBOX"
    login_ = ["-s", "--user", f"{USER}:{PASSWORD}"]
    assert "Subject: message 1\n" in run("curl", *login_, url + ";MAILINDEX=1").stdout
    assert "SEARCH 2" in run("curl", *login_, url + "?FLAGGED").stdout


def test_mbsync(server, box, tmp_path):
    need("mbsync")
    rc = tmp_path / "rc"
    (tmp_path / "mail").mkdir()
    rc.write_text(f"""IMAPAccount a
Host 127.0.0.1
Port {server.port['imap']}
User {USER}
Pass "{PASSWORD}"
SSLType None
AuthMechs LOGIN

IMAPStore far
Account a

MaildirStore near
Path {tmp_path}/mail/
Inbox {tmp_path}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
""")
    run("mbsync", "-c", str(rc), "all", env={"HOME": str(tmp_path)})
    near = mailbox.Maildir(tmp_path / "mail" / "INBOX", create=False)
    assert sorted(m["Subject"] for m in near) == ["message 1", "message 2", "message 3"]
    assert [m["Subject"] for m in near if "F" in m.get_flags()] == ["message 2"]
    # both ways: a new message and a flag here, an expunge there
    new = mailbox.MaildirMessage(message(4).replace(b"\r\n", b"\n"))
    new.set_flags("S")
    near.add(new)
    for key, m in near.iteritems():
        if m["Subject"] == "message 1":
            m.set_flags("S")
            m.set_subdir("cur")
            near[key] = m
    ok(box.select("INBOX"))
    ok(box.store("3", "+FLAGS", r"(\Deleted)"))
    ok(box.expunge())
    run("mbsync", "-c", str(rc), "all", env={"HOME": str(tmp_path)})
    ok(box.select("INBOX"))
    seen = ok(box.search(None, "SEEN"))[0].split()
    assert len(seen) == 2 and len(ok(box.search(None, "ALL"))[0].split()) == 3
    near = mailbox.Maildir(tmp_path / "mail" / "INBOX", create=False)
    assert sorted(m["Subject"] for m in near) == ["message 1", "message 2", "message 4"]


def test_offlineimap(server, box, tmp_path):
    need("offlineimap")
    rc = tmp_path / "rc"
    rc.write_text(f"""[general]
accounts = a
metadata = {tmp_path}/meta
ui = quiet
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {tmp_path}/mail
[Repository far]
type = IMAP
remotehost = 127.0.0.1
remoteport = {server.port['imap']}
remoteuser = {USER}
remotepass = {PASSWORD}
ssl = no
starttls = no
""")
    run("offlineimap", "-c", str(rc), "-o", env={"HOME": str(tmp_path)})
    near = mailbox.Maildir(tmp_path / "mail" / "INBOX", create=False)
    assert sorted(m["Subject"] for m in near) == ["message 1", "message 2", "message 3"]
    near.add(mailbox.MaildirMessage(message(5).replace(b"\r\n", b"\n")))
    run("offlineimap", "-c", str(rc), "-o", env={"HOME": str(tmp_path)})
    ok(box.select("INBOX"))
    assert ok(box.search(None, "SUBJECT", '"message 5"'))[0] == b"4"


def test_imapfilter(server, box, tmp_path):
    need("imapfilter")
    rc = tmp_path / "rc.lua"
    rc.write_text(f"""options.create = true
options.starttls = false
a = IMAP {{ server = '127.0.0.1', port = {server.port['imap']}, username = '{USER}', password = '{PASSWORD}' }}
hits = a['INBOX']:is_flagged() + a['INBOX']:contain_subject('message 3')
hits:move_messages(a['Filtered'])
a['INBOX']:match_body('One line'):mark_seen()
""")
    run("imapfilter", "-c", str(rc), env={"HOME": str(tmp_path)})
    assert ok(box.status("Filtered", "(MESSAGES)"))[0].endswith(b"(MESSAGES 2)")
    ok(box.select("INBOX"))
    assert ok(box.search(None, "SEEN"))[0] == b"1"


def test_mutt(server, box, tmp_path):
    """Opens INBOX without a terminal of its own, tags all, copies them to a file, leaves."""
    need("mutt")
    need("script")
    rc = tmp_path / "muttrc"
    rc.write_text(f"""set imap_user="{USER}" imap_pass="{PASSWORD}" ssl_starttls=no ssl_force_tls=no
set folder="imap://127.0.0.1:{server.port['imap']}/" spoolfile=+INBOX header_cache="" confirmappend=no
set confirmcreate=no delete=yes move=no quit=yes save_empty=yes copy=yes wait_key=no
push "<tag-pattern>~A<enter><tag-prefix><copy-message>{tmp_path}/out<enter><exit>"
""")
    run("timeout", "40", "script", "-qec", f"mutt -F {rc}", "/dev/null", env={"HOME": str(tmp_path), "TERM": "xterm"}, input="")
    assert sorted(m["Subject"] for m in mailbox.mbox(tmp_path / "out")) == ["message 1", "message 2", "message 3"]
