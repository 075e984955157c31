"""Runs one check: its attempts, its time limit, and what happens when it exceeds the limit.

A time limit cancels the check's task once, with asyncio's own cancellation, and not through an AnyIO cancel scope: a
scope repeats the cancellation on every pass of the loop for as long as the task lives, so that a check that swallows
cancellation would use a whole processor. A check that is still running shortly after its cancellation is left behind.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import lru_cache
from inspect import isawaitable
from time import perf_counter
from typing import TYPE_CHECKING

from exporter.attempt import Attempt, begin_attempt
from exporter.errors import CheckFailed
from exporter.foreign import repr_of
from exporter.model import LogLine, Reason, Result
from exporter.quantities import seconds_text
from exporter.runner.answers import InvalidAnswerError, failure_of, valid_answer
from exporter.runner.declared import ANY_SERIES, is_valid, repair
from exporter.runner.verdict import broken_off, judge, wants_retry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import CodeType

    from exporter.checks.base import CheckExecutor
    from exporter.model import Check, ResultStatus
    from exporter.runner.executors import BatchExecutors
    from exporter.runner.verdict import Verdict

logger = logging.getLogger(__name__)

_PHASES = {Reason.RESOLVE: "resolve", Reason.CONNECT_TIMEOUT: "connect"}
"""The phases common to all types, by the reason that a timeout has during each."""

_GRACE_SECONDS = 0.1
"""How long a cancelled check may take to clean up before it counts as stuck."""

LOOP_BROKE = "a check type stopped the event loop, or cancelled what runs on it, before the check was done"
"""The detail of a check that was interrupted, but not by the runner."""


class Execution:
    """Runs one check of one batch; created when the check starts, done when its result is known.

    Attributes:
        check: The check.
        abandoned: Whether the check ignored its cancellation and was left behind.
        given_up: Whether its batch was given up, so that no result is needed.
        task: The task that runs it, once started.
        verdict: The verdict on the last attempt, once known.
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
            deadline: `perf_counter()` when the batch ends; None for an unbounded batch.
            on_abandoned: Called on the loop with the result when the check has to be left behind.
        """
        self.check = check
        self.abandoned = False
        self.given_up = False
        self.task: asyncio.Task[object] | None = None
        self.verdict: Verdict | None = None
        self._executors = executors
        self._get_executor: Callable[[str], CheckExecutor] = executors.get_executor
        self._declared = executors.declared.get(check.check_type, ANY_SERIES)
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

    @classmethod
    def attempt_code(cls) -> CodeType:
        """Return the code object that calls the executor, so that it can be found on a stack."""
        return cls._make_attempt.__code__

    async def run(self) -> Result:
        """Make attempts until one succeeds, no retry is left, or the batch's deadline has passed.

        Raises:
            asyncio.CancelledError: When the batch was given up.
        """
        self.task = asyncio.current_task(self._loop)
        self._began = perf_counter()
        self._began_timestamp_seconds = time.time()
        try:
            verdict = await self._attempts_until_done()
        except BaseException as error:
            if self.given_up:
                raise
            # An error that the attempt did not handle must not reach the batch.
            logger.warning("check %s was broken off", self.check.name, exc_info=error)
            detail = f"the check was broken off by {repr_of(error)}"
            verdict = broken_off(self.check, Attempt(), Reason.INTERNAL, detail)
        self.verdict = verdict
        return self._finished(verdict)

    async def _attempts_until_done(self) -> Verdict:
        while True:
            verdict = await self._make_attempt()
            self._log_attempt(verdict)
            if self._attempts > self.check.retries or self._limit_reason is Reason.DEADLINE:
                return verdict
            if self.abandoned or not wants_retry(self.check, verdict):
                return verdict
            if not self._has_time_after(self.check.retry_delay_seconds):
                return verdict
            await asyncio.sleep(self.check.retry_delay_seconds)

    def _log_attempt(self, verdict: Verdict) -> None:
        """Copy the log of the attempt to the check's log, and add how it ended."""
        attempt = self._attempt
        assert attempt is not None  # noqa: S101 - there is a verdict on it
        ending = _ending(self._attempts, verdict.status)
        if verdict.reason is not None:
            ending = {**ending, "reason": str(verdict.reason), "detail": verdict.detail}
        self._log += (*attempt.log, LogLine(attempt.seconds_so_far(), "ended", ending))

    async def _make_attempt(self) -> Verdict:
        self._attempt = attempt = begin_attempt()
        attempt.network = self._executors.network
        attempt.allowed_targets = self.check.allowed_targets
        attempt.has_turn = self._attempts == 0
        self._attempts += 1
        self._arm(attempt)
        pending: object = None
        try:
            pending = self._get_executor(self.check.check_type).execute(self.check)
            answer = await pending
        except asyncio.CancelledError as error:
            return self._cancelled(attempt, error)
        except CheckFailed as error:
            if self._expired:
                return self._timed_out(attempt)
            return self._broken_off(attempt, *failure_of(error))
        except BaseException as error:  # noqa: BLE001 - SystemExit from a check type must not reach the loop
            if self._expired:
                return self._timed_out(attempt)
            return self._raised(attempt, error, pending)
        finally:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if type(attempt.held_seconds) is float:  # the check type may have put anything there
                self._held_seconds += attempt.held_seconds
        return self._timed_out(attempt) if self._expired else self._judged(attempt, answer)

    def _judged(self, attempt: Attempt, answer: object) -> Verdict:
        """Judge what the executor returned; when it cannot be judged, only this check fails."""
        declared = self._declared
        try:
            if not (declared.is_trusted and type(answer) is Result):
                answer = valid_answer(self.check, attempt, answer, declared)
            if declared.phases is not None:
                declared.measure_phases(attempt)
            duration_seconds = self._duration_seconds()
            return judge(self.check, attempt, answer, duration_seconds=duration_seconds, conclude=declared.conclude)
        except InvalidAnswerError as error:
            fault = str(error)
        except BaseException as error:  # noqa: BLE001 - a plugin's object may raise anything when it is inspected
            fault = f"the executor returned what cannot be judged: {repr_of(error)}"
        logger.warning("check %s: %s", self.check.name, fault)
        return self._broken_off(attempt, Reason.INTERNAL, fault)

    def _raised(self, attempt: Attempt, error: BaseException, pending: object) -> Verdict:
        if isinstance(error, TypeError) and pending is not None and not isawaitable(pending):
            needed = "an `async def execute`, or be declared blocking"
            detail = f"the executor of type {self.check.check_type} must have {needed}"
        else:
            detail = f"the executor raised {repr_of(error)}"
        logger.warning("check %s: its executor raised", self.check.name, exc_info=error)
        return self._broken_off(attempt, Reason.INTERNAL, detail)

    def _broken_off(self, attempt: Attempt, reason: Reason, detail: str) -> Verdict:
        self._repair(attempt)
        return broken_off(self.check, attempt, reason, detail, self._declared.conclude)

    def _repair(self, attempt: Attempt) -> None:
        declared = self._declared
        if not is_valid(attempt, declared):
            repair(attempt, declared)
        declared.measure_phases(attempt)

    def _cancelled(self, attempt: Attempt, error: asyncio.CancelledError) -> Verdict:
        task = self.task
        if self._expired:
            if task is not None:
                task.uncancel()
            return self._timed_out(attempt)
        if task is None or not task.cancelling():
            return self._broken_off(attempt, Reason.INTERNAL, "the executor raised CancelledError by itself")
        if self.given_up:
            raise error
        task.uncancel()
        return self._broken_off(attempt, Reason.RUNNER, LOOP_BROKE)

    def _timed_out(self, attempt: Attempt) -> Verdict:
        return self._broken_off(attempt, *self._exceeded_limit(attempt))

    def _exceeded_limit(self, attempt: Attempt) -> tuple[Reason, str]:
        """Return the reason and the detail of a timeout that happens now."""
        self._repair(attempt)  # the detail is built from its attributes
        reason = self._limit_reason if self._limit_reason is Reason.DEADLINE else attempt.timeout_reason
        limit = seconds_text(self._limit_seconds)
        if self._limit_reason is Reason.DEADLINE:
            detail = f"cut off by the deadline of the batch after {limit}"
        else:
            detail = f"not done within the timeout of {limit}"
        phase = _PHASES.get(attempt.timeout_reason) or attempt.phase_name
        if phase:
            detail = f"{detail}, in the phase {phase}"
        if attempt.timeout_detail:
            detail = f"{detail}: {attempt.timeout_detail}"
        return reason, detail

    def _arm(self, attempt: Attempt) -> None:
        self._expired = False
        self._limit_seconds, self._limit_reason = self.check.timeout_seconds, Reason.TIMEOUT
        if self._deadline is not None:
            left = max(self._deadline - perf_counter(), 0.0)
            if left < self._limit_seconds:
                self._limit_seconds, self._limit_reason = left, Reason.DEADLINE
        attempt.ends_at = perf_counter() + self._limit_seconds
        self._timer = self._loop.call_later(self._limit_seconds, self._expire)

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
        verdict = self._timed_out(attempt)
        self._log_attempt(verdict)
        self._on_abandoned(self, self._finished(verdict))

    def _has_time_after(self, delay_seconds: float) -> bool:
        return self._deadline is None or perf_counter() + delay_seconds < self._deadline

    def _duration_seconds(self) -> float:
        return perf_counter() - self._began - self._held_seconds

    def _finished(self, verdict: Verdict) -> Result:
        """Build the result from the verdict on the last attempt, and the durations of all attempts."""
        return Result(
            check_name=self.check.name,
            status=verdict.status,
            reason=verdict.reason,
            detail=verdict.detail,
            measurements=verdict.measurements,
            expectations=verdict.expectations,
            certificates=verdict.certificates,
            duration_seconds=self._duration_seconds(),
            attempts=self._attempts,
            timeout_seconds=self._limit_seconds,
            started_timestamp_seconds=self._began_timestamp_seconds,
            log=tuple(self._log),
        )


@lru_cache
def _ending(attempt: int, status: ResultStatus) -> Mapping[str, object]:
    """Return how an attempt ended, as one object for the many that end in the same way."""
    return {"attempt": attempt, "status": str(status)}
