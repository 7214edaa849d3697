"""A long queue, a tenth of it for a domain that is dead: the whole server starts at once, live mail flows, people get answers
(T17). 10^6 messages with `./check --all`, else some thousand."""
import os
import pwd
import re
import smtplib
import subprocess
import time

import pytest

from lib.dns import Dns
from lib.server import BINARY, ORDINARY, PASSWORD, Server, free_port
from lib.sink import Sink

ALL = os.environ.get("POSTEL_CHECK_ALL") == "yes"
N = 1000000 if ALL else 5000
DOMAINS = 1000
SLOW = 4 if "asan" in BINARY or "land" in BINARY else 1  # what the sanitizers cost


def fill(server):
    """As the server would have written it; see queue_fill.c."""
    store = os.path.join(server.data, "store")
    program = os.path.join(os.path.dirname(BINARY), "tests", "queue_fill")
    subprocess.run([program, store, str(N), "dead.test", "live.test", str(DOMAINS)], check=True, timeout=600)
    if os.getuid() == 0:
        account = pwd.getpwnam(ORDINARY)
        for folder, _, files in os.walk(store):
            for name in [folder] + [os.path.join(folder, f) for f in files]:
                os.chown(name, account.pw_uid, account.pw_gid)


def wait_for(what, seconds=60, every=0.02):
    end = time.monotonic() + seconds
    while not (got := what()) and time.monotonic() < end:
        time.sleep(every)
    return got


def memory(server):
    """{role: MiB that it alone has}"""
    found = {}
    for pid, name in server.roles().items():
        text = open(f"/proc/{pid}/smaps_rollup").read() if name in ("relay", "store") else ""
        found[name] = sum(int(n) for n in re.findall(r"^(?:Private_\w+|Swap):\s+(\d+) kB", text, re.M)) // 1024
    return found


@pytest.fixture(scope="module")
def setting():
    port, tree = free_port(), Dns()
    for zone in ("dead.test", "live.test", "new.test"):
        tree.zone(zone, secure=False)
    tree.mail("dead.test", address="127.0.8.1")  # where nobody listens
    tree.add("mx.live.test", "A", "127.0.8.2")
    for domain in ["new.test"] + [f"d{i}.live.test" for i in range(DOMAINS)]:
        tree.add(domain, "MX", "10 mx.live.test.")
    options = {"relay.allow": "127.0.0.0/8", "relay.port": port}
    with tree, Sink("127.0.8.2", port) as sink, Server(options, dns=tree) as server:
        server.stop()
        begin = time.monotonic()
        fill(server)
        filled = time.monotonic() - begin
        server.cold = time.monotonic()
        server.start()
        server.ready = time.monotonic() - server.cold
        print(f"\n{N} messages: filled in {filled:.1f} s, ready after {server.ready:.2f} s")
        yield server, sink


def timed(server, *words):
    begin = time.monotonic()
    said = server.cli(*words)
    took = time.monotonic() - begin
    print(f"postel {' '.join(words)}: {took:.2f} s, {said.count(chr(10))} lines")
    return said, took


def test_starts_and_flows(setting):
    server, sink = setting
    assert wait_for(lambda: sink.count()[0]), server.log_tail()
    first = sink.count()[1] - server.cold
    begin, before = time.monotonic(), sink.count()[0]
    time.sleep(10 if ALL else 1)
    rate = (sink.count()[0] - before) / (time.monotonic() - begin)
    print(f"first message after {first:.2f} s; then {rate:.0f}/s; memory {memory(server)}")
    if SLOW == 1:
        assert memory(server)["relay"] < 150 and memory(server)["store"] < 300
    assert server.ready < 5 * SLOW and first < 5 * SLOW
    # nobody's new mail waits for the many that came before
    with smtplib.SMTP("127.0.0.1", server.port["submission"], timeout=60) as smtp:
        smtp.login("alice@example.test", PASSWORD)
        begin = time.monotonic()
        smtp.sendmail("alice@example.test", ["x@new.test"], "From: <alice@example.test>\r\nSubject: new\r\n\r\nx\r\n")
        assert wait_for(lambda: "to=x@new.test result=delivered" in server.log_text()), server.log_tail()
        print(f"a new message for a domain of its own went out after {time.monotonic() - begin:.2f} s")
        assert time.monotonic() - begin < 5 * SLOW


def test_people_get_answers(setting):
    """While it flows: list by filter, show, hold and release of what a person looks at."""
    server, _ = setting
    to = f"u{N // 20 * 10}@dead.test"
    listed, took = timed(server, "queue", "list", "--to", to, "--plain")
    assert listed.count("\n") == 1 and took < 5 * SLOW
    trace = listed.split("\t")[0]
    shown, took = timed(server, "queue", "show", trace)
    assert to in shown and took < 5 * SLOW
    assert timed(server, "queue", "list", "--id", trace, "--plain")[0] == listed
    dead, took = timed(server, "queue", "list", "--domain", "dead.test", "--plain")
    assert dead.count("\n") == N // 10 and took < 15 * SLOW
    assert timed(server, "queue", "list", "--domain", "nobody.test", "--plain")[1] < 5 * SLOW
    told, took = timed(server, "trace", trace)
    assert "accepted for sending on" in told and took < 10 * SLOW
    assert timed(server, "queue", "hold", "--to", to)[0].startswith("1 ")
    held, took = timed(server, "queue", "list", "--state", "held", "--plain")
    assert held.count("\n") == 1 and took < 5 * SLOW
    assert timed(server, "queue", "release", "--id", trace)[0].startswith("1 ")


def test_the_dead_domain_rests_and_goes_on(setting):
    """Suspended and resumed, with all that waits for it; live mail flows on meanwhile."""
    server, sink = setting
    before = sink.count()[0]
    assert f"{N // 10} recipients wait" in timed(server, "queue", "suspend", "dead.test")[0]
    resumed, took = timed(server, "queue", "resume", "dead.test")
    assert f"{N // 10} recipients wait" in resumed and took < 30 * SLOW

    def tries():
        listed, _ = timed(server, "queue", "list", "--domain", "dead.test", "--plain")
        return sum(int(row.split("\t")[2]) for row in listed.splitlines())
    assert 0 < wait_for(tries, every=1) < 100  # a dead domain is asked for a few of its messages, not for each
    assert sink.count()[0] > before or sink.count()[0] > N * 8 // 10
