"""postel domain remove: aliases that would send their mail out from then on are shown, and it wants a yes (SEC-15)."""
import os
import pty
import smtplib
import subprocess

import pytest


def rcpt(server, address):
    with smtplib.SMTP("127.0.0.1", server.port["smtp"], timeout=30) as smtp:
        smtp.ehlo("client.example.org")
        smtp.mail("jon@example.org")
        return smtp.rcpt(address)[0]


def at_a_terminal(server, typed, *args):
    """The exit status and what it says, of somebody who types a line."""
    master, slave = pty.openpty()
    try:
        run = subprocess.Popen([server.binary, *args, "--data", server.data], stdin=slave, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
        os.write(master, typed.encode() + b"\n")
        said = run.communicate(timeout=60)[0]
    finally:
        os.close(master)
        os.close(slave)
    return run.returncode, said


@pytest.fixture
def leaves(server):
    """A domain with another name, and aliases of a domain that stays; gone again whatever happened."""
    server.cli("alias", "add", "early@example.test", "x@nickname.test") # elsewhere, as long as that name is nobody's
    server.cli("domain", "add", "leaves.test", "--admin", "alice@example.test", "--password-stdin", input="\n")
    server.cli("domain", "alias", "add", "nickname.test", "leaves.test")
    server.cli("alias", "add", "list@leaves.test", "bob@example.test")
    server.cli("alias", "add", "there@example.test", "bob@example.test", "list@nickname.test")
    yield server
    for words in (("alias", "remove", "there@example.test"), ("alias", "remove", "early@example.test"),
                  ("domain", "remove", "leaves.test", "--yes")):
        server.cli(*words, check=False)


def test_the_domain(leaves):
    remove = ("domain", "remove", "leaves.test")
    done = leaves.cli(*remove, check=False)
    assert done.returncode == 2 and "say --yes" in done.stderr and done.stdout == ""
    shown = {tuple(line.split(maxsplit=1)) for line in done.stderr.splitlines() if line.split()[0].endswith("@example.test")}
    assert shown == {("there@example.test", "bob@example.test list@leaves.test"), ("early@example.test", "x@nickname.test")}
    assert "bob@leaves.test" not in done.stderr
    code, said = at_a_terminal(leaves, "leavse.test", *remove)
    assert code == 1 and "there@example.test" in said and "Nothing was removed." in said
    assert rcpt(leaves, "list@leaves.test") == 250
    code, said = at_a_terminal(leaves, "leaves.test", *remove)
    assert code == 0 and "2 aliases send mail out to it now." in said
    assert rcpt(leaves, "list@leaves.test") == 550
    assert rcpt(leaves, "there@example.test") == 250


def test_its_other_name(leaves):
    remove = ("domain", "alias", "remove", "nickname.test")
    done = leaves.cli(*remove, check=False)
    assert done.returncode == 2 and "early@example.test" in done.stderr and "there@example.test" not in done.stderr
    assert rcpt(leaves, "list@nickname.test") == 250
    assert "send mail out" in leaves.cli(*remove, "--yes")
    assert rcpt(leaves, "list@nickname.test") == 550


def test_nothing_leads_there(leaves):
    """Then nobody asks."""
    leaves.cli("alias", "remove", "there@example.test")
    leaves.cli("alias", "remove", "early@example.test")
    assert leaves.cli("domain", "remove", "leaves.test") == "Domain leaves.test removed with its aliases.\n"
