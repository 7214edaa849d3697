"""relay and store die, or stop, while mail goes out: nothing is lost, and what may have come twice is noted (REL-03)."""
import os
import random
import re
import signal
import smtplib
import socket
import sys
import threading
import time

from lib.peer import Slow
from lib.server import PASSWORD, Server
from test_relay import TEXT, World, submit, wait_for

ALL = os.environ.get("POSTEL_CHECK_ALL") == "yes"


def once_or_noted(server, peer, to):
    """Every recipient got it, and what came twice stands in the log as maybe twice. Returns who got it twice."""
    noted = server.log_text()
    lost = [t for t in to if not peer.taken(t)]
    assert not lost, f"{len(lost)} lost: {lost[:5]}\n" + server.log_tail()
    twice = [t for t in to if len(peer.taken(t)) > 1]
    for t in twice:
        assert re.search(r"ev=queue.maybe_twice .*to=" + re.escape(t) + r"\b", noted), (t, len(peer.taken(t)))
    return twice


class Sender(threading.Thread):
    """Hands a message in for each ticket, to a recipient of its own; keeps those that were acknowledged. One without an answer
    may have been taken or not: the next try is another message."""

    def __init__(self, server, name, tickets):
        super().__init__(daemon=True)
        self.server, self.name_, self.tickets = server, name, tickets
        self.over = threading.Event()
        self.tried, self.acknowledged = [], []

    def run(self):
        smtp = None
        while not self.over.is_set():
            if not self.tickets.acquire(timeout=0.1):
                continue
            while not self.over.is_set():
                self.tried.append(f"{self.name_}{len(self.tried)}@kill.other.test")
                try:
                    if smtp is None:
                        smtp = smtplib.SMTP("127.0.0.1", self.server.port["submission"], timeout=60)
                        smtp.login("alice@example.test", PASSWORD)
                    smtp.sendmail("alice@example.test", self.tried[-1:], TEXT.format(id=self.tried[-1].split("@")[0]))
                    self.acknowledged.append(self.tried[-1])
                    break
                except (smtplib.SMTPException, OSError):
                    smtp = None
                    time.sleep(0.05)


KINDS = ("relay", "store", "relay", "front-user", "store", "scan", "relay", "everything")


def gone(pid):
    try:
        return open(f"/proc/{pid}/cmdline", "rb").read() == b""  # a zombie has none
    except OSError:
        return True


def group(leader):
    """All processes of a group, also such as are about to become a role."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[2]) == leader:
                found.append(int(pid))
        except OSError:
            pass
    return found


def kill(server, kind):
    """One role; or all of them and master at the same moment, and a new start."""
    if kind == "everything":
        os.kill(server.process.pid, signal.SIGSTOP)  # else it may just start one that we do not wait for, and that has its ports
        pids = group(server.process.pid)
        os.killpg(server.process.pid, signal.SIGKILL)
        server.kill()
        wait_for(lambda: all(gone(pid) for pid in pids), 20, 0.01)
        server.start()
        return
    for pid, name in server.roles().items():
        if name == kind:
            os.kill(pid, signal.SIGKILL)
            break


def test_killed_while_relaying():
    """kill -9 of every role that mail goes through, and of the whole server, at random moments: nothing is lost; what came
    twice is noted (REL-03, RFC 1047)."""
    kills = 200 if ALL else 40
    w = World()
    try:
        # answers take a moment, so that many of the deaths fall between the dot and its answer
        peer = w.peer("kill.other.test", {"body": Slow(0.03), "rcpt": Slow(0.01)})
        tickets = threading.Semaphore(0)
        senders = [Sender(w.server, name, tickets) for name in "ab"]
        for sender in senders:
            sender.start()
        for n in range(kills):
            tickets.release(4)
            time.sleep(random.random() * 0.2)
            # the last ones are store's: whatever they leave undone, no new relay mends
            kill(w.server, KINDS[n % len(KINDS)] if n < kills - 4 else "store")
        wait_for(lambda: tickets._value == 0, 60)
        for sender in senders:
            sender.over.set()
            sender.join(90)
        to = [t for sender in senders for t in sender.acknowledged]
        assert len(to) >= kills * 3, f"{len(to)} messages were taken: this run proves little\n" + w.server.log_tail()
        wait_for(lambda: all(peer.taken(t) for t in to), 60, 0.3)
        assert wait_for(lambda: w.server.cli("queue", "list", "--plain") == "", 60, 0.3), w.server.cli("queue", "list")
        once_or_noted(w.server, peer, to)
        maybe = once_or_noted(w.server, peer, [t for sender in senders for t in sender.tried if peer.taken(t)])
        told = w.server.cli("trace", "alice@example.test", "--plain")
        assert {line.split("\t")[4] for line in told.splitlines() if line.split("\t")[2] == "maybe-twice"} >= set(maybe)
        print(f"{kills} kills, {len(to)} acknowledged, {len(maybe)} came twice")
        w.server.stop()
        assert w.server.cli("verify") == "clean\n"
        w.server.start()
    except BaseException:
        w.close(*sys.exc_info())
        raise
    w.close()


def test_stopped_while_relaying():
    """Stop ends the sessions within its time; what was under way goes out after the next start."""
    w = World()
    try:
        peer = w.peer("stop.other.test", {"rcpt": Slow(0.1)})
        to = [f"s{i}@stop.other.test" for i in range(30)]
        w.server.cli("queue", "suspend", "stop.other.test")
        for t in to:
            submit(w.server, t)
        w.server.cli("queue", "resume", "stop.other.test")
        wait_for(lambda: len(peer.taken()) > 3, 10, 0.01)
        begin = time.monotonic()
        w.server.stop()
        assert time.monotonic() - begin < 30
        before = len(peer.taken())
        assert before < 30, "nothing was left to be done"
        w.server.start()
        wait_for(lambda: all(peer.taken(t) for t in to), 20)
        once_or_noted(w.server, peer, to)
        assert len(peer.taken()) == 30, "an orderly stop makes no copies"
        assert "ev=queue.maybe_twice" not in w.server.log_text(), "and leaves nothing in doubt: attempts ahead are taken back"
    except BaseException:
        w.close(*sys.exc_info())
        raise
    w.close()


def test_stop_while_names_are_looked_up():
    """No name server answers, perhaps that is why somebody stops it: that takes no 30 s, and is no attempt."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.settimeout(30)
        with Server({"dns.forward": f"127.0.0.1:{silent.getsockname()[1]}"}) as server:
            server.cli("alias", "add", "away@example.test", "x@nowhere.test")  # a submission would wait for the name itself
            with smtplib.SMTP("127.0.0.1", server.port["smtp"], timeout=60) as smtp:
                smtp.sendmail("jon@example.org", ["away@example.test"], "Subject: x\r\n\r\nx\r\n")
            silent.recv(512)  # the question is on its way
            began = time.monotonic()
            server.stop()
            assert time.monotonic() - began < 15
            server.start()
            story = server.cli("trace", "x@nowhere.test")
            assert "could not be" not in story and "4.4.3" not in story, story
            assert wait_for(lambda: "x@nowhere.test" in server.cli("queue", "list"))
