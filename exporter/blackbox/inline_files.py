"""Keeps certificates and keys that are written in the configuration as files in memory, which TLS contexts can read."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path


@cache
def inline_file(text: str) -> str:
    """Return the path of a file with this text.

    Equal texts share a file, which exists as long as the process: connections may read it at any time. It is never
    written to a disk.
    """
    descriptor = os.memfd_create("nyxmon-exporter", os.MFD_CLOEXEC)
    path = f"/proc/self/fd/{descriptor}"
    Path(path).write_text(text, encoding="utf-8")
    return path
