"""A few judging processes and the threads that use them, started when needed, ended when idle or too slow.

Processes are started with `subprocess` and used from threads, not from an event loop, because they outlive the loop of
a batch, and because starting them must not depend on the kind of loop.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from itertools import count
from queue import Empty, PriorityQueue
from typing import TYPE_CHECKING, TypedDict

from exporter.errors import CheckFailed
from exporter.judging.question import LENGTH_BYTES
from exporter.model import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_WORKERS = 2
_IDLE_SECONDS = 300.0
_MAX_ANSWER_BYTES = 16 << 20
_MAX_SLOW = 1024
_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from exporter.judging.child import serve; serve()"


class Answer(TypedDict):
    """The answer of a process.

    Attributes:
        outcomes: For each expectation whether it holds, the observed number, what was observed, whether it was
            evaluated, the reason when not, and the detail; None when there was too little memory to read the question.
        log: Message and fields of each logged line.
        fit: Whether the process can take another question.
    """

    outcomes: list[tuple[bool, float, str, bool, str | None, str]] | None
    log: list[tuple[str, dict[str, object]]]
    fit: bool


class _Question:
    """One check's question; lives until it is answered or given up."""

    def __init__(self, written: Callable[[], bytes], key: int) -> None:
        self.written = written
        self.key = key
        self.answer: Future[Answer] = Future()
        self._process: subprocess.Popen[bytes] | None = None
        self._given_up = False
        self._lock = threading.Lock()

    def begin(self, process: subprocess.Popen[bytes]) -> None:
        """Record the process that works on it, or kill that process if the question has been given up."""
        with self._lock:
            self._process = process
            if self._given_up:
                process.kill()

    def finish(self) -> bool:
        """Record that no process works on it; return whether it was given up, which has ended the process."""
        with self._lock:
            self._process = None
            return self._given_up

    def give_up(self) -> None:
        """Kill the process that works on it."""
        with self._lock:
            self._given_up = True
            if self._process is not None:
                self._process.kill()


class _Worker:
    """One process at a time, asked from one thread."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, question: _Question) -> Answer:
        """Return the answer to a question.

        Raises:
            CheckFailed: `local` when no process can be started or it does not work, `timeout` when the answer takes too
                much processor time, `too_large` when a signal kills the process, usually because it ran out of memory.
        """
        written = question.written()
        try:
            process = self._running()
        except OSError as error:
            raise CheckFailed(Reason.LOCAL, f"no process to judge the answer can be started: {error}") from error
        question.begin(process)
        answer: Answer | None = None
        with suppress(OSError, EOFError):
            answer = _exchanged(process, written)
        was_given_up = question.finish()
        if answer is None:
            raise _ended(self.end())
        if was_given_up or not answer["fit"]:
            self.end()
        return answer

    def end(self) -> int:
        """Kill the process, if there is one; return its exit status."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.kill()
        status = process.wait()
        with suppress(OSError), process:  # closing a pipe writes what is left of a question
            pass
        return status

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self.end()
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603 - this program, with this interpreter
                [sys.executable, "-I", "-c", _PROGRAM, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._process


def _exchanged(process: subprocess.Popen[bytes], question: bytes) -> Answer:
    """Write a question and read the answer.

    Raises:
        OSError: When the process has ended.
        EOFError: Likewise.
    """
    assert process.stdin is not None  # noqa: S101 - it was started with pipes
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(len(question).to_bytes(LENGTH_BYTES, "big"))
    process.stdin.write(question)
    process.stdin.flush()
    length = int.from_bytes(process.stdout.read(LENGTH_BYTES), "big")
    written = process.stdout.read(min(length, _MAX_ANSWER_BYTES))
    if not length or len(written) < length:
        raise EOFError
    answer: Answer = json.loads(written)
    return answer


def _ended(status: int) -> CheckFailed:
    """Return what the end of a process means: killed by a signal, it used too much; otherwise it never worked."""
    if status == -signal.SIGPROF:
        return CheckFailed(Reason.TIMEOUT, "judging the answer exceeded its limit of processor time")
    if status < 0:
        detail = f"judging the answer exceeded a limit: its process was killed by signal {-status}"
        return CheckFailed(Reason.TOO_LARGE, detail)
    return CheckFailed(Reason.LOCAL, f"the process that judges the answer does not work: it ended with {status}")


class JudgeWorkers:
    """The workers of the exporter; shared by threads and loops.

    Questions that took too long last time wait until there are no others, so that they do not delay those.
    """

    def __init__(self) -> None:
        self._questions: PriorityQueue[tuple[bool, int, _Question]] = PriorityQueue()
        self._numbers = count()
        self._slow: dict[int, None] = {}
        self._lock = threading.Lock()
        self._open = 0
        self._workers: set[_Worker] = set()

    async def answer_to(self, written: Callable[[], bytes], key: int) -> Answer:
        """Return the answer to a question; cancelling gives it up at once, even when a process is working on it.

        Args:
            written: Makes the question; called in a thread.
            key: Equal for the same expectations on different answers.

        Raises:
            CheckFailed: As `_Worker.ask` does, and with reason `local` when the system has no thread for it.
        """
        question = _Question(written, key)
        self._submit(question)
        try:
            return await asyncio.wrap_future(question.answer)
        except asyncio.CancelledError:
            question.give_up()
            raise

    def close(self) -> None:
        """End all processes; called when the program ends."""
        with self._lock:
            for worker in self._workers:
                worker.end()

    def _submit(self, question: _Question) -> None:
        """Leave a question to the workers, with another one if all may be busy.

        Raises:
            CheckFailed: With reason `local` when there is none, and the system has no thread for one.
        """
        with self._lock:
            if len(self._workers) < min(self._open + 1, _MAX_WORKERS):
                worker = _Worker()
                try:
                    threading.Thread(target=self._work, args=(worker,), name="nyxmon-judge", daemon=True).start()
                    self._workers.add(worker)
                except RuntimeError:
                    if not self._workers:
                        detail = "the system has no thread that asks a process to judge the answer"
                        raise CheckFailed(Reason.LOCAL, detail) from None
            self._open += 1
            self._questions.put((question.key in self._slow, next(self._numbers), question))

    def _work(self, worker: _Worker) -> None:
        """Answer questions until none has come for a while."""
        while (question := self._next(worker)) is not None:
            if question.answer.set_running_or_notify_cancel():
                try:
                    answer = worker.ask(question)
                except BaseException as error:  # noqa: BLE001 - raised again where the answer is awaited
                    self._remember(question.key, slow=True)
                    question.answer.set_exception(error)
                else:
                    self._remember(question.key, slow=False)
                    question.answer.set_result(answer)
            with self._lock:
                self._open -= 1
        worker.end()

    def _next(self, worker: _Worker) -> _Question | None:
        """Wait for a question; None, with the worker removed, when none came for long."""
        try:
            return self._questions.get(timeout=_IDLE_SECONDS)[-1]
        except Empty:
            with self._lock:
                if self._questions.empty():
                    self._workers.discard(worker)
                    return None
        return self._questions.get()[-1]

    def _remember(self, key: int, *, slow: bool) -> None:
        with self._lock:
            self._slow.pop(key, None)
            if slow:
                self._slow[key] = None
            if len(self._slow) > _MAX_SLOW:
                del self._slow[next(iter(self._slow))]


WORKERS = JudgeWorkers()
atexit.register(WORKERS.close)
