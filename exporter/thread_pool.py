"""A bounded pool of daemon threads that start when there is work and end when there is none left.

For work that may hang for ever: `concurrent.futures` would wait for such a thread when the process ends.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class ThreadPool:
    """Does work in threads; lives as long as its owner, shared by threads and event loops.

    Attributes:
        limit: Maximum number of threads; further work waits for one.
        threads: Number of threads now.
    """

    def __init__(self, name: str, limit: int) -> None:
        """Create the pool; no thread is started yet.

        Args:
            name: The name of every thread.
            limit: Maximum number of threads.
        """
        self.limit = limit
        self.threads = 0
        self._name = name
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], object]] = deque()

    def add(self, work: Callable[[], object]) -> bool:
        """Do work as soon as a thread is free; return False, and leave it, when the system cannot start one.

        Args:
            work: Called in a thread; must not raise.
        """
        with self._lock:
            self._waiting.append(work)
            if self.threads == self.limit:
                return True
            self.threads += 1
        try:
            threading.Thread(target=self._run, name=self._name, daemon=True).start()
        except RuntimeError:
            with self._lock:
                self.threads -= 1
                if self.threads or work not in self._waiting:
                    return True  # another thread has taken it, or will
                self._waiting.remove(work)
            return False
        return True

    def _run(self) -> None:
        while (work := self._next()) is not None:
            work()

    def _next(self) -> Callable[[], object] | None:
        """Return the next work; None when the thread should end."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self.threads -= 1
            return None
