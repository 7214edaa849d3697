"""SEC-14: a hundred thousand guesses at one password from 200 networks, over IMAP and submission (--all)."""
import asyncio
import base64
import imaplib
import os
import re
import smtplib
import threading

import pytest

from lib.server import PASSWORD, Server

pytestmark = pytest.mark.skipif(os.environ.get("POSTEL_CHECK_ALL") != "yes", reason="--all")
WHO = "alice@example.test"
GUESSES = int(os.environ.get("POSTEL_GUESSES", 100_000))
AT_ONCE = 3000
PER_CONNECTION = 8  # below what a session allows of errors


class Guesser:
    def __init__(self, server):
        self.server, self.left = server, GUESSES

    async def answer(self, reader, tag):
        while True:
            line = await reader.readline()
            if not line:
                return b""
            if line.startswith(tag):
                return line

    async def imap(self, reader, writer, guess):
        writer.write(f"a LOGIN {WHO} {guess}\r\n".encode())
        return await self.answer(reader, b"a ")

    async def smtp(self, reader, writer, guess):
        writer.write(b"AUTH PLAIN " + base64.b64encode(f"\0{WHO}\0{guess}".encode()) + b"\r\n")
        return await self.answer(reader, (b"535", b"454", b"235", b"421"))

    async def connection(self, service, source):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port[service], local_addr=(source, 0))
        try:
            if service == "submission":
                writer.write(b"EHLO guesser.example\r\n")
                await self.answer(reader, b"250 ")
            for _ in range(PER_CONNECTION):
                self.left -= 1
                if self.left < 0:
                    return
                said = await (self.imap if service == "imap" else self.smtp)(reader, writer, f"guess{self.left}")
                assert not said.startswith((b"a OK", b"235"))
                if not said:
                    return
        finally:
            writer.close()

    async def worker(self, n):
        source = f"127.{1 + n % 200}.{n % 250}.1"
        while self.left > 0:
            try:
                await self.connection("imap" if n % 2 else "submission", source)
            except OSError:
                await asyncio.sleep(1)

    async def run(self):
        await asyncio.gather(*(self.worker(n) for n in range(AT_ONCE)))


def owner_gets_in(server):
    with imaplib.IMAP4("127.0.0.1", server.port["imap"], timeout=60) as m:
        m.login(WHO, PASSWORD)
    with smtplib.SMTP("127.0.0.1", server.port["submission"], timeout=60) as s:
        s.login(WHO, PASSWORD)


def test_guessers_learn_little_and_keep_nobody_out():
    with Server(accounts=("alice",), options={"server.log_level": "info"}) as server:
        owner_gets_in(server)
        tried, failed, over = 0, [], threading.Event()

        def owner():
            nonlocal tried
            while not over.wait(2):
                tried += 1
                try:
                    owner_gets_in(server)
                except Exception as e:
                    failed.append(repr(e))

        thread = threading.Thread(target=owner)
        thread.start()
        try:
            asyncio.run(Guesser(server).run())
        finally:
            over.set()
            thread.join()
        results = re.findall(r"ev=auth.login account=\S+ service=\S+ ip=127\.[1-9]\S* mech=\S+ result=(\w+)", server.log_text())
        checked, put_off = results.count("bad"), results.count("busy")
        print(f"{checked} checked, {put_off} put off, the owner came in {tried} times")
        assert checked + put_off > 0.98 * GUESSES and "ok" not in results
        assert checked < 200
        assert tried > 0 and not failed
