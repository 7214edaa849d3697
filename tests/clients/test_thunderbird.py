"""Thunderbird without a screen (--all): a profile of our own, TLS with the server's certificate taken for this one server; it
logs in by the password it keeps, fetches the inbox and its bodies, hears of new mail by IDLE, and sends."""
import base64
import contextlib
import ctypes
import email
import email.policy
import hashlib
import imaplib
import json
import mailbox
import os
import re
import shutil
import signal
import smtplib
import ssl
import subprocess
import sys
import time
import uuid

import pytest

from lib.marionette import Marionette
from lib.server import PASSWORD, Server, free_port

USER = "alice@example.test"
HOST = "127.0.0.1"
LIBRARIES = "/usr/lib/thunderbird"
SUBMIT = {"submission": 2, "submissions": 3}  # Thunderbird's outgoing servers, and how each of them is TLS: STARTTLS, from the start

pytestmark = pytest.mark.skipif(os.environ.get("POSTEL_CHECK_ALL") != "yes", reason="--all")


class Item(ctypes.Structure):
    """NSS's SECItem."""
    _fields_ = [("type", ctypes.c_uint), ("data", ctypes.c_void_p), ("len", ctypes.c_uint)]


def item(text=b""):
    return Item(0, ctypes.cast(ctypes.c_char_p(text), ctypes.c_void_p), len(text))


def seal(profile, *texts):
    """The texts as logins.json has them: under the key that NSS makes in the profile's key4.db."""
    nss = ctypes.CDLL(f"{LIBRARIES}/libnss3.so")
    nss.PK11_GetInternalKeySlot.restype = ctypes.c_void_p
    assert nss.NSS_InitReadWrite(f"sql:{profile}".encode()) == 0
    slot = ctypes.c_void_p(nss.PK11_GetInternalKeySlot())
    if nss.PK11_NeedUserInit(slot):
        assert nss.PK11_InitPin(slot, None, b"") == 0
    sealed = []
    for text in texts:
        out = item()
        assert nss.PK11SDR_Encrypt(ctypes.byref(item()), ctypes.byref(item(text.encode())), ctypes.byref(out), None) == 0
        sealed.append(base64.b64encode(ctypes.string_at(out.data, out.len)).decode())
    nss.NSS_Shutdown()
    return sealed


def sealed(profile, *texts):
    """seal, in a process that finds Thunderbird's own libraries."""
    done = subprocess.run([sys.executable, os.path.abspath(__file__), str(profile), *texts], capture_output=True, text=True,
                          timeout=60, env={**os.environ, "LD_LIBRARY_PATH": LIBRARIES,
                                           "PYTHONPATH": os.path.dirname(os.path.dirname(os.path.abspath(__file__)))})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def prefs(port, remote):
    server, identity = "mail.server.server1.", "mail.identity.id1."
    found = {
        "mail.accountmanager.accounts": "account1", "mail.accountmanager.defaultaccount": "account1",
        "mail.account.account1.server": "server1", "mail.account.account1.identities": "id1",
        identity + "useremail": USER, identity + "fullName": "Alice", identity + "valid": True,
        server + "type": "imap", server + "hostname": HOST, server + "port": port["imaps"], server + "userName": USER,
        server + "name": USER, server + "socketType": 3, server + "authMethod": 3, server + "login_at_startup": True,
        server + "check_new_mail": True, server + "offline_download": True, server + "use_idle": True,
        server + "directory-rel": f"[ProfD]ImapMail/{HOST}",
        "mail.smtpservers": ",".join(SUBMIT), "mail.smtp.defaultserver": "submission", identity + "smtpServer": "submission",
        "mail.provider.suppress_dialog_on_startup": True, "mail.rights.version": 1, "mailnews.start_page.enabled": False,
        "mail.shell.checkDefaultClient": False, "app.donation.eoy.version.viewed": 999, "app.update.auto": False,
        "datareporting.policy.dataSubmissionEnabled": False, "toolkit.telemetry.enabled": False,
        "network.dns.disablePrefetch": True, "network.captive-portal-service.enabled": False,
        "network.connectivity-service.enabled": False, "extensions.update.enabled": False, "calendar.timezone.local": "UTC",
        "marionette.port": remote,
    }
    for name, socket_type in SUBMIT.items():
        smtp = f"mail.smtpserver.{name}."
        found.update({smtp + "type": "smtp", smtp + "hostname": HOST, smtp + "port": port[name], smtp + "username": USER,
                      smtp + "try_ssl": socket_type, smtp + "authMethod": 3})
    return found


def make_profile(profile, port, remote):
    profile.mkdir()
    (profile / "user.js").write_text("".join(f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in prefs(port, remote).items()))
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((HOST, port["imaps"])))).hexdigest().upper()
    (profile / "cert_override.txt").write_text("".join(
        f"{HOST}:{port[name]}:\tOID.2.16.840.1.101.3.4.2.1\t" + ":".join(re.findall("..", digest)) + "\t\n"
        for name in ("imaps", *SUBMIT)))
    user, password = sealed(profile, USER, PASSWORD)
    now = int(time.time() * 1000)
    (profile / "logins.json").write_text(json.dumps({"nextId": 3, "version": 3, "logins": [{
        "id": n, "hostname": f"{scheme}://{HOST}", "httpRealm": f"{scheme}://{HOST}", "formSubmitURL": None, "usernameField": "",
        "passwordField": "", "encryptedUsername": user, "encryptedPassword": password, "guid": f"{{{uuid.uuid4()}}}",
        "encType": 1, "timeCreated": now, "timeLastUsed": now, "timePasswordChanged": now, "timesUsed": 1}
        for n, scheme in ((1, "imap"), (2, "smtp"))]}))


@contextlib.contextmanager
def thunderbird(server, folder):
    """Started on a profile of its own: gives the profile, its log, and the port for lib.marionette."""
    if shutil.which("thunderbird") is None:
        pytest.skip("thunderbird is not installed")
    profile, log, remote = folder / "profile", folder / "log", free_port()
    make_profile(profile, server.port, remote)
    with open(log, "w") as out:
        child = subprocess.Popen(["thunderbird", "--headless", "--no-remote", "--marionette", "--remote-allow-system-access",
                                  "--profile", str(profile)], stdout=out, stderr=out, start_new_session=True,
                                 env={**os.environ, "HOME": str(folder)})
    try:
        yield profile, log, remote
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def subjects(profile):
    """What Thunderbird keeps of the inbox on its disk."""
    inbox = profile / "ImapMail" / HOST / "INBOX"
    return sorted(m["Subject"] for m in mailbox.mbox(inbox, create=False) if m["Subject"]) if inbox.exists() else []


def wait_for(what, server, log, wait_s=90):
    end = time.monotonic() + wait_s
    while not what():
        assert time.monotonic() < end, server.log_tail() + "\n" + log.read_text()[-3000:]
        time.sleep(0.2)


def deliver(server, number):
    with smtplib.SMTP(HOST, server.port["smtp"], timeout=30) as smtp:
        smtp.sendmail("jon@example.org", [USER], f"From: Jon <jon@example.org>\r\nSubject: message {number}\r\n\r\n"
                      f"Text of {number}.\r\n")


def test_thunderbird(tmp_path):
    with Server(accounts=("alice",)) as server:
        for n in (1, 2, 3):
            deliver(server, n)
        with thunderbird(server, tmp_path) as (profile, log, _):
            wait_for(lambda: subjects(profile) == ["message 1", "message 2", "message 3"], server, log)
            assert re.search(r"ev=imap.id .*name=Thunderbird", server.log_text())
            assert f"ev=imap.login" in server.log_text() and "result=ok" in server.log_text()
            assert "Text of 2." in (profile / "ImapMail" / HOST / "INBOX").read_text()
            deliver(server, 4)
            wait_for(lambda: "message 4" in subjects(profile), server, log, 20)


# A window to write in, filled as a person would; then what the Send button does.
SEND = r"""
const [smtp, to, bcc, subject] = args;
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const identity = MailServices.accounts.defaultAccount.defaultIdentity;
const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
const params = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
const opened = new Promise(found => Services.ww.registerNotification(function seen(window, topic) {
    if (topic != "domwindowopened")
        return;
    Services.ww.unregisterNotification(seen);
    window.addEventListener("compose-editor-ready", () => found(window), { once: true });
}));
Object.assign(fields, { to, bcc, subject, body: "Grüße.\r\n.\r\nBehind a dot.\r\n" });
identity.smtpServerKey = smtp;
Object.assign(params, { composeFields: fields, identity, format: Ci.nsIMsgCompFormat.PlainText, type: Ci.nsIMsgCompType.New });
MailServices.compose.OpenComposeWindowWithParams(null, params);
const window = await opened;
while (window.document.getElementById("button-send").disabled)
    await new Promise(later => window.setTimeout(later, 100));
window.goDoCommand("cmd_sendNow");
"""


def messages(server, who, folder="INBOX"):
    with imaplib.IMAP4(HOST, server.port["imap"], timeout=30) as imap:
        imap.login(f"{who}@example.test", PASSWORD)
        if imap.select(folder, readonly=True)[0] != "OK":
            return []
        return [email.message_from_bytes(imap.fetch(n, "(BODY.PEEK[])")[1][0][1], policy=email.policy.default)
                for n in imap.search(None, "ALL")[1][0].split()]


def test_thunderbird_sends(tmp_path):
    """By STARTTLS and in TLS, with the password it keeps, to somebody here, to somebody unseen, and to the world."""
    with Server({"relay.routes": "elsewhere.test=127.0.0.1:9"}, accounts=("alice", "bob", "carol")) as server:
        server.cli("queue", "suspend", "elsewhere.test")
        with thunderbird(server, tmp_path) as (_, log, remote):
            window = Marionette(remote)
            for n, service in enumerate(SUBMIT, 1):
                window.run(SEND, service, "Bob <bob@example.test>, x@elsewhere.test", "carol@example.test", f"by {service}")
                wait_for(lambda: len(messages(server, "bob")) == n, server, log)
            wait_for(lambda: len(messages(server, "alice", "Sent")) == 2, server, log)
            window.close()
        for who in ("bob", "carol"):
            for mail, service in zip(messages(server, who), SUBMIT):
                received = " ".join(mail["Received"].split())
                assert mail["Subject"] == f"by {service}" and mail["Return-Path"] == "<alice@example.test>"
                assert received.startswith("from mx.example.test by mx.example.test with ESMTPSA"), received
                assert mail["Bcc"] is None and HOST not in mail.as_string() and "Thunderbird" in mail["User-Agent"]
                assert mail.get_content().splitlines() == ["Grüße.", ".", "Behind a dot."]
            assert len(messages(server, who)) == 2
        assert sorted(m["Subject"] for m in messages(server, "alice", "Sent")) == ["by submission", "by submissions"]
        rows = [line.split("\t") for line in server.cli("queue", "list", "--plain").splitlines()]
        assert [(r[5], r[6]) for r in rows] == [("<alice@example.test>", "<x@elsewhere.test>")] * 2
        log_lines = re.findall(r"ev=auth.login account=alice\S+ service=(submissions?) .*result=(\w+)", server.log_text())
        assert log_lines == [("submission", "ok"), ("submissions", "ok")]


if __name__ == "__main__":
    print(json.dumps(seal(*sys.argv[1:])))
