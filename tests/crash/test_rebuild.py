"""postel rebuild: an index that is lost is made again of the log, and clients see the same mail (STORAGE 4.4)."""
import glob
import imaplib
import os
import re
import shutil
import smtplib
import sqlite3
import subprocess
import tempfile

import pytest

from lib.server import PASSWORD, Server

OPTIONS = {"limits.segment_bytes": "1MiB", "limits.big_bytes": "64KiB"}


def text(n, size=300):
    return (f"From: Carol <carol@example.org>\r\nTo: x@example.test\r\nDate: Mon, 02 Jan 2023 10:00:{n % 60:02} +0000\r\n"
            f"Subject: number {n}\r\nMessage-ID: <{n}@example.org>\r\nIn-Reply-To: <{n // 2}@example.org>\r\n"
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
            f"--b\r\n\r\n{'x' * 70}\r\n--b\r\nContent-Type: text/html\r\n\r\n{'y' * size}\r\n--b--\r\n")


def send(server, numbers, size=300):
    with smtplib.SMTP("127.0.0.1", server.port["smtp"]) as smtp:
        for n in numbers:
            smtp.sendmail("carol@example.org", ["alice@example.test"] + (["bob@example.test"] if n % 3 == 0 else []), text(n, size))


def imap(server, who):
    box = imaplib.IMAP4("127.0.0.1", server.port["imap"])
    box.login(who + "@example.test", PASSWORD)
    return box


def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]


def name_in(line):
    return re.search(r'"/" "?([^"]*)"?$', line)[1]


def boxes(client):
    return sorted(name_in(line.decode()) for line in ok(client.list()))


FETCH = "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[])"


def seen(server, who):
    """{mailbox: (uidvalidity, attributes, {uid: what is told of the message})}"""
    client, found = imap(server, who), {}
    listed = [line.decode() for line in ok(client.list())]
    for line in listed:
        name = name_in(line)
        ok(client.select(f'"{name}"', readonly=True))
        validity = client.response("UIDVALIDITY")[1][0].decode()
        rows = {}
        for row in ok(client.uid("FETCH", "1:*", FETCH)):
            if not isinstance(row, tuple):
                continue
            told = re.sub(rb"^\d+ \(", b"", row[0]) + b"|" + row[1]
            rows[int(re.search(rb"UID (\d+)", told)[1])] = re.sub(rb"MODSEQ \(\d+\)", b"", told)
        found[name] = (validity, line, rows)
    client.logout()
    return found


def emails(data):
    """What the index keeps of each message, previews and hashes for threads included."""
    db = sqlite3.connect(os.path.join(data, "store", "index.db"))
    rows = db.execute("SELECT eid, account, bid, size, created_modseq, msgid_hash, date_s, received_ms, flags, refs, edits,"
                      " envelope, preview, structure, headers FROM email ORDER BY eid").fetchall()
    db.close()
    return rows


def highest_uids(server, who):
    client = imap(server, who)
    found = {}
    for name in boxes(client):
        status = ok(client.status(f'"{name}"', "(UIDNEXT)"))[0].decode()
        found[name] = int(re.search(r"UIDNEXT (\d+)", status)[1])
    client.logout()
    return found


def settle(server):
    """Until the log has been told of mailboxes: that comes a moment after the change."""
    for _ in range(100):
        db = sqlite3.connect(os.path.join(server.data, "store", "index.db"))
        due = db.execute("SELECT count(*) FROM tree_due").fetchone()[0]
        db.close()
        if due == 0:
            return
        subprocess.run(["sleep", "0.1"], check=True)
    raise RuntimeError("the log is not told of mailboxes")


def destroy(data, how):
    index = os.path.join(data, "store", "index.db")
    if how == "removed":
        for path in glob.glob(index + "*"):
            os.unlink(path)
    else:
        with open(index, "r+b") as f:
            f.write(b"\xa5" * (os.path.getsize(index) if how == "garbage" else 4096))


def damage(data, of, body):
    """A byte of the message that holds `of`, or of its record's header."""
    for path in glob.glob(os.path.join(data, "store", "seg-*")):
        whole = open(path, "rb").read()
        at = whole.find(of)
        if at >= 0:
            with open(path, "r+b") as f:
                f.seek(at if body else whole.rindex(b"PLOG", 0, at) + 20)
                f.write(b"?")
            return
    raise RuntimeError("no such message")


def rebuild(server, *args):
    said = server.cli("rebuild", "--yes", *args)
    assert server.cli("verify") == "clean\n"
    return said


def fill(server):
    send(server, range(40))
    send(server, range(40, 43), 100000)
    client = imap(server, "alice")
    ok(client.create("Work"))
    ok(client.create('"Work/Deep &- more"'))
    ok(client.create('"Old name"'))
    ok(client.rename('"Old name"', '"New name"'))
    ok(client.create("Gone"))
    ok(client.subscribe("Work"))
    for n in range(100, 110):
        ok(client.append("Work", r"(\Seen \Flagged $Forwarded custom)", '"02-Mar-2021 04:05:06 +0000"', text(n).encode()))
    ok(client.append('"New name"', r"(\Draft)", None, text(200, 90000).encode()))
    ok(client.append("Gone", None, None, text(201).encode()))
    ok(client.select("Gone"))
    ok(client.uid("STORE", "1:*", "+FLAGS.SILENT", r"(\Deleted)"))
    ok(client.expunge())
    ok(client.select("INBOX"))
    ok(client.uid("STORE", "2,4,41", "+FLAGS.SILENT", r"(\Deleted)"))
    ok(client.expunge())
    ok(client.unselect())
    ok(client.delete("Gone"))
    client.logout()
    server.cli("quota", "set", "alice@example.test", "--bytes", "1GiB")


@pytest.mark.parametrize("how", ["removed", "header"])
def test_everything_comes_back(how):
    with Server(OPTIONS) as server:
        fill(server)
        settle(server)
        before = {who: seen(server, who) for who in ("alice", "bob")}
        next_before = highest_uids(server, "alice")
        quota = server.cli("quota", "show", "alice@example.test")
        server.stop()
        rows = emails(server.data)
        destroy(server.data, how)
        done = server.cli("verify", check=False)
        assert done.returncode == 1 and "rebuild" in done.stderr
        said = rebuild(server)
        assert emails(server.data) == rows
        assert "messages were removed before and stay so" in said and "Recovered" not in said
        if how != "removed":
            assert glob.glob(os.path.join(server.data, "store", "index.damaged-*"))
        server.start()
        assert {who: seen(server, who) for who in ("alice", "bob")} == before
        assert len(before["alice"]["INBOX"][2]) == 40 and len(before["alice"]["Work"][2]) == 10
        assert server.cli("quota", "show", "alice@example.test") == quota
        after = highest_uids(server, "alice")
        assert all(after[name] > next_before[name] for name in after)
        send(server, [300])  # it goes on: nothing old is overwritten
        now = seen(server, "alice")
        assert len(now["INBOX"][2]) == 41
        assert all(now["INBOX"][2][uid] == told for uid, told in before["alice"]["INBOX"][2].items())
        assert server.cli("verify") == "clean\n"
        client = imap(server, "alice")
        ok(client.select("INBOX"))
        threads = ok(client.uid("SEARCH", "SUBJECT", '"number 300"'))
        assert threads[0]
        client.logout()


def test_on_top_of_a_backup():
    place = tempfile.mkdtemp(prefix="postel-rebuild-")
    try:
        with Server(OPTIONS) as server:
            fill(server)
            client = imap(server, "alice")
            ok(client.select("INBOX"))
            ok(client.uid("COPY", "10:12", "Work"))
            ok(client.uid("MOVE", "13", '"New name"'))
            ok(client.uid("STORE", "14", "+FLAGS", r"(\Answered $Work)"))
            server.cli("backup", os.path.join(place, "b"))
            send(server, range(400, 410))
            ok(client.create("After"))
            ok(client.rename("Work", "Renamed"))
            ok(client.append("After", r"(\Seen)", None, text(500).encode()))
            ok(client.uid("STORE", "20", "+FLAGS.SILENT", r"(\Deleted)"))
            ok(client.expunge())
            client.logout()
            settle(server)
            before = {who: seen(server, who) for who in ("alice", "bob")}
            server.stop()
            destroy(server.data, "garbage")
            said = rebuild(server, "--backup", os.path.join(place, "b"))
            assert "of them as the backup had them" in said
            server.start()
            assert {who: seen(server, who) for who in ("alice", "bob")} == before
            assert server.cli("verify") == "clean\n"
    finally:
        shutil.rmtree(place, ignore_errors=True)


def test_what_is_lost_is_said():
    with Server(OPTIONS) as server:
        fill(server)
        client = imap(server, "alice")
        ok(client.select("INBOX"))
        ok(client.uid("MOVE", "11", "Work"))
        client.logout()
        settle(server)
        big = sorted(os.listdir(os.path.join(server.data, "store", "big")))
        done = server.cli("rebuild", "--yes", check=False)
        assert done.returncode == 1 and "another process has the store" in done.stderr
        server.stop()
        os.unlink(os.path.join(server.data, "store", "big", big[0]))
        damage(server.data, b"Subject: number 7\r\n", body=True)
        damage(server.data, b"Subject: number 9\r\n", body=False)
        destroy(server.data, "removed")
        process = subprocess.Popen([server.binary, "serve", "--config", server.config], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, start_new_session=True)  # without an index it does not start anew
        for line in process.stderr:
            if b"the index is empty, but there is mail" in line:
                break
        process.terminate()
        process.communicate()
        said = server.cli("rebuild", "--yes")
        assert "1 places that cannot be read" in said
        assert "messages have lost their text and are marked as damaged" in said
        done = server.cli("verify", check=False)
        assert done.returncode == 1 and "body checksum" in done.stdout and "file is missing" in done.stdout
        server.start()
        client = imap(server, "alice")
        ok(client.select("INBOX"))
        told = {int(re.search(rb"UID (\d+)", row)[1]): row for row in ok(client.uid("FETCH", "1:*", "(UID ENVELOPE)"))}
        assert 10 not in told and 11 in told  # number 9's record is lost; number 10 is back where it arrived
        assert b"number 6" in told[7] and b"NIL NIL NIL" in told[8] and b"number 8" in told[9]
        with pytest.raises(AssertionError):
            ok(client.uid("FETCH", "8", "(BODY.PEEK[])"))
        client.logout()


def test_a_log_without_names():
    """The store of an older program: mailboxes without a name, INBOX known by what was delivered."""
    with Server(OPTIONS) as server:
        send(server, range(3))
        server.stop()
        store = os.path.join(server.data, "store")
        owner = os.stat(os.path.join(store, "lock"))
        old = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "formats", "store-3")
        shutil.rmtree(store)
        shutil.copytree(old, store)
        for path in [store] + glob.glob(store + "/*") + glob.glob(store + "/big/*"):
            os.chown(path, owner.st_uid, owner.st_gid)
            os.chmod(path, 0o700 if os.path.isdir(path) else 0o600)
        destroy(server.data, "removed")
        said = rebuild(server)
        assert "2 accounts, 2 mailboxes, 5 messages" in said  # the one that was removed is back: nobody told that log
        server.start()
