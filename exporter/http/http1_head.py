"""Parse a head of an HTTP/1.1 answer, strictly or else leniently. Source: RFC 9112.

httptools (llhttp, in strict mode) does the parsing. What it rejects is parsed again leniently, which shows how it
differs from the grammar.
"""

from __future__ import annotations

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.field_lines import malformed
from exporter.net.lenient_head import LenientHead, begins_like_http

_HEAD_LIMIT_BYTES = 1 << 16
_START, _SHOWN_BYTES = b"HTTP/1.", 40
_END = b"\r\n\r\n"
_VERSIONS = ("1.0", "1.1")

INFORMATIONAL = frozenset(range(100, 200)) - {101}
"""The statuses of heads that another one follows; 101 is an answer (RFC 9110 section 15.2)."""


class HeadReader:
    """Parses one head; lives until it is complete.

    Attributes:
        status: The status, 100 or above; like all the following, once the head is complete.
        version: `1.0` or `1.1`.
        fields: Names in lower case and values without surrounding blanks, in order.
        keeps_open: Whether another exchange may follow on the connection; never after an oddity.
        oddities: How it differs from the grammar.
        rest: The data after it.
        size_bytes: Its bytes, with those of the informational heads before it.
    """

    __slots__ = (
        "_before_bytes", "_is_done", "_lenient", "_parser", "_seen", "fields", "keeps_open", "oddities", "rest",
        "size_bytes", "status", "version",
    )  # fmt: skip

    def __init__(self, before_bytes: int = 0) -> None:
        """Expect a head.

        Args:
            before_bytes: Bytes of the informational heads before it.
        """
        self._before_bytes = self.size_bytes = before_bytes
        self.status = 0
        self.version = ""
        self.fields: list[tuple[bytes, bytes]] = []
        self.keeps_open = self._is_done = False
        self.oddities: tuple[str, ...] = ()
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._lenient: LenientHead | None = None
        self._seen: bytes | bytearray = b""

    def feed(self, data: bytes) -> bool:
        """Parse received data.

        Returns:
            Whether the head is complete; `rest` is then the data after it.

        Raises:
            CheckFailed: With reason `protocol` when it is not one of HTTP/1, or too large.
        """
        self.size_bytes += len(data)
        complete = self._read(data) if self._lenient is None else self._read_leniently(self._lenient, data)
        if complete:
            self.size_bytes -= len(self.rest)
        if self.size_bytes > _HEAD_LIMIT_BYTES:
            raise CheckFailed(Reason.PROTOCOL, f"the response's head is larger than {_HEAD_LIMIT_BYTES} bytes")
        return complete

    def close(self) -> None:
        """Drop the references between the parser and this object."""
        self._parser = None

    # What the parser calls

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header field (RFC 9110 section 5.5: surrounding whitespace is not part of a value)."""
        self.fields.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        """Record that the head is complete, and whether the connection stays open: the parser may forget that."""
        assert self._parser is not None  # noqa: S101 - it is calling
        self._is_done = True
        self.keeps_open = self._parser.should_keep_alive()

    def _read(self, data: bytes) -> bool:
        parser, before_bytes = self._parser, len(self._seen)
        assert parser is not None  # noqa: S101 - there is one until the head is complete
        if not before_bytes:
            self._seen = data
        else:
            self._seen = bytearray(self._seen) if isinstance(self._seen, bytes) else self._seen
            self._seen += data
        if before_bytes < len(_START) and not self._seen.startswith(_START):
            self._check_start()
        found = self._seen.find(_END, max(before_bytes - len(_END) + 1, 0))
        end = found + len(_END) - before_bytes
        try:
            parser.feed_data(data if found < 0 else data[:end])
        except (HttpParserError, HttpParserUpgrade):
            if not self._is_done:
                return self._read_again()
        if found < 0:
            return False
        self.status, self.version = parser.get_status_code(), parser.get_http_version()
        if not self._is_done or self.version not in _VERSIONS or self.status < 100:
            return self._read_again()
        self.rest = data[end:]
        self._parser, self._seen = None, b""
        if not self.keeps_open and self.status in INFORMATIONAL:
            self.oddities = ("Connection: close in an informational response",)
        return True

    def _read_again(self) -> bool:
        self._parser, self._lenient = None, LenientHead()
        seen, self._seen = bytes(self._seen), b""
        return self._read_leniently(self._lenient, seen)

    def _read_leniently(self, lenient: LenientHead, data: bytes) -> bool:
        self.status = 0
        if not lenient.feed(data):
            return False
        lenient.settle_framing()
        self.status, self.version, self.fields = lenient.status, lenient.version, lenient.fields
        self.keeps_open, self.oddities, self.rest = False, lenient.oddities.found(), lenient.rest
        return True

    def _check_start(self) -> None:
        start = bytes(self._seen[:_SHOWN_BYTES])
        if _START.startswith(start[: len(_START)]) or begins_like_http(start):
            return
        if self._before_bytes:
            raise malformed("the response", f"{start!r} follows an informational response")
        hint = "; this is TLS, so write https" if start.startswith(b"\x15\x03") else ""
        raise CheckFailed(Reason.PROTOCOL, f"the response does not begin with HTTP/1.1 but with {start!r}{hint}")
