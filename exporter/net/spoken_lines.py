"""Read lines from a peer, within limits, until the expectations about them are settled.

A line ends with a line feed; a carriage return before it is dropped. What follows the last line feed is an unfinished
line.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from exporter.expect import evaluate
from exporter.model import ValueKind, leaves
from exporter.net.errors import connection_failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.model import Expectation

MAX_LINE_BYTES = 8192
"""Bytes kept of a line; the rest of a longer one is dropped."""

MAX_LINES = 500
MAX_SPOKEN_BYTES = 16384
"""Bytes kept of all lines together at most; fewer when they are searched for slow patterns."""

_MAX_HEARD_BYTES = 1 << 20

_PAUSE_SECONDS = 0.5
"""Binary protocols have no line ends: after a pause this long, an unfinished line may meet an expectation."""

_LONG_PAUSE_SECONDS = 2.0
"""After a pause this long, the first line counts as complete for what it must not contain."""

_FORBIDDING = ("ne", "not_matches", "none_of")


class SpokenLines(asyncio.Protocol):
    """Collects lines; lives as long as its connection.

    Args:
        limit_bytes: Bytes kept of all lines together.

    Attributes:
        lines: The complete lines, without their line ends.
        is_over: Whether nothing more will be read: the peer has closed, the connection is broken, or the limit is
            reached.
        failure: What broke the connection, if anything did.
    """

    def __init__(self, limit_bytes: int = MAX_SPOKEN_BYTES) -> None:
        self._limit_bytes = limit_bytes
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
        """The unfinished line so far; None when there is none."""
        return _text(self._unfinished) if self._has_unfinished else None

    @property
    def spoken(self) -> tuple[str, ...]:
        """All lines, the unfinished one included."""
        unfinished = self.unfinished
        return (*self.lines,) if unfinished is None else (*self.lines, unfinished)

    async def wait_for_more(self, limit_seconds: float | None) -> bool:
        """Wait for more data or the end of it; return whether that came within the limit."""
        try:
            async with asyncio.timeout(limit_seconds):
                await self._something_new.wait()
        except TimeoutError:
            return False
        self._something_new.clear()
        return True

    def data_received(self, data: bytes) -> None:
        """Split received data into lines."""
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
        said_enough = self._kept_bytes >= self._limit_bytes or len(self.lines) >= MAX_LINES
        self.is_over = said_enough or self._heard_bytes > _MAX_HEARD_BYTES
        self._something_new.set()

    def eof_received(self) -> None:
        """Record that the peer sends no more."""
        self.is_over = True
        self._something_new.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Record that the connection is lost."""
        if not self.is_over:
            self.failure = exc
            self.is_over = True
        self._something_new.set()

    def _keep(self, octets: bytes) -> None:
        room = min(MAX_LINE_BYTES - len(self._unfinished), self._limit_bytes - self._kept_bytes)
        kept = octets[: max(room, 0)]
        self._unfinished += kept
        self._kept_bytes += len(kept)


def _text(line: bytearray) -> str:
    return bytes(line).removesuffix(b"\r").decode(errors="replace")


async def listen(spoken: SpokenLines, expected: Sequence[Expectation]) -> None:
    """Wait until all expectations are settled, or nothing more will be read.

    A positive expectation is settled by a line that meets it, a negative one by the first line, whatever it is.

    Args:
        spoken: The lines read.
        expected: Expectations about lines.

    Raises:
        CheckFailed: When the connection breaks before that.
    """
    unsettled = expected
    seen = 0
    while True:
        for line in spoken.lines[seen:]:
            unsettled = _unsettled(unsettled, line, may_be_refused=seen == 0)
            seen += 1
        if spoken.is_over:
            for line in spoken.spoken[seen:]:
                unsettled = _unsettled(unsettled, line, may_be_refused=seen == 0)
            if unsettled and spoken.failure is not None:
                raise connection_failure(spoken.failure, "reading the banner") from spoken.failure
            return
        if not unsettled or not await _goes_on(spoken, unsettled, is_first=seen == 0):
            return


async def _goes_on(spoken: SpokenLines, unsettled: Sequence[Expectation], *, is_first: bool) -> bool:
    """Wait for more; return whether it came before a pause within a line settled the expectations."""
    line = spoken.unfinished
    if line is not None:
        if await spoken.wait_for_more(_PAUSE_SECONDS):
            return True
        if not _unsettled(unsettled, line, may_be_refused=False):
            return False
        if await spoken.wait_for_more(_LONG_PAUSE_SECONDS - _PAUSE_SECONDS):
            return True
        if not _unsettled(unsettled, line, may_be_refused=is_first):
            return False
    return await spoken.wait_for_more(None)


def _unsettled(expected: Sequence[Expectation], line: str, *, may_be_refused: bool) -> Sequence[Expectation]:
    """Return the expectations that a line leaves open: those not met, without those that the first line settles."""
    return [
        one for one in expected if not (may_be_refused if _forbids(one) else _meets(line, one, is_first=may_be_refused))
    ]


def _meets(line: str, expectation: Expectation, *, is_first: bool) -> bool:
    """Return whether a line meets an expectation; parts of a group that forbid something judge the first line only."""
    if expectation.parts:
        parts = tuple(part for part in expectation.parts if is_first or not _forbids(part))
        expectation = replace(expectation, parts=parts)
        if not parts:
            return False
    observed = {part.subject.name: (line,) for part in leaves([expectation]) if part.subject.kind is ValueKind.LINES}
    return evaluate((expectation,), observed)[0].ok


def _forbids(expectation: Expectation) -> bool:
    return expectation.operator in _FORBIDDING or (expectation.operator == "exists" and not expectation.operand)
