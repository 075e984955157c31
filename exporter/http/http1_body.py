"""HTTP/1.1 bodies without chunks: of a known length, or until the connection ends.

Source: RFC 9112 section 6.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Take = Callable[[bytes], None]


class SizedBody:
    """A body whose length is in the head; lives as long as its answer.

    Attributes:
        is_complete: Whether all of it has arrived.
        has_surplus: Whether more has arrived, which belongs to no answer.
        oddities: Always empty.
    """

    __slots__ = ("_left_bytes", "_take", "has_surplus", "is_complete")

    oddities: tuple[str, ...] = ()

    def __init__(self, take: Take, size_bytes: int) -> None:
        self._take = take
        self._left_bytes = size_bytes
        self.is_complete = not size_bytes
        self.has_surplus = False

    def feed(self, data: bytes) -> None:
        """Process received data."""
        if len(data) > self._left_bytes:
            self.has_surplus = True
            data = data[: self._left_bytes]
        self._left_bytes -= len(data)
        self.is_complete = not self._left_bytes
        if data:
            self._take(data)


class BodyUntilTheEnd:
    """A body that ends with its connection; lives as long as its answer."""

    __slots__ = ("_take",)

    oddities: tuple[str, ...] = ()
    is_complete = has_surplus = False

    def __init__(self, take: Take) -> None:
        self._take = take

    def feed(self, data: bytes) -> None:
        """Process received data."""
        self._take(data)
