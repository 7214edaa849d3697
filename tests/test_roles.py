"""The life of roles: each is back within a second, none outlives its master, and what they may not do shows from outside."""
import contextlib
import os
import poplib
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time

import pytest

from lib.server import BINARY, PASSWORD, Server, free_port

ROLES = ("front-mx", "front-user", "scan", "relay", "store", "auth")


@pytest.fixture
def server():
    with Server() as s:
        yield s


def pid_of(server, name):
    pids = [pid for pid, role in server.roles().items() if role == name]
    assert len(pids) == 1, f"{name}: {pids}"
    return pids[0]


def alive(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until(what, limit_s, message):
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < limit_s, message
        time.sleep(0.005)
    return time.monotonic() - began


def is_ready(server, name, pid):
    return f"ev=role.ready name={name} index=0 pid={pid} " in server.log_text()


def kill_and_wait(server, name):
    """kill -9; returns the seconds until the new one is ready."""
    old = pid_of(server, name)
    began = time.monotonic()
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: any(role == name and pid != old and is_ready(server, name, pid)
                           for pid, role in server.roles().items()), 30, f"{name} is not back:\n{server.log_tail()}")
    return time.monotonic() - began


def greeting(server, service):
    with socket.create_connection(("127.0.0.1", server.port[service]), 10) as s:
        return s.makefile("rb").readline()


def start_again(server):
    os.truncate(server.log, 0)  # "ready" must be said anew
    server.start()


def send(server, text="Subject: x\r\n\r\nx\r\n"):
    with smtplib.SMTP("127.0.0.1", server.port["smtp"], "client.example.org", timeout=30) as smtp:
        smtp.sendmail("jon@example.org", ["alice@example.test"], text)


@pytest.mark.parametrize("name", ROLES)
def test_back_within_a_second(server, name):
    others = {pid: role for pid, role in server.roles().items() if role != name}
    took = [kill_and_wait(server, name) for _ in range(2)]  # the second time at once again: it died soon after its start
    if min(took) > 1:  # the machine may have been busy with others
        time.sleep(2)
        took.append(kill_and_wait(server, name))
    assert min(took) <= 1, took
    assert {pid: role for pid, role in server.roles().items() if role != name} == others, "only the one that was killed"
    assert greeting(server, "smtp").startswith(b"220 ")
    assert greeting(server, "pop3").startswith(b"+OK")
    send(server)


def test_other_connections_stand(server):
    smtp = smtplib.SMTP("127.0.0.1", server.port["smtp"], "client.example.org", timeout=30)
    pop = socket.create_connection(("127.0.0.1", server.port["pop3"]), 30)
    lines = pop.makefile("rb")
    assert lines.readline().startswith(b"+OK")
    for name in ("scan", "relay", "store", "auth"):
        kill_and_wait(server, name)
        pop.sendall(b"CAPA\r\n")
        assert lines.readline().startswith(b"+OK")
        while lines.readline() != b".\r\n":
            pass
        assert smtp.noop()[0] == 250
        smtp.sendmail("jon@example.org", ["alice@example.test"], "Subject: x\r\n\r\nx\r\n")
    kill_and_wait(server, "front-mx")
    pop.sendall(b"QUIT\r\n")
    assert lines.readline().startswith(b"+OK"), "front-user does not care about front-mx"


def test_maildrop_stays_locked(server):
    """RFC 1939 4: the session that has it keeps it when store is another process."""
    def login():
        pop = poplib.POP3("127.0.0.1", server.port["pop3"], timeout=20)
        pop.user("bob@example.test")
        pop.pass_(PASSWORD)
        return pop

    send(server)
    mine = login()
    kill_and_wait(server, "store")
    for _ in range(100):
        with pytest.raises(poplib.error_proto) as refused:
            login()
        if "SYS/TEMP" not in str(refused.value):
            break
        time.sleep(0.2)  # the new store does not know the login's session yet
    assert "IN-USE" in str(refused.value)
    mine.quit()
    login().quit()


def test_connecting_meanwhile_is_served(server):
    """The listening socket is master's: who connects while the front is down waits a moment."""
    os.kill(pid_of(server, "front-mx"), signal.SIGKILL)
    assert greeting(server, "smtp").startswith(b"220 ")


def test_scan_is_replaced_without_a_failure(server_with_short_scans):
    server = server_with_short_scans
    first = pid_of(server, "scan")
    with smtplib.SMTP("127.0.0.1", server.port["smtp"], "client.example.org", timeout=30) as smtp:
        for i in range(3000):
            smtp.sendmail("jon@example.org", ["alice@example.test"], f"Subject: {i}\r\n\r\nx\r\n")  # raises unless 250
            if i % 20 == 0 and server.log_text().count("ev=role.retire") >= 5:
                break
    wait_until(lambda: not alive(first), 5, "the first scan is still there")
    wait_until(lambda: list(server.roles().values()).count("scan") == 1, 5, "more than one scan is left")
    assert "ev=role.died" not in server.log_text()
    assert server.log_text().count("ev=role.retire") >= 5


@pytest.fixture
def server_with_short_scans():
    with Server(options={"limits.scan_messages": "10", "server.log_level": "debug"}) as s:
        yield s


def status_of(pid):
    return dict(re.findall(r"^(\w+):\t(.*)$", open(f"/proc/{pid}/status").read(), re.M))


@pytest.mark.parametrize("name", ROLES)
def test_seen_from_outside(server, name):
    pid = pid_of(server, name)
    status = status_of(pid)
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2", "or the kernel has none"
    for caps in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[caps], 16) == 0, caps
    for task in os.listdir(f"/proc/{pid}/task"):
        assert status_of(f"{pid}/task/{task}")["Seccomp"] == "2", "every thread is inside"
    if os.getuid() != 0:
        with pytest.raises(PermissionError):
            open(f"/proc/{pid}/environ", "rb").read()  # not dumpable: not even for its own user
        return
    assert status["Uid"].split()[0] != "0", "server.user is set"
    environ = open(f"/proc/{pid}/environ", "rb").read().split(b"\0")
    assert all(e.split(b"=")[0] in (b"", b"ASAN_OPTIONS", b"UBSAN_OPTIONS", b"TSAN_OPTIONS") for e in environ), environ
    files = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd") if int(fd) > 2]
    under_data = [f for f in files if f.startswith(server.data)]
    if name in ("store", "auth"):
        assert all(f.startswith(os.path.join(server.data, name)) for f in under_data), under_data
    else:
        assert under_data == []


def test_stop_leaves_nothing():
    with Server() as server:
        pids = list(server.roles())
        assert sorted(server.roles().values()) == sorted(ROLES)
        send(server)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
        assert not any(alive(pid) for pid in pids)
        text = server.log_text()
        assert "ev=postel.stopped" in text and "ev=role.killed" not in text, server.log_tail()
        assert open(os.path.join(server.data, "run", "master.pid")).read() == ""
        with pytest.raises(ConnectionRefusedError):
            greeting(server, "smtp")
        start_again(server)  # on the same data
        send(server)


def test_interrupt_of_the_whole_group_is_orderly(server):
    """^C at a terminal reaches every process; only master may act on it."""
    os.killpg(server.process.pid, signal.SIGINT)
    assert server.process.wait(20) == 0
    text = server.log_text()
    assert "ev=role.died" not in text and "ev=role.killed" not in text
    server.process = None


def test_nobody_outlives_a_killed_master():
    with Server() as server:
        pids = list(server.roles())
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        wait_until(lambda: not any(alive(pid) for pid in pids), 1, "a role outlived its master")
        start_again(server)
        send(server)


def test_notifies_the_service_manager(tmp_path, monkeypatch):
    path = str(tmp_path / "notify")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(path)
    os.chmod(tmp_path, 0o755)
    os.chmod(path, 0o777)
    for parent in tmp_path.parents[:2]:
        os.chmod(parent, 0o755)  # the server may run as another user
    manager.settimeout(5)
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    with Server(accounts=()):
        assert manager.recv(100) == b"READY=1"
    assert manager.recv(100) == b"STOPPING=1"


# ---- what keeps it from starting -------------------------------------------------------------------------------------


@contextlib.contextmanager
def data_dir(mode=0o700):
    path = tempfile.mkdtemp(prefix="postel-test-")
    os.chmod(path, mode)
    yield path
    shutil.rmtree(path)


def serve(data, extra="", smtp=None):
    """Runs a server that is expected to end at once: (exit status, what it said)."""
    config = os.path.join(data, "postel.conf")
    with open(config, "w") as f:
        f.write(f"[server]\ndata = {data}\n[listen]\nsmtp = 127.0.0.1:{smtp or free_port()}\nsubmission = none\nsubmissions = none\npop3 = none\npop3s = none\nimap = none\nimaps = none\n{extra}")
    done = subprocess.run([BINARY, "serve", "--config", config], capture_output=True, text=True, timeout=20)
    return done.returncode, done.stdout + done.stderr


def test_refuses_a_second_server_on_the_same_data():
    with Server(accounts=()) as server:
        config = os.path.join(server.data, "second.conf")
        text = open(server.config).read()
        for port in server.port.values():
            text = text.replace(f":{port}", f":{free_port()}")
        open(config, "w").write(text)
        done = subprocess.run([BINARY, "serve", "--config", config], capture_output=True, text=True, timeout=20)
        assert done.returncode == 1
        assert "another server runs on this data directory" in done.stderr + done.stdout
        assert greeting(server, "smtp").startswith(b"220 "), "the first one is not disturbed"


def test_refuses_a_port_that_is_taken():
    with data_dir() as data, socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        status, said = serve(data, smtp=s.getsockname()[1])
    assert status == 1 and "(smtp): Address already in use" in said


def test_refuses_an_open_data_directory():
    with data_dir(0o755) as data:
        status, said = serve(data)
    assert status == 1 and "is open to other users" in said


@pytest.mark.skipif(os.getuid() != 0, reason="giving a directory away needs root")
def test_refuses_somebody_elses_data_directory():
    with data_dir() as data:
        os.chown(data, 12345, 12345)
        status, said = serve(data)
    assert status == 1 and "belongs to uid 12345" in said


def test_refuses_a_link_as_data_directory():
    with data_dir() as data, data_dir() as other:
        os.symlink(other, os.path.join(data, "link"))
        status, said = serve(data, extra=f"[server]\ndata = {data}/link\n")
    assert status == 1 and "is no directory" in said


@pytest.mark.parametrize("extra,want", [
    ("[listen]\nsmpt = none\n", 'unknown option "smpt" in [listen]; did you mean "smtp" in [listen]?'),
    ("[limits]\nsmtp_rcpts = 5\n", "smtp_rcpts = 5: wants 100 to 100000 recipients"),
    ("[server]\nfronts = none\n", "fronts = none: wants a number from 1 to 64"),
    ("[server]\nuser = no-such-user-here\n", "there is no user" if os.getuid() == 0 else ""),
])
def test_refuses_a_mistake_in_its_configuration(extra, want):
    if not want:
        pytest.skip("only root becomes another user")
    with data_dir() as data:
        status, said = serve(data, extra=extra)
    assert status != 0 and want in said.replace('\\"', '"')


def test_several_of_a_kind():
    with Server(options={"server.fronts": "2", "server.scans": "3"}) as server:
        kinds = list(server.roles().values())
        assert {k: kinds.count(k) for k in set(kinds)} == {
            "front-mx": 2, "front-user": 2, "scan": 3, "relay": 1, "store": 1, "auth": 1}
        for _ in range(10):
            send(server)
