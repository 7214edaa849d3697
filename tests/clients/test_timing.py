"""SEC-13 over the net (--all): a name that is not there, a wrong password and a disabled account (with its right password) get
the same reply in the same time, by PLAIN and by SCRAM, on IMAP and on submission.

The kinds take turns, so that whatever else the machine does meets all of them alike; medians are compared, and a difference
counts when it is more than a fifth and more than their spread explains. As proof that a lack of work would be seen, a password
that can be none (RFC 4616 2: it is not even computed, whoever's it is) must be told apart by the same rule."""
import asyncio
import base64
import hashlib
import itertools
import os
import random
import statistics
import time

import pytest

from lib.sasl import Scram
from lib.server import PASSWORD, Server

pytestmark = pytest.mark.skipif(os.environ.get("POSTEL_CHECK_ALL") != "yes", reason="--all")

EACH = 10        # accounts of a kind: one alone would be throttled (SEC-14)
SAMPLES = 40     # of each kind, in a round
APART_S = 0.1    # from start to start: longer than a check, so that they do not wait for each other
HELD_S = 1.0     # the first failure of a network is answered a second later
TICK_S = 0.001   # in which the server's timers count
ROUNDS = 3       # before a difference is believed
KINDS = ("unknown", "wrong", "disabled")

networks = (f"127.{1 + n // 250}.{n % 250}.1" for n in itertools.count())  # each guess comes from a network of its own


def b64(data):
    return base64.b64encode(data)


class Client:
    """A connection that is ready to log in."""

    async def open(self, server, service):
        self.service = service
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", server.port[service], local_addr=(next(networks), 0))
        await self.reader.readline()
        if service == "submission":
            await self.ask(b"EHLO client.example.org")

    async def ask(self, line):
        self.writer.write(line + b"\r\n")
        while True:
            said = await self.reader.readline()
            if not said:
                raise ConnectionError(f"{self.service} is gone")
            if self.service == "imap" and said.startswith((b"+", b"a ")) or self.service != "imap" and said[3:4] != b"-":
                return said.rstrip()

    async def timed(self, line):
        begin = time.perf_counter()
        said = await self.ask(line)
        return said, time.perf_counter() - begin

    def auth(self, mechanism, first):
        return (b"a AUTHENTICATE " if self.service == "imap" else b"AUTH ") + mechanism + b" " + b64(first)


async def plain(client, name, password):
    said, took = await client.timed(client.auth(b"PLAIN", b"\0" + name.encode() + b"\0" + password.encode()))
    return [said], [took - HELD_S]


def proof_of(salted, scram, server_first):
    """A right final message from what was computed before: rounds of PBKDF2 here would disturb what is measured."""
    said = dict(part.split("=", 1) for part in server_first.decode().split(","))
    without = b"c=" + b64(scram.gs2) + b",r=" + said["r"].encode()
    client = scram.hmac(salted, b"Client Key")
    signature = scram.hmac(hashlib.sha256(client).digest(), scram.bare + b"," + server_first + b"," + without)
    return without + b",p=" + b64(bytes(a ^ b for a, b in zip(client, signature)))


async def scram(client, name, salted):
    me = Scram(name, "")
    said, first = await client.timed(client.auth(b"SCRAM-SHA-256", me.first()))
    server_first = base64.b64decode(said.split(b" ", 1)[1])
    final = proof_of(salted, me, server_first)
    end, second = await client.timed(b64(final))
    iterations = server_first.split(b",")[2]
    return [said.split(b" ", 1)[0], iterations, end], [first, second - HELD_S]


class Logins:
    def __init__(self, server):
        self.server, self.salted = server, {}

    async def salt(self, name):
        """What SCRAM needs of a password that is right."""
        client, me = Client(), Scram(name, PASSWORD)
        await client.open(self.server, "imap")
        said = await client.ask(client.auth(b"SCRAM-SHA-256", me.first()))
        me.final(base64.b64decode(said.split(b" ", 1)[1]))
        self.salted[name] = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), me.salt, me.iterations)
        client.writer.close()

    async def one(self, service, mechanism, kind, number):
        name = f"{'unknown' if kind == 'impossible' else kind}{number % EACH}@example.test"
        client = Client()
        await client.open(self.server, service)
        try:
            if mechanism == "PLAIN":
                return await plain(client, name, {"disabled": PASSWORD, "impossible": "\x07"}.get(kind, "wrong guess"))
            return await scram(client, name, self.salted.get(name, b"wrong"))
        finally:
            client.writer.close()

    async def round(self, ways):
        """{(service, mechanism): {kind: [(replies, times)]}}"""
        turn = [(way, kind) for way in ways for kind in KINDS + (("impossible",) if way[1] == "PLAIN" else ())]
        plan = [(way, kind, n) for n in range(SAMPLES) for way, kind in random.sample(turn, len(turn))]
        running = []
        for way, kind, n in plan:
            await asyncio.sleep(random.uniform(0.5, 1.5) * APART_S)  # no beat with the answers of a second ago
            running.append(asyncio.create_task(self.one(*way, kind, n)))
        found = {way: {} for way in ways}
        for (way, kind, _), task in zip(plan, running):
            found[way].setdefault(kind, []).append(await task)
        return found


def spread(times):
    """Standard error of their median: of the median's own deviation, which outliers do not move."""
    middle = statistics.median(times)
    return 1.2533 * 1.4826 * statistics.median(abs(t - middle) for t in times) / len(times) ** 0.5


def differ(a, b, held):
    """How far the medians of two kinds are apart, and whether that is too far."""
    gap = abs(statistics.median(a) - statistics.median(b))
    allowed = max(0.2 * max(statistics.median(a), statistics.median(b)), 4 * (spread(a) ** 2 + spread(b) ** 2) ** 0.5)
    return gap, gap > allowed + (TICK_S if held else 0)


def compare(way, found):
    """What tells the kinds apart in this way of logging in."""
    said = {tuple(replies) for kind in KINDS for replies, _ in found[kind]}
    assert len(said) == 1 and b"4" not in next(iter(said))[-1][:1], (way, said)  # 454 or NO [UNAVAILABLE]: throttled
    times = {kind: list(zip(*(t for _, t in rows))) for kind, rows in found.items()}
    last = len(times["wrong"]) - 1
    for kind, steps in times.items():
        print(*way, kind, *(f"{statistics.median(t) * 1000:.3f} ms ({spread(t) * 1000:.3f})" for t in steps))
    if "impossible" in times:
        assert differ(times["impossible"][-1], times["wrong"][-1], True)[1], f"{way}: these times would tell nothing"
    return [f"{a} and {b} differ by {gap * 1000:.3f} ms in step {step + 1}"
            for a, b in itertools.combinations(KINDS, 2) for step in range(last + 1)
            for gap, much in [differ(times[a][step], times[b][step], step == last)] if much]


def test_failures_look_alike():
    with Server(accounts=("alice",), iterations=30_000) as server:
        for kind, n in itertools.product(("wrong", "disabled"), range(EACH)):
            server.cli("account", "add", f"{kind}{n}@example.test", "--password-stdin", input=PASSWORD + "\n")
        logins = Logins(server)
        ways = list(itertools.product(("imap", "submission"), ("PLAIN", "SCRAM")))

        async def measure():
            left, seen = ways, {}
            for n in range(EACH):
                await logins.salt(f"disabled{n}@example.test")
                server.cli("account", "disable", f"disabled{n}@example.test")
            for _ in range(ROUNDS):
                seen = {way: compare(way, found) for way, found in (await logins.round(left)).items()}
                left = [way for way in left if seen[way]]
                if not left:
                    return
            raise AssertionError(f"in {ROUNDS} rounds: { {way: seen[way] for way in left} }")

        asyncio.run(measure())
