"""./run as README tells it: two servers up, mail between them and a report, told by trace; stops, leaves nothing."""
import os
import random
import shutil
import socket
import subprocess
import tempfile

import pytest

from lib.server import ROOT


def run(*args, timeout=300):
    return subprocess.run([os.path.join(ROOT, "run"), *args], capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL)


@pytest.fixture
def data():
    folder = tempfile.mkdtemp(prefix="postel-run-")
    os.chmod(folder, 0o755)
    yield os.path.join(folder, "data")
    run("stop", "--data", os.path.join(folder, "data"))
    shutil.rmtree(folder, ignore_errors=True)


def test_run(data):
    base = str(random.randrange(10240, 29000))
    up = run("--background", "--data", data, "--ports", base, "--demo-password", "learnt by heart")
    assert up.returncode == 0, up.stdout + up.stderr
    for word in ("alice@demo.test", "berta@demo.test", "learnt by heart", f"127.0.0.1:{int(base) + 25}",
                 f"127.0.0.1:{int(base) + 587}", f"127.0.0.2:{int(base) + 25}", "carol@other.test", "Isolation reached",
                 "landlock", "seccomp"):
        assert word in up.stdout
    assert ", for root." not in up.stdout
    tried = run("try", "--data", data)
    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert "answered: 250" in tried.stdout and "NOT there" not in tried.stdout
    for word in ("berta@demo.test, 1 messages", "carol@other.test, 1 messages", "550 5.1.1", "multipart/report",
                 "<berta@demo.test>: put into the mailbox", "<carol@other.test>: put into the mailbox",
                 "<carol@other.test>: delivered", "<nobody@other.test>: failed for good", "report sent"):
        assert word in tried.stdout, word + " is not in\n" + tried.stdout
    again = run("--background", "--data", data, "--ports", base)
    assert again.returncode == 1 and "already running" in again.stdout
    down = run("stop", "--data", data)
    assert down.returncode == 0 and "has stopped" in down.stdout
    # The second start finds what the first left.
    up = run("--background", "--data", data, "--ports", base)
    assert up.returncode == 0, up.stdout + up.stderr
    tried = run("try", "--data", data)
    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert "berta@demo.test, 2 messages" in tried.stdout and "carol@other.test, 2 messages" in tried.stdout
    assert run("stop", "--data", data).returncode == 0
    for host, port in (("127.0.0.1", 25), ("127.0.0.2", 25), ("127.0.0.1", 587)):
        with socket.socket() as s:
            assert s.connect_ex((host, int(base) + port)) != 0, f"{host} port {port} still answers"


def test_usage():
    assert run("--help").returncode == 0
    wrong = run("--frob")
    assert wrong.returncode == 2 and "--help" in wrong.stderr
