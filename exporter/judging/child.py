"""The judging process: reads questions from standard input and writes answers to standard output.

Its memory and processor time are limited by the size of the question. It exits when its input ends, and imports only
what it needs. A question is pickled by the exporter; an answer is JSON, because the process has read what a target
sent.
"""

from __future__ import annotations

import json
import os
import pickle
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import exporter.judging.content
import exporter.judging.json_path  # noqa: F401 - loaded at startup, so that no question pays for it
from exporter.expect import evaluate
from exporter.judging.content import remarks_of
from exporter.judging.question import LENGTH_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.model import Expectation, Observation

_FREE_MEMORY_BYTES, _MEMORY_BYTES_PER_BYTE = 128 << 20, 12
_FREE_PROCESSOR_SECONDS, _BYTES_PER_PROCESSOR_SECOND = 2.0, 8 << 20
_KEPT_MEMORY_BYTES = 96 << 20
_NICENESS = 5


def serve() -> None:
    """Answer questions until there are no more; signals meant for the exporter are ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICENESS)
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    while (length := questions.read(LENGTH_BYTES)) and _answer(int.from_bytes(length, "big"), questions, answers):
        pass


def processor_seconds(question_bytes: int) -> float:
    """Return the processor seconds that a question of this size may take before the kernel kills the process."""
    return _FREE_PROCESSOR_SECONDS + question_bytes / _BYTES_PER_PROCESSOR_SECOND


def _answer(length: int, questions: BinaryIO, answers: BinaryIO) -> bool:
    """Answer a question; return whether the process can take another, which it cannot once it has grown large."""
    _limit_memory(_FREE_MEMORY_BYTES + length * _MEMORY_BYTES_PER_BYTE)
    signal.setitimer(signal.ITIMER_PROF, processor_seconds(length))
    answer: dict[str, object] = {"outcomes": None, "log": []}
    fit = False
    try:
        answer = _judge(*pickle.loads(questions.read(length)))  # noqa: S301 - the exporter has written it
        fit = _memory_bytes() < _KEPT_MEMORY_BYTES
    except MemoryError:
        pass  # without outcomes
    signal.setitimer(signal.ITIMER_PROF, 0)
    written = json.dumps({**answer, "fit": fit}).encode()
    answers.write(len(written).to_bytes(LENGTH_BYTES, "big") + written)
    answers.flush()
    return fit


def _judge(expectations: Sequence[Expectation], observed: Mapping[str, Observation]) -> dict[str, Any]:
    outcomes = evaluate(expectations, observed)
    return {
        "outcomes": [
            (outcome.ok, outcome.value, outcome.observed, outcome.evaluated, outcome.reason, outcome.detail)
            for outcome in outcomes
        ],
        "log": remarks_of(observed),
    }


def _memory_bytes() -> int:
    """Return the bytes of memory in use; 0 where the system does not report it.

    `getrusage` is of no use: its maximum starts at that of the parent process.
    """
    try:
        with Path("/proc/self/statm").open(encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def _limit_memory(limit_bytes: int) -> None:
    """Limit the memory that the process may allocate; if the system refuses, the kernel's own limits apply."""
    _, hard_bytes = resource.getrlimit(resource.RLIMIT_DATA)
    if hard_bytes != resource.RLIM_INFINITY:
        limit_bytes = min(limit_bytes, hard_bytes)
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, hard_bytes))
    except (OSError, ValueError):
        return
