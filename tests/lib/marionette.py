"""Mozilla's remote protocol: a script inside a running Thunderbird (started with --marionette --remote-allow-system-access)."""
import json
import socket
import time


class Marionette:
    def __init__(self, port, wait_s=90):
        end = time.monotonic() + wait_s
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), timeout=wait_s)
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)
        self.file, self.number = self.socket.makefile("rwb"), 0
        self.read()  # who is there
        self.ask("WebDriver:NewSession")
        self.ask("Marionette:SetContext", value="chrome")
        self.ask("WebDriver:SetTimeouts", script=wait_s * 1000)

    def read(self):
        """A message is its length, a colon, and JSON."""
        length = b""
        while (c := self.file.read(1)) != b":":
            assert c, "Thunderbird is gone"
            length += c
        return json.loads(self.file.read(int(length)))

    def ask(self, command, **parameters):
        self.number += 1
        text = json.dumps([0, self.number, command, parameters]).encode()
        self.file.write(b"%d:" % len(text) + text)
        self.file.flush()
        kind, number, error, value = self.read()
        assert (kind, number, error) == (1, self.number, None), error
        return value

    def run(self, script, *args):
        """The body of an async function of `args`; returns what it returns."""
        wrapped = ("const done = arguments[arguments.length - 1];"
                   f"(async (...args) => {{ {script} }})(...arguments).then(v => done([true, v]), e => done([false, String(e) + e.stack]));")
        good, value = self.ask("WebDriver:ExecuteAsyncScript", script=wrapped, args=list(args), newSandbox=True, sandbox="system")["value"]
        assert good, value
        return value

    def close(self):
        self.file.close()
        self.socket.close()
