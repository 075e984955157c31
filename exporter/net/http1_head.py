"""The heads of one HTTP/1.1 answer: by the grammar where they follow it, else as others read them. Source: RFC 9112.

httptools (llhttp, in its strict mode) reads the syntax. What it refuses is read again, leniently; how it differs from
the grammar is then known.
"""

from __future__ import annotations

from typing import NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.field_lines import BLANKS, malformed
from exporter.net.http1_lenient import LenientHead, begins_like_http

_HEAD_LIMIT_BYTES = 1 << 16
_START, _SHOWN_BYTES = b"HTTP/1.", 40
_END = b"\r\n\r\n"
_VERSIONS = ("1.0", "1.1")
_CLOSING_BEFORE_THE_ANSWER = ("Connection: close in an informational response",)


class Head(NamedTuple):
    """One complete head.

    Attributes:
        status: The status, 100 or above.
        version: `1.0` or `1.1`.
        fields: Names in lower case and values without blanks at their ends, in order.
        keeps_open: Whether another exchange may follow on the connection; never after what was odd.
        oddities: How it differs from the grammar.
    """

    status: int
    version: str
    fields: list[tuple[bytes, bytes]]
    keeps_open: bool
    oddities: tuple[str, ...] = ()

    @property
    def is_informational(self) -> bool:
        """Whether another head follows; 101 is an answer (RFC 9110 section 15.2)."""
        return self.status < 200 and self.status != 101


class HeadReader:
    """Reads the heads of one answer; lives until the last of them is complete.

    Attributes:
        rest: What came after the head that is complete.
    """

    __slots__ = (
        "_before_bytes", "_fields", "_is_done", "_keeps_open", "_lenient", "_parser", "_seen", "_size_bytes", "rest",
    )  # fmt: skip

    def __init__(self) -> None:
        self.rest = b""
        self._before_bytes = 0
        self._begin()

    def _begin(self) -> None:
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._lenient: LenientHead | None = None
        self._fields: list[tuple[bytes, bytes]] = []
        self._is_done = self._keeps_open = False
        self._seen: bytes | bytearray = b""
        self._size_bytes = 0

    def feed(self, data: bytes) -> Head | None:
        """Take in what came.

        Returns:
            The head, when it is complete; `rest` is then what came after it.

        Raises:
            CheckFailed: With reason `protocol` when the head is not one of HTTP/1, or too large.
        """
        self._size_bytes += len(data)
        head = self._read(data) if self._lenient is None else self._read_leniently(self._lenient, data)
        if head is not None:
            self._size_bytes -= len(self.rest)
        if self._before_bytes + self._size_bytes > _HEAD_LIMIT_BYTES:
            raise CheckFailed(Reason.PROTOCOL, f"the response's head is larger than {_HEAD_LIMIT_BYTES} bytes")
        if head is not None and head.is_informational:
            self._before_bytes += self._size_bytes
            self._begin()
        return head

    def close(self) -> None:
        """Let go of what the parser and this object hold of each other."""
        self._parser = None

    # What the parser calls

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header field (RFC 9110 section 5.5: blanks around a value are no part of it)."""
        self._fields.append((name.lower(), value.strip(BLANKS)))

    def on_headers_complete(self) -> None:
        """Note the end of the head, and what the parser forgets when there is no body."""
        assert self._parser is not None  # noqa: S101 - it is calling
        self._is_done = True
        self._keeps_open = self._parser.should_keep_alive()

    # Inside

    def _read(self, data: bytes) -> Head | None:
        parser, before_bytes = self._parser, len(self._seen)
        assert parser is not None  # noqa: S101 - there is one until the last head is complete
        self._see(data)
        if before_bytes < len(_START):
            self._check_start()
        found = self._seen.find(_END, max(before_bytes - len(_END) + 1, 0))
        end = found + len(_END) - before_bytes
        try:
            parser.feed_data(data if found < 0 else data[:end])
        except (HttpParserError, HttpParserUpgrade):
            if not self._is_done:
                return self._read_again()
        if found < 0:
            return None
        if not self._is_done or parser.get_http_version() not in _VERSIONS or parser.get_status_code() < 100:
            return self._read_again()
        self.rest = data[end:]
        head = Head(parser.get_status_code(), parser.get_http_version(), self._fields, self._keeps_open)
        self._parser = None
        if head.is_informational and not self._keeps_open:
            return head._replace(oddities=_CLOSING_BEFORE_THE_ANSWER)
        return head

    def _see(self, data: bytes) -> None:
        """Remember what came, in case it has to be read again."""
        if not self._seen:
            self._seen = data
            return
        if isinstance(self._seen, bytes):
            self._seen = bytearray(self._seen)
        self._seen += data

    def _read_again(self) -> Head | None:
        self._parser, self._lenient = None, LenientHead()
        seen, self._seen = bytes(self._seen), b""
        return self._read_leniently(self._lenient, seen)

    def _read_leniently(self, lenient: LenientHead, data: bytes) -> Head | None:
        if not lenient.feed(data):
            return None
        self.rest = lenient.rest
        oddities = lenient.oddities.found()
        return Head(lenient.status, lenient.version, lenient.fields, keeps_open=False, oddities=oddities)

    def _check_start(self) -> None:
        start = bytes(self._seen[:_SHOWN_BYTES])
        if _START.startswith(start[: len(_START)]) or begins_like_http(start):
            return
        if self._before_bytes:
            raise malformed("the response", f"{start!r} follows an informational response")
        raise CheckFailed(Reason.PROTOCOL, f"the response does not begin with HTTP/1.1 but with {start!r}")
