"""Messages follow each other over one session, each envelope behind the text before it (RFC 2920 3.1): whatever is said to
one of them, every message gets its own answer and goes out once."""
import re

import pytest

from lib.peer import DROP, RST, Slow, Then
from test_relay import BUSY, NEVER, NO_CHUNK, World, final, many, results, wait_for

# name, script of the first connection, results of its second message (None: not looked at), how many have such; is one in doubt?
ONCE, LATER, COUNT = ["delivered"], ["deferred", "delivered"], 6
CASES = [
    ("fine", {}, ONCE, COUNT, 0),
    ("body5", {"body": [None, NEVER]}, ["failed"], 1, 0),
    ("body4", {"body": [None, BUSY]}, LATER, 1, 0),
    ("body421", {"body": [None, Then("421 4.3.2 closing", DROP)]}, LATER, 1, 0),
    ("body-drop", {"body": [None, DROP]}, LATER, 1, 1),
    ("body-rst", {"body": [None, RST]}, LATER, 1, 1),
    ("body-slow", {"body": [None, Slow(5, BUSY)]}, LATER, 1, 1),
    ("mail5", {"mail": [None, NEVER]}, ["failed"], 1, 0),
    ("rcpt5", {"rcpt": [None, "550 5.1.1 nobody"]}, ["failed"], 1, 0),
    ("rcpt4", {"rcpt": [None, "450 4.2.1 later"]}, LATER, 1, 0),
    ("data4", {"data": [None, BUSY]}, LATER, 1, 0),
    # a session that was used and ends says nothing of the message that is next
    ("then-drop", {"body": [None, Then("250 ok", DROP)]}, ONCE, COUNT, 0),
    ("mail421", {"mail": [None, Then("421 4.7.0 no more of them", DROP)]}, ONCE, COUNT, 0),
    ("rcpt-drop", {"rcpt": [None, DROP]}, ONCE, COUNT, 0),
    ("data-drop", {"data": [None, DROP]}, ONCE, COUNT, 0),
    ("first-drop", {"mail": DROP}, LATER, 1, 0),
    ("unasked", {"body": Then("250 ok", 0.02, "250 ok again")}, None, None, 0),
]


@pytest.fixture(scope="module")
def world():
    """One session a destination, so that the order of messages is known; everything at once, for most of the time is waiting."""
    w = World(limits__relay_concurrency="1", limits__relay_concurrency_first="1")
    try:
        for name, script, *_ in CASES:
            w.peer(f"{name}.other.test", {"caps": NO_CHUNK, **script}, {"caps": NO_CHUNK})
        w.to = {}
        for name, *_ in CASES:
            w.server.cli("queue", "suspend", f"{name}.other.test")
            w.to[name] = many(w, f"{name}.other.test", COUNT)
        for name, *_ in CASES:
            w.server.cli("queue", "resume", f"{name}.other.test")
        yield w
    finally:
        w.close()


@pytest.mark.parametrize("name,script,second,count,doubt", CASES, ids=[c[0] for c in CASES])
def test_each_message_has_its_own_answer(world, name, script, second, count, doubt):
    peer, to = world.peers[f"{name}.other.test"][0], world.to[name]
    for t in to:
        final(world.server, t)
    got = {t: [r["result"] for r in results(world.server, t)] for t in to}
    for t in to:
        assert len(peer.taken(t)) == (got[t][-1] == "delivered"), (t, got[t])
        assert len(got[t]) == 1 or got[t][0] == "deferred", (t, got[t])
    if second is not None:
        assert sum(1 for t in to if got[t] == second) == count, got
    if name == "fine":
        assert len(peer.sessions) == 1 and [m.rcpts[0] for m in peer.mails] == to, "in order, over one connection"
    in_doubt = re.findall(r"ev=queue.maybe_twice .*to=(\S+@" + re.escape(name) + r"\.other\.test)", world.server.log_text())
    assert len(in_doubt) == doubt, in_doubt
    assert wait_for(lambda: f"{name}.other.test" not in world.server.cli("queue", "list", "--plain")), "the queue is empty"
