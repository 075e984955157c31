"""Logs when a check begins to fail, and when it is ok again."""

from __future__ import annotations

import logging
from time import time
from typing import TYPE_CHECKING

from exporter.model import ResultStatus
from exporter.quantities import elapsed_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.model import Check, Reason, Result
    from exporter.scrape.states import EndedState

logger = logging.getLogger(__name__)

_BEING = {ResultStatus.OK: "being ok", ResultStatus.WARNING: "being degraded", ResultStatus.ERROR: "failing"}


class StatusChanges:
    """Logs changes of status; lives for the process, used by one thread at a time.

    A check that fails for a different reason than before is logged again, since someone else may have to look at it.
    """

    def __init__(self) -> None:
        self._logged: dict[tuple[str, str, str], tuple[Reason | None, bool]] = {}

    def see(self, check: Check, result: Result, ended: EndedState | None) -> None:
        """Log a change since the check's last result; a check without one counts as having been ok.

        A failure in a maintenance window is information, and a warning if it lasts beyond the window. Need not be
        called for a check that was ok and still is.

        Args:
            check: The check.
            result: Its result.
            ended: The state that the result has ended; None when there was no other.
        """
        after = "" if ended is None else f" after {_BEING[ended.status]} for {elapsed_text(ended.duration_seconds)}"
        if result.status is ResultStatus.OK:
            if ended is not None:
                self._logged.pop(check.identity, None)
                logger.info("check %s is ok again%s", check.name, after)
            return
        in_maintenance = check.in_maintenance(time())
        identity, now = check.identity, (result.reason, in_maintenance)
        if ended is None and now == self._logged.get(identity):
            return
        self._logged[identity] = now
        level, where = (logging.INFO, " in maintenance") if in_maintenance else (logging.WARNING, "")
        state = f"{result.status.state}{where}{after}"
        logger.log(level, "check %s is %s: %s: %s", check.name, state, result.reason, result.detail)

    def retain(self, checks: Iterable[Check]) -> None:
        """Forget the checks that a new configuration does not contain."""
        kept = {check.identity for check in checks}
        self._logged = {identity: logged for identity, logged in self._logged.items() if identity in kept}
