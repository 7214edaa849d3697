"""Postfix as a rival of ./bench."""
import os
import pwd
import shutil
import subprocess
import tempfile
import time

from lib.server import free_port


class Postfix:
    """Postfix with virtual mailboxes in Maildir, in a directory of its own, on a loopback port. settings: more lines of main.cf."""
    name = "Postfix"

    @staticmethod
    def installed():
        return os.getuid() == 0 and os.path.exists("/usr/sbin/postfix")

    def __init__(self, settings="", recipient="alice@example.test"):
        self.dir = tempfile.mkdtemp(prefix="postfix-bench-")
        os.chmod(self.dir, 0o755)
        self.port = free_port()
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
myhostname = mx.example.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = example.test
virtual_mailbox_maps = static:alice/
virtual_mailbox_base = {self.mail}
virtual_uid_maps = static:{nobody.pw_uid}
virtual_gid_maps = static:{nobody.pw_gid}
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
in_flow_delay = 0
default_process_limit = 200
maillog_file = /var/log/postfix-bench.log
maillog_file_prefixes = /var
alias_maps =
local_recipient_maps =
{settings}""")
        with open(os.path.join(config, "master.cf"), "w") as f:
            f.write(f"""127.0.0.1:{self.port} inet n - n - 200 smtpd
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
postlog unix-dgram n - n - 1 postlogd
""")
        self.config = config
        subprocess.run(["/usr/sbin/postfix", "-c", config, "start"], check=True, capture_output=True)
        pid_file = os.path.join(queue, "pid", "master.pid")
        for _ in range(100):
            if os.path.exists(pid_file) and open(pid_file).read().strip():
                break
            time.sleep(0.1)
        self.root = int(open(pid_file).read())

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
        try:
            os.remove("/var/log/postfix-bench.log")
        except FileNotFoundError:
            pass
