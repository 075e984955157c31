"""One check under way: its attempts, its time limit, and what happens when it does not keep to it.

Time limits cancel a check's task once, with asyncio's own cancellation, and not through an AnyIO cancel scope: a scope
repeats the cancellation on every pass of the loop for as long as the task lives, which makes a check that swallows
cancellation burn a whole processor. A check that is still there shortly after its cancellation is left behind.
"""

from __future__ import annotations

import asyncio
import logging
import time
from time import perf_counter
from typing import TYPE_CHECKING

from exporter.attempt import begin_attempt
from exporter.model import Reason, Result
from exporter.quantities import seconds_text
from exporter.verdict import finish, judge, unjudged, wants_retry

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.attempt import Attempt
    from exporter.model import Check, LogLine
    from exporter.registry import BatchExecutors

logger = logging.getLogger(__name__)

_PHASES = {Reason.RESOLVE: "resolve", Reason.CONNECT_TIMEOUT: "connect"}
"""What a timeout would mean while the phases last that all types have in common."""

_GRACE_SECONDS = 0.1
"""How long a cancelled check may take to clean up before it counts as stuck."""


class Execution:
    """Runs one check of one batch; made when the check starts, done when its result is known.

    Attributes:
        check: The check.
        abandoned: Whether the check ignored its cancellation and was left behind.
        task: The task that runs it, once started.
    """

    def __init__(
        self,
        check: Check,
        executors: BatchExecutors,
        deadline: float | None,
        on_abandoned: Callable[[Execution, Result], None],
    ) -> None:
        """Prepare to run a check.

        Args:
            check: The check.
            executors: The executors of the batch.
            deadline: `perf_counter()` value at which the batch ends; None for an unbounded batch.
            on_abandoned: Called on the loop with the result when the check has to be left behind.
        """
        self.check = check
        self.abandoned = False
        self.task: asyncio.Task[object] | None = None
        self._executors = executors
        self._deadline = deadline
        self._on_abandoned = on_abandoned
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._expired = False
        self._limit_seconds = check.timeout_seconds
        self._limit_reason = Reason.TIMEOUT
        self._attempts = 0
        self._attempt: Attempt | None = None
        self._began = 0.0
        self._began_timestamp_seconds = 0.0
        self._log: list[LogLine] = []
        self._held_seconds = 0.0

    async def run(self) -> Result:
        """Make attempts until one succeeds, none is left, or the batch's deadline comes."""
        self.task = asyncio.current_task()
        self._began = perf_counter()
        self._began_timestamp_seconds = time.time()
        while True:
            result = await self._make_attempt()
            self._log.extend(result.log)
            if self._attempts > self.check.retries or self._limit_reason is Reason.DEADLINE:
                break
            if self.abandoned or not wants_retry(self.check, result):
                break
            if not self._time_left_after(self.check.retry_delay_seconds):
                break
            await asyncio.sleep(self.check.retry_delay_seconds)
        return self._finished(result)

    async def _make_attempt(self) -> Result:
        self._attempt = attempt = begin_attempt()
        self._attempts += 1
        self._arm()
        try:
            answer = await self._executors.get_executor(self.check.check_type).execute(self.check)
        except asyncio.CancelledError as error:
            return self._cancelled(attempt, error)
        except BaseException as error:
            if self._expired:
                return self._timed_out(attempt)
            logger.warning("check %s: its executor raised", self.check.name, exc_info=error)
            return unjudged(self.check, Reason.INTERNAL, f"the executor raised {error!r}", attempt)
        finally:
            self._disarm()
            self._held_seconds += attempt.held_seconds
        if self._expired:
            return self._timed_out(attempt)
        if not isinstance(answer, Result):
            detail = f"the executor gave {type(answer).__name__} instead of a Result"
            return unjudged(self.check, Reason.INTERNAL, detail, attempt)
        return judge(self.check, attempt, answer, duration_seconds=self._duration_seconds())

    def _cancelled(self, attempt: Attempt, error: asyncio.CancelledError) -> Result:
        task = self.task
        if self._expired:
            if task is not None:
                task.uncancel()
            return self._timed_out(attempt)
        if task is not None and task.cancelling():
            raise error
        return unjudged(self.check, Reason.INTERNAL, "the executor raised CancelledError by itself", attempt)

    def _timed_out(self, attempt: Attempt) -> Result:
        reason = self._limit_reason if self._limit_reason is Reason.DEADLINE else attempt.timeout_reason
        limit = seconds_text(self._limit_seconds)
        if self._limit_reason is Reason.DEADLINE:
            detail = f"cut off by the deadline of the batch after {limit}"
        else:
            detail = f"not done within the timeout of {limit}"
        phase = _PHASES.get(attempt.timeout_reason) or attempt.phase
        if phase:
            detail = f"{detail}, in the phase {phase}"
        if attempt.timeout_detail:
            detail = f"{detail}: {attempt.timeout_detail}"
        return unjudged(self.check, reason, detail, attempt)

    def _arm(self) -> None:
        self._expired = False
        self._limit_seconds, self._limit_reason = self.check.timeout_seconds, Reason.TIMEOUT
        if self._deadline is not None:
            left = max(self._deadline - perf_counter(), 0.0)
            if left < self._limit_seconds:
                self._limit_seconds, self._limit_reason = left, Reason.DEADLINE
        self._timer = self._loop.call_later(self._limit_seconds, self._expire)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._expired = True
        if self.task is not None:
            self.task.cancel()
        self._timer = self._loop.call_later(_GRACE_SECONDS, self._abandon)

    def _abandon(self) -> None:
        self.abandoned = True
        attempt = self._attempt
        assert attempt is not None  # noqa: S101 - only an attempt arms the timer
        logger.warning("check %s ignores cancellation and is left behind", self.check.name)
        result = self._timed_out(attempt)
        self._log.extend(result.log)
        self._on_abandoned(self, self._finished(result))

    def _time_left_after(self, delay_seconds: float) -> bool:
        return self._deadline is None or perf_counter() + delay_seconds < self._deadline

    def _duration_seconds(self) -> float:
        return perf_counter() - self._began - self._held_seconds

    def _finished(self, result: Result) -> Result:
        return finish(
            result,
            duration_seconds=self._duration_seconds(),
            attempts=self._attempts,
            timeout_seconds=self._limit_seconds,
            started_timestamp_seconds=self._began_timestamp_seconds,
            log=self._log,
        )
