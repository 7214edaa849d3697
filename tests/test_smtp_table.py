"""Every row of the command table in every state, on every service that speaks SMTP (RFC 5321, RFC 2033, RFC 4954, RFC 6409).

A table's cell is the code that the command gets in the state of its column. Behind it NOOP must be answered: whatever was
refused, its octets were not taken for commands, and nothing of it is left over."""
import base64
import re
import socket

import pytest

from lib.server import PASSWORD, Server
from lib.talk import tls_context

LOGIN = base64.b64encode(f"\0alice@example.test\0{PASSWORD}".encode()).decode()

# how one comes to a state; {hello} and {from} are the service's
STATES = {
    "new": [],
    "greeted": ["{hello} client.example.org"],
    "mail": ["{hello} client.example.org", "{auth}", "MAIL FROM:<{from}>"],
    "rcpt": ["{hello} client.example.org", "{auth}", "MAIL FROM:<{from}>", "RCPT TO:<bob@example.test>"],
    "bdat": ["{hello} client.example.org", "{auth}", "MAIL FROM:<{from}>", "RCPT TO:<bob@example.test>",
             "BDAT 6\r\nx: y\r\n"],
    "login": ["{hello} client.example.org", "{auth}"],
}

SMTP = """                        new greeted mail rcpt bdat
    EHLO client.example.org       250   250  250  250  250
    EHLO                          501   501  501  501  501
    HELO client.example.org       250   250  250  250  250
    LHLO client.example.org       500   500  500  500  500
    MAIL FROM:<jon@example.org>   503   250  503  503  503
    RCPT TO:<bob@example.test>    503   503  250  250  503
    RCPT TO:<no@example.test>     503   503  550  550  503
    DATA                          503   503  503  354  503
    DATA now                      503   503  503  501  503
    BDAT 6\\r\\nNOOP\\r\\n          503   503  503  250  250
    BDAT 6 LAST\\r\\nNOOP\\r\\n     503   503  503  250  250
    RSET                          250   250  250  250  250
    RSET now                      501   501  501  501  501
    VRFY bob                      252   252  252  252  252
    EXPN bob                      502   502  502  502  502
    HELP                          214   214  214  214  214
    NOOP                          250   250  250  250  250
    QUIT                          221   221  221  221  221
    STARTTLS                      220   220  220  220  220
    STARTTLS now                  501   501  501  501  501
    AUTH PLAIN                    500   500  500  500  500
    XCLIENT ADDR=192.0.2.1        500   500  500  500  500
    FROB                          500   500  500  500  500
"""

LMTP = """                        new greeted mail rcpt bdat
    EHLO client.example.org       500   500  500  500  500
    HELO client.example.org       500   500  500  500  500
    LHLO client.example.org       250   250  250  250  250
    MAIL FROM:<jon@example.org>   503   250  503  503  503
    RCPT TO:<bob@example.test>    503   503  250  250  503
    RCPT TO:<x@example.org>       503   503  550  550  503
    DATA                          503   503  503  354  503
    BDAT 6\\r\\nNOOP\\r\\n          503   503  503  250  250
    BDAT 6 LAST\\r\\nNOOP\\r\\n     503   503  503  250  250
    RSET                          250   250  250  250  250
    VRFY bob                      252   252  252  252  252
    EXPN bob                      502   502  502  502  502
    HELP                          214   214  214  214  214
    NOOP                          250   250  250  250  250
    QUIT                          221   221  221  221  221
    STARTTLS                      220   220  220  220  220
    AUTH PLAIN                    500   500  500  500  500
    FROB                          500   500  500  500  500
"""

SUBMISSION = """                  new greeted login mail rcpt bdat
    EHLO client.example.org       250   250   250  250  250  250
    HELO client.example.org       250   250   250  250  250  250
    LHLO client.example.org       500   500   500  500  500  500
    MAIL FROM:<alice@example.test> 530  530   250  503  503  503
    MAIL FROM:<bob@example.test>  530   530   550  503  503  503
    RCPT TO:<bob@example.test>    530   530   503  250  250  503
    DATA                          530   530   503  503  354  503
    BDAT 6\\r\\nNOOP\\r\\n          530   530   503  503  250  250
    RSET                          250   250   250  250  250  250
    VRFY bob                      530   530   252  252  252  252
    EXPN bob                      530   530   502  502  502  502
    HELP                          214   214   214  214  214  214
    NOOP                          250   250   250  250  250  250
    QUIT                          221   221   221  221  221  221
    AUTH                          503   501   503  503  503  503
    AUTH PLAIN                    503   334   503  503  503  503
    AUTH PLAIN =                  503   501   503  503  503  503
    AUTH PLAIN {login}            503   235   503  503  503  503
    AUTH PLAIN !                  503   501   503  503  503  503
    AUTH CRAM-MD5                 503   504   503  503  503  503
    FROB                          500   500   500  500  500  500
"""
STARTTLS = "    STARTTLS                      220   220   220  220  220  220\n"
IN_TLS = "    STARTTLS                      500   500   500  500  500  500\n"

SERVICES = {"smtp": SMTP, "lmtp": LMTP, "submission": SUBMISSION + STARTTLS, "submissions": SUBMISSION + IN_TLS}
HELLO = {"lmtp": "LHLO"}


@pytest.fixture(scope="module")
def server():
    with Server() as s:
        yield s


class Client:
    def __init__(self, server, service):
        self.sock = socket.create_connection(("127.0.0.1", server.port[service]), 30)
        if service == "submissions":
            self.sock = tls_context().wrap_socket(self.sock)
        self.sock.settimeout(30)
        self.file = self.sock.makefile("rb")
        assert self.code() == "220"

    def code(self):
        while (line := self.file.readline())[3:4] == b"-":
            pass
        return line[:3].decode()

    def ask(self, command):
        """Sends a command (its octets may follow behind its line) and gives the code of its answer."""
        raw = command.encode().decode("unicode_escape").encode("latin-1")
        self.sock.sendall(raw if b"\r\n" in raw else raw + b"\r\n")
        return self.code()

    def close(self):
        self.file.close()
        self.sock.close()


def reach(client, service, state):
    words = {"hello": HELLO.get(service, "EHLO"), "auth": f"AUTH PLAIN {LOGIN}",
             "from": "alice@example.test" if "submission" in service else "jon@example.org"}
    for step in STATES[state]:
        if step == "{auth}" and "submission" not in service:
            continue
        assert client.ask(step.format(**words)) in ("235", "250"), step


def cells():
    for service, table in SERVICES.items():
        head, *rows = table.splitlines()
        states = head.split()
        for row in rows:
            command, codes = re.match(r"\s*(.*?)((?:\s+\d{3})+)$", row).groups()
            assert len(codes.split()) == len(states), row
            yield pytest.param(service, command, dict(zip(states, codes.split())), id=f"{service}: {command}")


@pytest.mark.parametrize("service, command, codes", cells())
def test_row(server, service, command, codes):
    for state, code in codes.items():
        client = Client(server, service)
        reach(client, service, state)
        assert client.ask(command.format(login=LOGIN)) == code, state
        if code == "354":
            assert re.match("[245]", client.ask("x: y\\r\\n.\\r\\n")), state
        elif code == "334":
            assert client.ask("*") == "501"
        if code not in ("220", "221"):
            assert client.ask("NOOP") == "250", state
        client.close()


def test_every_row_is_here(server):
    """HELP names the rows of the table in the program; each has a row here."""
    for service, table in SERVICES.items():
        client = Client(server, service)
        client.sock.sendall(b"HELP\r\n")
        names = client.file.readline().decode().partition(":")[2].split()
        assert len(names) > 10
        for name in names:
            assert re.search(rf"^\s*{name}\b", table, re.M), f"{service}: {name}"
        client.close()
