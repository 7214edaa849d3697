"""A Postel of the test's own: on free loopback ports, in a directory of its own, as an ordinary user where we are root."""
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get("POSTEL", os.path.join(ROOT, "build-asan", "postel"))
PASSWORD = "correct horse"
SERVICES = ("smtp", "lmtp", "submission", "submissions", "pop3", "pop3s", "imap", "imaps")
ORDINARY = "nobody"  # whom the server becomes where the tests run as root


_given = set()


def free_port():
    """A port that was free on both loopback addresses a moment ago, another one each time; below those that the kernel gives
    to connections."""
    while True:
        port = random.randrange(10240, 32000)
        if port in _given:
            continue
        try:
            with socket.socket() as s:
                s.bind(("127.0.0.1", port))
            if have_ipv6():
                with socket.socket(socket.AF_INET6) as s:
                    s.bind(("::1", port))
            _given.add(port)
            return port
        except OSError:
            continue


def have_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


class Server:
    """Server(): starts on construction; use as a context manager. options: {"section.name": value} on top of ours. dns: a
    tree of lib.dns; without one every name is a temporary failure, for no question may leave the machine."""

    def __init__(self, options=None, accounts=("alice", "bob"), binary=None, data=None, iterations=4096, dns=None):
        self.binary = binary or BINARY
        self.keep_data = data is not None
        self.data = data or tempfile.mkdtemp(prefix="postel-test-")
        self.port = {name: free_port() for name in SERVICES}
        self.config = os.path.join(self.data, "postel.conf")
        self.log = os.path.join(self.data, "postel.log")
        self.process = None
        settings = {
            "server.hostname": "mx.example.test",
            "server.data": self.data,
            "server.cleartext_loopback": "yes",
            "dns.forward": "127.0.0.1:9",
            "limits.password_iterations": str(iterations),
        }
        if os.getuid() == 0:
            settings["server.user"] = ORDINARY
            account = pwd.getpwnam(ORDINARY)
            os.chown(self.data, account.pw_uid, account.pw_gid)
        six = have_ipv6()
        for name, port in self.port.items():
            settings["listen." + name] = f"127.0.0.1:{port}" + (f" [::1]:{port}" if six else "")
        if dns is not None:
            settings.update(dns.options())
        settings.update(options or {})
        with open(self.config, "w") as f:
            for key, value in settings.items():
                section, name = key.split(".", 1)
                f.write(f"[{section}]\n{name} = {value}\n")
        self.start()
        if accounts and not self.keep_data:
            first = accounts[0] + "@example.test"
            self.cli("domain", "add", "example.test", "--admin", first, "--password-stdin", input=PASSWORD + "\n")
            for name in accounts[1:]:
                self.cli("account", "add", name + "@example.test", "--password-stdin", input=PASSWORD + "\n")

    def start(self, wait_s=30):
        before = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([self.binary, "serve", "--config", self.config], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, start_new_session=True)
        end = time.monotonic() + wait_s
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError("the server ended at start:\n" + self.log_tail())
            if "ev=postel.ready" in self.log_text(before):
                return
            time.sleep(0.02)
        self.kill()
        raise RuntimeError("the server did not get ready:\n" + self.log_tail())

    def cli(self, *args, input=None, check=True):
        """Runs the postel command against this server; returns its standard output."""
        done = subprocess.run([self.binary, *args, "--data", self.data], input=input, capture_output=True, text=True,
                              timeout=60)
        if check and done.returncode != 0:
            raise RuntimeError(f"postel {' '.join(args)}: {done.stderr}\n{self.log_tail()}")
        return done.stdout if check else done

    def log_text(self, start=0):
        """The log, from byte `start` on."""
        with open(self.log, errors="replace") as f:
            f.seek(start)
            return f.read()

    def log_tail(self, lines=30):
        return "\n".join(self.log_text().splitlines()[-lines:])

    def roles(self):
        """{pid: role name} of the role processes now alive."""
        found = {}
        with_children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        try:
            children = open(with_children).read().split()
        except OSError:
            children = []
        for pid in children:
            try:
                words = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")
            except OSError:
                continue
            if b"role" in words:
                found[int(pid)] = words[words.index(b"role") + 1].decode()
        return found

    def stop(self, wait_s=60):
        """Orderly stop; fails when the log holds a sanitizer's report or the server does not end."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError("the server did not stop:\n" + self.log_tail())
        self.process = None
        self.check_log()
        if status != 0:
            raise RuntimeError(f"the server ended with status {status}:\n" + self.log_tail())

    def kill(self):
        if self.process is not None:
            for pid in self.roles():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.kill()
            self.process.wait()
            self.process = None

    def check_log(self):
        bad = re.search(r"^.*(ERROR: AddressSanitizer|runtime error:|LeakSanitizer|UndefinedBehavior|Assertion).*$",
                        self.log_text(), re.M)
        if bad:
            at = max(0, bad.start() - 200)
            raise RuntimeError("a sanitizer reported:\n" + self.log_text()[at:at + 4000])

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            if kind is None:
                self.stop()
            else:
                self.kill()
        finally:
            if not self.keep_data and not os.environ.get("POSTEL_KEEP"):
                shutil.rmtree(self.data, ignore_errors=True)
