"""Six readers of what a mail client says, each with its own idea of where a message ends (SEC-03); a text that all of them
read alike cannot smuggle anything."""
import re

CRLF, LF, CR = b"\r\n", b"\n", b"\r"
# what may stand before the dot that ends a message, which also begins a line, and what behind it
READERS = {
    "CRLF.CRLF only": ((CRLF,), (CRLF,)),
    "LF.LF too": ((CRLF, LF), (CRLF, LF)),
    "LF.CRLF too": ((CRLF, LF), (CRLF,)),
    "CRLF.LF too": ((CRLF,), (CRLF, LF)),
    "CR.CR too": ((CRLF, CR), (CRLF, CR)),
    "any of the three ends lines": ((CRLF, LF, CR), (CRLF, LF, CR)),
}


def _text(said, before, behind):
    """(text with its dots taken away, what follows its end), or None: it does not end."""
    lines = b"(?:" + b"|".join(before) + b")"
    # no lookahead before the alternatives: CRLF stands first and is taken whole
    end = re.search(b"(?:\\A|(?P<line>" + lines + b"))\\.(?:" + b"|".join(behind) + b")", said)
    if not end:
        return None
    text = said[:end.end("line") if end["line"] else 0]
    return re.sub(b"(\\A|" + lines + b")\\.", b"\\1", text), said[end.end():]


def read(said, reader):
    """What the reader makes of one connection: (commands but DATA and BDAT, texts)."""
    before, behind = READERS[reader]
    commands, texts, chunks = [], [], b""
    while said:
        line, said = said.split(CRLF, 1)
        words = line.upper().split()
        if words[:1] == [b"DATA"]:
            got = _text(said, before, behind)
            if got is None:
                return commands, texts + [None]
            text, said = got
            texts.append(text)
        elif words[:1] == [b"BDAT"]:
            size = int(words[1])
            chunks, said = chunks + said[:size], said[size:]
            if words[-1] == b"LAST":
                texts.append(chunks)
                chunks = b""
        else:
            commands.append(line)
    return commands, texts
