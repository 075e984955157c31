"""An answer as it is taken in, whatever its version: the head, then the body within its limits, then the end."""

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
        declared_bytes: What the head declares as the length of the body; -1 when it does not say.
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
        """Whether the head is all there is of the answer (RFC 9110 section 6.4.1)."""
        return self._request.method == "HEAD" or self._exchange.status in _WITHOUT_BODY

    @property
    def stops_here(self) -> bool:
        """Whether the body is left unread, because the answer only says where to ask next."""
        exchange = self._exchange
        return (
            self._request.options.stop_at_redirect and exchange.redirects and bool(exchange.header_values("location"))
        )

    def skip_informational(self) -> None:
        """Pass over an informational response.

        Raises:
            CheckFailed: With reason `protocol` when there are too many.
        """
        self._informational += 1
        if self._informational > _MAX_INFORMATIONAL:
            raise CheckFailed(Reason.PROTOCOL, f"more than {_MAX_INFORMATIONAL} informational responses came")

    def take_binary_head(self, fields: Sequence[tuple[bytes, bytes]], version: str) -> None:
        """Take a head of HTTP/2 or HTTP/3.

        Args:
            fields: Its fields with `:status` among them.
            version: The version of HTTP.

        Raises:
            CheckFailed: `protocol` when the status is none, else as `take_head` does.
        """
        self._exchange.first_byte_at = perf_counter()
        status = dict(fields)[b":status"]
        if len(status) != 3 or not status.isdigit() or status < b"100":
            raise CheckFailed(Reason.PROTOCOL, f"the response has the status {status[:20]!r}, which does not exist")
        regular = [(bytes(name), bytes(value)) for name, value in fields if name[:1] != b":"]
        self.take_head(int(status), version, regular)

    def take_head(self, status: int, version: str, fields: list[tuple[bytes, bytes]]) -> bool:
        """Take the head.

        Args:
            status: The status.
            version: The version of HTTP.
            fields: Its fields, names in lower case.

        Returns:
            Whether a body follows that is to be read.

        Raises:
            CheckFailed: With reason `too_large` when the body is announced as too large.
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
        """Refuse a chunk that cannot be taken, before any of it has come.

        Raises:
            CheckFailed: With reason `too_large`.
        """
        if size_bytes > self._limit_bytes:
            raise self._too_large(f"has a chunk of {size_bytes} bytes, which is")
        if self._exchange.wire_body_bytes + size_bytes > self._limit_bytes:
            raise self._too_large("is")

    def take_body(self, data: bytes) -> None:
        """Take a piece of the body.

        Raises:
            CheckFailed: `too_large` when the body is, as it came or decoded, `decode` when it cannot be decoded.
        """
        self._exchange.wire_body_bytes += len(data)
        if self._exchange.wire_body_bytes > self._limit_bytes:
            raise self._too_large("is")
        self._parts.append(data if self._decoder is None else self._decoder.feed(data))

    def finish(self) -> None:
        """Take the end.

        Raises:
            CheckFailed: With reason `decode` when a coded body ends too early.
        """
        if self._decoder is not None and self._exchange.wire_body_bytes:
            self._decoder.finish()
        self._exchange.ended_at = perf_counter()

    def settle(self) -> None:
        """Return the exchange what of the body has come; whatever happened, this is the last thing."""
        self._exchange.body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    def _too_large(self, what: str) -> CheckFailed:
        return CheckFailed(Reason.TOO_LARGE, f"the body {what} larger than {self._limit_bytes} bytes")
