"""Peers that mean harm or have broken: half-open TLS, slow or silent clients, noise at every port, too many sessions."""
import os
import random
import socket
import struct
import time

import pytest

from lib.server import SERVICES, Server
from lib.talk import tls_context


@pytest.fixture(scope="module")
def quick():
    """A server that soon loses patience."""
    with Server(options={"limits.tls_handshake_s": "2", "limits.smtp_command_s": "5", "limits.smtp_data_s": "5",
                         "limits.pop3_login_s": "5", "limits.sessions": "60",
                         "limits.smtp_errors_soft": "19"}) as server:
        yield server


def connect(server, service):
    return socket.create_connection(("127.0.0.1", server.port[service]), 20)


def read_to_end(s):
    got = b""
    try:
        while more := s.recv(65536):
            got += more
    except ConnectionResetError:
        pass
    return got


def still_serves(server):
    with connect(server, "smtp") as s:
        assert s.recv(512).startswith(b"220 ")
    with connect(server, "pop3") as s:
        assert s.recv(512).startswith(b"+OK")
    with tls_context().wrap_socket(connect(server, "pop3s")) as s:
        assert s.recv(512).startswith(b"+OK")


@pytest.mark.parametrize("service", ["smtp", "pop3"])
def test_half_open_tls_after_starttls(quick, service):
    command = {"smtp": b"EHLO client.example.org\r\nSTARTTLS\r\n", "pop3": b"STLS\r\n"}[service]
    with connect(quick, service) as s:
        s.recv(512)
        for line in command.splitlines(True):
            s.sendall(line)
            assert s.recv(4096)
        s.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01")  # the first bytes of a ClientHello, and no more
        began = time.monotonic()
        read_to_end(s)
        assert time.monotonic() - began < 10
    still_serves(quick)


def test_half_open_tls_at_the_tls_port(quick):
    with connect(quick, "pop3s") as s:
        s.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01")
        began = time.monotonic()
        read_to_end(s)
        assert time.monotonic() - began < 10
    with connect(quick, "pop3s") as s:  # says nothing at all
        began = time.monotonic()
        read_to_end(s)
        assert time.monotonic() - began < 10
    still_serves(quick)


def test_plain_text_at_the_tls_port(quick):
    with connect(quick, "pop3s") as s:
        s.sendall(b"USER alice@example.test\r\n")
        got = read_to_end(s)
        assert b"+OK" not in got
    still_serves(quick)


def test_silent_clients_are_told_and_dropped(quick):
    for service, farewell in (("smtp", b"421 4.4.2"), ("pop3", b"-ERR")):
        with connect(quick, service) as s:
            assert s.recv(512)
            began = time.monotonic()
            got = read_to_end(s)
            assert 3 < time.monotonic() - began < 15
            assert got.startswith(farewell)


def test_slow_data_does_not_hold_a_session_for_ever(quick):
    with connect(quick, "smtp") as s:
        s.recv(512)
        s.sendall(b"EHLO client.example.org\r\n")
        s.recv(4096)
        s.sendall(b"MAIL FROM:<jon@example.org>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n")
        got = b""
        while b"\r\n354 " not in got:
            more = s.recv(4096)
            assert more, got
            got += more
        began = time.monotonic()
        s.sendall(b"Subject: slow")
        got = read_to_end(s)
        assert time.monotonic() - began < 15
        assert got.startswith(b"421 4.4.2")


@pytest.mark.parametrize("service", SERVICES)
def test_noise(quick, service):
    """Binary noise at every port: an error or a close, never anything else."""
    random.seed(os.environ.get("POSTEL_SEED", str(time.time_ns())))
    for size in (1, 7, 100, 5000, 200_000):
        with connect(quick, service) as s:
            try:
                s.sendall(random.randbytes(size))
                s.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, ConnectionResetError, OSError):
                pass
            got = read_to_end(s)
            for line in got.splitlines()[1:]:
                assert not line.startswith((b"250", b"354", b"+OK")) or b"250-" in line, got
    still_serves(quick)


@pytest.mark.parametrize("service", ["smtp", "pop3"])
def test_cut_at_every_byte(quick, service):
    """A dialogue that ends by RST after any byte leaves the server as it was."""
    dialogue = {"smtp": b"EHLO a.example.org\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"
                        b"Subject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n",
                "pop3": b"CAPA\r\nUSER bob@example.test\r\nPASS wrong\r\nQUIT\r\n"}[service]
    for cut in range(0, len(dialogue), 3):
        s = connect(quick, service)
        s.sendall(dialogue[:cut])
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    still_serves(quick)


def test_too_many_sessions_are_told(quick):
    held = []
    told = []
    try:
        for _ in range(90):
            s = connect(quick, "smtp")
            s.settimeout(10)
            held.append(s)
            told.append(s.recv(512)[:3])
    finally:
        for s in held:
            s.close()
    assert told[0] == b"220" and told[-1] == b"421"
    assert 50 <= told.count(b"220") <= 60
    for _ in range(100):  # until it has seen them all go
        with connect(quick, "smtp") as s:
            if s.recv(512).startswith(b"220 "):
                break
        time.sleep(0.2)
    still_serves(quick)


def test_a_client_that_never_reads(quick):
    """It may send for ever: answers pile up only in buffers of fixed size, and the session ends."""
    with connect(quick, "smtp") as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(20)
        began = time.monotonic()
        with pytest.raises((BrokenPipeError, ConnectionResetError, TimeoutError)):
            while time.monotonic() - began < 60:
                s.send(b"HELP\r\n" * 10000)
    still_serves(quick)
