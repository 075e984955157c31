"""Shared by the tests of names: a system with its own files and name servers."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from exporter.attempt import current_attempt
from exporter.errors import CheckFailed
from exporter.net import ConnectionFacts
from exporter.net.dns.resolver import Resolver
from exporter.net.dns.system_files import SystemFiles
from exporter.settings import NetworkSettings
from tests.servers.process import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path


class Place:
    """A separate system: a hosts file, a resolver configuration, a port for its name servers."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.hosts = directory / "hosts"
        self.resolv_conf = directory / "resolv.conf"
        self.names = SystemFiles(hosts_file=str(self.hosts), resolv_conf=str(self.resolv_conf), dns_port=self.port)

    def lookups(self) -> Resolver:
        """The lookups of a new batch."""
        return Resolver(self.names)


async def resolve(lookups: Resolver, host: str, **settings: Any) -> str:
    """The address of a host, or the reason of the failure."""
    facts = ConnectionFacts(current_attempt())
    try:
        address = await lookups.address(host, NetworkSettings(**settings), facts)
    except CheckFailed as failure:
        assert (facts.address, facts.ip_protocol, facts.ip_addr_hash) == ("", 0, 0)
        return f"{failure.reason}: {failure.detail}"
    assert (facts.address, facts.ip_protocol) == (address.text, address.version)
    return address.text


class Served(NamedTuple):
    """A name server in the test's own loop, and the queries it received (`A www.test`)."""

    host: str
    asked: list[str]


def questions(server: Served) -> list[str]:
    """What a name server was asked, in order; a question whose answer came late is asked again, and counts once."""
    return list(dict.fromkeys(server.asked))


class NamesServed(asyncio.DatagramProtocol):
    """Answers from a zone as `serving` describes it."""

    def __init__(self, zone: Mapping[str, str], asked: list[str]) -> None:
        self._zone = zone
        self._asked = asked
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        asked = f"{question.rdtype.name} {question.name.to_text(omit_final_dot=True)}"
        self._asked.append(asked)
        says, _, delay_seconds = self._zone.get(asked, self._zone.get("*", "NXDOMAIN")).partition(" after ")
        if says == "silence":
            return
        response = dns.message.make_response(query)
        if says.isupper():
            response.set_rcode(dns.rcode.from_text(says))
        for address in () if says.isupper() else says.split():  # in sets of one, because sets are shuffled
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", question.rdtype, address))
        asyncio.get_running_loop().call_later(float(delay_seconds or 0), self._reply, response.to_wire(), addr)

    def _reply(self, wire: bytes, addr: Any) -> None:
        if not self._transport.is_closing():
            self._transport.sendto(wire, addr)  # type: ignore[attr-defined] # a datagram transport


@asynccontextmanager
async def serving(place: Place, zone: Mapping[str, str], host: str = "127.0.0.1") -> AsyncIterator[Served]:
    """Serve names: question to addresses, a code in capitals, "" for no records, or silence; `*` for all others.

    An answer that ends in `after 0.2` comes so many seconds late.
    """
    asked: list[str] = []
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: NamesServed(zone, asked), local_addr=(host, place.port)
    )
    try:
        yield Served(host, asked)
    finally:
        transport.close()
        await protocol.ended.wait()
