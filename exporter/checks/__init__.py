"""The check types: one file each, and the names of the built-in ones."""

from __future__ import annotations

from exporter.checks.dns import DNS
from exporter.checks.tcp import TCP

BUILTIN = (DNS, TCP)
"""Every built-in check type; a new one is its file and its name here."""
