"""`postel trace` tells what happened, step by step: for every row of the failure menu, every story of DANE and MTA-STS, several
hosts, aliases, and what people do to the queue. What must be told comes from the rows, and from what the peers saw."""
import os
import re
import smtplib
import struct
import sys

import pytest

from lib.peer import CAPS, DROP, RST, Slow, Then
from lib.story import tell
from test_relay import MENU, World, final, first, pem, policy, reports, secure, submit, tls_peer, wait_for  # noqa: F401

SECOND = 1.01  # times are told in whole ones


def told(server, to, last=("delivered", "failed"), reports=0):
    """The one story of a recipient once it has come to its end, and its reports are told too."""
    def whole():
        stories = tell(server, to)
        assert len(stories) <= 1, stories
        kinds = [s.kind for s in stories[0].steps] if stories else []
        return stories and any(k in last for k in kinds) and kinds.count("reported") >= reports and stories[0]
    story = wait_for(whole)
    assert story, f"{to}: {tell(server, to)}\n" + server.log_tail(10)
    return story


def check_beginning(story, to, sender="alice@example.test"):
    """Received, with who logged in, and queued; the rest of the steps."""
    came, queued, *rest = story.steps
    assert story.sender == sender and story.size > 0
    assert came.kind == "received" and came.address is None and came.host == "[127.0.0.1] [127.0.0.1]", story
    assert came.text == sender and came.tls is None and "(not encrypted)" in came.line, story
    assert queued.kind == "queued" and queued.address == to and queued.at - came.at <= SECOND, story
    return rest


def check_report(server, story, failed, to="alice@example.test"):
    """The last step says which report went to whom, and that one has a story of its own."""
    step = story.steps[-1]
    assert (step.kind, step.address, step.host, step.text) == ("reported", failed, to, "failed"), story
    report, = tell(server, step.status)
    assert report.id == step.status and report.sender == "" and [s.kind for s in report.steps] == ["made", "stored"], report
    assert report.steps[1].address == to


def check_way(server, story, to, outcomes, hosts, tls=None, attempts=None, in_doubt=0, first_status=None):
    """From the queue to the end. outcomes: what became of each try. hosts: "name [ip]" of those that may be named. tls: a
    pattern of how each try was protected, None: not. attempts: how often a peer was offered it. in_doubt: how often
    nobody knows whether it took it. All steps, in order, and no others."""
    steps = check_beginning(story, to)
    wanted, results = list(outcomes), []
    while wanted:
        outcome, begun = wanted.pop(0), []
        while steps and steps[0].kind in ("tried", "attempt", "maybe-twice"):
            begun.append(steps.pop(0))
        assert steps and steps[0].kind == outcome, f"{outcome} of {outcomes}\n{story}"
        end = steps.pop(0)
        results.append((begun, end))
        kinds = [s.kind for s in begun if s.kind != "tried"]
        assert set(kinds[:-1]) <= {"attempt"} and kinds != ["maybe-twice"], story  # one for each session that is had
        assert "attempt" in kinds or outcome != "delivered", story
        assert end.address == to and end.host in hosts, story
        for step in begun + [end]:
            assert step.kind == "maybe-twice" or (step.host in hosts and re.fullmatch(tls or "", step.tls or "")), story
        if outcome == "delivered":
            assert end.code and end.code // 100 == 2, story
        elif end.code:
            assert end.code // 100 in ((4, 5) if outcome == "deferred" else (5,)), story
        if outcome == "deferred":  # not before the time that was told
            assert end.until >= end.at, story
            following = (steps or [None])[0]
            assert following is None or following.at >= end.until - SECOND, story
    begun = [s for some, _ in results for s in some]
    assert attempts is None or [s.kind for s in begun].count("attempt") == attempts, story
    assert [s.kind for s in begun].count("maybe-twice") == in_doubt, story
    assert first_status is None or results[0][1].status == first_status, story
    if outcomes[-1] == "failed":
        check_report(server, story, to)
        steps.pop()
    assert steps == [], story
    return results


# ---- the failure menu ---------------------------------------------------------------------------------------------------

def in_doubt(script):
    """Does the connection of this script break between the final dot and a yes or no to it?"""
    body = script.get("body")
    return body in (DROP, RST) or isinstance(body, Slow) or body == "what?"


def by_recipient(server, *words):
    """{recipient: story} of all that the sender sent: one question for all."""
    return {s.address: story for story in tell(server, "alice@example.test", *words) for s in story.steps if s.kind == "queued"}


@pytest.fixture(scope="module")
def world():
    w = World()
    for name, scripts, *_ in MENU:
        w.peer(name.replace("_", "-") + ".other.test", *scripts)
    for name, *_ in MENU:
        submit(w.server, "x@" + name.replace("_", "-") + ".other.test")
    yield w
    w.close()


@pytest.fixture(scope="module")
def menu(world):
    ends = {f"x@{name.replace('_', '-')}.other.test": o and o[-1] == "failed" and "reported" for name, _, o, _ in MENU}

    def whole():
        stories = by_recipient(world.server)
        return all(to in stories and (ends[to] or "delivered") in [s.kind for s in stories[to].steps] for to in ends) and stories
    return wait_for(whole, 30, 0.5) or by_recipient(world.server)


def envelopes(peer):
    """How often the peer was offered a message: each was told as an attempt before."""
    return sum(c.startswith("MAIL") for session in peer.sessions for c in session.commands)


@pytest.mark.parametrize("name, scripts, outcomes, status", MENU, ids=[row[0] for row in MENU])
def test_menu(world, menu, name, scripts, outcomes, status):
    domain = name.replace("_", "-") + ".other.test"
    to, peer = "x@" + domain, world.peers[domain][0]
    story = menu[to]
    if outcomes is None:  # an answer that nobody asked for: it may go at once, or at the second time
        outcomes = ["deferred"] * [s.kind for s in story.steps].count("deferred") + ["delivered"]
    doubts = sum(in_doubt(s) for s in scripts[:-1]) if len(scripts) > 1 else in_doubt(scripts[0])
    host = f"mx.{domain} [{peer.listener.getsockname()[0]}]"
    results = check_way(world.server, story, to, outcomes, [host], attempts=envelopes(peer) + (name == "size"), in_doubt=doubts, first_status=status)
    for (_, end), noted in zip(results, final(world.server, to)):  # the same answer as the log has it
        assert (end.code or 0, end.status, end.text) == (int(noted["code"]), noted["status"] or None, noted["text"]), story


@pytest.mark.parametrize("name", ["fine", "rcpt5", "dot_drop", "size", "last4"])
def test_found_by(world, menu, name):
    """By id, by Message-ID with and without its brackets, by recipient, domain, among the last ones: always the same."""
    domain = name.replace("_", "-") + ".other.test"
    story = menu["x@" + domain]
    for words in ((story.id,), (f"<x.{domain}@example.test>",), (f"x.{domain}@example.test",), (f"x@{domain}",), ("*@" + domain,),
                  ("x@" + domain, "--since", "1h")):
        assert [s.text for s in tell(world.server, *words)] == [story.text], words
    assert story.text in [s.text for s in tell(world.server, "last", "100")]
    assert tell(world.server, "nobody@" + domain) == [] and tell(world.server, "aaaaaaaaaaaa") == []


def test_time(world, menu):
    """--since: what happened before it is not told."""
    assert wait_for(lambda: tell(world.server, "x@fine.other.test", "--since", "1s") == [])
    submit(world.server, "late@fine.other.test")
    told(world.server, "late@fine.other.test")
    assert set(by_recipient(world.server, "--since", "1h")) >= set(menu)
    newest = tell(world.server, "last", "1")[0]
    assert newest.steps[1].address == "late@fine.other.test"


def test_each_recipient_its_own(world):
    """One message for three: all of it by its id, by a recipient what is that one's and everybody's."""
    peer = world.peer("each.other.test", {"rcpt": ["250 ok", "550 5.1.1 nobody", "450 4.2.1 later"]}, {})
    a, b, c = (f"{u}@each.other.test" for u in "abc")
    submit(world.server, [a, b, c])
    for to, outcomes in ((a, ["delivered"]), (b, ["failed"]), (c, ["deferred", "delivered"])):
        story = told(world.server, to, reports=to == b)
        host = f"mx.each.other.test [{peer.listener.getsockname()[0]}]"
        check_way(world.server, story, to, outcomes, [host])
        assert {s.address for s in story.steps} == {None, to}
    whole, = tell(world.server, story.id)
    assert [s.address for s in whole.steps if s.kind == "queued"] == [a, b, c]
    assert [(s.kind, s.address) for s in whole.steps if s.kind not in ("queued", "attempt")] == [
        ("received", None), ("delivered", a), ("failed", b), ("deferred", c), ("reported", b), ("delivered", c)]


@pytest.mark.parametrize("script, why", [(None, "Connection refused"), ({"greeting": "554 5.7.1 no"}, "no"), ({"rcpt": DROP}, "RCPT")])
def test_hosts_that_were_asked_before(world, script, why):
    """The first host is named with what it said, then the one that took it."""
    domain = f"before{world.n}.other.test"
    far = f"mx1.{domain} [{world.address()}]"
    world.n -= 1
    world.peer(domain, *([script] if script else []), host="mx1." + domain, preference=10, dead=script is None)
    near = f"mx2.{domain} [{world.address()}]"
    world.n -= 1
    world.peer(domain, host="mx2." + domain, preference=20)
    submit(world.server, "x@" + domain)
    story = told(world.server, "x@" + domain)
    tried, = [s for s in story.steps if s.kind == "tried"]
    assert tried.host == far and why in tried.text and tried.address in (None, "x@" + domain), story
    (begun, end), = check_way(world.server, story, "x@" + domain, ["delivered"], [far, near])
    assert [s.kind for s in begun] == ["attempt"] * (why == "RCPT") + ["tried", "attempt"], story
    assert begun[-1].host == end.host == near, story


def test_by_a_person(world):
    """A domain whose servers cannot be found out; held, released, sent another way, dropped."""
    cli, to = world.server.cli, "x@nothere.test"
    world.dns.zone("nothere.test")
    world.dns.fault("nothere.test", "servfail")
    submit(world.server, to)
    first(world.server, to)
    cli("queue", "hold", "--to", to, "--for", "1h")
    cli("queue", "route", "[127.0.0.1]:9", "--to", to)
    cli("queue", "hold", "--to", to)
    cli("queue", "release", "--to", to)
    cli("queue", "drop", "--to", to)
    story = told(world.server, to, last=("dropped",))
    steps = check_beginning(story, to)
    assert all(s.address == to for s in steps), story
    tries = [s for s in steps if s.kind == "deferred"]
    assert tries and tries[0].host == "nothere.test" and tries[0].status == "4.4.3" and "servfail" in tries[0].text and not tries[0].code
    by_hand = [s for s in steps if s.kind != "deferred"]
    assert [s.kind for s in by_hand] == ["held", "routed", "held", "released", "dropped"], story
    assert abs(by_hand[0].until - by_hand[0].at - 3600) <= 2 and by_hand[2].until is None and by_hand[1].host == "[127.0.0.1]:9"


def test_forwarded_and_refused(world):
    """An alias that leads elsewhere: from where it was sent on, and how; a submission that was turned away."""
    server = world.server
    world.peer("alias.other.test")
    world.dns.zone("third.test", secure=False)
    server.cli("alias", "add", "away@example.test", "jon@alias.other.test")
    with smtplib.SMTP("127.0.0.1", server.port["smtp"], "client.third.test", timeout=60) as smtp:
        smtp.sendmail("eve@third.test", ["away@example.test", "bob@example.test"], "Subject: x\r\n\r\nx\r\n")
    story = wait_for(lambda: (s := tell(server, "eve@third.test")) and s[0].steps[-1].kind == "delivered" and s[0])
    assert [(s.kind, s.address) for s in story.steps] == [
        ("received", None), ("stored", "bob@example.test"), ("forwarded", "away@example.test"), ("queued", "jon@alias.other.test"),
        ("attempt", "jon@alias.other.test"), ("delivered", "jon@alias.other.test")], story
    came, _, sent_on, *_ = story.steps
    assert came.host == "client.third.test [127.0.0.1]" and came.text is None and sent_on.host == "jon@alias.other.test"
    assert sent_on.text.startswith("SRS0=") and sent_on.text.endswith("@example.test")
    assert [s.kind for s in tell(server, "jon@alias.other.test")[0].steps] == ["received", "queued", "attempt", "delivered"]
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        submit(server, "x@missing.third.test")
    code, words = refused.value.recipients["x@missing.third.test"]
    story = wait_for(lambda: (s := tell(server, "x@missing.third.test")) and s[0])
    step, = story.steps
    assert (step.kind, step.address, step.code, f"{step.status} {step.text}") == ("refused", "x@missing.third.test", code, words.decode()), story


def test_given_up(tmp_path):
    """A server that is busy for five days: put off again and again, one report that it waits, one that it is given up."""
    os.chmod(tmp_path, 0o777)
    clock = os.path.join(tmp_path, "clock")
    os.environ["POSTEL_TEST_CLOCK"] = clock
    try:
        w = World(limits__retry_first_s="300", limits__retry_most_s="3960")
    finally:
        del os.environ["POSTEL_TEST_CLOCK"]
    try:
        peer = w.peer("busy.other.test", {"rcpt": "451 4.3.0 busy"})
        to, since = "x@busy.other.test", ("--since", "30d")
        submit(w.server, to)
        def ends():
            return [s for story in tell(w.server, to, *since) for s in story.steps if s.kind not in ("received", "queued", "attempt")]
        for kinds, hours in ((["deferred"], 5), (["deferred", "deferred", "reported"], 125)):
            assert wait_for(lambda: [s.kind for s in ends()] == kinds, 30), w.server.log_tail()
            with open(clock, "r+b") as f:  # struct clock_page
                wall, mono = struct.unpack("qq", f.read(16))
                f.seek(0)
                f.write(struct.pack("qq", wall, mono + hours * 3600000))
        story = wait_for(lambda: (s := tell(w.server, to, *since)) and s[0].steps[-1].text == "failed" and s[0])
        assert story, tell(w.server, to, *since)
        check_beginning(story, to)
        rest = ends()
        assert [s.kind for s in rest] == ["deferred", "deferred", "reported", "expired", "reported"], story
        for step in rest[:2] + [rest[3]]:
            assert (step.address, step.code, step.status, step.text) == (to, 451, "4.3.0", "busy")
            assert step.host == f"mx.busy.other.test [{peer.listener.getsockname()[0]}]"
        assert 240 <= rest[0].until - rest[0].at <= 400 and rest[1].at - rest[0].at > 4.9 * 3600
        assert rest[2].text == "delayed" and rest[2].host == "alice@example.test" and rest[3].at - story.steps[0].at > 5 * 86400
        check_report(w.server, story, to)
        assert tell(w.server, rest[2].status, *since)[0].steps[0].kind == "made"
        assert wait_for(lambda: reports(w.server).get(to)) == [("delayed", "4.3.0", "smtp; 451 4.3.0 busy"), ("failed", "4.4.7", "smtp; 451 4.3.0 busy")]
    except BaseException:
        w.close(*sys.exc_info())
        raise
    w.close()


# ---- how sure we were of the other side ------------------------------------------------------------------------------------

TLS = r"TLSv1\.3 TLS_\w+"
SIGNED = [  # domain, scripts, TLSA record, days, names, how it was protected (None: it never goes), words of the reason
    ("self", [{}], None, 1, None, TLS, None),
    ("ee", [{}], (3, 1, 1), 1, None, TLS + ".*, DANE", None),
    ("eefull", [{}], (3, 0, 0), 1, None, TLS + ".*, DANE", None),
    ("eesha512", [{}], (3, 0, 2), 1, None, TLS + ".*, DANE", None),
    ("eeexpired", [{}], (3, 1, 1), -1, None, TLS + ".*, DANE", None),
    ("eename", [{}], (3, 1, 1), 1, ["quite.another.test"], TLS + ".*, DANE", None),
    ("wrong", [{}], "3 1 1 " + "ab" * 32, 1, None, None, "none of those in the TLSA records"),
    ("stripped", [{"caps": CAPS}], (3, 1, 1), 1, None, None, "no TLS, which its domain promised"),
    ("danebroken", [{"starttls": Then("220 go", DROP)}], (3, 1, 1), 1, None, None, "."),
]
NO_TLSA = ["servfail", "bogus", "expired"]
IN_CLEAR = {"refused": {"starttls": "454 4.7.0 not now"}, "dropped": {"starttls": DROP},
            "broken": {"starttls": Then("220 go", b"\x00\x01nonsense\r\n", DROP)}, "injected": {"starttls": Then("220 go\n250 ok")}}
STS = [  # domain, policy's mode and host, an authority's certificate, how it was protected, words of the reason
    ("enforced", "enforce", None, True, TLS + ".*, MTA-STS", None),
    ("notrust", "enforce", None, False, None, "certificate"),
    ("notlisted", "enforce", "mail.notlisted.test", True, None, "none of the hosts that the domain's policy"),
    ("testing", "testing", None, False, TLS, None),
]


@pytest.fixture(scope="module")
def sure(secure):  # noqa: F811
    """All of these at once."""
    w = secure
    for name, scripts, tlsa, days, names, *_ in SIGNED:
        tls_peer(w, name + ".test", *scripts, tlsa=tlsa if isinstance(tlsa, tuple) else None, days=days, names=names)
        if isinstance(tlsa, str):
            w.dns.add(f"_{w.port}._tcp.mx.{name}.test", "TLSA", tlsa)
    for fault in NO_TLSA:
        tls_peer(w, f"tlsa{fault}.test", tlsa=(3, 1, 1))
        w.dns.fault(f"_tcp.mx.tlsa{fault}.test", fault)
    for name, script in IN_CLEAR.items():
        tls_peer(w, f"tls{name}.test", script, {"caps": CAPS})
    for name, mode, mx, trusted, *_ in STS:
        tls_peer(w, name + ".test", ca=w.ca if trusted else None)
        policy(w, name + ".test", mode=mode, mx=mx)
    bad = tls_peer(w, "two.test", host="mx1.two.test", preference=10)
    w.dns.add(f"_{w.port}._tcp.mx1.two.test", "TLSA", "3 1 1 " + "ab" * 32)
    cert, text = pem(w.folder, ["mx2.two.test"])
    good = w.peer("two.test", host="mx2.two.test", preference=20, cert=cert)
    w.dns.tlsa("mx2.two.test", text, port=w.port)
    w.two = [f"{p.listener.getsockname()[0]}" for p in (bad, good)]
    w.names = [r[0] for r in SIGNED] + ["tlsa" + f for f in NO_TLSA] + ["tls" + n for n in IN_CLEAR] + [r[0] for r in STS] + ["two"]
    for name in w.names:
        submit(w.server, f"x@{name}.test")
    return w


def host_of(w, name):
    return f"mx.{name}.test [{w.peers[name + '.test'][0].listener.getsockname()[0]}]"


def check_waits(w, name, hosts, way, words):
    """It was put off, for this reason, and put off again; nothing was handed over."""
    to = f"x@{name}.test"
    story = told(w.server, to, last=("deferred",))
    steps = check_beginning(story, to)
    assert {s.kind for s in steps} == {"deferred"}, story
    for step in steps:
        assert step.host in hosts and step.tls == way and step.code is None and step.status.startswith("4."), story
        assert re.search(words, step.text) and step.until >= step.at, story
    assert not w.peers[name + ".test"][0].mails


@pytest.mark.parametrize("row", SIGNED, ids=[row[0] for row in SIGNED])
def test_dane(sure, row):
    name, _, tlsa, _, _, way, words = row
    if way is None:
        check_waits(sure, name, [host_of(sure, name)], "DANE", words)
    else:
        story = told(sure.server, f"x@{name}.test")
        check_way(sure.server, story, f"x@{name}.test", ["delivered"], [host_of(sure, name)], tls=way, attempts=1)
        assert ("DANE" in story.text) == (tlsa is not None)


@pytest.mark.parametrize("fault", NO_TLSA)
def test_tlsa_cannot_be_had(sure, fault):
    check_waits(sure, "tlsa" + fault, [f"tlsa{fault}.test"], None, f"the TLSA records of mx.tlsa{fault}.test cannot be had now")


@pytest.mark.parametrize("name", IN_CLEAR)
def test_then_in_clear(sure, name):
    """TLS was tried, and what became of it; then it went without."""
    name = "tls" + name
    story = told(sure.server, f"x@{name}.test")
    results = check_way(sure.server, story, f"x@{name}.test", ["delivered"], [host_of(sure, name)], attempts=1)
    begun, _ = results[0]
    assert name == "tlsrefused" or [s.kind for s in begun] == ["tried", "attempt"], story


def test_wrong_then_another_host(sure):
    story = told(sure.server, "x@two.test")
    mx1, mx2 = (f"mx{i + 1}.two.test [{sure.two[i]}]" for i in range(2))
    (begun, end), = check_way(sure.server, story, "x@two.test", ["delivered"], [mx1, mx2], tls=f"DANE|{TLS}.*, DANE", attempts=1)
    assert [s.kind for s in begun] == ["tried", "attempt"], story
    assert begun[0].host == mx1 and begun[0].tls == "DANE" and "none of those in the TLSA records" in begun[0].text, story
    assert begun[1].host == end.host == mx2 and re.fullmatch(TLS + ".*, DANE", end.tls), story


@pytest.mark.parametrize("row", STS, ids=[row[0] for row in STS])
def test_mtasts(sure, row):
    name, _, mx, _, way, words = row
    if way is None:
        hosts, how = ([name + ".test"], None) if mx else ([host_of(sure, name)], "MTA-STS")
        check_waits(sure, name, hosts, how, words)
    else:
        story = told(sure.server, f"x@{name}.test")
        check_way(sure.server, story, f"x@{name}.test", ["delivered"], [host_of(sure, name)], tls=way, attempts=1)
        assert ("MTA-STS" in story.text) == (name == "enforced")
