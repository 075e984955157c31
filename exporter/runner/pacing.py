"""When the next check of a batch may start, and whether the event loop keeps up meanwhile.

Starting everything at once falsifies every duration: each answer then waits in the loop behind all the others. A cap
on how many checks are under way would be wrong as well, since most of them only wait for their targets. So a start is
held back while the loop has work to catch up with; and it reserves the time that its answer will cost the loop, since
checks that were started in one moment are answered in one moment, however long that takes.
"""

from __future__ import annotations

import asyncio
from threading import get_ident
from time import perf_counter

_BUSY_ITERATION_SECONDS = 0.0005
"""A pass of the loop that takes longer delays every answer that arrives during it by about as much. About one step of a
TLS handshake: with more, answers begin to queue; with less, nothing is gained."""

_LONGEST_HOLD_SECONDS = 0.05
"""A start is held back no longer than this because of a busy loop, so that a loop kept busy by somebody else cannot
starve a batch."""

_AHEAD_SECONDS = 0.002
"""How far starts may be ahead of the work reserved, and catch up when they are late: what a loop's timer can tell."""

_SPREAD_SECONDS, _MOST_SPREAD = 0.02, 3.0
"""Starts are further apart than the work takes, by as many times the work and by as much for the whole batch at the
most: few checks are done soon anyway, and then none waits for another that costs more than was thought."""

_LONGEST_WORK_SECONDS = 0.005
_CERTAIN_STARTS = 100
"""Batches of fewer starts teach the less."""

_BEAT_SECONDS = 0.05


class Workload:
    """What checks cost the event loop, learned from batch to batch; lives as long as the process.

    Attributes:
        check_seconds: The loop's time for a check, without a TLS handshake.
        handshake_seconds: Its time for a TLS handshake.
    """

    def __init__(self) -> None:
        self.check_seconds = 0.0001
        self.handshake_seconds = 0.0006

    def learn(self, busy_seconds: float, checks: int, handshakes: int) -> None:
        """Take in what a batch took.

        Args:
            busy_seconds: CPU time of the loop's thread during the batch.
            checks: Checks started.
            handshakes: Handshakes begun.
        """
        if not checks:
            return
        weight = min(1.0, checks / _CERTAIN_STARTS) / 2
        if handshakes:
            seen = (busy_seconds - checks * self.check_seconds) / handshakes
            self.handshake_seconds += weight * (_credible(seen) - self.handshake_seconds)
        else:
            self.check_seconds += weight * (_credible(busy_seconds / checks) - self.check_seconds)


def _credible(seconds: float) -> float:
    return min(max(seconds, 0.0), _LONGEST_WORK_SECONDS)


class Pacer:
    """Paces one batch on the running loop; whoever waits for a turn gets it in the order of asking, one at a time.

    Attributes:
        start_wait_seconds: For each turn so far, how long it was waited for.
        handshakes: Turns so far that were for handshakes.
    """

    def __init__(self, workload: Workload | None = None, checks: int | None = None) -> None:
        """Begin a batch.

        Args:
            workload: What its checks will cost the loop.
            checks: How many there are; None when that is not known.
        """
        self.start_wait_seconds: list[float] = []
        self.handshakes = 0
        self._workload = workload or Workload()
        self._turnstile = asyncio.Lock()
        self._reserved_until = 0.0
        self._spread_seconds = _SPREAD_SECONDS / checks if checks else 0.0

    async def wait_for_turn(self) -> None:
        """Return when one more check may go on."""
        await self._wait(self._workload.check_seconds)

    async def wait_for_handshake(self) -> None:
        """Return when one more check may begin to connect for a TLS handshake."""
        self.handshakes += 1
        await self._wait(self._workload.handshake_seconds)

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
            apart_seconds = work_seconds + min(_MOST_SPREAD * work_seconds, self._spread_seconds)
            self._reserved_until = max(self._reserved_until, now - _AHEAD_SECONDS) + apart_seconds
        self.start_wait_seconds.append(now - asked)


class Pulse:
    """The life signs of the event loop during one batch: made by the caller's thread, beaten on the loop.

    Attributes:
        last_beat: `perf_counter()` value of the last sign of life, or of the making of this object.
        longest_lag_seconds: The latest that a beat was so far.
        loop: The loop, once it has begun with the batch.
        thread_id: The thread it runs in.
    """

    def __init__(self) -> None:
        self.last_beat = perf_counter()
        self.longest_lag_seconds = 0.0
        self.loop: asyncio.AbstractEventLoop | None = None
        self.thread_id = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Beat on the running loop until `stop`."""
        self.loop = asyncio.get_running_loop()
        self.thread_id = get_ident()
        self.last_beat = perf_counter()
        self._arm(self.loop)

    def stop(self) -> None:
        """End the beating; a beat that is overdue right now counts as lag."""
        if self._timer is not None:
            self._timer.cancel()
            self._see(perf_counter())

    def silent_seconds(self) -> float:
        """Return for how long the loop has shown no sign of life; from any thread."""
        return max(0.0, perf_counter() - self.last_beat - _BEAT_SECONDS)

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(_BEAT_SECONDS, self._beat, loop)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._see(perf_counter())
        self._arm(loop)

    def _see(self, now: float) -> None:
        self.longest_lag_seconds = max(self.longest_lag_seconds, now - self.last_beat - _BEAT_SECONDS)
        self.last_beat = now
