"""A thread for the expensive step of handshakes, used while the event loop has other work.

OpenSSL takes about half a millisecond to check the server's flight and derive the keys, without holding Python's lock.
Meanwhile the loop continues with other checks on another core. A loop that has nothing else to do takes the step itself
and saves the hop.

The number of handshakes under way alone does not show whether it has: checks are started only as fast as the loop can
follow, so a loop that takes every step itself never has many. Therefore a large batch counts as work, too.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from OpenSSL import SSL

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

_MANY_HANDSHAKES, _MANY_CHECKS = 4, 50
_IDLE_SECONDS = 1.0


class Step(NamedTuple):
    """A step of a handshake that has been taken.

    Attributes:
        error: What OpenSSL raised, also when it needs more data; None when the handshake is complete.
        waited_seconds: How long the step waited for the thread.
        ended_at: `perf_counter()` at its end.
    """

    error: SSL.Error | None
    waited_seconds: float
    ended_at: float


class HandshakeThread:
    """Takes steps of handshakes; lives for the process, its thread while there are steps.

    Attributes:
        under_way: Handshakes that have begun and not ended; counted by them, on the loop.
    """

    def __init__(self) -> None:
        self.under_way = 0
        self._large_batches = 0
        self._asked: SimpleQueue[_Asked] = SimpleQueue()
        self._lock = threading.Lock()
        self._is_running = False

    @property
    def is_useful(self) -> bool:
        """Whether the loop has other work to do."""
        return self._large_batches > 0 or self.under_way >= _MANY_HANDSHAKES

    @contextmanager
    def during_batch(self, checks: int) -> Iterator[None]:
        """Count a batch of this many checks as work while it runs; entered and left on the loop."""
        is_large = checks >= _MANY_CHECKS
        self._large_batches += is_large
        try:
            yield
        finally:
            self._large_batches -= is_large

    def take_step(
        self, connection: SSL.Connection, loop: asyncio.AbstractEventLoop, taken: Callable[[Step], None]
    ) -> bool:
        """Continue a handshake; the connection must not be used until `taken` is called on the loop.

        Returns:
            False when the system has no thread for it, and the caller has to take the step itself.
        """
        with self._lock:
            if not self._is_running:
                try:
                    threading.Thread(target=self._run, name="nyxmon-handshakes", daemon=True).start()
                except RuntimeError:
                    return False
                self._is_running = True
            self._asked.put(_Asked(perf_counter(), connection, loop, taken))
        return True

    def _run(self) -> None:
        while True:
            try:
                asked_at, connection, loop, taken = self._asked.get(timeout=_IDLE_SECONDS)
            except Empty:
                with self._lock:
                    if self._asked.empty():
                        self._is_running = False
                        return
                continue
            began = perf_counter()
            error = step_error(connection)
            step = Step(error, began - asked_at, perf_counter())
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(taken, step)
            del connection, loop, taken, error, step


class _Asked(NamedTuple):
    """A step that waits for the thread."""

    asked_at: float
    connection: SSL.Connection
    loop: asyncio.AbstractEventLoop
    taken: Callable[[Step], None]


def step_error(connection: SSL.Connection) -> SSL.Error | None:
    """Continue a handshake and return what OpenSSL raises; None when it is complete."""
    try:
        connection.do_handshake()
    except SSL.Error as error:
        return error.with_traceback(None)  # which would keep the callers and what they hold in memory
    return None
