"""Parse chunked HTTP/1.1 bodies. Source: RFC 9112 section 7.

Chunks are parsed here because httptools does not report the announced size of one. Malformed framing is accepted as in
curl and Go when it is unambiguous, and recorded as odd.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from exporter.net.field_lines import FieldLines, Oddities, malformed, shown
from exporter.quantities import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.errors import CheckFailed

    Take = Callable[[bytes], None]

_MANY_PIECES = 64
_FREE_LINES, _BODY_BYTES_PER_LINE = 4096, 32  # for lines that take longer than those of plain chunks
_WHAT = "the response"
_LINE_LIMIT_BYTES = 1 << 16
_SIZE_LIMIT = 1 << 64
_PLAIN_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n")
_NEXT_SIZE_LINE = re.compile(rb"\r\n([0-9A-Fa-f]{1,16})\r\n")
_SIZES_OF_DIGITS = {b"%x" % size: size for size in range(1, 256)}
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]+)([ \t]*)(;[^\r]*)?")
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
_EXTENSIONS = re.compile(rb"(?:;%b+(?:=(?:%b*|%b))?)*" % (_TOKEN, _TOKEN, _QUOTED))
_ONLY_A_SIZE = re.compile(rb"[0-9A-Fa-f]*[ \t]*(?:;.*)?\r?", re.DOTALL)

_SIZE, _DATA, _END_OF_DATA, _TRAILER, _NOTHING = range(5)
"""The next part of a chunked body."""


class ChunkedBody:
    """A chunked body; lives as long as its answer.

    Attributes:
        has_surplus: Whether more has arrived than the body and its trailers.
    """

    __slots__ = (
        "_announce", "_body_bytes", "_last_piece", "_left_bytes", "_lines", "_next", "_oddities", "_take", "_trailers",
        "_unread", "has_surplus",
    )  # fmt: skip

    def __init__(self, take: Take, announce: Callable[[int], None]) -> None:
        """Prepare to parse.

        Args:
            take: Receives the body, piece by piece.
            announce: Called with the size of a chunk before all of it has arrived; may raise.
        """
        self._take = take
        self._announce = announce
        self._next = _SIZE
        self._left_bytes = 0
        self._body_bytes = self._lines = 0
        self._last_piece = b""
        self._unread = b""
        self._oddities: Oddities | None = None
        self._trailers: FieldLines | None = None
        self.has_surplus = False

    @property
    def is_complete(self) -> bool:
        """Whether the last chunk and the trailers have arrived."""
        return self._next == _NOTHING

    @property
    def oddities(self) -> tuple[str, ...]:
        """The oddities found."""
        return () if self._oddities is None else self._oddities.found()

    def feed(self, data: bytes) -> None:
        """Parse received data.

        Raises:
            CheckFailed: With reason `protocol` when the data is not chunked, or as `take` and `announce` do.
        """
        if self._unread:
            data, self._unread = self._unread + data, b""
        at, size = 0, len(data)
        while at < size:
            if self._next == _SIZE:
                plain = _PLAIN_SIZE_LINE.match(data, at)
                if plain is not None:
                    at = self._take_chunks(data, plain)
                    continue
            if self._next == _DATA:
                at = self._take_data(data, at)
            elif self._next == _END_OF_DATA and data.startswith(b"\r\n", at):
                at += 2
                self._next = _SIZE
            elif self._next == _NOTHING:
                self.has_surplus = True
                return
            else:
                end = data.find(b"\n", at)
                if end < 0:
                    self._wait(data[at:])
                    return
                self._take_line(data[at:end])
                at = end + 1

    def _take_chunks(self, data: bytes, plain: re.Match[bytes]) -> int:
        """Parse a run of well-formed chunks, all complete except the last.

        Most bodies arrive in large reads, and a server can send 40,000 chunks in one.

        Args:
            data: The received data.
            plain: The match of the first size in it.

        Returns:
            The offset of the last one's data.
        """
        match, pieces, sizes, have_bytes = _NEXT_SIZE_LINE.match, [], _SIZES_OF_DIGITS, len(data)
        while True:
            start, digits = plain.end(), plain[1]
            size_bytes = sizes.get(digits) or int(digits, 16)
            end = start + size_bytes
            following = match(data, end) if start < end < have_bytes else None
            if following is None:
                break
            pieces.append(data[start:end])
            plain = following
        if len(pieces) > _MANY_PIECES:
            pieces = [b"".join(pieces)]
        for piece in pieces:
            self._take(piece)
        self._begin_chunk(size_bytes)
        return start

    def _take_data(self, data: bytes, at: int) -> int:
        """Take the received part of a chunk, and return its end."""
        piece = data[at : at + self._left_bytes]
        self._left_bytes -= len(piece)
        if not self._left_bytes:
            self._next = _END_OF_DATA
            self._last_piece = piece
        self._take(piece)
        return at + len(piece)

    def _note(self, oddity: str) -> None:
        self._oddities = self._oddities or Oddities()
        self._oddities.add(oddity)

    def _begin_chunk(self, size_bytes: int) -> None:
        self._announce(size_bytes)
        self._body_bytes += size_bytes
        self._left_bytes = size_bytes
        self._next = _DATA if size_bytes else _TRAILER

    def _wait(self, unread: bytes) -> None:
        """Keep a partial line; reject at once one that cannot become valid."""
        if self._next == _END_OF_DATA and unread != b"\r":
            raise _data_goes_on()
        if len(unread) > _LINE_LIMIT_BYTES:
            raise malformed(_WHAT, f"a line of its framing is larger than {_LINE_LIMIT_BYTES} bytes")
        if self._next == _SIZE and not _ONLY_A_SIZE.fullmatch(unread):
            raise malformed(_WHAT, f"a chunk has the size '{shown(unread)}'")
        self._unread = unread

    def _take_line(self, line: bytes) -> None:
        self._lines += 1
        if self._lines > _FREE_LINES + self._body_bytes // _BODY_BYTES_PER_LINE:
            raise malformed(
                _WHAT, f"{self._lines} unusual lines of framing carry a body of {counted(self._body_bytes, 'byte')}"
            )
        is_bare = not line.endswith(b"\r")
        line = line.removesuffix(b"\r")
        if is_bare:
            self._note("bare LF")
        if self._next == _SIZE:
            self._begin_chunk(self._unusual_size(line))
        elif self._next == _END_OF_DATA:
            if line:
                raise _data_goes_on()
            if is_bare and self._last_piece.endswith(b"\r"):
                raise malformed(_WHAT, "a chunk is shorter than its size")  # or CR is part of it, ambiguous
            self._next = _SIZE
        elif line:
            self._take_trailer(line)
        else:
            self._next = _NOTHING

    def _unusual_size(self, line: bytes) -> int:
        found = _SIZE_LINE.fullmatch(line)
        if found is None:
            raise malformed(_WHAT, f"a chunk has the size '{shown(line)}'")
        digits, blanks, extensions = found.groups()
        size = int(digits, 16) if len(digits.lstrip(b"0")) <= 16 else _SIZE_LIMIT
        if size >= _SIZE_LIMIT:
            raise malformed(_WHAT, f"a chunk has the size '{shown(line)}'")
        if blanks:
            self._note("whitespace after a chunk size")
        if extensions and not _EXTENSIONS.fullmatch(extensions):
            self._note(f"chunk extension '{shown(extensions)}'")
        return size

    def _take_trailer(self, line: bytes) -> None:
        """Check that a trailer is valid; its content is ignored."""
        if self._trailers is None:
            self._oddities = self._oddities or Oddities()
            self._trailers = FieldLines(_WHAT, self._oddities)
        if line[:15].lower() == b"content-length:":
            self._note("Content-Length in the trailers")
        self._trailers.take(line)


def _data_goes_on() -> CheckFailed:
    return malformed(_WHAT, "a chunk is longer than its size")
