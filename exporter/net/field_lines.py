"""Parse malformed HTTP/1.1 field lines as curl, Go and browsers do. Source: RFC 9112 section 5.

llhttp parses well-formed lines, much faster; this handles what it rejects.
"""

from __future__ import annotations

import re

from exporter.errors import CheckFailed
from exporter.model import Reason

BLANKS = b" \t"

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(rb"[\x01-\x08\x0a-\x1f\x7f]")
_SHOWN_CHARACTERS = 40
_MAX_ODDITIES = 8
_MAX_LINES = 1000  # they cost much more than with llhttp, and a peer could send 30,000 in one head


class Oddities:
    """Oddities of an answer, each once and no more than a page can show; lives while the answer is read."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: dict[str, None] = {}

    def add(self, what: str) -> None:
        """Record an oddity."""
        if len(self._found) < _MAX_ODDITIES:
            self._found[what] = None

    def found(self) -> tuple[str, ...]:
        """Return all oddities, in order."""
        return tuple(self._found)


class FieldLines:
    """The fields of one head or trailer section, parsed line by line; lives until the empty line.

    Attributes:
        fields: Names in lower case and values, in order; folded values are joined.
    """

    __slots__ = ("_left_lines", "_name", "_oddities", "_what", "fields")

    def __init__(self, what: str, oddities: Oddities) -> None:
        """Prepare to read.

        Args:
            what: Whose fields they are, such as `the response`, for failure details.
            oddities: Receives the oddities.
        """
        self.fields: list[tuple[bytes, bytes]] = []
        self._what = what
        self._oddities = oddities
        self._name = ""
        self._left_lines = _MAX_LINES

    def take(self, line: bytes) -> None:
        """Parse one line, which is not empty and has no line ending.

        Raises:
            CheckFailed: With reason `protocol` for a line without a colon, a NUL, a first line that is a continuation,
                or too many lines.
        """
        self._left_lines -= 1
        if self._left_lines < 0:
            raise malformed(self._what, f"more than {_MAX_LINES} lines of header fields")
        if b"\0" in line:
            raise malformed(self._what, "a NUL in a header field")
        if b"\r" in line:
            self._oddities.add("bare CR")
            line = line.replace(b"\r", b" ")  # RFC 9112 section 2.2
        if line[:1] in (b" ", b"\t"):
            self._continue(line)
            return
        name, colon, value = line.partition(b":")
        if not colon:
            # Only its first word: what follows may be the value of a cookie.
            raise malformed(self._what, f"a header field without a colon: {shown(line.partition(b' ')[0])}")
        self._note_name(name)
        name = name.rstrip(BLANKS)
        self._name = shown(name)
        self._note_controls(value)
        self.fields.append((name.lower(), value.strip(BLANKS)))

    def _continue(self, line: bytes) -> None:
        """Append a line to the value it continues (section 5.2)."""
        if not self.fields:
            raise malformed(self._what, "its first header field begins with whitespace")
        name, value = self.fields[-1]
        self._oddities.add(f"folded value in {self._name}")
        self._note_controls(line)
        self.fields[-1] = (name, (value + b" " + line.strip(BLANKS)).strip(BLANKS))

    def _note_controls(self, value: bytes) -> None:
        if _CONTROL.search(value):
            self._oddities.add(f"control character in {self._name}")

    def _note_name(self, name: bytes) -> None:
        if _TOKEN.fullmatch(name):
            return
        bare = name.rstrip(BLANKS)
        if not bare:
            self._oddities.add("field without a name")
        elif _TOKEN.fullmatch(bare):
            self._oddities.add(f"whitespace before the colon of {shown(bare)}")
        else:
            self._oddities.add(f"field name '{shown(bare)}'")


def shown(octets: bytes) -> str:
    """Return the beginning of what was sent, with everything but printable ASCII escaped."""
    return repr(octets[:_SHOWN_CHARACTERS])[2:-1]


def printable(text: str) -> str:
    """Return a text that quotes what was sent, with unprintable characters escaped."""
    return "".join([character if character.isprintable() else repr(character)[1:-1] for character in text])


def malformed(what: str, why: str) -> CheckFailed:
    """Return the failure for an answer that cannot be parsed."""
    return CheckFailed(Reason.PROTOCOL, f"{what} is malformed: {why}")
