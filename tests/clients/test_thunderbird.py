"""Thunderbird without a screen (--all): a profile of our own, TLS with the server's certificate taken for this one server; it
logs in by the password it keeps, fetches the inbox and its bodies, and hears of new mail by IDLE."""
import base64
import ctypes
import hashlib
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

from lib.server import PASSWORD, Server

USER = "alice@example.test"
HOST = "127.0.0.1"
LIBRARIES = "/usr/lib/thunderbird"

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


def prefs(port):
    server, identity = "mail.server.server1.", "mail.identity.id1."
    return {
        "mail.accountmanager.accounts": "account1", "mail.accountmanager.defaultaccount": "account1",
        "mail.account.account1.server": "server1", "mail.account.account1.identities": "id1",
        identity + "useremail": USER, identity + "fullName": "Alice", identity + "valid": True,
        server + "type": "imap", server + "hostname": HOST, server + "port": port, server + "userName": USER,
        server + "name": USER, server + "socketType": 3, server + "authMethod": 3, server + "login_at_startup": True,
        server + "check_new_mail": True, server + "offline_download": True, server + "use_idle": True,
        server + "directory-rel": f"[ProfD]ImapMail/{HOST}",
        "mail.provider.suppress_dialog_on_startup": True, "mail.rights.version": 1, "mailnews.start_page.enabled": False,
        "mail.shell.checkDefaultClient": False, "app.donation.eoy.version.viewed": 999, "app.update.auto": False,
        "datareporting.policy.dataSubmissionEnabled": False, "toolkit.telemetry.enabled": False,
        "network.dns.disablePrefetch": True, "network.captive-portal-service.enabled": False,
        "network.connectivity-service.enabled": False, "extensions.update.enabled": False, "calendar.timezone.local": "UTC",
    }


def make_profile(profile, port):
    profile.mkdir()
    (profile / "user.js").write_text("".join(f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in prefs(port).items()))
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((HOST, port)))).hexdigest().upper()
    (profile / "cert_override.txt").write_text(
        f"{HOST}:{port}:\tOID.2.16.840.1.101.3.4.2.1\t" + ":".join(re.findall("..", digest)) + "\t\n")
    user, password = sealed(profile, USER, PASSWORD)
    now = int(time.time() * 1000)
    (profile / "logins.json").write_text(json.dumps({"nextId": 2, "version": 3, "logins": [{
        "id": 1, "hostname": f"imap://{HOST}", "httpRealm": f"imap://{HOST}", "formSubmitURL": None, "usernameField": "",
        "passwordField": "", "encryptedUsername": user, "encryptedPassword": password, "guid": f"{{{uuid.uuid4()}}}",
        "encType": 1, "timeCreated": now, "timeLastUsed": now, "timePasswordChanged": now, "timesUsed": 1}]}))


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
    if shutil.which("thunderbird") is None:
        pytest.skip("thunderbird is not installed")
    with Server(accounts=("alice",)) as server:
        for n in (1, 2, 3):
            deliver(server, n)
        profile, log = tmp_path / "profile", tmp_path / "log"
        make_profile(profile, server.port["imaps"])
        with open(log, "w") as out:
            child = subprocess.Popen(["thunderbird", "--headless", "--no-remote", "--profile", str(profile)], stdout=out,
                                     stderr=out, start_new_session=True, env={**os.environ, "HOME": str(tmp_path)})
        try:
            wait_for(lambda: subjects(profile) == ["message 1", "message 2", "message 3"], server, log)
            assert re.search(r"ev=imap.id .*name=Thunderbird", server.log_text())
            assert f"ev=imap.login" in server.log_text() and "result=ok" in server.log_text()
            assert "Text of 2." in (profile / "ImapMail" / HOST / "INBOX").read_text()
            deliver(server, 4)
            wait_for(lambda: "message 4" in subjects(profile), server, log, 20)
        finally:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


if __name__ == "__main__":
    print(json.dumps(seal(*sys.argv[1:])))
