"""The store looked after from the command line: verify while serving and not, backup under load and restore (T20)."""
import hashlib
import imaplib
import os
import poplib
import pwd
import re
import shutil
import smtplib
import sqlite3
import subprocess
import tempfile
import threading

import pytest

from lib.server import ORDINARY, PASSWORD, Server

OPTIONS = {"limits.segment_bytes": "1MiB", "limits.big_bytes": "64KiB"}


def send(server, n, size=3000):
    body = f"number {n}\r\n" + ("x" * 70 + "\r\n") * (size // 72)
    with smtplib.SMTP("127.0.0.1", server.port["smtp"]) as smtp:
        smtp.sendmail("carol@example.org", ["alice@example.test", "bob@example.test"],
                      f"From: <carol@example.org>\r\nSubject: {n}\r\n\r\n{body}")


class Load(threading.Thread):
    """Sends until told to stop; acked: the numbers that got their 250."""

    def __init__(self, server, first):
        super().__init__()
        self.server, self.next, self.acked, self.end = server, first, [], threading.Event()

    def run(self):
        while not self.end.is_set():
            send(self.server, self.next, 100000 if self.next % 10 == 0 else 3000)
            self.acked.append(self.next)
            self.next += 1


def mail(server, who):
    """{uidl: hash of the whole message}"""
    pop = poplib.POP3("127.0.0.1", server.port["pop3"])
    pop.user(who + "@example.test")
    pop.pass_(PASSWORD)
    found = {}
    for line in pop.uidl()[1]:
        number, uidl = line.decode().split()
        found[uidl] = hashlib.sha256(b"\r\n".join(pop.retr(int(number))[1])).hexdigest()
    pop.quit()
    return found


def subjects(data):
    db = sqlite3.connect(os.path.join(data, "store", "index.db"))
    rows = db.execute("SELECT CAST(envelope AS TEXT) FROM email").fetchall()
    db.close()
    return sorted(int(row[0].split('"')[1]) for row in rows)


def rows(data):
    """What the index says: of every message and mailbox, flags, keywords and UIDs included, of uploads and values."""
    db = sqlite3.connect(os.path.join(data, "store", "index.db"))
    found = {table: db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
             for table in ("account", "mailbox", "member", "email", "gone", "thread_email", "upload", "kv")}
    db.close()
    return found


def sort_mail(server):
    """A tree of mailboxes, flags, keywords, copies, moves and removals, as a client makes them."""
    imap = imaplib.IMAP4("127.0.0.1", server.port["imap"])
    imap.login("alice@example.test", PASSWORD)
    for name in ("Work", "Work/2023", "Work/2023/Spring", "Other"):
        assert imap.create(name)[0] == "OK"
    imap.rename("Other", "Else")
    imap.select("INBOX")
    for command in (("STORE", "1:5", "+FLAGS", r"(\Seen $Forwarded some-word)"), ("STORE", "6", "+FLAGS", r"(\Deleted)"),
                    ("COPY", "2:4", "Work/2023/Spring"), ("MOVE", "7:8", "Else")):
        assert imap.uid(*command)[0] == "OK"
    imap.expunge()
    imap.append("Work", r"(\Draft other-word)", None, b"Subject: 8888\r\n\r\nx\r\n")
    imap.logout()


def add_values(server):
    """Uploads and values, which no protocol makes yet: into the index of the stopped server."""
    server.stop()
    db = sqlite3.connect(os.path.join(server.data, "store", "index.db"))
    db.execute("INSERT INTO upload SELECT bid, account, size, 7, strftime('%s', 'now') + 80000 FROM email GROUP BY bid LIMIT 3")
    db.execute("UPDATE blob SET refs = refs + 1 WHERE bid IN (SELECT bid FROM upload)")
    db.execute("INSERT INTO kv SELECT account, x'01', 'of an account', 0 FROM account")
    db.execute("INSERT INTO kv VALUES(0, x'02', 'of the whole', 0)")
    db.commit()
    db.close()
    again(server)


def again(server):
    os.unlink(server.log)  # it says that the one before was ready
    server.start()


@pytest.fixture
def place():
    path = tempfile.mkdtemp(prefix="postel-care-")
    yield path
    shutil.rmtree(path, ignore_errors=True)


def restored(server, backup, place, name):
    """A server of its own on what was restored; the options of the other."""
    data = os.path.join(place, name)
    os.mkdir(data)
    if os.getuid() == 0:
        os.chown(data, pwd.getpwnam(ORDINARY).pw_uid, pwd.getpwnam(ORDINARY).pw_gid)
        os.chmod(place, 0o755)
    done = subprocess.run([server.binary, "restore", backup, "--data", data], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "files restored" in done.stdout
    check = subprocess.run([server.binary, "verify", "--data", data], capture_output=True, text=True)
    assert check.stdout == "clean\n" and check.returncode == 0, check.stdout + check.stderr
    return data


def test_verify_while_serving_and_not():
    with Server(OPTIONS) as server:
        load = Load(server, 0)
        load.start()
        try:
            for _ in range(3):
                assert server.cli("verify") == "clean\n"
        finally:
            load.end.set()
            load.join()
        done = server.cli("verify", "--repair", check=False)
        assert done.returncode == 2 and "server stopped" in done.stderr
        big = os.path.join(server.data, "store", "big")
        name = sorted(os.listdir(big))[0]
        os.rename(os.path.join(big, name), os.path.join(big, "hidden"))
        done = server.cli("verify", check=False)
        assert done.returncode == 1
        lines = done.stdout.splitlines()
        assert len(lines) == 3 and lines[-1] == "2 damaged"  # alice's and bob's
        for line in lines[:2]:
            assert line.startswith(f"damage: big/{name}: file is missing: account ") and "INBOX uid 1 " in line
        os.rename(os.path.join(big, "hidden"), os.path.join(big, name))
        server.stop()
        assert server.cli("verify") == "clean\n"
        db = sqlite3.connect(os.path.join(server.data, "store", "index.db"))
        db.execute("UPDATE mailbox SET total = total + 5 WHERE role = 1")
        db.commit()
        db.close()
        done = server.cli("verify", check=False)
        assert done.returncode == 1 and done.stdout.count("[repair: count again]") == 2
        done = server.cli("verify", "--repair", "--yes", check=False)
        assert done.returncode == 0 and done.stdout.endswith("repaired; what is left:\nclean\n")
        again(server)


def test_backup_under_load_restored_elsewhere(place):
    backup = os.path.join(place, "backup")
    with Server(OPTIONS) as server:
        for n in range(30):
            send(server, n)
        sort_mail(server)
        add_values(server)
        load = Load(server, 30)
        load.start()
        try:
            while len(load.acked) < 5:
                pass
            before = 30 + len(load.acked)
            server.cli("backup", backup)
            after = load.next + 1
        finally:
            load.end.set()
            load.join()
        data = restored(server, backup, place, "one")
        found = subjects(data)
        found.remove(8888)
        for n in range(before):
            assert found.count(n) == (1 if n == 5 else 2)  # each acknowledged one, for both; alice removed one
        assert max(found) <= after
        # the second one fetches what is new, and is the whole
        server.cli("backup", backup)
        said = server.cli("backup", backup)
        new, kept = (int(word) for word in re.findall(r"(\d+) bytes are new, (\d+) were there", said)[0])
        mine = [name for name in os.listdir(backup) if name.endswith(".bundle")]
        index = [name for name in os.listdir(os.path.join(backup, "store")) if name.startswith("index-")]
        assert len(mine) == len(index) == 1  # those of older backups went
        assert new == os.path.getsize(os.path.join(backup, mine[0])) + os.path.getsize(os.path.join(backup, "store", index[0]))
        assert kept > load.next * 3000
        data = restored(server, backup, place, "two")
        mine = {who: mail(server, who) for who in ("alice", "bob")}
        server.stop()
        mine_rows, its_rows = rows(server.data), rows(data)
        # threads are found out after the arrival: the copy may not have come as far, and goes on from there
        assert set(its_rows.pop("thread_email")) <= set(mine_rows.pop("thread_email"))
        assert mine_rows == its_rows
        assert len(mine_rows["upload"]) == len(mine_rows["kv"]) == 3 and any(b"some-word" in bytes(row[-1] or b"") for row in mine_rows["member"])
        with Server(OPTIONS, data=data) as other:
            assert {who: mail(other, who) for who in ("alice", "bob")} == mine
            assert len(mine["alice"]) == load.next - 3  # moved and removed ones
            send(other, 9999)
        again(server)


def test_what_restore_refuses(place):
    backup = os.path.join(place, "backup")
    with Server(OPTIONS) as server:
        send(server, 1, 100000)
        server.cli("backup", backup)

        def refused(want, data=os.path.join(place, "new")):
            done = subprocess.run([server.binary, "restore", backup, "--data", data], capture_output=True, text=True)
            assert done.returncode == 1 and want in done.stderr, done.stderr
            shutil.rmtree(os.path.join(place, "new"), ignore_errors=True)

        refused("is not empty", data=server.data)
        big = os.path.join(backup, "store", "big")
        big = os.path.join(big, os.listdir(big)[0])
        with open(big, "r+b") as f:
            f.seek(5000)
            f.write(b"?")
        refused("is damaged: its hash is not the manifest's")
        os.truncate(big, 10)
        refused("is shorter than the manifest says")
        os.unlink(big)
        refused("No such file")
        manifest = os.path.join(backup, "manifest")
        text = open(manifest).read()
        open(manifest, "w").write(text.replace("file ", "file 0", 1))
        refused("the manifest is damaged")
        os.unlink(manifest)
        refused("no manifest in")
