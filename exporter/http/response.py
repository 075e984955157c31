"""Receive an answer of any HTTP version: the head, the body within its limits, the end."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from exporter.errors import CheckFailed
from exporter.http.content_coding import body_decoder
from exporter.model import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.http.content_coding import Decoder
    from exporter.http.message import Exchange, WireRequest

_MAX_INFORMATIONAL = 10
_WITHOUT_BODY = frozenset((101, 204, 304))


class Intake:
    """Fills one exchange; lives as long as its answer.

    Attributes:
        declared_bytes: The body length that the head declares; -1 when it declares none.
    """

    def __init__(self, request: WireRequest, exchange: Exchange) -> None:
        self._request = request
        self._exchange = exchange
        self._limit_bytes = request.options.body_limit_bytes
        self.declared_bytes = -1
        self._informational = 0
        self._decoder: Decoder | None = None
        self._parts: list[bytes] = []

    @property
    def wants_no_body(self) -> bool:
        """Whether the answer consists of the head alone (RFC 9110 section 6.4.1)."""
        return self._request.method == "HEAD" or self._exchange.status in _WITHOUT_BODY

    @property
    def stops_here(self) -> bool:
        """Whether the body is left unread because the answer is a redirect."""
        exchange = self._exchange
        return (
            self._request.options.stop_at_redirect and exchange.redirects and bool(exchange.header_values("location"))
        )

    def skip_informational(self) -> None:
        """Skip an informational response.

        Raises:
            CheckFailed: With reason `protocol` when there are too many.
        """
        self._informational += 1
        if self._informational > _MAX_INFORMATIONAL:
            raise CheckFailed(Reason.PROTOCOL, f"more than {_MAX_INFORMATIONAL} informational responses came")

    def take_binary_head(self, fields: Sequence[tuple[bytes, bytes]], version: str) -> None:
        """Process a head of HTTP/2 or HTTP/3.

        Args:
            fields: Its fields, including `:status`.
            version: The version of HTTP.

        Raises:
            CheckFailed: `protocol` when the status is invalid, else as `take_head` does.
        """
        self._exchange.first_byte_at = perf_counter()
        status = dict(fields)[b":status"]
        if len(status) != 3 or not status.isdigit() or status < b"100":
            raise CheckFailed(Reason.PROTOCOL, f"the response has the status {status[:20]!r}, which does not exist")
        regular = [(bytes(name), bytes(value)) for name, value in fields if name[:1] != b":"]
        self.take_head(int(status), version, regular)

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
        exchange = self._exchange
        exchange.status, exchange.http_version, exchange.headers = status, version, fields
        if self.wants_no_body or self.stops_here:
            return False
        self.declared_bytes = exchange.content_length
        if self.declared_bytes > self._limit_bytes:
            raise self._too_large(f"announced with {self.declared_bytes} bytes, which is")
        self._decoder = body_decoder(exchange, self._limit_bytes)
        return True

    def check_chunk(self, size_bytes: int) -> None:
        """Reject a chunk that exceeds the limit, before any of it arrives.

        Raises:
            CheckFailed: With reason `too_large`.
        """
        if size_bytes > self._limit_bytes:
            raise self._too_large(f"has a chunk of {size_bytes} bytes, which is")
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

    def finish(self) -> None:
        """Process the end.

        Raises:
            CheckFailed: With reason `decode` when an encoded body ends too early.
        """
        if self._decoder is not None and self._exchange.wire_body_bytes:
            self._decoder.finish()
        self._exchange.ended_at = perf_counter()

    def settle(self) -> None:
        """Store the received part of the body in the exchange; the last step, whatever happened."""
        self._exchange.body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    def _too_large(self, what: str) -> CheckFailed:
        return CheckFailed(Reason.TOO_LARGE, f"the body {what} larger than {self._limit_bytes} bytes")
