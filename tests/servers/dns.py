"""A small name server on UDP, TCP and TLS that answers from its zone and misbehaves for certain names.

The first label of a name decides: one in `RCODES` returns that code, one in `datagrams` or `stream` below its
misbehaviour, and every other name the records in `ZONE`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.servers.process import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.nginx import CertificateFiles

SLOW_SECONDS = 0.2
GARBAGE = b"\x00\x01\x00\x01\x00\x00\x00\x00\xff\xff\xff"
"""What follows the id and the flags of a broken answer: a header that announces records which are missing."""

_SOA = "3600 IN SOA ns.test. hostmaster.test. 2024010203 7200 3600 1209600 300"
_ADDRESS = "300 IN A 192.0.2.10"

ZONE: dict[str, list[str]] = {
    "www.test.": [_ADDRESS, "300 IN AAAA 2001:db8::10", '60 IN TXT "one" "two"'],
    "only-six.test.": ["300 IN AAAA 2001:db8::66"],
    "two.test.": ["300 IN A 192.0.2.11", "120 IN A 192.0.2.12"],
    "alias.test.": ["30 IN CNAME www.test."],
    "test.": [
        _SOA,
        "3600 IN NS ns.test.",
        "3600 IN MX 10 mail.test.",
        "3600 IN MX 20 mail2.test.",
        '3600 IN TXT "v=spf1 -all"',
        '3600 IN CAA 0 issue "letsencrypt.org"',
    ],
    "nomail.test.": ["300 IN MX 0 ."],
    "_sip._tcp.test.": ["300 IN SRV 0 5 5060 sip.test."],
    "10.2.0.192.in-addr.arpa.": ["300 IN PTR www.test."],
    "version.bind.": ['0 CH TXT "little server"'],
    "zero-ttl.test.": ["0 IN A 192.0.2.10"],
    "many.test.": [f"300 IN A 192.0.2.{number}" for number in range(1, 101)],
    "bytes.test.": ['300 IN TXT "caf\\195\\169 \\255\\000"'],
    "newlines.test.": ['300 IN TXT "a\\010b\\013c\\"\\\\"'],
    "long.test.": ["300 IN TXT " + " ".join(['"' + "x" * 255 + '"'] * 200)],
}
"""Owner name to its records, as in a zone file. Names with a script below have `_ADDRESS`."""

FURTHER_SECTIONS: dict[str, tuple[list[str], list[str]]] = {
    "referral.test.": (
        ["child.test. 3600 IN NS NS1.Child.test.", "child.test. 3600 IN NS ns2.child.test."],
        ["ns1.child.test. 3600 IN A 192.0.2.53", "ns2.child.test. 60 IN AAAA 2001:db8::53"],
    ),
    "mixed.test.": (
        ["test. 300 IN SOA ns.test. Hostmaster.test. 7 7200 3600 1209600 300", 'test. 300 IN TXT "WWW.test"'],
        ['test. 300 IN TXT "a b" "c"', "test. 300 IN MX 10 Mail.test."],
    ),
}
"""Owner name to the records of the authority and additional sections in its answers, which have no answer section."""

RCODES = {
    "nxdomain": dns.rcode.NXDOMAIN,
    "servfail": dns.rcode.SERVFAIL,
    "refused": dns.rcode.REFUSED,
    "notimp": dns.rcode.NOTIMP,
    "yxdomain": dns.rcode.YXDOMAIN,
    "badvers": dns.rcode.BADVERS,
    "nodata": dns.rcode.NOERROR,
}
"""First label to the code of an answer without records; refused and notimp omit the question, as some servers do."""


ADDRESSED = frozenset(["authentic", "slow", "spoofed", "stray", "trailing", "truncated"])
"""First labels that have an address in addition to their script; so do all that begin with `tcp-`."""


class Asked(NamedTuple):
    """One query that arrived."""

    transport: str
    source: str
    query: dns.message.Message


class Datagram(NamedTuple):
    """A datagram sent in answer over UDP, and its delay after the previous one."""

    wire: bytes
    delay_seconds: float = 0.0


class DnsServer(NamedTuple):
    """A running server; `asked` grows with every query."""

    host: str
    port: int
    tls_port: int
    asked: list[Asked]

    @property
    def server(self) -> str:
        """Address and port, as in a check's `server`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def first_label(query: dns.message.Message) -> str:
    return query.question[0].name.labels[0].decode().lower()


def answer(query: dns.message.Message) -> dns.message.Message:
    """The correct answer to a query: authoritative, unless its first label is `authentic`."""
    name, rdtype, label = query.question[0].name, query.question[0].rdtype, first_label(query)
    response = dns.message.make_response(query, recursion_available=True)
    response.flags |= dns.flags.AD if label == "authentic" else dns.flags.AA
    if label in RCODES:
        response.set_rcode(RCODES[label])
        if label in ("refused", "notimp"):
            response.question.clear()
        return response
    if label == "only-six" and rdtype == dns.rdatatype.A:  # like the servers that RFC 4074 section 4.2 warns of
        response.set_rcode(dns.rcode.NXDOMAIN)
        return response
    further = FURTHER_SECTIONS.get(name.to_text().lower())
    if further is not None:
        response.authority, response.additional = ([_whole(line) for line in lines] for lines in further)
        return response
    records = ZONE.get(name.to_text().lower(), [_ADDRESS] if label in ADDRESSED or label.startswith("tcp-") else None)
    if records is None:
        response.set_rcode(dns.rcode.NXDOMAIN)
    owner = dns.name.from_text("other.test") if label == "stray" else name
    response.answer += _matching(owner, rdtype, records or [])
    for alias in [rrset for rrset in response.answer if rrset.rdtype == dns.rdatatype.CNAME]:
        target = alias[0].target
        response.answer += _matching(target, rdtype, ZONE[target.to_text()])
    if not response.answer:
        response.authority += _matching(dns.name.from_text("test."), dns.rdatatype.SOA, [_SOA])
    return response


def _whole(line: str) -> dns.rrset.RRset:
    owner, ttl, rdclass, kind, rdata = line.split(" ", 4)
    return dns.rrset.from_text(owner, int(ttl), rdclass, kind, rdata)


def _matching(owner: dns.name.Name, rdtype: dns.rdatatype.RdataType, records: list[str]) -> list[dns.rrset.RRset]:
    fields = [record.split(" ", 3) for record in records]
    wanted = {rdtype, dns.rdatatype.CNAME} if rdtype != dns.rdatatype.ANY else set(dns.rdatatype.RdataType)
    return [
        dns.rrset.from_text(owner, int(ttl), rdclass, kind, rdata)
        for ttl, rdclass, kind, rdata in fields
        if dns.rdatatype.from_text(kind) in wanted
    ]


def datagrams(query: dns.message.Message) -> list[Datagram]:
    """What is sent over UDP: nothing, nonsense, forgeries, a truncated answer, or the correct one."""
    right = answer(query).to_wire(max_size=65535)
    wrong_id = bytes((right[0] ^ 0xFF,)) + right[1:]
    other = dns.message.make_query("other.test", "A", id=query.id)
    other_question = dns.message.make_response(other).to_wire()
    garbage = right[:2] + b"\x84\x00" + GARBAGE
    match first_label(query):
        case "silent":
            return []
        case "slow":
            return [Datagram(right, SLOW_SECONDS)]
        case "wrong-id":
            return [Datagram(wrong_id)]
        case "wrong-question":
            return [Datagram(other_question)]
        case "garbage":
            return [Datagram(garbage)]
        case "tiny":
            return [Datagram(right[:5])]
        case "echo":
            return [Datagram(query.to_wire())]
        case "trailing":
            return [Datagram(right + b"junk")]
        case "spoofed":
            forged = [wrong_id, other_question, garbage, query.to_wire(), right[:5]]
            return [*map(Datagram, forged), Datagram(right, 0.02)]
    limit = query.payload if query.edns >= 0 else 512
    if len(right) > limit or first_label(query).startswith(("tcp-", "truncated")):
        cut = dns.message.make_response(query)
        cut.flags |= dns.flags.TC
        return [Datagram(cut.to_wire())]
    return [Datagram(right)]


async def stream(query: dns.message.Message, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What is sent over TCP and TLS: nothing, nonsense, a wrong length, single bytes, or the correct answer."""
    right = answer(query).to_wire(max_size=65535)
    framed = len(right).to_bytes(2) + right
    match first_label(query):
        case "tcp-silent":
            await reader.read()
        case "tcp-closed":
            return
        case "tcp-long-lie":
            writer.write((len(right) + 100).to_bytes(2) + right)
        case "tcp-short-lie":
            writer.write((len(right) - 5).to_bytes(2) + right)
        case "tcp-zero":
            writer.write(b"\x00\x00")
        case "tcp-wrong-id":
            writer.write(framed[:2] + bytes((framed[2] ^ 0xFF,)) + framed[3:])
        case "tcp-bad-owner":  # the name of the first record becomes a pointer to itself
            question_octets = len(query.question[0].name.to_wire() or b"") + 4
            writer.write(framed[:2] + right[: 12 + question_octets] + b"\xff\xff" + right[14 + question_octets :])
        case "tcp-reset":
            abrupt = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, abrupt)
            writer.transport.abort()
        case "tcp-drip":
            for octet in framed:
                writer.write(bytes((octet,)))
                await asyncio.sleep(0)
        case _:
            writer.write(framed)
    await writer.drain()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, asked: list[Asked]) -> None:
        self._asked = asked
        self._replies: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override] # that is what it is
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        self._asked.append(Asked("udp", addr[0], query))
        task = asyncio.get_running_loop().create_task(self._reply(query, addr))
        self._replies.add(task)
        task.add_done_callback(self._replies.discard)

    async def _reply(self, query: dns.message.Message, address: tuple[str, int]) -> None:
        for datagram in datagrams(query):
            await asyncio.sleep(datagram.delay_seconds)
            self._transport.sendto(datagram.wire, address)


async def _serve(server: DnsServer, started: threading.Event, stop: asyncio.Event, *, tcp: bool,
                 context: ssl.SSLContext | None) -> None:  # fmt: skip
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            query = dns.message.from_wire(await reader.readexactly(int.from_bytes(await reader.readexactly(2))))
            kind = "tcp" if writer.get_extra_info("ssl_object") is None else "tls"
            server.asked.append(Asked(kind, writer.get_extra_info("peername")[0], query))
            await stream(query, reader, writer)
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    loop = asyncio.get_running_loop()
    udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(server.asked), local_addr=(server.host, server.port))
    listeners = []
    if tcp:
        listeners.append(await asyncio.start_server(converse, server.host, server.port))
    if context is not None:
        listeners.append(await asyncio.start_server(converse, server.host, server.tls_port, ssl=context))
    started.set()
    await stop.wait()
    udp.close()
    for listener in listeners:
        listener.close()


@contextmanager
def run_dns_server(
    host: str = "127.0.0.1", *, port: int | None = None, tcp: bool = True, certificate: CertificateFiles | None = None
) -> Iterator[DnsServer]:
    """Run the server in its own thread for the duration of the block.

    Args:
        host: The address it listens on.
        port: The port; a free one by default.
        tcp: Whether it also listens on TCP; otherwise connections are rejected.
        certificate: If given, the server speaks DNS over TLS on `tls_port`.
    """
    server = DnsServer(host, port or free_port(), free_port(), [])
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate.cert_file, certificate.key_file)
    started = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(_serve(server, started, stop, tcp=tcp, context=context))

    thread = threading.Thread(target=run, name="dns server", daemon=True)
    thread.start()
    assert started.wait(20), "the name server did not start"
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
