"""The sendmail command as cron and mailx call it, by users who are nobody special."""
import os
import poplib
import pwd
import shutil
import subprocess

import pytest

from lib.server import BINARY, PASSWORD, Server


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bin")
    os.chmod(folder, 0o755)
    for parent in folder.parents:  # pytest makes them for root alone; an ordinary user is to get through
        if str(parent).startswith("/tmp/") and os.getuid() == 0:
            os.chmod(parent, 0o755)
    sendmail = folder / "sendmail"
    shutil.copy(BINARY, sendmail)
    with Server(options={"sendmail.domain": "example.test"}, accounts=("alice", "bob", "carol")) as server:
        config = folder / "postel.conf"
        shutil.copy(server.config, config)
        os.chmod(config, 0o644)
        server.sendmail = [str(sendmail), "-C", str(config)]
        yield server


def send(server, *args, text, user=None):
    who = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user and os.getuid() == 0 else {}
    return subprocess.run([*server.sendmail, *args], input=text.encode(), capture_output=True, timeout=30, cwd="/", **who)


def inbox(server, who):
    pop = poplib.POP3("127.0.0.1", server.port["pop3"], timeout=30)
    pop.user(f"{who}@example.test")
    pop.pass_(PASSWORD)
    found = [b"\n".join(pop.retr(n)[1]).decode() for n in range(1, pop.stat()[0] + 1)]
    for n in range(1, len(found) + 1):
        pop.dele(n)
    pop.quit()
    return found


def test_cron(box):
    """cron: -i -FCronDaemon -B8BITMIME -oem recipient, a header and a text, run by root or anybody."""
    done = send(box, "-i", "-FCronDaemon", "-B8BITMIME", "-oem", "alice", user="nobody",
                text="Subject: Cron <x@host> job\nAuto-Submitted: auto-generated\n\nGrüße\n.\nbehind a dot\n")
    assert (done.returncode, done.stderr) == (0, b"")
    [mail] = inbox(box, "alice")
    assert 'From: "CronDaemon" <nobody@example.test>' in mail or os.getuid() != 0
    assert "Grüße\n.\nbehind a dot" in mail and "Message-ID: <" in mail and "Date: " in mail


def test_recipients_of_the_header(box):
    done = send(box, "-t", "-f", "jon@example.org", "carol@example.test",
                text="To: bob\nBcc: alice@example.test\nFrom: Jon <jon@example.org>\n\none\n.\nnot sent\n")
    assert (done.returncode, done.stderr) == (0, b"")
    for who in ("alice", "bob", "carol"):
        [mail] = inbox(box, who)
        assert "Bcc" not in mail and "Return-Path: <jon@example.org>" in mail and "not sent" not in mail


@pytest.mark.parametrize("args, text, status, says", [
    (("x@example.org",), "a: b\n\n", 67, b"550 5.7.1"),       # elsewhere: no relaying for whoever is on the machine
    (("no@example.test",), "a: b\n\n", 67, b"550 5.1.1"),
    ((), "a: b\n\n", 64, b"to whom"),
    (("-t",), "a: b\n\n", 64, b"to whom"),
    (("-bs",), "", 64, b"-bs"),
    (("-Z", "alice"), "", 64, b"-Z"),
    (("alice",), "a\rb\n", 65, b"CR"),
    (("alice@example.test>\r\nRCPT TO:<bob@example.test",), "a: b\n\n", 65, b"no address"),
    (("-f", "x>\r\nRSET", "alice"), "a: b\n\n", 65, b"no From field"),
    (("-f", "x>RSET", "alice"), "a: b\n\n", 64, b"no address"),
    (("-V", "x\r\nRSET", "alice"), "a: b\n\n", 64, b"DSN parameter"),
])
def test_refusals(box, args, text, status, says):
    done = send(box, *args, text=text)
    assert done.returncode == status and says in done.stderr, done.stderr
    assert inbox(box, "alice") == []


def test_one_of_two_is_refused(box):
    done = send(box, "alice", "no", text="a: b\n\nx\n")
    assert done.returncode == 67 and b"no@example.test: 550" in done.stderr
    assert len(inbox(box, "alice")) == 1


def test_no_server(tmp_path):
    config = tmp_path / "postel.conf"
    config.write_text("[listen]\nsmtp = 127.0.0.1:1\n")
    done = subprocess.run([BINARY, "sendmail", "-C", str(config), "alice"], input=b"x\n", capture_output=True, timeout=30)
    assert done.returncode == 75 and b"127.0.0.1:1" in done.stderr
