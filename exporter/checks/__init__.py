"""The check types: one file each, and the names of the built-in ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exporter.checks.base import CheckType

BUILTIN: tuple[CheckType, ...] = ()
"""Every built-in check type; a new one is its file and its name here."""
