"""Logins by every mechanism over IMAP, POP3 and submission: a SCRAM client of our own, gsasl and msmtp."""
import base64
import imaplib
import poplib
import re
import smtplib
import subprocess
import time

import pytest

from lib.sasl import Scram
from lib.server import PASSWORD, Server

ALICE = "alice@example.test"


@pytest.fixture(scope="module")
def box():
    with Server(accounts=("alice", "bob", "carol", "dave")) as server:
        yield server


def imap(server):
    return imaplib.IMAP4("127.0.0.1", server.port["imap"], timeout=30)


def pop3(server, scram, mech):
    pop = poplib.POP3("127.0.0.1", server.port["pop3"], timeout=30)
    try:
        said = pop._shortcmd(f"AUTH {mech}")
        while said.startswith(b"+ "):
            said = pop._shortcmd(base64.b64encode(scram.step(base64.b64decode(said[2:]))).decode())
        assert said.startswith(b"+OK")
        return pop.stat()
    finally:
        pop.close()


def test_scram_over_every_protocol(box):
    with imap(box) as m:
        assert "AUTH=SCRAM-SHA-256" in m.capabilities and "AUTH=SCRAM-SHA-256-PLUS" not in m.capabilities
        m.authenticate("SCRAM-SHA-256", Scram(ALICE, PASSWORD).step)
        m.select()
    assert pop3(box, Scram("Alice@EXAMPLE.test", PASSWORD), "SCRAM-SHA-256") == (0, 0)
    with smtplib.SMTP("127.0.0.1", box.port["submission"], timeout=30) as smtp:
        smtp.ehlo()
        assert "SCRAM-SHA-256" in smtp.esmtp_features["auth"].split()
        scram = Scram(ALICE, PASSWORD)
        code, said = smtp.docmd("AUTH", "SCRAM-SHA-256 " + base64.b64encode(scram.first()).decode())
        while code == 334:
            code, said = smtp.docmd(base64.b64encode(scram.step(base64.b64decode(said))).decode())
        assert code == 235
        assert smtp.docmd("MAIL", f"FROM:<{ALICE}>")[0] == 250
    with imap(box) as m, pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        m.authenticate("SCRAM-SHA-256", Scram(ALICE, "wrong").step)


def salt_of(server, name):
    scram = Scram(f"{name}@example.test", "wrong")

    def step(challenge):
        if challenge:
            scram.final(challenge)
            return None  # gives up: nothing was tried, so nothing is held against anybody
        return scram.first()

    with imap(server) as m, pytest.raises(imaplib.IMAP4.error, match="Given up"):
        m.authenticate("SCRAM-SHA-256", step)
    assert scram.iterations == 4096 and len(scram.salt) == 16
    return scram.salt


def test_unknown_names_look_like_known_ones(box):
    """SEC-13: a salt that is there, stays the same and differs from name to name; then the one refusal."""
    names = ("carol", "nobody", "nothing")
    salts = [salt_of(box, name) for name in names]
    assert len(set(salts)) == 3 and [salt_of(box, name.upper()) for name in names] == salts
    for name in names[:2]:
        with imap(box) as m, pytest.raises(imaplib.IMAP4.error) as refused:
            m.authenticate("SCRAM-SHA-256", Scram(f"{name}@example.test", "wrong").step)
        assert "[AUTHENTICATIONFAILED] Login failed" in str(refused.value)


def test_login_mechanism(box):
    for initial in (True, False):
        with smtplib.SMTP("127.0.0.1", box.port["submission"], timeout=30) as smtp:
            smtp.ehlo()
            smtp.user, smtp.password = ALICE, PASSWORD
            assert smtp.auth("LOGIN", smtp.auth_login, initial_response_ok=initial)[0] == 235


class OpenSSL:
    """A TLS 1.3 connection whose exporter bytes are known: Python's ssl does not give them."""

    def __init__(self, port, *more):
        self.process = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-crlf", "-keymatexport", "EXPORTER-Channel-Binding",
             "-keymatexportlen", "32", "-ign_eof", *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.binding = b""
        while True:
            line = self.line()
            found = re.search(rb"Keying material: ([0-9A-F]{64})", line)
            if found:
                self.binding = bytes.fromhex(found.group(1).decode())
            if line.startswith(b"* OK"):
                self.greeting = line
                return

    def line(self):
        line = self.process.stdout.readline()
        assert line, "the connection ended"
        return line.rstrip(b"\r\n")

    def say(self, text):
        self.process.stdin.write(text + b"\n")
        self.process.stdin.flush()

    def authenticate(self, mech, scram):
        self.say(b"a AUTHENTICATE " + mech)
        while True:
            said = self.line()
            if said.startswith(b"+ "):
                self.say(base64.b64encode(scram.step(base64.b64decode(said[2:]))))
            elif said.startswith(b"a "):
                return said

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def plus(server, flag, mech=b"SCRAM-SHA-256-PLUS", spoil=False, more=()):
    c = OpenSSL(server.port["imaps"], *more)
    try:
        if b"SCRAM-SHA-256-PLUS" not in c.greeting:
            return b"not announced"
        binding = c.binding if flag.startswith("p") else b""
        if spoil:
            binding = bytes(32)
        return c.authenticate(mech, Scram("bob@example.test", PASSWORD, flag=flag, binding=binding))
    finally:
        c.close()


def test_channel_binding(box):
    assert plus(box, "p=tls-exporter").startswith(b"a OK")
    assert b"AUTHENTICATIONFAILED" in plus(box, "p=tls-exporter", spoil=True)
    assert b"AUTHENTICATIONFAILED" in plus(box, "p=tls-unique")
    assert plus(box, "n", b"SCRAM-SHA-256").startswith(b"a OK")
    assert b"AUTHENTICATIONFAILED" in plus(box, "y", b"SCRAM-SHA-256")  # RFC 5802 6: somebody hid the -PLUS
    assert plus(box, "p=tls-exporter", more=("-tls1_2",)) == b"not announced"


@pytest.mark.parametrize("mech,starttls", [("SCRAM-SHA-256", "--no-starttls"), ("SCRAM-SHA-256-PLUS", "--starttls"),
                                           ("PLAIN", "--starttls"), ("LOGIN", "--starttls")])
def test_gsasl(box, mech, starttls):
    done = subprocess.run(["gsasl", f"--connect=127.0.0.1:{box.port['imap']}", "--imap", f"--mechanism={mech}", starttls,
                           "--x509-ca-file=", "-a", ALICE, "-z", ALICE, "-p", PASSWORD, "--verbose"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"mech={mech} result=ok" in box.log_text()


def test_msmtp_scram(box):
    done = subprocess.run(["msmtp", "--host=127.0.0.1", f"--port={box.port['submission']}", "--auth=scram-sha-256",
                           "--tls=on", "--tls-starttls=on", "--tls-certcheck=off", f"--user={ALICE}",
                           f"--passwordeval=echo '{PASSWORD}'", f"--from={ALICE}", "bob@example.test"],
                          input=f"From: {ALICE}\nTo: bob@example.test\nSubject: scram\n\nhello\n",
                          capture_output=True, text=True, timeout=30)
    assert "authentication" not in done.stderr
    assert re.search("service=submission .*mech=SCRAM-SHA-256 result=ok", box.log_text())


def app_password(server, who, label, *scope):
    return server.cli("account", "app-password", "add", who, label, "--plain", *scope).strip()


def imap_plain(server, who, password):
    """Whether it opens IMAP."""
    with imap(server) as m:
        try:
            m.login(who, password)
            return True
        except imaplib.IMAP4.error:
            return False


def test_app_passwords(box):
    who = "dave@example.test"
    everything, mail = app_password(box, who, "phone"), app_password(box, who, "old printer", "--scope", "smtp")
    assert len(everything) == 26 and everything != mail
    assert box.cli("account", "app-password", "add", who, "phone", check=False).returncode == 1
    assert imap_plain(box, who, everything) and imap_plain(box, who, PASSWORD)
    assert not imap_plain(box, who, mail)  # not for this service
    with smtplib.SMTP("127.0.0.1", box.port["submission"], timeout=30) as smtp:
        smtp.login(who, mail)
    for mech, digest, password in (("SCRAM-SHA-1", "sha1", everything), ("SCRAM-SHA-256", "sha256", everything),
                                   ("SCRAM-SHA-256", "sha256", PASSWORD)):
        with imap(box) as m:
            m.authenticate(mech, Scram(who, password, digest).step)
    with imap(box) as m, pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        m.authenticate("SCRAM-SHA-1", Scram(who, PASSWORD, "sha1").step)  # app passwords alone
    listed = box.cli("account", "app-password", "list", who, "--plain").splitlines()
    assert [line.split("\t")[:2] for line in listed] == [["phone", "all"], ["old printer", "smtp"]]
    assert "never" not in listed[0]
    box.cli("account", "passwd", who, "--password-stdin", input="another password\n")
    with imap(box) as m:  # its keys hang on the salt, which stays
        m.authenticate("SCRAM-SHA-256", Scram(who, everything).step)
    box.cli("account", "app-password", "remove", who, "phone")
    assert not imap_plain(box, who, everything)
    assert imap_plain(box, who, "another password")


def test_a_new_password_and_the_programs(box):
    """It leaves app passwords alone and says so; --revoke-apps takes them, and the sessions that they opened."""
    who = "gina@example.test"
    box.cli("account", "add", who, "--password-stdin", input=PASSWORD + "\n")
    change = ("account", "passwd", who, "--password-stdin")
    assert "app password" not in box.cli(*change, input="second password\n")
    phone = app_password(box, who, "phone")
    app_password(box, who, "tablet")
    assert "Its 2 app passwords stay good: --revoke-apps" in box.cli(*change, input="third password\n")
    assert imap_plain(box, who, phone)
    with imap(box) as m:
        m.login(who, phone)
        assert "Its 2 app passwords are good no more." in box.cli(*change, "--revoke-apps", input="fourth password\n")
        end = time.monotonic() + 30
        while m.select()[0] == "OK": # store hears of it within a moment
            assert time.monotonic() < end
            time.sleep(0.1)
    assert not imap_plain(box, who, phone)
    assert box.cli("account", "app-password", "list", who, "--plain") == ""
    with imap(box) as m: # with a salt of its own again
        m.authenticate("SCRAM-SHA-256", Scram(who, "fourth password").step)


def test_attempts_are_told(box):
    who = "dave@example.test"
    rows = [line.split("\t") for line in box.cli("account", "logins", who, "--plain").splitlines()]
    told = {(row[3], row[5], row[6], row[7]) for row in rows}
    assert ("imap", "PLAIN", "ok", "phone") in told and ("imap", "PLAIN", "ok", "") in told
    assert ("submission", "PLAIN", "ok", "old printer") in told
    assert ("imap", "SCRAM-SHA-1", "ok", "phone") in told and ("imap", "SCRAM-SHA-1", "refused", "") in told
    assert all(row[4] == "127.0.0.1" for row in rows)
    assert all(row[2] == "1" for row in rows if row[5] == "SCRAM-SHA-1")
    box.stop()  # what was gathered is written at the end
    box.start()
    again = [line.split("\t") for line in box.cli("account", "logins", who, "--plain").splitlines()]
    assert again == rows


def test_easy_passwords_are_refused(box):
    for password in ("short", "frank@example.test", "a-name-of-many-letters"):
        done = box.cli("account", "add", "a-name-of-many-letters@example.test" if password[0] == "a" else "frank@example.test",
                       "--password-stdin", input=password + "\n", check=False)
        assert done.returncode == 1 and ("at least 10" in done.stderr or "no password" in done.stderr)
