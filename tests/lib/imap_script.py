"""The dialogue scripts of imaptest: their format (scripted_test.md beside them) read and run."""
import re
import socket


class Failure(Exception):
    pass


# ---- the syntax of IMAP: a reply or a script's line as nested lists of strings ----

class Text(str):
    """A quoted string or literal; atoms are plain str."""


class Listed(list):
    """A list in parentheses."""


def parse(data):
    """bytes of one reply or script line (literals as {n}CRLF bytes) -> list of Text, str, Listed."""
    at, stack = 0, [Listed()]
    while at < len(data):
        c = data[at:at + 1]
        if c == b" ":
            at += 1
        elif c == b"(":
            stack.append(Listed())
            at += 1
        elif c == b")" and len(stack) > 1:
            done = stack.pop()
            stack[-1].append(done)
            at += 1
        elif c == b'"':
            m = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.S).match(data, at)
            if not m:
                raise Failure("bad quoted string: %r" % data[at:])
            stack[-1].append(Text(re.sub(rb"\\(.)", rb"\1", m.group(1)).decode("latin-1")))
            at = m.end()
        elif (m := re.compile(rb"~?\{(\d+)\}\r\n").match(data, at)):
            n = int(m.group(1))
            stack[-1].append(Text(data[m.end():m.end() + n].decode("latin-1")))
            at = m.end() + n
        else:
            atom = b""
            while at < len(data) and data[at:at + 1] not in (b" ", b")", b"("):
                if data[at:at + 1] == b"[":
                    close = data.find(b"]", at)
                    close = len(data) - 1 if close < 0 else close
                    atom += data[at:close + 1]
                    at = close + 1
                elif data[at:at + 2] in (b"${", b"%{") and b"}" in data[at:]:
                    close = data.find(b"}", at)
                    atom += data[at:close + 1]
                    at = close + 1
                else:
                    atom += data[at:at + 1]
                    at += 1
            if not atom:
                atom, at = data[at:at + 1], at + 1
            stack[-1].append(atom.decode("latin-1"))
    if len(stack) != 1:
        raise Failure("unbalanced: %r" % data)
    return stack[0]


# ---- scripts ----

class Script:
    def __init__(self, path):
        with open(path, "rb") as f:
            text = f.read()
        head, _, body = text.partition(b"\n\n")
        self.head = {}
        for line in head.decode().split("\n"):
            if ":" in line and not line.startswith("#"):
                key, value = line.split(":", 1)
                self.head[key.strip().lower()] = value.strip()
        self.path = path
        self.lines = self.join(body)

    @staticmethod
    def join(body):
        """Lines without comments; {{{ blocks become literals in them."""
        out, raw = [], body.split(b"\n")
        i = 0
        while i < len(raw):
            line = raw[i]
            i += 1
            while (m := re.search(rb"(~?)\{\{\{$", line)):
                end = next(k for k in range(i, len(raw)) if raw[k].startswith(b"}}}"))
                block = b"\n".join(raw[i:end])
                if not m.group(1):
                    block = re.sub(rb"\r?\n", b"\r\n", block)
                line = line[:m.start()] + b"{%d}\r\n" % len(block) + block + raw[end][3:]
                i = end + 1
            if line.strip() and not line.startswith(b"#") and not line.startswith(b"!if") and not line.startswith(b"!e"):
                out.append(line)
        return out


def mbox(path):
    messages = []
    with open(path, "rb") as f:
        for part in re.split(rb"(?m)^From [^\n]*\n", f.read())[1:]:
            messages.append(re.sub(rb"\r?\n", b"\r\n", part))
    return messages


# ---- matching ----

class Match:
    def __init__(self, variables):
        self.vars = variables

    def expand(self, text):
        return re.sub(r"\$\{(\w+)\}|\$(\w+)",
                      lambda m: str(self.vars.get((m.group(1) or m.group(2)).lower(), m.group())), text)

    def atom(self, want, got, vars_):
        if want == "$":
            return True
        if isinstance(got, Listed):
            return False
        m = re.fullmatch(r"\$\{?(\w+)\}?", want)
        if m and m.group(1).lower() not in vars_:
            vars_[m.group(1).lower()] = str(got)
            return True
        pattern, last = "", 0
        for m in re.finditer(r"\$\{(\w+)\}|\$(\w+)|%\{case:([^}]*)\}", want):
            pattern += re.escape(want[last:m.start()])
            name = (m.group(1) or m.group(2) or "").lower()
            if m.group(3) is not None:
                return str(got) in m.group(3).split("/")
            if name in vars_:
                pattern += re.escape(str(vars_[name]))
            else:
                pattern += "(?P<%s>[^,: ]+)" % name if not name.isdigit() else r"\d+"
            last = m.end()
        pattern += re.escape(want[last:])
        found = re.fullmatch(pattern, str(got), re.I | re.S)
        if not found:
            return False
        vars_.update({k: v for k, v in found.groupdict().items()})
        return True

    def lists(self, want, got, vars_, default=("ordered",)):
        want = list(want)
        rules = [w for w in want if isinstance(w, str) and w.startswith("$!")]
        want = [w for w in want if not (isinstance(w, str) and w.startswith("$!"))]
        if not rules:
            rules = ["$!" + d for d in default]
        chain, extra, ignore, ban = 0, False, [], []
        for r in rules:
            r = r[2:]
            if r.startswith("unordered"):
                chain, extra = int(r.partition("=")[2] or 1), True
            elif r == "noextra":
                extra = False
            elif r == "extra":
                extra = True
            elif r.startswith("ignore="):
                ignore.append(r[7:].lower())
            elif r.startswith("ban="):
                ban.append(r[4:].lower())
        got = [g for g in got if str(g).lower() not in ignore]
        if any(str(g).lower() in ban for g in got):
            return False
        if not chain:
            return self.ordered(want, got, vars_)
        pieces = [got[i:i + chain] for i in range(0, len(got), chain)]
        for i in range(0, len(want), chain):
            for k, p in enumerate(pieces):
                trial = dict(vars_)
                if self.ordered(want[i:i + chain], p, trial):
                    vars_.update(trial)
                    del pieces[k]
                    break
            else:
                return False
        return extra or not pieces

    def ordered(self, want, got, vars_):
        if len(want) != len(got):
            return False
        for i, (w, g) in enumerate(zip(want, got)):
            if isinstance(w, Listed):
                flags = i > 0 and isinstance(want[i - 1], str) and want[i - 1].lower() == "flags"
                default = ("unordered", "noextra", "ignore=\\recent") if flags else ("ordered",)
                if not isinstance(g, Listed) or not self.lists(w, g, vars_, default):
                    return False
            elif not self.atom(w, g, vars_):
                return False
        return True

    def reply(self, want, got, original):
        """want, got: parsed, without the "*". original: number that got's message had when the command began."""
        trial = dict(self.vars)
        want, got = list(want), list(got)
        if want and isinstance(want[0], str) and re.fullmatch(r"\$\d+", want[0]):
            if original is None or int(want[0][1:]) != original:
                return False
            want[0], got[0] = "$", "x"
        kinds = [str(w).lower() for w in want[:2]]
        if len(kinds) == 2 and kinds[1] == "fetch":
            ok = len(want) == len(got) == 3 and self.ordered(want[:2], got[:2], trial) and \
                isinstance(got[2], Listed) and self.lists(want[2], got[2], trial, ("unordered=2",))
        elif kinds and kinds[0] in ("list", "lsub"):
            ok = len(got) >= len(want) and self.atom(want[0], got[0], trial) and isinstance(got[1], Listed) and \
                self.lists(want[1], got[1], trial, ("unordered",)) and self.ordered(want[2:], got[2:len(want)], trial)
        elif kinds and kinds[0] == "status":
            ok = len(want) == len(got) == 3 and self.ordered(want[:2], got[:2], trial) and \
                self.lists(want[2], got[2], trial, ("unordered=2",))
        elif kinds and kinds[0] == "flags":
            ok = len(want) == len(got) == 2 and self.atom(want[0], got[0], trial) and \
                self.lists(want[1], got[1], trial, ("unordered", "ignore=\\recent"))
        elif kinds and kinds[0] in ("ok", "no", "bad", "bye", "preauth"):
            ok = len(got) >= len(want) and self.prefix(want, got, trial)
        else:
            ok = self.ordered(want, got, trial)
        if ok:
            self.vars.update(trial)
        return ok

    def prefix(self, want, got, vars_):
        for w, g in zip(want, got):
            if isinstance(w, str) and w.startswith("[") and isinstance(g, str) and g.startswith("["):
                a, b = parse(w[1:].rstrip("]").encode("latin-1")), parse(g[1:].rstrip("]").encode("latin-1"))
                if len(b) < len(a) or not self.ordered(a, b[:len(a)], vars_):
                    return False
            elif not self.ordered([w], [g], vars_):
                return False
        return True


# ---- a connection ----

class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.file = self.socket.makefile("rb")
        self.greeting = self.reply()
        self.number = 0
        self.seqs = []  # message numbers as they were when the command began

    def reply(self):
        data = b""
        while True:
            line = self.file.readline()
            if not line:
                raise Failure("the server hung up")
            data += line
            m = re.search(rb"\{(\d+)\}\r\n$", line)
            if not m:
                return data[:-2]
            data += self.file.read(int(m.group(1)))

    def send(self, tag, command):
        """command: bytes with literals as {n}CRLF."""
        rest = tag + b" " + command + b"\r\n"
        early = []
        while (m := re.search(rb"\{(\d+)\}\r\n", rest)):
            self.socket.sendall(rest[:m.end()])
            answer = self.reply()
            while answer.startswith(b"* "):
                early.append(answer)
                answer = self.reply()
            if not answer.startswith(b"+"):
                return early + [answer]
            n = int(m.group(1))
            self.socket.sendall(rest[m.end():m.end() + n])
            rest = rest[m.end() + n:]
        self.socket.sendall(rest)
        return early

    def collect(self, tag, early):
        """Untagged replies and the tagged one."""
        untagged, pending = [], list(early)
        while True:
            data = pending.pop(0) if pending else self.reply()
            if data.startswith(b"* "):
                untagged.append(data[2:])
            elif data.startswith(tag + b" "):
                return untagged, data[len(tag) + 1:]
            elif not data.startswith(b"+"):
                raise Failure("unexpected: %r" % data)

    def command(self, text, vars_=None):
        self.number += 1
        tag = b"x%d" % self.number
        if vars_ is not None:
            vars_["tag"] = tag.decode()
        return self.collect(tag, self.send(tag, text(tag) if callable(text) else text))

    def ok(self, text):
        untagged, last = self.command(text)
        if not last.upper().startswith(b"OK"):
            raise Failure("%r: %r" % (text, last))
        return untagged

    def track(self, untagged):
        """(reply, number at the command's start) of each."""
        out = []
        for data in untagged:
            m = re.match(rb"(\d+) (EXISTS|EXPUNGE|FETCH)", data, re.I)
            original = None
            if m:
                n = int(m.group(1))
                if m.group(2).upper() == b"EXISTS":
                    self.seqs += range(len(self.seqs) + 1, n + 1)
                elif n <= len(self.seqs):
                    original = self.seqs[n - 1]
                    if m.group(2).upper() == b"EXPUNGE":
                        del self.seqs[n - 1]
            out.append((data, original))
        return out

    def close(self):
        self.socket.close()


# ---- running ----

def quote(text):
    return b'"' + text.encode() + b'"'


class Run:
    MAILBOX = "imaptest"

    def __init__(self, script, messages, port, user, password):
        self.script, self.messages, self.next_message = script, messages, 0
        head = script.head
        self.state = head.get("state", "selected")
        many = int(head.get("connections", "1"))
        self.vars = {"mailbox": self.MAILBOX, "user": user, "username": user.split("@")[0],
                     "domain": user.split("@")[1], "password": password}
        self.many = many > 1
        self.strict = head.get("ignore_extra_untagged") == "no"
        self.connections = [Connection(port) for _ in range(many)]
        if self.state == "nonauth":
            return
        for c in self.connections:
            c.ok(b"LOGIN " + quote(user) + b" " + quote(password))
        self.prepare()

    def prepare(self):
        first, name = self.connections[0], self.MAILBOX.encode()
        for data in reversed(first.ok(b'LIST "" ' + name + b"*")):
            first.command(b"DELETE " + data.rsplit(b" ", 1)[1])
        if self.state == "auth":
            return
        first.ok(b"CREATE " + name)
        if self.state == "created":
            return
        count = self.script.head.get("messages", "all")
        for _ in range(len(self.messages) if count == "all" else int(count)):
            first.ok(b"APPEND " + name + b" " + self.literal())
        if self.state == "selected":
            for c in self.connections:
                self.select(c)

    def select(self, c):
        c.seqs = []
        c.track(c.ok(b"SELECT " + self.MAILBOX.encode()))

    def literal(self):
        m = self.messages[self.next_message % len(self.messages)]
        self.next_message += 1
        return b"{%d}\r\n%s" % (len(m), m)

    def run(self):
        lines, at = self.script.lines, 0
        while at < len(lines):
            start, group = at, []
            at = self.one_group(lines, at, group)
            try:
                self.play(group)
            except Failure as e:
                raise Failure("%s: %s" % (lines[start].decode("latin-1"), e)) from None

    def connection(self, line):
        if not self.many or not line[:1].isdigit():
            return self.connections[0], line
        number, _, rest = line.partition(b" ")
        return self.connections[int(number) - 1], rest

    def one_group(self, lines, at, group):
        """Fills group with ("send", conn, tag, command), ("want"/"ban", parsed), ("end", tag, status, prefix)."""
        c, rest = self.connection(lines[at])
        word = rest.split(b" ")[0].lower()
        if word in (b"ok", b"no", b"bad", b'""'):
            group.append(("send", c, None, rest[len(word) + 1:]))
            at = self.replies(lines, at + 1, group)
            group.append(("end", None, word, b""))
            return at
        tags = []
        if self.tagged(lines, at, word):
            while at < len(lines) and (self.connection_safe(lines[at]).split(b" ")[0].lower() not in tags) and \
                    not lines[at].startswith((b"*", b"!")):
                c, rest = self.connection(lines[at])
                tag, _, command = rest.partition(b" ")
                if command.split(b" ")[0].lower() in (b"ok", b"no", b"bad") and tag.lower() in tags:
                    break
                tags.append(tag.lower())
                group.append(("send", c, tag, command))
                at += 1
            while True:
                at = self.replies(lines, at, group)
                if at >= len(lines):
                    return at
                rest = self.connection_safe(lines[at])
                tag, _, status = rest.partition(b" ")
                if tag.lower() not in tags:
                    return at
                status, _, prefix = status.partition(b" ")
                group.append(("end", tag, status.lower(), prefix))
                tags.remove(tag.lower())
                at += 1
                if not tags:
                    return at
        group.append(("send", c, None, rest))
        at = self.replies(lines, at + 1, group)
        _, rest = self.connection(lines[at])
        status, _, prefix = rest.partition(b" ")
        group.append(("end", None, status.lower(), prefix))
        return at + 1

    def connection_safe(self, line):
        return line.partition(b" ")[2] if self.many and line[:1].isdigit() else line

    def tagged(self, lines, at, word):
        """A line further down ends this tag."""
        for line in lines[at + 1:]:
            rest = self.connection_safe(line).lower()
            if re.match(re.escape(word) + rb' (ok|no|bad|"")( |$)', rest):
                return True
            if re.match(rb'(ok|no|bad|"")( |$)', rest):
                return False
        return False

    @staticmethod
    def replies(lines, at, group):
        while at < len(lines) and lines[at][:1] in (b"*", b"!"):
            group.append(("want" if lines[at][:1] == b"*" else "ban", parse(lines[at][1:].strip(b" "))))
            at += 1
        return at

    def text_of(self, command):
        words = command.split(b" ", 2)
        out, last = b"", 0
        for m in re.finditer(rb"\{(\d+)\}\r\n", command): # literals keep their length
            out += Match(self.vars).expand(command[last:m.start()].decode("latin-1")).encode("latin-1")
            out += command[m.start():m.end() + int(m.group(1))]
            last = m.end() + int(m.group(1))
        out += Match(self.vars).expand(command[last:].decode("latin-1")).encode("latin-1")
        if words[0].lower() == b"append" and b"}\r\n" not in out:
            out = (b"append " + self.MAILBOX.encode() if len(words) == 1 else out) + b" " + self.literal()
        return out

    def play(self, group):
        sends = [g for g in group if g[0] == "send"]
        c = sends[0][1]
        c.seqs = list(range(1, len(c.seqs) + 1))
        tags, early = [], []
        for _, conn, tag, command in sends:
            conn.number += 1
            real = b"x%d" % conn.number
            if tag is None:
                self.vars["tag"] = real.decode()
            else:
                self.vars[tag.decode().lower()] = real.decode()
            tags.append((real, tag))
            early += conn.send(real, self.text_of(command))
        if any(re.match(rb"(select|examine) ", s[3], re.I) for s in sends):
            c.seqs = []
        untagged, ends = [], {}
        for real, tag in tags:
            got, last = c.collect(real, early)
            early = []
            untagged += got
            ends[tag] = last
        self.check(group, c.track(untagged), ends)

    def check(self, group, got, ends):
        match = Match(self.vars)
        left = [(parse_reply(data), original, data) for data, original in got]
        for step in group:
            if step[0] == "end":
                tag, status, prefix = step[1], step[2], step[3]
                last = ends[tag]
                if status != b'""' and not last.lower().startswith(status + b" "):
                    raise Failure("answered %r" % last)
                if prefix and not match.reply(parse(status + b" " + prefix), parse_reply(last), None):
                    raise Failure("wanted %r, answered %r" % (prefix, last))
        used = []
        for kind in ("ban", "want"):
            for step in group:
                if step[0] != kind:
                    continue
                hit = next((x for x in left if match.reply(step[1], x[0], x[1])), None)
                if kind == "want" and hit is None:
                    raise Failure("wanted %r, got %r" % (step[1], [x[2] for x in left]))
                if kind == "ban" and hit is not None:
                    raise Failure("did not want %r, got %r" % (step[1], hit[2]))
                if kind == "want":
                    used.append(hit) # one reply may answer several lines: flags come with what set them
        extra = [x[2] for x in left if x not in used]
        if self.strict and extra:
            raise Failure("not in the script: %r" % extra)

    def close(self):
        for c in self.connections:
            c.close()


def parse_reply(data):
    """An OK, NO or BAD has a code in brackets and then text for people."""
    m = re.match(rb"(OK|NO|BAD|BYE|PREAUTH) (\[[^\]]*\])?(.*)", data, re.I | re.S)
    if m:
        return [m.group(1).decode()] + ([m.group(2).decode("latin-1")] if m.group(2) else []) + \
            m.group(3).decode("latin-1").split()
    return parse(data)
