"""Paces the starts of checks in a batch and measures whether the event loop keeps up.

Starting all checks at once would distort every duration: each answer would wait in the loop behind all others. A cap
on concurrent checks would be wrong as well, since most checks only wait for their targets. Instead, a start is held
back while the loop has work to catch up with, and it reserves the time that its answer will cost the loop, because
checks started at the same moment are answered at the same moment, however long that takes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from threading import get_ident
from time import perf_counter

_BUSY_ITERATION_SECONDS = 0.0005
"""A pass of the loop that takes longer than this delays every answer that arrives during it by about as much. This is
about one step of a TLS handshake: with a higher value answers begin to queue, a lower one gains nothing."""

_LONGEST_HOLD_SECONDS = 0.05
"""A busy loop holds back a start no longer than this, so that other work on the loop cannot starve a batch."""

_AHEAD_SECONDS = 0.002
"""How far starts may run ahead of the reserved work, or catch up when late: the resolution of a loop's timer."""

_SPREAD_SECONDS, _MOST_SPREAD = 0.02, 3.0
"""Starts are spaced further apart than the work takes: by at most this many times the work, and by at most this long
over the whole batch. A small batch is done soon anyway, and then no check waits for one that costs more than expected.
"""

_LONGEST_WORK_SECONDS = 0.005
_CERTAIN_STARTS = 100
"""Batches with fewer starts have less weight in what is learned."""

_BEAT_SECONDS = 0.05
_LATE_BEATS = 16


class Workload:
    """How much event loop time checks take, learned from batch to batch; lives for the process.

    Attributes:
        check_seconds: Loop time for a check, without a TLS handshake.
        handshake_seconds: Loop time for a TLS handshake.
    """

    def __init__(self) -> None:
        self.check_seconds = 0.0001
        self.handshake_seconds = 0.0006

    def learn(self, busy_seconds: float, checks: int, handshakes: int) -> None:
        """Learn from one batch.

        Args:
            busy_seconds: CPU time of the loop's thread during the batch.
            checks: Checks started.
            handshakes: Handshakes started.
        """
        if not checks:
            return
        weight = min(1.0, checks / _CERTAIN_STARTS) / 2
        seen = (busy_seconds - checks * self.check_seconds) / handshakes if handshakes else busy_seconds / checks
        credible = min(max(seen, 0.0), _LONGEST_WORK_SECONDS)
        if handshakes:
            self.handshake_seconds += weight * (credible - self.handshake_seconds)
        else:
            self.check_seconds += weight * (credible - self.check_seconds)


class Pacer:
    """Paces one batch on the running loop; waiters get their turns one at a time, in the order they asked.

    Attributes:
        start_wait_seconds: The wait for each turn so far.
        handshakes: Number of turns so far that were for handshakes.
    """

    def __init__(self, workload: Workload | None = None, checks: int | None = None) -> None:
        """Begin a batch.

        Args:
            workload: How much loop time its checks are expected to take.
            checks: Number of checks; None when unknown.
        """
        self.start_wait_seconds: list[float] = []
        self.handshakes = 0
        self._workload = workload or Workload()
        self._turnstile = asyncio.Lock()
        self._reserved_until = 0.0
        self._spread_seconds = _SPREAD_SECONDS / checks if checks else 0.0

    async def wait_for_turn(self) -> None:
        """Wait until one more check may start."""
        await self._wait(self._workload.check_seconds)

    async def wait_for_handshake(self) -> None:
        """Wait until one more check may connect for a TLS handshake."""
        self.handshakes += 1
        await self._wait(self._workload.handshake_seconds)

    def reserve_handshake(self) -> None:
        """Let the next checks wait for a TLS handshake that begins now, without a turn: its check has just had one."""
        self.handshakes += 1
        self._reserve(self._workload.handshake_seconds, perf_counter())

    async def _wait(self, work_seconds: float) -> None:
        asked = perf_counter()
        async with self._turnstile:
            early = self._reserved_until - perf_counter()
            if early > _AHEAD_SECONDS:
                await asyncio.sleep(early)
            began = before = perf_counter()
            while True:
                await asyncio.sleep(0)
                now = perf_counter()
                if now - before < _BUSY_ITERATION_SECONDS or now - began > _LONGEST_HOLD_SECONDS:
                    break
                before = now
            self._reserve(work_seconds, now)
        self.start_wait_seconds.append(now - asked)

    def _reserve(self, work_seconds: float, now: float) -> None:
        apart_seconds = work_seconds + min(_MOST_SPREAD * work_seconds, self._spread_seconds)
        self._reserved_until = max(self._reserved_until, now - _AHEAD_SECONDS) + apart_seconds


class Pulse:
    """The heartbeat of the event loop during one batch; created by the caller's thread, beats on the loop.

    Attributes:
        last_beat: `perf_counter()` at the last beat, or at the creation of this object.
        longest_lag_seconds: The longest delay of a beat so far.
        loop: The loop, once it has started the batch.
        thread_id: The thread that the loop runs in.
    """

    def __init__(self) -> None:
        self.last_beat = perf_counter()
        self.longest_lag_seconds = 0.0
        self.loop: asyncio.AbstractEventLoop | None = None
        self.thread_id = 0
        self._timer: asyncio.TimerHandle | None = None
        self._late: deque[tuple[float, float]] = deque(maxlen=_LATE_BEATS)

    def start(self) -> None:
        """Beat on the running loop until `stop`."""
        self.loop = asyncio.get_running_loop()
        self.thread_id = get_ident()
        self.last_beat = perf_counter()
        self._timer = self.loop.call_later(_BEAT_SECONDS, self._beat, self.loop)

    def stop(self) -> None:
        """Stop beating; a beat that is overdue counts as lag."""
        if self._timer is not None:
            self._timer.cancel()
            self._see(perf_counter())

    def silent_seconds(self) -> float:
        """Return for how long a beat has been overdue; callable from any thread."""
        return max(0.0, perf_counter() - self.last_beat - _BEAT_SECONDS)

    def lag_after(self, beat: float) -> float:
        """Return how late the beat after this one was, in seconds; 0 when it was in time or is long past."""
        return next((lag_seconds for before, lag_seconds in tuple(self._late) if before == beat), 0.0)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._see(perf_counter())
        self._timer = loop.call_later(_BEAT_SECONDS, self._beat, loop)

    def _see(self, now: float) -> None:
        lag_seconds = now - self.last_beat - _BEAT_SECONDS
        self.longest_lag_seconds = max(self.longest_lag_seconds, lag_seconds)
        if lag_seconds > _BEAT_SECONDS:
            self._late.append((self.last_beat, lag_seconds))
        self.last_beat = now
