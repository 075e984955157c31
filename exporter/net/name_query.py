"""One question to one DNS server: over UDP, then over TCP when the answer did not fit.

Each question has a socket of its own, connected to the server: the kernel then drops datagrams of anyone else and tells
at once when nobody listens. What does not answer the question, or cannot be parsed, is ignored rather than believed or
taken for a failure (CVE-2023-29483), so a forger cannot end a lookup.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rdatatype

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.failures import connection_failure

if TYPE_CHECKING:
    from exporter.net.system_names import NameServer

_UNREADABLE = (dns.exception.DNSException, ValueError, IndexError)


async def ask(
    name: dns.name.Name, record_type: dns.rdatatype.RdataType, server: NameServer, timeout_seconds: float
) -> dns.message.QueryMessage:
    """Ask a server for records and give its answer, whatever its code.

    Args:
        name: The absolute name asked for.
        record_type: The type of the records.
        server: The server.
        timeout_seconds: Bound of the whole exchange.

    Raises:
        TimeoutError: When the server is silent.
        CheckFailed: With reason `resolve` when the server cannot be reached or talks nonsense; with `local` when this
            host has no socket to spare.
    """
    question = dns.message.make_query(name, record_type)
    try:
        async with asyncio.timeout(timeout_seconds):
            reply = await _ask_udp(question, server)
            return await _ask_tcp(question, server) if reply is None else reply
    except TimeoutError:
        raise
    except OSError as error:
        failure = connection_failure(error, f"asking {server}")
        reason = Reason.LOCAL if failure.reason is Reason.LOCAL else Reason.RESOLVE
        raise CheckFailed(reason, failure.detail) from error


async def _ask_udp(question: dns.message.QueryMessage, server: NameServer) -> dns.message.QueryMessage | None:
    loop = asyncio.get_running_loop()
    reply: asyncio.Future[dns.message.QueryMessage | None] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Exchange(question, reply), remote_addr=(server.address, server.port)
    )
    try:
        return await reply
    finally:
        transport.abort()


class _Exchange(asyncio.DatagramProtocol):
    """Sends one question and waits for its answer; None stands for one that was cut short."""

    def __init__(
        self, question: dns.message.QueryMessage, reply: asyncio.Future[dns.message.QueryMessage | None]
    ) -> None:
        self._question = question
        self._wire = question.to_wire()
        self._reply = reply

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.sendto(self._wire)  # type: ignore[attr-defined] # a datagram endpoint's transport; uvloop's has no base of asyncio's

    def datagram_received(self, data: bytes, addr: object) -> None:
        if self._reply.done() or data[:2] != self._wire[:2]:
            return
        if len(data) > 2 and data[2] & 0x80 and data[2] & dns.flags.TC >> 8:
            self._reply.set_result(None)
            return
        try:
            message = _read(data)
        except _UNREADABLE:
            return
        if self._question.is_response(message):
            self._reply.set_result(message)

    def error_received(self, exc: Exception) -> None:
        if not self._reply.done():
            self._reply.set_exception(exc)


async def _ask_tcp(question: dns.message.QueryMessage, server: NameServer) -> dns.message.QueryMessage:
    wire = question.to_wire()
    reader, writer = await asyncio.open_connection(server.address, server.port)
    try:
        writer.write(len(wire).to_bytes(2) + wire)
        size = int.from_bytes(await reader.readexactly(2))
        message = _read(await reader.readexactly(size))
    except (asyncio.IncompleteReadError, *_UNREADABLE) as error:
        raise CheckFailed(Reason.RESOLVE, f"{server} sent no readable answer over TCP") from error
    finally:
        writer.transport.abort()
    if not question.is_response(message):
        raise CheckFailed(Reason.RESOLVE, f"{server} answered another question over TCP")
    return message


def _read(wire: bytes) -> dns.message.QueryMessage:
    """Parse a message; one with another opcode than QUERY is as unreadable as garbage."""
    message = dns.message.from_wire(wire)
    if not isinstance(message, dns.message.QueryMessage):
        raise dns.exception.FormError
    return message
