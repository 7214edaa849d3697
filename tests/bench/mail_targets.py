"""The servers that the IMAP and POP3 rows are run against: Postel, and Dovecot with Maildir where it is installed."""
import os
import pwd
import random
import shutil
import subprocess
import tempfile
import time

from lib.server import PASSWORD, Server, free_port

NEEDLE = "quicksilver"  # in every hundredth message
WORDS = """about after again among answer before better between board body book building business carry change
children city clear close common company concern condition country course cover decide develop different direct door early
enough evening example experience family field figure follow force general give group happen house important increase
interest keep known large leave letter level life light local matter member might moment money morning nation nothing
number office order part people perhaps place plan point power present problem process produce program public question
reason report result right school second service several show social state still street strong system table teacher thing
though thought through together toward turn under until value water where while without woman word work world write
year young""".split()


def message(n, size=4096):
    """The nth message, always the same: size bytes, CRLF, one text part."""
    chance = random.Random(n)
    who, whom = chance.choice(WORDS), chance.choice(WORDS)
    lines = [f"Received: from mail.example.org by mx.example.test with ESMTP id {n:08x}; Tue, 24 Nov 2026 10:00:00 +0000",
             f"From: {who.title()} Sender <{who}@example.org>", f"To: {whom.title()} Reader <{whom}@example.test>",
             f"Subject: {' '.join(chance.choices(WORDS, k=5))}", f"Date: Tue, 24 Nov 2026 {n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02} +0000",
             f"Message-ID: <{n}.{chance.getrandbits(64):x}@example.org>", "MIME-Version: 1.0",
             "Content-Type: text/plain; charset=utf-8", ""]
    if n % 100 == 0:
        lines.append(f"Here stands {NEEDLE.title()}, which is looked for.")
    text = "\r\n".join(lines) + "\r\n"
    while len(text) < size - 80:
        text += " ".join(chance.choices(WORDS, k=9)) + "\r\n"
    return (text + "x" * (size - 2 - len(text)) + "\r\n").encode()


class Postel:
    name, password = "Postel", PASSWORD

    def __init__(self, users):
        self.server = Server(accounts=[f"user{n}" for n in range(users)])
        self.root = self.server.process.pid
        self.port = self.server.port
        self.where = self.server.data

    @staticmethod
    def user(n):
        return f"user{n}@example.test"

    def close(self):
        self.server.stop()
        shutil.rmtree(self.server.data, ignore_errors=True)


DOVECOT = """
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/log
listen = 127.0.0.1
protocols = imap pop3
mail_location = maildir:{mail}/%n
mail_fsync = optimized
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 1
first_valid_gid = 1
mail_max_userip_connections = 0
default_process_limit = 2000
default_client_limit = 4000
disable_plaintext_auth = no
auth_mechanisms = plain
auth_failure_delay = 0
ssl = yes
ssl_cert = <{dir}/cert.pem
ssl_key = <{dir}/key.pem
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={mail}/%n
}}
service imap-login {{
{performance}  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
{performance}  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
"""


class Dovecot:
    """Dovecot in a directory of its own, on loopback ports. quick: its performance mode, one process for all logins."""
    name, password = "Dovecot", PASSWORD.replace(" ", "")  # its settings are split at blanks

    @staticmethod
    def installed():
        return os.getuid() == 0 and all(os.path.exists("/usr/lib/dovecot/" + n) for n in ("imap", "pop3"))

    def __init__(self, users, quick=False):
        self.dir = self.where = tempfile.mkdtemp(prefix="dovecot-bench-")
        os.chmod(self.dir, 0o755)
        self.mail = os.path.join(self.dir, "mail")
        for n in ("run", "state", "mail"):
            os.mkdir(os.path.join(self.dir, n))
        self.nobody = pwd.getpwnam("nobody")
        os.chown(self.mail, self.nobody.pw_uid, self.nobody.pw_gid)
        self.port = {n: free_port() for n in ("imap", "imaps", "pop3", "pop3s")}
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9",
                        "-subj", "/CN=mx.example.test", "-keyout", f"{self.dir}/key.pem", "-out", f"{self.dir}/cert.pem"],
                       check=True, capture_output=True)
        self.config = os.path.join(self.dir, "dovecot.conf")
        with open(self.config, "w") as f:
            f.write(DOVECOT.format(dir=self.dir, mail=self.mail, uid=self.nobody.pw_uid, gid=self.nobody.pw_gid,
                                   password=self.password, performance="  service_count = 0\n" if quick else "", **self.port))
        self.process = subprocess.Popen(["/usr/sbin/dovecot", "-F", "-c", self.config], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.root = self.process.pid
        for _ in range(200):
            if os.path.exists(os.path.join(self.dir, "run", "master.pid")):
                break
            time.sleep(0.05)
        time.sleep(0.3)

    @staticmethod
    def user(n):
        return f"user{n}"

    def close(self):
        self.process.terminate()
        self.process.wait(60)
        shutil.rmtree(self.dir, ignore_errors=True)


def file_system(path):
    """Type and device of what holds path, and whether an ext4 has a journal."""
    row = subprocess.run(["df", "--output=fstype,source", path], capture_output=True, text=True).stdout.splitlines()[-1].split()
    journal = ""
    if row[0].startswith("ext"):
        found = os.path.exists(f"/proc/fs/jbd2/{os.path.basename(row[1])}-8")
        journal = " with a journal" if found else " without a journal"
    return f"{row[0]}{journal} on {row[1]}"
