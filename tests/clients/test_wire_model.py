"""Two IMAP sessions and a POP3 session on one mailbox, and others beside it, under random changes: each session's view is
what the reference model of this file says, answer by answer: numbers, UIDs, flags, and which answers may come when.

The steps run one after the other, so the model knows what is in each mailbox. What others did a session may hear later, but
what it hears must be in order, and complete after NOOP (RFC 9051 5.2, 7.4.1, 7.5.1)."""
import os
import poplib
import random
import re
import smtplib

import pytest

from lib.imap_wire import Wire
from lib.server import PASSWORD, Server

ALL = os.environ.get("POSTEL_CHECK_ALL") == "yes"
STEPS, SEEDS = (10000, range(11, 19)) if ALL else (300, (11, 12))
BOXES = ("INBOX", "Other")
FLAGS = (r"\Seen", r"\Flagged", r"\Answered", r"\Deleted", r"\Draft", "word", "$Junk")


class Message:
    """past: all that its flags ever were; the last is what they are."""

    def __init__(self, uid, body, flags=()):
        self.uid, self.body, self.past = uid, body, [frozenset(flags)]

    @property
    def flags(self):
        return self.past[-1]

    def set(self, flags):
        if flags != self.flags:
            self.past.append(frozenset(flags))


class Row:
    """What a session knows of a message; None: was not told. since: its flags were told as they were then, or later."""

    def __init__(self):
        self.uid, self.flags, self.since = None, None, 0


class Box:
    """What a mailbox holds, in order of UID."""

    def __init__(self):
        self.messages, self.next = [], 1

    def add(self, body, flags=()):
        self.messages.append(Message(self.next, body, flags))
        self.next += 1
        return self.messages[-1].uid

    def of(self, uids):
        return [m for m in self.messages if m.uid in uids]

    def remove(self, uids):
        self.messages = [m for m in self.messages if m.uid not in uids]


class Session:
    """One IMAP session: its view is built from what it was told, and each telling is checked against the model."""

    def __init__(self, server, boxes, name):
        self.wire, self.boxes, self.name = Wire(server), boxes, name
        self.box, self.view = boxes[name], []       # of Row
        self.take(self.wire.ok(f"SELECT {name}")[1])
        assert len(self.view) == len(self.box.messages)
        self.fill()

    def run(self, text, still=False):
        said, untagged = self.wire.ok(text)
        self.take(untagged, still)
        return said, untagged

    def take(self, untagged, still=False):
        for line, _ in untagged:
            if m := re.match(r"(\d+) (EXISTS|EXPUNGE|FETCH)(.*)$", line):
                getattr(self, "told_" + m[2].lower())(int(m[1]), m[3], still)

    def told_exists(self, number, rest, still):
        assert number >= len(self.view), "EXISTS never takes away"
        self.view += [Row() for _ in range(number - len(self.view))]

    def told_expunge(self, number, rest, still):
        assert not still, "no EXPUNGE while a command speaks in numbers"
        assert 1 <= number <= len(self.view)
        uid = self.view.pop(number - 1).uid
        assert uid is None or not self.box.of({uid}), "it is still there"

    def told_fetch(self, number, rest, still):
        assert 1 <= number <= len(self.view), "a number that was not told"
        uid, flags = re.search(r"\bUID (\d+)", rest), re.search(r"\bFLAGS \(([^)]*)\)", rest)
        row = self.view[number - 1]
        if uid:
            assert row.uid in (None, int(uid[1])), "the number names another message"
            row.uid = int(uid[1])
        if flags and row.uid:
            row.flags = frozenset(flags[1].split()) - {r"\Recent"}
            for m in self.box.of({row.uid}):
                later = [i for i in range(row.since, len(m.past)) if m.past[i] == row.flags]
                assert later, f"{row.flags} told of UID {m.uid}, whose flags were {m.past[row.since:]}"
                row.since = later[0]

    def fill(self):
        """Learns the UIDs and flags of all it knows the number of."""
        if self.view:
            self.run("FETCH 1:* (UID FLAGS)", still=True)

    def check(self):
        """After NOOP the view is what the mailbox is: nothing left out, nothing twice, in order."""
        self.run("NOOP")
        for row, m in zip(self.view, self.box.messages):
            assert row.uid in (None, m.uid)
            assert row.flags in (None, m.flags)
        assert len(self.view) == len(self.box.messages)
        self.fill()
        assert [(row.uid, row.flags) for row in self.view] == [(m.uid, m.flags) for m in self.box.messages]

    def known(self, chance):
        """Up to five messages in a row that this session may name: (first number, last number, their rows)."""
        if not self.view:
            return None
        first = chance.randint(1, len(self.view))
        last = min(len(self.view), first + chance.randint(0, 4))
        rows = self.view[first - 1:last]
        return None if any(r.uid is None for r in rows) else (first, last, {r.uid for r in rows})


class World:
    """The server, the model, and everything that may happen."""

    def __init__(self, server, seed):
        self.server, self.chance, self.serial = server, random.Random(seed), 0
        self.boxes = {name: Box() for name in BOXES}
        maker = Wire(server)
        maker.ok("CREATE Other")
        maker.close()
        self.smtp = smtplib.SMTP("127.0.0.1", server.port["smtp"], timeout=30)
        for _ in range(8):
            self.deliver()
        self.sessions = [Session(server, self.boxes, "INBOX"), Session(server, self.boxes, "INBOX"),
                         Session(server, self.boxes, "Other")]

    def body(self):
        self.serial += 1
        return f"Subject: n{self.serial}\r\n\r\ntext {self.serial}\r\n"

    def deliver(self):
        body = self.body()
        self.smtp.sendmail("jon@example.org", ["alice@example.test"], body)
        self.boxes["INBOX"].add(body)

    def step(self):
        s = self.chance.choice(self.sessions)
        op = self.chance.choices((self.op_deliver, self.op_store, self.op_expunge, self.op_copy, self.op_move, self.op_append,
                                  self.op_fetch, self.op_search, self.op_reselect, self.op_pop, self.op_check),
                                 (8, 20, 6, 6, 5, 6, 8, 6, 2, 3, 12))[0]
        op(s)

    def op_deliver(self, s):
        self.deliver()

    def op_append(self, s):
        name, body = self.chance.choice(BOXES), self.body()
        flags = self.chance.sample(FLAGS, self.chance.randint(0, 2))
        said, untagged = s.wire.append(name, body.encode(), " ".join(flags))
        uid = self.boxes[name].add(body, flags)
        assert re.match(rf"OK \[APPENDUID \d+ {uid}\]", said), said
        s.take(untagged)

    def named(self, s, known):
        """The set as numbers or as UIDs, and the word in front of the command."""
        first, last, uids = known
        if self.chance.random() < .5:
            return "", f"{first}:{last}", True
        return "UID ", ",".join(map(str, sorted(uids))), False

    def op_store(self, s):
        if not (known := s.known(self.chance)):
            return
        uid, numbers, still = self.named(s, known)
        flags = set(self.chance.sample(FLAGS, self.chance.randint(1, 2)))
        how, silent = self.chance.choice("+- "), self.chance.choice(("", ".SILENT"))
        there = s.box.of(known[2])
        for m in there:
            m.set(m.flags | flags if how == "+" else m.flags - flags if how == "-" else flags)
        said, untagged = s.wire.command(f"{uid}STORE {numbers} {how.strip()}FLAGS{silent} ({' '.join(flags)})")
        # RFC 9051 6.4.6, RFC 2180 4.2: some are gone already, which a NO may say
        assert said.startswith("OK") or len(there) < len(known[2]), said
        s.take(untagged, still)
        for row in s.view:
            if row.uid in known[2]:
                for m in s.box.of({row.uid}):
                    if silent:
                        row.flags = None # what was done in silence is not told
                    else:
                        assert row.flags == m.flags

    def op_expunge(self, s):
        marked = {m.uid for m in s.box.messages if r"\Deleted" in m.flags}
        if self.chance.random() < .3 and marked:
            some = set(self.chance.sample(sorted(marked), 1))
            s.box.remove(some)
            s.run(f"UID EXPUNGE {','.join(map(str, some))}")
        else:
            s.box.remove(marked)
            s.run("EXPUNGE")
            assert not marked & {row.uid for row in s.view}

    def pairs(self, said):
        m = re.search(r"\[COPYUID \d+ ([\d:,]+) ([\d:,]+)\]", said)
        if not m:
            return {}
        wide = [[n for part in side.split(",") for n in
                 range(int(part.split(":")[0]), int(part.split(":")[-1]) + 1)] for side in (m[1], m[2])]
        assert len(wide[0]) == len(wide[1])
        return dict(zip(*wide))

    def op_copy(self, s, move=False):
        if not (known := s.known(self.chance)):
            return
        uid, numbers, _ = self.named(s, known)
        name = self.chance.choice([b for b in BOXES if b != s.name] if move else BOXES)
        there = s.box.of(known[2])
        if move:
            s.box.remove({m.uid for m in there})
        want = {m.uid: self.boxes[name].add(m.body, m.flags) for m in there}
        said, untagged = s.wire.command(f"{uid}{'MOVE' if move else 'COPY'} {numbers} {name}")
        if said.startswith("NO"): # RFC 2180 4.4: all or nothing when some are gone
            assert len(there) < len(known[2]), said
            self.boxes[name].messages = [m for m in self.boxes[name].messages if m.uid not in set(want.values())]
            self.boxes[name].next -= len(want)
            if move:
                s.box.messages = sorted(s.box.messages + there, key=lambda m: m.uid)
            s.take(untagged)
            return
        assert said.startswith("OK"), said
        told = self.pairs(said) if not move else {}
        for line, _ in untagged:
            told.update(self.pairs(line) if move else {})
        assert told == want, (said, untagged, told, want)
        s.take(untagged)

    def op_move(self, s):
        self.op_copy(s, move=True)

    def op_fetch(self, s):
        if not (known := s.known(self.chance)):
            return
        said, untagged = s.wire.command(f"FETCH {known[0]}:{known[1]} (UID FLAGS BODY.PEEK[TEXT])")
        assert said.startswith("OK") or ("[EXPUNGEISSUED]" in said and len(s.box.of(known[2])) < len(known[2])), said
        s.take(untagged, still=True)
        for line, literals in untagged:
            m = re.match(r"(\d+) FETCH .*\bUID (\d+)", line)
            if m and literals and (now := s.box.of({int(m[2])})):
                assert now[0].body.split("\r\n\r\n", 1)[1].encode() == literals[0]

    def op_search(self, s):
        flag = self.chance.choice((r"\Seen", r"\Flagged", r"\Deleted"))
        _, untagged = s.wire.ok(f"UID SEARCH {flag[1:].upper()}")
        at = next(i for i, (line, _) in enumerate(untagged) if line.startswith("SEARCH"))
        s.take(untagged[:at])
        found = {int(n) for n in untagged[at][0].split()[1:]}
        for row in s.view: # by its flags as they are, or as they were since the session last heard of them
            for m in s.box.of({row.uid}):
                assert (m.uid in found) in {flag in flags for flags in m.past[row.since:]}
        strange = found - {row.uid for row in s.view} - {m.uid for m in s.box.messages}
        assert len(strange) <= sum(row.uid is None for row in s.view) # gone before the session asked for their UIDs
        s.take(untagged[at:])

    def op_reselect(self, s):
        s.view, s.name = [], self.chance.choice(BOXES)
        s.box = self.boxes[s.name]
        _, untagged = s.wire.ok(f"SELECT {s.name}")
        s.take(untagged)
        assert len(s.view) == len(s.box.messages)
        s.fill()

    def op_pop(self, s):
        pop = poplib.POP3("127.0.0.1", self.server.port["pop3"], timeout=30)
        pop.user("alice@example.test")
        pop.pass_(PASSWORD)
        inbox = self.boxes["INBOX"]
        assert [int(line.split(b".")[1]) for line in pop.uidl()[1]] == [m.uid for m in inbox.messages]
        now = [m.uid for m in inbox.messages]
        marked = set(self.chance.sample(range(len(now)), min(len(now), self.chance.randint(0, 3))))
        for n in marked:
            assert inbox.of({now[n]})[0].body.encode().rstrip(b"\r\n") in b"\r\n".join(pop.retr(n + 1)[1])
            pop.dele(n + 1)
        if self.chance.random() < .3:
            self.op_store(s) # while the session holds its lock
        if self.chance.random() < .2:
            pop.close()      # RFC 1939 6: nothing is removed without QUIT
            return
        inbox.remove({now[n] for n in marked})
        pop.quit()

    def op_check(self, s):
        s.check()


@pytest.mark.parametrize("seed", SEEDS)
def test_sessions_agree_with_the_model(seed):
    with Server(accounts=("alice",)) as server:
        world = World(server, seed)
        for _ in range(STEPS):
            world.step()
        for s in world.sessions:
            s.check()
        for name in BOXES:
            Session(server, world.boxes, name).check()
        world.smtp.quit()


def test_uid_expunge_of_what_was_not_told():
    """RFC 9051 6.4.9: by UID a session may name a message that another just brought."""
    with Server(accounts=("alice",)) as server:
        one, other = Wire(server), Wire(server)
        one.ok("SELECT INBOX")
        other.append("INBOX", b"Subject: a\r\n\r\na\r\n", r"\Deleted")
        other.append("INBOX", b"Subject: b\r\n\r\nb\r\n", r"\Deleted")
        other.append("INBOX", b"Subject: c\r\n\r\nc\r\n", "")
        _, untagged = one.ok("UID EXPUNGE 2:3")
        assert [line for line, _ in untagged if "EX" in line] == ["2 EXISTS"]
        _, untagged = one.ok("UID FETCH 1:* (FLAGS)")
        assert [line.split(" (")[1].split()[1] for line, _ in untagged] == ["1", "3"]
        one.ok("UID EXPUNGE *")
        one.ok("UID EXPUNGE 1")
        assert other.ok("STATUS INBOX (MESSAGES)")[1][0][0].endswith("(MESSAGES 1)")
