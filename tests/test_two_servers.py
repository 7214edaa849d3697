"""Two Postels, and three, that send each other mail: how well protected the way must be, what the other side can take, what
comes back when it takes nothing, and how a circle ends. All that each of them tells of it is looked at as well."""
import base64
import concurrent.futures
import os
import random
import re
import signal
import smtplib
import time

import pytest

from lib import ends
from lib.between import Between
from lib.meet import Meeting, blocks_of, final, parts_of, pem, results, wait_for, waits
from lib.peer import Peer
from lib.server import PASSWORD
from test_mtasts import PolicyHost, certificate

ALL = os.environ.get("POSTEL_CHECK_ALL") == "yes"
POLICY = "version: STSv1\r\nmode: {}\r\nmx: {}\r\nmax_age: 86400\r\n"

# domain: (what is published, what becomes of mail to it at first, words that trace has of it there, words that it has not).
# Published: "tls": nothing; a TLSA record "right", "wrong", "servfail"; a policy "enforce", "testing"; "stripped": somebody
# on the way leaves STARTTLS out.
WAYS = {
    "nothing.test": ("", "delivered", ["TLSv1.3"], ["DANE", "MTA-STS"]),
    "clear.test": ("stripped", "delivered", [], ["TLSv1", "DANE", "MTA-STS"]),
    "danevalid.test": ("right", "delivered", ["TLSv1.3", "DANE"], ["MTA-STS"]),
    "danewrong.test": ("wrong", "deferred", ["none of those in the TLSA records"], []),
    "danemissing.test": ("missing", "delivered", ["TLSv1.3"], ["DANE", "MTA-STS"]),
    "daneservfail.test": ("servfail", "deferred", ["the TLSA records of mx.daneservfail.test cannot be had now"], []),
    "danestripped.test": ("right stripped", "deferred", ["the server offers no TLS, which its domain promised"], []),
    "stsenforce.test": ("enforce trusted", "delivered", ["TLSv1.3", "MTA-STS"], ["DANE"]),
    "stsuntrusted.test": ("enforce", "deferred", ["certificate"], []),
    "stsstripped.test": ("enforce trusted stripped", "deferred", ["the server offers no TLS, which its domain promised"], []),
    "ststesting.test": ("testing", "delivered", ["TLSv1.3"], ["MTA-STS"]),
}
TRUSTED = [domain for domain, (published, *_) in WAYS.items() if "trusted" in published.split()]
IDN, IDN_A = "b\u00fccher.test", "xn--bcher-kva.test"


def publish(m, south, stripper, own):
    """DNS and policies of WAYS; own: the certificate that south shows for their names."""
    policies = PolicyHost(m.folder, ["mta-sts." + d for d in WAYS if d.startswith("sts")], m.authority)
    m.closers.append(policies.close)
    for domain, (published, *_) in WAYS.items():
        words = published.split()
        m.dns.zone(domain)
        m.dns.mail(domain, address=stripper if "stripped" in words else south.address)
        if "right" in words or "servfail" in words:
            m.dns.tlsa("mx." + domain, own, port=m.port)
        if "wrong" in words:
            m.dns.add(f"_{m.port}._tcp.mx.{domain}", "TLSA", "3 1 1 " + "ab" * 32, ttl=1)
        if "servfail" in words:
            m.dns.fault("_tcp.mx." + domain, "servfail")
        if "enforce" in words or "testing" in words:
            m.dns.add("_mta-sts." + domain, "TXT", '"v=STSv1; id=1"')
            m.dns.add("mta-sts." + domain, "A", "127.0.0.1")
            policies.answers["mta-sts." + domain] = (200, "text/plain", POLICY.format(words[0], "mx." + domain))
    return policies.port


@pytest.fixture(scope="module")
def m():
    with Meeting() as meeting:
        yield meeting


@pytest.fixture(scope="module")
def south(m):
    """South has more domains than one, and little patience."""
    south = m.server("south.test", "carl", "full", "reader", "j\u00fcrgen@" + IDN, domains=(IDN,),
                     options={"limits.smtp_rcpts": "100", "limits.smtp_mails": "10"})
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda domain: south.cli("domain", "alias", "add", domain, "south.test"), WAYS))
    south.put_key("trusted", *certificate(["mx." + d for d in TRUSTED], m.authority))
    south.process.send_signal(signal.SIGHUP)
    assert wait_for(lambda: south.shows("mx." + TRUSTED[0], "mx." + TRUSTED[0])), south.log_tail()
    between = Between(m.new_address(), m.port, (south.address, m.port), without=("STARTTLS",))
    m.closers.append(between.stop)
    m.https_port = publish(m, south, between.listener.getsockname()[0], pem(south.shown("mx.danevalid.test")))
    m.dns.zone(IDN_A, secure=False)
    m.dns.mail(IDN_A, address=south.address)
    return south


@pytest.fixture(scope="module")
def north(m, south):
    return m.server("north.test", "anna", "bert", options={"relay.https_port": str(m.https_port)})


# ---- how well protected --------------------------------------------------------------------------------------------------

def test_ways(m, north, south):
    south.cli("quota", "set", "full@south.test", "--messages", "0")
    north.submit("anna@north.test", "full@south.test", subject="full")
    for domain in WAYS:
        north.submit("anna@north.test", "carl@" + domain, subject=domain)
    for domain, (_, outcome, words, never) in WAYS.items():
        if outcome == "delivered":
            final(north, "carl@" + domain, "delivered")
        else:
            waits(north, "carl@" + domain, words[0])
        told = north.story("carl@" + domain, *words)
        assert all(w in told for w in words) and not any(w in told for w in never), told
    came = [d for d, (_, outcome, *_) in WAYS.items() if outcome == "delivered"]
    got = {mail["subject"]: mail for mail in south.inbox("carl@south.test", len(came))}
    assert sorted(got) == sorted(came)
    for domain, mail in got.items():
        assert ("with ESMTPS" in str(mail["received"])) == (domain != "clear.test"), mail["received"]
    told = south.story("carl@south.test", ": put into the mailbox")
    assert told.count("received from mx.north.test [127.0.0.1] (TLSv1.3") == len(came) - 1, told
    assert told.count("received from mx.north.test [127.0.0.1] (not encrypted") == 1, told
    by_alias = south.cli("trace", "carl@nothing.test")  # by the name that it was sent to
    assert "received from" in by_alias and "<carl@nothing.test>: forwarded here to <carl@south.test>" in by_alias, by_alias
    # what waits, waits for a mended world: test_mended
    waits(north, "full@south.test", "4.2.2")
    south.cli("quota", "set", "full@south.test", "--messages", "10")
    m.dns.fault("_tcp.mx.daneservfail.test")
    m.dns.remove(f"_{m.port}._tcp.mx.danewrong.test")
    m.dns.tlsa("mx.danewrong.test", pem(south.shown("mx.danevalid.test")), port=m.port)


# ---- what the other side can take ----------------------------------------------------------------------------------------

def test_names_in_utf8_both_ways(north, south):
    juergen = "j\u00fcrgen@" + IDN
    before = len(north.inbox_now("bert@north.test"))
    north.submit("bert@north.test", juergen, subject="gr\u00fc\u00dfe")
    mail = south.inbox(juergen)[0]
    assert mail["subject"] == "gr\u00fc\u00dfe" and mail["return-path"] == "<bert@north.test>"
    assert "UTF8SMTPS" in str(mail["received"])
    south.submit(juergen, "bert@north.test", subject="zur\u00fcck")
    mail = north.inbox("bert@north.test", before + 1)[-1]
    assert mail["subject"] == "zur\u00fcck" and mail["return-path"] == f"<{juergen}>", mail["return-path"]
    # and what cannot be delivered is told in UTF-8 as well (RFC 6533)
    north.submit("bert@north.test", "niemand-\u00e4@" + IDN)
    south.submit(juergen, "nobody4@north.test")
    final(north, "niemand-\u00e4@" + IDN, "failed")
    report = north.inbox("bert@north.test", before + 2)[-1]
    of = parts_of(report)[0]
    assert of["Final-Recipient"].startswith("utf-8") and "niemand-" in of["Final-Recipient"] and of["Status"] == "5.1.1"
    report = wait_for(lambda: [r for r in south.inbox_now(juergen) if r["subject"] != "gr\u00fc\u00dfe"])
    assert len(report) == 1 and parts_of(report[0])[0]["Final-Recipient"].endswith("nobody4@north.test")


def test_no_more_recipients_than_it_takes(north, south):
    """LIMITS RCPTMAX=100 (RFC 9422): three transactions, nobody is refused."""
    before = len(south.inbox_now("carl@south.test"))
    to = [f"carl+{i}@south.test" for i in range(250)]
    north.submit("anna@north.test", to, subject="many")
    for t in to:
        assert [r["result"] for r in final(north, t)] == ["delivered"]
    assert len([m for m in south.inbox("carl@south.test", before + 3) if m["subject"] == "many"]) == 3
    assert "why=4.5.3" not in south.log_text()


def test_no_more_messages_than_it_takes(north, south):
    """LIMITS MAILMAX=10: a session ends before it is ended."""
    before = len(south.inbox_now("carl@south.test"))
    north.cli("queue", "suspend", "south.test")
    to = [f"carl+m{i}@south.test" for i in range(25)]
    for t in to:
        north.submit("anna@north.test", t, subject="much")
    north.cli("queue", "resume", "south.test")
    for t in to:
        assert [r["result"] for r in final(north, t)] == ["delivered"], results(north, t)
    south.inbox("carl@south.test", before + 25)
    assert "That was enough" not in north.log_text()


def test_big_in_chunks_and_not(m, north, south):
    """The same octets by BDAT, and by DATA to who says nothing of CHUNKING."""
    before = len(south.inbox_now("carl@south.test"))
    plain = Between(m.new_address(), m.port, (south.address, m.port), without=("STARTTLS", "CHUNKING", "PIPELINING"))
    chunks = Between(m.new_address(), m.port, (south.address, m.port), without=("STARTTLS",))
    m.closers += [plain.stop, chunks.stop]
    lines = "".join(f"{'.' * (i % 4)}{i} {'x' * (i * 37 % 900)}\r\n" for i in range(3000))
    for name, way in (("plain", plain), ("chunks", chunks)):
        m.dns.zone(name + ".test", secure=False)
        m.dns.mail(name + ".test", address=way.listener.getsockname()[0])
        south.cli("domain", "alias", "add", name + ".test", "south.test")
        north.submit("anna@north.test", f"carl@{name}.test", f"From: anna@north.test\r\nSubject: {name}\r\n\r\n{lines}")
        final(north, f"carl@{name}.test", "delivered")
    got = {mail["subject"]: mail for mail in south.inbox("carl@south.test", before + 2)}
    for name in ("plain", "chunks"):
        assert got[name].get_payload() == lines
    assert b"BDAT " in chunks.said[-1] and b"DATA\r\n" not in chunks.said[-1].split(b"BDAT")[0]
    assert b"\r\nDATA\r\n" in plain.said[-1] and b"BDAT" not in plain.said[-1]


PIECES = [b".", b"..", b"\r\n", b"\r\n.", b"\r\n.\r\n", b"\r\n..\r\n", b"\r\n\r\n", b"\r\n. \r\n", b"x", b" ", b"QUIT\r\n", b"y" * 1500,
          b"\r\nMAIL FROM:<eve@evil.test>\r\nRCPT TO:<carl@south.test>\r\nDATA\r\n", b"BDAT 5 LAST\r\n", "\u00e4".encode(), b"\\r\\n.\\r\\n"]
BARE = [b"\r", b"\n", b"\0", b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r"]


def hand_in(north, to, bodies):
    """By BDAT, which takes any octets; those that were taken."""
    taken, smtp = [], None
    for n, body in enumerate(bodies):
        if smtp is None:
            smtp = smtplib.SMTP("127.0.0.1", north.port["submission"], "client.example.test", timeout=60)
            smtp.ehlo()
            assert smtp.docmd("AUTH", "PLAIN " + base64.b64encode(f"\0anna@north.test\0{PASSWORD}".encode()).decode())[0] == 235
        assert smtp.docmd("MAIL FROM:<anna@north.test>", "BODY=8BITMIME")[0] == smtp.docmd(f"RCPT TO:<{to(n)}>")[0] == 250
        text = b"From: anna@north.test\r\nSubject: any octets\r\n\r\n" + body
        smtp.send(b"BDAT %d LAST\r\n" % len(text) + text)
        code, said = smtp.getreply()
        assert (code == 250) == (not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", body)), (body, said)
        if code == 250:
            taken.append(n)
        else:  # SEC-02: nothing more is heard there
            smtp.close()
            smtp = None
    if smtp:
        smtp.quit()
    return taken


def test_one_message_to_every_reader(m, north, south):
    """SEC-03: whatever octets came in: what went out is read alike by six readers of ends of data, and is what was stored."""
    count, rng = 300 if ALL else 40, random.Random()
    bodies = [b"", b".", b".\r\n", b"no end"] + [
        b"".join(rng.choice(PIECES if rng.random() < 0.99 else BARE) for _ in range(rng.randrange(60))) for _ in range(count)]
    for name in ("plain", "chunks"):
        domain = f"{name}.readers.test"
        between = Between(m.new_address(), m.port, (south.address, m.port), ("STARTTLS",) + ("CHUNKING",) * (name == "plain"))
        m.closers.append(between.stop)
        m.dns.zone(domain, secure=False)
        m.dns.mail(domain, address=between.listener.getsockname()[0])
        south.cli("domain", "alias", "add", domain, "south.test")
        taken = hand_in(north, lambda n: f"reader+{n}@{domain}", bodies)
        assert len(taken) > count // 4
        for n in taken:
            final(north, f"reader+{n}@{domain}", "delivered")
        heard = list(between.said)  # the last QUIT may still be on its way
        seen = {reader: [ends.read(said, reader) for said in heard] for reader in ends.READERS}
        strict = seen["CRLF.CRLF only"]
        for reader, got in seen.items():
            assert got == strict, reader
        commands = [c for of, _ in strict for c in of]
        assert sum(c.startswith(b"MAIL") for c in commands) == len(taken) and not any(b"evil" in c for c in commands)
        # a last line without its end got one when it came in
        want = sorted(bodies[n] + (b"\r\n" if bodies[n] and not bodies[n].endswith(b"\r\n") else b"") for n in taken)
        sent = sorted(text.split(b"\r\n\r\n", 1)[1] for _, texts in strict for text in texts)
        assert sent == want
        stored = south.octets("reader@south.test", empty=True)
        assert sorted(text.split(b"\r\n\r\n", 1)[1] for text in stored) == want


def test_dsn_parameters(north, south):
    """South knows no senders and announces no DSN: north says how far it came, as it was asked to (RFC 3461 5.2.2)."""
    asked = {"options": ["ENVID=one+2Btwo", "RET=HDRS"]}
    for to, notify in (("carl+d@south.test", "NOTIFY=SUCCESS,FAILURE"), ("carl+e@south.test", "NOTIFY=FAILURE"),
                       ("nobody1@south.test", "NOTIFY=SUCCESS,FAILURE"), ("nobody2@south.test", "NOTIFY=NEVER")):
        north.submit("bert@north.test", to, rcpt_options=[notify, "ORCPT=rfc822;X+2B" + to.replace("+", "+2B")], **asked)
        final(north, to)
    wait_for(lambda: {"carl+d@south.test", "nobody1@south.test"} <= set(north.reports("bert@north.test")))
    told = north.reports("bert@north.test")
    assert told["carl+d@south.test"][0][0] == "relayed" and told["nobody1@south.test"][0][:2] == ("failed", "5.1.1")
    assert not {"carl+e@south.test", "nobody2@south.test"} & set(told)
    mine = [r for r in north.inbox_now("bert@north.test") if r.get_content_type() == "multipart/report"
            and parts_of(r)[0]["Final-Recipient"].endswith("nobody1@south.test")]
    assert len(mine) == 1
    original = list(mine[0].iter_parts())[2]
    assert blocks_of(mine[0])[0]["Original-Envelope-Id"] == "one+two"
    assert parts_of(mine[0])[0]["Original-Recipient"] == "rfc822;X+nobody1@south.test"
    assert original.get_content_type() == "text/rfc822-headers"


# ---- what comes back -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("turn", [0, 1])
def test_a_bounce_comes_back(north, south, turn):
    here, there, who = [(north, south, "anna@north.test"), (south, north, "carl@south.test")][turn]
    to = "nobody@" + there.domain
    here.submit(who, to, subject="is anybody there")
    assert [r["status"] for r in final(here, to, "failed")] == ["5.1.1"]
    assert wait_for(lambda: here.reports(who).get(to))
    told = here.reports(who)[to]
    assert [t[:2] for t in told] == [("failed", "5.1.1")] and "550" in told[0][2]
    words = ["failed for good", f"<{to}>: report sent to <{who}> (failed; "]
    story = here.story(results(here, to)[0]["id"], *words)
    assert all(w in story for w in words), story


def from_outside(server, to, sender="eve@third.test", subject="from outside"):
    with smtplib.SMTP("127.0.0.1", server.port["smtp"], "client.third.test", timeout=60) as smtp:
        smtp.sendmail(sender, [to], f"From: {sender}\r\nSubject: {subject}\r\n\r\nx\r\n")


def test_forwarded_with_srs(m, north, south):
    """What an alias sends on has a reverse-path of the forwarder; a bounce to that goes on to who wrote it; when nobody
    takes it there, who answers for the alias is told, and nobody else."""
    m.dns.zone("third.test", secure=False)
    third = Peer(m.new_address(), m.port)
    m.closers.append(third.stop)
    m.dns.mail("third.test", address=third.listener.getsockname()[0])
    north.cli("alias", "add", "away@north.test", "carl@south.test")
    north.cli("alias", "add", "lost@north.test", "nobody3@south.test")
    from_outside(north, "away@north.test", subject="forwarded")
    mail = wait_for(lambda: [x for x in south.inbox_now("carl@south.test") if x["subject"] == "forwarded"])[0]
    srs = mail["return-path"].strip("<>")
    assert srs.startswith("SRS0=") and srs.endswith("@north.test"), srs
    assert "away@north.test" in mail.get_all("delivered-to")
    from_outside(north, srs, sender="", subject="cannot deliver")
    assert wait_for(lambda: third.taken("eve@third.test")), north.log_tail()
    assert third.taken()[0].sender == "" and b"cannot deliver" in third.taken()[0].text
    from_outside(north, "lost@north.test")
    final(north, "nobody3@south.test", "failed")
    assert wait_for(lambda: north.reports("anna@north.test").get("nobody3@south.test"))
    assert len(third.mails) == 1


# ---- circles -------------------------------------------------------------------------------------------------------------

def test_a_circle_of_three_ends(m, north, south):
    """SEC-19: aliases of three servers that lead to each other: each message goes round once, and one report tells of it.
    It is for whom the last alias belongs to: north has done its part, and who wrote is nobody that west knows."""
    west = m.server("west.test", "dora")
    ring = [(north, "ring@north.test"), (south, "ring@south.test"), (west, "ring@west.test")]
    for i, (server, address) in enumerate(ring):
        server.cli("alias", "add", address, ring[(i + 1) % 3][1])
    from_outside(north, "ring@north.test", subject="round and round")
    north.submit("anna@north.test", "ring@north.test", subject="once more")
    wait_for(lambda: len(results(west, "ring@north.test")) >= 2)
    assert wait_for(lambda: len(west.reports("dora@west.test").get("ring@north.test", ())) >= 2), west.log_tail()
    time.sleep(0.5)
    assert [told[:2] for told in west.reports("dora@west.test")["ring@north.test"]] == [("failed", "5.4.6")] * 2
    assert len(west.inbox_now("dora@west.test")) == 2 and wait_for(lambda: not west.queued())
    for server, nxt in ((north, "ring@south.test"), (south, "ring@west.test")):
        assert [r["result"] for r in results(server, nxt)] == ["delivered"] * 2
    assert "5.4.6" in west.story("ring@north.test", "5.4.6")


# ---- in the end ----------------------------------------------------------------------------------------------------------

def test_mended(north, south):
    """What waited at first has gone, once each, in the way that it should; what must not go still waits."""
    for domain in ("daneservfail.test", "danewrong.test"):
        assert "DANE" in final(north, "carl@" + domain, "delivered")[-1]["tls"]
    final(north, "full@south.test", "delivered")
    assert len(south.inbox("full@south.test")) == 1
    assert north.story("full@south.test", ": delivered").count(": delivered") == 1
    assert wait_for(lambda: len(north.queued()) == 3), north.queued()
    never = ("danestripped.test", "stsuntrusted.test", "stsstripped.test")
    for domain in never:
        assert {r["result"] for r in results(north, "carl@" + domain)} == {"deferred"}
    assert sorted(to for to, _ in north.queued()) == sorted(f"<carl@{domain}>" for domain in never)
    subjects = [mail["subject"] for mail in south.inbox_now("carl@south.test")]
    for domain in WAYS:
        assert subjects.count(domain) == (domain not in never), domain


def test_one_report_each(north, south):
    """Of all that was sent here: what failed was told once, and nothing else."""
    failed = {"nobody@south.test": 1, "nobody3@south.test": 1}
    assert {to: len(told) for to, told in north.reports("anna@north.test").items()} == failed
    assert {to: len(told) for to, told in south.reports("carl@south.test").items()} == {"nobody@north.test": 1}
    assert all(len(told) == 1 for told in north.reports("bert@north.test").values())
    assert wait_for(lambda: not south.queued())
