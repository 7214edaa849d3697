"""The resolver of relay against a signed tree of our own: statuses, security, the cache, time. Names of all other roles come
from it (SEC-18)."""
import os
import subprocess
import time

import pytest

from lib.dns import standard
from lib.server import BINARY


@pytest.fixture(scope="module")
def tree():
    with standard() as tree:
        yield tree


def lookup(tree, *words, **options):
    """[(name, type, status, secure, ttl, canonical, value)]"""
    settings = {**tree.options(), **{k.replace("__", "."): v for k, v in options.items()}}
    command = [BINARY, "dns", "lookup", "--plain", "--config", "/dev/null"]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    done = subprocess.run(command + list(words), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


CASES = [
    # name, type, status, dnssec, canonical (None: the name), values (in any order)
    ("example.test", "MX", "ok", "secure", None, ["10 mx1.example.test", "10 mx2.example.test", "20 mx3.example.test"]),
    ("EXAMPLE.Test.", "MX", "ok", "secure", "example.test", ["10 mx1.example.test", "10 mx2.example.test", "20 mx3.example.test"]),
    ("null.example.test", "MX", "ok", "secure", None, ["takes no mail"]),
    ("implicit.example.test", "MX", "nodata", "secure", None, [""]),
    ("implicit.example.test", "A", "ok", "secure", None, ["127.0.0.1"]),
    ("alias.example.test", "A", "ok", "secure", "mx1.example.test", ["127.0.0.1"]),
    ("alias.example.test", "AAAA", "ok", "secure", "mx1.example.test", ["::1"]),
    ("alias.example.test", "MX", "nodata", "secure", "mx1.example.test", [""]),
    ("out.example.test", "A", "ok", "insecure", "www.plain.test", ["127.0.0.1"]),
    ("lost.example.test", "A", "nxdomain", "secure", "nowhere.example.test", [""]),
    ("loop.example.test", "A", "servfail", "insecure", None, [""]),
    ("text.example.test", "TXT", "ok", "secure", None, ["v=one string", "another"]),
    ("_25._tcp.mx1.example.test", "TLSA", "ok", "secure", None, ["3 1 1 " + "ab" * 32]),
    ("_25._tcp.mx2.example.test", "TLSA", "nxdomain", "secure", None, [""]),
    ("b.ent.example.test", "A", "nodata", "secure", None, [""]),
    ("nobody.example.test", "A", "nxdomain", "secure", None, [""]),
    ("nobody.nowhere", "A", "nxdomain", "secure", None, [""]),
    ("servfail.test", "MX", "servfail", "insecure", None, [""]),
    ("refused.test", "MX", "servfail", "insecure", None, [""]),
    ("bogus.test", "MX", "bogus", "insecure", None, [""]),
    ("mx.bogus.test", "A", "bogus", "insecure", None, [""]),
    ("_25._tcp.mx.bogus.test", "TLSA", "bogus", "insecure", None, [""]),
    ("nobody.bogus.test", "A", "bogus", "insecure", None, [""]),
    ("expired.test", "MX", "bogus", "insecure", None, [""]),
    ("unsigned.test", "MX", "bogus", "insecure", None, [""]),
    ("wrongkey.test", "MX", "bogus", "insecure", None, [""]),
    ("plain.test", "MX", "ok", "insecure", None, ["10 mx.plain.test"]),
    ("nobody.plain.test", "A", "nxdomain", "insecure", None, [""]),
    ("island.test", "MX", "ok", "insecure", None, ["10 mx.island.test"]),
    ("slow.test", "MX", "ok", "secure", None, ["10 mx.slow.test"]),
    ("127.0.0.1", "PTR", "ok", "secure", "1.0.0.127.in-addr.arpa", ["mx1.example.test"]),
    ("127.0.0.2", "PTR", "nxdomain", "secure", "2.0.0.127.in-addr.arpa", [""]),
    ("no name.test", "A", "nxdomain", "insecure", None, [""]),
]


def test_answers(tree):
    got = {}
    for row in lookup(tree, *(word for case in CASES for word in case[:2])):
        got.setdefault((row[0], row[1]), []).append(row)
    for name, rdtype, status, secure, canonical, values in CASES:
        rows = got[name, rdtype]
        seen = {(r[2], r[3], r[5]) for r in rows}
        assert seen == {(status, secure, canonical or name)}, (name, rdtype, seen)
        assert sorted(r[6] for r in rows) == sorted(values), (name, rdtype, rows)
    order = [r[6] for r in got["example.test", "MX"]]
    assert order[2] == "20 mx3.example.test"


def test_large_by_tcp(tree):
    """More than fits a datagram: asked again by TCP."""
    rows = lookup(tree, "large.example.test", "TXT")
    assert len(rows) == 30 and all(r[2:4] == ["ok", "secure"] for r in rows)


def test_cache(tree):
    before = tree.asked["mx2.example.test", "A"]
    rows = lookup(tree, *["mx2.example.test", "A"] * 5)
    assert len(rows) == 5
    assert tree.asked["mx2.example.test", "A"] == before + 1
    assert 0 < int(rows[0][4]) <= 300


def test_ttl_has_a_limit(tree):
    tree.add("long.example.test", "A", "127.0.0.1", ttl=2000000)
    rows = lookup(tree, "long.example.test", "A", limits__dns_ttl_s="100")
    assert 0 < int(rows[0][4]) <= 100


def test_timeout(tree):
    """A server that says nothing: an answer all the same, and others are not held up by it."""
    begin = time.monotonic()
    rows = lookup(tree, "drop.test", "MX", "example.test", "MX", dns__timeout="1")
    took = time.monotonic() - begin
    assert rows[0][2] == "servfail"
    assert rows[1][2] == "ok"
    assert 1 <= took < 10


def test_wrong_anchor(tree):
    other = standard()
    other.port = tree.port
    rows = lookup(tree, "example.test", "MX", dns__trust_anchor=other.options()["dns.trust_anchor"])
    assert rows[0][2] == "bogus"


def test_stubs(tree):
    """Without a forwarder the servers of each zone are asked."""
    stubs = " ".join(f"{zone}=127.0.0.1:{tree.port}" for zone in (".", "test", "example.test", "bogus.test", "plain.test"))
    rows = lookup(tree, "example.test", "MX", "bogus.test", "MX", "plain.test", "MX", dns__stub=stubs, dns__forward="none")
    assert [r[2:4] for r in rows] == [["ok", "secure"]] * 3 + [["bogus", "insecure"], ["ok", "insecure"]]


def test_anchor_file(tree, tmp_path):
    path = tmp_path / "root.key"
    path.write_text(tree.options()["dns.trust_anchor"] + "\n")
    assert lookup(tree, "example.test", "MX", dns__trust_anchor=str(path))[0][2:4] == ["ok", "secure"]


def test_mistakes(tree):
    for key, value, word in (("dns.stub", "x", "zone=address:port"), ("dns.trust_anchor", "/nowhere", "trust_anchor"),
                             ("dns.trust_anchor", "rubbish", "[dns]"), ("dns.root_hints", "/nowhere", "root_hints"),
                             ("dns.forward", "x", "forward")):
        done = subprocess.run([BINARY, "dns", "lookup", "--config", "/dev/null", "--set", f"{key}={value}", "a.test", "A"],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and word in done.stderr, (key, done.stderr)


# ---- the relay role itself, in its sandbox ----

def probe(tree, tmp_path, *words, **options):
    """Asks a relay as front-mx does; returns (isolation of each relay started, answers, exit status)."""
    config = tmp_path / "postel.conf"
    settings = {**tree.options(), **{k.replace("__", "."): v for k, v in options.items()}}
    config.write_text("".join("[{}]\n{} = {}\n".format(*key.split("."), value) for key, value in settings.items()))
    program = os.path.join(os.path.dirname(BINARY), "tests", "relay_probe")
    done = subprocess.run([program, BINARY, str(config), *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "Sanitizer" not in done.stderr, done.stderr
    lines = [line.split(" ", 1) for line in done.stdout.splitlines()]
    answers = [line.split(" ") for line in done.stdout.splitlines() if line.split(" ")[0] not in ("isolation", "status")]
    return [rest for word, rest in lines if word == "isolation"], answers, dict(lines)["status"]


def test_relay_serves(tree, tmp_path):
    isolation, answers, status = probe(tree, tmp_path, "example.test", "15", "alias.example.test", "28", "bogus.test", "15",
                                       "large.example.test", "16", "nobody.example.test", "1", "plain.test", "15", "x y", "1",
                                       "example.test", "65536")
    assert status == "0", "a call that the sandbox kills would show here"
    assert "seccomp" in isolation[0] and "landlock" in isolation[0]
    assert [a[2:5] for a in answers[:6]] == [["ok", "secure", "3"], ["ok", "secure", "1"], ["bogus", "insecure", "0"],
                                             ["ok", "secure", "30"], ["nxdomain", "secure", "0"], ["ok", "insecure", "1"]]
    assert answers[1][5] == "mx1.example.test"
    assert answers[-1][2] == "servfail"


def test_relay_killed(tree, tmp_path):
    """A question under way when relay dies is asked again of the next one."""
    isolation, answers, status = probe(tree, tmp_path, "-kill", "-", "slow.test", "15", "example.test", "15")
    assert len(isolation) == 2 and status == "0"
    assert [a[2] for a in answers] == ["ok", "ok"]
