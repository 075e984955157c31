"""Reads files that are reread while the program runs: regular files only, bounded, never blocking on open.

A pipe or a device is rejected before it can block. A regular file on a file system that does not respond still blocks,
so code that must not wait reads in a thread that can be abandoned.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def open_regular(path: str | Path) -> int:
    """Open a file for reading and return its descriptor.

    Raises:
        OSError: When the system cannot open it.
        ValueError: When it is not a regular file, or the path is invalid.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise ValueError("it is not a regular file")


def read_regular(path: str | Path, limit_bytes: int) -> bytes:
    """Return the content of a file, cut to one byte more than the limit.

    Raises:
        OSError: When the system cannot open or read it.
        ValueError: When it is not a regular file, or the path is invalid.
    """
    with os.fdopen(open_regular(path), "rb") as file:
        return file.read(limit_bytes + 1)


def reading_failure(error: OSError | ValueError) -> str:
    """Return why a file could not be read, such as `No such file or directory`."""
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)
