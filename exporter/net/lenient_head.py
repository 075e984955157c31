"""Parse the malformed head of an HTTP/1.1 answer as curl and Go do. Source: RFC 9112.

What they accept is accepted and recorded as odd. What they reject, and what is ambiguous, is rejected.
"""

from __future__ import annotations

import re

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.field_lines import BLANKS, FieldLines, Oddities, malformed, shown

_STATUS_LINE = re.compile(rb"(HTTP)/([0-9])(?:\.([0-9]))?( +)([0-9]{3})(?:([ \t]).*)?", re.IGNORECASE | re.DOTALL)
_START = re.compile(rb"HTTP/[12][. ]", re.IGNORECASE)
_START_BYTES = 7
_LENGTH = re.compile(rb"[0-9]+")
_LENGTH_LIMIT = 1 << 64


class LenientHead:
    """One head; lives until its empty line.

    Attributes:
        status: The status.
        version: `1.0` or `1.1`; a newer version is read as 1.1 (RFC 9110 section 2.5).
        rest: The data after the empty line.
        oddities: The oddities found.
    """

    def __init__(self, what: str = "the response") -> None:
        self.status = 0
        self.version = ""
        self.rest = b""
        self.oddities = Oddities()
        self._what = what
        self._lines = FieldLines(what, self.oddities)
        self._unread = bytearray()

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """Names in lower case and values, in order."""
        return self._lines.fields

    def feed(self, data: bytes) -> bool:
        """Parse received data.

        Returns:
            Whether the head is complete.

        Raises:
            CheckFailed: With reason `protocol` for a line that cannot be parsed, as soon as it is complete.
        """
        unread, start = self._unread, 0
        searched_bytes = len(unread)
        unread += data
        while (end := unread.find(b"\n", max(start, searched_bytes))) >= 0:
            line, start = bytes(unread[start:end]), end + 1
            if line.endswith(b"\r"):
                line = line[:-1]
            else:
                self.oddities.add("bare LF")
            if not self.status:
                self._take_status_line(line)
            elif line:
                self._lines.take(line)
            else:
                self.rest = bytes(unread[start:])
                return True
        del unread[:start]
        return False

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of a field, named in lower case, in order."""
        return [value for known, value in self.fields if known == name]

    def settle_framing(self) -> None:
        """Make the end of the body unambiguous: at most one Content-Length, and none with `chunked`.

        Sources: RFC 9112 section 6.3 and RFC 9110 section 8.6.

        Raises:
            CheckFailed: With reason `protocol` when the lengths differ or are invalid.
        """
        values = self.values(b"content-length")
        if not values:
            return
        others = [field for field in self.fields if field[0] != b"content-length"]
        if [value.lower() for value in self.values(b"transfer-encoding")] == [b"chunked"]:
            self.oddities.add("Content-Length beside Transfer-Encoding")
            self._lines.fields = others
            return
        lengths = [length.strip(BLANKS) for value in values for length in value.split(b",")]
        for length in lengths:
            if not _LENGTH.fullmatch(length) or len(length) > 20 or int(length) >= _LENGTH_LIMIT:
                raise malformed(self._what, f"its Content-Length is '{shown(length)}'")
        if len(set(lengths)) > 1:
            raise malformed(self._what, f"its Content-Lengths differ: {shown(b', '.join(lengths))}")
        if len(lengths) > 1:
            self.oddities.add("Content-Length more than once")
            self._lines.fields = [*others, (b"content-length", lengths[0])]

    def _take_status_line(self, line: bytes) -> None:
        found = _STATUS_LINE.fullmatch(line)
        if found is None:
            raise malformed(self._what, f"it begins with {line[:40]!r}")
        name, major, minor, blanks, status, after = found.groups()
        version = f"HTTP/{major.decode()}" + (f".{minor.decode()}" if minor else "")
        if major not in b"12" or (major == b"1" and not minor) or (major == b"2" and minor not in (None, b"0")):
            raise malformed(self._what, f"it has the version {version}")
        if status < b"100":
            raise CheckFailed(Reason.PROTOCOL, f"{self._what} has the status {status.decode()}, which does not exist")
        if name != b"HTTP":
            self.oddities.add(f"{shown(name)} instead of HTTP in the status line")
        if major == b"2" or minor > b"1":
            self.oddities.add(f"{version} in the status line")
        if len(blanks) > 1 or after == b"\t":
            self.oddities.add("extra whitespace in the status line")
        if b"\r" in line:
            self.oddities.add("bare CR")
        self.status, self.version = int(status), "1.0" if (major, minor) == (b"1", b"0") else "1.1"


def begins_like_http(start: bytes) -> bool:
    """Whether the data so far can be the beginning of a status line, in any case."""
    whole = (start + b"HTTP/1."[len(start) :])[:_START_BYTES]
    return _START.match(whole) is not None
