"""A signed DNS tree of the test's own, on a loopback port: the root, test., org. and what a test adds.

    with Dns() as dns:
        dns.zone("example.test")                                  # signed; secure=False: a delegation without DS
        dns.add("example.test", "MX", "10 mx.example.test.")
        dns.fault("slow.example.test", "slow", 3)
        with Server(dns=dns) as server: ...

One server answers for all zones: the resolver has it as forwarder, so it gets answers where the net would give referrals,
and fetches and checks DS and DNSKEY as anywhere. Zones that do not answer in time when the tree starts are stubs of their
own, for else the resolver would think that the whole forwarder is slow. Signatures are made when they are asked for. Denials are NSEC.
Faults, of a name and all below it: "servfail", "refused", "drop" (no answer), "slow" (argument: seconds), "bogus" (a
signature with a bit turned), "expired", "unsigned" (signatures left out).
"""
import collections
import hashlib
import socket
import socketserver
import struct
import threading
import time

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

TTL = 300
UDP_MOST = 1232
RT = dns.rdatatype


def _name(text):
    return dns.name.from_text(text if text.endswith(".") else text + ".")


class Zone:
    def __init__(self, origin, secure):
        self.origin = _name(origin)
        self.secure = secure
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.dnskey = dns.dnssec.make_dnskey(self.key.public_key(), dns.dnssec.Algorithm.ECDSAP256SHA256, flags=257)
        self.names = collections.defaultdict(dict)  # name -> type -> RRset
        self.signed = {}
        ns = _name("ns." + origin if origin != "." else "ns.root.")
        self.add(self.origin, "SOA", f"{ns} hostmaster.{origin if origin != '.' else 'root.'} 1 3600 600 86400 60")
        self.add(self.origin, "NS", str(ns))
        self.add(ns, "A", "127.0.0.1")
        if secure:
            self.put(dns.rrset.from_rdata(self.origin, TTL, self.dnskey))

    def put(self, rrset):
        self.names[rrset.name][rrset.rdtype] = rrset
        self.signed.clear()

    def add(self, name, rdtype, *texts, ttl=TTL):
        for rd in dns.rrset.from_text_list(name, ttl, "IN", rdtype, list(texts)):
            old = self.names[name].setdefault(RT.from_text(rdtype), dns.rrset.RRset(name, 1, RT.from_text(rdtype)))
            old.add(rd, ttl)
        self.signed.clear()

    def ds(self):
        return dns.dnssec.make_ds(self.origin, self.dnskey, "SHA256")

    def exists(self, name):
        """True also for an empty non-terminal."""
        return name in self.names or any(other.is_subdomain(name) for other in self.names)

    def nsec(self, name):
        """The NSEC record of `name`, or the one that covers it."""
        owners = sorted(self.names)
        at = max(i for i, owner in enumerate(owners) if owner <= name)
        owner, following = owners[at], owners[(at + 1) % len(owners)]
        types = sorted(set(self.names[owner]) | {RT.RRSIG, RT.NSEC})
        words = " ".join(RT.to_text(t) for t in types)
        return dns.rrset.from_text(owner, 60, "IN", "NSEC", f"{following} {words}")

    def sign(self, rrset, fault):
        key = (rrset.name, rrset.rdtype, rrset.to_text(), fault)
        if key not in self.signed:
            now = time.time()
            begin, end = (now - 20 * 86400, now - 10 * 86400) if fault == "expired" else (now - 86400, now + 86400)
            rd = dns.dnssec.sign(rrset, self.key, self.origin, self.dnskey, inception=begin, expiration=end)
            if fault == "bogus":
                rd = rd.replace(signature=bytes([rd.signature[0] ^ 1]) + rd.signature[1:])
            self.signed[key] = dns.rrset.from_rdata(rrset.name, rrset.ttl, rd)
        return self.signed[key]


class Dns:
    def __init__(self):
        self.lock = threading.RLock()
        self.zones = {}
        self.faults = {}
        self.asked = collections.Counter()  # ("mx.example.test", "A") -> how often it was asked
        self.zone(".")
        self.zone("test")
        self.zone("org")
        self.servers = []

    # ---- what a test says ----

    def zone(self, origin, secure=True, ds=True):
        """Makes a zone below those there are. ds=False: signed, and its parent says nothing of it (an island)."""
        with self.lock:
            zone = Zone(origin if origin.endswith(".") else origin + ".", secure)
            self.zones[zone.origin] = zone
            if zone.origin == dns.name.root:
                return
            parent = self._zone_of(zone.origin.parent())
            parent.add(zone.origin, "NS", "ns." + str(zone.origin))
            if secure and ds:
                parent.put(dns.rrset.from_rdata(zone.origin, TTL, zone.ds()))

    def add(self, name, rdtype, *texts, ttl=TTL):
        """Records as in a zone file, names in them with their last dot; to those there are."""
        with self.lock:
            name = _name(name)
            self._zone_of(name).add(name, rdtype, *texts, ttl=ttl)

    def remove(self, name, rdtype=None):
        with self.lock:
            name = _name(name)
            zone = self._zone_of(name)
            if rdtype is None:
                zone.names.pop(name, None)
            else:
                zone.names.get(name, {}).pop(RT.from_text(rdtype), None)
                if not zone.names.get(name, True):
                    del zone.names[name]

    def fault(self, name, kind=None, argument=None):
        """kind None: mended again."""
        with self.lock:
            self.faults.pop(_name(name), None)
            if kind:
                self.faults[_name(name)] = (kind, argument)

    def mail(self, domain, host=None, address="127.0.0.1", preference=10):
        """An MX for a domain in a zone that is there, and its host's address."""
        host = host or "mx." + domain
        self.add(domain, "MX", f"{preference} {host}.")
        self.add(host, "AAAA" if ":" in address else "A", address)

    def tlsa(self, host, cert_pem, usage=3, selector=1, matching=1, port=25):
        """A TLSA record of a certificate (PEM)."""
        cert = x509.load_pem_x509_certificate(cert_pem.encode() if isinstance(cert_pem, str) else cert_pem)
        der = cert.public_bytes(serialization.Encoding.DER)
        if selector == 1:
            der = cert.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        data = {0: der, 1: hashlib.sha256(der).digest(), 2: hashlib.sha512(der).digest()}[matching]
        self.add(f"_{port}._tcp.{host}", "TLSA", f"{usage} {selector} {matching} {data.hex()}")

    def options(self):
        """What postel.conf says of it."""
        anchor = self.zones[dns.name.root].ds()
        apart = [n.to_text(omit_final_dot=True) for n, (kind, _) in self.faults.items() if kind in ("drop", "slow")]
        return {"dns.forward": f"127.0.0.1:{self.port}",
                "dns.stub": " ".join(f"{n}=127.0.0.1:{self.port}" for n in apart),
                "dns.trust_anchor": f". IN DS {anchor.key_tag} {int(anchor.algorithm)} {anchor.digest_type} {anchor.digest.hex()}"}

    # ---- answering ----

    def _zone_of(self, name):
        while name not in self.zones:
            name = name.parent()
        return self.zones[name]

    def _fault_of(self, name):
        while True:
            if name in self.faults:
                return self.faults[name]
            if name == dns.name.root:
                return None, None
            name = name.parent()

    def _put(self, section, zone, rrset, want_dnssec, fault):
        section.append(rrset)
        if zone.secure and want_dnssec and fault != "unsigned":
            section.append(zone.sign(rrset, fault))

    def _deny(self, reply, zone, name, want_dnssec, fault):
        self._put(reply.authority, zone, zone.names[zone.origin][RT.SOA], want_dnssec, fault)
        found = zone.exists(name)
        if not found:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        if not (zone.secure and want_dnssec):
            return
        proofs = {zone.nsec(name).name: zone.nsec(name)}
        if not found:  # RFC 4035 3.1.3.2: nor is there a wildcard
            closest = name.parent()
            while not zone.exists(closest):
                closest = closest.parent()
            wild = zone.nsec(dns.name.Name((b"*",) + closest.labels))
            proofs[wild.name] = wild
        for nsec in proofs.values():
            self._put(reply.authority, zone, nsec, want_dnssec, fault)

    def answer(self, query):
        """The reply, or None for silence."""
        q = query.question[0]
        name, rdtype = _name(q.name.to_text().lower()), q.rdtype
        with self.lock:
            self.asked[(name.to_text(omit_final_dot=True), RT.to_text(rdtype))] += 1
            fault, argument = self._fault_of(name)
        if fault == "slow":
            time.sleep(argument)
        if fault == "drop":
            return None
        reply = dns.message.make_response(query)
        want = bool(query.ednsflags & dns.flags.DO)
        if fault in ("servfail", "refused"):
            reply.set_rcode(dns.rcode.SERVFAIL if fault == "servfail" else dns.rcode.REFUSED)
            return reply
        reply.flags |= dns.flags.AA
        with self.lock:
            at = name.parent() if rdtype == RT.DS and name in self.zones and name != dns.name.root else name
            zone = self._zone_of(at)
            there = zone.names.get(name, {})
            if RT.CNAME in there and rdtype != RT.CNAME:
                self._put(reply.answer, zone, there[RT.CNAME], want, fault)
            elif rdtype in there:
                self._put(reply.answer, zone, there[rdtype], want, fault)
            else:
                self._deny(reply, zone, name, want, fault)
        return reply

    def wire(self, data, most):
        try:
            query = dns.message.from_wire(data)
        except Exception:
            return None
        reply = self.answer(query)
        if reply is None:
            return None
        reply.use_edns(0, dns.flags.DO if query.ednsflags & dns.flags.DO else 0, UDP_MOST)
        wire = reply.to_wire(max_size=65535)
        if most and len(wire) > most:
            short = dns.message.make_response(query)
            short.flags |= dns.flags.TC
            wire = short.to_wire()
        return wire

    # ---- sockets ----

    def start(self, port=None):
        """On a port of 127.0.0.1, UDP and TCP. port: the one that it had before a stop."""
        tree = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                data, sock = self.request
                wire = tree.wire(data, UDP_MOST)
                if wire:
                    sock.sendto(wire, self.client_address)

        class Tcp(socketserver.BaseRequestHandler):
            def handle(self):
                head = self.request.recv(2, socket.MSG_WAITALL)
                while len(head) == 2:
                    wire = tree.wire(self.request.recv(struct.unpack("!H", head)[0], socket.MSG_WAITALL), None)
                    if not wire:
                        return
                    self.request.sendall(struct.pack("!H", len(wire)) + wire)
                    head = self.request.recv(2, socket.MSG_WAITALL)

        class UdpServer(socketserver.ThreadingUDPServer):
            allow_reuse_address = daemon_threads = True
            block_on_close = False

        class TcpServer(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True
            block_on_close = False

        for _ in range(50):
            udp = UdpServer(("127.0.0.1", port or 0), Udp)
            self.port = udp.server_address[1]
            try:
                self.servers = [udp, TcpServer(("127.0.0.1", self.port), Tcp)]
                break
            except OSError:
                udp.server_close()
        for server in self.servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()
        self.servers = []

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()


def standard():
    """A tree with one of each kind of trouble, for whoever needs one; not started yet."""
    tree = Dns()
    tree.zone("example.test")
    tree.mail("example.test", "mx1.example.test", preference=10)
    tree.mail("example.test", "mx2.example.test", preference=10)
    tree.mail("example.test", "mx3.example.test", preference=20)
    tree.add("mx1.example.test", "AAAA", "::1")
    tree.add("null.example.test", "MX", "0 .")
    tree.add("implicit.example.test", "A", "127.0.0.1")
    tree.add("alias.example.test", "CNAME", "deep.example.test.")
    tree.add("deep.example.test", "CNAME", "mx1.example.test.")
    tree.add("out.example.test", "CNAME", "www.plain.test.")
    tree.add("lost.example.test", "CNAME", "nowhere.example.test.")
    tree.add("loop.example.test", "CNAME", "pool.example.test.")
    tree.add("pool.example.test", "CNAME", "loop.example.test.")
    tree.add("text.example.test", "TXT", '"v=one" " string"', '"another"')
    tree.add("large.example.test", "TXT", *(f'"{i:03d} {"x" * 200}"' for i in range(30)))
    tree.add("_25._tcp.mx1.example.test", "TLSA", "3 1 1 " + "ab" * 32)
    tree.add("a.b.ent.example.test", "A", "127.0.0.1")
    for kind in ("servfail", "refused", "bogus", "expired", "unsigned", "drop"):
        tree.zone(kind + ".test")
        tree.mail(kind + ".test")
        tree.add("_25._tcp.mx." + kind + ".test", "TLSA", "3 1 1 " + "cd" * 32)
        tree.fault(kind + ".test", kind)
    tree.zone("slow.test")
    tree.mail("slow.test")
    tree.fault("slow.test", "slow", 0.3)
    tree.zone("plain.test", secure=False)
    tree.mail("plain.test")
    tree.add("www.plain.test", "A", "127.0.0.1")
    tree.zone("island.test", ds=False)
    tree.mail("island.test")
    tree.zone("wrongkey.test")
    tree.mail("wrongkey.test")
    bad = tree.zones[_name("wrongkey.test")]
    bad.key = ec.generate_private_key(ec.SECP256R1())
    tree.zone("in-addr.arpa")
    tree.add("1.0.0.127.in-addr.arpa", "PTR", "mx1.example.test.")
    return tree
