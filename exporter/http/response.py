"""Receive an answer of any HTTP version: the head, the body within its limits, the end.

The protocols parse frames and framing; every rule about what an answer may contain, how large it may be and how it ends
is here, once for all versions.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING

from exporter.errors import CheckFailed
from exporter.http.content_coding import assumed_decoder, decoded_in_thread, decoder_for
from exporter.model import Reason
from exporter.net.errors import connection_failure
from exporter.quantities import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.http.content_coding import Decoder
    from exporter.http.message import Exchange, WireRequest

_MAX_INFORMATIONAL = 10
_FRAMING_BYTES_PER_BYTE = 16  # a body in chunks of one byte has 5 for each
_FREE_PIECES, _BYTES_PER_PIECE = 2048, 64  # a frame or datagram costs time however little it contains
_AT_ONCE_BYTES = 1 << 20
"""Maximum bytes decoded on arrival; with a higher limit, one packet could block the loop for seconds."""
_WITHOUT_BODY = frozenset((101, 204, 304))  # RFC 9110 section 6.4.1


class ResponseReader:
    """Fills one exchange; lives as long as its answer, on one event loop.

    Attributes:
        declared_bytes: The body length that the head declares; -1 when it declares none.
        is_settled: Whether the answer is complete or has failed; what arrives later is not part of it.
        stops_here: Whether the body is left unread because the answer is a redirect.
    """

    def __init__(self, request: WireRequest, exchange: Exchange) -> None:
        self.declared_bytes = -1
        self.is_settled = False
        self.stops_here = False
        self._request = request
        self._exchange = exchange
        self._limit_bytes = request.options.body_limit_bytes
        self._informational = 0
        self._decoder: Decoder | None = None
        self._parts: list[bytes] = []
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._failure: CheckFailed | None = None

    async def settled(self) -> None:
        """Wait for the end of the answer.

        Raises:
            CheckFailed: When the answer failed.
        """
        await self._done
        if self._failure is not None:
            raise self._failure.fresh_copy()

    def skip_informational(self) -> None:
        """Skip an informational response.

        Raises:
            CheckFailed: With reason `protocol` when there are too many.
        """
        self._informational += 1
        if self._informational > _MAX_INFORMATIONAL:
            raise CheckFailed(Reason.PROTOCOL, f"more than {_MAX_INFORMATIONAL} informational responses came")

    def take_binary_head(self, fields: Sequence[tuple[bytes, bytes]], version: str) -> bool:
        """Process a head of HTTP/2 or HTTP/3.

        Args:
            fields: Its fields, including `:status`.
            version: The version of HTTP.

        Returns:
            Whether a body follows that should be read.

        Raises:
            CheckFailed: `protocol` when the status is invalid, else as `take_head` does.
        """
        self._exchange.first_byte_at = perf_counter()
        status = dict(fields)[b":status"]
        if len(status) != 3 or not status.isdigit() or status < b"100":
            raise CheckFailed(Reason.PROTOCOL, f"the response has the status {status[:20]!r}, which does not exist")
        regular = [(bytes(name), bytes(value)) for name, value in fields if name[:1] != b":"]
        return self.take_head(int(status), version, regular)

    def take_head(self, status: int, version: str, fields: list[tuple[bytes, bytes]]) -> bool:
        """Process the head.

        Args:
            status: The status.
            version: The version of HTTP.
            fields: Its fields, names in lower case.

        Returns:
            Whether a body follows that should be read.

        Raises:
            CheckFailed: With reason `too_large` when the declared body length is too large.
        """
        exchange, request = self._exchange, self._request
        exchange.status, exchange.http_version, exchange.headers = status, version, fields
        if request.options.stop_at_redirect and exchange.redirects:
            self.stops_here = bool(exchange.header_values("location"))
        if self.stops_here or request.method == "HEAD" or status in _WITHOUT_BODY:
            return False
        self.declared_bytes = exchange.content_length
        if self.declared_bytes > self._limit_bytes:
            raise self._too_large(f"announced with {counted(self.declared_bytes, 'byte')}, which is")
        self._decoder = body_decoder(exchange, self._limit_bytes, request.options.coding)
        return True

    def check_chunk(self, size_bytes: int) -> None:
        """Reject a chunk that exceeds the limit, before any of it arrives.

        Raises:
            CheckFailed: With reason `too_large`.
        """
        if size_bytes > self._limit_bytes:
            raise self._too_large(f"has a chunk of {counted(size_bytes, 'byte')}, which is")
        if self._exchange.wire_body_bytes + size_bytes > self._limit_bytes:
            raise self._too_large("is")

    def take_body(self, data: bytes) -> None:
        """Process a piece of the body.

        Raises:
            CheckFailed: `too_large` when the body is too large, on the wire or decoded, `decode` when it cannot be
                decoded.
        """
        self._exchange.wire_body_bytes += len(data)
        if self._exchange.wire_body_bytes > self._limit_bytes:
            raise self._too_large("is")
        self._parts.append(data if self._decoder is None else self._decoder.feed(data))

    def check_framing(self, framing_bytes: int, free_bytes: int) -> None:
        """Reject endless framing, such as chunk extensions or empty frames, which never reaches a limit on the body.

        Raises:
            CheckFailed: With reason `protocol`.
        """
        if framing_bytes > free_bytes + _FRAMING_BYTES_PER_BYTE * self._carried_bytes:
            raise self._out_of_proportion(f"{counted(framing_bytes, 'byte')} of framing")

    def check_pieces(self, number: int, what: str) -> None:
        """Reject an answer in endless frames or datagrams that carry next to nothing.

        Raises:
            CheckFailed: With reason `protocol`.
        """
        if number > _FREE_PIECES + self._carried_bytes // _BYTES_PER_PIECE:
            raise self._out_of_proportion(f"{number} {what}")

    def end(self) -> CheckFailed | None:
        """Process the end of the answer; return the failure of an encoded body that ends too early."""
        self._exchange.ended_at = perf_counter()
        is_expected = bool(self._exchange.wire_body_bytes) or self._request.options.coding is not None
        if self._decoder is not None and is_expected:
            try:
                self._decoder.finish()
            except CheckFailed as failure:
                return failure
        return None

    def cut_short(self, error: Exception | None) -> CheckFailed:
        """Return the failure of an answer whose connection ended before it was complete.

        Args:
            error: Why the connection ended; None when the server closed it.
        """
        exchange = self._exchange
        if error is not None:
            return connection_failure(error, "reading the body" if exchange.status else "waiting for the response")
        if exchange.status:
            got = counted(exchange.wire_body_bytes, "byte")
            if self.declared_bytes >= 0:
                got = f"{exchange.wire_body_bytes} of {counted(self.declared_bytes, 'byte')}"
            detail = f"the server closed the connection after {got} of the body, before its end"
        elif exchange.first_byte_at:
            detail = "the server closed the connection within the response's head"
        else:
            detail = "the server closed the connection without a response"
        return CheckFailed(Reason.PROTOCOL, detail)

    def settle(self, failure: CheckFailed | None = None) -> None:
        """Store the received part of the body in the exchange, and wake the waiting check; the last step."""
        self.is_settled = True
        self._failure = failure
        self._exchange.body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        if not self._done.done():
            self._done.set_result(None)

    @property
    def _carried_bytes(self) -> int:
        """Bytes of the bodies of request and answer, to which the framing must be in proportion."""
        return self._exchange.wire_body_bytes + len(self._request.content)

    def _out_of_proportion(self, what: str) -> CheckFailed:
        return CheckFailed(Reason.PROTOCOL, f"{what} carry a body of {counted(self._exchange.wire_body_bytes, 'byte')}")

    def _too_large(self, what: str) -> CheckFailed:
        return CheckFailed(Reason.TOO_LARGE, f"the body {what} larger than {counted(self._limit_bytes, 'byte')}")


def body_decoder(exchange: Exchange, limit_bytes: int, coding: str | None = None) -> Decoder | None:
    """Return the decoder for the body of an exchange as it arrives; None when it is kept undecoded.

    Args:
        exchange: The exchange, whose head has arrived. An unknown coding is recorded in it.
        limit_bytes: Most bytes that may come out.
        coding: The coding to decode whatever the head says, `identity` for none; None obeys the head.
    """
    codings = exchange.header_values("content-encoding")
    if not codings and coding is None:
        return None
    try:
        decoder = decoder_for(codings, limit_bytes) if coding is None else assumed_decoder(coding, limit_bytes)
    except CheckFailed as failure:
        exchange.body_fault = failure.detail
        return None
    if decoder is None or limit_bytes <= _AT_ONCE_BYTES:
        return decoder
    exchange.undecoded = decoder
    return None


async def decode_later(exchange: Exchange) -> None:
    """Decode a body that was kept undecoded.

    Raises:
        CheckFailed: As `Decoder.feed` and `Decoder.finish` do.
    """
    decoder, exchange.undecoded = exchange.undecoded, None
    if decoder is not None:
        exchange.body = await decoded_in_thread(decoder, exchange.body)
