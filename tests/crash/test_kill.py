"""kill -9 of random roles under load (T1): what was acknowledged is there, once; the server comes back by itself."""
import collections
import os
import poplib
import random
import re
import signal
import smtplib
import threading
import time
import uuid

from lib.server import PASSWORD, Server

KILLS = 200 if os.environ.get("POSTEL_CHECK_ALL") == "yes" else 40
WHO = ("alice", "bob", "carol", "dave", "erin")
SENDERS = 6
BURST = 40  # messages for each kill: all are read back one by one at the end


class Sender(threading.Thread):
    """Sends a numbered message for each ticket; keeps those that were acknowledged. A message that got no answer may
    have been stored or not: it is sent again under a new id, as a client would."""

    def __init__(self, server, stop, tickets):
        super().__init__(daemon=True)
        self.server, self.stop_event, self.tickets = server, stop, tickets
        self.acknowledged = {}
        self.other = 0

    def run(self):
        smtp = None
        while not self.stop_event.is_set():
            if not self.tickets.acquire(timeout=0.2):
                continue
            name, key = random.choice(WHO), uuid.uuid4().hex
            body = "x" * random.choice((10, 3000, 3000, 80_000, 1_300_000 if random.random() < 0.05 else 20))
            text = f"From: <jon@example.org>\r\nSubject: {key}\r\nMessage-ID: <{key}@example.org>\r\n\r\n" + "\r\n".join(
                body[i:i + 70] for i in range(0, len(body), 70)) + "\r\n"
            try:
                if smtp is None:
                    smtp = smtplib.SMTP("127.0.0.1", self.server.port["smtp"], "client.example.org", timeout=60)
                smtp.sendmail("jon@example.org", [f"{name}@example.test"], text)
                self.acknowledged[key] = name
            except (smtplib.SMTPException, OSError):
                self.other += 1
                smtp = None
                time.sleep(0.02)


def wait_for_role(server, name, dead, limit_s=10):
    began = time.monotonic()
    while time.monotonic() - began < limit_s:
        alive = server.roles()
        if name in alive.values() and dead not in alive:
            return time.monotonic() - began
        time.sleep(0.005)
    raise AssertionError(f"{name} did not come back:\n" + server.log_tail())


def subjects(server, who):
    pop = poplib.POP3("127.0.0.1", server.port["pop3"], timeout=60)
    pop.user(f"{who}@example.test")
    pop.pass_(PASSWORD)
    count, _ = pop.stat()
    found = []
    for n in range(1, count + 1):
        head = b"\n".join(pop.top(n, 0)[1])
        found.append(re.search(rb"^Subject: ([0-9a-f]{32})$", head, re.M)[1].decode())
    pop.quit()
    return found


def test_kill_random_roles_under_load():
    random.seed(os.environ.get("POSTEL_SEED", str(time.time_ns())))
    with Server(accounts=WHO, options={"limits.scan_messages": "200"}) as server:
        stop, tickets = threading.Event(), threading.Semaphore(0)
        senders = [Sender(server, stop, tickets) for _ in range(SENDERS)]
        for sender in senders:
            sender.start()
        slowest = 0.0
        for _ in range(KILLS):
            tickets.release(BURST)
            time.sleep(random.uniform(0.005, 0.15))  # in the middle of the burst, mostly
            alive = server.roles()
            pid = random.choice(list(alive))
            os.kill(pid, signal.SIGKILL)
            slowest = max(slowest, wait_for_role(server, alive[pid], pid))
        time.sleep(1)
        stop.set()
        for sender in senders:
            sender.join(90)
        assert server.process.poll() is None
        expected = {key: who for sender in senders for key, who in sender.acknowledged.items()}
        assert len(expected) > KILLS, "hardly any mail came through: this run proves nothing"
        lost, doubled = [], []
        for who in WHO:
            found = collections.Counter(subjects(server, who))
            doubled += [key for key, times in found.items() if times > 1]
            lost += [key for key, owner in expected.items() if owner == who and key not in found]
        print(f"{KILLS} kills, {len(expected)} acknowledged, slowest return {slowest:.2f} s, "
              f"{sum(s.other for s in senders)} not acknowledged")
        assert lost == [] and doubled == []


def test_others_stand_when_one_dies():
    """SEC-25: a role that dies takes no connection of others with it; the same SMTP and POP3 sessions go on."""
    with Server() as server:
        smtp = smtplib.SMTP("127.0.0.1", server.port["smtp"], "client.example.org", timeout=60)
        pop = poplib.POP3("127.0.0.1", server.port["pop3"], timeout=60)
        pop.user("alice@example.test")
        pop.pass_(PASSWORD)
        sent = 0
        for name in ("scan", "store", "auth", "relay"):
            pid = next(p for p, role in server.roles().items() if role == name)
            os.kill(pid, signal.SIGKILL)
            smtp.sendmail("jon@example.org", ["bob@example.test"], f"Subject: after {name}\r\n\r\nx\r\n")
            sent += 1
            assert pop.noop().startswith(b"+OK")
            assert wait_for_role(server, name, pid) < 5
            assert pop.stat() == (0, 0)
        # The front of POP3 dies: SMTP stands.
        pid = next(p for p, role in server.roles().items() if role == "front-user")
        os.kill(pid, signal.SIGKILL)
        smtp.sendmail("jon@example.org", ["bob@example.test"], "Subject: after front-user\r\n\r\nx\r\n")
        sent += 1
        wait_for_role(server, "front-user", pid)
        pop = poplib.POP3("127.0.0.1", server.port["pop3"], timeout=60)
        pop.user("bob@example.test")
        pop.pass_(PASSWORD)
        assert pop.stat()[0] == sent
        pop.quit()
        smtp.quit()
