"""SIGHUP: a certificate that was put into auth/keys is offered from then on; connections that stand go on (SEC-25)."""
import os
import pwd
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import time

from lib.server import ORDINARY, Server


def certificate(server, name):
    """The names in the certificate that the POP3S port shows to whom asks for `name`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with context.wrap_socket(socket.create_connection(("127.0.0.1", server.port["pop3s"]), 10), server_hostname=name) as s:
        pem = ssl.DER_cert_to_PEM_cert(s.getpeercert(True))
    return subprocess.run(["openssl", "x509", "-noout", "-ext", "subjectAltName"], input=pem, capture_output=True,
                          text=True, check=True).stdout


def put_key(server, tmp_path, name):
    key, pem = tmp_path / "k.key", tmp_path / "k.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "30", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", str(key), "-out",
                    str(pem)], check=True, capture_output=True)
    for path, ending in ((key, ".key"), (pem, ".pem")):
        target = os.path.join(server.data, "auth", "keys", "other" + ending)
        shutil.copy(path, target)
        os.chmod(target, 0o600)
        if os.getuid() == 0:
            user = pwd.getpwnam(ORDINARY)
            os.chown(target, user.pw_uid, user.pw_gid)


def test_new_certificate(tmp_path):
    with Server() as server:
        assert "mx.example.test" in certificate(server, "other.example.test")
        smtp = smtplib.SMTP("127.0.0.1", server.port["smtp"], "client.example.org", timeout=30)
        context = ssl._create_unverified_context()
        smtp.starttls(context=context)
        put_key(server, tmp_path, "other.example.test")
        server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 10
        while "other.example.test" not in certificate(server, "other.example.test"):
            assert time.monotonic() < deadline, server.log_tail()
            time.sleep(0.1)
        assert "mx.example.test" in certificate(server, "mx.example.test")
        assert smtp.noop()[0] == 250, "the session from before goes on"
        smtp.quit()
        # Rubbish in the directory takes nothing away.
        with open(os.path.join(server.data, "auth", "keys", "other.pem"), "w") as f:
            f.write("rubbish")
        server.process.send_signal(signal.SIGHUP)
        time.sleep(1.5)
        assert "mx.example.test" in certificate(server, "mx.example.test")
