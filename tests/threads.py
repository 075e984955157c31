"""Counting threads without being fooled by those that are just ending."""

from __future__ import annotations

import threading
import time


def threads_come_down_to(count: int, *, within_seconds: float = 3.0) -> bool:
    """Wait a moment until no more threads run than there were; a worker that is told to end takes its time."""
    until = time.monotonic() + within_seconds
    while threading.active_count() > count and time.monotonic() < until:
        time.sleep(0.01)
    return threading.active_count() <= count
