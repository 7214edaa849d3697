"""Postel and Postfix, both ways: mail arrives, waits and goes then, comes back with a report that the other side understands;
with STARTTLS, addresses in UTF-8, ten megabytes, many recipients, a circle."""
import email
import email.policy
import os
import smtplib

import pytest

from lib.meet import Meeting, blocks_of, final, parts_of, pem, results, wait_for, waits
from lib.peer import Peer
from lib.postfix import Postfix
from test_mtasts import certificate, pem_key

pytestmark = pytest.mark.skipif(os.environ.get("POSTEL_CHECK_ALL") != "yes" or not Postfix.installed(),
                                reason="with --all, where Postfix is and we are root")

UTF8 = "gr\u00fc\u00dfe@post.test"
SETTINGS = """smtpd_tls_cert_file = {cert}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = may
smtpd_tls_received_header = yes
smtp_tls_security_level = may
smtp_dns_support_level = disabled
transport_maps = hash:{dir}/transport
virtual_alias_maps = hash:{dir}/virtual
smtpd_recipient_restrictions = check_recipient_access hash:{dir}/access, permit_mynetworks, reject
smtpd_relay_restrictions = permit_mynetworks, reject
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
message_size_limit = 30000000
mailbox_size_limit = 0
virtual_mailbox_limit = 0
"""


class Setting(Meeting):
    """north.test is Postel's; post.test is Postfix's, which also takes all for void.test, whose own server then
    knows nobody."""

    def prepare(self):
        self.north = self.server("north.test", "anna", "bert")
        cert, key = certificate(["mx.post.test"])
        files = {"cert": pem(cert), "key": pem_key(key)}
        for kind, text in files.items():
            with open(os.path.join(self.folder, kind), "wb") as f:
                f.write(text)
        address, void = self.new_address(), self.new_address()
        self.closers.append(Peer(void, self.port, [{"rcpt": "550 5.1.1 nobody lives there"}]).stop)
        settings = SETTINGS.replace("{cert}", os.path.join(self.folder, "cert")).replace("{key}", os.path.join(self.folder, "key"))
        self.postfix = Postfix(settings, address=address, port=self.port, host="mx.post.test", domains="post.test",
                               mailboxes="hash:{dir}/boxes, regexp:{dir}/many.regexp", maps={
                                   "transport": f"north.test smtp:[{self.north.address}]:{self.port}\n"
                                                f"void.test smtp:[{void}]:{self.port}\n",
                                   "virtual": "away@post.test nobody1@north.test\nring@post.test ring@north.test\n",
                                   "access": "later@post.test 450 4.2.0 later\nnever@post.test 550 5.7.1 never\n",
                                   "boxes": f"pat@post.test pat/\nlater@post.test later/\n{UTF8} utf8/\n",
                                   "many.regexp": "/^u[0-9]+@post\\.test$/ many/\n"})
        self.closers.append(self.postfix.close)
        for domain in ("post.test", "void.test"):
            self.dns.zone(domain, secure=False)
            self.dns.mail(domain, address=address)
        self.address = address

    def box(self, who, subject, want=1):
        """The messages with that subject in a mailbox of Postfix's, once there are so many."""
        def found():
            mails = [email.message_from_bytes(m, policy=email.policy.SMTPUTF8) for m in self.postfix.messages(who)]
            return [m for m in mails if subject in str(m["subject"])]
        got = wait_for(lambda: (g := found()) and len(g) >= want and g)
        assert got, f"{who}: {[m['subject'] for m in found()]}\n{self.postfix.log_text()[-1500:]}\n{self.north.log_tail(5)}"
        return got

    def mine(self, who, subject, want=1):
        """The same of Postel's."""
        def found():
            return [m for m in self.north.inbox_now(who) if subject in str(m["subject"])]
        got = wait_for(lambda: (g := found()) and len(g) >= want and g)
        assert got, f"{who}: {[m['subject'] for m in self.north.inbox_now(who)]}\n{self.postfix.log_text()[-3000:]}"
        return got

    def told(self, who, about):
        """The one report on a recipient in a mailbox of Postel's: (its fields of the message, of the recipient, the report)."""
        def found():
            return [m for m in self.north.inbox_now(who) if m.get_content_type() == "multipart/report"
                    and any(of["Final-Recipient"].endswith(about) for of in parts_of(m))]
        got = wait_for(found)
        assert got and len(got) == 1, f"{len(got)} reports on {about}\n{self.postfix.log_text()[-3000:]}"
        return blocks_of(got[0])[0], parts_of(got[0])[0], got[0]

    def send(self, to, subject, sender="pat@post.test", options=(), rcpt_options=(), text="body\r\n"):
        """Hands in at Postfix."""
        to = [to] if isinstance(to, str) else to
        with smtplib.SMTP(self.address, self.port, "client.post.test", timeout=60) as smtp:
            smtp.command_encoding = "utf-8"
            message = f"From: {sender}\r\nTo: {to[0]}\r\nSubject: {subject}\r\n\r\n{text}"
            assert smtp.sendmail(sender, to, message.encode(), mail_options=options, rcpt_options=rcpt_options) == {}


@pytest.fixture(scope="module")
def s():
    with Setting() as setting:
        yield setting


def lines(size):
    return "".join(f"{'.' * (i % 3)}{i} {'x' * (i * 37 % 900)}\r\n" for i in range(size // 460))


def test_both_ways(s):
    """Also what waits at first, for it goes meanwhile."""
    s.north.cli("quota", "set", "bert@north.test", "--messages", "0")
    s.north.submit("anna@north.test", "later@post.test", subject="waits at postfix")
    s.send("bert@north.test", "waits at postel")
    s.north.submit("anna@north.test", "pat@post.test", subject="there")
    s.send("anna@north.test", "and back")
    there, back = s.box("pat", "there")[0], s.mine("anna@north.test", "and back")[0]
    assert there["return-path"] == "<anna@north.test>" and "using TLSv1.3" in str(there.get_all("received")[0]), there["received"]
    assert there.get_payload().replace("\r\n", "\n") == "the body\n.a dot\n"
    assert back["return-path"] == "<pat@post.test>" and "with ESMTPS" in str(back.get_all("received")[0]), back["received"]
    assert "TLSv1.3" in s.north.story("pat@post.test", ": delivered")
    waits(s.north, "later@post.test", "4.2.0")
    assert wait_for(lambda: "to=<bert@north.test>" in s.postfix.log_text() and "status=deferred" in s.postfix.log_text())
    s.north.cli("quota", "set", "bert@north.test", "--messages", "100")
    s.postfix.write("access", "never@post.test 550 5.7.1 never\n")


def test_names_in_utf8(s):
    s.north.submit("anna@north.test", UTF8, subject="gr\u00fc\u00dfe")
    assert s.box("utf8", "gr\u00fc\u00dfe")[0]["return-path"] == "<anna@north.test>"
    s.send("anna@north.test", "zur\u00fcck", sender=UTF8, options=["SMTPUTF8", "BODY=8BITMIME"])
    mail = s.mine("anna@north.test", "zur\u00fcck")[0]
    assert mail["return-path"] == f"<{UTF8}>" and "UTF8SMTPS" in str(mail.get_all("received")[0])


def test_reports_of_postfix(s):
    """Refused at RCPT the report is Postel's, behind the 250 it is Postfix's, also when all went well: one each."""
    asked = {"options": ["ENVID=one", "RET=HDRS"]}
    for to, notify in (("never@post.test", "FAILURE"), ("x@void.test", "FAILURE"), ("pat@post.test", "SUCCESS")):
        s.north.submit("anna@north.test", to, subject="dsn", rcpt_options=["NOTIFY=" + notify, "ORCPT=rfc822;o." + to], **asked)
    for to, reporter, action in (("never@post.test", "mx.north.test", "failed"), ("x@void.test", "mx.post.test", "failed"),
                                 ("pat@post.test", "mx.post.test", "delivered")):
        of_message, of, _ = s.told("anna@north.test", to)
        assert reporter in of_message["Reporting-MTA"] and of_message["Original-Envelope-Id"] == "one"
        assert of["Action"] == action and of["Original-Recipient"].replace(" ", "") == "rfc822;o." + to
    assert [r["result"] for r in results(s.north, "x@void.test")] == ["delivered"]


def test_reports_of_postel(s):
    """Whom Postel refuses, Postfix reports on; what Postel takes without DSN, Postfix calls relayed."""
    s.send("nobody2@north.test", "refused")
    s.send("anna@north.test", "taken", rcpt_options=["NOTIFY=SUCCESS"])
    assert wait_for(lambda: len([m for m in s.postfix.messages("pat") if b"multipart/report" in m]) == 2)
    told = {}
    for m in s.postfix.messages("pat"):
        report = email.message_from_bytes(m, policy=email.policy.SMTPUTF8)
        if report.get_content_type() == "multipart/report":
            of = parts_of(report)[0]
            told[of["Final-Recipient"].split(";")[1].strip()] = (of["Action"], of["Status"][0])
    assert told == {"nobody2@north.test": ("failed", "5"), "anna@north.test": ("relayed", "2")}


def test_a_report_of_postel_in_a_mailbox_of_postfix(s):
    """What bert wrote under another name of his; before it fails, that name leads to Postfix."""
    s.north.cli("alias", "add", "pen@north.test", "bert@north.test")
    s.north.cli("queue", "suspend", "void.test")
    with smtplib.SMTP("127.0.0.1", s.north.port["submission"], timeout=60) as smtp:
        smtp.login("bert@north.test", "correct horse")
        smtp.sendmail("pen@north.test", ["gone@void.test"], "From: pen@north.test\r\nSubject: under another name\r\n\r\nx\r\n")
    s.north.cli("alias", "remove", "pen@north.test")
    s.north.cli("alias", "add", "pen@north.test", "pen-friend@post.test")
    s.postfix.write("boxes", f"pat@post.test pat/\nlater@post.test later/\npen-friend@post.test pen/\n{UTF8} utf8/\n")
    s.north.cli("queue", "bounce", "--to", "gone@void.test")
    report = s.box("pen", "")[0]
    assert report["return-path"] == "<>" and report.get_content_type() == "multipart/report"
    assert parts_of(report)[0]["Final-Recipient"] == "rfc822; gone@void.test" and parts_of(report)[0]["Action"] == "failed"
    s.north.cli("queue", "resume", "void.test")


def test_what_an_alias_sends_on_comes_back(s):
    """Postfix takes what Postel forwards, finds nobody, and reports to the address that Postel made (SRS): that goes on to who
    wrote. The other way round Postfix keeps the sender, and Postel's refusal comes back to anna."""
    s.north.cli("alias", "add", "away@north.test", "y@void.test")
    s.send("away@north.test", "by way of postel")
    assert wait_for(lambda: [m for m in s.postfix.messages("pat") if b"y@void.test" in m and b"multipart/report" in m])
    assert results(s.north, "y@void.test")[-1]["result"] == "delivered"
    report = [email.message_from_bytes(m, policy=email.policy.SMTP) for m in s.postfix.messages("pat") if b"y@void.test" in m]
    assert len(report) == 1 and report[0]["return-path"] == "<>"
    s.north.submit("anna@north.test", "away@post.test", subject="by way of postfix")
    of_message, of, _ = s.told("anna@north.test", "nobody1@north.test")
    assert "mx.post.test" in of_message["Reporting-MTA"] and of["Status"] == "5.1.1"


def test_a_circle_ends(s):
    s.north.cli("alias", "add", "ring@north.test", "ring@post.test")
    s.north.submit("bert@north.test", "ring@north.test", subject="round")
    _, of, _ = s.told("bert@north.test", "ring@north.test")
    assert of["Status"] == "5.4.6" and len(results(s.north, "ring@post.test")) == 1


def test_big_and_many(s):
    big = lines(10 << 20)
    s.north.submit("anna@north.test", "pat@post.test", f"From: anna@north.test\r\nSubject: big there\r\n\r\n{big}")
    s.send("anna@north.test", "big back", text=big)
    to = [f"u{i}@post.test" for i in range(200)]
    s.north.submit("anna@north.test", to, subject="many there")
    s.send([f"anna+{i}@north.test" for i in range(200)], "many back")
    assert len(s.mine("anna@north.test", "many back", want=4)) == 4  # Postfix says at most 50 at a time
    assert len(s.box("many", "many there", want=200)) == 200
    assert {r["result"] for t in to for r in results(s.north, t)} == {"delivered"}
    assert s.mine("anna@north.test", "big back")[0].get_payload() == big
    assert s.box("pat", "big there")[0].get_payload().replace("\r\n", "\n") == big.replace("\r\n", "\n")


def test_what_waited_has_gone(s):
    final(s.north, "later@post.test", "delivered")
    assert len(s.box("later", "waits at postfix")) == 1
    assert len(s.mine("bert@north.test", "waits at postel")) == 1
    assert "later@post.test" not in s.north.reports("anna@north.test")
    assert wait_for(lambda: not s.north.queued()), s.north.queued()
