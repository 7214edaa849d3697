"""The disk fails under the running server: no 250 for what is not stored (REL-01, REL-04), and it recovers by itself."""
import os
import re
import smtplib
import subprocess
import time

import pytest

from lib.server import Server

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="tracing a sandboxed role needs root")


def role_pid(server, name):
    return next(pid for pid, role in server.roles().items() if role == name)


def attach(pid, *what, out):
    """strace on all threads of pid; returns once it has attached."""
    tracer = subprocess.Popen(["strace", "-f", "-p", str(pid), "-o", out, *what], stderr=subprocess.PIPE, text=True)
    assert "attached" in tracer.stderr.readline()
    return tracer


def detach(tracer):
    tracer.terminate()
    tracer.wait(10)


def send(server, subject, timeout=90):
    """(code, text) of the answer to the message."""
    with smtplib.SMTP("127.0.0.1", server.port["smtp"], "client.example.org", timeout=timeout) as smtp:
        smtp.ehlo()
        smtp.mail("jon@example.org")
        code, text = smtp.rcpt("alice@example.test")
        if code != 250:
            return code, text
        return smtp.data(f"Subject: {subject}\r\n\r\nx\r\n")


def stored(server):
    rows = dict(line.split("\t") for line in server.cli("store", "stats", "--plain").splitlines())
    return int(rows["emails"])


@pytest.fixture
def server():
    with Server(options={"limits.ipc_call_s": "6"}) as s:
        yield s


def test_the_answer_comes_after_the_syncs(server, tmp_path):
    out = str(tmp_path / "trace")
    send(server, "warm up")
    tracer = attach(role_pid(server, "store"), "-ttt", "-e", "trace=fdatasync,fsync,sendmsg,write,writev,sendto", out=out)
    before = time.time()
    code, _ = send(server, "traced")
    after = time.time()
    time.sleep(0.2)
    detach(tracer)
    assert code == 250
    syncs = [float(m[1]) for m in re.finditer(r"^\d+ (\d+\.\d+) f(?:data)?sync\(.*= 0$", open(out).read(), re.M)]
    within = [t for t in syncs if before <= t <= after]
    assert len(within) >= 2, "one for the message log, one for the index"


@pytest.mark.parametrize("call,error", [("fdatasync", "EIO"), ("pwritev", "EIO"), ("pwrite64", "EIO")])
def test_no_250_when_the_disk_fails(server, tmp_path, call, error):
    send(server, "warm up")
    before = stored(server)
    calls = {"pwritev": "pwritev,pwritev2"}.get(call, call)
    tracer = attach(role_pid(server, "store"), "-e", f"trace={calls}", "-e", f"inject={calls}:error={error}",
                    out=str(tmp_path / "trace"))
    answers = []
    try:
        answers.append(send(server, "on a failing disk"))
    except smtplib.SMTPException as e:
        answers.append((421, str(e).encode()))
    detach(tracer)
    # strace follows only the process it was attached to: the successor of the store has a good disk, so the front's
    # repeated call may well succeed. Either answer is right; what counts is that answer and store agree.
    deadline = time.monotonic() + 20
    while True:
        try:
            code, text = send(server, "on a good disk")
            if code == 250:
                break
        except smtplib.SMTPException:
            pass
        assert time.monotonic() < deadline, server.log_tail()
        time.sleep(0.2)
    accepted = 1 + sum(code == 250 for code, _ in answers)
    assert stored(server) == before + accepted


def test_full_disk_is_temporary(server, tmp_path):
    send(server, "warm up")
    before = stored(server)
    pid = role_pid(server, "store")
    tracer = attach(pid, "-e", "trace=pwrite64,pwritev,pwritev2,write", "-e",
                    "inject=pwrite64,pwritev,pwritev2:error=ENOSPC", out=str(tmp_path / "trace"))
    code, text = send(server, "no room")
    detach(tracer)
    assert code in (451, 452), text
    code, text = send(server, "room again")
    assert code == 250, text
    assert role_pid(server, "store") == pid, "a full disk is no reason to restart"
    assert stored(server) == before + 1
