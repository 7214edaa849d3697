"""What scan finds in a message, beside what others find: the vectors of mail-parser, and Python's email package."""
import calendar
import datetime
import email
import email.utils
import glob
import json
import os
import random
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PRINT = os.environ.get("SCAN_PRINT", os.path.join(ROOT, "build-asan", "src", "format", "scan_print"))
SUITE = os.environ.get("MIME_SUITE", os.path.join(os.path.dirname(ROOT), "shared", "suites", "mime", "mail-parser"))
# How many of the vectors must agree: all but what that parser reads by its own lights (numbers for months, parameters
# without `;`, encoded words in parameters, comments kept inside addresses).
DATES, ADDRESSES, TYPES = 30, 56, 64
MESSAGE = 13  # enum mime_type: message/rfc822

needs_suite = pytest.mark.skipif(not os.path.isdir(SUITE), reason=f"no vectors at {SUITE}")


def scan(message, *arguments):
    run = subprocess.run([PRINT, *arguments], input=message, capture_output=True, timeout=60)
    assert run.returncode == 0, run.stderr.decode(errors="replace")
    got = json.loads(run.stdout)
    for key in ("envelope", "structure", "preview"):
        got[key] = got[key].encode("latin-1")
    assert got["bytes"] <= 60 * 1024
    return got


def imap(text):
    """IMAP text as lists, bytes, numbers and None; fails on anything else."""
    at = 0

    def item():
        nonlocal at
        if text[at:at + 1] == b"(":
            at += 1
            out = []
            while text[at:at + 1] != b")":
                out.append(item())
                if text[at:at + 1] == b" ":
                    at += 1
                else:
                    assert text[at:at + 1] in b"()"
            at += 1
            return out
        if text[at:at + 1] == b'"':
            at += 1
            out = b""
            while text[at:at + 1] != b'"':
                if text[at:at + 1] == b"\\":
                    at += 1
                assert at < len(text)
                out += text[at:at + 1]
                at += 1
            at += 1
            return out
        if text[at:at + 1] == b"{":
            end = text.index(b"}\r\n", at)
            n = int(text[at + 1:end])
            at = end + 3 + n
            return text[end + 3:at]
        if text[at:at + 3] == b"NIL":
            at += 3
            return None
        start = at
        while text[at:at + 1].isdigit():
            at += 1
        return int(text[start:at])

    out = item()
    assert at == len(text)
    return out


# ---- mail-parser ------------------------------------------------------------------------------------------------------

DIFFERENT = {
    "005": "takes a delimiter in the middle of a line; RFC 2046 5.1.1 wants it at its beginning",
    "015": "looks for the inner boundary only; RFC 2046 5.1.2: an outer one ends the part as well",
}


def places(parts):
    """Offsets of the message's own parts: mail-parser numbers those of an enclosed message apart."""
    inside, out = set(), []
    for i, p in enumerate(parts):
        if i and (p["parent"] in inside or parts[p["parent"]]["type"] == MESSAGE):
            inside.add(i)
        else:
            out.append((p["header_at"], p["body_at"], p["body_end"]))
    return out


@needs_suite
def test_structures_of_mail_parser():
    files = sorted(glob.glob(os.path.join(SUITE, "*", "*.eml")))
    assert files
    for path in files:
        name = os.path.basename(path)[:-4]
        if name in DIFFERENT and "thirdparty" in path:
            continue
        lf = open(path, "rb").read().replace(b"\r\n", b"\n")
        for suffix, data in ((".json", lf), (".crlf.json", lf.replace(b"\n", b"\r\n"))):
            want = json.load(open(path[:-4] + suffix))["parts"]
            want = [(p["offset_header"], p["offset_body"], p["offset_end"]) for p in want]
            assert places(scan(data)["parts"]) == want, path + suffix


def vectors(name):
    return json.load(open(os.path.join(SUITE, name + ".json")))


def one_field(name, value):
    """A message of that one field. mail-parser ends a field at an empty line; so does every header."""
    return scan(name.encode() + b": " + value.encode("utf-8").lstrip(b"\r\n") + b"\n\n")


@needs_suite
def test_dates_of_mail_parser():
    agree = 0
    for v in vectors("date"):
        want, got = v["expected"], one_field("Date", v["header"])["date"]
        if want is None or got == -2**63:
            continue
        try:
            t = calendar.timegm(datetime.datetime(want["year"], want["month"], want["day"], want["hour"], want["minute"],
                                                  want["second"]).timetuple())
        except ValueError:
            assert False, f"{v['header']!r} is no date, and was taken as {got}"
        east = want["tz_hour"] * 3600 + want["tz_minute"] * 60
        if got == t + (east if want["tz_before_gmt"] else -east):
            agree += 1
        else:
            print(v["header"], got, want)
    assert agree >= DATES, agree


@needs_suite
def test_addresses_of_mail_parser():
    agree, all_ = 0, 0
    for v in vectors("address"):
        want = v["expected"]
        if want is None:
            continue
        all_ += 1
        flat = []
        for kind, rows in want.items():
            for row in rows:
                flat += row["addresses"] if kind == "Group" else [row]
        want = [(a["address"] or "").lower() for a in flat]
        got = []
        for name, route, local, host in imap(one_field("To", v["header"])["envelope"])[5] or []:
            if host is not None:
                got.append((local + (b"@" + host if host else b"")).decode().lower())
        agree += got == want
        if got != want:
            print(repr(v["header"]), got, want)
    assert agree >= ADDRESSES, (agree, all_)


@needs_suite
def test_types_of_mail_parser():
    agree, all_ = 0, 0
    for v in vectors("content_type"):
        want = v["expected"]
        if want is None or not want["c_subtype"]:
            continue
        all_ += 1
        s = imap(one_field("Content-Type", v["header"])["structure"])
        if s[0].lower() == b"text" and want["c_type"] == "multipart":
            agree += 1  # a multipart without parts is text to us
            continue
        params = {s[2][i].decode(): s[2][i + 1].decode() for i in range(0, len(s[2] or []), 2)}
        wanted = {k: x for k, x in want.get("attributes") or []}
        params = {k.rstrip("*").lower(): x for k, x in params.items()}
        same = (s[0].decode().lower(), s[1].decode().lower()) == (want["c_type"], want["c_subtype"])
        agree += same and params == {k.lower(): x for k, x in wanted.items()}
        if not same or params != {k.lower(): x for k, x in wanted.items()}:
            print(repr(v["header"]), s[:2], params, want)
    assert agree >= TYPES, (agree, all_)


# ---- Python's email ----------------------------------------------------------------------------------------------------

WORDS = ["hello", "world", "Grüße", "日本", "long" * 30, "a=b", "--b", "-- ", "From here", "x\ty", ""]


def random_part(rnd, depth, sep):
    """The bytes of a part. Boundaries are sometimes prefixes of each other, sometimes missing their end."""
    kind = rnd.random()
    nl = b"\r\n"
    if depth < 4 and kind < 0.35:
        boundary = sep + rnd.choice(["a", "b", "=_x"])
        head = f'Content-Type: multipart/{rnd.choice(["mixed", "alternative", "related", "digest"])}; boundary="{boundary}"'
        out = head.encode() + nl + nl + rnd.choice([b"", b"preamble" + nl])
        for _ in range(rnd.randrange(1, 4)):
            out += b"--" + boundary.encode() + rnd.choice([b"", b"  "]) + nl + random_part(rnd, depth + 1, boundary) + nl
        if rnd.random() < 0.9:
            out += b"--" + boundary.encode() + b"--" + nl + rnd.choice([b"", b"epilogue" + nl])
        return out
    if depth < 4 and kind < 0.45:
        return b"Content-Type: message/rfc822" + nl + nl + random_header(rnd) + random_part(rnd, depth + 1, sep + "m")
    text = nl.join(" ".join(rnd.choice(WORDS) for _ in range(rnd.randrange(6))).encode() for _ in range(rnd.randrange(5)))
    head = rnd.choice([b"", b"Content-Type: text/plain; charset=utf-8" + nl, b"Content-Type: text/html" + nl,
                       b"Content-Type: application/x-y;" + nl + b"\tname=\"a b\"" + nl, b"Content-ID: <x@y>" + nl])
    return head + nl + text


def random_header(rnd):
    out = [f"Subject: {rnd.choice(['plain', 'with', 'a long one ' * 10])}", "Date: Tue, 1 Jul 2003 10:52:37 +0200",
           f"Message-ID: <{rnd.randrange(10**9)}@x.test>"]
    names = ["joe@x.test", "Joe Doe <joe@x.test>", '"Doe, Joe" <joe@x.test>', "<a.b@y.test>", "Jo (c) <j@x.test>"]
    for field in ("From", "To", "Cc"):
        out.append(f"{field}: " + ",\r\n ".join(rnd.choice(names) for _ in range(rnd.randrange(1, 4))))
    rnd.shuffle(out)
    return ("\r\n".join(out) + "\r\n").encode()


def tree(message):
    """(type, body) of each part in order; bodies of leaves only."""
    out = []

    def walk(m):
        leaf = not m.is_multipart()
        body = m.get_payload(decode=True) if leaf else None
        out.append((m.get_content_type(), body))
        for child in [] if leaf else m.get_payload():
            walk(child)

    walk(message)
    return out


def our_tree(message, got):
    out = []

    def walk(s, parts):
        p = next(parts)
        if isinstance(s[0], list):
            n = sum(isinstance(x, list) for x in s[:[isinstance(x, list) for x in s].index(False)])
            out.append(("multipart/" + s[n].decode().lower(), None))
            for child in s[:n]:
                walk(child, parts)
            return
        kind = (s[0] + b"/" + s[1]).decode().lower()
        if kind == "message/rfc822":
            out.append((kind, None))
            walk(s[8], parts)
        else:
            assert s[6] == p["body_end"] - p["body_at"]
            out.append((kind, message[p["body_at"]:p["body_end"]]))

    parts = iter(got["parts"])
    walk(imap(got["structure"]), parts)
    assert next(parts, None) is None
    return out


@pytest.mark.parametrize("seed", range(300))
def test_beside_python(seed):
    rnd = random.Random(seed)
    message = random_header(rnd) + random_part(rnd, 0, "b")
    got = scan(message)
    theirs = email.message_from_bytes(message)
    ours, want = our_tree(message, got), tree(theirs)
    if any(d for m in theirs.walk() for d in m.defects if type(d).__name__ == "CloseBoundaryNotFoundDefect"):
        # Without a closing delimiter Python takes the line end before an outer one twice
        ours, want = ([(t, b and b.rstrip(b"\r\n")) for t, b in rows] for rows in (ours, want))
    assert ours == want
    envelope = imap(got["envelope"])
    assert envelope[1].decode() == "".join(theirs["Subject"].splitlines()).strip()
    assert got["date"] == int(email.utils.parsedate_to_datetime(theirs["Date"]).timestamp())
    for field, at in (("From", 2), ("To", 5), ("Cc", 6)):
        ours = [((a[0] or b"").decode(), (a[2] + b"@" + a[3]).decode()) for a in envelope[at]]
        want = email.utils.getaddresses([theirs[field]])
        assert [a for _, a in ours] == [a for _, a in want]
        assert [n for n, _ in ours] == [n.replace(" (c)", "") for n, _ in want]


def test_prefixes_give_whole_text():
    rnd = random.Random(7)
    message = random_header(rnd) + random_part(rnd, 0, "b")
    for n in range(0, len(message), max(1, len(message) // 60)):
        got = scan(message[:n])
        imap(got["envelope"])
        imap(got["structure"])
