"""Finds the threads that were left behind, whatever other threads of the test run end meanwhile."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from tests.waiting import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Collection


def threads_left(before: Collection[threading.Thread]) -> list[str]:
    """Return the names of the threads that did not exist before, after giving them time to end."""
    until = time.monotonic() + PATIENCE_SECONDS
    while (new := set(threading.enumerate()) - set(before)) and time.monotonic() < until:
        time.sleep(0.005)
    return sorted(thread.name for thread in new)
