"""The rows imap and pop3 of ./bench: the same load at Postel and, where it is installed, at Dovecot, round by round in turn.

A row that PERFORMANCE wants faster has a goal, in the row's own unit or as a ratio to the rival; it is printed beside what
was measured, and nothing fails."""
import os
import random
import select
import statistics
import sys
import threading
import time

from mail_client import Imap, Pop3
from processes import pss_kb
from mail_targets import NEEDLE, WORDS, Dovecot, Postel, file_system, message

USERS = 60
BIG, SINGLE = 0, 1      # accounts: with all the mail; with as much, for commands that name one message
NOW = 'INBOX (\\Seen) "24-Nov-2026 10:00:00 +0000"'


def ms(run):
    began = time.monotonic()
    run()
    return (time.monotonic() - began) * 1000


def rate(count, run):
    began = time.monotonic()
    run()
    return count / (time.monotonic() - began)


def imap(t, user):
    return Imap(t).login(t.user(user), t.password)


def fill(t, count):
    """The same messages for both, as their clients would have put them there."""
    def some(c, numbers):
        for n in numbers:
            c.run(f"APPEND {NOW}", message(n))
        c.logout()
    if isinstance(t, Dovecot):
        for user in (BIG, SINGLE):
            fill_maildir(t, user, count)
        return
    for user in (BIG, SINGLE):
        threads = [threading.Thread(target=some, args=(imap(t, user), range(k, count, 20))) for k in range(20)]
        for x in threads:
            x.start()
        for x in threads:
            x.join()


def fill_maildir(t, user, count):
    root = os.path.join(t.mail, t.user(user))
    for n in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(root, n))
    for n in range(count):
        text = message(n)
        with open(os.path.join(root, "cur", f"{1795000000 + n}.M{n}P1.mx,S={len(text)},W={len(text)}:2,S"), "wb") as f:
            f.write(text)
    for folder, _, files in os.walk(root):
        for n in [folder] + [os.path.join(folder, n) for n in files]:
            os.chown(n, t.nobody.pw_uid, t.nobody.pw_gid)


# ---- IMAP: one command over the whole mailbox; ms ----

def whole(name, goal, command, before=(), mailbox="INBOX"):
    """ms of one command with the mailbox selected; before: not measured."""
    def run(t, count):
        c = imap(t, BIG)
        c.run(f"SELECT {mailbox}")
        for text in before:
            c.run(text)
        took = ms(lambda: c.run(command))
        c.logout()
        return took
    return name, "ms", goal, run


def select_again(t, count):
    """In sessions of their own: what a server knows of the mailbox by then."""
    took = []
    for _ in range(6):
        c = imap(t, BIG)
        took.append(ms(lambda: c.run("SELECT INBOX")))
        c.logout()
    return statistics.median(took[1:])


def copied(t, measured):
    """ms of COPY 1:* into a new mailbox, or of EXPUNGE of all that came there."""
    c = imap(t, BIG)
    c.run("CREATE Copies")
    c.run("SELECT INBOX")
    copy = ms(lambda: c.run("COPY 1:* Copies"))
    c.run("SELECT Copies")
    c.run("STORE 1:* +FLAGS.SILENT (\\Deleted)")
    expunge = ms(lambda: c.run("EXPUNGE"))
    c.run("SELECT INBOX")
    c.run("DELETE Copies")
    c.logout()
    return copy if measured == "copy" else expunge


# ---- IMAP: many commands; a second ----

def singles(name, goal, commands, times):
    """commands: each in turn, of the same message."""
    def run(t, count):
        c, chance = imap(t, SINGLE), random.Random(7)
        c.run("SELECT INBOX")
        numbers = [chance.randint(1, count) for _ in range(times)]
        done = rate(times * len(commands), lambda: [c.run(text.format(n)) for n in numbers for text in commands])
        c.logout()
        return done
    return name, "/s", goal, run


def appends(name, goal, clients, times):
    def run(t, count):
        held = [imap(t, 2 + n) for n in range(clients)]
        text = message(1)

        def some(c):
            for _ in range(times // clients):
                c.run(f"APPEND {NOW}", text)
        threads = [threading.Thread(target=some, args=(c,)) for c in held]

        def all_of_them():
            for x in threads:
                x.start()
            for x in threads:
                x.join()
        done = rate(times, all_of_them)
        for c in held:
            c.logout()
        return done
    return name, "/s", goal, run


def sessions(t, count):
    times = 100 if isinstance(t, Dovecot) else 1000
    return rate(times, lambda: [imap(t, 2 + n % (USERS - 2)).logout() for n in range(times)])


def exists(t, count):
    """From the last byte of a message sent by another session to EXISTS at one that idles: median of 20."""
    watch, send, took = imap(t, 3), imap(t, 3), []
    watch.run("SELECT INBOX")
    watch.sock.sendall(b"i IDLE\r\n")
    while not watch.line().startswith(b"+"):
        pass
    for n in range(20):
        time.sleep(0.05)
        began = time.monotonic()
        tag = send.send(f"APPEND {NOW}", message(n))
        seen = b""
        while b"EXISTS" not in seen:
            seen = watch.line()
        took.append((time.monotonic() - began) * 1000)
        send.until(tag)
    watch.sock.sendall(b"DONE\r\n")
    watch.close()
    send.logout()
    return statistics.median(took)


class Mixer:
    """One client of the mix: a command at random, its answer, the next one (in the way of imaptest)."""
    COMMANDS = (
        (20, lambda m: f"FETCH {m.number()} (UID FLAGS ENVELOPE)"), (15, lambda m: f"FETCH {m.number()} BODY.PEEK[]"),
        (15, lambda m: f"STORE {m.number()} {m.chance.choice('+-')}FLAGS ({m.chance.choice(FLAGS)})"),
        (10, lambda m: f"FETCH {m.number()}:* (UID FLAGS)"), (10, lambda m: "NOOP"), (8, lambda m: "STATUS INBOX (MESSAGES UNSEEN)"),
        (6, lambda m: f"SEARCH SUBJECT {m.chance.choice(WORDS)}"), (5, lambda m: 'LIST "" *'), (5, lambda m: "SELECT INBOX"),
        (4, lambda m: f"UID FETCH {m.number()} (RFC822.SIZE BODYSTRUCTURE)"), (2, lambda m: None),
    )
    MESSAGES = 50

    def __init__(self, t, n, logins):
        self.t, self.n, self.logins, self.chance = t, n, logins, random.Random(n)
        self.weights, self.makers = zip(*self.COMMANDS)
        self.done, self.c = 0, None
        self.connect()

    def connect(self):
        self.c = imap(self.t, 10 + self.n)
        self.c.run("SELECT INBOX")
        self.c.sock.setblocking(False)
        self.left, self.end = 20, 0

    def number(self):
        return self.chance.randint(1, self.MESSAGES)

    def next(self):
        if self.logins and self.left == 0:
            self.c.sock.setblocking(True)
            self.c.logout()
            self.connect()
            self.done += 3
            return True
        self.left -= 1
        text = self.chance.choices(self.makers, self.weights)[0](self)
        self.tag = self.c.send(text) if text is not None else self.c.send(f"APPEND {NOW}", message(self.n))
        self.end = 0
        return False

    def read(self):
        """True when the answer is whole."""
        room = self.c.room
        self.end = self.c.more(self.end)
        last = room.rfind(b"\n", 0, self.end - 1) + 1
        if not (room.endswith(b"\n", 0, self.end) and room.startswith(self.tag + b" ", last)):
            return False
        self.done += 1
        return True


FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "\\Draft")


def mix(logins):
    def run(t, count, seconds=4):
        for n in range(50):
            c = imap(t, 10 + n)
            had = int(c.run("STATUS INBOX (MESSAGES)")[1].partition(b"MESSAGES ")[2].partition(b")")[0])
            for k in range(Mixer.MESSAGES - had):
                c.run(f"APPEND {NOW}", message(k))
            c.logout()
        clients = {}
        poll = select.epoll()

        def add(m):
            clients[m.c.sock.fileno()] = m
            poll.register(m.c.sock, select.EPOLLIN)
            m.next()
        held = [Mixer(t, n, logins) for n in range(50)]
        before = sum(m.done for m in held)
        for m in held:
            add(m)
        end = time.monotonic() + seconds
        began = time.monotonic()
        while time.monotonic() < end:
            for fd, _ in poll.poll(1):
                m = clients[fd]
                if not m.read():
                    continue
                if m.logins and m.left == 0:
                    poll.unregister(fd)
                    del clients[fd]
                    m.next()
                    add(m)
                else:
                    m.next()
        done = (sum(m.done for m in held) - before) / (time.monotonic() - began)
        for m in held:
            m.c.close()
        return done
    return run


IMAP_ROWS = [
    ("connect, login, logout", "/s", "20 x", sessions),
    ("SELECT again", "ms", 1, select_again),
    whole("FETCH 1:* (UID FLAGS)", 6, "FETCH 1:* (UID FLAGS)"),
    whole("FETCH 1:* (UID FLAGS ENVELOPE)", 40, "FETCH 1:* (UID FLAGS ENVELOPE)"),
    whole("FETCH 1:* (SIZE STRUCTURE)", 30, "FETCH 1:* (RFC822.SIZE BODYSTRUCTURE)"),
    whole("FETCH 1:* BODY.PEEK[]", 80, "FETCH 1:* BODY.PEEK[]"),
    whole("SEARCH BODY word", 15, f"SEARCH BODY {NEEDLE}"),
    whole("STORE 1:* +FLAGS", 50, "STORE 1:* +FLAGS (\\Flagged)", ["STORE 1:* -FLAGS.SILENT (\\Flagged)"]),
    ("COPY 1:*", "ms", 50, lambda t, n: copied(t, "copy")),
    ("EXPUNGE all", "ms", 50, lambda t, n: copied(t, "expunge")),
    singles("STORE of single messages", "5 x", ("STORE {} +FLAGS (\\Answered)", "STORE {} -FLAGS (\\Answered)"), 500),
    singles("FETCH of single bodies", "3 x", ("FETCH {} BODY.PEEK[]",), 3000),
    appends("APPEND, 1 client", "5 x", 1, 300),
    appends("APPEND, 20 clients", "10 x", 20, 1000),
    ("APPEND to EXISTS on IDLE", "ms", 5, exists),
    ("mix, 50 clients", "/s", "5 x", mix(False)),
    ("mix with logins, 50 clients", "/s", "5 x", mix(True)),
]


# ---- POP3 ----

def pop3_one_by_one(t, count):
    c = Pop3(t).login(t.user(BIG), t.password)
    took = ms(lambda: [c.retr(n) for n in range(1, count + 1)])
    c.quit()
    return took


def pop3_pipelined(t, count):
    c = Pop3(t).login(t.user(BIG), t.password)
    took = ms(lambda: c.retr_all(range(1, count + 1)))
    c.quit()
    return took


def pop3_sessions(t, count):
    times = 100 if isinstance(t, Dovecot) else 1000
    return rate(times, lambda: [Pop3(t).login(t.user(2 + n % (USERS - 2)), t.password).quit() for n in range(times)])


POP3_ROWS = [
    ("connect, login, quit", "/s", None, pop3_sessions),
    ("login to the first RETR", "ms", None, lambda t, n: ms(lambda: Pop3(t).login(t.user(BIG), t.password).retr(1))),
    ("RETR of all, one by one", "ms", 700, pop3_one_by_one),
    ("RETR of all, pipelined", "ms", 250, pop3_pipelined),
]


# ---- memory ----

def memory(make, kind, secure, login):
    """kB that one more session costs. In a server of its own: what others left behind would be used again."""
    t = make(USERS)
    try:
        count = 50 if make is Dovecot else 400
        kind(t, secure).close()
        time.sleep(0.5)
        before = pss_kb(t.root)
        held = [kind(t, secure) for _ in range(count)]
        for n, c in enumerate(held if login else []):
            c.login(t.user(n % (USERS - 2) + 2), t.password)
            if kind is Imap:
                c.run("SELECT INBOX")  # empty: what a message costs is another question
        time.sleep(0.5)
        cost = (pss_kb(t.root) - before) / count
        for c in held:
            c.close()
        return cost
    finally:
        t.close()


def memory_rows(kind, title):
    for secure in (False, True):
        for make in [Postel] + ([Dovecot] if Dovecot.installed() else []):
            before, after = (memory(make, kind, secure, login) for login in (False, True))
            print(f"{title + (', TLS' if secure else ''):32} {make.name:8} {before:9.1f} kB before the login, {after:.1f} kB after", flush=True)


def measure(targets, rows, rounds, count):
    for name, unit, goal, run in rows:
        got = {t.name: [] for t in targets}
        for n in range(rounds + 1):  # the first round warms up
            for t in targets:
                print(f"\r{name}: round {n}/{rounds} {t.name}   ", end="", file=sys.stderr, flush=True)
                got[t.name].append(run(t, count))
        print("\r" + " " * 70 + "\r", end="", file=sys.stderr)
        medians = {}
        for t in targets:
            first, values = got[t.name][0], got[t.name][1:]
            medians[t.name] = statistics.median(values)
            wanted = f"  wanted {goal} ms" if t.name == "Postel" and isinstance(goal, int) else ""
            print(f"{name:32} {t.name:8} {medians[t.name]:9.1f} {unit:3} [{min(values):.1f}-{max(values):.1f}]"
                  f"  first {first:.1f}{wanted}", flush=True)
        if len(targets) > 1:
            ratio = medians["Postel"] / medians["Dovecot"]
            print(f"{name:32} ratio    {ratio if unit == '/s' else 1 / ratio:9.1f} x" + (f"    wanted {goal}" if isinstance(goal, str) else ""))


def run(protocol, rounds, count=10000):
    memory_rows(Imap if protocol == "imap" else Pop3, "memory a session")
    targets = [Postel(USERS)]
    try:
        if Dovecot.installed():
            targets.append(Dovecot(USERS))
        else:
            print("Dovecot is not installed or we are not root: Postel alone.")
        print(f"{protocol}: {count} messages of 4 KB, durable, on {file_system(targets[0].where)}")
        for t in targets:
            print(f"\rfilling {t.name}   ", end="", file=sys.stderr, flush=True)
            fill(t, count)
        measure(targets, IMAP_ROWS if protocol == "imap" else POP3_ROWS, rounds, count)
    finally:
        for t in targets:
            t.close()
