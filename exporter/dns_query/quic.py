"""One DNS question over QUIC: one connection, one stream. Source: RFC 9250."""

from __future__ import annotations

import asyncio
from enum import IntEnum
from time import perf_counter
from typing import TYPE_CHECKING

from aioquic.quic.events import StreamDataReceived, StreamReset

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.dns.exchange import Reply, why_no_answer
from exporter.net.dns.reader import DnsAnswer
from exporter.net.quic.application import QuicApplication
from exporter.net.quic.connect import connect_quic
from exporter.quantities import counted

if TYPE_CHECKING:
    from aioquic.quic.events import QuicEvent

    from exporter.addresses import Endpoint
    from exporter.net.connect_options import ConnectOptions
    from exporter.net.connection_facts import ConnectionFacts
    from exporter.net.dns.message import Question
    from exporter.net.network import Network
    from exporter.net.quic.connection import QuicChannel

_NO_ID = b"\0\0"  # section 4.2.1
_LENGTH_OCTETS = 2
_FREE_DATAGRAMS, _OCTETS_PER_DATAGRAM = 1024, 16


class DoqCode(IntEnum):
    """Error codes, section 8.4."""

    DOQ_NO_ERROR = 0
    DOQ_INTERNAL_ERROR = 1
    DOQ_PROTOCOL_ERROR = 2
    DOQ_REQUEST_CANCELLED = 3
    DOQ_EXCESSIVE_LOAD = 4
    DOQ_UNSPECIFIED_ERROR = 5


DNS_OVER_QUIC = QuicApplication(
    name="DNS over QUIC",
    alpn="doq",
    codes=DoqCode,
    no_error=DoqCode.DOQ_NO_ERROR,
    cancelled=DoqCode.DOQ_REQUEST_CANCELLED,
)
"""DNS as QUIC knows it."""


async def ask_over_quic(
    network: Network, server: Endpoint, connect: ConnectOptions, question: Question, facts: ConnectionFacts
) -> Reply:
    """Connect, ask a question, and close the connection.

    Args:
        network: Resolver, TLS contexts and pace.
        server: The server.
        connect: How to connect to it, with TLS.
        question: The question.
        facts: Filled as the connection progresses, whatever the outcome.

    Raises:
        CheckFailed: As `connect_quic` does; `protocol` when what the server sends is not an answer, `connection_reset`
            when it resets the stream.
    """
    channel = await connect_quic(network, server, connect, DNS_OVER_QUIC, facts)
    asked = _QuicQuestion(channel)
    try:
        wire = await asked.answer(_NO_ID + question.wire)
    finally:
        channel.close(DoqCode.DOQ_NO_ERROR if asked.is_answered else DoqCode.DOQ_REQUEST_CANCELLED)
    why = why_no_answer(wire, _NO_ID, question)
    if why:
        raise CheckFailed(Reason.PROTOCOL, f"what the server sent is not an answer: {why}")
    return Reply(await DnsAnswer.read(wire, question), asked.received_at)


class _QuicQuestion:
    """Asks one question over a connection; lives as long as the connection.

    Attributes:
        is_answered: Whether the answer has arrived.
        received_at: `perf_counter()` when it had.
    """

    def __init__(self, channel: QuicChannel) -> None:
        self.is_answered = False
        self.received_at = 0.0
        self._channel = channel
        self._stream = channel.quic.get_next_available_stream_id()
        self._received = bytearray()
        self._datagrams_before = channel.datagrams
        self._outcome: asyncio.Future[bytes | CheckFailed] = asyncio.get_running_loop().create_future()

    async def answer(self, message: bytes) -> bytes:
        """Send a message and return the one that answers it.

        Raises:
            CheckFailed: When none came.
        """
        framed = len(message).to_bytes(_LENGTH_OCTETS) + message
        self._channel.quic.send_stream_data(self._stream, framed, end_stream=True)
        self._channel.doing = "waiting for the answer"
        self._channel.start(self)
        outcome = await self._outcome
        if isinstance(outcome, CheckFailed):
            raise outcome.fresh_copy()
        return outcome

    def quic_event_received(self, event: QuicEvent) -> None:
        """Collect the answer, whose length is in the two octets before it.

        Raises:
            CheckFailed: When the server breaks the rules.
        """
        if self._outcome.done():
            return
        if isinstance(event, StreamReset) and event.stream_id == self._stream:
            code = DNS_OVER_QUIC.code_name(event.error_code)
            raise CheckFailed(Reason.CONNECTION_RESET, f"the server reset the stream ({code})")
        if not isinstance(event, StreamDataReceived):
            return
        if event.stream_id != self._stream:
            raise CheckFailed(Reason.PROTOCOL, f"the server opened stream {event.stream_id}, which it may not")
        self._received += event.data
        received, announced = len(self._received) - _LENGTH_OCTETS, int.from_bytes(self._received[:_LENGTH_OCTETS])
        if received > announced:
            raise CheckFailed(Reason.PROTOCOL, f"the answer is followed by {counted(received - announced, 'octet')}")
        if 0 <= received == announced:
            self.is_answered, self.received_at = True, perf_counter()
            self._outcome.set_result(bytes(self._received[_LENGTH_OCTETS:]))
        elif event.end_stream:
            raise CheckFailed(Reason.PROTOCOL, self._why_it_is_short(announced))

    def datagrams_received(self) -> None:
        """Reject endless datagrams that carry next to nothing.

        Raises:
            CheckFailed: With reason `protocol`.
        """
        count = self._channel.datagrams - self._datagrams_before
        if not self._outcome.done() and count > _FREE_DATAGRAMS + len(self._received) // _OCTETS_PER_DATAGRAM:
            raise CheckFailed(Reason.PROTOCOL, f"{count} datagrams came without an answer")

    def connection_lost(self, failure: CheckFailed) -> None:
        """Fail: there will be no answer."""
        if not self._outcome.done():
            self._outcome.set_result(failure)

    def _why_it_is_short(self, announced: int) -> str:
        if not self._received:
            return "the server ended the stream without an answer"
        received = max(len(self._received) - _LENGTH_OCTETS, 0)
        return f"the server announced an answer of {counted(announced, 'octet')} and ended the stream after {received}"
