"""The sendmail command of users whom option sendmail.logins names: their mail is a submission of their account. Who they
are the kernel says; whoever the table does not name has what everybody on the machine has, root as well."""
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time

import pytest

from lib.server import BINARY, PASSWORD, Server
from test_sendmail import inbox

ROOT = os.getuid() == 0
MAPPED = "daemon" if ROOT else pwd.getpwuid(os.getuid()).pw_name  # is alice
UNMAPPED = "games"

needs_root = pytest.mark.skipif(not ROOT, reason="other users are needed")


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sendmail")
    os.chmod(folder, 0o755)
    for parent in folder.parents:  # pytest makes them for root alone; an ordinary user is to get through
        if str(parent).startswith("/tmp/") and ROOT:
            os.chmod(parent, 0o755)
    shutil.copy(BINARY, folder / "sendmail")
    logins = f"{MAPPED}=alice@example.test" + (" bin=carol@example.test 4242=bob@example.test" if ROOT else "")
    options = {"sendmail.domain": "example.test", "sendmail.logins": logins, "listen.sendmail": str(folder / "run" / "socket"),
               "relay.routes": "elsewhere.test=127.0.0.1:9", "limits.send_new_rcpts": "3", "limits.dsn_gather_ms": "0"}
    with Server(options, accounts=("alice", "bob", "carol")) as server:
        server.cli("queue", "suspend", "elsewhere.test")
        server.cli("alias", "add", "sales@example.test", "alice@example.test")
        server.socket, server.folder = options["listen.sendmail"], folder
        config = folder / "postel.conf"
        shutil.copy(server.config, config)
        os.chmod(config, 0o644)
        server.sendmail = [str(folder / "sendmail"), "-C", str(config)]
        yield server


def send(server, user, *args, text):
    who = {"user": user, "group": 65534, "extra_groups": []} if ROOT else {}
    return subprocess.run([*server.sendmail, *args], input=text.encode(), capture_output=True, timeout=60, cwd="/", **who)


def queue(server):
    rows = [line.split("\t") for line in server.cli("queue", "list", "--plain").splitlines()]
    server.cli("queue", "drop", "--all", check=False)
    return sorted((r[5], r[6]) for r in rows), [r[0] for r in rows]


@contextlib.contextmanager
def connected(server, user=None):
    """A connection of that user's: the kernel keeps who it was that called connect."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30)
        if user is not None and ROOT:
            os.seteuid(user if isinstance(user, int) else pwd.getpwnam(user).pw_uid)
        try:
            s.connect(server.socket)
        finally:
            if ROOT:
                os.seteuid(0)
        with s.makefile("rwb", buffering=0) as f:
            yield f


def ask(f, line):
    f.write(line + b"\r\n")
    said = [f.readline()]
    while said[-1][3:4] == b"-":
        said.append(f.readline())
    return b"".join(said)


def test_leaves_the_machine(box):
    done = send(box, MAPPED, "-t", text="To: x@elsewhere.test, bob@example.test\nBcc: sales@example.test\nSubject: a\n\nb\n")
    assert (done.returncode, done.stderr) == (0, b"")
    rows, [trace] = queue(box)
    assert rows == [("<alice@example.test>", "<x@elsewhere.test>")]
    [mail], [copy] = inbox(box, "bob"), inbox(box, "alice")
    assert "Return-Path: <alice@example.test>" in mail and "From: <alice@example.test>" in mail and "Bcc" not in mail + copy
    received = " ".join(mail.split("Received: ")[1].split("\nTo:")[0].split())
    assert received.startswith("from mx.example.test by mx.example.test with ESMTPA id"), received
    uid = pwd.getpwnam(MAPPED).pw_uid
    assert f"uid {uid}" in box.cli("trace", trace) and "uid" not in mail
    assert "sendmail" in box.cli("account", "logins", "alice@example.test")


def test_cron(box):
    done = send(box, MAPPED, "-i", "-FCronDaemon", "-B8BITMIME", "-oem", "bob",
                text=f"From: {MAPPED} (Cron Daemon)\nTo: bob\nSubject: Cron <x@host> job\n\nwent well\n")
    assert (done.returncode, done.stderr) == (0, b"")
    [mail] = inbox(box, "bob")
    assert 'From: "CronDaemon" <alice@example.test>' in mail and "Return-Path: <alice@example.test>" in mail


@pytest.mark.parametrize("args, text, status, says", [
    (("-f", "bob@example.test", "x@elsewhere.test"), "a: b\n\n", 67, b"5.7.1 bob@example.test is not yours"),
    (("-f", "bob@example.test", "carol@example.test"), "a: b\n\n", 67, b"5.7.1 bob@example.test is not yours"),
    (("x@elsewhere.test",), "From: bob@example.test\n\n", 67, b"5.7.1 bob@example.test is not yours"),
    (("x@elsewhere.test",), "From: alice@example.test\nFrom: alice@example.test\n\n", 69, b"more than one From"),
    (("bbo@example.test",), "a: b\n\n", 67, b"Did you mean bob@example.test?"),
    (("-f", "sales@example.test", "x@elsewhere.test"), "From: sales@example.test\n\n", 0, b""),
    (("-f", "", "x@elsewhere.test"), "From: alice+cron@example.test\n\n", 0, b""),
])
def test_in_whose_name(box, args, text, status, says):
    """SEC-15 holds for them as for any submission."""
    done = send(box, MAPPED, *args, text=text)
    assert done.returncode == status and says in done.stderr, done.stderr
    assert len(queue(box)[0]) == (status == 0) and inbox(box, "carol") == inbox(box, "bob") == []


def test_a_days_limits(box):
    """As many new recipients as an account may have; the fourth waits for tomorrow, those known already do not."""
    new = ["x@elsewhere.test", "y@elsewhere.test", "z@elsewhere.test"]
    assert [send(box, MAPPED, to, text="a: b\n\n").returncode for to in new] == [0, 0, 0]
    done = send(box, MAPPED, "another@elsewhere.test", text="a: b\n\n")
    assert done.returncode == 75 and b"450 4.7.1" in done.stderr and b"new recipients" in done.stderr
    assert send(box, MAPPED, "y@elsewhere.test", text="a: b\n\n").returncode == 0
    assert len(queue(box)[0]) == 4


@needs_root
@pytest.mark.parametrize("user", [UNMAPPED, "root"])
def test_nobody_special(box, user):
    done = send(box, user, "x@elsewhere.test", text="a: b\n\n")
    assert done.returncode == 67 and b"550 5.7.1 Relaying denied" in done.stderr
    done = send(box, user, "-f", "alice@example.test", "x@elsewhere.test", text="From: alice@example.test\n\n")
    assert done.returncode == 67 and b"550 5.7.1 Relaying denied" in done.stderr
    assert send(box, user, "alice", text="a: b\n\n").returncode == 0
    [mail] = inbox(box, "alice")
    assert f"Return-Path: <{user}@example.test>" in mail and "with ESMTP id" in mail
    with connected(box, user) as f:
        assert f.readline() == b"554 5.7.1 Your user has no account here\r\n" and f.readline() == b""
    assert queue(box)[0] == []


@needs_root
def test_each_is_his_own(box):
    """Two users and their accounts; one who has a number only; and an account that is disabled is nobody's."""
    with connected(box, "bin") as f, connected(box, 4242) as g:
        assert f.readline()[:4] == g.readline()[:4] == b"220 "
        assert b"XLOGIN carol@example.test\r\n" in ask(f, b"EHLO x") and b"XLOGIN bob@example.test\r\n" in ask(g, b"EHLO x")
        assert ask(f, b"MAIL FROM:<bob@example.test>").startswith(b"550 5.7.1") and ask(f, b"MAIL FROM:<carol@example.test>")[:3] == b"250"
        assert ask(g, b"MAIL FROM:<alice@example.test>").startswith(b"550 5.7.1")
    box.cli("account", "disable", "carol@example.test")
    try:
        with connected(box, "bin") as f:
            assert f.readline().startswith(b"554 5.7.1")
        assert send(box, "bin", "x@elsewhere.test", text="a: b\n\n").returncode == 67
    finally:
        box.cli("account", "enable", "carol@example.test")


def test_dialogue(box):
    """No TLS, no second login, nobody to speak for; a message by hand."""
    with connected(box, MAPPED) as f:
        assert f.readline().startswith(b"220 mx.example.test ESMTP")
        hello = ask(f, b"EHLO x")
        assert b"XLOGIN alice@example.test\r\n" in hello and b"STARTTLS" not in hello and b"AUTH" not in hello
        for line in (b"AUTH PLAIN AGJvYkBleGFtcGxlLnRlc3QAeA==", b"AUTH EXTERNAL =", b"STARTTLS", b"XCLIENT ADDR=192.0.2.1",
                     b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2"):
            assert ask(f, line).startswith(b"500 5.5.2"), line
        for line in (b"MAIL FROM:<alice@example.test>", b"RCPT TO:<bob@example.test>"):
            assert ask(f, line)[:3] == b"250"
        assert ask(f, b"DATA")[:3] == b"354"
        assert ask(f, b"From: alice@example.test\r\n\r\nx\r\n.")[:3] == b"250"
        assert ask(f, b"QUIT")[:3] == b"221"
    assert len(inbox(box, "bob")) == 1


@needs_root
def test_one_user_cannot_take_all(box):
    """The limit is each user's own (sendmail_per_uid)."""
    with contextlib.ExitStack() as stack:
        mine = [stack.enter_context(connected(box, MAPPED)) for _ in range(25)]
        said = [f.readline()[:3] for f in mine]
        assert (said.count(b"220"), said.count(b"421")) == (20, 5)
        done = send(box, MAPPED, "bob", text="a: b\n\n")
        assert done.returncode == 75 and b"421 4.7.0" in done.stderr  # not "relaying denied" for good
        assert stack.enter_context(connected(box, "bin")).readline()[:3] == b"220"
    end = time.monotonic() + 20
    while send(box, MAPPED, "bob", text="a: b\n\n").returncode != 0:
        assert time.monotonic() < end, box.log_tail()
    assert len(inbox(box, "bob")) == 1


@pytest.mark.parametrize("role", ["front-user", "auth"])
def test_roles_die(box, role):
    """Who comes while a role starts anew waits; he is never taken for nobody."""
    [pid] = [p for p, name in box.roles().items() if name == role]
    os.kill(pid, signal.SIGKILL)
    done = send(box, MAPPED, "y@elsewhere.test", text="a: b\n\n")
    assert (done.returncode, done.stderr) == (0, b""), box.log_tail()
    assert queue(box)[0] == [("<alice@example.test>", "<y@elsewhere.test>")]


def test_socket_left_behind(box):
    """A server that was killed leaves its socket; the next one takes its place, but never that of one that runs."""
    second = subprocess.run([BINARY, "serve", "--config", box.config], capture_output=True, text=True, timeout=60)
    assert second.returncode == 1 and "it is there already" in second.stderr
    with connected(box, MAPPED) as f:
        assert f.readline()[:3] == b"220"
    box.kill()
    end = time.monotonic() + 20
    with pytest.raises(ConnectionRefusedError):  # once the kernel has cleared away what the killed roles had
        while time.monotonic() < end:
            with connected(box, MAPPED):
                time.sleep(0.02)
    assert os.path.exists(box.socket)
    box.start()
    with connected(box, MAPPED) as f:
        assert f.readline()[:3] == b"220"


@pytest.mark.parametrize("logins, says", [
    ("no-such-user=alice@example.test", 'there is no user "no-such-user"'),
    ("65534=alice@example.test", "can be no account"),
    ("1=alice@example.test 1=bob@example.test", "uid 1 is there twice"),
    ("1=alice", "no user=address"),
])
def test_mistakes(tmp_path, logins, says):
    config = tmp_path / "postel.conf"
    config.write_text(f"[sendmail]\nlogins = {logins}\n")
    done = subprocess.run([BINARY, "config", "check", str(config)], capture_output=True, text=True, timeout=30)
    assert done.returncode != 0 and says in done.stderr
