"""A file written whole or not at all: whoever reads it meanwhile, and whoever finds the disk full, has the old one."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def replace_file(path: Path, text: str) -> None:
    """Put a text into a file; one that is there keeps its permissions, and a link to it stays a link.

    Args:
        path: The file. What is there and is no regular file, such as a terminal, is written to.
        text: What it is to hold, in UTF-8.

    Raises:
        OSError: When it cannot be written; what was there before stays.
    """
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    place = path.resolve()
    # a name that no `*.yml` in the configuration of Prometheus finds
    draft = place.with_name(f".{place.name}.{os.getpid()}.new")
    try:
        draft.write_text(text, encoding="utf-8")
        if place.exists():
            shutil.copymode(place, draft)
        draft.replace(place)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
