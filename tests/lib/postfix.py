"""A Postfix of our own, as a rival of ./bench and as somebody else's server in tests: beside the system's, which it leaves alone."""
import os
import pwd
import shutil
import subprocess
import tempfile
import time

from lib.server import free_port


class Postfix:
    """Postfix with virtual mailboxes in Maildir, in a directory of its own, on a loopback address. settings: more lines of
    main.cf; {dir} in these and in mailboxes (virtual_mailbox_maps) is the directory. maps: files for it, {name: text}, that are there before it starts."""
    name = "Postfix"

    @staticmethod
    def installed():
        return os.getuid() == 0 and os.path.exists("/usr/sbin/postfix")

    def __init__(self, settings="", recipient="alice@example.test", address="127.0.0.1", port=None, host="mx.example.test",
                 domains="example.test", mailboxes="static:alice/", maps=None):
        self.dir = tempfile.mkdtemp(prefix="postfix-")
        os.chmod(self.dir, 0o755)
        self.port = port or free_port()
        self.recipient = recipient
        config, queue, data, self.mail = (os.path.join(self.dir, n) for n in ("etc", "queue", "data", "mail"))
        for folder in (config, queue, data, self.mail):
            os.mkdir(folder)
        user = pwd.getpwnam("postfix")
        os.chown(data, user.pw_uid, user.pw_gid)
        nobody = pwd.getpwnam("nobody")
        os.chown(self.mail, nobody.pw_uid, nobody.pw_gid)
        with open(os.path.join(config, "main.cf"), "w") as f:
            f.write(f"""compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
mail_owner = postfix
setgid_group = postdrop
myhostname = {host}
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = {domains}
virtual_mailbox_maps = {mailboxes.replace("{dir}", self.dir)}
virtual_mailbox_base = {self.mail}
virtual_uid_maps = static:{nobody.pw_uid}
virtual_gid_maps = static:{nobody.pw_gid}
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
in_flow_delay = 0
default_process_limit = 200
maillog_file = {self.dir}/log
maillog_file_prefixes = {self.dir}
alias_maps =
local_recipient_maps =
{settings.replace("{dir}", self.dir)}""")
        with open(os.path.join(config, "master.cf"), "w") as f:
            f.write(f"""{address}:{self.port} inet n - n - 200 smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
smtp unix - - n - - smtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
""")
        self.config = config
        for name, text in (maps or {}).items():
            self.write(name, text)
        subprocess.run(["/usr/sbin/postfix", "-c", config, "start"], check=True, capture_output=True)
        pid_file = os.path.join(queue, "pid", "master.pid")
        for _ in range(100):
            if os.path.exists(pid_file) and open(pid_file).read().strip():
                break
            time.sleep(0.1)
        self.root = int(open(pid_file).read())

    def write(self, name, text):
        """One of the maps, anew, for hash: when its name does not say ".regexp"; a daemon sees the change before its next client."""
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        if not name.endswith(".regexp"):
            subprocess.run(["/usr/sbin/postmap", "-c", self.config, "hash:" + path], check=True, capture_output=True)

    def log_text(self):
        try:
            with open(os.path.join(self.dir, "log"), errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def messages(self, who):
        """The octets of each message in a mailbox, the oldest first."""
        folder = os.path.join(self.mail, who, "new")
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        return [open(os.path.join(folder, name), "rb").read() for name in names]

    def stored(self):
        folder = os.path.join(self.mail, "alice", "new")
        return len(os.listdir(folder)) if os.path.isdir(folder) else 0

    def close(self):
        subprocess.run(["/usr/sbin/postfix", "-c", self.config, "stop"], capture_output=True)
        for _ in range(100):
            if not os.path.exists(f"/proc/{self.root}"):
                break
            time.sleep(0.1)
        shutil.rmtree(self.dir, ignore_errors=True)
