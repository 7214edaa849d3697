"""./run as README tells it: up, sends and reads a message, tells what it did, stops, leaves nothing."""
import os
import random
import shutil
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
    for word in ("alice@demo.test", "berta@demo.test", "learnt by heart", str(int(base) + 25), "Isolation reached",
                 "landlock", "seccomp"):
        assert word in up.stdout
    assert ", for root." not in up.stdout
    tried = run("try", "--data", data)
    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert "answered: 250" in tried.stdout and "ev=smtp.stored" in tried.stdout
    again = run("--background", "--data", data, "--ports", base)
    assert again.returncode == 1 and "already running" in again.stdout
    down = run("stop", "--data", data)
    assert down.returncode == 0 and "has stopped" in down.stdout
    # The second start finds what the first left.
    up = run("--background", "--data", data, "--ports", base)
    assert up.returncode == 0, up.stdout + up.stderr
    tried = run("try", "--data", data)
    assert "POP3" in tried.stdout and ": 2 messages" in tried.stdout
    assert run("stop", "--data", data).returncode == 0


def test_usage():
    assert run("--help").returncode == 0
    wrong = run("--frob")
    assert wrong.returncode == 2 and "--help" in wrong.stderr
