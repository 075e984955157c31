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

PATIENCE_SECONDS = 1.0
"""How long a file is waited for; a system that is merely busy takes milliseconds."""

_MAX_THREADS = 32


class _Job:
    """One piece of reading, waiting for a thread or in one."""

    __slots__ = ("asked_at", "future", "key", "work")

    def __init__(self, key: Hashable, work: Callable[[], Any]) -> None:
        self.key = key
        self.work = work
        self.future: Future[Any] = Future()
        self.asked_at = perf_counter()


class FileAccess:
    """Reads files in few daemon threads that live while there is something to read; shared by batches and loops."""

    def __init__(self, max_threads: int = _MAX_THREADS, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Start nothing yet.

        Args:
            max_threads: The most threads there are at once; more reading waits for one.
            patience_seconds: How long reading is waited for.
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
            patience_seconds: How long it is waited for instead of the usual.

        Raises:
            CheckFailed: With reason `local` when it takes too long, and what the work raises.
        """
        patience = self._patience_seconds if patience_seconds is None else patience_seconds
        attempt = current_attempt()
        before = attempt.timeout_reason, attempt.timeout_detail
        attempt.timeout_reason, attempt.timeout_detail = Reason.LOCAL, f"{what} could not be read"
        job = self._job(key, work)
        left_seconds = job.asked_at + patience - perf_counter()
        try:
            async with asyncio.timeout(max(left_seconds, 0.0)):
                outcome: T | CheckFailed = await asyncio.shield(asyncio.wrap_future(job.future))
        except TimeoutError as error:
            if job.future.done():
                raise
            detail = f"{what} could not be read within {patience:g} s; its file system does not answer"
            raise CheckFailed(Reason.LOCAL, detail) from error
        attempt.timeout_reason, attempt.timeout_detail = before
        if isinstance(outcome, CheckFailed):
            raise outcome.anew()
        return outcome

    def _job(self, key: Hashable, work: Callable[[], Any]) -> _Job:
        with self._lock:
            job = self._jobs.get(key)
            if job is not None:
                return job
            job = self._jobs[key] = _Job(key, work)
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
                return self._queue.popleft()
            self._threads -= 1
            return None
