"""Ends the process in time, whatever a check type has left running.

At exit, Python waits for threads, child processes and `atexit` handlers. A check type may have left any of these, and
none of them may keep the process from stopping.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import suppress
from typing import NoReturn

_LOG_LIMIT_SECONDS = 0.6
"""A little longer than the log waits for its reader."""


def leave(status: int) -> NoReturn:
    """End the process with this exit status once its output and its log are written."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    # In a thread, because a handler's lock may be held by a thread that a check type has left.
    flushing = threading.Thread(target=logging.shutdown, daemon=True)
    flushing.start()
    flushing.join(_LOG_LIMIT_SECONDS)
    os._exit(status)


def leave_within(seconds: float, status: int) -> None:
    """End the process after this many seconds, unless it has exited normally before."""
    timer = threading.Timer(seconds, os._exit, (status,))
    timer.daemon = True
    timer.start()
