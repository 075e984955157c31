"""Reads the top-level keys of a file, by which kinds of configuration are told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.config.files import MAX_TARGET_FILE_BYTES, Files
from exporter.config.piped import is_pipe
from exporter.config.problems import Problems
from exporter.config.yaml_nodes import load_document

if TYPE_CHECKING:
    from pathlib import Path


def top_level_keys(path: Path) -> frozenset[str]:
    """Return the keys of a YAML file's mapping; none if it cannot be read, or is a pipe, which can be read once."""
    if is_pipe(path):
        return frozenset()
    try:
        text = Files().read_text(path, MAX_TARGET_FILE_BYTES)
    except ValueError:
        return frozenset()
    root = load_document(text, str(path), Problems(), is_of_go=True)
    return frozenset(root.value) if root is not None and isinstance(root.value, dict) else frozenset()
