"""The rows relay and submission of ./bench: mail that goes on to another server (Postfix's smtp-sink), beside Postfix as a
relay; and mail that our own people hand in, in TLS and with a login."""
import base64
import fcntl
import os
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time

from mail_client import Client
from processes import TICKS, cpu_seconds
from lib.postfix import Postfix
from lib.sasl import Scram
from lib.server import PASSWORD, Server, free_port

SMTP_SINK = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin")
SMTP_SOURCE = shutil.which("smtp-source", path="/usr/sbin:/usr/bin")
SESSIONS, SIZE = 20, 4096


class Sink:
    """Takes everything and keeps nothing; says how many messages it had."""

    def __init__(self):
        self.port, self.taken, self.open = free_port(), 0, True
        ordinary = ["-u", "nobody"] if os.getuid() == 0 else []
        self.process = subprocess.Popen([SMTP_SINK, *ordinary, "-c", f"127.0.0.1:{self.port}", "1000"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        fcntl.fcntl(self.process.stdout, fcntl.F_SETFL, os.O_NONBLOCK)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        """It prints its counters with each message, and stands still when nobody empties the pipe: some 2,300 messages fill it."""
        while self.open:
            last = b""
            while (piece := self.process.stdout.read(65536)):
                last = (last + piece)[-300:]
            found = re.findall(rb"mesg=(\d+)", last[:last.rfind(b"\r") + 1])
            if found:
                self.taken = int(found[-1])
            time.sleep(0.005)

    def count(self):
        return self.taken

    def close(self):
        self.open = False
        self.reader.join()
        self.process.terminate()
        self.process.wait(30)


class PostelRelay:
    """What comes for an alias goes on to the sink: queued durably, with a reverse-path of our own (SRS)."""
    name = "Postel"

    def __init__(self, sink):
        self.server = Server(accounts=["alice"], options={"relay.routes": f"sink.test=[127.0.0.1]:{sink.port}",
                                                          "relay.allow": "127.0.0.0/8"})
        self.server.cli("alias", "add", "out@example.test", "jon@sink.test")
        self.root, self.port, self.recipient = self.server.process.pid, self.server.port["smtp"], "out@example.test"

    def cpu(self):
        """{role: CPU seconds}; a scan that was replaced counts as ended below master."""
        found = {}
        for pid, role in [*self.server.roles().items(), (self.root, "master, ended roles")]:
            fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
            found[role] = found.get(role, 0) + sum(map(int, fields[11:15])) / TICKS
        return found

    def close(self):
        self.server.stop()
        shutil.rmtree(self.server.data, ignore_errors=True)


class PostfixRelay(Postfix):
    def __init__(self, sink):
        super().__init__(f"relayhost = [127.0.0.1]:{sink.port}\nsmtp_dns_support_level = disabled\n"
                         "smtpd_relay_restrictions = permit_mynetworks, reject\n", "jon@sink.test")

    def cpu(self):
        return {"all": cpu_seconds(self.root)}


def load(target, sink, count):
    """Messages per second until the sink has the last one, and CPU microseconds per message by role."""
    before, cpu = sink.count(), target.cpu()
    began = time.monotonic()
    subprocess.run([SMTP_SOURCE, "-d", "-s", str(SESSIONS), "-m", str(count), "-l", str(SIZE), "-f", "jon@example.org",
                    "-t", target.recipient, f"127.0.0.1:{target.port}"], check=True, capture_output=True, timeout=600)
    accepted = time.monotonic() - began
    while sink.count() < before + count:
        if time.monotonic() - began > 600:
            raise RuntimeError(f"{target.name}: {sink.count() - before} of {count} arrived")
        time.sleep(0.005)
    took = time.monotonic() - began
    after = target.cpu()
    return count / took, count / accepted, {role: (after[role] - cpu.get(role, 0)) * 1e6 / count for role in after}


def relay(rounds):
    sink = Sink()
    targets = [PostelRelay(sink)]
    try:
        if Postfix.installed():
            targets.append(PostfixRelay(sink))
        counts, results = {"Postel": 8000, "Postfix": 2000}, {t.name: [] for t in targets}
        for n in range(rounds + 1):  # the first round warms up
            for t in targets:
                print(f"\rrelay: round {n}/{rounds} {t.name}   ", end="", file=sys.stderr, flush=True)
                got = load(t, sink, counts[t.name] if n else counts[t.name] // 4)
                if n:
                    results[t.name].append(got)
        print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
        medians = {}
        for t in targets:
            rates, accepted, cpus = zip(*results[t.name])
            medians[t.name] = statistics.median(rates)
            parts = {role: statistics.median(c.get(role, 0) for c in cpus) for role in cpus[-1]}
            by_role = ", ".join(f"{role} {us:.0f}" for role, us in parts.items() if us >= 0.5)
            print(f"{'relay to a sink, 20 sessions':34} {t.name:8} {medians[t.name]:8.0f}/s  [{min(rates):.0f}-{max(rates):.0f}]"
                  f"  {statistics.median(sum(c.values()) for c in cpus):7.0f} us CPU a message ({by_role}),"
                  f" accepted at {statistics.median(accepted):.0f}/s")
        if len(targets) > 1:
            print(f"{'relay to a sink, 20 sessions':34} ratio    {medians['Postel'] / medians['Postfix']:8.1f} x")
    finally:
        for t in targets:
            t.close()
        sink.close()


class Sender(Client):
    """Port 465 with SCRAM-SHA-256, then message after message; each envelope and its DATA in one group."""

    def __init__(self, port, user):
        super().__init__(port, secure=True)
        scram = Scram(user, PASSWORD)
        self.ask(b"EHLO client.example.org\r\n")
        first = self.ask(b"AUTH SCRAM-SHA-256 " + base64.b64encode(scram.first()) + b"\r\n", b"334")
        last = self.ask(base64.b64encode(scram.final(base64.b64decode(first[4:]))) + b"\r\n", b"334")
        scram.check(base64.b64decode(last[4:]))
        self.ask(b"\r\n", b"235")
        self.user = user.encode()

    def answer(self, code, replies=1):
        """That many replies, the last one with this code."""
        end, at = 0, 0
        while replies:
            while (lf := self.room.find(b"\n", at, end)) < 0:
                end = self.more(end)
            if self.room[at + 3:at + 4] == b" ":
                replies -= 1
            last, at = at, lf + 1
        line = bytes(self.room[last:at]).rstrip()
        if not line.startswith(code):
            raise RuntimeError(line)
        return line

    def ask(self, line, code=b"250"):
        self.sock.sendall(line)
        return self.answer(code)

    def send(self, to, body):
        self.sock.sendall(b"MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n" % (self.user, to))
        self.answer(b"354", 3)
        self.ask(body, b"250")


def sending(port, user, count, failed):
    try:
        sender = Sender(port, user)
        head = b"From: <%s>\r\nTo: <alice@example.test>\r\nSubject: bench\r\n\r\n" % sender.user
        body = head + (b"x" * 78 + b"\r\n") * ((SIZE - len(head)) // 80) + b".\r\n"
        for _ in range(count):
            sender.send(b"alice@example.test", body)
        sender.close()
    except Exception as e:  # told by the row, not by a thread
        failed.append(f"{user}: {e!r}")


def submission(rounds):
    """Until the last 250: durable, and in a mailbox of ours. The client is this Python: its share of the machine is large."""
    each = 100
    server = Server(accounts=["alice"] + [f"user{n}" for n in range(SESSIONS)], options={"limits.send_messages": "1000000000"})
    try:
        rates, cpus = [], []
        for n in range(rounds + 1):
            print(f"\rsubmission: round {n}/{rounds}   ", end="", file=sys.stderr, flush=True)
            failed, cpu, began = [], cpu_seconds(server.process.pid), time.monotonic()
            threads = [threading.Thread(target=sending, args=(server.port["submissions"], f"user{k}@example.test", each, failed))
                       for k in range(SESSIONS)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            if failed:
                raise RuntimeError("; ".join(failed[:3]))
            if n:
                rates.append(SESSIONS * each / (time.monotonic() - began))
                cpus.append((cpu_seconds(server.process.pid) - cpu) * 1e6 / (SESSIONS * each))
        print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
        print(f"{'submission, TLS and SCRAM, 20':34} {'Postel':8} {statistics.median(rates):8.0f}/s  [{min(rates):.0f}-{max(rates):.0f}]"
              f"  {statistics.median(cpus):7.0f} us CPU a message (logins and handshakes included: 1 for {each} messages)")
    finally:
        server.stop()
        shutil.rmtree(server.data, ignore_errors=True)


def run(name, rounds):
    if name == "submission":
        submission(rounds)
    elif SMTP_SINK is None or SMTP_SOURCE is None:
        print("relay: smtp-sink is missing (Debian package postfix)")
    else:
        relay(rounds)
