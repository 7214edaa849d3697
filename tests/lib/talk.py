"""talk: the small language of tests/talk/*.talk, whole dialogues against a real server.

A script is read line by line; `#` begins a comment line. NAME is a connection, chosen freely (A, B, client).
{password} is that of every account, {plain:NAME} the base64 of SASL PLAIN for NAME@example.test.

    option section.name = value      before anything else: the script gets a server of its own with this setting
    connect NAME SERVICE [ipv6]      smtp, lmtp, submission, pop3, imap; in TLS at once: submissions, pop3s, imaps
    NAME> text                       sends text and CRLF; \\r \\n \\0 \\\\ \\xNN are escapes
    NAME>> text                      the same without CRLF
    NAME repeat N text               sends text (with escapes, no CRLF added) N times, in large pieces
    NAME< pattern                    the next line must match; * and ? as in file names, the rest literally
    NAME<< CODE [pattern]            a whole SMTP reply (250-...250 ...), every line with CODE; one line must match
    NAME<. pattern                   a POP3 multi-line answer up to "."; its first line must match
    NAME<* TAG [pattern]             IMAP answers up to the tagged one, whose text must match
    NAME: pattern                    some line of the last reply matches
    NAME! pattern                    no line of the last reply matches
    NAME eof                         the server closes now (what it still says must be nothing)
    NAME drain                       reads until the server closes, keeps what came as the last reply
    NAME last pattern                the last line that came before the close matches
    NAME count N pattern             so many lines of the last reply match
    NAME starttls                    a TLS handshake here
    NAME close                       closes;  NAME reset: closes with RST;  NAME half: shuts down our side
    sleep SECONDS
    log pattern                      within 5 s some line of the server's log matches
"""
import base64
import fnmatch
import re
import socket
import ssl
import struct
import time

from lib.server import PASSWORD

TIMEOUT = 30


class TalkError(Exception):
    pass


def unescape(text):
    out = re.sub(r"\\(x[0-9a-fA-F]{2}|[rn0\\])", lambda m: {"r": "\r", "n": "\n", "0": "\0", "\\": "\\"}.get(m[1])
                 or chr(int(m[1][1:], 16)), text)
    return out.encode("latin-1")


def matches(line, pattern):
    return fnmatch.fnmatchcase(line, re.sub(r"\[", "[[]", pattern))


def plain(match):
    """The response of SASL PLAIN (RFC 4616) of an account."""
    return base64.b64encode(f"\0{match[1]}@example.test\0{PASSWORD}".encode()).decode()


def tls_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the server's own self-signed certificate
    return context


class Peer:
    def __init__(self, server, service, ipv6):
        host = "::1" if ipv6 else "127.0.0.1"
        self.sock = socket.create_connection((host, server.port[service]), TIMEOUT)
        self.buffer = b""
        self.reply = []
        if service in ("submissions", "pop3s", "imaps"):
            self.starttls()

    def starttls(self):
        self.sock = tls_context().wrap_socket(self.sock)

    def send(self, data):
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server may close while we still write: what it answered counts

    def line(self):
        while b"\n" not in self.buffer:
            try:
                more = self.sock.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                if self.buffer:
                    break
                return None
            self.buffer += more
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.rstrip(b"\r").decode("utf-8", "backslashreplace")


class Talk:
    def __init__(self, text, server):
        self.lines = text.splitlines()
        self.server = server
        self.peers = {}

    @staticmethod
    def options(text):
        """The settings that the script asks for."""
        return dict(re.findall(r"^option\s+(\S+)\s*=\s*(.*?)\s*$", text, re.M))

    def run(self):
        try:
            for number, line in enumerate(self.lines, 1):
                if not line.strip() or line.startswith(("#", "option ")):
                    continue
                try:
                    self.step(re.sub(r"\{plain:(\w+)\}", plain, line.replace("{password}", PASSWORD)))
                except (TalkError, OSError, ssl.SSLError) as e:
                    raise TalkError(f"line {number}: {line}\n  {type(e).__name__}: {e}") from e
        finally:
            for peer in self.peers.values():
                peer.sock.close()

    def step(self, line):
        word, _, rest = line.partition(" ")
        if word == "connect":
            name, service, *more = rest.split()
            self.peers[name] = Peer(self.server, service, "ipv6" in more)
        elif word == "sleep":
            time.sleep(float(rest))
        elif word == "log":
            self.expect_log(rest)
        elif m := re.match(r"(\w+?)(>>|>|<<|<\.|<\*|<|:|!)(?: (.*))?$", line):
            self.dialogue(self.peer(m[1]), m[2], m[3] or "")
        else:
            verb, _, rest = rest.partition(" ")
            self.action(self.peer(word), verb, rest)

    def peer(self, name):
        if name not in self.peers:
            raise TalkError(f"no connection is called {name}")
        return self.peers[name]

    def expect_log(self, pattern):
        end = time.monotonic() + 5
        while not any(matches(line, pattern) for line in self.server.log_text().splitlines()):
            if time.monotonic() > end:
                raise TalkError("the log has no such line; its end:\n" + self.server.log_tail(8))
            time.sleep(0.05)

    def dialogue(self, peer, op, text):
        if op == ">":
            peer.send(unescape(text) + b"\r\n")
        elif op == ">>":
            peer.send(unescape(text))
        elif op == "<":
            line = peer.line()
            peer.reply = [] if line is None else [line]
            if line is None or not matches(line, text):
                raise TalkError(f"got {line!r}")
        elif op == "<<":
            self.smtp_reply(peer, text)
        elif op == "<.":
            self.pop3_lines(peer, text)
        elif op == "<*":
            self.imap_lines(peer, text)
        elif (op == ":") != any(matches(line, text) for line in peer.reply):
            raise TalkError("the last reply was:\n    " + "\n    ".join(peer.reply))

    def smtp_reply(self, peer, text):
        code, _, pattern = text.partition(" ")
        peer.reply = []
        while True:
            line = peer.line()
            if line is None:
                raise TalkError(f"closed after {peer.reply}")
            peer.reply.append(line)
            if not re.match(re.escape(code) + "[ -]", line):
                raise TalkError(f"got {line!r}")
            if line[3] == " ":
                break
        if pattern and not any(matches(line, code + "?" + pattern) for line in peer.reply):
            raise TalkError(f"got {peer.reply}")

    def pop3_lines(self, peer, pattern):
        first = peer.line()
        if first is None or not matches(first, pattern):
            raise TalkError(f"got {first!r}")
        peer.reply = [first]
        while (line := peer.line()) != ".":
            if line is None:
                raise TalkError("closed inside a multi-line answer")
            peer.reply.append(line[1:] if line.startswith(".") else line)

    def imap_lines(self, peer, text):
        tag, _, pattern = text.partition(" ")
        peer.reply = []
        while (line := peer.line()) is None or not line.startswith(tag + " "):
            if line is None:
                raise TalkError("no answer; there came:\n    " + "\n    ".join(peer.reply))
            peer.reply.append(line)
        peer.reply.append(line)
        if pattern and not matches(line, tag + " " + pattern):
            raise TalkError("got:\n    " + "\n    ".join(peer.reply))

    def action(self, peer, verb, rest):
        if verb == "eof":
            line = peer.line()
            if line is not None:
                raise TalkError(f"got {line!r}")
        elif verb == "drain":
            peer.reply = list(iter(peer.line, None))
        elif verb == "last":
            if not peer.reply or not matches(peer.reply[-1], rest):
                raise TalkError(f"got {peer.reply[-3:]}")
        elif verb == "count":
            number, _, pattern = rest.partition(" ")
            found = sum(matches(line, pattern) for line in peer.reply)
            if found != int(number):
                raise TalkError(f"{found} lines match")
        elif verb == "starttls":
            peer.starttls()
        elif verb == "repeat":
            number, _, text = rest.partition(" ")
            piece = unescape(text)
            whole = piece * int(number)
            for at in range(0, len(whole), 262144):
                peer.send(whole[at:at + 262144])
        elif verb == "half":
            peer.sock.shutdown(socket.SHUT_WR)
        elif verb == "reset":
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.sock.close()
        elif verb == "close":
            peer.sock.close()
        else:
            raise TalkError(f"what is {verb!r}?")
