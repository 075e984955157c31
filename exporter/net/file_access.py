"""Files that checks need, read in threads of their own, so that a file system that does not answer stops nobody else.

A file on a dead mount blocks whoever reads it, for minutes or for good. Such a thread is left behind: the checks that
need this file fail, at once while it is still blocked, and no second thread is sent after it.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import Future
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from exporter.attempt import current_attempt
from exporter.errors import CheckFailed
from exporter.model import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")

PATIENCE_SECONDS = 2.0
"""How long a thread may read; one of a system that is merely busy takes milliseconds."""

_MAX_THREADS = 32


class _Job:
    """One piece of reading, waiting for a thread or in one."""

    __slots__ = ("begun_at", "future", "key", "patience_seconds", "work")

    def __init__(self, key: Hashable, work: Callable[[], Any], patience_seconds: float) -> None:
        self.key = key
        self.work = work
        self.patience_seconds = patience_seconds
        self.future: Future[Any] = Future()
        self.begun_at: float | None = None

    @property
    def left_seconds(self) -> float:
        """How much longer it may take; as long as all of it while it waits for a thread."""
        if self.begun_at is None:
            return self.patience_seconds
        return max(self.begun_at + self.patience_seconds - perf_counter(), 0.0)


class FileAccess:
    """Reads files in few daemon threads that live while there is something to read; shared by batches and loops."""

    def __init__(self, max_threads: int = _MAX_THREADS, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Start nothing yet.

        Args:
            max_threads: The most threads there are at once; more reading waits for one.
            patience_seconds: How long a thread may read before whoever waits for it fails.
        """
        self._max_threads = max_threads
        self._patience_seconds = patience_seconds
        self._lock = threading.Lock()
        self._jobs: dict[Hashable, _Job] = {}
        self._queue: deque[_Job] = deque()
        self._threads = 0

    @property
    def busy(self) -> int:
        """Threads that read."""
        return self._threads

    async def result(self, key: Hashable, what: str, work: Callable[[], T], patience_seconds: float | None = None) -> T:
        """Read in a thread, together with all who read the same.

        Args:
            key: What is read; the same for the same work.
            what: What is read, as a failure calls it.
            work: Reads it; blocks meanwhile, and raises CheckFailed for what is wrong.
            patience_seconds: How long the thread may take instead of the usual.

        Raises:
            CheckFailed: With reason `local` when it takes too long, and what the work raises.
        """
        attempt = current_attempt()
        before = attempt.timeout_reason, attempt.timeout_detail
        attempt.timeout_reason, attempt.timeout_detail = Reason.LOCAL, f"{what} could not be read"
        job = self._job(key, work, self._patience_seconds if patience_seconds is None else patience_seconds)
        outcome: T | CheckFailed = await self._outcome(job, what)
        attempt.timeout_reason, attempt.timeout_detail = before
        if isinstance(outcome, CheckFailed):
            raise outcome.anew()
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
                    why = f"all {self._max_threads} threads that read files wait for file systems that do not answer"
                    return CheckFailed(Reason.LOCAL, f"{what} could not be read: {why}")
                if job.begun_at is not None and not job.left_seconds:
                    why = f"within {job.patience_seconds:g} s; its file system does not answer"
                    return CheckFailed(Reason.LOCAL, f"{what} could not be read {why}")

    def _all_blocked(self) -> bool:
        with self._lock:
            blocked = sum(job.begun_at is not None and not job.left_seconds for job in self._jobs.values())
        return blocked >= self._max_threads

    def _job(self, key: Hashable, work: Callable[[], Any], patience_seconds: float) -> _Job:
        with self._lock:
            job = self._jobs.get(key)
            if job is not None:
                return job
            job = self._jobs[key] = _Job(key, work, patience_seconds)
            self._queue.append(job)
            if self._threads == self._max_threads:
                return job
            self._threads += 1
        try:
            threading.Thread(target=self._read, name="nyxmon-files", daemon=True).start()
        except RuntimeError:  # there are too many threads in the system
            with self._lock:
                self._threads -= 1
                if self._threads or job not in self._queue:
                    return job  # another one has come to it, or will
                self._queue.remove(job)
            self._end(job, CheckFailed(Reason.LOCAL, "there is no thread to read files in"))
        return job

    def _read(self) -> None:
        while (job := self._next()) is not None:
            try:
                outcome = job.work()
            except CheckFailed as failure:
                outcome = failure
            except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
                outcome = CheckFailed(Reason.INTERNAL, f"reading files raised {error!r}")
            self._end(job, outcome)

    def _end(self, job: _Job, outcome: object) -> None:
        with self._lock:
            del self._jobs[job.key]
        job.future.set_result(outcome)

    def _next(self) -> _Job | None:
        """Return what is to be read next; None when the thread is to end."""
        with self._lock:
            if self._queue:
                job = self._queue.popleft()
                job.begun_at = perf_counter()
                return job
            self._threads -= 1
            return None
