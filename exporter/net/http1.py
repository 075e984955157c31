"""HTTP/1.1 on one connection: send one request, take in one answer. Source: RFC 9112.

httptools (llhttp, in its strict mode) reads the syntax. What it lets pass is refused here: other versions, statuses
below 100, transfer codings besides `chunked`, and everything that goes on for longer than a response has reason to.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, ClassVar

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.decode import body_decoder
from exporter.net.failures import connection_failure

if TYPE_CHECKING:
    from exporter.net.decode import Decoder
    from exporter.net.http_message import Exchange, WireRequest

_HEAD_LIMIT_BYTES = 1 << 16
_MAX_INFORMATIONAL = 10
_START, _SHOWN_BYTES = b"HTTP/1.", 40
_FREE_FRAMING_BYTES, _FRAMING_BYTES_PER_BODY_BYTE = 1 << 16, 16  # a body in chunks of one byte has 5 for each
_WITHOUT_BODY = frozenset((204, 304))


class Http1Protocol(asyncio.Protocol):
    """One exchange over one connection; lives as long as the exchange.

    No StreamReader and no tasks: bytes go from the event loop into the parser, and one future is resolved at the end.

    Attributes:
        session: What of the connection outlives the exchange; nothing does.
    """

    session: ClassVar[None] = None

    def __init__(self, request: WireRequest, exchange: Exchange) -> None:
        self._request = request
        self._exchange = exchange
        self._limit_bytes = request.options.body_limit_bytes
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._done = asyncio.get_running_loop().create_future()
        self._failure: Exception | None = None
        self._start = b""
        self._in_head = True
        self._complete = False
        self._surplus = False
        self._persistent = False
        self._until_eof = False
        self._informational = 0
        self._fed_bytes = 0
        self._framing_base_bytes = 0
        self._decoder: Decoder | None = None
        self._parts: list[bytes] = []

    @property
    def answer_began(self) -> bool:
        """Whether anything of an answer has come."""
        return self._fed_bytes > 0

    async def exchange(self, transport: asyncio.Transport) -> None:
        """Send the request and wait for the end of its answer.

        The connection is closed afterwards, unless the request wants it kept and it can carry another exchange: both
        sides said so, and all of the answer and nothing else has come (RFC 9112 section 9.3).

        Raises:
            CheckFailed: `protocol` when the answer is no HTTP/1.1 or ends too early, `connection_reset` when the
                connection broke, `too_large` when head or body exceed their limits, `decode` when the body's coding
                cannot be undone. The exchange has what came before.
        """
        try:
            transport.write(self._request.wire)
            await self._done
        except BaseException:
            self._settle()
            transport.abort()
            raise
        if self._failure is not None:
            transport.abort()
            raise self._failure.anew() if isinstance(self._failure, CheckFailed) else self._failure
        if self._persistent and not (self._surplus or transport.is_closing() or transport.get_write_buffer_size()):
            return
        # Who answers before having read the whole request may never read it, and closing would wait for that.
        if transport.get_write_buffer_size():
            transport.abort()
        else:
            transport.close()

    # What the event loop calls

    def data_received(self, data: bytes) -> None:
        """Take in what came."""
        if self._parser is None:
            self._surplus = True
            return
        if not self._fed_bytes:
            self._exchange.first_byte_at = perf_counter()
        self._fed_bytes += len(data)
        try:
            if self._in_head:
                self._feed_head(data)
            else:
                self._parser.feed_data(data)
                self._check_framing()
        except CheckFailed as failure:
            self._settle(failure)
        except (HttpParserError, HttpParserUpgrade) as error:
            # What follows a complete answer is nobody's: the connection ends with it.
            self._surplus = True
            if not self._complete:
                self._settle(_malformed(error))
        if self._complete:
            self._finish()

    def eof_received(self) -> None:
        """Take the end of the connection for the end of the answer where it can be that."""
        self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell how the connection ended, unless the answer was complete."""
        if self._parser is None:
            return
        if exc is not None:
            self._settle(connection_failure(exc, "waiting for the response" if self._in_head else "reading the body"))
        elif not self._fed_bytes:
            self._settle(CheckFailed(Reason.PROTOCOL, "the server closed the connection without a response"))
        elif self._in_head:
            self._settle(CheckFailed(Reason.PROTOCOL, "the server closed the connection within the response's head"))
        elif not self._until_eof:
            self._settle(CheckFailed(Reason.PROTOCOL, self._missing()))
        else:
            self._complete = True
            self._finish()

    # What the parser calls

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header field; those after the body (trailers) are not looked at."""
        if self._in_head:
            self._exchange.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Decide what follows the head."""
        if self._complete or not self._in_head or self._parser is None:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self._skip_informational()
            return
        self._in_head = False
        exchange = self._exchange
        exchange.status = status
        exchange.http_version = _checked_version(self._parser.get_http_version(), status)
        if status == 101 and not self._request.upgrades:
            raise CheckFailed(Reason.PROTOCOL, "the server switched protocols without having been asked to")
        chunked = _is_chunked(exchange)
        self._persistent = self._request.options.keep_alive and status != 101 and self._parser.should_keep_alive()
        if status == 101 or status in _WITHOUT_BODY or self._request.method == "HEAD" or self._stops_here():
            self._complete = True
            # An answer whose body is left unread has one; others may still be followed by bytes without a meaning.
            self._persistent = self._persistent and not self._stops_here()
            return
        declared_bytes = exchange.content_length
        if declared_bytes > self._limit_bytes:
            raise self._too_large(f"announced with {declared_bytes} bytes, which is")
        self._until_eof = not chunked and declared_bytes < 0
        self._decoder = body_decoder(exchange, self._limit_bytes)

    def on_body(self, data: bytes) -> None:
        """Take in a piece of the body, without its framing."""
        if self._complete:
            self._surplus = True
            return
        self._exchange.wire_body_bytes += len(data)
        if self._exchange.wire_body_bytes > self._limit_bytes:
            raise self._too_large("is")
        self._parts.append(data if self._decoder is None else self._decoder.feed(data))

    def on_message_complete(self) -> None:
        """Note the end of the answer; an informational response is not the answer."""
        if not self._in_head:
            self._complete = True

    # Inside

    def _feed_head(self, data: bytes) -> None:
        parser = self._parser
        assert parser is not None  # noqa: S101 - data_received has looked
        if len(self._start) < len(_START):
            self._start += data[:_SHOWN_BYTES]
            if not _START.startswith(self._start[: len(_START)]):
                shown = self._start[:_SHOWN_BYTES]
                raise CheckFailed(Reason.PROTOCOL, f"the response does not begin with HTTP/1.1 but with {shown!r}")
        over = self._fed_bytes - _HEAD_LIMIT_BYTES
        if over <= 0:
            parser.feed_data(data)
        else:
            parser.feed_data(data[: len(data) - over])
            if self._in_head:
                raise CheckFailed(Reason.PROTOCOL, f"the response's head is larger than {_HEAD_LIMIT_BYTES} bytes")
            parser.feed_data(data[len(data) - over :])
        self._framing_base_bytes = self._fed_bytes - self._exchange.wire_body_bytes

    def _check_framing(self) -> None:
        """Refuse endless chunk extensions and trailers, which no limit on the body would ever meet."""
        if self._complete:
            return
        body_bytes = self._exchange.wire_body_bytes
        framing_bytes = self._fed_bytes - body_bytes - self._framing_base_bytes
        if framing_bytes > _FREE_FRAMING_BYTES + _FRAMING_BYTES_PER_BODY_BYTE * body_bytes:
            raise CheckFailed(Reason.PROTOCOL, f"{framing_bytes} bytes of framing carry a body of {body_bytes} bytes")

    def _skip_informational(self) -> None:
        self._informational += 1
        if self._informational > _MAX_INFORMATIONAL:
            raise CheckFailed(Reason.PROTOCOL, f"more than {_MAX_INFORMATIONAL} informational responses came")
        self._exchange.headers.clear()

    def _stops_here(self) -> bool:
        exchange = self._exchange
        return (
            self._request.options.stop_at_redirect and exchange.redirects and bool(exchange.header_values("location"))
        )

    def _finish(self) -> None:
        try:
            if self._decoder is not None:
                self._decoder.finish()
        except CheckFailed as failure:
            self._settle(failure)
        else:
            self._settle()

    def _missing(self) -> str:
        got_bytes, declared_bytes = self._exchange.wire_body_bytes, self._exchange.content_length
        of = "" if declared_bytes < 0 else f" of {declared_bytes}"
        return f"the server closed the connection after {got_bytes}{of} bytes of the body, before its end"

    def _too_large(self, what: str) -> CheckFailed:
        return CheckFailed(Reason.TOO_LARGE, f"the body {what} larger than {self._limit_bytes} bytes")

    def _settle(self, failure: Exception | None = None) -> None:
        """Close the books; what the parser and this object hold of each other is let go of."""
        if self._parser is None:
            return
        self._parser = None
        self._failure = failure
        self._exchange.body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        if self._complete:
            self._exchange.ended_at = perf_counter()
        if not self._done.done():
            self._done.set_result(None)


class KeptHttp1Protocol(Http1Protocol):
    """An exchange whose connection may carry another one, so that it matters what follows the answer."""

    def on_message_begin(self) -> None:
        """Note what follows a complete answer."""
        self._surplus = self._surplus or self._complete


def _malformed(error: Exception) -> Exception:
    """Give what a callback raised, which the parser wraps, or tell what the parser did not like."""
    inner = error.__context__
    if isinstance(inner, Exception) and not isinstance(inner, HttpParserError):
        return inner
    return CheckFailed(Reason.PROTOCOL, f"the response is malformed: {error}")


def _checked_version(version: str, status: int) -> str:
    """Refuse what llhttp knows besides HTTP/1.0 and 1.1, and statuses that are none (RFC 9110 section 15)."""
    if version not in ("1.0", "1.1"):
        raise CheckFailed(Reason.PROTOCOL, f"the response is HTTP/{version} within HTTP/1.1")
    if status < 100:
        raise CheckFailed(Reason.PROTOCOL, f"the response has the status {status:03d}, which does not exist")
    return version


def _is_chunked(exchange: Exchange) -> bool:
    """Tell whether the body is chunked; other transfer codings leave open where it ends (RFC 9112 section 6.1)."""
    codings = exchange.header_values("transfer-encoding")
    if not codings:
        return False
    if len(codings) > 1 or codings[0].strip().lower() != "chunked":
        raise CheckFailed(Reason.PROTOCOL, f"the transfer coding {', '.join(codings)[:40]!r} is not chunked")
    if exchange.http_version == "1.0":
        raise CheckFailed(Reason.PROTOCOL, "an HTTP/1.0 response is chunked, which only HTTP/1.1 knows")
    return True
