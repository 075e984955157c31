"""Writes files atomically, so that no reader ever sees half of one."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def replace_file(path: Path, content: str | bytes, *, mode: int | None = None) -> None:
    """Replace the content of a file atomically; a link to it stays a link.

    Args:
        path: The file. Something other than a regular file, such as a terminal, is written to directly.
        content: The new content; text is written as UTF-8.
        mode: The permissions; None keeps those of an existing file.

    Raises:
        OSError: When it cannot be written, with the path in its message; the old content stays.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        _replace(path, data, mode)
    except OSError as error:
        raise OSError(error.errno, f"cannot write {path}: {error.strerror}") from error


def _replace(path: Path, data: bytes, mode: int | None) -> None:
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    place = path.resolve()
    # in the same directory, and with a name that matches neither `*.yml` nor `*.prom`, which others read
    draft = place.with_name(f".{place.name}.{os.getpid()}.new")
    try:
        draft.write_bytes(data)
        if mode is not None:
            draft.chmod(mode)
        elif place.exists():
            shutil.copymode(place, draft)
        draft.replace(place)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
