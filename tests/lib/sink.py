"""An SMTP server that takes everything, fast, in a process of its own: for tests that look at how mail flows.

    with Sink("127.0.1.9", port) as sink:
        sink.count()        # (messages taken, clock_gettime(CLOCK_MONOTONIC) when the first one was, or 0.0)
"""
import asyncio
import os
import socket
import subprocess
import sys
import time

LINES = ("sink.example.test", "PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES")
EHLO = "".join(f"250{' ' if i == len(LINES) - 1 else '-'}{line}\r\n" for i, line in enumerate(LINES)).encode()
taken, first = 0, 0.0


class Session(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.buffer, self.data, self.chunk, self.last = transport, b"", False, 0, False
        transport.write(b"220 sink.example.test ESMTP\r\n")

    def take(self):
        global taken, first
        taken += 1
        first = first or time.monotonic()
        return b"250 2.0.0 taken\r\n"

    def command(self, line):
        verb = line[:4].upper()
        if verb == b"EHLO":
            return EHLO
        if verb == b"DATA":
            self.data = True
            return b"354 go\r\n"
        if verb == b"BDAT":
            words = line.split()
            self.chunk, self.last = int(words[1]), len(words) > 2
            return b"" if self.chunk else self.take()
        if verb == b"XCOU":
            return f"250 {taken} {first}\r\n".encode()
        return b"221 2.0.0 bye\r\n" if verb == b"QUIT" else b"250 2.0.0 ok\r\n"

    def data_received(self, data):
        self.buffer += data
        out = []
        while self.buffer:
            if self.chunk:
                n = min(self.chunk, len(self.buffer))
                self.buffer, self.chunk = self.buffer[n:], self.chunk - n
                if self.chunk == 0:
                    out.append(self.take() if self.last else b"250 2.0.0 more\r\n")
                continue
            end = b"\r\n.\r\n" if self.data else b"\r\n"
            at = self.buffer.find(end)
            if at < 0:
                break
            line, self.buffer = self.buffer[:at], self.buffer[at + len(end):]
            out.append(self.take() if self.data else self.command(line))
            if out[-1][:3] == b"250" and self.data:
                self.data = False
            if out[-1][:3] == b"221":
                self.transport.write(b"".join(out))
                self.transport.close()
                return
        if out:
            self.transport.write(b"".join(out))


class Sink:
    def __init__(self, address, port):
        self.at = (address, port)
        self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__), address, str(port)], stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"listening\n"

    def count(self):
        with socket.create_connection(self.at, 30) as s, s.makefile("rb") as lines:
            lines.readline()
            s.sendall(b"XCOUNT\r\n")
            _, n, when = lines.readline().split()
            s.sendall(b"QUIT\r\n")
            return int(n), float(when)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


async def main(address, port):
    server = await asyncio.get_running_loop().create_server(Session, address, port, backlog=1000)
    print("listening", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
