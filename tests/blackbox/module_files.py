"""Modules from texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.blackbox import load_modules

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.blackbox import Module


def module_file(path: Path, text: str) -> Path:
    """Write a file with this text into a directory."""
    file = path / "blackbox.yml"
    file.write_text(text)
    return file


def module_of(path: Path, text: str) -> Module:
    """Return the module `m` of a file with this text, written into a directory."""
    module = load_modules(module_file(path, text)).get("m")
    assert module is not None
    return module
