"""Watches the event loop during a batch from the thread that waits for it, and logs which check type blocks it."""

from __future__ import annotations

import logging
from time import sleep
from typing import TYPE_CHECKING

from exporter.runner.blocking import find_blocker

if TYPE_CHECKING:
    from exporter.runner.blocking import Blocker
    from exporter.runner.pacing import Pulse

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
_SILENT_SECONDS = 0.1
"""A loop that is late by this much is looked at: durations of all checks are wrong by as much."""

_AGAIN_SECONDS = 0.02
"""Many short steps can make a loop late too; only a check that still runs after this long is to blame."""


class LoopWatch:
    """Watches the loop of one batch; lives as long as the batch, used by the thread that waits for it."""

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse
        self._blocker: Blocker | None = None
        self._since = 0.0

    def look(self) -> None:
        """Find out whether a check blocks the loop, and log one that has stopped doing so."""
        pulse = self._pulse
        if self._blocker is not None:
            if pulse.last_beat == self._since:
                return
            self._tell(self._blocker)
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

    def _tell(self, blocker: Blocker) -> None:
        check = blocker.execution.check
        logger.warning(
            "the check type %s blocked the event loop for %.1f s, in the check %s at %s",
            check.check_type,
            self._pulse.lag_after(self._since),
            check.name,
            blocker.place,
        )
