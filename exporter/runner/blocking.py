"""Finds the check that blocks the event loop by reading the stack of the loop's thread."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from exporter.runner.execution import Execution

if TYPE_CHECKING:
    from types import FrameType


class Blocker(NamedTuple):
    """The check that blocks a thread.

    Attributes:
        execution: The execution whose executor does not yield to the loop.
        place: File and line in the executor, for people.
    """

    execution: Execution
    place: str


def find_blocker(thread_id: int) -> Blocker | None:
    """Return the check whose code the thread is running right now; None when there is none.

    A check that merely waits is not on the stack, so an idle loop has no blocker.
    """
    frame: FrameType | None = sys._current_frames().get(thread_id)  # noqa: SLF001 - documented, and the only way
    inner = frame
    while frame is not None:
        if frame.f_code is Execution.attempt_code():
            execution = frame.f_locals.get("self")
            is_foreign = inner is not None and inner.f_code.co_filename != frame.f_code.co_filename
            if inner is not None and is_foreign and isinstance(execution, Execution):
                return Blocker(execution, f"{Path(inner.f_code.co_filename).name}:{inner.f_lineno}")
        inner, frame = frame, frame.f_back
    return None
