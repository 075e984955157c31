"""The check types: one file each, and the names of the built-in ones."""

from __future__ import annotations

from exporter.checks.dns import DNS
from exporter.checks.http import HTTP, JSON_HTTP
from exporter.checks.tcp import TCP

BUILTIN = (HTTP, JSON_HTTP, DNS, TCP)
"""Every built-in check type; a new one is its file and its name here."""
