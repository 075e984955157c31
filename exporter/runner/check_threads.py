"""Runs checks of blocking types in a limited number of threads, which nothing waits for when one of them hangs.

A thread cannot be cancelled. A check whose time is up gets its result at once, and its thread goes on. Until the thread
returns, the check counts as stuck and is skipped.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from exporter.attempt import begin_attempt, current_attempt
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.thread_pool import ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.attempt import Attempt
    from exporter.checks.base import BlockingExecutor
    from exporter.model import Check

MAX_CHECK_THREADS = 32
"""Further checks wait for a thread."""


class _Job:
    """One call that waits for a thread or runs in one."""

    __slots__ = ("began_at", "done", "name", "work")

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        self.name = name
        self.work = work
        self.began_at = 0.0
        self.done: Future[tuple[object, BaseException | None]] = Future()


class CheckThreads:
    """Threads for calls that block; lives as long as the registry, shared by batches and loops.

    Attributes:
        stuck_names: The checks whose time was up although their thread has not returned yet.
    """

    def __init__(self) -> None:
        """Prepare for calls; no thread is started yet."""
        self._threads = ThreadPool("nyxmon-check", MAX_CHECK_THREADS)
        self._lock = threading.Lock()
        self._running: set[_Job] = set()
        self._left: set[_Job] = set()
        self.stuck_names: frozenset[str] = frozenset()

    @property
    def busy(self) -> int:
        """Number of threads in which a check runs, those of stuck checks included."""
        with self._lock:
            return len(self._running)

    async def run(self, name: str, work: Callable[[], object], attempt: Attempt) -> object:
        """Call a function in a thread; return its result or raise its exception.

        Args:
            name: The check that needs the call; empty for none.
            work: The function.
            attempt: The attempt that waits for the call.

        Raises:
            CheckFailed: With reason `local` when the system cannot start another thread.
        """
        job, asked = _Job(name, work), perf_counter()
        if not self._threads.add(partial(self._run, job)):
            raise CheckFailed(Reason.LOCAL, "the system has no thread for a blocking check type")
        try:
            answer, error = await asyncio.wrap_future(job.done)
        except asyncio.CancelledError:
            if not self._leave(job):
                attempt.timeout_reason = Reason.LOCAL
                attempt.timeout_detail = f"all {MAX_CHECK_THREADS} threads for blocking check types are busy"
            raise
        finally:
            if type(attempt.held_seconds) is float:  # the check type may have put anything there
                attempt.held_seconds += (job.began_at or perf_counter()) - asked
        if error is not None:
            raise error
        return answer

    def _leave(self, job: _Job) -> bool:
        """Stop waiting for a job; return whether it had begun, so that it counts as stuck until it ends."""
        with self._lock:
            if job in self._running:
                self._left.add(job)
                self._name_stuck_ones()
            return bool(job.began_at)

    def _name_stuck_ones(self) -> None:
        self.stuck_names = frozenset(job.name for job in self._left if job.name)

    def _run(self, job: _Job) -> None:
        """Do a job, unless its check does not wait for it any more."""
        with self._lock:
            if not job.done.set_running_or_notify_cancel():
                return
            job.began_at = perf_counter()
            self._running.add(job)
        try:
            outcome: tuple[object, BaseException | None] = job.work(), None
        except BaseException as error:  # noqa: BLE001 - raised again on the loop
            outcome = None, error
        with self._lock:
            self._running.discard(job)
            if job in self._left:
                self._left.remove(job)
                self._name_stuck_ones()
        job.done.set_result(outcome)


class ThreadedExecutor:
    """Runs the checks of a blocking executor in threads; lives as long as its batch.

    The first of these threads creates the executor. Each call has an attempt of its own, which is copied when the call
    ends or its time is up, so that a thread that goes on cannot change what has been reported.
    """

    def __init__(self, make: Callable[[], BlockingExecutor], threads: CheckThreads) -> None:
        """Wrap an executor that will be created on first use.

        Args:
            make: Creates the executor; called once. If it raises CheckFailed, every check fails with that.
            threads: Runs the calls.
        """
        self._make = make
        self._threads = threads
        self._lock = threading.Lock()
        self._executor: BlockingExecutor | None = None
        self._failure: CheckFailed | None = None
        self._is_closed = False

    async def execute(self, check: Check) -> object:
        """Run the check in a thread and return the executor's answer, which is not validated yet."""
        attempt, context = current_attempt(), copy_context()
        own = context.run(begin_attempt)
        own.started, own.ends_at, own.network = attempt.started, attempt.ends_at, attempt.network
        try:
            return await self._threads.run(check.name, partial(context.run, self._execute, check), own)
        finally:
            _copy(own, attempt)

    async def aclose(self) -> None:
        """Call the executor's `close` in a thread, if the executor was created and has one."""
        self._is_closed = True
        close = getattr(self._executor, "close", None)
        if close is not None:
            await self._threads.run("", close, current_attempt())

    def _execute(self, check: Check) -> object:
        executor = self._made()
        if self._is_closed:  # it was made only after the end of its batch
            getattr(executor, "close", lambda: None)()
            raise CheckFailed(Reason.DEADLINE, "the batch ended before the executor was made")
        return executor.execute(check)

    def _made(self) -> BlockingExecutor:
        with self._lock:
            if self._failure is not None:
                raise CheckFailed(self._failure.reason, self._failure.detail)
            if self._executor is None:
                try:
                    self._executor = self._make()
                except CheckFailed as failure:
                    self._failure = failure
                    raise
            return self._executor


def _copy(own: Attempt, attempt: Attempt) -> None:
    """Copy what a thread recorded; invalid values of a plugin are copied, too, and reported later."""
    attempt.measurements, attempt.log = _copied(own.measurements), _copied(own.log)
    attempt.observed, attempt.held_seconds = _copied(own.observed), own.held_seconds
    attempt.phase_name, attempt.timeout_reason = own.phase_name, own.timeout_reason
    attempt.timeout_detail = own.timeout_detail
    try:
        attempt.phase_seconds = own.seconds_by_phase()
    except Exception:  # noqa: BLE001 - a plugin may have put anything into its attempt
        attempt.phase_seconds = own.phase_seconds


def _copied(value: Any) -> Any:
    return value.copy() if type(value) in (list, dict) else value
