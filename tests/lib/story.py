"""What `postel trace` tells, taken apart: the form of every line is checked on the way.

    stories = tell(server, "x@elsewhere.test")      # [Story]
    stories[0].steps                                # [Step(kind="received", address=None, host=..., ...)]
"""
import datetime
import re

TIME = r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)"
TLS = r"(?: \((?P<tls>[^()]*)\))?"
HOST = r"(?P<host>(?:\S+(?: \[[0-9a-fA-F.:]+\])?))"
ANSWER = r"(?::(?: (?P<code>\d{3})(?= |$))?(?: (?P<status>\d\.\d{1,3}\.\d{1,3})(?= |$))?(?: (?P<text>.*))?)?"
# who was asked, and said it; or our own words about it; or neither
SAID = rf"(?:(?: {HOST}{TLS} said| at {HOST.replace('host', 'at')}{TLS.replace('tls', 'way')})?{ANSWER})"

FORMS = {
    "received": rf"received from (?P<host>\S+ \[[0-9a-fA-F.:]+\]){TLS}(?:, logged in as <(?P<text>.*)>)?",
    "made": r"made by this server",
    "stored": r"put into the mailbox",
    "queued": r"accepted for sending on",
    "attempt": rf"being handed to {HOST}{TLS}",
    "delivered": rf"delivered: taken by {HOST}{TLS}{ANSWER}",
    "deferred": rf"put off until (?P<until>{TIME[1:-1]});{SAID}",
    "tried": rf"tried in vain:{SAID}",
    "failed": rf"failed for good;{SAID}",
    "expired": rf"given up, it was tried for too long; at last{SAID}",
    "reported": r"report sent to <(?P<host>.*)> \((?P<text>failed|delayed|delivered|relayed|expanded); (?P<status>[a-z2-7]{12})\)",
    "held": rf"held(?: by the administrator(?: until (?P<until>{TIME[1:-1]}))?|: (?P<text>.*))",
    "released": r"released by the administrator",
    "dropped": r"removed from the queue by the administrator",
    "routed": r"goes another way(?: by (?P<host>\S+))?",
    "maybe-twice": r"no answer came to the last attempt; it may arrive twice",
    "forwarded": r"forwarded (?:here )?to <(?P<host>[^<>]*)>(?: from <(?P<text>[^<>]*)>)?",
    "refused": rf"refused{ANSWER}",
}


def seconds(text):
    return datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=datetime.timezone.utc).timestamp()


class Step:
    """kind, at (seconds), address (None: of all recipients), and what the line has of host, tls, code, status, text, until."""

    def __init__(self, line):
        found = re.fullmatch(rf"  {TIME}  (?:<(?P<address>.*?)>: )?(?P<what>\S.*)", line)
        assert found, f"not a step: {line!r}"
        self.line, self.at, self.address = line, seconds(found[1]), found["address"]
        kinds = [(kind, m) for kind, form in FORMS.items() if (m := re.fullmatch(form, found["what"]))]
        assert len(kinds) == 1, f"{[k for k, _ in kinds]}: {line!r}"
        self.kind, m = kinds[0]
        got = m.groupdict()
        self.host = got.get("host") or got.get("at")
        self.tls = got.get("tls") or got.get("way")
        if self.tls == "not encrypted":
            self.tls = None
        self.code = int(got["code"]) if got.get("code") else None
        self.status, self.text = got.get("status"), got.get("text")
        self.until = seconds(got["until"]) if got.get("until") else None

    def __repr__(self):
        return self.line


class Story:
    def __init__(self, text):
        first, *rest = text.split("\n")
        found = re.fullmatch(r"Message ([a-z2-7]{12}) from <(.*?)>(?:, (\d+) octets)?", first)
        assert found, f"not a message: {first!r}"
        self.text, self.id, self.sender, self.size = text, found[1], found[2], int(found[3] or 0)
        self.steps = [Step(line) for line in rest]
        assert self.steps, text
        assert [s.at for s in self.steps] == sorted(s.at for s in self.steps), text

    def of(self, address):
        """The steps of one recipient and of all."""
        return [s for s in self.steps if s.address is None or s.address == address]

    def __repr__(self):
        return self.text


def tell(server, *words):
    """The stories that the command tells; none when it knows nothing."""
    done = server.cli("trace", *words, check=False)
    if done.returncode != 0:
        assert "nothing is known of it" in done.stderr, done.stderr
        return []
    return [Story(text) for text in done.stdout.rstrip("\n").split("\n\n")]
