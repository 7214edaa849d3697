"""What the docs say about the tree, for tools/gates: the table of parsers, and whether links and paths lead somewhere."""
import glob
import os
import re

import csource as c

PARSERS = os.path.join("doc", "parsers.txt")


def links(root):
    """Relative links, and paths in backticks that begin with a folder of ours."""
    found = []
    for path in c.files(root, ".md"):
        for n, line in enumerate(c.read(root, path).split("\n"), 1):
            targets = [os.path.join(os.path.dirname(path), t) for t in re.findall(r"\]\(([^):#]+)[^)]*\)", line) if t]
            targets += re.findall(r"`((?:src|tests|tools|doc)/[^` ]*)`", line)
            found += ["%s:%d: nothing at %s" % (path, n, os.path.normpath(t)) for t in targets
                      if not glob.glob(os.path.join(root, os.path.normpath(t)))]
    return found


def fuzzers(root):
    """doc/parsers.txt: path|fuzz target, or - |note. Each grammar and each file of src/format needs a row."""
    found, rows, targets = [], {}, set()
    paths = [p for p in c.files(root, ".c") if p.startswith("src" + os.sep)]
    have = {os.path.basename(p)[:-2] for p in paths if p.endswith("_fuzz.c")}
    for n, line in enumerate(c.read(root, PARSERS).split("\n"), 1):
        if not line or line.startswith("#"):
            continue
        path, target, note = (line.split("|") + ["", ""])[:3]
        rows[path] = n
        targets.add(target)
        if path not in paths:
            found.append("%s:%d: no such file: %s" % (PARSERS, n, path))
        if target == "-" and not note or target != "-" and target not in have:
            found.append("%s:%d: no such fuzz target (or no reason for none): %s" % (PARSERS, n, target))
    for path in paths:
        name = os.path.basename(path)[:-2]
        if name.endswith("_fuzz") and name not in targets:
            found.append("%s:1: no row of %s names this target" % (path, PARSERS))
        elif re.search(r"_grammar\.c$|^src/format/", path) and not path.endswith(("_test.c", "_testing.c", "_fuzz.c")) and path not in rows:
            found.append("%s:1: a parser without a row in %s" % (path, PARSERS))
    return found


F = "src/format/a.c|a_fuzz|\n"
FUZZ_SAMPLES = [
    ({"doc/parsers.txt": F, "src/format/a.c": "", "src/format/a_fuzz.c": "", "src/x/b_grammar.c": ""}, "src/x/b_grammar.c:1: a parser"),
    ({"doc/parsers.txt": F, "src/format/a.c": ""}, "doc/parsers.txt:1: no such fuzz target"),
    ({"doc/parsers.txt": F, "src/format/a_fuzz.c": ""}, "doc/parsers.txt:1: no such file"),
    ({"doc/parsers.txt": F, "src/format/a.c": "", "src/format/a_fuzz.c": "", "src/format/b_fuzz.c": ""}, "b_fuzz.c:1: no row"),
    ({"doc/parsers.txt": F + "src/format/b.c|-|a table\n", "src/format/a.c": "", "src/format/b.c": "", "src/format/a_fuzz.c": "",
      "src/format/b_test.c": ""}, None),
]
