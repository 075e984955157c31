"""Challenges as servers write them in WWW-Authenticate: one or several in a field, in one field or in several.

Source: RFC 9110 section 11.6.1. A pure reader that raises nothing: what follows no grammar is passed over. Texts stand
for octets, one character for each (ISO 8859-1), because a realm may be in any charset and has to be sent back as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MOST_ITEMS = 200
"""Words and parameters that are looked at, in one field; a server that sends more wants to keep its reader busy."""

_BETWEEN = re.compile(r"[ \t\r\n,=\"]*")
_BLANKS = re.compile(r"[ \t\r\n]*")
_WORD = re.compile(r"[^ \t\r\n,=\"]+")
_EQUALS = re.compile(r"[ \t]*=[ \t]*")
_QUOTED = re.compile(r'(?s)"((?:[^"\\]|\\.)*)(?:"|\\?\Z)')  # one that is not closed goes on to the end
_PLAIN = re.compile(r"[^ \t\r\n,]*")
_ESCAPED = re.compile(r"(?s)\\(.)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a server asks for.

    Attributes:
        scheme: The scheme in lower case.
        parameters: The parameters by name in lower case, unquoted; the last of a name counts.
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
                # `NTLM, Negotiate` are two; what follows a word and a comma belongs to the challenge before.
                current = current if stands_alone and current is not None else found[-1]
            elif current is not None:
                current.parameters[word.lower()] = parameter
    return found


def _items(text: str) -> Iterator[tuple[str, str | None, bool]]:
    """Go through names with their values, and words without one: whether such a word stands alone before a comma."""
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
        # `Digest realm, nonce=...`: directly behind a scheme there is no other, so the word is a name without a value.
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
