"""The rows of ./bench. Every row measures Postel and a rival in turn and prints one line for each, and the ratio."""
import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import mail
import relay
from processes import cpu_seconds, pss_kb
from lib.postfix import Postfix
from lib.server import PASSWORD, Server

SMTP_SOURCE = shutil.which("smtp-source", path="/usr/sbin:/usr/bin")


class Postel:
    name = "Postel"

    def __init__(self):
        self.server = Server(accounts=["alice"] + [f"user{n}" for n in range(99)])
        self.root = self.server.process.pid
        self.port = self.server.port["smtp"]
        self.recipient = "alice@example.test"

    def stored(self):
        line = self.server.cli("store", "stats", "--plain")
        return int(dict(row.split("\t") for row in line.splitlines())["emails"])

    def close(self):
        self.server.stop()
        shutil.rmtree(self.server.data, ignore_errors=True)


def load(target, sessions, count, size):
    """Messages per second until the last one is in the mailbox, and CPU microseconds per message."""
    before, cpu = target.stored(), cpu_seconds(target.root)
    began = time.monotonic()
    subprocess.run([SMTP_SOURCE, "-d", "-s", str(sessions), "-m", str(count), "-l", str(size), "-f", "jon@example.org",
                    "-t", target.recipient, f"127.0.0.1:{target.port}"], check=True, capture_output=True, timeout=600)
    while target.stored() < before + count:
        if time.monotonic() - began > 600:
            raise RuntimeError(f"{target.name}: {target.stored() - before} of {count} arrived")
        time.sleep(0.005)
    took = time.monotonic() - began
    return count / took, (cpu_seconds(target.root) - cpu) * 1e6 / count


def row(targets, title, sessions, size, counts, rounds):
    results = {t.name: [] for t in targets}
    for n in range(rounds + 1):  # the first round warms up
        for t in targets:
            print(f"\r{title}: round {n}/{rounds} {t.name}   ", end="", file=sys.stderr, flush=True)
            got = load(t, sessions, counts[t.name] if n else counts[t.name] // 4, size)
            if n:
                results[t.name].append(got)
    print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
    medians = {}
    for t in targets:
        rates, cpus = zip(*results[t.name])
        medians[t.name] = statistics.median(rates)
        print(f"{title:34} {t.name:8} {medians[t.name]:8.0f}/s  [{min(rates):.0f}-{max(rates):.0f}]"
              f"  {statistics.median(cpus):7.0f} us CPU a message")
    if len(targets) > 1:
        print(f"{title:34} ratio    {medians['Postel'] / medians['Postfix']:8.1f} x")


def idle(server):
    """Memory that one more idle session costs, all roles together."""
    for title, service, login in (("SMTP, before anything", "smtp", False), ("POP3, before login", "pop3", False),
                                  ("POP3, logged in", "pop3", True), ("POP3 in TLS, before login", "pop3s", False)):
        count = 99 if login else 500
        warm = [open_idle(server, service, login, n) for n in range(10)]
        for s in warm:
            s.close()
        time.sleep(0.5)
        before = pss_kb(server.process.pid)
        held = [open_idle(server, service, login, n) for n in range(count)]
        time.sleep(0.5)
        cost = (pss_kb(server.process.pid) - before) / count
        for s in held:
            s.close()
        time.sleep(0.5)
        print(f"idle session: {title:28} {cost:6.1f} kB  ({count} sessions)")
    print(f"idle server, 100 accounts: {pss_kb(server.process.pid) / 1024:.1f} MB PSS, all roles together")


def open_idle(server, service, login, n):
    s = socket.create_connection(("127.0.0.1", server.port[service]), 30)
    if service == "pop3s":
        from lib.talk import tls_context
        s = tls_context().wrap_socket(s)
    s.recv(512)
    if login:
        name = f"user{n % 99}"  # alice has all the mail of the other rows
        for line in (f"USER {name}@example.test", f"PASS {PASSWORD}"):
            s.sendall(line.encode() + b"\r\n")
            answer = s.recv(512)
            if not answer.startswith(b"+OK"):
                raise RuntimeError(answer)
    return s


def store(most):
    """The store alone, without a server: durable arrivals, then the cost per message of each operation by mailbox size.
    Growth is told in processor time, so that what else the machine does is not in it."""
    program = os.path.join(os.path.dirname(os.environ["POSTEL"]), "src/store/store_bench")
    folder = tempfile.mkdtemp(prefix="store-bench-")
    wall, cpu = {}, {}
    try:
        lines = subprocess.run([program, folder, str(most)], check=True, stdout=subprocess.PIPE, text=True).stdout
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for line in lines.splitlines():
        name, size, value, cpu_us, unit = line.split("\t")
        if size == "0":
            print(f"store: {name:32} {float(value):8.1f} {unit:4} {float(cpu_us):9.1f} us CPU")
        else:
            wall.setdefault(name, {})[int(size)] = float(value)
            cpu.setdefault(name, {})[int(size)] = float(cpu_us)
    sizes = sorted({size for costs in wall.values() for size in costs})
    for title, table in (("us", wall), ("us CPU", cpu)):
        print(f"store: {title + ' each, mailbox of':26} {''.join(f'{size:>10}' for size in sizes)}  last:first")
        for name, costs in table.items():
            print(f"store: {name:26} {''.join(f'{costs[size]:10.2f}' for size in sizes)}"
                  f"  {costs[sizes[-1]] / costs[sizes[0]]:10.2f}")


ROWS = {
    "smtp20": ("SMTP until stored, 20 sessions", 20, 4096, {"Postel": 20000, "Postfix": 2000}),
    "smtp1": ("SMTP until stored, 1 session", 1, 4096, {"Postel": 3000, "Postfix": 1000}),
    "smtp100": ("SMTP until stored, 100 sessions", 100, 4096, {"Postel": 20000, "Postfix": 2000}),
    "smtp64k": ("SMTP until stored, 64 KB, 20", 20, 65536, {"Postel": 4000, "Postfix": 1000}),
}


def main():
    parser = argparse.ArgumentParser(prog="./bench")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--growth", action="store_true", help="store: mailboxes of 10^6 messages too")
    parser.add_argument("rows", nargs="*", metavar="ROW")
    args = parser.parse_args()
    others = {"idle", "store", "imap", "pop3", "relay", "submission"}
    wanted = args.rows or [*ROWS, "idle", "store", "imap", "pop3", "relay", "submission"]
    unknown = set(wanted) - set(ROWS) - others
    if unknown:
        parser.error(f"no such row: {' '.join(unknown)}")
    if "store" in wanted:
        store(10**6 if args.growth else 10**5)
    for protocol in ("imap", "pop3"):
        if protocol in wanted:
            mail.run(protocol, args.rounds)
    for name in ("relay", "submission"):
        if name in wanted:
            relay.run(name, args.rounds)
    wanted = [name for name in wanted if name not in others - {"idle"}]
    if not wanted:
        return
    if SMTP_SOURCE is None:
        sys.exit("./bench: smtp-source is missing (Debian package postfix)")
    targets = [Postel()]
    try:
        if Postfix.installed():
            targets.append(Postfix())
        else:
            print("Postfix is not installed or we are not root: Postel alone.")
        for name in wanted:
            if name == "idle":
                idle(targets[0].server)
            else:
                title, sessions, size, counts = ROWS[name]
                row(targets, title, sessions, size, counts, args.rounds)
    finally:
        for t in targets:
            t.close()


if __name__ == "__main__":
    main()
