"""The disk under the running server: 250 only after the syncs (REL-01), a full disk is temporary and harmless (T5).

Failing writes and syncs at the nth call are tested inside the store (src/store/store_fault_test.c).
"""
import os
import pwd
import re
import smtplib
import subprocess
import tempfile
import time

import pytest

from lib.server import ORDINARY, Server

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="tracing a sandboxed role and mounting need root")


def role_pid(server, name):
    return next(pid for pid, role in server.roles().items() if role == name)


def send(server, subject, size=10):
    """(code, text) of the answer to the message."""
    with smtplib.SMTP("127.0.0.1", server.port["smtp"], "client.example.org", timeout=90) as smtp:
        smtp.ehlo()
        smtp.mail("jon@example.org")
        code, text = smtp.rcpt("alice@example.test")
        if code != 250:
            return code, text
        return smtp.data(f"Subject: {subject}\r\n\r\n" + ("x" * 70 + "\r\n") * (size // 72 + 1))


def stored(server):
    rows = dict(line.split("\t") for line in server.cli("store", "stats", "--plain").splitlines())
    return int(rows["emails"])


def test_the_answer_comes_after_the_syncs(tmp_path):
    out = str(tmp_path / "trace")
    with Server() as server:
        send(server, "warm up")
        tracer = subprocess.Popen(["strace", "-f", "-ttt", "-p", str(role_pid(server, "store")), "-o", out, "-e",
                                   "trace=fdatasync,fsync"], stderr=subprocess.PIPE, text=True)
        assert "attached" in tracer.stderr.readline()
        time.sleep(0.5)  # the log's next segment may still be on its way
        before = time.time()
        code, _ = send(server, "traced")
        after = time.time()
        time.sleep(1)
        tracer.terminate()
        tracer.wait(10)
    assert code == 250
    syncs = [float(m[1]) for m in re.finditer(r"^\d+\s+(\d+\.\d+) (?:f(?:data)?sync\(|<\.\.\. f(?:data)?sync resumed).*= 0$",
                                              open(out).read(), re.M)]
    assert len([t for t in syncs if before <= t <= after]) >= 2, "one for the message log, one for the index"


@pytest.fixture
def small_disk():
    """A file system of 24 MiB, owned by whom the server becomes."""
    folder = tempfile.mkdtemp(prefix="postel-small-")
    user = pwd.getpwnam(ORDINARY)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=24m,mode=0700,uid={user.pw_uid},gid={user.pw_gid}", "tmpfs",
                    folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)
    os.rmdir(folder)


def test_full_disk_is_temporary(small_disk):
    options = {"limits.segment_bytes": "1MiB", "limits.ipc_call_s": "10"}
    with Server(options=options, data=small_disk) as server:
        server.cli("domain", "add", "example.test", "--admin", "alice@example.test", "--password-stdin", input="full disk test\n")
        assert send(server, "first")[0] == 250
        pid = role_pid(server, "store")
        accepted = 1
        # Messages until the disk is full, then some more.
        codes = []
        for _ in range(60):
            code, text = send(server, "filling", 700_000)
            codes.append(code)
            accepted += code == 250
            if codes[-3:] == [452] * 3:
                break
        assert codes[-3:] == [452] * 3, codes
        assert stored(server) == accepted, "reads go on, and nothing half is there"
        assert role_pid(server, "store") == pid, "a full disk is no reason to restart"
        subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
        deadline = time.monotonic() + 20
        while (code := send(server, "room again")[0]) != 250:
            assert code == 452 and time.monotonic() < deadline
            time.sleep(0.2)
        assert stored(server) == accepted + 1
        assert role_pid(server, "store") == pid
