"""What a peer says, line by line, bounded in every way: the protocol of a connection that somebody listens to.

A line ends with a line feed; a carriage return before it is no part of it. What follows the last line feed is a line
that may yet go on.
"""

from __future__ import annotations

import asyncio

MAX_LINE_BYTES = 8192
"""What is kept of a line; the rest of a longer one is dropped."""

MAX_LINES = 500
MAX_SPOKEN_BYTES = 16384
"""What is kept of all lines together. Patterns are searched in it, and that must not take long."""

_MAX_HEARD_BYTES = 1 << 20


class SpokenLines(asyncio.Protocol):
    """Collects lines; lives as long as its connection.

    Attributes:
        lines: The lines that are complete, without their ends.
        is_over: Whether nothing more will be heard: the peer has closed, the connection is broken, or enough was said.
        failure: What broke the connection, if anything did.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.is_over = False
        self.failure: Exception | None = None
        self._unfinished = bytearray()
        self._has_unfinished = False
        self._kept_bytes = 0
        self._heard_bytes = 0
        self._something_new = asyncio.Event()

    @property
    def unfinished(self) -> str | None:
        """What was heard so far of a line that may go on; None when there is none."""
        return _text(self._unfinished) if self._has_unfinished else None

    @property
    def spoken(self) -> tuple[str, ...]:
        """All lines, the unfinished one included."""
        unfinished = self.unfinished
        return (*self.lines,) if unfinished is None else (*self.lines, unfinished)

    async def news(self, limit_seconds: float | None) -> bool:
        """Wait until something more is heard or nothing more will be; tell whether that was within the limit."""
        try:
            async with asyncio.timeout(limit_seconds):
                await self._something_new.wait()
        except TimeoutError:
            return False
        self._something_new.clear()
        return True

    def data_received(self, data: bytes) -> None:
        """Cut what was heard into lines."""
        if self.is_over:
            return
        self._heard_bytes += len(data)
        *ends, rest = data.split(b"\n", MAX_LINES)
        for end in ends:
            self._keep(end)
            self.lines.append(_text(self._unfinished))
            self._unfinished.clear()
            self._has_unfinished = False
            if len(self.lines) >= MAX_LINES:
                break
        else:
            if rest:
                self._keep(rest)
                self._has_unfinished = True
        said_enough = self._kept_bytes >= MAX_SPOKEN_BYTES or len(self.lines) >= MAX_LINES
        self.is_over = said_enough or self._heard_bytes > _MAX_HEARD_BYTES
        self._something_new.set()

    def eof_received(self) -> None:
        """Note that the peer has said what it says."""
        self.is_over = True
        self._something_new.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is gone."""
        if not self.is_over:
            self.failure = exc
            self.is_over = True
        self._something_new.set()

    def _keep(self, octets: bytes) -> None:
        room = min(MAX_LINE_BYTES - len(self._unfinished), MAX_SPOKEN_BYTES - self._kept_bytes)
        kept = octets[: max(room, 0)]
        self._unfinished += kept
        self._kept_bytes += len(kept)


def _text(line: bytearray) -> str:
    return bytes(line).removesuffix(b"\r").decode(errors="replace")
