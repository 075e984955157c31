"""Modules from texts, and the series that their pages show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.blackbox import load_modules
from exporter.blackbox.page import ProbePages
from exporter.masking import unmasked

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.blackbox import Module
    from exporter.model import Result


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


def shown(module: Module, result: Result) -> dict[str, float]:
    """Return the series of a strict page about a result, with their values."""
    page = ProbePages(module, unmasked, strict=True).series(result).text(is_openmetrics=False)
    lines = (line.rpartition(" ") for line in page.splitlines() if not line.startswith("#"))
    return {series: float(value) for series, _, value in lines}
