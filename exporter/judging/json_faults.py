"""Describe where and why a text is not JSON, independently of the Python version."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from json import JSONDecodeError

_BLANKS = " \t\n\r"
_WHOLE_TEXT = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


class JsonFault(NamedTuple):
    """The first fault in a text: its position, counted from 1, and what it is."""

    line: int
    column: int
    what: str

    def __str__(self) -> str:
        return f"{self.what} (line {self.line}, column {self.column})"


def json_fault(error: JSONDecodeError) -> JsonFault:
    """Describe the error that Python's decoder raised.

    Nothing of the text is quoted except the character that is not allowed.
    """
    text, position = error.doc, error.pos
    position, what = _comma_before_end(text, position) or (position, _what(text, position))
    line = text.count("\n", 0, position) + 1
    return JsonFault(line, position - text.rfind("\n", 0, position), what)


def _comma_before_end(text: str, position: int) -> tuple[int, str] | None:
    """Return the position of a trailing comma: Python 3.13 reports the comma, others what comes after it."""
    comma = position if text[position : position + 1] == "," else len(text[:position].rstrip(_BLANKS)) - 1
    after = text[comma + 1 :].lstrip(_BLANKS)[:1] if comma >= 0 and text[comma] == "," else ""
    before = text[:comma].rstrip(_BLANKS)[-1:]
    return (comma, f"a comma before the {after}") if after in ("]", "}") and before not in ("", "[", "{", ",") else None


def _what(text: str, position: int) -> str:
    found = text[position : position + 1]
    if not found:
        return "it ends too early"
    if found == '"' and not _WHOLE_TEXT.match(text, position):
        return "a text has no end"
    if ord(found) < 0x20:
        return "a control character within a text"
    if found == "\\" or text[position - 1 : position] == "\\":
        return "an escape that JSON does not have"
    return f"unexpected {found!a}"
