"""The demo's name server: one small zone, answered over UDP and TLS."""

from __future__ import annotations

import asyncio
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.zone

_ZONE = """
@     300 IN SOA ns.shop.example. hostmaster.shop.example. 2026010101 3600 600 86400 300
@     300 IN NS  ns.shop.example.
@     300 IN A   192.0.2.10
@     300 IN MX  10 mail.shop.example.
ns    300 IN A   127.0.0.1
www   300 IN A   192.0.2.10
www   300 IN A   192.0.2.11
www   300 IN AAAA 2001:db8::10
mail  300 IN A   192.0.2.25
"""


class DemoNameServer(asyncio.DatagramProtocol):
    """Answers authoritatively for `shop.example` and refuses every other name; lives as long as the demo."""

    def __init__(self) -> None:
        self._zone = dns.zone.from_text(_ZONE, origin="shop.example.", relativize=False)
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for sending answers."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one query; anything else is dropped, as name servers do."""
        answer = self._answer_to(data)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one query on a connection (RFC 7858), and close it."""
        try:
            answer = self._answer_to(await reader.readexactly(int.from_bytes(await reader.readexactly(2))))
            if answer is not None:
                writer.write(len(answer).to_bytes(2) + answer)
                await writer.drain()
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    def _answer_to(self, data: bytes) -> bytes | None:
        """Return the answer to a query; None for anything else."""
        try:
            return self._answer(dns.message.from_wire(data)).to_wire()
        except dns.exception.DNSException:
            return None

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        answer = dns.message.make_response(query)
        if len(query.question) != 1:
            answer.set_rcode(dns.rcode.FORMERR)
            return answer
        question = query.question[0]
        origin = cast("dns.name.Name", self._zone.origin)
        if not question.name.is_subdomain(origin):
            answer.set_rcode(dns.rcode.REFUSED)
            return answer
        answer.flags |= dns.flags.AA
        node = self._zone.get_node(question.name)
        rdataset = node.get_rdataset(question.rdclass, question.rdtype) if node else None
        if rdataset is not None:
            answer.answer.append(self._zone.get_rrset(question.name, question.rdtype) or question)
        else:
            answer.set_rcode(dns.rcode.NOERROR if node else dns.rcode.NXDOMAIN)
            answer.authority.append(self._zone.get_rrset(origin, "SOA") or question)
        return answer
