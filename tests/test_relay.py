"""relay against other servers that behave badly: what goes out, what is tried again, what is given up, and what the sender is
told (REL-03, T16). The servers are lib.peer's on loopback addresses, the names come from lib.dns."""
import base64
import email
import email.policy
import imaplib
import os
import re
import shutil
import smtplib
import tempfile
import time

import pytest
from cryptography.hazmat.primitives import serialization

from lib.dns import Dns
from lib.peer import CAPS, DROP, RST, Peer, Slow, Then
from lib.server import PASSWORD, Server, free_port
from test_mtasts import PolicyHost, certificate, pem_key

TEXT = "From: <alice@example.test>\r\nTo: <x@elsewhere.test>\r\nSubject: away\r\nMessage-ID: <{id}@example.test>\r\n\r\nthe body\r\n.a dot\r\n"
QUICK = {
    "relay.allow": "127.0.0.0/8", "limits.retry_first_s": "1", "limits.retry_most_s": "1", "limits.relay_command_s": "2",
    "limits.relay_greeting_s": "2", "limits.relay_data_s": "2", "limits.relay_final_s": "2", "limits.relay_connect_s": "2",
    "limits.relay_quit_s": "1", "limits.dsn_gather_ms": "200", "limits.send_messages": "100000",
    "limits.send_new_rcpts": "100000",
}


def wait_for(what, seconds=20, every=0.1):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = what()
        if got:
            return got
        time.sleep(every)
    return what()


def submit(server, to, text=None, sender="alice@example.test", options=(), rcpt_options=()):
    """Hands a message in as its sender does."""
    to = [to] if isinstance(to, str) else to
    text = TEXT.format(id=re.sub(r"[^a-z0-9.-]", ".", to[0])) if text is None else text
    with smtplib.SMTP("127.0.0.1", server.port["submission"], timeout=60) as smtp:
        smtp.login(sender, PASSWORD)
        assert smtp.sendmail(sender, to, text, mail_options=options, rcpt_options=rcpt_options) == {}


def results(server, to):
    """What the log says of a recipient: [{"result": "deferred", "code": "450", ...}]"""
    found = []
    for line in server.log_text().splitlines():
        if " ev=relay.result " in line and re.search(r"\bto=\"?" + re.escape(to) + r"\"?( |$)", line):
            found.append({k: v.strip('"') for k, v in re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)', line)})
    return found


def final(server, to, seconds=25):
    """The results of a recipient once the last one is none that is tried again."""
    got = wait_for(lambda: (r := results(server, to)) and r[-1]["result"] != "deferred" and r, seconds)
    assert got, f"{to}: {[(r['result'], r['text']) for r in results(server, to)]}\n" + server.log_tail(10)
    return got


def reports(server, name="alice"):
    """{recipient: [(action, status, diagnostic)]} of all reports in the INBOX."""
    found = {}
    box = imaplib.IMAP4("127.0.0.1", server.port["imap"])
    box.login(name + "@example.test", PASSWORD)
    box.select("INBOX", readonly=True)
    for n in box.search(None, "ALL")[1][0].split():
        report = email.message_from_bytes(box.fetch(n, "(BODY.PEEK[])")[1][0][1], policy=email.policy.SMTP)
        if report.get_content_type() != "multipart/report":
            continue
        for part in list(report.iter_parts())[1].get_payload()[1:]:
            to = part["final-recipient"].split(";")[1].strip()
            found.setdefault(to, []).append((part["action"], part["status"], part["diagnostic-code"] or ""))
    box.logout()
    return found


# ---- T16: what can go wrong at each step -----------------------------------------------------------------------------

BUSY = "451 4.3.0 not now"
NEVER = "550 5.7.1 never"
LONG = "\n".join(f"220-line {i}" for i in range(10000)) + "\n220 end"
BARE = ("8BITMIME", "SMTPUTF8")
NO_CHUNK = tuple(c for c in CAPS if c != "CHUNKING")

# name, scripts of the connections (the last one for all that follow), outcomes in order, status of the last one or of the
# first when that matters, how often the peer took it ("2": it may be twice and is noted)
SOON = ["deferred", "delivered"]
MENU = [
    ("fine", [{}], ["delivered"], None),
    ("plain", [{"caps": NO_CHUNK}], ["delivered"], None),
    ("bare", [{"caps": BARE}], ["delivered"], None),
    ("helo", [{"ehlo": "502 5.5.1 what"}], ["delivered"], None),
    # 4xx at each step: again, and then it goes
    ("greeting4", [{"greeting": "421 4.3.2 busy"}, {}], SOON, "4.3.2"),
    ("ehlo4", [{"ehlo": BUSY}, {}], SOON, "4.3.0"),
    ("mail4", [{"mail": BUSY}, {}], SOON, "4.3.0"),
    ("rcpt4", [{"rcpt": "450 4.2.1 greylisted"}, {}], SOON, "4.2.1"),
    ("data4", [{"caps": NO_CHUNK, "data": BUSY}, {}], SOON, "4.3.0"),
    ("body4", [{"body": BUSY}, {}], SOON, "4.3.0"),
    ("dot4", [{"caps": NO_CHUNK, "body": BUSY}, {}], SOON, "4.3.0"),
    # 5xx: of the host: may pass; of the message: never
    ("greeting5", [{"greeting": "554 5.7.1 go away"}, {}], SOON, "5.7.1"),
    ("greeting521", [{"greeting": "521 5.3.2 no mail here"}], ["failed"], "5.3.2"),
    ("ehlo5", [{"ehlo": "550 5.7.1 no", "helo": "550 5.7.1 no"}], ["failed"], "5.7.1"),
    ("mail5", [{"mail": NEVER}], ["failed"], "5.7.1"),
    ("rcpt5", [{"rcpt": "550 5.1.1 nobody"}], ["failed"], "5.1.1"),
    ("data5", [{"caps": NO_CHUNK, "data": NEVER}], ["failed"], "5.7.1"),
    ("body5", [{"body": NEVER}], ["failed"], "5.7.1"),
    ("dot5", [{"caps": NO_CHUNK, "body": NEVER}], ["failed"], "5.7.1"),
    ("bare5", [{"caps": BARE, "rcpt": "553 nobody"}], ["failed"], "5.0.0"),
    # the connection drops
    ("greeting_drop", [{"greeting": DROP}, {}], SOON, "4.4.2"),
    ("ehlo_drop", [{"ehlo": DROP}, {}], SOON, "4.4.2"),
    ("mail_drop", [{"mail": DROP}, {}], SOON, "4.4.2"),
    ("rcpt_drop", [{"rcpt": DROP}, {}], SOON, "4.4.2"),
    ("rcpt_rst", [{"rcpt": RST}, {}], SOON, "4.4.2"),
    ("data_drop", [{"caps": NO_CHUNK, "data": DROP}, {}], SOON, "4.4.2"),
    ("bare_drop", [{"caps": BARE, "rcpt": Then("250 ok", DROP)}, {}], SOON, "4.4.2"),
    # behind the dot: nobody knows
    ("body_drop", [{"body": DROP}, {}], SOON, "4.4.2"),
    ("dot_drop", [{"caps": NO_CHUNK, "body": DROP}, {}], SOON, "4.4.2"),
    ("dot_slow", [{"caps": NO_CHUNK, "body": Slow(9)}, {}], SOON, "4.4.2"),
    ("dot_rst", [{"caps": NO_CHUNK, "body": RST}, {}], SOON, "4.4.2"),
    ("then_drop", [{"body": Then("250 ok", DROP)}], ["delivered"], None),
    ("then_rst", [{"body": Then("250 ok", 0.3, RST)}], ["delivered"], None),
    ("dot_junk", [{"caps": NO_CHUNK, "body": "what?"}, {}], SOON, "4.5.0"),
    # slow, long, nonsense
    ("greeting_slow", [{"greeting": Slow(9)}, {}], SOON, "4.4.2"),
    ("ehlo_slow", [{"ehlo": Slow(9)}, {}], SOON, "4.4.2"),
    ("rcpt_slow", [{"rcpt": Slow(9)}, {}], SOON, "4.4.2"),
    ("tarpit", [{"mail": Slow(1, "250 ok"), "rcpt": Slow(1, "250 ok")}], ["delivered"], None),
    ("long", [{"greeting": LONG}, {}], SOON, "4.5.0"),
    ("ehlo_long", [{"ehlo": LONG.replace("220", "250")}, {}], SOON, None),
    ("rcpt_long", [{"rcpt": LONG.replace("220", "250")}, {}], SOON, "4.5.0"),
    ("wide", [{"rcpt": b"250 " + b"x" * 100000 + b"\r\n"}, {}], SOON, "4.5.0"),
    ("junk", [{"greeting": b"\x00\xff\x16\x03\r\n"}, {}], SOON, "4.5.0"),
    ("rcpt_junk", [{"rcpt": "2xx ok"}, {}], SOON, "4.5.0"),
    ("mixed", [{"rcpt": "250-ok\n550 no"}, {}], SOON, "4.5.0"),
    ("http", [{"greeting": "HTTP/1.1 400 Bad Request\nContent-Length: 0\n\n"}, {}], SOON, "4.5.0"),
    # an answer too many, which must not be taken for that to the next message
    ("unasked", [{"mail": Then("250 ok", "250 ok")}, {}], None, None),
    # 421 at each step
    ("ehlo421", [{"ehlo": "421 4.3.2 closing"}, {}], SOON, "4.3.2"),
    ("mail421", [{"mail": "421 4.3.2 closing"}, {}], SOON, "4.3.2"),
    ("rcpt421", [{"rcpt": Then("421 4.3.2 closing", DROP)}, {}], SOON, "4.3.2"),
    ("data421", [{"caps": NO_CHUNK, "data": "421 4.3.2 closing"}, {}], SOON, "4.3.2"),
    ("body421", [{"body": Then("421 4.3.2 closing", DROP)}, {}], SOON, "4.3.2"),
    # what it cannot do
    ("size", [{"caps": ("SIZE 50",)}], ["failed"], "5.3.4"),
    ("size0", [{"caps": ("SIZE 0",)}], ["delivered"], None),
    ("mailmax", [{"caps": CAPS + ("LIMITS MAILMAX=1",)}], ["delivered"], None),
    # BDAT refused
    ("last4", [{"last": "452 4.3.1 full"}, {}], SOON, "4.3.1"),
    ("last5", [{"last": "552 5.3.4 too big"}], ["failed"], "5.3.4"),
]


class World:
    """A server, names, and peers by domain, each with an address of its own and all with the same port."""

    def __init__(self, **options):
        self.port = free_port()
        self.dns = Dns()
        self.dns.zone("other.test", secure=False)  # signed denials would cover names that come later (RFC 8198)
        self.peers = {}
        self.n = 0
        self.dns.__enter__()
        self.options = {**QUICK, "relay.port": str(self.port), **{k.replace("__", "."): v for k, v in options.items()}}
        self.server = Server(self.options, dns=self.dns)

    def address(self):
        self.n += 1
        return f"127.0.{100 + self.n // 250}.{1 + self.n % 250}"

    def peer(self, domain, *scripts, host=None, preference=10, dead=False, mx=True, **more):
        """A domain's server; again for a further host of it."""
        address = self.address()
        if mx:
            self.dns.mail(domain, host or "mx." + domain, address, preference)
        else:
            self.dns.add(host or domain, "A", address)
        if dead:
            return None
        peer = Peer(address, self.port, scripts or ({},), **more)
        self.peers.setdefault(domain, []).append(peer)
        return peer

    def close(self, *error):
        try:
            self.server.__exit__(*(error or (None, None, None)))
        finally:
            for peers in self.peers.values():
                for peer in peers:
                    peer.stop()
            self.dns.stop()


@pytest.fixture(scope="module")
def world():
    w = World()
    yield w
    w.close()


@pytest.fixture(scope="module")
def menu(world):
    """Everything at once: most of the time is waiting."""
    for name, scripts, *_ in MENU:
        world.peer(name.replace("_", "-") + ".other.test", *scripts)
    for name, *_ in MENU:
        submit(world.server, "x@" + name.replace("_", "-") + ".other.test")
    return world


@pytest.mark.parametrize("name, scripts, outcomes, status", MENU, ids=[row[0] for row in MENU])
def test_menu(menu, name, scripts, outcomes, status):
    domain = name.replace("_", "-") + ".other.test"
    to = "x@" + domain
    peer = menu.peers[domain][0]
    got = final(menu.server, to)
    if outcomes is not None:
        assert [r["result"] for r in got] == outcomes, got
    if status is not None:
        assert got[0]["status"] == status, got
    taken = peer.taken(to)
    assert len(taken) == (got[-1]["result"] == "delivered"), [m.text for m in taken]
    for mail in peer.mails:
        assert mail.sender == "alice@example.test" and mail.rcpts == [to]
    if taken:
        assert taken[0].text.endswith(b"\r\n\r\nthe body\r\n.a dot\r\n"), taken[0].text


def test_menu_reports(menu):
    """One report for what failed, none for the rest."""
    for name, _, outcomes, status in MENU:
        final(menu.server, "x@" + name.replace("_", "-") + ".other.test")
    failed = {f"x@{name.replace('_', '-')}.other.test": status for name, _, o, status in MENU if o and o[-1] == "failed"}
    mine = {f"x@{name.replace('_', '-')}.other.test" for name, *_ in MENU}
    wait_for(lambda: len(set(reports(menu.server)) & mine) >= len(failed), 10, 0.3)
    time.sleep(0.5)
    got = {to: told for to, told in reports(menu.server).items() if to in mine}
    assert set(got) == set(failed)
    for to, told in got.items():
        assert len(told) == 1 and told[0][:2] == ("failed", failed[to]), (to, told)


# ---- several recipients, several messages ----------------------------------------------------------------------------

def test_one_of_three(world):
    """One refused for good, one for now, one taken: each its own way, the text once to each."""
    peer = world.peer("three.other.test", {"rcpt": ["250 ok", "550 5.1.1 nobody", "450 4.2.1 later"]}, {})
    a, b, c = (f"{u}@three.other.test" for u in "abc")
    submit(world.server, [a, b, c])
    order = [final(world.server, to) for to in (a, b, c)]
    by_rcpt = {to: [r["result"] for r in got] for to, got in zip((a, b, c), order)}
    assert by_rcpt == {a: ["delivered"], b: ["failed"], c: ["deferred", "delivered"]}
    assert [len(peer.taken(to)) for to in (a, b, c)] == [1, 0, 1]
    assert wait_for(lambda: reports(world.server).get(b)) == [("failed", "5.1.1", "smtp; 550 5.1.1 nobody")]
    assert not set(reports(world.server)) & {a, c}


@pytest.mark.parametrize("answer", ["452 4.5.3 too many", "552 too many recipients", "552 5.5.3 too many recipients"])
def test_too_many(world, answer):
    """RFC 5321 4.5.3.1.10: the others in the next transaction, at once."""
    domain = f"many{answer[:9].replace(' ', '').replace('.', '')}.other.test"
    peer = world.peer(domain, {"rcpt": ["250 ok", "250 ok", answer, answer, answer]})
    to = [f"u{i}@{domain}" for i in range(5)]
    submit(world.server, to)
    assert {r["result"] for t in to for r in final(world.server, t)} == {"delivered"}
    assert sorted(r for m in peer.taken() for r in m.rcpts) == to
    assert len({m.connection for m in peer.taken()}) == 1


def test_rcptmax(world):
    peer = world.peer("rcptmax.other.test", caps=CAPS + ("LIMITS RCPTMAX=2",))
    to = [f"u{i}@rcptmax.other.test" for i in range(5)]
    submit(world.server, to)
    assert {r["result"] for t in to for r in final(world.server, t)} == {"delivered"}
    assert [len(m.rcpts) for m in peer.taken()] == [2, 2, 1]


def many(world, domain, n):
    """n messages that wait together and go when they may."""
    world.server.cli("queue", "suspend", domain)
    to = [f"m{i}@{domain}" for i in range(n)]
    for t in to:
        submit(world.server, t)
    world.server.cli("queue", "resume", domain)
    return to


def test_connection_is_used_again(world):
    """Messages follow each other in one connection; answers that nobody asked for end it (else they would be taken for
    those to the next message)."""
    peer = world.peer("again.other.test")
    to = many(world, "again.other.test", 12)
    for t in to:
        assert [r["result"] for r in final(world.server, t)] == ["delivered"]
    assert sorted(m.rcpts for m in peer.taken()) == sorted([t] for t in to)
    assert len(peer.sessions) < 12


def test_mailmax(world):
    peer = world.peer("mailmax2.other.test", caps=CAPS + ("LIMITS MAILMAX=2",))
    to = many(world, "mailmax2.other.test", 6)
    for t in to:
        assert [r["result"] for r in final(world.server, t)] == ["delivered"]
    for number in range(len(peer.sessions)):
        assert len([m for m in peer.taken() if m.connection == number]) <= 2


def test_late_answers(world):
    """A yes to an earlier message that comes unasked is no yes to the next one."""
    peer = world.peer("late.other.test", {"body": Then("250 ok", 0.05, "250 ok again"), "rcpt": ["250 ok", "550 5.1.1 no"]})
    to = many(world, "late.other.test", 6)
    for t in to:
        got = final(world.server, t)
        assert (got[-1]["result"] == "delivered") == (len(peer.taken(t)) == 1), (t, got)
        assert len(peer.taken(t)) <= 1


# ---- what the far side cannot do --------------------------------------------------------------------------------------

UMLAUT = "From: <alice@example.test>\r\nSubject: =?utf-8?q?=C3=A4?=\r\nMIME-Version: 1.0\r\n" \
         "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\u00e4\r\n".encode()


def test_8bit(world):
    yes = world.peer("yes8.other.test", caps=("8BITMIME",))
    world.peer("no8.other.test", caps=("PIPELINING",))
    for to in ("x@yes8.other.test", "x@no8.other.test"):
        submit(world.server, to, UMLAUT, options=["BODY=8BITMIME"])
    assert [r["result"] for r in final(world.server, "x@yes8.other.test")] == ["delivered"]
    assert "BODY=8BITMIME" in yes.taken()[0].options and "\u00e4".encode() in yes.taken()[0].text
    assert [(r["result"], r["status"]) for r in final(world.server, "x@no8.other.test")] == [("failed", "5.6.3")]


def test_smtputf8(world):
    yes = world.peer("yesutf8.other.test", caps=("8BITMIME", "SMTPUTF8"))
    world.peer("noutf8.other.test", caps=("8BITMIME",))
    text = "From: <alice@example.test>\r\nSubject: \u00e4\r\n\r\nx\r\n".encode()
    for to in ("x@yesutf8.other.test", "x@noutf8.other.test"):
        submit(world.server, to, text, options=["SMTPUTF8", "BODY=8BITMIME"])
    assert [r["result"] for r in final(world.server, "x@yesutf8.other.test")] == ["delivered"]
    assert "SMTPUTF8" in yes.taken()[0].options
    assert [(r["result"], r["status"]) for r in final(world.server, "x@noutf8.other.test")] == [("failed", "5.6.7")]
    part = ("From: <alice@example.test>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
            "--b\r\nContent-Type: text/plain; name=\u00e4\r\n\r\nx\r\n--b--\r\n").encode() # RFC 6532 3: those headers too
    submit(world.server, "part@noutf8.other.test", part, options=["SMTPUTF8", "BODY=8BITMIME"])
    assert [(r["result"], r["status"]) for r in final(world.server, "part@noutf8.other.test")] == [("failed", "5.6.7")]


def big_text(size):
    return "From: <alice@example.test>\r\nSubject: big\r\n\r\n" + ("x" * 70 + "\r\n") * (size // 72)


def test_bdat_refused_in_the_middle(world):
    peer = world.peer("bdat.other.test", {"bdat": "452 4.3.1 full"}, {})
    world.peer("bdat5.other.test", {"bdat": [None, "552 5.3.4 too big"]})
    world.peer("bdatdrop.other.test", {"bdat": DROP}, {})
    for domain in ("bdat", "bdat5", "bdatdrop"):
        submit(world.server, f"x@{domain}.other.test", big_text(900000))
    assert [r["result"] for r in final(world.server, "x@bdat.other.test")] == ["deferred", "delivered"]
    assert len(peer.taken()) == 1 and peer.taken()[0].text.count(b"\r\n" + b"x" * 70 + b"\r\n") > 6000
    assert [(r["result"], r["status"]) for r in final(world.server, "x@bdat5.other.test")] == [("failed", "5.3.4")]
    assert [r["result"] for r in final(world.server, "x@bdatdrop.other.test")] == ["deferred", "delivered"]
    assert "queue.maybe_twice" not in " ".join(line for line in world.server.log_text().splitlines() if "bdat" in line)


def test_big_in_data(world):
    peer = world.peer("bigdata.other.test", caps=NO_CHUNK)
    submit(world.server, "x@bigdata.other.test", big_text(3000000))
    assert final(world.server, "x@bigdata.other.test")[-1]["result"] == "delivered"
    assert len(peer.taken()[0].text) > 2900000


def test_dsn_is_handed_on(world):
    """RFC 3461: who announces DSN takes care of NOTIFY; for one that does not the report is ours: relayed."""
    knows, does_not = world.peer("dsn.other.test"), world.peer("nodsn.other.test", caps=("PIPELINING",))
    for to in ("x@dsn.other.test", "x@nodsn.other.test"):
        submit(world.server, to, options=["ENVID=a+2Bb", "RET=HDRS"],
               rcpt_options=["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;X+2B1@" + to.split("@")[1]])
        assert final(world.server, to)[-1]["result"] == "delivered"
    assert {"ENVID=a+2Bb", "RET=HDRS"} <= set(knows.taken()[0].options)
    assert set(knows.taken()[0].rcpt_options[0]) == {"NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;X+2B1@dsn.other.test"}
    assert does_not.taken()[0].rcpt_options == [[]] and does_not.taken()[0].options == []
    assert wait_for(lambda: reports(world.server).get("x@nodsn.other.test"))[0][0] == "relayed"
    assert "x@dsn.other.test" not in reports(world.server)


# ---- which host -------------------------------------------------------------------------------------------------------

def outcome(world, to, **more):
    submit(world.server, to, **more)
    got = final(world.server, to)
    return [(r["result"], r["status"]) for r in got]


def first(server, to, seconds=10):
    """The first result of a recipient."""
    got = wait_for(lambda: results(server, to), seconds)
    assert got, to + "\n" + server.log_tail(10)
    return got[0]["result"], got[0]["status"]


def test_nearest_first(world):
    far = world.peer("near.other.test", host="mx2.near.other.test", preference=20)
    near = world.peer("near.other.test", host="mx1.near.other.test", preference=10)
    assert outcome(world, "x@near.other.test") == [("delivered", "2.0.0")]
    assert len(near.taken()) == 1 and not far.sessions


def test_ties_are_shared(world):
    peers = [world.peer("tie.other.test", host=f"mx{i}.tie.other.test") for i in range(2)]
    # a session may carry several: one by one, each looks for its host anew
    for i in range(40):
        submit(world.server, f"u{i}@tie.other.test")
        assert final(world.server, f"u{i}@tie.other.test")[-1]["result"] == "delivered"
        if all(p.taken() for p in peers):
            break
    assert all(p.taken() for p in peers) and sum(len(p.taken()) for p in peers) == i + 1


def test_dead_host_then_second(world):
    world.peer("half.other.test", host="mx1.half.other.test", preference=10, dead=True)
    second = world.peer("half.other.test", host="mx2.half.other.test", preference=20)
    assert outcome(world, "x@half.other.test") == [("delivered", "2.0.0")]
    assert len(second.taken()) == 1


@pytest.mark.parametrize("script", [{"greeting": "554 5.7.1 no"}, {"greeting": "421 4.3.2 busy"}, {"ehlo": DROP}, {"rcpt": DROP},
                                    {"greeting": "521 5.3.2 no"}])
def test_bad_host_then_second(world, script):
    """A host that takes no mail, now or ever, is not the domain."""
    domain = "bad" + str(world.n) + ".other.test"
    world.peer(domain, script, host="mx1." + domain, preference=10)
    second = world.peer(domain, host="mx2." + domain, preference=20)
    assert outcome(world, "x@" + domain) == [("delivered", "2.0.0")]
    assert len(second.taken()) == 1


def test_what_the_name_says(world):
    world.dns.zone("null.test")
    world.dns.add("null.test", "MX", "0 .")
    world.dns.zone("gone.test")
    for domain in ("null.test", "gone.test"):
        world.dns.fault(domain, "servfail")  # else they are refused at RCPT
    world.dns.add("me.other.test", "MX", "10 mx.example.test.")
    world.dns.add("nohost.other.test", "MX", "10 nowhere.other.test.")
    world.dns.add("private.other.test", "MX", "10 host.private.other.test.")
    world.dns.add("host.private.other.test", "A", "10.0.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0")
    world.dns.add("private6.other.test", "AAAA", "::1", "fe80::1", "fd00::1", "::ffff:10.0.0.1")
    world.dns.zone("ill.test")
    world.dns.mail("ill.test")
    world.dns.fault("ill.test", "servfail")
    world.dns.zone("sick.test")
    world.dns.add("mx.sick.test", "A", "127.0.0.1")
    world.dns.add("x.other.test", "MX", "10 mx.sick.test.")
    world.dns.fault("sick.test", "servfail")
    implicit = world.peer("implicit.other.test", mx=False)
    idn = world.peer("xn--bcher-kva.other.test")
    literal = Peer(world.address(), world.port)
    world.peers["literal"] = [literal]
    address = literal.listener.getsockname()[0]
    want = {"null.test": ("deferred", "4.4.3"), "me.other.test": ("failed", "5.4.6"), "mail.gone.test": ("deferred", "4.4.3"),
            "nohost.other.test": ("failed", "5.4.4"), "private.other.test": ("failed", "5.4.4"),
            "private6.other.test": ("failed", "5.4.4"), "[10.0.0.1]": ("failed", "5.4.4"),
            "ill.test": ("deferred", "4.4.3"), "x.other.test": ("deferred", "4.4.3"), "implicit.other.test": ("delivered", "2.0.0"),
            "xn--bcher-kva.other.test": ("delivered", "2.0.0"), f"[{address}]": ("delivered", "2.0.0")}
    for domain in want:
        submit(world.server, "x@" + domain)
    got = {domain: first(world.server, "x@" + domain) for domain in want}
    assert got == want
    assert len(implicit.taken()) == len(idn.taken()) == len(literal.taken()) == 1
    world.dns.fault("null.test")
    world.dns.fault("gone.test")
    world.dns.fault("ill.test")
    world.dns.fault("sick.test")
    back = Peer("127.0.0.1", world.port)  # where those two lead
    world.peers["back"] = [back]
    for domain in ("ill.test", "x.other.test"):
        assert final(world.server, "x@" + domain)[-1]["result"] == "delivered"
    assert {r for m in back.taken() for r in m.rcpts} == {"x@ill.test", "x@x.other.test"}
    for domain, status in (("null.test", "5.1.10"), ("mail.gone.test", "5.1.2")):
        got = final(world.server, "x@" + domain)[-1]
        assert (got["result"], got["status"]) == ("failed", status), domain


def test_idn_in_utf8(world):
    """The domain as people write it: asked for as A-labels."""
    peer = world.peer("xn--mnchen-3ya.other.test", caps=("8BITMIME", "SMTPUTF8"))
    submit(world.server, "x@m\u00fcnchen.other.test", options=["SMTPUTF8"])
    assert wait_for(lambda: peer.taken())


def test_quoted_local_part(world):
    """In one pair of quotes, as it came."""
    peer = world.peer("quoted.other.test")
    to = '"o d"@quoted.other.test'
    submit(world.server, to)
    assert wait_for(lambda: [r for m in peer.taken() for r in m.rcpts]) == [to]


def test_a_dead_domain_delays_nobody(world):
    """REL: twenty messages for hosts that never answer, and one for a live one."""
    world.peer("dead.other.test", {"greeting": Slow(30)})
    live = world.peer("live.other.test")
    for i in range(20):
        submit(world.server, f"u{i}@dead.other.test")
    begin = time.monotonic()
    submit(world.server, "x@live.other.test")
    assert final(world.server, "x@live.other.test")[-1]["result"] == "delivered"
    assert time.monotonic() - begin < 1.5 and len(live.taken()) == 1
    world.server.cli("queue", "drop", "--domain", "dead.other.test")


def test_concurrency_has_a_limit(world):
    """At first five sessions with one destination."""
    peer = world.peer("many.other.test", {"greeting": Slow(0.3)})
    to = many(world, "many.other.test", 30)
    for t in to:
        final(world.server, t)
    assert peer.open_most <= 20 and len(peer.taken()) == 30
    assert sorted(m.rcpts[0] for m in peer.taken()) == sorted(to)


# ---- TLS --------------------------------------------------------------------------------------------------------------

def pem(folder, names, ca=None, days=1):
    """(file with certificate, file with key); and the certificate as text."""
    cert, key = certificate(names, ca, days)
    path = os.path.join(folder, names[0] + ".pem")
    text = cert.public_bytes(serialization.Encoding.PEM)
    with open(path, "wb") as f:
        f.write(pem_key(key) + text)
    return (path, path), text


@pytest.fixture(scope="module")
def secure():
    """A server that knows an authority of ours, and domains in signed zones."""
    folder = tempfile.mkdtemp(prefix="postel-test-relay-")
    os.chmod(folder, 0o755)
    ca = certificate(["Relay test authority"])
    ca_file = os.path.join(folder, "ca.pem")
    with open(ca_file, "wb") as f:
        f.write(ca[0].public_bytes(serialization.Encoding.PEM))
    names = [f"mta-sts.{d}.test" for d in ("enforced", "notrust", "notlisted", "testing")]
    policies = PolicyHost(folder, names, ca)
    w = World(relay__ca_file=ca_file, relay__https_port=str(policies.port))
    w.folder, w.ca, w.policies = folder, ca, policies
    yield w
    w.close()
    policies.close()
    shutil.rmtree(folder)


def tls_peer(w, domain, *scripts, ca=None, names=None, tlsa=None, days=1, **more):
    """A domain of its own signed zone whose host has a certificate; tlsa: its TLSA record: (usage, selector, matching)."""
    w.dns.zone(domain)
    host = more.get("host") or "mx." + domain
    cert, text = pem(w.folder, names or [host], ca, days)
    peer = w.peer(domain, *scripts, cert=cert, **more)
    if tlsa:
        w.dns.tlsa(host, text, *tlsa, port=w.port)
    return peer


def tls_of(world, to):
    return results(world.server, to)[-1]["tls"]


def test_opportunistic(secure):
    """Any certificate is better than none, and none better than no mail (RFC 7435)."""
    peer = tls_peer(secure, "self.test")
    assert outcome(secure, "x@self.test") == [("delivered", "2.0.0")]
    assert peer.taken()[0].tls == "TLSv1.3" and tls_of(secure, "x@self.test").startswith("TLSv1.3 TLS_")


@pytest.mark.parametrize("name, script", [
    ("refused", {"starttls": "454 4.7.0 not now"}), ("dropped", {"starttls": DROP}),
    ("broken", {"starttls": Then("220 go", b"\x00\x01nonsense\r\n", DROP)}), ("injected", {"starttls": Then("220 go\n250 ok")}),
    ("behind", {"tls": DROP})])
def test_broken_tls_then_plain(secure, name, script):
    peer = tls_peer(secure, f"tls{name}.test", script, {"caps": CAPS})
    assert outcome(secure, f"x@tls{name}.test")[-1] == ("delivered", "2.0.0")
    assert peer.taken()[0].tls is None and tls_of(secure, f"x@tls{name}.test") == ""


@pytest.mark.parametrize("name, tlsa, days, names", [
    ("ee", (3, 1, 1), 1, None), ("eefull", (3, 0, 0), 1, None), ("eesha512", (3, 0, 2), 1, None),
    # RFC 7672 3.1.1: of a DANE-EE certificate neither names nor dates count
    ("eeexpired", (3, 1, 1), -1, None), ("eename", (3, 1, 1), 1, ["quite.another.test"])])
def test_dane(secure, name, tlsa, days, names):
    peer = tls_peer(secure, f"{name}.test", tlsa=tlsa, days=days, names=names)
    assert outcome(secure, f"x@{name}.test") == [("delivered", "2.0.0")]
    assert peer.taken()[0].tls and "DANE" in tls_of(secure, f"x@{name}.test")
    assert "DANE" in secure.server.cli("trace", f"x@{name}.test")


def never_with(secure, domain, peer, word):
    """It waits, and the peer never got the text."""
    submit(secure.server, "x@" + domain)
    assert first(secure.server, "x@" + domain)[0] == "deferred"
    time.sleep(1.3)
    assert {r["result"] for r in results(secure.server, "x@" + domain)} == {"deferred"}
    assert not peer.mails and not any(c.startswith("MAIL") for s in peer.sessions for c in s.commands)
    assert word in secure.server.cli("trace", "x@" + domain).lower()
    secure.server.cli("queue", "drop", "--domain", domain)


def test_dane_wrong(secure):
    peer = tls_peer(secure, "wrong.test")
    secure.dns.add(f"_{secure.port}._tcp.mx.wrong.test", "TLSA", "3 1 1 " + "ab" * 32)
    never_with(secure, "wrong.test", peer, "tlsa")


def test_dane_and_no_starttls(secure):
    peer = tls_peer(secure, "stripped.test", {"caps": CAPS}, tlsa=(3, 1, 1))
    never_with(secure, "stripped.test", peer, "tls")


def test_dane_and_broken_tls(secure):
    peer = tls_peer(secure, "danebroken.test", {"starttls": Then("220 go", DROP)}, tlsa=(3, 1, 1))
    never_with(secure, "danebroken.test", peer, "tls")


@pytest.mark.parametrize("fault", ["servfail", "bogus", "expired"])
def test_dane_records_cannot_be_had(secure, fault):
    """RFC 7672 2.1.1: no answer is not the same as no record: whoever hides the record must not win."""
    domain = f"tlsa{fault}.test"
    peer = tls_peer(secure, domain, tlsa=(3, 1, 1))
    secure.dns.fault(f"_tcp.mx.{domain}", fault)
    never_with(secure, domain, peer, "tlsa")


def test_dane_wrong_then_another_host(secure):
    bad = tls_peer(secure, "two.test", host="mx1.two.test", preference=10)
    secure.dns.add(f"_{secure.port}._tcp.mx1.two.test", "TLSA", "3 1 1 " + "ab" * 32)
    cert, text = pem(secure.folder, ["mx2.two.test"])
    good = secure.peer("two.test", host="mx2.two.test", preference=20, cert=cert)
    secure.dns.tlsa("mx2.two.test", text, port=secure.port)
    assert outcome(secure, "x@two.test") == [("delivered", "2.0.0")]
    assert len(good.taken()) == 1 and not bad.mails


def test_dane_is_not_believed_unsigned(secure):
    """A TLSA record without signatures says nothing (RFC 7672 2.2): the way it would be without."""
    secure.dns.zone("unsafe.test", secure=False)
    cert, _ = pem(secure.folder, ["mx.unsafe.test"])
    secure.peer("unsafe.test", cert=cert)
    secure.dns.add(f"_{secure.port}._tcp.mx.unsafe.test", "TLSA", "3 1 1 " + "ab" * 32)
    assert outcome(secure, "x@unsafe.test") == [("delivered", "2.0.0")]
    assert "DANE" not in tls_of(secure, "x@unsafe.test")


def policy(secure, domain, mode="enforce", mx=None):
    secure.dns.add("_mta-sts." + domain, "TXT", '"v=STSv1; id=1"')
    secure.dns.add("mta-sts." + domain, "A", "127.0.0.1")
    text = f"version: STSv1\r\nmode: {mode}\r\nmx: {mx or 'mx.' + domain}\r\nmax_age: 86400\r\n"
    secure.policies.answers["mta-sts." + domain] = (200, "text/plain", text)


def test_mtasts_enforced(secure):
    peer = tls_peer(secure, "enforced.test", ca=secure.ca)
    policy(secure, "enforced.test")
    assert outcome(secure, "x@enforced.test") == [("delivered", "2.0.0")]
    assert peer.taken()[0].tls and "MTA-STS" in tls_of(secure, "x@enforced.test")


def test_mtasts_and_no_trust(secure):
    peer = tls_peer(secure, "notrust.test")
    policy(secure, "notrust.test")
    never_with(secure, "notrust.test", peer, "certificate")


def test_mtasts_and_another_host(secure):
    peer = tls_peer(secure, "notlisted.test", ca=secure.ca)
    policy(secure, "notlisted.test", mx="mail.notlisted.test")
    never_with(secure, "notlisted.test", peer, "mta-sts")


def test_mtasts_testing(secure):
    tls_peer(secure, "testing.test")
    policy(secure, "testing.test", mode="testing")
    assert outcome(secure, "x@testing.test") == [("delivered", "2.0.0")]


# ---- a smart host, and ways of their own -------------------------------------------------------------------------------

def test_smart_host():
    """With a login, which is said to nobody but the host whose name is in a certificate that an authority vouches for."""
    folder = tempfile.mkdtemp(prefix="postel-test-smart-")
    os.chmod(folder, 0o755)
    ca = certificate(["Smart host authority"])
    files = {"ca.pem": ca[0].public_bytes(serialization.Encoding.PEM), "login": b"postel geheim 1\n"}
    for name, content in files.items():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(content)
    port, tree = free_port(), Dns()
    tree.zone("relayhost.test")
    tree.add("smart.relayhost.test", "A", "127.0.9.1")
    for domain in ("direct.test", "a.direct.test"):
        tree.zone(domain, secure=False)
        tree.mail(domain, address="127.0.9.9")
    tree.zone("elsewhere.test", secure=False)
    tree.mail("elsewhere.test", address="127.0.9.9")
    good, _ = pem(folder, ["smart.relayhost.test"], ca)
    bad, _ = pem(folder, ["impostor.test"], ca)
    options = {**QUICK, "relay.smarthost": f"smart.relayhost.test:{port}", "relay.smarthost_login": folder + "/login",
               "relay.ca_file": folder + "/ca.pem", "relay.routes": f"direct.test=[127.0.9.2]:{port} .direct.test=[127.0.9.3]:{port}"
               f" from:bob@example.test=[127.0.9.4]:{port}"}
    with tree, Server(options, dns=tree) as server, Peer("127.0.9.2", port) as direct, Peer("127.0.9.3", port) as below:
        with Peer("127.0.9.1", port, cert=bad, caps=CAPS + ("AUTH PLAIN",)) as impostor:
            submit(server, "x@elsewhere.test")
            assert first(server, "x@elsewhere.test")[0] == "deferred"
            assert not any(c.startswith(("AUTH", "MAIL")) for s in impostor.sessions for c in s.commands)
        with Peer("127.0.9.1", port, cert=good, caps=CAPS + ("AUTH LOGIN PLAIN",)) as smart:
            assert final(server, "x@elsewhere.test")[-1]["result"] == "delivered"
            assert base64.b64decode(smart.sessions[0].user.split()[1]) == b"\0postel\0geheim 1"
            assert len(smart.taken()) == 1 and smart.taken()[0].tls
            for to in ("x@direct.test", "x@a.direct.test", "x@not-in-dns.direct.test"):
                submit(server, to)
                assert final(server, to)[-1]["result"] == "delivered"
            assert (len(direct.taken()), len(below.taken()), len(smart.taken())) == (1, 2, 1)
            with pytest.raises(smtplib.SMTPRecipientsRefused):  # no route, no domain
                submit(server, "x@not-in-dns.elsewhere.test")
            with Peer("127.0.9.4", port) as bobs:
                submit(server, "y@elsewhere.test", "From: bob@example.test\r\n\r\nx\r\n", "bob@example.test")
                assert final(server, "y@elsewhere.test")[-1]["result"] == "delivered"
                assert len(bobs.taken()) == 1
        assert not any(s.user for s in direct.sessions + below.sessions)
    shutil.rmtree(folder)
