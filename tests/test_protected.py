"""How sure relay is of a server before it hands mail over: DANE (RFC 7672), MTA-STS (RFC 8461), and neither."""
import os
import re
import shutil
import smtplib
import socket
import ssl
import tempfile
import threading
import time

import pytest
from cryptography.hazmat.primitives import serialization

from lib.dns import Dns
from lib.server import PASSWORD, Server, free_port
from test_mtasts import POLICY, PolicyHost, certificate, pem_key


class Peer:
    """A server that takes mail on one port of several loopback addresses, each with a certificate of its own, or none."""

    def __init__(self, folder):
        self.folder, self.port, self.sockets, self.mails = folder, free_port(), [], []

    def listen(self, address, cert=None, key=None):
        context = None
        if cert:
            path = os.path.join(self.folder, address + ".pem")
            with open(path, "wb") as f:
                f.write(pem_key(key) + cert.public_bytes(serialization.Encoding.PEM))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(path)
        listener = socket.create_server((address, self.port))
        self.sockets.append(listener)
        threading.Thread(target=self.accept, args=(listener, address, context), daemon=True).start()

    def accept(self, listener, address, context):
        while True:
            try:
                s, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s, address, context), daemon=True).start()

    def serve(self, s, address, context):
        try:
            s.settimeout(30)
            self.talk(s, address, context)
        except (OSError, ValueError):
            pass
        finally:
            s.close()

    def talk(self, s, address, context, secure=False):
        lines = s.makefile("rb")
        if not secure:
            s.sendall(b"220 peer.test ESMTP\r\n")
        rcpt = []
        while True:
            line = lines.readline()
            word = line[:4].upper()
            if not line:
                return
            if word == b"EHLO":
                s.sendall(b"250-peer.test\r\n" + (b"250-STARTTLS\r\n" if context and not secure else b"") + b"250 PIPELINING\r\n")
            elif word == b"STAR" and context and not secure:
                s.sendall(b"220 go on\r\n")
                inner = context.wrap_socket(s, server_side=True)
                return self.talk(inner, address, context, True)
            elif word == b"RCPT":
                rcpt.append(re.search(rb"<(.*?)>", line).group(1).decode())
                s.sendall(b"250 fine\r\n")
            elif word == b"DATA":
                s.sendall(b"354 go on\r\n")
                while lines.readline() not in (b".\r\n", b""):
                    pass
                self.mails += [(r, address, secure) for r in rcpt]
                s.sendall(b"250 taken\r\n")
            elif word == b"QUIT":
                s.sendall(b"221 bye\r\n")
                return
            else:
                s.sendall(b"250 fine\r\n")

    def close(self):
        for s in self.sockets:
            s.shutdown(socket.SHUT_RDWR)
            s.close()


def pem(cert):
    return cert.public_bytes(serialization.Encoding.PEM)


# domain: (address of its host, what must come of it: "tls", "plain", or words of the reason that the log gives)
CASES = {
    "none.test": ("127.0.0.11", "tls"),
    "bare.test": ("127.0.0.14", "plain"),
    "danefine.test": ("127.0.0.11", "tls"),
    "danewrong.test": ("127.0.0.11", "none of those in the TLSA records"),
    "danebare.test": ("127.0.0.14", "the server offers no TLS, which its domain promised"),
    "danefail.test": ("127.0.0.11", "the TLSA records of mx.danefail.test cannot be had now"),
    "daneplain.test": ("127.0.0.14", "plain"),       # an unsigned zone: its TLSA record means nothing
    "stsfine.test": ("127.0.0.12", "tls"),
    "stsuntrusted.test": ("127.0.0.11", "no authority that we know"),
    "stsname.test": ("127.0.0.13", "the certificate is for another name"),
    "stsbare.test": ("127.0.0.14", "the server offers no TLS, which its domain promised"),
    "stsother.test": ("127.0.0.12", "is none of the hosts that the domain's policy"),
    "ststesting.test": ("127.0.0.11", "tls"),
    "stsdane.test": ("127.0.0.11", "tls"),           # RFC 8461 2: DANE decides
}


@pytest.fixture(scope="module")
def setting():
    folder = tempfile.mkdtemp(prefix="postel-test-")  # the server, another user, reads the authorities in it
    authority = certificate(["Test authority"])
    own, own_key = certificate(["mx.danefine.test"])
    fine = certificate(["mx.stsfine.test", "mx.stsother.test"], authority)
    peer = Peer(folder)
    peer.listen("127.0.0.11", own, own_key)
    peer.listen("127.0.0.12", *fine)
    peer.listen("127.0.0.13", *certificate(["mx.elsewhere.test"], authority))
    peer.listen("127.0.0.14")
    host = PolicyHost(folder, ["mta-sts." + d for d in CASES if d.startswith("sts")], authority)
    with Dns() as tree:
        for domain, (address, _) in CASES.items():
            tree.zone(domain, secure=domain != "daneplain.test")
            tree.mail(domain, address=address)
            if domain.startswith("sts"):
                tree.add("_mta-sts." + domain, "TXT", '"v=STSv1; id=1"')
                tree.add("mta-sts." + domain, "A", "127.0.0.1")
                text = POLICY.format(domain if domain != "stsother.test" else "elsewhere.test")
                host.answers["mta-sts." + domain] = (200, "text/plain", text)
        host.answers["mta-sts.ststesting.test"] = (200, "text/plain", POLICY.format("x.test").replace("enforce", "testing"))
        for domain in ("danefine.test", "danebare.test", "danefail.test", "daneplain.test", "stsdane.test"):
            tree.tlsa("mx." + domain, pem(own), port=peer.port)
        tree.tlsa("mx.danewrong.test", pem(fine[0]), port=peer.port)
        tree.fault("_tcp.mx.danefail.test", "servfail")
        ca = os.path.join(folder, "ca.pem")
        with open(ca, "wb") as f:
            f.write(pem(authority[0]))
        os.chmod(folder, 0o755)
        options = {"relay.allow": "127.0.0.0/8", "relay.port": peer.port, "relay.https_port": host.port, "relay.ca_file": ca}
        yield tree, options, peer
    host.close()
    peer.close()
    shutil.rmtree(folder)


def outcome(server, peer, domain):
    for to, _, secure in peer.mails:
        if to == "bob@" + domain:
            return "tls" if secure else "plain"
    for line in server.log_text().splitlines():
        if "ev=relay.result" in line and "to=bob@" + domain in line:
            return line
    return None


def test_all(setting):
    tree, options, peer = setting
    with Server(options, dns=tree) as server:
        with smtplib.SMTP("127.0.0.1", server.port["submission"], "client.example.test", timeout=60) as smtp:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            smtp.starttls(context=context)
            smtp.login("alice@example.test", PASSWORD)
            for domain in CASES:
                smtp.sendmail("alice@example.test", ["bob@" + domain], "From: alice@example.test\r\nSubject: x\r\n\r\nx\r\n")
        end = time.monotonic() + 30
        wrong = dict(CASES)
        while wrong and time.monotonic() < end:
            for domain in list(wrong):
                got = outcome(server, peer, domain)
                if got and wrong[domain][1] in got:
                    del wrong[domain]
            time.sleep(0.1)
        assert not wrong, {d: (w, outcome(server, peer, d)) for d, w in wrong.items()}
        refused = [d for d, (_, want) in CASES.items() if want not in ("tls", "plain")]
        assert not [m for m in peer.mails if m[0].split("@")[1] in refused]
