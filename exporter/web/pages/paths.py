"""Paths of pages, for links: without a prefix, and quoted so that any name survives the way through a browser."""

from __future__ import annotations

from urllib.parse import quote, urlencode

_DOTS = (".", "..")
"""Names that a browser would take for steps within a path, however they are quoted (WHATWG URL, "double-dot")."""


def check_path(name: str) -> str:
    """Return the path of the page of a check."""
    if name in _DOTS:
        return f"/checks/?{urlencode({'name': name})}"
    return f"/checks/{quote(name, safe='', errors='replace')}"


def probe_path(name: str) -> str:
    """Return the path that runs a check and shows its metrics."""
    return f"/probe?{urlencode({'check': name}, errors='replace')}"
