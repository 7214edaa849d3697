"""An SMTP server that does as it is told: for each connection a script says where it answers what, breaks off, or is slow.

    with Peer("127.0.1.7", port, scripts=[{"mail": "451 4.3.0 not now"}, {}]) as peer:
        ...
        peer.mails  # what it took, and what it was given without an answer

The n-th connection plays the n-th script, later ones the last. A script's keys are steps: greeting, ehlo, helo, starttls, tls
(behind the handshake), auth, mail, rcpt, data, bdat, last (the BDAT with LAST), body (behind the final dot), rset, quit, other. A value is one of, or a list
of (for the first, second ... time in the connection; None: as usual):
    "450 4.2.0 text"         the answer; several lines with \\n
    DROP, RST                closes, or resets, instead of an answer
    Then("250 ok", RST)      the answer, and then that; an answer behind an answer is one that nobody asked for
    Slow(seconds, "250 ok")  late
Besides, "caps": the lines behind EHLO; "caps_tls": those in TLS.
"""
import socket
import ssl
import struct
import threading

DROP, RST = "drop", "rst"
CAPS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES", "SIZE 10000000")


class Then:
    def __init__(self, *steps):
        self.steps = steps


class Slow(Then):
    def __init__(self, seconds, answer=None):
        super().__init__(seconds, answer)


class Mail:
    def __init__(self, connection):
        self.connection = connection
        self.sender = self.options = None
        self.rcpts = []          # accepted
        self.rcpt_options = []
        self.text = b""
        self.complete = False    # its end was seen
        self.taken = False       # 250 was said to it, or was about to be when the connection broke
        self.tls = None


class End(Exception):
    pass


class Session:
    def __init__(self, peer, sock, number):
        self.peer, self.sock, self.number = peer, sock, number
        self.script = dict(peer.scripts[min(number, len(peer.scripts) - 1)])
        self.times = {}
        self.buffer = b""
        self.tls = None
        self.user = None
        self.mail = None
        self.commands = []

    # ---- bytes ----

    def read(self):
        data = self.sock.recv(65536)
        if not data:
            raise End
        self.buffer += data

    def line(self):
        while b"\n" not in self.buffer:
            self.read()
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r")

    def exactly(self, n):
        while len(self.buffer) < n:
            self.read()
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def write(self, text):
        data = text if isinstance(text, bytes) else text.replace("\n", "\r\n").encode() + b"\r\n"
        self.sock.sendall(data)

    # ---- steps ----

    def perform(self, action, mail=None):
        """Does it; the last answer's code, or None."""
        code = None
        for step in action.steps if isinstance(action, Then) else [action]:
            if step is DROP:
                raise End
            elif step is RST:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                raise End
            elif isinstance(step, (int, float)):
                if self.peer.stopping.wait(step):
                    raise End
            elif isinstance(step, Then):
                code = self.perform(step, mail) or code
            elif step is not None:
                code = (step if isinstance(step, str) else step.decode("latin1"))[:3]
                if mail and code[0] == "2":
                    mail.taken = True  # before the other side can know it
                self.write(step)
        return code

    def say(self, step, usual, mail=None):
        """Answers as the script says; was it a yes? Notes that in mail too, before what may come behind it."""
        action = self.script.get(step)
        if isinstance(action, list):
            at = self.times.get(step, 0)
            self.times[step] = at + 1
            action = action[at] if at < len(action) else None
        if isinstance(action, Slow) and action.steps[1] is None:
            action = Slow(action.steps[0], usual)
        code = self.perform(usual if action is None else action, mail)
        return code is not None and code[0] in "23"

    def take(self):
        """The message is whole."""
        mail, self.mail = self.mail, None
        mail.complete = True
        self.peer.mails.append(mail)
        return mail

    def ehlo(self):
        caps = self.script.get("caps", self.peer.caps)
        if self.tls:
            caps = self.script.get("caps_tls", caps)
        elif self.peer.context and "STARTTLS" not in caps and "caps" not in self.script:
            caps = tuple(caps) + ("STARTTLS",)
        lines = ["peer.example.test"] + [c for c in caps if not (self.tls and c == "STARTTLS")]
        return "\n".join("250" + (" " if i == len(lines) - 1 else "-") + text for i, text in enumerate(lines))

    def start_tls(self):
        self.sock.settimeout(20)
        self.sock = self.peer.context.wrap_socket(self.sock, server_side=True)
        self.tls = self.sock.version()
        self.buffer = b""
        if "tls" in self.script:
            self.perform(self.script["tls"])

    def text(self):
        lines = []
        while (line := self.line()) != b".":
            lines.append(line[1:] if line.startswith(b".") else line)
        self.mail.text = b"".join(line + b"\r\n" for line in lines)

    def command(self, line):
        verb, _, rest = line.partition(" ")
        verb = verb.upper()
        if verb == "EHLO":
            self.say("ehlo", self.ehlo())
        elif verb == "HELO":
            self.say("helo", "250 peer.example.test")
        elif verb == "STARTTLS":
            if self.say("starttls", "220 2.0.0 go ahead"):
                self.start_tls()
        elif verb == "AUTH":
            if self.say("auth", "235 2.7.0 welcome"):
                self.user = rest
        elif verb == "MAIL":
            mail = Mail(self.number)
            path, _, options = rest[5:].partition(" ")
            mail.sender, mail.options, mail.tls = path.strip("<>"), options.split(), self.tls
            if self.say("mail", "250 2.1.0 ok"):
                self.mail = mail
        elif verb == "RCPT" and self.mail:
            path, _, options = rest[rest.index("<"):].partition("> ")  # a local part in quotes may hold a space
            if self.say("rcpt", "250 2.1.5 ok"):
                self.mail.rcpts.append(path.strip("<>"))
                self.mail.rcpt_options.append(options.split())
        elif verb == "DATA" and self.mail and self.mail.rcpts:
            if self.say("data", "354 go"):
                self.text()
                mail = self.take()
                self.say("body", f"250 2.0.0 taken {len(self.peer.mails)}", mail)
        elif verb == "BDAT":
            data = self.exactly(int(rest.split()[0]))
            if not self.mail or not self.mail.rcpts:
                self.write("503 5.5.1 no recipients")
                return
            self.mail.text += data
            if "LAST" not in rest.upper():
                if not self.say("bdat", f"250 2.0.0 {len(data)} bytes"):
                    self.mail = None
                return
            mail = self.take()
            self.say("last" if "last" in self.script else "body", f"250 2.0.0 taken {len(self.peer.mails)}", mail)
        elif verb == "RSET":
            self.mail = None
            self.say("rset", "250 2.0.0 ok")
        elif verb == "QUIT":
            self.say("quit", "221 2.0.0 bye")
            raise End
        else:
            self.say("other", "503 5.5.1 out of order")

    def run(self):
        try:
            if self.script.get("direct_tls"):
                self.start_tls()
            self.say("greeting", "220 peer.example.test ESMTP")
            while True:
                line = self.line().decode("utf-8", "replace")
                self.commands.append(line)
                self.command(line)
        except (End, OSError, ssl.SSLError, ValueError):
            pass
        finally:
            self.sock.close()


class Peer:
    """cert: (file with certificate, file with key) for STARTTLS; None: none is offered."""

    def __init__(self, address, port, scripts=({},), caps=CAPS, cert=None):
        self.scripts, self.caps = list(scripts), caps
        self.mails = []
        self.sessions = []
        self.stopping = threading.Event()
        self.context = None
        if cert:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*cert)
        self.listener = socket.create_server((address, port), backlog=200)
        self.open = self.open_most = 0
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            if self.stopping.is_set():
                sock.close()
                return
            sock.settimeout(60)
            session = Session(self, sock, len(self.sessions))
            self.sessions.append(session)
            threading.Thread(target=self._run, args=(session,), daemon=True).start()

    def _run(self, session):
        with self.lock:
            self.open += 1
            self.open_most = max(self.open_most, self.open)
        session.run()
        with self.lock:
            self.open -= 1

    def taken(self, rcpt=None):
        """The messages that it said yes to; of one recipient."""
        return [m for m in self.mails if m.taken and (rcpt is None or rcpt in m.rcpts)]

    def stop(self):
        self.stopping.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()
