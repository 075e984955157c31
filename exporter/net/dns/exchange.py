"""One DNS question and its answer, over UDP or as a framed message on a stream.

Separate from `exporter.net.dns.stub`, which finds addresses for other checks: here every detail of the answer matters,
and the errors of a hostile or broken server must be distinguished. A datagram that does not answer the question is
ignored rather than a failure, so that a forged one cannot end a check (CVE-2023-29483); on a stream it comes from the
server.
"""

from __future__ import annotations

import asyncio
import os
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.dns.message import HEADER_OCTETS, Question
from exporter.net.dns.reader import DnsAnswer
from exporter.net.errors import connection_failure
from exporter.net.readers import FLOOD, pause_reader
from exporter.quantities import counted

if TYPE_CHECKING:
    import socket

    from exporter.attempt import Attempt
    from exporter.net.readers import Readers

_MAX_DATAGRAM_OCTETS = 65535
_MOST_MALFORMED = 8
"""A malformed datagram with the right id and question may be forged; this many come from the server."""

_MOST_NOTED = 16
_MAY_LEAVE_OUT_QUESTION = frozenset((dns.rcode.FORMERR, dns.rcode.SERVFAIL, dns.rcode.NOTIMP, dns.rcode.REFUSED))
"""Servers that do not understand or refuse a query may answer with the header alone, as dnspython allows too."""


class Reply(NamedTuple):
    """A received answer.

    Attributes:
        answer: The answer; None for a truncated datagram.
        received_at: `perf_counter()` when it arrived.
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
    nsid: bool = False,
) -> Question:
    """Build the message for a question, which can be sent any number of times.

    Args:
        name: The absolute name asked for.
        record_type: The type asked for.
        record_class: The class asked for.
        recursion_desired: The RD flag.
        edns_payload_bytes: Maximum datagram size, announced with EDNS (RFC 6891); None for a query without EDNS.
        dnssec_ok: The DO flag of EDNS.
        nsid: Whether the server is asked which of several it is (RFC 5001), which takes EDNS.
    """
    query = dns.message.make_query(
        name,
        record_type,
        record_class,
        use_edns=None if edns_payload_bytes is None else 0,
        payload=edns_payload_bytes,
        want_dnssec=dnssec_ok,
        options=[dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")] if nsid else None,
        flags=dns.flags.RD if recursion_desired else 0,
        id=0,
    )
    wire = query.to_wire()
    section = wire[HEADER_OCTETS : HEADER_OCTETS + len(name.to_digestable()) + 4].lower()
    return Question(wire[2:], section, record_type, section[:-4], int(record_class))


def why_no_answer(wire: bytes, identifier: bytes, question: Question) -> str:
    """Return why a message's header or question does not match a query; empty when it answers the query."""
    if len(wire) < HEADER_OCTETS:
        return "it is shorter than a header"
    if wire[:2] != identifier:
        return "its id is a different one"
    if not wire[2] & 0x80:
        return "it is a query"
    if wire[2] & 0x78:
        return "it answers another kind of request"
    if wire[4:6] == b"\x00\x00" and wire[3] & 0x0F in _MAY_LEAVE_OUT_QUESTION:
        return ""
    if (
        wire[4:6] != b"\x00\x01"
        or wire[HEADER_OCTETS : HEADER_OCTETS + len(question.section)].lower() != question.section
    ):
        return "its question is a different one"
    return ""


async def ask_datagram(
    question: Question, connected: socket.socket, readers: Readers, attempt: Attempt | None = None
) -> Reply:
    """Send a question over UDP, once, and wait for the answer without a time limit.

    Args:
        question: The question.
        connected: A socket from `open_datagram_socket`; it stays open.
        readers: Wait for the answer.
        attempt: The attempt in whose log ignored datagrams appear, and which a timeout then fails with reason
            `protocol`; None when several wait for the answer.

    Raises:
        CheckFailed: When the query cannot be sent or is refused (ICMP port unreachable).
    """
    identifier = os.urandom(2)
    datagrams = _Datagrams(connected, identifier, question, readers, attempt)
    try:
        connected.send(identifier + question.wire)
    except OSError as error:
        raise connection_failure(error, "sending the query") from error
    try:
        return await datagrams.reply()
    finally:
        datagrams.close()


class _Datagrams:
    """Reads datagrams until one is the answer; lives as long as the question.

    One datagram is read per pass of the event loop. A flood is read in bursts with pauses between them.
    """

    __slots__ = (
        "_arrived", "_attempt", "_identifier", "_ignored", "_loop", "_pause", "_question", "_readers", "_socket",
    )  # fmt: skip

    def __init__(
        self,
        connected: socket.socket,
        identifier: bytes,
        question: Question,
        readers: Readers,
        attempt: Attempt | None,
    ) -> None:
        self._socket = connected
        self._identifier = identifier
        self._question = question
        self._readers = readers
        self._attempt = attempt
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Future[tuple[bytes, float] | OSError]
        self._pause: asyncio.TimerHandle | None = None
        self._ignored = 0

    async def reply(self) -> Reply:
        """Wait for the answer.

        Raises:
            CheckFailed: When the query is refused, or the server has sent too many malformed answers to it.
        """
        malformed = 0
        while True:
            self._arrived = self._loop.create_future()
            self._readers.add_reader(self._socket, self._on_readable)
            outcome = await self._arrived
            if isinstance(outcome, OSError):
                raise connection_failure(outcome, "waiting for the answer") from outcome
            wire, received_at = outcome
            if wire[2] & 0x02:
                return Reply(None, received_at)
            try:
                return Reply(await DnsAnswer.read(wire, self._question), received_at)
            except CheckFailed as failure:
                self._ignore(wire, failure.detail)
                malformed += 1
                if malformed == _MOST_MALFORMED:
                    detail = f"the server sent {counted(malformed, 'answer')} that cannot be read; {failure.detail}"
                    raise CheckFailed(Reason.PROTOCOL, detail) from failure

    def close(self) -> None:
        """Stop reading, and log how many datagrams were ignored without a separate line."""
        self._readers.remove_reader(self._socket)
        if self._pause is not None:
            self._pause.cancel()
        if self._ignored > _MOST_NOTED and self._attempt is not None:
            self._attempt.note("ignored more datagrams", count=self._ignored - _MOST_NOTED)

    def _on_readable(self) -> None:
        """Read one datagram."""
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
            if self._ignored % FLOOD == 0:
                self._pause = pause_reader(self._readers, self._socket, self._on_readable)
        else:
            self._settle((wire, received_at))

    def _ignore(self, wire: bytes, why: str) -> None:
        self._ignored += 1
        if self._attempt is None:
            return
        if self._ignored <= _MOST_NOTED:
            self._attempt.note("ignored a datagram", why=why, octets=len(wire))
        self._attempt.timeout_reason = Reason.PROTOCOL

    def _settle(self, outcome: tuple[bytes, float] | OSError) -> None:
        """Deliver the result, and stop reading until more is wanted."""
        self._readers.remove_reader(self._socket)
        if not self._arrived.done():
            self._arrived.set_result(outcome)


class DnsStream(asyncio.Protocol):
    """Asks one question on a separate connection (RFC 7766, RFC 7858); for use with `Network.connect`."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._identifier = os.urandom(2)
        self._received = bytearray()
        self._outcome: asyncio.Future[bytes | CheckFailed] = asyncio.get_running_loop().create_future()
        self._received_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send nothing before `ask`: the query time must not begin until the connection is established."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Collect the message, whose length is in the two octets before it; ignore what follows it."""
        if self._outcome.done():
            return
        self._received += data
        received, announced = len(self._received) - 2, int.from_bytes(self._received[:2])
        if 0 <= received >= announced:
            self._received_at = perf_counter()
            self._outcome.set_result(bytes(self._received[2 : 2 + announced]))

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the waiting check: there will be no answer."""
        if not self._outcome.done():
            self._outcome.set_result(self._why_it_ended(exc))

    def _why_it_ended(self, error: Exception | None) -> CheckFailed:
        if error is not None:
            return connection_failure(error, "waiting for the answer")
        if not self._received:
            return CheckFailed(Reason.CONNECTION_RESET, "the server closed the connection without an answer")
        announced, received = int.from_bytes(self._received[:2]), max(len(self._received) - 2, 0)
        detail = f"the server announced an answer of {counted(announced, 'octet')} and closed after {received}"
        return CheckFailed(Reason.PROTOCOL, detail)

    async def ask(self) -> Reply:
        """Send the question and wait for its answer.

        Raises:
            CheckFailed: When the connection ends first, or the message is malformed or answers another question.
        """
        message = self._identifier + self._question.wire
        self._transport.write(len(message).to_bytes(2) + message)  # type: ignore[attr-defined] # uvloop's lacks asyncio's base
        wire = await self._outcome
        if isinstance(wire, CheckFailed):
            raise wire
        why = why_no_answer(wire, self._identifier, self._question)
        if why:
            raise CheckFailed(Reason.PROTOCOL, f"what the server sent is not an answer: {why}")
        return Reply(await DnsAnswer.read(wire, self._question), self._received_at)
