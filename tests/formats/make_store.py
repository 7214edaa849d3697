#!/usr/bin/env python3
"""Makes tests/formats/store-N: the store as the program of today writes it, kept so that later programs prove they open it.

Run it once when a schema version is about to be released:  POSTEL=build/postel tests/formats/make_store.py N
Four messages for alice (one is removed again), one of them for bob too, one big one; segments cut to their data.
"""
import os
import poplib
import shutil
import smtplib
import sqlite3
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from lib.server import PASSWORD, Server  # noqa: E402


def send(server, to, subject, body):
    with smtplib.SMTP("127.0.0.1", server.port["smtp"]) as smtp:
        text = f"From: <carol@example.org>\r\nSubject: {subject}\r\nMessage-ID: <{subject}@example.org>\r\n\r\n{body}\r\n"
        smtp.sendmail("carol@example.org", to, text)


def remove_second(server):
    pop = poplib.POP3("127.0.0.1", server.port["pop3"])
    pop.user("alice@example.test")
    pop.pass_(PASSWORD)
    pop.dele(2)
    pop.quit()


def keep(data, out):
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(os.path.join(out, "big"))
    db = sqlite3.connect(os.path.join(data, "store", "index.db"))
    ends = db.execute("SELECT seg, end FROM segment WHERE seg > 0").fetchall()  # 0: none yet
    db.execute("PRAGMA journal_mode=DELETE")
    db.execute("VACUUM")
    db.close()
    shutil.copy(os.path.join(data, "store", "index.db"), out)
    for seg, end in ends:
        name = f"seg-{seg:08d}"
        with open(os.path.join(data, "store", name), "rb") as f, open(os.path.join(out, name), "wb") as to:
            to.write(f.read(end))
    for name in os.listdir(os.path.join(data, "store", "big")):
        shutil.copy(os.path.join(data, "store", "big", name), os.path.join(out, "big"))


def main():
    out = os.path.join(HERE, f"store-{int(sys.argv[1])}")
    options = {"limits.segment_bytes": "1MiB", "limits.big_bytes": "64KiB"}
    server = Server(options)
    try:
        for i in range(4):
            to = ["alice@example.test"] + (["bob@example.test"] if i == 2 else [])
            send(server, to, f"message-{i}", "text " * (20000 if i == 3 else 10 * (i + 1)))
        remove_second(server)
        server.stop()
        keep(server.data, out)
    finally:
        shutil.rmtree(server.data, ignore_errors=True)


if __name__ == "__main__":
    main()
