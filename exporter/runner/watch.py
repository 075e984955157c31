"""Watches the event loop during a batch, and finds and logs the check that blocks it."""

from __future__ import annotations

import logging
import sys
from concurrent.futures import wait
from pathlib import Path
from time import perf_counter, sleep
from typing import TYPE_CHECKING, NamedTuple

from exporter.runner.execution import Execution

if TYPE_CHECKING:
    from concurrent.futures import Future
    from types import FrameType

    from exporter.model import Batch
    from exporter.runner.pacing import Pulse

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
_SILENT_SECONDS = 0.1
"""A loop that is late by this much is examined, because the durations of all checks are wrong by as much."""

_AGAIN_SECONDS = 0.02
"""Many short steps can make a loop late, too; a check is to blame only if it is still on the stack after this time."""


class Blocker(NamedTuple):
    """The check that blocks a thread.

    Attributes:
        execution: The execution whose executor does not yield to the loop.
        place: File and line in the executor, for people.
    """

    execution: Execution
    place: str


def find_blocker(thread_id: int) -> Blocker | None:
    """Return the check whose code the thread is running right now; None when there is none.

    A check that merely waits is not on the stack, so an idle loop has no blocker.
    """
    frame: FrameType | None = sys._current_frames().get(thread_id)  # noqa: SLF001 - documented, and the only way
    inner = frame
    while frame is not None:
        if frame.f_code is Execution.attempt_code():
            execution = frame.f_locals.get("self")
            is_foreign = inner is not None and inner.f_code.co_filename != frame.f_code.co_filename
            if inner is not None and is_foreign and isinstance(execution, Execution):
                return Blocker(execution, f"{Path(inner.f_code.co_filename).name}:{inner.f_lineno}")
        inner, frame = frame, frame.f_back
    return None


def culprit_text(blocker: Blocker | None) -> str:
    """Return the end of a sentence about a loop that does not answer: the check that blocks it; empty for none."""
    return f": the check {blocker.execution.check.name} blocks it at {blocker.place}" if blocker else ""


class LoopWatch:
    """Watches the loop of one batch; lives as long as the batch, used by the thread that waits for it."""

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse
        self._blocker: Blocker | None = None
        self._since = 0.0

    def wait(self, outcome: Future[Batch], ends: float | None, blocked_limit_seconds: float) -> None:
        """Wait until the batch has ended, its time is up, or its loop has ended or become unusable.

        Args:
            outcome: Done when the batch has ended.
            ends: `perf_counter()` when its time is up; None for no limit.
            blocked_limit_seconds: How long the loop may go without answering.
        """
        pulse = self._pulse
        while not outcome.done():
            left = LOOK_SECONDS if ends is None else min(LOOK_SECONDS, ends - perf_counter())
            if left == LOOK_SECONDS:
                self._look()  # not shortly before the end, which must not be late
            if left <= 0 or pulse.silent_seconds() > blocked_limit_seconds:
                return
            is_closed = pulse.loop is not None and pulse.loop.is_closed()
            wait([outcome], left)
            if is_closed:
                return
        self._look()

    def _look(self) -> None:
        """Find out whether a check blocks the loop, and log one that has stopped doing so."""
        pulse = self._pulse
        if self._blocker is not None:
            if pulse.last_beat == self._since:
                return
            self._log_blocker(self._blocker)
            self._blocker = None
        if pulse.loop is None or pulse.silent_seconds() < _SILENT_SECONDS:
            return
        since, before = pulse.last_beat, find_blocker(pulse.thread_id)
        if before is None:
            return
        sleep(_AGAIN_SECONDS)
        after = find_blocker(pulse.thread_id)
        if after is not None and after.execution is before.execution and pulse.last_beat == since:
            self._blocker, self._since = after, since

    def _log_blocker(self, blocker: Blocker) -> None:
        check = blocker.execution.check
        logger.warning(
            "the check type %s blocked the event loop for %.1f s, in the check %s at %s",
            check.check_type,
            self._pulse.lag_after(self._since),
            check.name,
            blocker.place,
        )
