"""How long fetched mail is kept (RFC 2449 6.7): set by the command line, told by CAPA; young mail stays in any case."""
import poplib
import smtplib

from lib.server import PASSWORD, Server

USER = "alice@example.test"


def session(server, capa=True):
    pop = poplib.POP3("127.0.0.1", server.port["pop3"], timeout=30)
    before = pop.capa()["EXPIRE"] if capa else None
    pop.user(USER)
    pop.pass_(PASSWORD)
    return pop, before, pop.capa()["EXPIRE"] if capa else None


def test_keep():
    with Server(accounts=("alice",)) as server:
        with smtplib.SMTP("127.0.0.1", server.port["smtp"], timeout=30) as smtp:
            smtp.sendmail("jon@example.org", [USER], "Subject: x\r\n\r\ntext\r\n")
        pop, before, after = session(server)
        assert (before, after) == (["7", "USER"], ["NEVER"])
        pop.retr(1)
        pop.quit()
        assert "30 days" in server.cli("account", "set", USER, "--pop3-keep", "30")
        for _ in range(2):
            pop, before, after = session(server)
            assert (before, after) == (["7", "USER"], ["30"])
            assert len(pop.list()[1]) == 1
            pop.retr(1)
            pop.quit()
        server.cli("account", "set", USER, "--pop3-keep", "forever")
        pop, _, after = session(server)
        assert after == ["NEVER"] and len(pop.list()[1]) == 1
        pop.quit()
        for wrong in ("0", "x", "-1", "99999999"):
            assert server.cli("account", "set", USER, "--pop3-keep", wrong, check=False).returncode == 2
        assert server.cli("account", "set", "nobody@example.test", "--pop3-keep", "9", check=False).returncode == 1
