"""One DNS question on the wire and its answer: a datagram and back, or a framed message on a stream.

Kept apart from `name_query`, which finds addresses for other checks: here every detail of the answer is of interest,
and what a hostile or broken server sends has to be told apart. A datagram that does not answer the question is ignored,
not taken for a failure, so that nobody can end a check by a forgery (CVE-2023-29483); on a stream it is the server's.
"""

from __future__ import annotations

import asyncio
import os
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype

from exporter.attempt import current_attempt
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.dns_answer import DnsAnswer
from exporter.net.failures import connection_failure

if TYPE_CHECKING:
    import socket

    from exporter.attempt import Attempt

_HEADER_OCTETS = 12  # RFC 1035 section 4.1.1
_MAX_DATAGRAM_OCTETS = 65535
_MAY_LEAVE_OUT_QUESTION = frozenset((dns.rcode.FORMERR, dns.rcode.SERVFAIL, dns.rcode.NOTIMP, dns.rcode.REFUSED))
"""Servers that do not understand or want a query may answer with the header alone, as dnspython allows too."""


class Question(NamedTuple):
    """A query, ready but for its id.

    Attributes:
        wire: The message from its flags on, after the two octets of the id.
        section: The question section as an answer has to repeat it, in lower case.
        record_type: The type asked for.
    """

    wire: bytes
    section: bytes
    record_type: dns.rdatatype.RdataType


class Reply(NamedTuple):
    """What came back.

    Attributes:
        answer: The answer; None for a datagram that says it was cut short.
        received_at: `perf_counter()` when it had arrived.
    """

    answer: DnsAnswer | None
    received_at: float


def prepare_question(
    name: dns.name.Name,
    record_type: dns.rdatatype.RdataType,
    record_class: dns.rdataclass.RdataClass,
    *,
    recursion_desired: bool,
    edns_payload_bytes: int | None,
    dnssec_ok: bool,
) -> Question:
    """Build the message for a question, to be sent as often as wanted.

    Args:
        name: The absolute name asked for.
        record_type: The type asked for.
        record_class: The class asked for.
        recursion_desired: The RD flag.
        edns_payload_bytes: Size of the datagrams we accept, announced with EDNS (RFC 6891); None for a query without.
        dnssec_ok: The DO flag of EDNS.
    """
    query = dns.message.make_query(
        name,
        record_type,
        record_class,
        use_edns=None if edns_payload_bytes is None else 0,
        payload=edns_payload_bytes,
        want_dnssec=dnssec_ok,
        flags=dns.flags.RD if recursion_desired else 0,
        id=0,
    )
    wire = query.to_wire()
    section_octets = len(name.to_digestable()) + 4
    return Question(wire[2:], wire[_HEADER_OCTETS : _HEADER_OCTETS + section_octets].lower(), record_type)


def why_no_answer(wire: bytes, identifier: bytes, question: Question) -> str:
    """Tell by header and question why a message is not the answer to a query; empty when it is."""
    if len(wire) < _HEADER_OCTETS:
        return "it is shorter than a header"
    if wire[:2] != identifier:
        return "its id is another"
    if not wire[2] & 0x80:
        return "it is a query"
    if wire[2] & 0x78:
        return "it answers another kind of request"
    if wire[4:6] == b"\x00\x00" and wire[3] & 0x0F in _MAY_LEAVE_OUT_QUESTION:
        return ""
    if (
        wire[4:6] != b"\x00\x01"
        or wire[_HEADER_OCTETS : _HEADER_OCTETS + len(question.section)].lower() != question.section
    ):
        return "its question is another"
    return ""


async def ask_datagram(question: Question, connected: socket.socket) -> Reply:
    """Ask over UDP, once, and wait for the answer for as long as it takes.

    Args:
        question: What is asked.
        connected: A socket as `open_datagram_socket` gives it; stays open.

    Raises:
        CheckFailed: When the query cannot be sent or is refused (ICMP port unreachable).
    """
    identifier = os.urandom(2)
    loop = asyncio.get_running_loop()
    exchange = _Datagrams(connected, identifier, question, loop.create_future(), current_attempt())
    try:
        connected.send(identifier + question.wire)
    except OSError as error:
        raise connection_failure(error, "sending the query") from error
    loop.add_reader(connected, exchange.on_readable)
    try:
        outcome = await exchange.outcome
    finally:
        loop.remove_reader(connected)
    if isinstance(outcome, OSError):
        raise connection_failure(outcome, "waiting for the answer") from outcome
    return outcome


class _Datagrams:
    """Reads datagrams until one is the answer; lives as long as its question."""

    __slots__ = ("_attempt", "_identifier", "_question", "_socket", "outcome")

    def __init__(
        self,
        connected: socket.socket,
        identifier: bytes,
        question: Question,
        outcome: asyncio.Future[Reply | OSError],
        attempt: Attempt,
    ) -> None:
        self._socket = connected
        self._identifier = identifier
        self._question = question
        self._attempt = attempt
        self.outcome = outcome

    def on_readable(self) -> None:
        """Take one datagram."""
        try:
            wire = self._socket.recv(_MAX_DATAGRAM_OCTETS)
        except BlockingIOError:
            return
        except OSError as error:
            self._settle(error)
            return
        received_at = perf_counter()
        why = why_no_answer(wire, self._identifier, self._question)
        if why:
            self._ignore(wire, why)
        elif wire[2] & 0x02:
            self._settle(Reply(None, received_at))
        else:
            try:
                self._settle(Reply(DnsAnswer(wire, self._question.record_type), received_at))
            except CheckFailed as failure:
                self._ignore(wire, failure.detail)

    def _ignore(self, wire: bytes, why: str) -> None:
        self._attempt.note("ignored a datagram", why=why, octets=len(wire))
        self._attempt.timeout_reason = Reason.PROTOCOL

    def _settle(self, outcome: Reply | OSError) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


class DnsStream(asyncio.Protocol):
    """Asks one question on a connection of its own (RFC 7766, RFC 7858); made for `Network.connect`."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._identifier = os.urandom(2)
        self._received = bytearray()
        self._outcome: asyncio.Future[bytes | CheckFailed] = asyncio.get_running_loop().create_future()
        self._received_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for `ask`: the query's time must not begin before the connection's is over."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Collect the message that the two octets before it announce; what follows it does not matter."""
        self._received += data
        received, announced = len(self._received) - 2, int.from_bytes(self._received[:2])
        if 0 <= received >= announced and not self._outcome.done():
            self._received_at = perf_counter()
            self._outcome.set_result(bytes(self._received[2 : 2 + announced]))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the waiting check that there will be no answer."""
        if not self._outcome.done():
            self._outcome.set_result(self._why_it_ended(exc))

    def _why_it_ended(self, error: Exception | None) -> CheckFailed:
        if error is not None:
            return connection_failure(error, "waiting for the answer")
        if not self._received:
            return CheckFailed(Reason.CONNECTION_RESET, "the server closed the connection without an answer")
        announced, received = int.from_bytes(self._received[:2]), max(len(self._received) - 2, 0)
        detail = f"the server announced an answer of {announced} octets and closed after {received}"
        return CheckFailed(Reason.PROTOCOL, detail)

    async def ask(self) -> Reply:
        """Send the question and wait for its answer.

        Raises:
            CheckFailed: When the connection ends before, or what comes is malformed or answers something else.
        """
        message = self._identifier + self._question.wire
        self._transport.write(len(message).to_bytes(2) + message)  # type: ignore[attr-defined] # uvloop's has no base of asyncio's
        wire = await self._outcome
        if isinstance(wire, CheckFailed):
            raise wire
        why = why_no_answer(wire, self._identifier, self._question)
        if why:
            raise CheckFailed(Reason.PROTOCOL, f"what the server sent is no answer: {why}")
        return Reply(DnsAnswer(wire, self._question.record_type), self._received_at)
