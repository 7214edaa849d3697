"""Postel and somebody else's server, the npm package smtp-server, which refuses, breaks off or is late at each step: what goes
out, what is tried again, what is told, once each (T16)."""
import os

import pytest

from lib import npm
from lib.meet import Meeting, final, pem, results, wait_for
from test_mtasts import certificate, pem_key

pytestmark = pytest.mark.skipif(os.environ.get("POSTEL_CHECK_ALL") != "yes", reason="with --all; test_relay.py has the like")
SLOW_S = 5  # how long an answer may take; smtp-server takes twice as long where it is to be slow

# name: (play of smtp-server.js, options of smtp-server, how the attempts end, how often the text arrived whole and unanswered)
SOON, OK, NEVER = ["deferred", "delivered"], ["delivered"], ["failed"]
QUICK_PLAYS = {
    "fine": ("fine-", {"hideDSN": False}, OK, 0),
    "connect4": ("connect-421-once", {}, SOON, 0),
    "connect5": ("connect-5-once", {}, SOON, 0),
    "connectdrop": ("connect-drop-once", {}, SOON, 0),
    "mail4": ("mail-4-once", {}, SOON, 0),
    "mail5": ("mail-5", {}, NEVER, 0),
    "maildrop": ("mail-drop-once", {}, SOON, 0),
    "mail421": ("mail-421-once", {}, SOON, 0),
    "rcpt4": ("rcpt-4-once", {}, SOON, 0),
    "rcpt5": ("rcpt-5", {}, NEVER, 0),
    "rcptdrop": ("rcpt-drop-once", {}, SOON, 0),
    "rcpt421": ("rcpt-421-once", {}, SOON, 0),
    "begindrop": ("begin-drop-once", {}, SOON, 0),
    "data4": ("data-4-once", {}, SOON, 0),
    "data5": ("data-5", {}, NEVER, 0),
    "datadrop": ("data-drop-once", {}, SOON, 1),
    "data421": ("data-421-once", {}, SOON, 0),
    # what it can do, or cannot
    "alone": ("fine-", {"hidePIPELINING": True, "hide8BITMIME": True, "hideSMTPUTF8": True}, OK, 0),
    "small": ("fine-", {"size": 100}, NEVER, 0),
    "lmtp": ("fine-", {"lmtp": True}, NEVER, 0),       # takes neither EHLO nor HELO
    "login": ("fine-", {"authOptional": False, "disabledCommands": []}, NEVER, 0),  # 530: mail only from its own people
    # TLS, where nothing is promised
    "tls": ("fine-", {"tls": True}, OK, 0),
    "tlsold": ("fine-", {"tls": True, "maxVersion": "TLSv1.1", "minVersion": "TLSv1"}, OK, 0),
    "tlsdrop": ("secure-drop", {"tls": True}, OK, 0),
    # TLS, where DANE promises it: never in clear
    "danefine": ("fine-", {"tls": True, "dane": "right"}, OK, 0),
    "danewrong": ("fine-", {"tls": True, "dane": "wrong"}, None, 0),
    "danenotls": ("fine-", {"dane": "wrong"}, None, 0),
    "daneold": ("fine-", {"tls": True, "dane": "right", "maxVersion": "TLSv1.1", "minVersion": "TLSv1"}, None, 0),
    "danedrop": ("secure-drop", {"tls": True, "dane": "right"}, None, 0),
}
SLOW_PLAYS = {
    "fine": ("fine-", {}, OK, 0),
    "connectslow": ("connect-slow-once", {}, SOON, 0),
    "mailslow": ("mail-slow-once", {}, SOON, 0),
    "rcptslow": ("rcpt-slow-once", {}, SOON, 0),
    "dataslow": ("data-slow-once", {}, SOON, 1),
    "tlsonly": ("fine-", {"tls": True, "secure": True}, None, 0),  # waits for TLS where we wait for a greeting
}


class Setting(Meeting):
    def __init__(self, plays, options):
        super().__init__()
        self.plays, self.options = plays, options

    def prepare(self):
        npm.install()
        self.dns.zone("npm.test", secure=False)
        self.dns.zone("dane.test")
        hosts = {name: self.host(name, *row) for name, row in self.plays.items()}
        self.npm = npm.Running("smtp-server.js", {"port": self.port, "hosts": hosts, "slow_ms": 2000 * SLOW_S})
        self.closers.append(self.npm.stop)
        assert wait_for(lambda: self.npm.said), self.npm.process.poll()
        self.north = self.server("north.test", "anna", options=self.options)

    def host(self, name, play, options, *_):
        domain, address, options = self.domain(name), self.new_address(), dict(options)
        self.dns.mail(domain, address=address)
        tls, dane, more = options.pop("tls", False), options.pop("dane", None), {}
        if tls:
            cert, key = certificate(["mx." + domain])
            files = {"cert": pem(cert), "key": pem_key(key)}
            for kind, text in files.items():
                more[kind] = os.path.join(self.folder, f"{name}.{kind}")
                with open(more[kind], "wb") as f:
                    f.write(text)
        if dane == "right":
            self.dns.tlsa("mx." + domain, pem(cert), port=self.port)
        elif dane == "wrong":
            self.dns.add(f"_{self.port}._tcp.mx.{domain}", "TLSA", "3 1 1 " + "ab" * 32)
        return {"address": address, "play": play, "options": options, **more}

    @staticmethod
    def domain(name):
        return f"{name}.{'dane' if name.startswith('dane') else 'npm'}.test"

    def taken(self, name, answered):
        return [x for x in self.npm.said if x.get("host") == name and x["answered"] == answered]

    def send_all(self):
        for name in self.plays:
            self.north.submit("anna@north.test", f"x@{self.domain(name)}", subject=name)


def check(s):
    s.send_all()
    for name, (play, _, outcomes, unanswered) in s.plays.items():
        to = f"x@{s.domain(name)}"
        if outcomes is None:
            assert wait_for(lambda: len(results(s.north, to)) > 1), to
            assert {r["result"] for r in results(s.north, to)} == {"deferred"}, results(s.north, to)
        else:
            got = [r["result"] for r in final(s.north, to)]
            assert got == outcomes, (to, results(s.north, to))
        arrived = outcomes is not None and outcomes[-1] == "delivered"
        assert wait_for(lambda: len(s.taken(name, "yes")) == arrived), (name, s.npm.said)
        assert len(s.taken(name, "never")) == unanswered, (name, s.npm.said)
        assert ("queue.maybe_twice" in "".join(x for x in s.north.log_text().splitlines() if f"to={to}" in x)) == (unanswered > 0)
        story = s.north.story(to, *[f"<{to}>: delivered"] * arrived, *["failed for good"] * (outcomes == NEVER))
        assert story.count(f"<{to}>: delivered") == arrived and story.count("failed for good") == (outcomes == NEVER), story
    failed = {f"x@{s.domain(name)}" for name, row in s.plays.items() if row[2] == NEVER}
    assert wait_for(lambda: set(s.north.reports("anna@north.test")) >= failed)
    told = s.north.reports("anna@north.test")
    assert set(told) == failed and all(len(of) == 1 and of[0][0] == "failed" for of in told.values()), told
    waiting = {f"<x@{s.domain(name)}>" for name, row in s.plays.items() if row[2] is None}
    assert wait_for(lambda: {to for to, _ in s.north.queued()} == waiting), s.north.queued()


@pytest.fixture(scope="module")
def s():
    with Setting(QUICK_PLAYS, {}) as setting:
        yield setting


def test_refusals_and_breaks(s):
    check(s)
    for name in ("tls", "tlsold", "tlsdrop", "danefine"):
        assert [x["secure"] for x in s.taken(name, "yes")] == [name in ("tls", "danefine")], name


def test_what_it_was_told(s):
    """DSN parameters, more than one recipient of whom one is refused, addresses in UTF-8."""
    s.north.submit("anna@north.test", ["x@fine.npm.test", "y@fine.npm.test"], subject="dsn", options=["RET=HDRS", "ENVID=e+2B1"],
                   rcpt_options=["NOTIFY=SUCCESS,FAILURE"])
    s.north.submit("anna@north.test", "gr\u00fc\u00dfe@fine.npm.test", subject="utf8")
    final(s.north, "y@fine.npm.test", "delivered")
    final(s.north, "gr\u00fc\u00dfe@fine.npm.test", "delivered")
    dsn = next(x for x in s.taken("fine", "yes") if len(x["to"]) == 2)
    assert "HDRS" in str(dsn["dsn"]["mail"]) and "e" in str(dsn["dsn"]["mail"])
    assert all("SUCCESS" in str(of) and "FAILURE" in str(of) for of in dsn["dsn"]["rcpt"])
    utf8 = next(x for x in s.taken("fine", "yes") if x["to"] == ["gr\u00fc\u00dfe@fine.npm.test"])
    assert utf8["utf8"] is True, utf8
    s.north.submit("anna@north.test", "gr\u00fc\u00dfe@alone.npm.test", subject="utf8")
    assert final(s.north, "gr\u00fc\u00dfe@alone.npm.test", "failed")[-1]["status"] == "5.6.7"


def test_slowness():
    options = {f"limits.relay_{what}_s": str(SLOW_S) for what in ("greeting", "command", "data", "final")}
    with Setting(SLOW_PLAYS, options) as setting:
        check(setting)
