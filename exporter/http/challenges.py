"""Parse WWW-Authenticate challenges: one or several per field, in one or several fields.

Source: RFC 9110 section 11.6.1. A pure parser that raises nothing: what does not follow the grammar is skipped. Texts
represent octets, one character each (ISO 8859-1), because a realm may be in any charset and must be sent back
unchanged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MOST_ITEMS = 200
"""Maximum words and parameters read per field; a server that sends more wants to keep the parser busy."""

_BETWEEN = re.compile(r"[ \t\r\n,=\"]*")
_BLANKS = re.compile(r"[ \t\r\n]*")
_WORD = re.compile(r"[^ \t\r\n,=\"]+")
_EQUALS = re.compile(r"[ \t]*=[ \t]*")
_QUOTED = re.compile(r'(?s)"((?:[^"\\]|\\.)*)(?:"|\\?\Z)')  # an unclosed one extends to the end
_PLAIN = re.compile(r"[^ \t\r\n,]*")
_ESCAPED = re.compile(r"(?s)\\(.)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge of a server.

    Attributes:
        scheme: The scheme in lower case.
        parameters: The parameters by name in lower case, unquoted; the last one of a name counts.
    """

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def parse_challenges(values: Iterable[bytes]) -> list[Challenge]:
    """Return the challenges of WWW-Authenticate fields, in order.

    Args:
        values: The values of the fields.
    """
    found: list[Challenge] = []
    for value in values:
        current: Challenge | None = None
        for word, parameter, stands_alone in islice(_items(value.decode("latin-1")), _MOST_ITEMS):
            if parameter is None:
                found.append(Challenge(word.lower()))
                # `NTLM, Negotiate` are two challenges; other items after a comma belong to the previous one.
                current = current if stands_alone and current is not None else found[-1]
            elif current is not None:
                current.parameters[word.lower()] = parameter
    return found


def _items(text: str) -> Iterator[tuple[str, str | None, bool]]:
    """Yield names with their values, and words without one, with whether such a word stands alone before a comma."""
    position, behind_scheme = 0, False
    while True:
        start, position = position, _skip(_BETWEEN, text, position)
        behind_scheme = behind_scheme and "," not in text[start:position]
        word = _WORD.match(text, position)
        if word is None:
            return
        equals = _EQUALS.match(text, word.end())
        if equals is not None:
            position, value = _value(text, equals.end())
            behind_scheme = False
            yield word[0], value, False
            continue
        position = _skip(_BLANKS, text, word.end())
        stands_alone = position == len(text) or text[position] == ","
        # `Digest realm, nonce=...`: no scheme directly follows another, so the word is a name without a value.
        if not (behind_scheme and stands_alone):
            yield word[0], None, stands_alone
        behind_scheme = not stands_alone


def _value(text: str, position: int) -> tuple[int, str]:
    quoted = _QUOTED.match(text, position)
    if quoted is not None:
        return quoted.end(), _ESCAPED.sub(r"\1", quoted[1])
    end = _skip(_PLAIN, text, position)
    return end, text[position:end]


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return position if found is None else found.end()
