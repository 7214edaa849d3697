"""Clients of npm: imapflow and node-pop3."""
import smtplib

import pytest

from lib import npm
from lib.server import PASSWORD, Server


@pytest.fixture(scope="module")
def server():
    npm.install()
    with Server(accounts=("alice", "bob", "carol", "dave")) as s:
        yield s


def deliver(server, who, *messages):
    with smtplib.SMTP("127.0.0.1", server.port["smtp"], timeout=30) as smtp:
        for text in messages:
            smtp.sendmail("jon@example.org", [f"{who}@example.test"], text.encode(), mail_options=["BODY=8BITMIME"])


def message(number, body="Viele Grüße\r\n.a dot\r\n"):
    return (f"From: Jon <jon@example.org>\r\nTo: you@example.test\r\nSubject: message {number}\r\n"
            "Date: Tue, 24 Nov 2026 20:17:00 +0000\r\nMIME-Version: 1.0\r\n"
            f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{body}")


@pytest.mark.parametrize("who, service, secure, starttls",
                         [("alice", "imaps", True, False), ("bob", "imap", False, True), ("carol", "imap", False, False)])
def test_imapflow(server, who, service, secure, starttls):
    deliver(server, who, *[message(n) for n in (1, 2, 3)])
    seen = npm.run("imapflow.js", {"port": server.port[service], "secure": secure, "starttls": starttls,
                                   "user": f"{who}@example.test", "pass": PASSWORD})
    assert seen["secure"] == (secure or starttls)
    assert dict(map(tuple, seen["folders"])) == {
        "INBOX": "\\Inbox", "Drafts": "\\Drafts", "Sent": "\\Sent", "Junk": "\\Junk", "Trash": "\\Trash",
        "Archive": "\\Archive"}
    assert (seen["status"]["messages"], seen["status"]["unseen"]) == (3, 3)
    assert [m[:4] for m in seen["messages"]] == [[n, f"message {n}", "jon@example.org", "text/plain"] for n in (1, 2, 3)]
    assert seen["source"].endswith(message(1)) and len(seen["source"].encode()) == seen["messages"][0][4]
    assert seen["part"].replace("\r\n", "\n") == "Viele Grüße\n.a dot\n" and seen["charset"] == "utf-8"
    assert seen["found"] == [2] and seen["body"] == [1, 2, 3]
    assert seen["appended"] and seen["flags"] == ["\\Flagged", "word"]
    assert (seen["copied"], seen["moved"], seen["kept"]) == (1, 1, 2)
    assert seen["left"] == ["message 1", "appended"]
    assert seen["renamed"] == [["Löffel/Gabel", True]]
    assert seen["idle"] == 1


def test_node_pop3(server):
    utf8 = "From: Jon <jon@example.org>\r\nSubject: Grüße\r\n\r\nbody\r\n"
    deliver(server, "dave", message(1), utf8)
    config = {"user": "dave@example.test", "pass": PASSWORD, "port": server.port["pop3s"], "tls": True, "remove": []}
    old = npm.run("pop3.js", config)
    new = npm.run("pop3.js", {**config, "port": server.port["pop3"], "tls": False, "utf8": True, "remove": [1]})
    assert old["list"] == new["list"] and old["uidl"] == new["uidl"] and old["stat"] == new["stat"]
    assert old["messages"][0] == new["messages"][0]
    assert old["messages"][0].replace("\r\n..", "\r\n.").endswith(message(1).rstrip("\r\n"))
    assert old["messages"][1].startswith("error: [UTF8]") and utf8.rstrip("\r\n") in new["messages"][1]
    assert "Viele Grüße" in new["top"] and "a dot" not in new["top"]
    after = npm.run("pop3.js", {**config, "port": server.port["pop3"], "tls": False, "utf8": True})
    assert [u[1] for u in after["uidl"]] == [old["uidl"][1][1]]
