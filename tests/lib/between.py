"""Somebody between two mail servers: hands on what they say, keeps what the client says, and leaves out lines of the
answers to EHLO, as an attacker who wants no TLS does."""
import socket
import threading


class Between:
    """Listens at (address, port), goes on to `to`. without: keywords of EHLO that never arrive."""

    def __init__(self, address, port, to, without=()):
        self.to, self.without = to, tuple(w.encode() for w in without)
        self.said = []  # what each client said, by connection
        self.listener = socket.create_server((address, port), backlog=50)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self.to, 20)
                server.settimeout(None)
            except OSError:
                client.close()
                continue
            number = len(self.said)
            self.said.append(b"")
            threading.Thread(target=self._up, args=(client, server, number), daemon=True).start()
            threading.Thread(target=self._down, args=(server, client), daemon=True).start()

    def _up(self, client, server, number):
        try:
            while data := client.recv(65536):
                self.said[number] += data
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _keep(self, line):
        return not (line[:4] in (b"250-", b"250 ") and line[4:].split()[:1] and line[4:].split()[0] in self.without)

    def _down(self, server, client):
        """Line by line, for in clear there is nothing else. The last line of EHLO's answer stays: it ends it."""
        rest = b""
        try:
            while data := server.recv(65536):
                lines = (rest + data).split(b"\n")
                rest = lines.pop()
                kept = [line for line in lines if line[:4] == b"250 " or self._keep(line)]
                kept = [b"250 HELP\r" if not self._keep(line) else line for line in kept]
                client.sendall(b"".join(line + b"\n" for line in kept))
        except OSError:
            pass
        for s in (client, server):
            s.close()

    def stop(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
