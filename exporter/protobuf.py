"""The wire format of protobuf, for writing messages without a library: numbers and length-delimited fields.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_VARINT, _FIXED64, _LENGTH_DELIMITED = 0, 1, 2


@lru_cache(maxsize=4096)
def varint(number: int) -> bytes:
    """Encode a number that is not negative: seven bits per byte, the lowest first."""
    octets = bytearray()
    while number > 0x7F:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    octets.append(number)
    return bytes(octets)


def zigzag(number: int) -> int:
    """Return the number that stands for a possibly negative one of the types sint32 and sint64."""
    return number << 1 if number >= 0 else ~(number << 1)


def number_tag(field: int) -> bytes:
    """Return the tag of a varint field."""
    return varint(field << 3 | _VARINT)


def double_tag(field: int) -> bytes:
    """Return the tag of a double, which is eight little-endian bytes."""
    return varint(field << 3 | _FIXED64)


@lru_cache
def delimited_tag(field: int) -> bytes:
    """Return the tag of a text, a message or a packed list; their length follows it."""
    return varint(field << 3 | _LENGTH_DELIMITED)


def delimited(field: int, content: bytes) -> bytes:
    """Encode a length-delimited field, such as a message."""
    return delimited_tag(field) + varint(len(content)) + content


def packed(field: int, numbers: Iterable[int]) -> bytes:
    """Encode a repeated field of possibly negative numbers; nothing for none."""
    content = b"".join([varint(zigzag(number)) for number in numbers])
    return delimited(field, content) if content else b""
