"""IMAP and POP3 as fast as Python can speak them: answers are counted, not parsed."""
import socket
import ssl


def tls():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Client:
    def __init__(self, port, secure=False):
        self.sock = socket.create_connection(("127.0.0.1", port), 60)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if secure:
            self.sock = tls().wrap_socket(self.sock)
        self.room = bytearray(1 << 20)
        self.greeting = self.line()

    def more(self, at):
        """Bytes come into room from at on, which is kept at half of it at most. The new end."""
        n = self.sock.recv_into(memoryview(self.room)[at:])
        if n == 0:
            raise RuntimeError("closed")
        return at + n

    def line(self):
        end = 0
        while not self.room.endswith(b"\n", 0, end):
            end = self.more(end)
        return bytes(self.room[:end])

    def close(self):
        self.sock.close()


class Imap(Client):
    def __init__(self, target, secure=False):
        super().__init__(target.port["imaps" if secure else "imap"], secure)
        self.count = 0

    def send(self, text, literal=None):
        """text: a command; literal: goes behind it without waiting (RFC 7888). The tag."""
        self.count += 1
        tag = b"q%d" % self.count
        out = tag + b" " + text.encode()
        self.sock.sendall(out + (b" {%d+}\r\n%s\r\n" % (len(literal), literal) if literal is not None else b"\r\n"))
        return tag

    def until(self, tag):
        """Everything up to the tagged answer: bytes counted; the last 512 KiB of them."""
        end, total, answer = 0, 0, tag + b" "
        while True:
            now = self.more(end)
            total += now - end
            end = now
            if self.room.endswith(b"\n", 0, end):
                last = self.room.rfind(b"\n", 0, end - 1) + 1
                if self.room.startswith(answer, last):
                    break
            if end > len(self.room) // 2:  # all that matters is the last line
                keep = 4096
                self.room[:keep] = self.room[end - keep:end]
                end = keep
        if not self.room.startswith(answer + b"OK", last):
            raise RuntimeError(bytes(self.room[last:end]))
        return total, bytes(self.room[:end])

    def run(self, text, literal=None):
        return self.until(self.send(text, literal))

    def login(self, user, password):
        self.run(f'LOGIN {user} "{password}"')
        return self

    def logout(self):
        self.sock.sendall(b"z LOGOUT\r\n")
        while self.sock.recv(4096):
            pass
        self.close()


class Pop3(Client):
    def __init__(self, target, secure=False):
        super().__init__(target.port["pop3s" if secure else "pop3"], secure)

    def run(self, text):
        self.sock.sendall(text.encode() + b"\r\n")
        answer = self.line()
        if not answer.startswith(b"+OK"):
            raise RuntimeError(answer)
        return answer

    def login(self, user, password):
        self.run("USER " + user)
        self.run("PASS " + password)
        return self

    def retr(self, n):
        self.sock.sendall(b"RETR %d\r\n" % n)
        end = 0
        while not self.room.endswith(b"\r\n.\r\n", 0, end):
            end = self.more(end)
        return end

    def retr_all(self, numbers):
        """All asked for at once; nothing in these messages begins a line with a dot."""
        numbers = list(numbers)
        asked = b"".join(b"RETR %d\r\n" % n for n in numbers)
        left, sent, kept = len(numbers), 0, b""
        self.sock.setblocking(False)
        import select
        while left:
            readable, writable, _ = select.select([self.sock], [self.sock] if sent < len(asked) else [], [], 60)
            if writable:
                sent += self.sock.send(asked[sent:sent + 65536])
            if readable:
                n = self.sock.recv_into(self.room)
                if n == 0:
                    raise RuntimeError("closed")
                left -= self.room.count(b"\r\n.\r\n", 0, n) + (kept + self.room[:min(n, 4)]).count(b"\r\n.\r\n")
                kept = (kept + self.room[:n])[-4:] if n < 4 else bytes(self.room[n - 4:n])
        self.sock.setblocking(True)

    def quit(self):
        self.sock.sendall(b"QUIT\r\n")
        while self.sock.recv(4096):
            pass
        self.close()
