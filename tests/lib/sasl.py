"""SCRAM's client side (RFC 5802), independent of the server's code."""
import base64
import hashlib
import hmac
import os


class Scram:
    """First message, then final(server-first), then check(server-final)."""

    def __init__(self, user, password, digest="sha256", flag="n", binding=b""):
        self.digest, self.password = digest, password.encode()
        self.gs2 = f"{flag},,".encode()
        self.binding = binding
        self.nonce = base64.b64encode(os.urandom(12)).decode()
        self.bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={self.nonce}".encode()

    def first(self):
        return self.gs2 + self.bare

    def hmac(self, key, text):
        return hmac.new(key, text, self.digest).digest()

    def final(self, server_first):
        said = dict(part.split("=", 1) for part in server_first.decode().split(","))
        assert said["r"].startswith(self.nonce) and len(said["r"]) > len(self.nonce) + 15
        self.iterations, self.salt = int(said["i"]), base64.b64decode(said["s"])
        salted = hashlib.pbkdf2_hmac(self.digest, self.password, self.salt, self.iterations)
        client = self.hmac(salted, b"Client Key")
        without = b"c=" + base64.b64encode(self.gs2 + self.binding) + b",r=" + said["r"].encode()
        message = self.bare + b"," + server_first + b"," + without
        signature = self.hmac(hashlib.new(self.digest, client).digest(), message)
        self.server = self.hmac(self.hmac(salted, b"Server Key"), message)
        proof = bytes(a ^ b for a, b in zip(client, signature))
        return without + b",p=" + base64.b64encode(proof)

    def check(self, server_final):
        assert server_final == b"v=" + base64.b64encode(self.server), "the server does not know the password"

    def step(self, challenge):
        """For imaplib and smtplib, which ask once per challenge."""
        if not challenge:
            return self.first()
        if challenge.startswith(b"v="):
            self.check(challenge)
            return b""
        return self.final(challenge)
