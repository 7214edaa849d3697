"""Several Postels that send each other mail as on the net: each on a loopback address of its own, all with the same port for
SMTP, in one signed DNS.

    with Meeting() as m:
        north = m.server("north.test", "anna", "bert")     # mx.north.test; its accounts
        south = m.server("south.test", "carl", domains=("other.test",), options={"limits.smtp_rcpts": 100})
        north.submit("anna@north.test", "carl@south.test")
        final(north, "carl@south.test", "delivered")
        assert south.inbox("carl@south.test")
"""
import base64
import email
import email.policy
import imaplib
import os
import pwd
import re
import shutil
import smtplib
import socket
import ssl
import struct
import sys
import tempfile
import time

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lib.dns import Dns
from lib.server import ORDINARY, PASSWORD, Server, free_port
from test_mtasts import certificate, pem_key

WAIT_S = 40  # for what comes in a second or two, on a machine that is busy with other things
TEXT = "From: <{sender}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nMessage-ID: <{id}@{domain}>\r\n\r\nthe body\r\n.a dot\r\n"
QUICK = {
    "relay.allow": "127.0.0.0/8", "limits.retry_first_s": "1", "limits.retry_most_s": "1", "limits.dsn_gather_ms": "100",
    "limits.send_messages": "100000", "limits.send_new_rcpts": "100000", "limits.relay_connect_s": "5",
}


def wait_for(what, seconds=WAIT_S, every=0.1):
    """The first true answer of `what`, or its last one."""
    end = time.monotonic() + seconds
    while True:
        got = what()
        if got or time.monotonic() > end:
            return got
        time.sleep(every)


def results(server, to):
    """What the log says of a recipient: [{"result": "deferred", "code": "450", ...}]"""
    found = []
    for line in server.log_text().splitlines():
        if " ev=relay.result " in line and re.search(r"\bto=\"?" + re.escape(to) + r"\"?( |$)", line):
            found.append({k: v.strip('"') for k, v in re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)', line)})
    return found


def waits(server, to, word):
    """The result of a recipient whose mail waits, because of something with `word` in it."""
    got = wait_for(lambda: [r for r in results(server, to) if word in f"{r['status']} {r['text']}"])
    assert got, f"{to}: {word} is not in {results(server, to)[-2:]}\n" + server.log_tail(8)
    assert {r["result"] for r in results(server, to)} == {"deferred"}, results(server, to)
    return got[0]


def final(server, to, result=None):
    """The results of a recipient once the last one is none that is tried again; `result`: which it must be."""
    got = wait_for(lambda: (r := results(server, to)) and r[-1]["result"] != "deferred" and r)
    assert got, f"{to}: {results(server, to)[-2:]}\n" + server.log_tail(8)
    assert result is None or got[-1]["result"] == result, got
    return got


def blocks_of(report):
    """The blocks of fields of a report (RFC 3464 2.1): of the message, then of each recipient."""
    status = list(report.iter_parts())[1]
    if status.get_content_type() == "message/delivery-status":
        return [dict(block.items()) for block in status.get_payload()]
    assert status.get_content_type() == "message/global-delivery-status", status.get_content_type()
    of_message = status.get_payload(0)  # the email package takes RFC 6533's for a message with a body
    rest = of_message.get_payload().replace("\r\n", "\n").strip("\n").split("\n\n")
    return [dict(of_message.items())] + [dict(email.message_from_string(block, policy=email.policy.SMTPUTF8).items())
                                         for block in rest]


def parts_of(report):
    """[{field: value}] of a report's recipients (RFC 3464 2.3)."""
    return blocks_of(report)[1:]


class Place(Server):
    """A server of the meeting: what people do with it."""

    address = None
    stories = {}

    def submit(self, sender, to, text=None, subject="hello", options=(), rcpt_options=()):
        """Hands a message in as its sender does; sender and recipients may be in UTF-8."""
        to = [to] if isinstance(to, str) else to
        if text is None:
            ident = re.sub(r"[^a-z0-9]", ".", f"{to[0]}.{subject}".encode("punycode").decode().lower()).strip(".")
            text = TEXT.format(sender=sender, to=to[0], subject=subject, id=ident, domain=self.domain)
        if isinstance(text, str):
            text = text.encode()
        if not all(who.isascii() for who in [sender, *to]):
            options = ["SMTPUTF8", "BODY=8BITMIME", *options]
        with smtplib.SMTP("127.0.0.1", self.port["submission"], "client.example.test", timeout=60) as smtp:
            smtp.command_encoding = "utf-8"
            smtp.ehlo()
            code, said = smtp.docmd("AUTH", "PLAIN " + base64.b64encode(f"\0{sender}\0{PASSWORD}".encode()).decode())
            assert code == 235, said
            refused = smtp.sendmail(sender, to, text, mail_options=options, rcpt_options=rcpt_options)
            assert refused == {}, refused

    def inbox(self, who, want=1):
        """The messages of an INBOX, once there are so many."""
        found = wait_for(lambda: (got := self.inbox_now(who)) and len(got) >= want and got) if want else self.inbox_now(who)
        assert found or not want, f"{who} has {len(self.inbox_now(who))} messages, not {want}\n" + self.log_tail()
        return found

    def inbox_now(self, who):
        return [email.message_from_bytes(octets, policy=email.policy.SMTPUTF8) for octets in self.octets(who)]

    def octets(self, who, empty=False):
        """The messages of an INBOX as they are. empty: they are removed then."""
        box = imaplib.IMAP4("127.0.0.1", self.port["imap"])
        box.authenticate("PLAIN", lambda _: f"\0{who}\0{PASSWORD}".encode())
        box.enable("UTF8=ACCEPT")  # RFC 6855: else what is not ASCII comes as a surrogate
        box.select("INBOX", readonly=not empty)
        found = []
        if box.untagged_responses["EXISTS"][-1] != b"0":
            found = [answer[1] for answer in box.fetch("1:*", "(BODY.PEEK[])")[1] if isinstance(answer, tuple)]
        if found and empty:
            box.store("1:*", "+FLAGS", "\\Deleted")
            box.expunge()
        box.logout()
        return found

    def reports(self, who):
        """{final recipient: [(action, status, diagnostic)]} of all reports in an INBOX."""
        found = {}
        for report in self.inbox_now(who):
            for of in parts_of(report) if report.get_content_type() == "multipart/report" else ():
                to = of["Final-Recipient"].split(";")[1].strip()
                found.setdefault(to, []).append((of["Action"], of["Status"], of.get("Diagnostic-Code", "")))
        return found

    def queued(self):
        """[(recipient, state)] of all that waits."""
        return [(row[6], row[1]) for row in (line.split("\t") for line in self.cli("queue", "list", "--plain").splitlines())]

    def story(self, key, *words):
        """What trace tells of the messages of a trace id or recipient, once `words` are in it: a result is logged before the queue
        has it. The stories of the last messages are fetched at once and kept, for the command takes its time."""
        def told():
            if not has():
                self.stories = {}
                for block in re.split(r"^(?=Message )", self.cli("trace", "last", "100"), flags=re.M):
                    for name in set(re.findall(r"^Message (\S+)|^  .*?<([^>]*)>: ", block, re.M)):
                        name = name[0] or name[1]
                        self.stories[name] = self.stories.get(name, "") + block
            if not has():  # it is no longer among the last
                self.stories[key] = self.cli("trace", key, check=False).stdout
            return has()

        def has():
            return key in self.stories and all(w in self.stories[key] for w in words)

        wait_for(told)
        return self.stories[key]

    def own(self, path):
        """Gives a file to the user that the server becomes."""
        os.chmod(path, 0o600)
        if os.getuid() == 0:
            user = pwd.getpwnam(ORDINARY)
            os.chown(path, user.pw_uid, user.pw_gid)

    def put_key(self, name, cert, key, *chain):
        """A certificate that is offered from the next start on; chain: those above it."""
        folder = os.path.join(self.data, "auth", "keys")
        texts = {".key": pem_key(key), ".pem": b"".join(pem(c) for c in (cert, *chain))}
        for ending, text in texts.items():
            with open(os.path.join(folder, name + ending), "wb") as f:
                f.write(text)
            self.own(os.path.join(folder, name + ending))

    def shown(self, name):
        """The certificate that is offered on port 25 to who asks for `name`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection((self.address, self.mx_port), 20) as s:
            lines = s.makefile("rb")
            for say in (b"", b"EHLO client.example.test\r\n", b"STARTTLS\r\n"):
                s.sendall(say)
                while (line := lines.readline())[3:4] == b"-":
                    pass
                assert line[:1] == b"2", line
            with context.wrap_socket(s, server_hostname=name) as secure:
                return x509.load_der_x509_certificate(secure.getpeercert(True))

    def shows(self, name, wanted):
        """Is the name `wanted` in the certificate for `name`?"""
        try:
            names = self.shown(name).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return False
        return wanted in names.get_values_for_type(x509.DNSName)

    def skip(self, seconds):
        """Time passes at once; only for a server that was made with clock=True."""
        with open(self.clock, "r+b") as f:
            wall, mono = struct.unpack("qq", f.read(16))
            f.seek(0)
            f.write(struct.pack("qq", wall, mono + seconds * 1000))


def pem(cert):
    return cert.public_bytes(serialization.Encoding.PEM)


class Meeting:
    def __init__(self):
        self.port = free_port()
        self.folder = tempfile.mkdtemp(prefix="postel-test-meet-")
        os.chmod(self.folder, 0o755)
        self.authority = certificate(["Meeting authority"], days=20)
        self.ca_file = os.path.join(self.folder, "ca.pem")
        with open(self.ca_file, "wb") as f:
            f.write(pem(self.authority[0]))
        self.dns = Dns().start()
        self.places, self.closers, self.n = [], [], 0

    def new_address(self):
        self.n += 1
        return f"127.0.77.{self.n}"

    def server(self, domain, *accounts, domains=(), options=None, clock=False, publish=True):
        """A server for `domain` and further ones; the accounts are "name" or "name@domain". publish: makes the zone and
        the MX of `domain`; those of the others are the test's business."""
        address = self.new_address()
        clock_file = os.path.join(self.folder, f"clock{self.n}") if clock else None
        settings = {**QUICK, "server.hostname": "mx." + domain, "relay.port": str(self.port), "relay.ca_file": self.ca_file,
                    **(options or {})}
        if publish:
            self.dns.zone(domain, secure=False)
            self.dns.mail(domain, address=address)
        if clock:
            os.environ["POSTEL_TEST_CLOCK"] = clock_file
        smtp = free_port()
        try:
            place = Place({**settings, "listen.smtp": f"127.0.0.1:{smtp} {address}:{self.port}"}, (), dns=self.dns)
        finally:
            os.environ.pop("POSTEL_TEST_CLOCK", None)
        place.domain, place.address, place.mx_port, place.clock = domain, address, self.port, clock_file
        place.port["smtp"] = smtp
        self.places.append(place)
        missing = [a if "@" in a else f"{a}@{domain}" for a in accounts]
        for name in (domain, *domains):
            admin = next((a for a in missing if a.endswith("@" + name)), f"{accounts[0]}@{domain}")
            place.cli("domain", "add", name, "--admin", admin, "--password-stdin", input=PASSWORD + "\n")
            missing = [a for a in missing if a != admin]
        for name in missing:
            place.cli("account", "add", name, "--password-stdin", input=PASSWORD + "\n")
        return place

    def close(self, *error):
        problem = None
        for place in self.places:
            try:
                place.__exit__(*(error or (None, None, None)))
            except RuntimeError as e:
                problem = problem or e
        for close in self.closers:
            close()
        self.dns.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        if problem and not (error and error[0]):
            raise problem

    def prepare(self):
        """What a meeting of another kind has besides."""

    def __enter__(self):
        try:
            self.prepare()
        except BaseException:
            self.close(*sys.exc_info())
            raise
        return self

    def __exit__(self, *error):
        self.close(*error)
