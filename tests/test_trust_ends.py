"""Where trust in another server ends, seen from both ends: names and chains with DANE-TA, records behind CNAMEs, signatures
that ran out (RFC 7672), and policies of MTA-STS that ran out or cannot be fetched again (RFC 8461)."""
import os
import signal

import pytest

from lib.meet import Meeting, final, pem, results, wait_for, waits
from lib.peer import Peer
from test_mtasts import PolicyHost, certificate, pem_key

DAY = 86400


class Setting(Meeting):
    """One server of ours, and hosts with certificates of all kinds."""

    def prepare(self):
        self.anchor = certificate(["Anchor of DANE-TA"], days=20)
        self.hosts = {}
        self.policies = PolicyHost(self.folder, [f"mta-sts.{d}.test" for d in ("lasting", "renewed", "withdrawn", "silent")], self.authority)
        self.closers.append(self.policies.close)
        self.north = self.server("north.test", "anna", "bert", clock=True, options={"relay.https_port": self.policies.port})

    def host(self, domain, names, ca=None, chain=(), days=10):
        """A host whose certificate has `names`; its address. chain: what it shows above its own certificate."""
        cert, key = certificate(names, ca, days)
        path = os.path.join(self.folder, domain + ".pem")
        with open(path, "wb") as f:
            f.write(pem_key(key) + pem(cert) + b"".join(pem(c) for c in chain))
        address = self.new_address()
        self.hosts[domain] = Peer(address, self.port, cert=(path, path))
        self.closers.append(self.hosts[domain].stop)
        return address

    def anchored(self, domain, names, tlsa=(2, 0, 1), secure=True, shown=True, days=10, host=None):
        """A domain whose TLSA record names the authority of its host's certificate."""
        host = host or "mx." + domain
        self.dns.zone(domain, secure=secure)
        self.dns.mail(domain, host, self.host(domain, names, self.anchor, (self.anchor[0],) if shown else (), days))
        if tlsa:
            self.dns.tlsa(host, pem(self.anchor[0]), *tlsa, port=self.port)

    def tlsa_name(self, host):
        return f"_{self.port}._tcp.{host}"


# ---- DANE-TA: RFC 7672 3.1.2, 3.2.2 --------------------------------------------------------------------------------------

ANOTHER = "the certificate is for another name"
NO_MATCH = "none of those in the TLSA records"


def ta_cases(s):
    """Publishes; {domain: (how the first attempt ends, a word of why, or of how it was protected)}."""
    s.anchored("host.test", ["mx.host.test"])
    s.anchored("key.test", ["mx.key.test"], tlsa=(2, 1, 1))
    s.anchored("wild.test", ["*.wild.test"])
    s.anchored("hop.test", ["hop.test"])                       # the domain itself counts when the MX is secure
    s.anchored("name.test", ["mx.elsewhere.test"])
    s.anchored("part.test", ["x.mx.part.test", "test"])
    s.anchored("old.test", ["mx.old.test"], days=-1)           # of a DANE-TA chain the dates count
    s.anchored("bare.test", ["mx.bare.test"], shown=False)     # a digest of what is not shown matches nothing
    s.anchored("whole.test", ["mx.whole.test"], tlsa=(2, 0, 0), shown=False)  # the record holds all of it
    s.dns.zone("other.test")
    s.dns.mail("other.test", address=s.host("other.test", ["mx.other.test"], s.authority, (s.authority[0],)))
    s.dns.tlsa("mx.other.test", pem(s.anchor[0]), 2, 0, 1, port=s.port)
    s.anchored("two.test", ["mx.two.test"])
    s.dns.add(s.tlsa_name("mx.two.test"), "TLSA", "3 1 1 " + "ab" * 32)  # one that fits is enough
    # RFC 7672 2.2.1: who forged an insecure MX would have a certificate for the domain's name at hand: it does not count
    for domain, names in (("forged.test", ["forged.test"]), ("plain.test", ["mx.signed.plain.example.test"])):
        s.dns.zone(domain, secure=False)
        host = "mx.signed.plain.example.test" if domain == "plain.test" else "mx.signed.forged.example.test"
        s.dns.add(domain, "MX", f"10 {host}.")
        s.dns.add(host, "A", s.host(domain, names, s.anchor, (s.anchor[0],)))
        s.dns.tlsa(host, pem(s.anchor[0]), 2, 0, 1, port=s.port)
    return {"host.test": ("delivered", "DANE"), "key.test": ("delivered", "DANE"), "wild.test": ("delivered", "DANE"),
            "hop.test": ("delivered", "DANE"), "name.test": ("deferred", ANOTHER), "part.test": ("deferred", ANOTHER),
            "old.test": ("deferred", "the certificate is not valid today"), "bare.test": ("deferred", NO_MATCH), "whole.test": ("delivered", "DANE"),
            "other.test": ("deferred", NO_MATCH), "two.test": ("delivered", "DANE"), "forged.test": ("deferred", ANOTHER),
            "plain.test": ("delivered", "DANE")}


# ---- behind CNAMEs: RFC 7672 2.2.2, 2.2.3 --------------------------------------------------------------------------------

def cname_cases(s):
    s.dns.zone("far.test")
    s.dns.zone("loose.test", secure=False)
    # the host is an alias: the record stands at its end, ...
    s.dns.zone("end.test")
    s.dns.add("end.test", "MX", "10 mx.end.test.")
    s.dns.add("mx.end.test", "CNAME", "real.far.test.")
    s.dns.add("real.far.test", "A", s.host("end.test", ["real.far.test"], s.anchor, (s.anchor[0],)))
    s.dns.tlsa("real.far.test", pem(s.anchor[0]), 2, 0, 1, port=s.port)
    # ... or, when there is none, at the alias itself; the name that has it is the one that the certificate must have
    s.dns.zone("start.test")
    s.dns.add("start.test", "MX", "10 mx.start.test.")
    s.dns.add("mx.start.test", "CNAME", "real2.far.test.")
    s.dns.add("real2.far.test", "A", s.host("start.test", ["mx.start.test"], s.anchor, (s.anchor[0],)))
    s.dns.tlsa("mx.start.test", pem(s.anchor[0]), 2, 0, 1, port=s.port)
    s.dns.zone("wrongend.test")
    s.dns.add("wrongend.test", "MX", "10 mx.wrongend.test.")
    s.dns.add("mx.wrongend.test", "CNAME", "real3.far.test.")
    s.dns.add("real3.far.test", "A", s.host("wrongend.test", ["mx.wrongend.test"], s.anchor, (s.anchor[0],)))
    s.dns.tlsa("real3.far.test", pem(s.anchor[0]), 2, 0, 1, port=s.port)
    # an alias in a signed zone to a host in an unsigned one: the alias's own record holds
    s.dns.zone("leaves.test")
    s.dns.add("leaves.test", "MX", "10 mx.leaves.test.")
    s.dns.add("mx.leaves.test", "CNAME", "host.loose.test.")
    s.dns.add("host.loose.test", "A", s.host("leaves.test", ["mx.leaves.test"], s.anchor, (s.anchor[0],)))
    s.dns.tlsa("mx.leaves.test", pem(s.anchor[0]), 2, 0, 1, port=s.port)
    # an alias in an unsigned zone: nobody knows whose records those are
    s.dns.add("comes.loose.test", "MX", "10 mx.comes.loose.test.")
    s.dns.add("mx.comes.loose.test", "CNAME", "real4.far.test.")
    s.dns.add("real4.far.test", "A", s.host("comes.loose.test", ["quite.another.test"], s.anchor))
    s.dns.add(s.tlsa_name("mx.comes.loose.test"), "TLSA", "3 1 1 " + "ab" * 32)
    # the domain is an alias: both its names count (RFC 7672 3.2.2)
    s.dns.zone("names.test")
    s.dns.add("alias.names.test", "CNAME", "target.names.test.")
    s.dns.add("target.names.test", "MX", "10 mx.names.test.")
    s.dns.add("mx.names.test", "A", s.host("alias.names.test", ["target.names.test"], s.anchor, (s.anchor[0],)))
    s.dns.tlsa("mx.names.test", pem(s.anchor[0]), 2, 0, 1, port=s.port)
    # the record itself is an alias (RFC 7671 7)
    s.anchored("shared.test", ["mx.shared.test"], tlsa=None)
    s.dns.add(s.tlsa_name("mx.shared.test"), "CNAME", "anchors.far.test.")
    s.dns.add("anchors.far.test", "TLSA", *[f"3 1 1 {'cd' * 32}"])
    return {"end.test": ("delivered", "DANE"), "start.test": ("delivered", "DANE"), "wrongend.test": ("deferred", ANOTHER),
            "leaves.test": ("delivered", "DANE"), "comes.loose.test": ("delivered", "TLSv1.3"),
            "alias.names.test": ("delivered", "DANE"), "shared.test": ("deferred", NO_MATCH)}


# ---- signatures that ran out: RFC 7672 2.1.1 -----------------------------------------------------------------------------

def expired_cases(s):
    """Wherever on the way the signature is: it is not as if nothing were signed."""
    for domain in ("mxold.test", "addressold.test", "recordold.test", "aliasold.test"):
        s.anchored(domain, ["mx." + domain], host="real." + domain if domain == "aliasold.test" else None)
    s.dns.remove("aliasold.test", "MX")
    s.dns.add("aliasold.test", "MX", "10 mx.aliasold.test.")
    s.dns.add("mx.aliasold.test", "CNAME", "real.aliasold.test.")
    s.dns.fault("mxold.test", "expired")
    s.dns.fault("mx.addressold.test", "expired")
    s.dns.fault("_tcp.mx.recordold.test", "expired")
    s.dns.fault("mx.aliasold.test", "expired")
    return {"mxold.test": ("deferred", "who takes the mail of mxold.test cannot be found out now (bogus)"),
            "addressold.test": ("deferred", "the address of mx.addressold.test cannot be found out now (bogus)"),
            "recordold.test": ("deferred", "the TLSA records of mx.recordold.test cannot be had now"),
            "aliasold.test": ("deferred", "the address of mx.aliasold.test cannot be found out now (bogus)")}


# ---- policies that ran out: RFC 8461 3.3, 5.1 ----------------------------------------------------------------------------

def policy(s, domain, max_age, mode="enforce", ident="1"):
    s.dns.remove("_mta-sts." + domain)
    s.dns.add("_mta-sts." + domain, "TXT", f'"v=STSv1; id={ident}"', ttl=0)
    text = f"version: STSv1\r\nmode: {mode}\r\nmx: mx.{domain}\r\nmax_age: {max_age}\r\n"
    s.policies.answers["mta-sts." + domain] = (200, "text/plain", text)


def sts_domains(s):
    s.dns.zone("example.test")
    for domain, ca in (("lasting.test", None), ("renewed.test", s.authority), ("withdrawn.test", None), ("silent.test", None)):
        s.dns.zone(domain)
        s.dns.mail(domain, address=s.host(domain, ["mx." + domain], ca))
        s.dns.add("mta-sts." + domain, "A", "127.0.0.1")
        policy(s, domain, DAY if domain == "renewed.test" else 2 * DAY)
    return {"lasting.test": ("deferred", "certificate"), "renewed.test": ("delivered", "MTA-STS"),
            "withdrawn.test": ("deferred", "certificate"), "silent.test": ("deferred", "certificate")}


@pytest.fixture(scope="module")
def s():
    with Setting() as setting:
        of_policies, of_dane = sts_domains(setting), {**ta_cases(setting), **cname_cases(setting), **expired_cases(setting)}
        setting.cases = {**of_policies, **of_dane}
        for domain in setting.cases:
            sender = "anna@north.test" if domain in of_policies else "bert@north.test"
            setting.north.submit(sender, "x@" + domain, subject=domain)
        yield setting


def test_first_attempts(s):
    for domain, (outcome, word) in s.cases.items():
        got = final(s.north, "x@" + domain, "delivered")[-1] if outcome == "delivered" else waits(s.north, "x@" + domain, word)
        assert word in got["tls"] + got["text"], (domain, got)
        assert word in s.north.story("x@" + domain, word), domain
        texts = [mail for mail in s.hosts[domain].mails if mail.rcpts == ["x@" + domain]]
        assert len(texts) == (outcome == "delivered"), domain
        if outcome == "deferred":
            assert not any(c.startswith("MAIL") for session in s.hosts[domain].sessions for c in session.commands), domain
        elif word == "TLSv1.3":
            assert "DANE" not in got["tls"], got


def asked(s, domain):
    return sum(name == "mta-sts." + domain for name, _ in s.policies.asked)


def tried_again(s, to):
    """Waits for a further attempt."""
    before = len(results(s.north, to))
    assert wait_for(lambda: len(results(s.north, to)) > before), s.north.log_tail()
    return results(s.north, to)[before:]


def test_a_policy_lives_as_long_as_it_says(s):
    """One test, for it is one clock. Nobody can fetch lasting.test's policy again, and silent.test's DNS says no more
    that there is one: they hold until they run out, and then no longer; withdrawn.test says that it has none any more;
    renewed.test's is fetched again when its time is over."""
    for domain in ("lasting", "withdrawn", "silent"):
        waits(s.north, f"x@{domain}.test", "certificate")
    final(s.north, "x@renewed.test", "delivered")
    s.north.cli("queue", "drop", "--from", "bert@north.test")
    s.policies.answers["mta-sts.lasting.test"] = (404, "text/plain", "")
    once = asked(s, "lasting.test")
    assert once == asked(s, "withdrawn.test") == asked(s, "renewed.test") == 1
    s.dns.remove("_mta-sts.silent.test")
    # nor does it help an attacker that relay starts anew: it has them from the store
    os.kill(next(pid for pid, role in s.north.roles().items() if role == "relay"), signal.SIGKILL)
    s.north.skip(DAY + DAY // 2)
    policy(s, "withdrawn.test", 2 * DAY, mode="none", ident="2")
    got = final(s.north, "x@withdrawn.test", "delivered")[-1]
    assert "MTA-STS" not in got["tls"] and got["tls"].startswith("TLSv1.3")
    assert wait_for(lambda: asked(s, "lasting.test") > once)
    for domain in ("lasting.test", "silent.test"):
        assert {r["result"] for r in tried_again(s, "x@" + domain)} == {"deferred"}
        assert not s.hosts[domain].mails
    s.north.submit("anna@north.test", "y@renewed.test", subject="a day later")
    assert "MTA-STS" in final(s.north, "y@renewed.test", "delivered")[-1]["tls"]
    assert asked(s, "renewed.test") == 2
    s.north.skip(DAY)
    for domain in ("lasting.test", "silent.test"):
        got = final(s.north, "x@" + domain, "delivered")[-1]
        assert "MTA-STS" not in got["tls"] and got["tls"].startswith("TLSv1.3")
    assert len(s.hosts["lasting.test"].taken("x@lasting.test")) == 1
    told = s.north.story("x@lasting.test", ": delivered")
    assert told.count(": delivered") == 1 and "certificate" in told
    # it was late, which was said once, and it arrived, which was not asked for
    actions = [of[0] for of in wait_for(lambda: s.north.reports("anna@north.test").get("x@lasting.test"))]
    assert actions == ["delayed"]
