"""Makes every tests/talk/*.talk a test, and gives tests a running server."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lib.server import Server  # noqa: E402
from lib.talk import Talk, TalkError  # noqa: E402

_shared = {}


def shared_server(options=()):
    """One server for each set of options, for the whole run; scripts use recipients of their own."""
    key = tuple(sorted(options))
    if key not in _shared:
        _shared[key] = Server(dict(options), accounts=("alice", "bob", "carol", "dave", "erin"))
    return _shared[key]


@pytest.fixture(scope="session")
def server():
    return shared_server()


def pytest_collect_file(parent, file_path):
    if file_path.suffix == ".talk":
        return TalkFile.from_parent(parent, path=file_path)
    return None


class TalkFile(pytest.File):
    def collect(self):
        yield TalkItem.from_parent(self, name=self.path.stem)


class TalkItem(pytest.Item):
    def runtest(self):
        text = self.path.read_text()
        Talk(text, shared_server(Talk.options(text).items())).run()

    def repr_failure(self, excinfo):
        if isinstance(excinfo.value, TalkError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self):
        return self.path, None, f"talk {self.name}"


def pytest_sessionfinish(session):
    """A sanitizer's report, or a server that does not stop, fails the run even when every test passed."""
    for server in _shared.values():
        try:
            server.__exit__(None, None, None)
        except RuntimeError as e:
            session.exitstatus = 1
            print(f"\n{e}")
            with open(os.environ.get("POSTEL_TEARDOWN_LOG", os.devnull), "a") as f:
                f.write(str(e) + "\n")
