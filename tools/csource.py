"""What the tools share: finding C files, blanking comments and strings, finding functions. Textual, made for this tree's style."""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def files(root, *ends):
    """Paths below root with one of these ends, relative to root, sorted."""
    found = []
    for folder, dirs, names in os.walk(root):
        dirs[:] = [d for d in dirs if not d.startswith(("build", ".", "__")) and d != "node_modules"]
        found += [os.path.relpath(os.path.join(folder, n), root) for n in names if n.endswith(ends)]
    return sorted(found)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        return f.read()


def blank(text, strings=True):
    """The same text with comments (and what strings hold) replaced by blanks; line breaks stay."""
    def gap(m):
        s = m.group()
        if s[0] in "\"'":
            return s[0] + re.sub(r"[^\n]", " ", s[1:-1]) + s[0] if strings else s
        return re.sub(r"[^\n]", " ", s)
    return _TOKEN.sub(gap, text)


def blank_macros(text):
    """Blanks preprocessor lines with their continuation lines."""
    return re.sub(r"^[ \t]*#(?:\\\n|[^\n])*", lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.M)


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def functions(text):
    """(name, head, offset of the body's brace, offset behind it) of each function; text is blank and without macros."""
    depth = start = 0
    opened = 0
    for m in re.finditer(r"[{};]", text):
        c = m.group()
        if c == "{":
            if depth == 0:
                opened = m.start()
            depth += 1
        elif c == "}":
            depth -= 1
            if depth == 0:
                head = text[start:opened]
                args = re.search(r"(\w+)\s*\((?:[^()]|\([^()]*\))*\)\s*(?:[A-Z_]+(?:\([^()]*\))?\s*)*$", head)
                if args and "=" not in head[:args.start()]:
                    yield args.group(1), head.strip(), opened, m.end()
                    start = m.end()
                elif not re.search(r"\b(struct|union|enum)\b[^=(]*$", head):
                    start = m.end()
        elif depth == 0:
            start = m.end()


def finish(name, found, self_test):
    """Prints findings and exits; used by every tool."""
    for line in found:
        print(line)
    if not found and not self_test:
        print(name + ": ok")
    sys.exit(1 if found else 0)


def self_test(name, check, samples):
    """samples: (files {path: text}, what must be found, a part of a finding or None for nothing at all)."""
    import tempfile
    bad = []
    for tree, want in samples:
        with tempfile.TemporaryDirectory() as root:
            for path, text in tree.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                    f.write(text)
            got = check(root)
        if want is None and got or want is not None and not any(want in g for g in got):
            bad.append("%s: self-test: want %r, got %r" % (name, want, got))
    if not bad:
        print("%s: self-test ok, %d samples" % (name, len(samples)))
    finish(name, bad, True)
