"""What the log tells of checks: not every run, but when one becomes failing, degraded, or ok again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from exporter.model import ResultStatus

if TYPE_CHECKING:
    from collections.abc import Collection

    from exporter.model import Check, Result

logger = logging.getLogger(__name__)


class StatusChanges:
    """Remembers how each check was last and logs the difference; lives for the process, used by one thread at a time.

    A check that fails in another way than before is told again, since somebody else may have to look at it.
    """

    def __init__(self) -> None:
        self._last: dict[str, tuple[ResultStatus, str | None]] = {}

    def see(self, check: Check, result: Result) -> None:
        """Log what has changed since the check's last result; one that was never seen is taken to have been ok."""
        before = self._last.get(check.name, (ResultStatus.OK, None))
        now = (result.status, result.reason)
        if now == before:
            return
        self._last[check.name] = now
        if result.status is ResultStatus.OK:
            logger.info("check %s is ok again", check.name)
        else:
            logger.warning("check %s is %s: %s: %s", check.name, result.status.state, result.reason, result.detail)

    def retain(self, names: Collection[str]) -> None:
        """Forget the checks that a new configuration does not have."""
        self._last = {name: last for name, last in self._last.items() if name in names}
