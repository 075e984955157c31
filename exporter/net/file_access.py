"""Read files for checks in separate threads, so that a hung file system blocks only the checks that use it.

Reading a file on a dead mount blocks for minutes or forever. A blocked thread is abandoned: the checks that need the
file fail, immediately while the thread is still blocked, and no second thread tries the same file.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from contextlib import nullcontext
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.thread_pool import ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from exporter.attempt import Attempt, Phase

T = TypeVar("T")

PATIENCE_SECONDS = 2.0
"""How long a thread may read; on a system that is merely busy it takes milliseconds."""

_MAX_THREADS = 32


class _Job:
    """One read, waiting for a thread or running in one."""

    __slots__ = ("begun_at", "future", "key", "patience_seconds", "work")

    def __init__(self, key: Hashable, work: Callable[[], Any], patience_seconds: float) -> None:
        self.key = key
        self.work = work
        self.patience_seconds = patience_seconds
        self.future: Future[Any] = Future()
        self.begun_at: float | None = None

    @property
    def left_seconds(self) -> float:
        """Seconds it may still take; the full time while it waits for a thread."""
        if self.begun_at is None:
            return self.patience_seconds
        return max(self.begun_at + self.patience_seconds - perf_counter(), 0.0)


class FileAccess:
    """Reads files in a few daemon threads that live while there is something to read; shared by batches and loops."""

    def __init__(self, max_threads: int = _MAX_THREADS, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Set the limits; no thread is started yet.

        Args:
            max_threads: Maximum number of threads; further reads wait for one.
            patience_seconds: How long a thread may read before the checks that wait for it fail.
        """
        self._threads = ThreadPool("nyxmon-files", max_threads)
        self._patience_seconds = patience_seconds
        self._lock = threading.Lock()
        self._jobs: dict[Hashable, _Job] = {}

    @property
    def busy(self) -> int:
        """Number of threads that are reading."""
        return self._threads.threads

    async def result(
        self,
        key: Hashable,
        what: str,
        work: Callable[[], T],
        *,
        attempt: Attempt | None = None,
        patience_seconds: float | None = None,
    ) -> T:
        """Return the result of reading in a thread; callers with the same key share one read.

        Args:
            key: Identifies what is read.
            what: What is read, for failure details.
            work: Reads it; blocks, and raises CheckFailed when something is wrong.
            attempt: The attempt that waits for it; None when several do.
            patience_seconds: How long the thread may take instead of the usual.

        Raises:
            CheckFailed: With reason `local` when it takes too long, or as `work` raises it.
        """
        job = self._job(key, work, self._patience_seconds if patience_seconds is None else patience_seconds)
        waiting = nullcontext() if attempt is None else _reading(attempt, what)
        with waiting:
            outcome: T | CheckFailed = await self._outcome(job, what)
        if isinstance(outcome, CheckFailed):
            raise outcome.fresh_copy()
        return outcome

    async def _outcome(self, job: _Job, what: str) -> Any:
        waiter = asyncio.wrap_future(job.future)
        while True:
            left_seconds = job.left_seconds
            try:
                async with asyncio.timeout(left_seconds):
                    return await asyncio.shield(waiter)
            except TimeoutError:
                if job.begun_at is None and self._all_blocked():
                    why = f"all {self._threads.limit} threads that read files wait for file systems that do not answer"
                    return CheckFailed(Reason.LOCAL, f"{what} could not be read: {why}")
                if job.begun_at is not None and not job.left_seconds:
                    why = f"within {job.patience_seconds:g} s; its file system does not answer"
                    return CheckFailed(Reason.LOCAL, f"{what} could not be read {why}")

    def _all_blocked(self) -> bool:
        with self._lock:
            blocked = sum(job.begun_at is not None and not job.left_seconds for job in self._jobs.values())
        return blocked >= self._threads.limit

    def _job(self, key: Hashable, work: Callable[[], Any], patience_seconds: float) -> _Job:
        with self._lock:
            job = self._jobs.get(key)
            if job is not None:
                return job
            job = self._jobs[key] = _Job(key, work, patience_seconds)
        if not self._threads.add(partial(self._read, job)):
            self._end(job, CheckFailed(Reason.LOCAL, "there is no thread to read files in"))
        return job

    def _read(self, job: _Job) -> None:
        job.begun_at = perf_counter()
        try:
            outcome = job.work()
        except CheckFailed as failure:
            outcome = failure
        except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
            outcome = CheckFailed(Reason.INTERNAL, f"reading files raised {error!r}")
        self._end(job, outcome)

    def _end(self, job: _Job, outcome: object) -> None:
        with self._lock:
            del self._jobs[job.key]
        job.future.set_result(outcome)


def _reading(attempt: Attempt, what: str) -> Phase:
    return attempt.phase("", on_timeout=Reason.LOCAL, detail=f"{what} could not be read", is_measured=False)
