"""A restored backup sends nothing again by itself: what its queue held may have gone out since (REL-03)."""
import os
import pwd
import shutil
import subprocess
import sys
import tempfile

import pytest

from lib.peer import Peer
from lib.server import ORDINARY, Server
from test_relay import World, final, submit, wait_for


@pytest.fixture(scope="module")
def place():
    path = tempfile.mkdtemp(prefix="postel-restore-")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def rows(server, *args):
    return [line.split("\t") for line in server.cli("queue", "list", *args, "--plain").splitlines()]


def restored(world, place, name, *options):
    """(what the command said, a server on what was restored, with the names and ports of the world's)"""
    data = os.path.join(place, name)
    os.mkdir(data)
    if os.getuid() == 0:
        os.chown(data, pwd.getpwnam(ORDINARY).pw_uid, pwd.getpwnam(ORDINARY).pw_gid)
    done = subprocess.run([world.server.binary, "restore", os.path.join(place, "backup"), "--data", data, *options],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not [f for f in os.listdir(os.path.join(data, "store")) if f.endswith(("-wal", "-shm")) or f == "restoring.db"]
    return done.stdout, Server(world.options, data=data, dns=world.dns)


@pytest.fixture(scope="module")
def world(place):
    """A backup was made while three waited for a host that was down, one of them held for a time; then they went out."""
    w = World()
    try:
        address = w.address()
        w.dns.mail("later.other.test", "mx.later.other.test", address)
        w.to = [f"u{i}@later.other.test" for i in range(3)]
        for t in w.to:
            submit(w.server, t)
        w.server.cli("queue", "hold", "--to", w.to[2], "--for", "1s")
        w.server.cli("backup", os.path.join(place, "backup"))
        w.later = Peer(address, w.port)
        w.peers["later"] = [w.later]
        w.server.cli("queue", "release", "--all")
        for t in w.to:
            final(w.server, t)
        assert len(w.later.taken()) == 3
        yield w
    except BaseException:
        w.close(*sys.exc_info())
        raise
    w.close()


def test_held(world, place):
    said, server = restored(world, place, "held")
    assert "has 3 recipients whose mail had not gone out" in said and "postel queue release --all" in said
    with server:
        listed = rows(server)
        assert {(r[1], r[3], r[6][1:-1]) for r in listed} == {("held", "-", t) for t in world.to}, listed
        before = len(world.later.taken())
        # mail that comes now goes out; what was there does not
        submit(server, "new@later.other.test")
        assert final(server, "new@later.other.test")[-1]["result"] == "delivered"
        assert len(world.later.taken()) == before + 1
        told = server.cli("trace", world.to[0])
        assert "held: it comes from a backup, and may have gone out since" in told, told
        assert server.cli("queue", "drop", "--to", world.to[1]).startswith("1 ")
        assert server.cli("queue", "release", "--all").startswith("2 ")
        for t in (world.to[0], world.to[2]):
            assert final(server, t)[-1]["result"] == "delivered"
        assert wait_for(lambda: rows(server) == [])
        assert [len(world.later.taken(t)) for t in world.to] == [2, 1, 2]
        server.stop()
        assert server.cli("verify") == "clean\n"
        server.start()


def test_sent_when_asked(world, place):
    before = {t: len(world.later.taken(t)) for t in world.to}
    said, server = restored(world, place, "sent", "--send-queue")
    assert "3 recipients" in said and "gets it again" in said
    with server:
        for t in world.to[:2]:
            assert wait_for(lambda: len(world.later.taken(t)) == before[t] + 1), server.log_tail()


def test_an_empty_queue_is_not_mentioned(world, place):
    shutil.rmtree(os.path.join(place, "backup"))
    world.server.cli("backup", os.path.join(place, "backup"))
    said, server = restored(world, place, "empty")
    assert said.count("\n") == 1
    with server:
        assert rows(server) == []
