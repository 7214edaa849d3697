"""The dialogue scripts of imaptest (suites/imap beside the tree, or IMAP_SCRIPTS), each against a server of its own account.

A script is skipped when it wants a capability that is not announced; what fails for a reason stands in KNOWN and in
doc/todo.md: such a script must fail, so that the list stays true."""
import glob
import os

import pytest

from lib.imap_script import Connection, Failure, Run, Script, mbox
from lib.server import PASSWORD, ROOT, Server

PLACES = [os.environ.get("IMAP_SCRIPTS", "")] + \
    [os.path.join(ROOT, up, "shared", "suites", "imap", "imaptest-tests") for up in ("..", "../..")]
FOLDER = next((p for p in PLACES if p and os.path.isdir(p)), None)
NAMES = sorted(os.path.basename(p) for p in glob.glob(os.path.join(FOLDER, "*")) if not p.endswith(".mbox") and
               os.path.isfile(p)) if FOLDER else []
USER = "alice@example.test"
FETCH_ONLY = {"BINARY"}  # FETCH has it, as IMAP4rev2 wants; it is not announced, as APPEND takes no literal8
KNOWN = {
    "append-binary": "APPEND takes no literal8",
    "copy": "nothing is ever \\Recent (RFC 9051 dropped it)",
    "search-flags": "nothing is ever \\Recent (RFC 9051 dropped it)",
    "select": "nothing is ever \\Recent (RFC 9051 dropped it)",
}

pytestmark = pytest.mark.skipif(not NAMES, reason="the scripts are not here: set IMAP_SCRIPTS")


@pytest.fixture(scope="module")
def server():
    with Server() as s:
        yield s


@pytest.fixture(scope="module")
def announced(server):
    c = Connection(server.port["imap"])
    c.ok(b'LOGIN %s "%s"' % (USER.encode(), PASSWORD.encode()))
    words = set(c.ok(b"CAPABILITY")[0].decode().upper().split())
    c.close()
    return words | FETCH_ONLY


def play(name, server):
    path = os.path.join(FOLDER, name)
    own = path + ".mbox"
    run = Run(Script(path), mbox(own if os.path.exists(own) else os.path.join(FOLDER, "default.mbox")),
              server.port["imap"], USER, PASSWORD)
    try:
        run.run()
    finally:
        run.close()


@pytest.mark.parametrize("name", NAMES)
def test_script(name, server, announced):
    missing = set(Script(os.path.join(FOLDER, name)).head.get("capabilities", "").upper().split()) - announced
    if missing:
        pytest.skip("needs " + " ".join(sorted(missing)))
    if name not in KNOWN:
        play(name, server)
        return
    with pytest.raises(Failure):
        play(name, server)
