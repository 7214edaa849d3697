"""Every row of the command table in every state, on every service that speaks SMTP (RFC 5321, RFC 2033, RFC 4954, RFC 6409).

A table's cell is the code that the command gets in the state of its column. Behind it NOOP must be answered: whatever was
refused, its octets were not taken for commands, and nothing of it is left over. The program's own table is read as well:
what it has and the tables here have not, or have in another way, is a failure."""
import base64
import os
import re
import socket

import pytest

from lib.server import PASSWORD, ROOT, Server
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
LISTED = "127.0.0.2" # may say XCLIENT

SMTP = """                        new greeted mail rcpt bdat
    EHLO client.example.org       250   250  250  250  250
    EHLO                          501   501  501  501  501
    HELO client.example.org       250   250  250  250  250
    LHLO client.example.org       500   500  500  500  500
    MAIL FROM:<jon@example.org>   503   250  503  503  503
    MAIL FROM:<jon                503   501  503  503  503
    RCPT TO:<bob@example.test>    503   503  250  250  503
    RCPT TO:bob                   503   503  501  501  503
    RCPT TO:<no@example.test>     503   503  550  550  503
    DATA                          503   503  503  354  503
    DATA now                      503   503  503  501  503
    BDAT 6\\r\\nNOOP\\r\\n          503   503  503  250  250
    BDAT 6 LAST\\r\\nNOOP\\r\\n     503   503  503  250  250
    RSET                          250   250  250  250  250
    RSET now                      501   501  501  501  501
    VRFY bob                      252   252  252  252  252
    VRFY                          501   501  501  501  501
    EXPN bob                      502   502  502  502  502
    HELP                          214   214  214  214  214
    NOOP                          250   250  250  250  250
    NOOP now                      250   250  250  250  250
    QUIT                          221   221  221  221  221
    QUIT now                      501   501  501  501  501
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
    LHLO                          501   501  501  501  501
    MAIL FROM:<jon@example.org>   503   250  503  503  503
    RCPT TO:<bob@example.test>    503   503  250  250  503
    RCPT TO:<x@example.org>       503   503  550  550  503
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
    QUIT now                      501   501  501  501  501
    STARTTLS                      220   220  220  220  220
    STARTTLS now                  501   501  501  501  501
    AUTH PLAIN                    500   500  500  500  500
    XCLIENT ADDR=192.0.2.1        500   500  500  500  500
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
    DATA now                      530   530   503  503  501  503
    BDAT 6\\r\\nNOOP\\r\\n          530   530   503  503  250  250
    BDAT 6 LAST\\r\\nNOOP\\r\\n     530   530   503  503  554  554
    RSET                          250   250   250  250  250  250
    RSET now                      501   501   501  501  501  501
    VRFY bob                      530   530   252  252  252  252
    EXPN bob                      530   530   502  502  502  502
    HELP                          214   214   214  214  214  214
    NOOP                          250   250   250  250  250  250
    QUIT                          221   221   221  221  221  221
    QUIT now                      501   501   501  501  501  501
    AUTH                          503   501   503  503  503  503
    AUTH PLAIN                    503   334   503  503  503  503
    AUTH PLAIN =                  503   501   503  503  503  503
    AUTH PLAIN {login}            503   235   503  503  503  503
    AUTH PLAIN !                  503   501   503  503  503  503
    AUTH CRAM-MD5                 503   504   503  503  503  503
    XCLIENT ADDR=192.0.2.1        500   500   500  500  500  500
    FROB                          500   500   500  500  500  500
"""
STARTTLS = """    STARTTLS                      220   220   220  220  220  220
    STARTTLS now                  501   501   501  501  501  501
"""
IN_TLS = "    STARTTLS                      500   500   500  500  500  500\n"

# (554: a text without From)

# who may say XCLIENT begins anew by it, without a login
XCLIENT = """                     new greeted mail rcpt bdat
    XCLIENT ADDR=192.0.2.1        220   220  503  503  503
    XCLIENT                       501   501  503  503  503
"""
XCLIENT_LOGIN = """               new greeted login mail rcpt bdat
    XCLIENT ADDR=192.0.2.1        220   220   220  503  503  503
    XCLIENT                       501   501   501  503  503  503
"""

# the sendmail command's socket: an account from the first word on, and no bytes of a net
SENDMAIL = """                    new greeted mail rcpt bdat
    EHLO client.example.org       250   250  250  250  250
    HELO client.example.org       250   250  250  250  250
    LHLO client.example.org       500   500  500  500  500
    MAIL FROM:<alice@example.test> 503  250  503  503  503
    MAIL FROM:<bob@example.test>  503   550  503  503  503
    RCPT TO:<bob@example.test>    503   503  250  250  503
    DATA                          503   503  503  354  503
    DATA now                      503   503  503  501  503
    BDAT 6\\r\\nNOOP\\r\\n          503   503  503  250  250
    BDAT 6 LAST\\r\\nNOOP\\r\\n     503   503  503  554  554
    RSET                          250   250  250  250  250
    RSET now                      501   501  501  501  501
    VRFY bob                      252   252  252  252  252
    EXPN bob                      502   502  502  502  502
    HELP                          214   214  214  214  214
    NOOP                          250   250  250  250  250
    QUIT                          221   221  221  221  221
    QUIT now                      501   501  501  501  501
    STARTTLS                      500   500  500  500  500
    AUTH PLAIN                    500   500  500  500  500
    XCLIENT ADDR=192.0.2.1        500   500  500  500  500
"""

SERVICES = {"smtp": SMTP, "lmtp": LMTP, "submission": SUBMISSION + STARTTLS, "submissions": SUBMISSION + IN_TLS,
            "sendmail": SENDMAIL}
HELLO = {"lmtp": "LHLO"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    path = tmp_path_factory.mktemp("socket") / "sendmail.sock"
    with Server({"smtp.xclient": LISTED, "listen.sendmail": str(path),
                 "sendmail.logins": f"{os.getuid()}=alice@example.test"}) as s:
        s.port["sendmail"] = str(path)
        yield s


class Client:
    def __init__(self, server, service, source="127.0.0.1"):
        if service == "sendmail":
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(server.port[service])
        else:
            self.sock = socket.create_connection(("127.0.0.1", server.port[service]), 30, (source, 0))
        if service == "submissions":
            self.sock = tls_context().wrap_socket(self.sock)
        self.sock.settimeout(30)
        self.file = self.sock.makefile("rb")
        assert self.code() == "220"

    def starttls(self, hello):
        assert self.ask(f"{hello} client.example.org") == "250" and self.ask("STARTTLS") == "220"
        self.file.close()
        self.sock = tls_context().wrap_socket(self.sock)
        self.file = self.sock.makefile("rb")

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
    login = "submission" in service
    words = {"hello": HELLO.get(service, "EHLO"), "auth": f"AUTH PLAIN {LOGIN}",
             "from": "alice@example.test" if login or service == "sendmail" else "jon@example.org"}
    for step in STATES[state]:
        if step == "{auth}" and not login:
            continue
        assert client.ask(step.format(**words)) in ("235", "250"), step


def rows(table):
    """Of each row its command, and the codes by state."""
    head, *lines = table.splitlines()
    for line in lines:
        command, codes = re.match(r"\s*(.*?)((?:\s+\d{3})+)$", line).groups()
        assert len(codes.split()) == len(head.split()), line
        yield command, dict(zip(head.split(), codes.split()))


def cells(tables, *marks):
    return [pytest.param(service, command, codes, id=f"{service}: {command}", marks=marks)
            for service, table in tables.items() for command, codes in rows(table)]


def check(client, service, state, command, code):
    reach(client, service, state)
    assert client.ask(command.format(login=LOGIN)) == code, state
    if code == "354":
        assert re.match("[245]", client.ask("x: y\\r\\n.\\r\\n")), state
    elif code == "334":
        assert client.ask("*") == "501"
    if not (code == "220" and command.startswith("STARTTLS")) and code != "221":
        assert client.ask("NOOP") == "250", state
    client.close()


@pytest.mark.parametrize("service, command, codes", cells(SERVICES))
def test_row(server, service, command, codes):
    for state, code in codes.items():
        check(Client(server, service), service, state, command, code)


@pytest.mark.parametrize("service, command, codes", cells({
    "smtp": XCLIENT, "lmtp": XCLIENT, "submission": XCLIENT_LOGIN, "submissions": XCLIENT_LOGIN}))
def test_xclient(server, service, command, codes):
    for state, code in codes.items():
        check(Client(server, service, LISTED), service, state, command, code)


def in_tls(server, service, state, command, code):
    client = Client(server, service)
    client.starttls(HELLO.get(service, "EHLO"))
    check(client, service, state, command, code)


@pytest.mark.parametrize("service", ("smtp", "lmtp", "submission"))
def test_starttls_in_tls(server, service):
    """RFC 3207 4.2: it is done already, in each state."""
    for state in next(rows(SERVICES[service]))[1]:
        in_tls(server, service, state, "STARTTLS", "503")


@pytest.mark.parametrize("service, command, codes", cells(
    {service: table for service, table in SERVICES.items() if service in ("smtp", "lmtp", "submission")},
    pytest.mark.skipif(os.environ.get("POSTEL_CHECK_ALL") != "yes", reason="--all")))
def test_row_in_tls(server, service, command, codes):
    if command != "STARTTLS":
        for state, code in codes.items():
            in_tls(server, service, state, command, code)


# ---- the program's own table ----

class Row:
    def __init__(self, services, states, flags, condition):
        self.services, self.states, self.flags, self.condition = services, states, flags, condition


def names_of(text, values):
    """The names whose bits are set in what the C expression comes to."""
    bits = eval(re.sub(r"\b(\d+)u\b", r"\1", text), {"__builtins__": {}}, values) # our own source, read by our own test
    return {name for name, bit in values.items() if bit and bits & bit == bit}


def program():
    """Its rows by name, read from the source: on which services, in which states, with which flags."""
    source = open(os.path.join(ROOT, "src", "smtp", "smtp_in_session.c")).read()
    header = open(os.path.join(ROOT, "src", "smtp", "smtp_in_session.h")).read()
    service_h = open(os.path.join(ROOT, "src", "run", "service.h")).read()
    services = {f"SERVICE_{name}": n for n, name in enumerate(re.findall(r"^    X\((\w+), ROLE", service_h, re.M))}
    on = dict(services)
    for name, text in re.findall(r"^    (ON_\w+) = ([^,]+),", source, re.M):
        on[name] = eval(re.sub(r"\b(\d+)u\b", r"\1", text), {"__builtins__": {}}, on)
    states = {name: int(n) for name, n in re.findall(r"\b(SMTP_IN_\w+) = (\d+),", header)}
    flags = {name: int(n) for name, n in re.findall(r"\b(ROW_\w+) = (\d+),", source)}
    table = source[source.index("static const struct row rows[] = {"):]
    table = table[:table.index("\n};")]
    found = {}
    for name, where, when, how, condition in re.findall(r'\{"(\w+)", ([^,]+), ([^,]+), ([^,]+),\s+\w+, (\w+)\}', table):
        bits = eval(re.sub(r"\b(\d+)u\b", r"\1", where), {"__builtins__": {}}, on)
        found[name] = Row({s.removeprefix("SERVICE_") for s, n in services.items() if bits & 1 << n},
                          {s.removeprefix("SMTP_IN_").lower() for s in names_of(when, states)},
                          names_of(how, flags), condition)
    assert len(found) == len(re.findall(r'\{"', table)) > 10
    return found, {s.removeprefix("SMTP_IN_").lower() for s in states} - {"any"}


def expected(name, row, service, state, args):
    """The code that the row alone decides; None: the command does."""
    logs_in = "submission" in service
    if service not in row.services:
        return "500"
    if "ROW_LOGIN" in row.flags and logs_in and state in ("new", "greeted"):
        return "530"
    if {"login": "greeted"}.get(state, state) not in row.states:
        return "503"
    return "501" if "ROW_NO_ARGS" in row.flags and args else None


@pytest.mark.parametrize("service", SERVICES)
def test_every_row_of_the_program_is_here(service):
    found, states = program()
    here = list(rows(SERVICES[service]))
    listed = list(rows(XCLIENT_LOGIN if "submission" in service else XCLIENT)) if service != "sendmail" else []
    for name, row in found.items():
        mine = [(command, codes) for command, codes in here if command.split()[0] == name]
        if row.condition != "NULL": # there for some only
            assert mine and all(set(codes.values()) == {"500"} for _, codes in mine), name
            mine = [(command, codes) for command, codes in listed if command.split()[0] == name]
            assert mine or service == "sendmail", name
        assert mine or row.condition != "NULL", name
        assert "ROW_NO_ARGS" not in row.flags or service not in row.services or [c for c, _ in mine if " " in c], name
        for command, codes in mine:
            assert states == set(codes) - {"login"} and ("login" in codes) == ("submission" in service), command
            for state, code in codes.items():
                want = expected(name, row, service, state, " " in command)
                own = ("500", "503", "530") if name != "AUTH" or state != "login" else () # once only: AUTH itself says 503
                assert code == want if want else code not in own, (command, state)


def test_help_names_them(server):
    """HELP is made of the same rows."""
    found, _ = program()
    for service in SERVICES:
        for source in ("127.0.0.1",) if service == "sendmail" else ("127.0.0.1", LISTED):
            client = Client(server, service, source)
            client.sock.sendall(b"HELP\r\n")
            named = client.file.readline().decode().partition(":")[2].split()
            assert set(named) == {name for name, row in found.items()
                                  if service in row.services and (row.condition == "NULL" or source == LISTED)}
            client.close()
