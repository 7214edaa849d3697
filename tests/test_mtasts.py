"""Policies of MTA-STS from a fake host: found by our own DNS, fetched by HTTPS inside relay's sandbox (RFC 8461)."""
import datetime
import http.server
import os
import ssl
import subprocess
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lib.dns import Dns
from lib.server import BINARY

POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mx.{}\r\nmx: *.example.test\r\nmax_age: 604800\r\n"


def pem_key(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def certificate(names, ca=None, days=1):
    """(certificate, key); ca: (certificate, key) of the authority, None: it is one itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.utcnow()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(ca[0].subject if ca else subject)
               .public_key(key.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(now - datetime.timedelta(days=10)).not_valid_after(now + datetime.timedelta(days=days))
               .add_extension(x509.BasicConstraints(ca is None, None), critical=True))
    if ca:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    return builder.sign(ca[1] if ca else key, hashes.SHA256()), key


class PolicyHost:
    """An HTTPS server for policies; answers: {host: (status, type, body, headers)}."""

    def __init__(self, folder, names, ca, days=1):
        cert, key = certificate(names, ca, days)
        path = os.path.join(folder, names[0] + ".pem")
        with open(path, "wb") as f:
            f.write(pem_key(key) + cert.public_bytes(serialization.Encoding.PEM))
        self.answers, self.asked = {}, []
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.headers["Host"].split(":")[0]
                host.asked.append((name, self.path))
                status, kind, body, *more = host.answers.get(name, (404, "text/plain", ""))
                self.send_response(status)
                for line in more:
                    self.send_header(*line)
                if kind:
                    self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *args):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            def handle_error(self, request, client_address):
                pass  # clients that leave because of our certificate

        self.server = Quiet(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def authority():
    return certificate(["Test authority"])


@pytest.fixture
def host(tmp_path, authority):
    host = PolicyHost(str(tmp_path), ["mta-sts.example.test", "*.many.test"], authority)
    yield host
    host.close()


@pytest.fixture
def tree():
    with Dns() as tree:
        for zone in ("example.test", "many.test", "other.test"):
            tree.zone(zone)
        yield tree


def publish(tree, domain, id="1", address="127.0.0.1"):
    tree.add("_mta-sts." + domain, "TXT", f'"v=STSv1; id={id};"')
    tree.add("mta-sts." + domain, "A", address)


def policies(tree, host, authority, tmp_path, *words):
    """{domain: "mode age patterns" or "-"} in order of words, as lists."""
    ca = tmp_path / "ca.pem"
    ca.write_bytes(authority[0].public_bytes(serialization.Encoding.PEM))
    config = tmp_path / "postel.conf"
    settings = {**tree.options(), "relay.ca_file": ca, "relay.https_port": host.port, "limits.mtasts_fetch_s": 5}
    config.write_text("".join("[{}]\n{} = {}\n".format(*key.split("."), value) for key, value in settings.items()))
    program = os.path.join(os.path.dirname(BINARY), "tests", "mtasts_probe")
    done = subprocess.run([program, str(config), *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    assert "Sanitizer" not in done.stderr
    lines = done.stdout.splitlines()
    assert "seccomp" in lines[0] and "landlock" in lines[0]
    return [line.split(" ", 1)[1] for line in lines[1:]], done.stderr


FINE = "enforce 604800 mx.example.test *.example.test"


def test_fetched_and_kept(tree, host, authority, tmp_path):
    publish(tree, "example.test")
    host.answers["mta-sts.example.test"] = (200, "text/plain; charset=utf-8", POLICY.format("example.test"))
    got, _ = policies(tree, host, authority, tmp_path, "example.test", "example.test", "+3600", "example.test", "+86400", "example.test")
    assert got == [FINE] * 4
    assert host.asked == [("mta-sts.example.test", "/.well-known/mta-sts.txt")] * 2  # at first, and a day later


def test_nothing_published(tree, host, authority, tmp_path):
    tree.add("mta-sts.example.test", "A", "127.0.0.1")
    got, _ = policies(tree, host, authority, tmp_path, "example.test", "nowhere.test")
    assert got == ["-", "-"] and host.asked == []


@pytest.mark.parametrize("answer, why", [
    ((404, "text/plain", "x"), "status 404"),
    ((301, "text/plain", "", ("Location", "https://mta-sts.many.test/")), "status 301"),
    ((200, "text/html", POLICY.format("example.test")), "its type is text/html"),
    ((200, None, POLICY.format("example.test")), "its type is"),
    ((200, "text/plain", "version: STSv2\r\n"), "RFC 8461"),
    ((200, "text/plain", POLICY.format("example.test") + "x: y\r\n" * 12000), "more than 65536 bytes"),
])
def test_refused(tree, host, authority, tmp_path, answer, why):
    publish(tree, "example.test")
    host.answers["mta-sts.example.test"] = answer
    got, log = policies(tree, host, authority, tmp_path, "example.test", "example.test")
    assert got == ["-", "-"] and why in log
    assert len(host.asked) == 1  # not asked again within five minutes


def test_certificates(tree, host, authority, tmp_path):
    """Another name, another authority, run out: no policy."""
    publish(tree, "other.test")
    host.answers["mta-sts.other.test"] = (200, "text/plain", POLICY.format("other.test"))
    got, log = policies(tree, host, authority, tmp_path, "other.test")
    assert got == ["-"] and "mtasts.fetch" in log
    publish(tree, "example.test")
    host.answers["mta-sts.example.test"] = (200, "text/plain", POLICY.format("example.test"))
    assert policies(tree, host, certificate(["Other authority"]), tmp_path, "example.test")[0] == ["-"]
    assert host.asked == []
    old = PolicyHost(str(tmp_path), ["mta-sts.example.test"], authority, days=-1)
    old.answers = host.answers
    assert policies(tree, old, authority, tmp_path, "example.test")[0] == ["-"]
    assert old.asked == []
    old.close()


def test_private_addresses(tree, host, authority, tmp_path):
    """Where relay may not connect, nothing is fetched (here: all but 127/8)."""
    publish(tree, "example.test", address="10.0.0.1")
    got, log = policies(tree, host, authority, tmp_path, "example.test")
    assert got == ["-"] and "not ones to connect to" in log


def test_kept_when_the_host_fails(tree, host, authority, tmp_path):
    """RFC 8461 3.3: what is kept holds until it runs out, whatever becomes of the host."""
    publish(tree, "example.test")
    host.answers["mta-sts.example.test"] = (200, "text/plain", POLICY.format("example.test").replace("604800", "172800"))

    class Once(dict):
        def get(self, name, other):
            return self.pop(name, other)
    host.answers = Once(host.answers)
    got, _ = policies(tree, host, authority, tmp_path, "example.test", "+90000", "example.test", "+90000", "example.test")
    assert got == ["enforce 172800 mx.example.test *.example.test"] * 2 + ["-"]
    assert len(host.asked) == 3
