"""Real clients: swaks, curl, msmtp, smtplib in; fetchmail, poplib, mpop, curl out."""
import email
import os
import poplib
import re
import shutil
import smtplib
import ssl
import subprocess
import uuid

import pytest

from lib.server import PASSWORD, Server, have_ipv6

BODY = "Grüße, one line\n.a dot\n..two dots\n" + "x" * 900 + "\n"


@pytest.fixture(scope="module")
def box():
    """A server whose five accounts belong to this file alone."""
    with Server(accounts=("alice", "bob", "carol", "dave", "erin")) as server:
        yield server


def run(*command, input=None, env=None, check=True):
    done = subprocess.run(command, input=input, capture_output=True, text=True, timeout=60,
                          env={**os.environ, **(env or {})})
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}\nstatus {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def message(subject, to="alice@example.test", body=BODY):
    return (f"From: Jon <jon@example.org>\nTo: {to}\nSubject: {subject}\nDate: Tue, 24 Nov 2026 20:17:00 +0000\n"
            f"Message-ID: <{uuid.uuid4()}@example.org>\nMIME-Version: 1.0\n"
            f"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{body}")


def wire(*args):
    """The message as SMTP carries it."""
    return message(*args).replace("\n", "\r\n").encode()


def pop3_all(server, who, delete=True):
    """Every message of `who`, as bytes with CRLF; deletes them."""
    pop = poplib.POP3("127.0.0.1", server.port["pop3"], timeout=30)
    pop.user(f"{who}@example.test")
    pop.pass_(PASSWORD)
    count, total = pop.stat()
    found = [b"\r\n".join(pop.retr(n)[1]) + b"\r\n" for n in range(1, count + 1)]
    assert sum(map(len, found)) == total  # RFC 1939 5: STAT counts the octets that RETR gives
    if delete:
        for n in range(1, count + 1):
            pop.dele(n)
    pop.quit()
    return found


def the_one(server, who, subject):
    found = pop3_all(server, who)
    assert len(found) == 1
    parsed = email.message_from_bytes(found[0])
    assert parsed["Subject"] == subject
    return parsed


def test_swaks(box):
    done = run("swaks", "--server", f"127.0.0.1:{box.port['smtp']}", "--from", "jon@example.org", "--to",
               "alice@example.test", "--helo", "client.example.org", "--header", "Subject: by swaks")
    assert re.search(r"^<-  250 2\.0\.0 .*[a-z2-7]{12}", done.stdout, re.M)
    parsed = the_one(box, "alice", "by swaks")
    assert parsed["Return-Path"] == "<jon@example.org>"
    assert parsed["Delivered-To"] == "alice@example.test"
    assert "client.example.org" in parsed["Received"] and "mx.example.test" in parsed["Received"]


def test_swaks_tls_and_pipelining(box):
    done = run("swaks", "--server", f"127.0.0.1:{box.port['smtp']}", "--from", "jon@example.org", "--to",
               "alice@example.test,bob@example.test", "--tls", "--pipeline", "--helo", "client.example.org", "--header",
               "Subject: in TLS")
    assert "TLS started" in done.stdout
    parsed = the_one(box, "alice", "in TLS")
    assert "ESMTPS" in parsed["Received"]
    the_one(box, "bob", "in TLS")


def test_swaks_unknown_recipient(box):
    done = run("swaks", "--server", f"127.0.0.1:{box.port['smtp']}", "--from", "jon@example.org", "--to",
               "nobody-here@example.test", check=False)
    assert done.returncode == 24 and "550 5.1.1" in done.stdout


def test_curl_smtp(box, tmp_path):
    file = tmp_path / "m.eml"
    file.write_bytes(wire("by curl"))
    run("curl", "-sS", "--mail-from", "jon@example.org", "--mail-rcpt", "bob@example.test", "-T", str(file),
        f"smtp://127.0.0.1:{box.port['smtp']}/client.example.org")
    parsed = the_one(box, "bob", "by curl")
    assert parsed.get_payload(decode=True).decode().replace("\r\n", "\n") == BODY


def test_msmtp(box):
    run("msmtp", "--host=127.0.0.1", f"--port={box.port['smtp']}", "--from=jon@example.org", "--tls=on",
        "--tls-starttls=on", "--tls-certcheck=off", "--auth=off", "--domain=client.example.org", "carol@example.test",
        input=message("by msmtp"))
    parsed = the_one(box, "carol", "by msmtp")
    assert parsed.get_payload(decode=True).decode().replace("\r\n", "\n") == BODY


@pytest.mark.parametrize("size", [0, 60_000, 65_536, 70_000, 900_000, 1_048_576, 1_200_000, 6_000_000])
def test_sizes_come_back_unchanged(box, size):
    """Bodies in the frame, as memfd, as a stream and as a file of their own come back octet for octet."""
    lines = (b"%08d " % n + b"a" * 60 + b"\r\n" for n in range(10**9))
    text = b""
    parts = []
    total = 0
    while total < size:
        parts.append(next(lines))
        total += len(parts[-1])
    text = message(f"size {size}", body="").replace("\n", "\r\n").encode() + b"".join(parts)[:size]
    text = text.rstrip(b"\r") if text.endswith(b"\r") else text
    if not text.endswith(b"\r\n"):
        text += b"\r\n"
    with smtplib.SMTP("127.0.0.1", box.port["smtp"], "client.example.org", timeout=60) as smtp:
        smtp.sendmail("jon@example.org", ["dave@example.test"], text)
    found = pop3_all(box, "dave")
    assert len(found) == 1
    assert found[0].endswith(text)


def test_many_recipients_of_one_message(box):
    everybody = [f"{who}@example.test" for who in ("alice", "bob", "carol", "dave", "erin")]
    with smtplib.SMTP("127.0.0.1", box.port["smtp"], "client.example.org", timeout=30) as smtp:
        refused = smtp.sendmail("jon@example.org", everybody + ["nobody@example.test"], wire("to all"))
    assert list(refused) == ["nobody@example.test"] and refused["nobody@example.test"][0] == 550
    for who in ("alice", "bob", "carol", "dave", "erin"):
        assert the_one(box, who, "to all")["Delivered-To"] == f"{who}@example.test"


def test_alias_delivers_once(box):
    box.cli("alias", "add", "friends@example.test", "bob@example.test", "carol@example.test")
    with smtplib.SMTP("127.0.0.1", box.port["smtp"], "client.example.org", timeout=30) as smtp:
        smtp.sendmail("jon@example.org", ["friends@example.test", "bob@example.test"], wire("alias"))
    the_one(box, "bob", "alias")
    the_one(box, "carol", "alias")


def test_poplib_tls_and_uidl(box):
    for n in range(3):
        with smtplib.SMTP("127.0.0.1", box.port["smtp"], "client.example.org", timeout=30) as smtp:
            smtp.sendmail("jon@example.org", ["erin@example.test"], wire(f"number {n}"))
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    pop = poplib.POP3_SSL("127.0.0.1", box.port["pop3s"], context=context, timeout=30)
    assert "UIDL" in pop.capa()
    pop.user("erin@example.test")
    pop.pass_(PASSWORD)
    before = pop.uidl()[1]
    assert len(before) == 3 and len(set(line.split()[1] for line in before)) == 3
    pop.dele(2)
    pop.quit()
    pop = poplib.POP3("127.0.0.1", box.port["pop3"], timeout=30)
    pop.stls(context)
    pop.user("erin@example.test")
    pop.pass_(PASSWORD)
    after = pop.uidl()[1]
    pop.quit()
    assert [line.split()[1] for line in after] == [before[0].split()[1], before[2].split()[1]]
    pop3_all(box, "erin")


def test_fetchmail(box, tmp_path):
    with smtplib.SMTP("127.0.0.1", box.port["smtp"], "client.example.org", timeout=30) as smtp:
        for n in range(2):
            smtp.sendmail("jon@example.org", ["alice@example.test"], wire(f"fetch {n}"))
    rc = tmp_path / "fetchmailrc"
    out = tmp_path / "out"
    rc.write_text(f"poll 127.0.0.1 protocol pop3 port {box.port['pop3']} uidl\n"
                  f"  user 'alice@example.test' password '{PASSWORD}' sslproto '' mda 'cat >> {out}'\n")
    rc.chmod(0o600)
    done = run("fetchmail", "-f", str(rc), "--nosyslog", "-v", "-i", str(tmp_path / "ids"),
               env={"FETCHMAILHOME": str(tmp_path), "HOME": str(tmp_path)}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    text = out.read_text()
    assert "Subject: fetch 0" in text and "Subject: fetch 1" in text and "\n.a dot\n" in text
    assert pop3_all(box, "alice") == []


def test_mpop(box, tmp_path):
    with smtplib.SMTP("127.0.0.1", box.port["smtp"], "client.example.org", timeout=30) as smtp:
        smtp.sendmail("jon@example.org", ["bob@example.test"], wire("by mpop"))
    for folder in ("new", "cur", "tmp"):
        (tmp_path / "box" / folder).mkdir(parents=True)
    run("mpop", "--host=127.0.0.1", f"--port={box.port['pop3s']}", "--tls=on", "--tls-starttls=off",
        "--tls-certcheck=off", "--user=bob@example.test", f"--passwordeval=echo '{PASSWORD}'", "--auth=user",
        f"--delivery=maildir,{tmp_path}/box", "--keep=off", f"--uidls-file={tmp_path}/uidls",
        env={"HOME": str(tmp_path)})
    found = list((tmp_path / "box" / "new").iterdir())
    assert len(found) == 1 and b"Subject: by mpop" in found[0].read_bytes()
    assert pop3_all(box, "bob") == []


def test_curl_pop3(box):
    with smtplib.SMTP("127.0.0.1", box.port["smtp"], "client.example.org", timeout=30) as smtp:
        smtp.sendmail("jon@example.org", ["carol@example.test"], wire("by curl out"))
    done = run("curl", "-sS", "-k", "--user", f"carol@example.test:{PASSWORD}",
               f"pop3s://127.0.0.1:{box.port['pop3s']}/1")
    assert "Subject: by curl out" in done.stdout
    pop3_all(box, "carol")


def test_pop3_sasl(box, tmp_path):
    """AUTH PLAIN by curl (with and without initial response), mpop, getmail and by hand (RFC 5034)."""
    with smtplib.SMTP("127.0.0.1", box.port["smtp"], "client.example.org", timeout=30) as smtp:
        smtp.sendmail("jon@example.org", ["carol@example.test"], wire("by sasl"))
    for option in ("--sasl-ir", "--no-sasl-ir"):
        done = run("curl", "-vsS", "-k", option, "--login-options", "AUTH=PLAIN", "--user", f"carol@example.test:{PASSWORD}",
                   f"pop3s://127.0.0.1:{box.port['pop3s']}/1")
        assert "Subject: by sasl" in done.stdout and "> AUTH PLAIN" in done.stderr and "> PASS" not in done.stderr
    done = run("curl", "-sS", "-k", "--sasl-ir", "--login-options", "AUTH=PLAIN", "--user", "carol@example.test:wrong",
               f"pop3s://127.0.0.1:{box.port['pop3s']}/1", check=False)
    assert done.returncode == 67  # CURLE_LOGIN_DENIED
    for folder in ("new", "cur", "tmp"):
        (tmp_path / "box" / folder).mkdir(parents=True)
    run("mpop", "--host=127.0.0.1", f"--port={box.port['pop3s']}", "--tls=on", "--tls-starttls=off", "--tls-certcheck=off",
        "--user=carol@example.test", f"--passwordeval=echo '{PASSWORD}'", "--auth=plain",
        f"--delivery=maildir,{tmp_path}/box", "--keep=on", f"--uidls-file={tmp_path}/uidls", env={"HOME": str(tmp_path)})
    assert len(list((tmp_path / "box" / "new").iterdir())) == 1
    pop3_all(box, "carol")


def test_getmail(box, tmp_path):
    with smtplib.SMTP("127.0.0.1", box.port["smtp"], "client.example.org", timeout=30) as smtp:
        smtp.sendmail("jon@example.org", ["bob@example.test"], wire("by getmail"))
    out = tmp_path / "out"
    rc = tmp_path / "getmailrc"
    rc.write_text(f"[retriever]\ntype = SimplePOP3SSLRetriever\nserver = 127.0.0.1\nport = {box.port['pop3s']}\n"
                  f"username = bob@example.test\npassword = {PASSWORD}\nssl_cert_hostname =\n"
                  f"[destination]\ntype = MDA_external\npath = /bin/sh\narguments = ('-c', 'cat > {out}')\n"
                  "allow_root_commands = true\n[options]\ndelete = true\n")
    rc.chmod(0o600)
    run("getmail", "--getmaildir", str(tmp_path), "--rcfile", str(rc), env={"HOME": str(tmp_path), "USER": "bob"})
    assert "Subject: by getmail" in out.read_text() and "\n.a dot\n" in out.read_text()
    assert pop3_all(box, "bob") == []


def test_poplib_utf8(box):
    """RFC 6856: what needs UTF-8 is told to be that, and comes as it is to who knows it."""
    raw = "From: Jon <jon@example.org>\r\nSubject: Grüße\r\n\r\nbody\r\n".encode()
    with smtplib.SMTP("127.0.0.1", box.port["smtp"], "client.example.org", timeout=30) as smtp:
        smtp.sendmail("jon@example.org", ["erin@example.test"], raw, mail_options=["BODY=8BITMIME"])
    old = poplib.POP3("127.0.0.1", box.port["pop3"], timeout=30)
    assert "UTF8" in old.capa() and old.capa()["UTF8"] == ["USER"]
    old.user("erin@example.test")
    old.pass_(PASSWORD)
    with pytest.raises(poplib.error_proto, match=r"\[UTF8\]"):
        old.retr(1)
    assert old.list()[1] == [b"1 %d" % old.stat()[1]]
    old.quit()
    new = poplib.POP3("127.0.0.1", box.port["pop3"], timeout=30)
    new.utf8()
    new.user("erin@example.test")
    new.pass_(PASSWORD)
    assert "Subject: Grüße".encode() in new.retr(1)[1]
    new.dele(1)
    new.quit()


@pytest.mark.skipif(not have_ipv6(), reason="no IPv6 on loopback")
def test_ipv6(box):
    with smtplib.SMTP("::1", box.port["smtp"], "client.example.org", timeout=30) as smtp:
        smtp.sendmail("jon@example.org", ["dave@example.test"], wire("over six"))
    assert "IPv6:::1" in the_one(box, "dave", "over six")["Received"]


def test_mail_outlives_a_restart(box):
    """Stored means stored: a stop, a start, and UIDL and text are the same."""
    with smtplib.SMTP("127.0.0.1", box.port["smtp"], "client.example.org", timeout=30) as smtp:
        smtp.sendmail("jon@example.org", ["erin@example.test"], wire("kept"))

    def look():
        pop = poplib.POP3("127.0.0.1", box.port["pop3"], timeout=30)
        pop.user("erin@example.test")
        pop.pass_(PASSWORD)
        seen = (pop.uidl()[1], pop.retr(1)[1])
        pop.quit()
        return seen

    before = look()
    box.stop()
    open(box.log, "w").close()
    box.start()
    assert look() == before
    pop3_all(box, "erin")


def test_password_change_takes_effect(box):
    box.cli("account", "passwd", "dave@example.test", "--password-stdin", input="another one\n")
    pop = poplib.POP3("127.0.0.1", box.port["pop3"], timeout=30)
    pop.user("dave@example.test")
    with pytest.raises(poplib.error_proto, match=r"\[AUTH\]"):
        pop.pass_(PASSWORD)
    pop.close()
    pop = poplib.POP3("127.0.0.1", box.port["pop3"], timeout=30)
    pop.user("dave@example.test")
    pop.pass_("another one")
    pop.quit()


def test_removed_account_is_gone(box):
    box.cli("account", "add", "short@example.test", "--password-stdin", input=PASSWORD + "\n")
    with smtplib.SMTP("127.0.0.1", box.port["smtp"], "client.example.org", timeout=30) as smtp:
        smtp.sendmail("jon@example.org", ["short@example.test"], wire("to be lost"))
    box.cli("account", "remove", "short@example.test", "--yes")
    with smtplib.SMTP("127.0.0.1", box.port["smtp"], "client.example.org", timeout=30) as smtp:
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            smtp.sendmail("jon@example.org", ["short@example.test"], wire("too late"))
    # An account of the same name later does not get the mail of the old one.
    box.cli("account", "add", "short@example.test", "--password-stdin", input=PASSWORD + "\n")
    assert pop3_all(box, "short") == []


def test_clients_are_there():
    for name in ("swaks", "curl", "msmtp", "fetchmail", "getmail", "mpop"):
        assert shutil.which(name), f"{name} is not installed"
