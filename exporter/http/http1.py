"""HTTP/1.1 on one connection: send one request, receive one answer. Source: RFC 9112.

Heads and chunks are parsed elsewhere. What those parsers accept is limited here: transfer codings other than `chunked`
are rejected, and so is everything that goes on longer than a response needs.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, ClassVar

from exporter.errors import CheckFailed
from exporter.http.http1_chunks import ChunkedBody
from exporter.http.http1_head import INFORMATIONAL, HeadReader
from exporter.http.response import ResponseReader
from exporter.model import Reason
from exporter.net.connect import close_without_waiting
from exporter.quantities import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.http.message import Exchange, WireRequest

    Take = Callable[[bytes], None]

_FREE_FRAMING_BYTES = 1 << 16


class Http1Protocol(asyncio.Protocol):
    """One exchange over one connection; lives as long as the exchange.

    No StreamReader and no tasks: bytes go from the event loop to the parsers, and one future is resolved at the end.

    Attributes:
        session: State that outlives the exchange; always None.
    """

    session: ClassVar[None] = None

    def __init__(self, request: WireRequest, exchange: Exchange) -> None:
        self._request = request
        self._exchange = exchange
        self._transport: asyncio.Transport | None = None
        self._response = ResponseReader(request, exchange)
        self._head = HeadReader()
        self._body: SizedBody | BodyUntilTheEnd | ChunkedBody | None = None
        self._in_head = True
        self._complete = False
        self._surplus = False
        self._persistent = False
        self._fed_bytes = 0
        self._framing_base_bytes = 0

    @property
    def answer_began(self) -> bool:
        """Whether any part of an answer has arrived."""
        return self._fed_bytes > 0

    async def exchange(self, transport: asyncio.Transport) -> None:
        """Send the request and wait for the end of its answer.

        The connection is closed afterwards, unless the request keeps it and it can carry another exchange: both sides
        allow it, and exactly the whole answer has arrived (RFC 9112 section 9.3).

        Raises:
            CheckFailed: `protocol` when the answer is not HTTP/1 or ends too early, `connection_reset` when the
                connection broke, `too_large` when head or body exceed their limits, `decode` when the body's coding
                cannot be decoded. The exchange keeps what arrived before.
        """
        self._transport = transport
        try:
            request = self._request
            is_proxied = request.connect.proxy is not None
            transport.write(request.wire_to(self._exchange.connection.address) if is_proxied else request.wire)
            await self._response.settled()
        except BaseException:
            self._settle()
            transport.abort()
            raise
        if self._persistent and not (self._surplus or transport.is_closing() or transport.get_write_buffer_size()):
            return
        close_without_waiting(transport)

    # What the event loop calls

    def data_received(self, data: bytes) -> None:
        """Parse received data."""
        if self._response.is_settled:
            self._surplus = True
            return
        if not self._fed_bytes:
            self._exchange.first_byte_at = perf_counter()
        self._fed_bytes += len(data)
        try:
            if self._in_head:
                data = self._take_heads(data)
            if data:
                self._take_body(data)
        except CheckFailed as failure:
            self._settle(failure)
        if self._complete:
            self._settle(self._response.end())

    def eof_received(self) -> None:
        """Treat the end of the connection as the end of the answer where that is possible."""
        self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report how the connection ended, unless the answer was complete."""
        if self._response.is_settled:
            return
        if exc is not None or not isinstance(self._body, BodyUntilTheEnd):
            self._settle(self._response.cut_short(exc))
        elif self._was_cut_off():
            self._settle(CheckFailed(Reason.PROTOCOL, self._cut_off()))
        else:
            self._settle(self._response.end())

    def _take_heads(self, data: bytes) -> bytes:
        """Parse heads, and return the data after the last one."""
        while self._head.feed(data):
            head = self._head
            data = head.rest
            if head.oddities:
                self._exchange.oddities += head.oddities
            if head.status not in INFORMATIONAL:
                self._framing_base_bytes = self._fed_bytes - len(data)
                self._begin_answer(head)
                return data
            self._response.skip_informational()
            self._head = HeadReader(head.size_bytes)
        return b""

    def _begin_answer(self, head: HeadReader) -> None:
        """Determine what follows the head."""
        self._in_head = False
        exchange, response = self._exchange, self._response
        has_body = response.take_head(head.status, head.version, head.fields)
        if head.status == 101 and not self._request.upgrades:
            raise CheckFailed(Reason.PROTOCOL, "the server switched protocols without having been asked to")
        chunked = _is_chunked(exchange)
        self._persistent = (
            self._request.options.keep_alive and head.status != 101 and head.keeps_open and not exchange.oddities
        )
        if not has_body:
            self._complete = True
            # An answer whose body is left unread has one; others may still be followed by meaningless bytes.
            self._persistent = self._persistent and not response.stops_here
        elif chunked:
            self._body = ChunkedBody(response.take_body, response.check_chunk)
        elif response.declared_bytes >= 0:
            self._body = SizedBody(response.take_body, response.declared_bytes)
            self._complete = not response.declared_bytes
        else:
            self._body = BodyUntilTheEnd(response.take_body)

    def _take_body(self, data: bytes) -> None:
        body = self._body
        if body is None:
            self._surplus = True
            return
        body.feed(data)
        self._complete, self._surplus = body.is_complete, body.has_surplus
        if not self._complete:
            framing_bytes = self._fed_bytes - self._exchange.wire_body_bytes - self._framing_base_bytes
            self._response.check_framing(framing_bytes, _FREE_FRAMING_BYTES)

    def _was_cut_off(self) -> bool:
        """Whether the socket closed without a TLS close, which anyone on the path can cause (section 9.8)."""
        return self._transport is not None and bool(self._transport.get_extra_info("cut_off"))

    def _cut_off(self) -> str:
        got = counted(self._exchange.wire_body_bytes, "byte")
        return f"the connection ended without close_notify after {got} of the body, which may not be all of it"

    def _settle(self, failure: CheckFailed | None = None) -> None:
        """Finish; drop the references between the parsers and this object."""
        if self._response.is_settled:
            return
        if self._in_head:
            self._head.close()
        self._transport = None
        if self._body is not None:
            self._exchange.oddities += self._body.oddities
            self._persistent = self._persistent and not self._body.oddities
            self._body = None
        self._response.settle(failure)


class SizedBody:
    """A body whose length is in the head (RFC 9112 section 6.3); lives as long as its answer.

    Attributes:
        is_complete: Whether all of it has arrived.
        has_surplus: Whether more has arrived, which belongs to no answer.
        oddities: Always empty.
    """

    __slots__ = ("_left_bytes", "_take", "has_surplus", "is_complete")

    oddities: tuple[str, ...] = ()

    def __init__(self, take: Take, size_bytes: int) -> None:
        self._take = take
        self._left_bytes = size_bytes
        self.is_complete = not size_bytes
        self.has_surplus = False

    def feed(self, data: bytes) -> None:
        """Process received data."""
        if len(data) > self._left_bytes:
            self.has_surplus = True
            data = data[: self._left_bytes]
        self._left_bytes -= len(data)
        self.is_complete = not self._left_bytes
        if data:
            self._take(data)


class BodyUntilTheEnd:
    """A body that ends with its connection; lives as long as its answer."""

    __slots__ = ("_take",)

    oddities: tuple[str, ...] = ()
    is_complete = has_surplus = False

    def __init__(self, take: Take) -> None:
        self._take = take

    def feed(self, data: bytes) -> None:
        """Process received data."""
        self._take(data)


def _is_chunked(exchange: Exchange) -> bool:
    """Whether the body is chunked; with other transfer codings its end is undefined (RFC 9112 section 6.1)."""
    codings = exchange.header_values("transfer-encoding")
    if not codings:
        return False
    if len(codings) > 1 or codings[0].lower() != "chunked":
        raise CheckFailed(Reason.PROTOCOL, f"the transfer coding {', '.join(codings)[:40]!r} is not chunked")
    if exchange.http_version == "1.0":
        exchange.oddities += ("chunked, in HTTP/1.0",)
    return True
