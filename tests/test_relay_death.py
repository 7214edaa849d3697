"""relay and store die, or stop, while mail goes out: nothing is lost, and what may have come twice is noted (REL-03)."""
import os
import random
import re
import signal
import smtplib
import sys
import time

from lib.peer import Slow
from test_relay import World, submit, wait_for

ALL = os.environ.get("POSTEL_CHECK_ALL") == "yes"


def once_or_noted(server, peer, to):
    """Every recipient got it, and what came twice stands in the log as maybe twice."""
    noted = server.log_text()
    lost = [t for t in to if not peer.taken(t)]
    assert not lost, f"{len(lost)} lost: {lost[:5]}\n" + server.log_tail()
    for t in to:
        if len(peer.taken(t)) > 1:
            assert re.search(r"ev=queue.maybe_twice .*to=" + re.escape(t) + r"\b", noted), (t, len(peer.taken(t)))


def test_killed_while_relaying():
    """kill -9 of relay and store at random moments: nothing is lost; what came twice is noted (REL-03, RFC 1047)."""
    kills = 200 if ALL else 12
    w = World()
    try:
        # answers take a moment, so that many of the deaths fall between the dot and its answer
        peer = w.peer("kill.other.test", {"body": Slow(0.03), "rcpt": Slow(0.01)})
        to = []
        for kill in range(kills):
            for _ in range(4):
                to.append(f"k{len(to)}@kill.other.test")
                for attempt in range(100):
                    try:
                        submit(w.server, to[-1])
                        break
                    except (smtplib.SMTPException, OSError):
                        time.sleep(0.1)  # store is just not there
                else:
                    raise AssertionError("nothing is taken any more\n" + w.server.log_tail())
            time.sleep(random.random() * 0.1)
            # the last ones are store's: whatever they leave undone, no new relay mends
            kind = "store" if kill % 4 == 0 or kill >= kills - 4 else "relay"
            for pid, name in w.server.roles().items():
                if name == kind:
                    os.kill(pid, signal.SIGKILL)
                    break
        wait_for(lambda: all(peer.taken(t) for t in to), 60 if ALL else 30, 0.3)
        once_or_noted(w.server, peer, to)
        assert wait_for(lambda: w.server.cli("queue", "list", "--plain") == "", 20, 0.3), w.server.cli("queue", "list")
    except BaseException:
        w.close(*sys.exc_info())
        raise
    w.close()


def test_stopped_while_relaying():
    """Stop ends the sessions within its time; what was under way goes out after the next start."""
    w = World()
    try:
        peer = w.peer("stop.other.test", {"rcpt": Slow(0.1)})
        to = [f"s{i}@stop.other.test" for i in range(30)]
        w.server.cli("queue", "suspend", "stop.other.test")
        for t in to:
            submit(w.server, t)
        w.server.cli("queue", "resume", "stop.other.test")
        wait_for(lambda: len(peer.taken()) > 3, 10, 0.01)
        begin = time.monotonic()
        w.server.stop()
        assert time.monotonic() - begin < 30
        before = len(peer.taken())
        assert before < 30, "nothing was left to be done"
        w.server.start()
        wait_for(lambda: all(peer.taken(t) for t in to), 20)
        once_or_noted(w.server, peer, to)
        assert len(peer.taken()) == 30, "an orderly stop makes no copies"
    except BaseException:
        w.close(*sys.exc_info())
        raise
    w.close()
