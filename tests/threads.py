"""Finds the threads that were left behind, whatever other threads of the test run end meanwhile; refuses new ones."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.waiting import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


def threads_left(before: Collection[threading.Thread]) -> list[str]:
    """Return the names of the threads that did not exist before, after giving them time to end."""
    until = time.monotonic() + PATIENCE_SECONDS
    while (new := set(threading.enumerate()) - set(before)) and time.monotonic() < until:
        time.sleep(0.005)
    return sorted(thread.name for thread in new)


@contextmanager
def no_new_threads() -> Iterator[None]:
    """Let the system refuse every new thread: each would need a stack for which there are not enough addresses."""
    size = threading.stack_size(2**46)
    try:
        yield
    finally:
        threading.stack_size(size)
