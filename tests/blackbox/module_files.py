"""Modules from texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.blackbox import load_modules

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.blackbox import Module


def module_of(path: Path, text: str) -> Module:
    """Return the module `m` of a file with this text, written into a directory."""
    file = path / "blackbox.yml"
    file.write_text(text)
    module = load_modules(file).get("m")
    assert module is not None
    return module
