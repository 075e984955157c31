"""Starts the checks of a batch, streams their results, and hands them over while other checks still run.

The producer and the consumer run concurrently. Reading the stream only after the task group has ended would deadlock
as soon as there are more results than the stream can hold.
"""

from __future__ import annotations

import asyncio
import threading
from operator import attrgetter
from time import perf_counter
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from exporter.model import Reason
from exporter.runner.every_address import EveryAddressExecution
from exporter.runner.execution import Execution
from exporter.runner.verdict import not_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from exporter.model import Check, Result
    from exporter.runner.executors import BatchExecutors
    from exporter.runner.pacing import Pacer
    from exporter.runner.stuck import Leftovers, StuckChecks

    NumberedResult = tuple[int, Result]

_GATHERING_SECONDS = 0.01
"""How long to wait for more results before handing over those available: a hop to a thread and back takes about half as
much CPU as a check."""

_GATHERED_RESULTS = 50
"""A smaller stream would fill up before that time, and the checks would wait."""


class FanOut:
    """Runs the checks of one batch on the loop and hands over their results; used once.

    Attributes:
        deadline_exceeded: Checks that were cut off, or not started, because of the deadline.
        stream_high_water: Most results observed waiting in the stream.
    """

    def __init__(
        self,
        checks: Sequence[Check],
        executors: BatchExecutors,
        sink: ResultSink,
        stuck: StuckChecks,
        leftovers: Leftovers,
        *,
        pacer: Pacer,
        buffer_size: int,
        deadline: float | None,
    ) -> None:
        """Prepare a batch.

        Args:
            checks: The checks to run.
            executors: The executors of the batch.
            sink: Receives the results.
            stuck: Remembers checks that ignore their cancellation.
            leftovers: Takes the tasks that outlive the batch.
            pacer: Holds back starts.
            buffer_size: Results that may wait in the stream.
            deadline: `perf_counter()` when all checks are cut off; None for no limit.
        """
        self.deadline_exceeded = 0
        self.stream_high_water = 0
        self._checks = checks
        self._executors = executors
        self._sink = sink
        self._stuck = stuck
        self._leftovers = leftovers
        self._pacer = pacer
        self._buffer_size = buffer_size
        self._deadline = deadline
        self._running: set[Execution] = set()
        self._late_sends: set[asyncio.Task[None]] = set()
        self._stopped = False
        self._all_sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Run all checks and return when every result has been handed over, even if a check was left behind."""
        send, receive = anyio.create_memory_object_stream["NumberedResult"](self._buffer_size)
        producer = asyncio.create_task(self._start_checks(send))
        try:
            async with receive:
                await self._consume(receive)
        finally:
            self.stop()
            if not any(map(attrgetter("abandoned"), self._running)):
                await asyncio.shield(producer)

    async def _start_checks(self, send: MemoryObjectSendStream[NumberedResult]) -> None:
        stuck = self._stuck.names()
        async with send, asyncio.TaskGroup() as task_group:
            for position, check in enumerate(self._checks):
                if check.name in stuck:
                    detail = "an earlier run ignored its cancellation and has not ended yet"
                    await self._send(send, position, not_run(check, Reason.STUCK, detail))
                    continue
                if not self._is_over():
                    await self._pacer.wait_for_turn()
                if self._stopped:
                    break
                if self._is_over():
                    detail = "not started before the deadline of the batch"
                    await self._send(send, position, not_run(check, Reason.DEADLINE, detail))
                    continue
                task_group.create_task(self._run_one(position, check, send))

    def _is_over(self) -> bool:
        return self._deadline is not None and perf_counter() >= self._deadline

    async def _run_one(self, position: int, check: Check, send: MemoryObjectSendStream[NumberedResult]) -> None:
        """Run one check with the executor of its type and send its result, unless it was left behind."""

        def leave_behind(abandoned: Execution, result: Result) -> None:
            self._stuck.add(abandoned)
            self._leftovers.add(abandoned.task)
            late = asyncio.ensure_future(self._send(send, position, result))
            self._late_sends.add(late)
            late.add_done_callback(self._late_sends.discard)

        kind = Execution if check.every_address is None else EveryAddressExecution
        execution = kind(check, self._executors, self._deadline, leave_behind)
        self._running.add(execution)
        try:
            result = await execution.run()
        finally:
            self._running.discard(execution)
        if not execution.abandoned:
            await self._send(send, position, result)

    async def _send(self, send: MemoryObjectSendStream[NumberedResult], position: int, result: Result) -> None:
        if result.reason is Reason.DEADLINE:
            self.deadline_exceeded += 1
        self._sink.answered[position] = result
        if len(self._sink.answered) == len(self._checks) and not self._all_sent.done():
            self._all_sent.set_result(None)
        try:
            try:
                send.send_nowait((position, result))
            except anyio.WouldBlock:
                await send.send((position, result))
        except anyio.BrokenResourceError:
            self._stopped = True  # nothing reads the stream any more: the batch has been given up

    async def _consume(self, receive: MemoryObjectReceiveStream[NumberedResult]) -> None:
        """Hand over results in a worker thread, all queued ones in one hop."""
        one_thread = anyio.CapacityLimiter(1)
        missing = len(self._checks)
        while missing:
            try:
                ready = [await receive.receive()]
            except anyio.EndOfStream:
                return  # the producer failed, and raises when it is awaited
            if missing > 1 and self._buffer_size >= _GATHERED_RESULTS:
                await asyncio.wait((self._all_sent,), timeout=_GATHERING_SECONDS)
            self.stream_high_water = max(self.stream_high_water, receive.statistics().current_buffer_used + 1)
            while True:
                try:
                    ready.append(receive.receive_nowait())
                except (anyio.WouldBlock, anyio.EndOfStream):
                    break
            await anyio.to_thread.run_sync(self._sink.hand_over, ready, limiter=one_thread)
            missing -= len(ready)

    def stop(self) -> None:
        """Cancel the checks that still run when the batch is given up; otherwise none are left."""
        self._stopped = True
        for execution in self._running:
            execution.given_up = True
            if execution.task is not None and not execution.abandoned:
                execution.task.cancel()


class ResultSink:
    """Hands over each result of one batch exactly once; shared by the calling thread and a worker thread.

    Results are identified by the position of their check, so that two checks of the same name do not hide each other.

    Attributes:
        answered: Results that were sent, by the position of their check: `close` finds them when the stream is blocked.
        error: What `result_received` raised; None if it has not.
    """

    def __init__(self, checks: Sequence[Check], result_received: Callable[[Result], object]) -> None:
        self.answered: dict[int, Result] = {}
        self._checks = checks
        self._result_received = result_received
        self._missing = set(range(len(checks)))
        self._lock = threading.Lock()
        self.error: BaseException | None = None

    def hand_over(self, numbered_results: Iterable[NumberedResult]) -> None:
        """Call `result_received` with each result whose check has none yet; what that raises is raised here."""
        with self._lock:
            for position, result in numbered_results:
                if position in self._missing:
                    self._missing.remove(position)
                    self._receive(result)

    def close(self, substitute: Callable[[Check], Result]) -> int:
        """Hand over the results that are still missing; later ones are dropped.

        Args:
            substitute: Creates the result of a check that has none.

        Returns:
            The number of substitutes.
        """
        with self._lock:
            missing = sorted(self._missing)
            self._missing.clear()
            substitutes = 0
            for position in missing:
                result = self.answered.get(position)
                if result is None:
                    result = substitute(self._checks[position])
                    substitutes += 1
                self._receive(result)
            return substitutes

    def _receive(self, result: Result) -> None:
        try:
            self._result_received(result)
        except BaseException as error:
            self.error = error
            raise
