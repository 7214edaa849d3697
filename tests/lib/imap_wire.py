"""An IMAP connection read answer by answer: literals are kept apart from lines, nothing is guessed."""
import re
import socket

from lib.server import PASSWORD


class Closed(Exception):
    """The server ended the connection."""


class Wire:
    """Sends commands, gathers untagged answers as (text, [literals])."""

    def __init__(self, server, who="alice", service="imap", timeout=30):
        self.sock = socket.create_connection(("127.0.0.1", server.port[service]), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest, self.count = b"", 0
        self.greeting = self.answer()[0]
        if who:
            self.ok(f'LOGIN {who}@example.test "{PASSWORD}"')

    def _more(self):
        data = self.sock.recv(1 << 18)
        if not data:
            raise Closed()
        self.rest += data

    def answer(self):
        """One answer with its literals: the text has {} where a literal was."""
        text, literals = b"", []
        while True:
            while (end := self.rest.find(b"\r\n")) < 0:
                self._more()
            line, self.rest = self.rest[:end], self.rest[end + 2:]
            size = re.search(rb"~?\{(\d+)\}$", line)
            if not size:
                return (text + line).decode("utf-8", "surrogateescape"), literals
            text += line[:size.start()] + b"{}"
            while len(self.rest) < int(size[1]):
                self._more()
            literals.append(self.rest[:int(size[1])])
            self.rest = self.rest[int(size[1]):]

    def send(self, data):
        self.sock.sendall(data)

    def command(self, text):
        """Text may hold bytes of non-synchronizing literals. Returns (tagged answer without its tag, untagged ones)."""
        self.count += 1
        tag = f"w{self.count}"
        self.send(f"{tag} ".encode() + (text if isinstance(text, bytes) else text.encode()) + b"\r\n")
        untagged = []
        while True:
            line, literals = self.answer()
            if line.startswith(tag + " "):
                return line[len(tag) + 1:], untagged
            assert line.startswith("* "), line
            untagged.append((line[2:], literals))

    def ok(self, text):
        said, untagged = self.command(text)
        assert said.startswith("OK"), (text, said)
        return said, untagged

    def append(self, mailbox, message, flags=""):
        flags = f"({flags}) " if flags else ""
        return self.ok(f"APPEND {mailbox} {flags}{{{len(message)}+}}\r\n".encode() + message)

    def close(self):
        self.sock.close()
