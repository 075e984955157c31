"""One question for addresses to one DNS server: over UDP, then over TCP when the answer did not fit."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import TYPE_CHECKING

import dns.exception
import dns.name
import dns.rdataclass
import dns.rdatatype

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.addresses import parse_address
from exporter.net.datagram_socket import open_datagram_socket
from exporter.net.dns_exchange import DnsStream, ask_datagram, prepare_question
from exporter.net.failures import connection_failure

if TYPE_CHECKING:
    from exporter.net.dns_message import Question
    from exporter.net.dns_reader import DnsAnswer
    from exporter.net.system_names import NameServer

_CACHED_QUESTIONS = 8192
_RECORD_TYPES = {4: dns.rdatatype.A, 6: dns.rdatatype.AAAA}


@lru_cache(maxsize=_CACHED_QUESTIONS)
def address_question(name: str, version: int) -> Question | None:
    """Give the question for the addresses of a name; None when the name is none.

    Args:
        name: The name in ASCII, taken as absolute.
        version: The IP version of the addresses, 4 or 6.
    """
    try:
        return prepare_question(
            dns.name.from_text(name),
            _RECORD_TYPES[version],
            dns.rdataclass.IN,
            recursion_desired=True,
            edns_payload_bytes=None,  # addresses fit, and some old servers and firewalls do not know EDNS
            dnssec_ok=False,
        )
    except dns.exception.DNSException:
        return None


async def ask(question: Question, server: NameServer, timeout_seconds: float) -> DnsAnswer:
    """Ask a server and give its answer, whatever its code.

    Raises:
        TimeoutError: When the server is silent for `timeout_seconds`.
        CheckFailed: With reason `resolve` when the server cannot be reached or talks nonsense; with `local` when this
            host has no socket to spare.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            answer = await _ask_datagram(question, server)
            return await _ask_stream(question, server) if answer is None else answer
    except CheckFailed as failure:
        if failure.reason is Reason.LOCAL:
            raise
        raise CheckFailed(Reason.RESOLVE, f"{server}: {failure.detail}") from failure


async def _ask_datagram(question: Question, server: NameServer) -> DnsAnswer | None:
    """Give the answer; None when it was cut short."""
    address = parse_address(server.address)
    if address is None:
        raise CheckFailed(Reason.RESOLVE, "is no IP address")
    with open_datagram_socket(address, server.port, None) as connected:
        return (await ask_datagram(question, connected)).answer


async def _ask_stream(question: Question, server: NameServer) -> DnsAnswer:
    stream = DnsStream(question)
    try:
        transport, _ = await asyncio.get_running_loop().create_connection(lambda: stream, server.address, server.port)
    except OSError as error:
        raise connection_failure(error, "connecting over TCP") from error
    try:
        answer = (await stream.ask()).answer
    finally:
        transport.abort()
    if answer is None:
        raise CheckFailed(Reason.PROTOCOL, "the answer over TCP is cut short too")
    return answer
