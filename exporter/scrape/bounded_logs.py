"""Bounds the memory of the logs of runs that are kept, and estimates it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.foreign import text_of
from exporter.model import LogLine

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_TEXT_CHARACTERS = 1000
_LOG_LINE_BYTES = 300
_FIELD_BYTES = 50
_SMALL = frozenset((int, float, bool, type(None)))


def bytes_of(log: tuple[LogLine, ...]) -> int | None:
    """Estimate the memory of a log; None when it contains something that is not small.

    This is one plain loop, because every result of every scrape passes through it.
    """
    size = _LOG_LINE_BYTES * len(log)
    for _, message, fields in log:
        length = len(message)
        if length > _MAX_TEXT_CHARACTERS:
            return None
        size += length + _FIELD_BYTES * len(fields)
        for value in fields.values():
            kind = value.__class__
            if kind is str:
                length = len(value)  # type: ignore[arg-type] # its class has just been checked
                if length > _MAX_TEXT_CHARACTERS:
                    return None
                size += length
            elif kind not in _SMALL:
                return None
    return size


def bounded_log(log: tuple[LogLine, ...]) -> tuple[LogLine, ...]:
    """Return a log whose lines take little memory and keep no object alive."""
    return log if bytes_of(log) is not None else tuple(map(_bounded, log))


def _bounded(line: LogLine) -> LogLine:
    """Return the line with long texts cut and objects converted to text, so that it keeps no body alive."""
    fields: Mapping[str, object] = {
        name: value if value.__class__ in _SMALL else text_of(value) for name, value in line.fields.items()
    }
    return LogLine(line.offset_seconds, line.message[:_MAX_TEXT_CHARACTERS], fields)
