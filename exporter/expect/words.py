"""Describes observed values in words of bounded length, for the log and the pages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from exporter.model import ValueKind
from exporter.quantities import number_text, seconds_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from exporter.model import Expectation

_MAX_OBSERVED_CHARACTERS = 200
_MAX_PLAIN_INTEGER = 10**15


def shown_value(kind: ValueKind, value: object) -> str:
    """Return the value as text of bounded length, for the log and the page."""
    if value is None:
        return ""
    if isinstance(value, bool | int | float) and abs(value) < _MAX_PLAIN_INTEGER and kind is ValueKind.DURATION:
        text = seconds_text(value)
    elif isinstance(value, bool | int) and abs(value) < _MAX_PLAIN_INTEGER:
        text = str(value).lower()
    elif isinstance(value, float):
        text = number_text(value)
    elif isinstance(value, str):
        text = value
    elif isinstance(value, tuple):
        separator = " | " if kind is ValueKind.LINES else ", "
        text = separator.join(map(str, value[:_MAX_OBSERVED_CHARACTERS]))
    else:
        text = _start_of_json(value)
    return cut(text)


def cut(text: str) -> str:
    """Cut a text to the length shown, and make it valid UTF-8."""
    if len(text) <= _MAX_OBSERVED_CHARACTERS and text.isascii():
        return text
    start = text[: _MAX_OBSERVED_CHARACTERS + 1].encode("utf-8", "backslashreplace").decode("utf-8")
    return start if len(start) <= _MAX_OBSERVED_CHARACTERS else start[: _MAX_OBSERVED_CHARACTERS - 1] + "…"


_KIND_NAMES: Mapping[type, str] = {
    bool: "boolean", int: "number", float: "number", str: "text", list: "array", tuple: "array", dict: "object",
}  # fmt: skip


def with_kind(expectation: Expectation, value: object, shown: str) -> str:
    """Add the kind of a value where its kind is why the expectation does not hold: `"42" (text)`."""
    kind = _KIND_NAMES.get(type(value))
    if kind is None or kind in _wanted_kinds(expectation):
        return shown
    return f'"{shown}" (text)' if kind == "text" else f"{shown} ({kind})"


def _wanted_kinds(expectation: Expectation) -> Collection[str]:
    """Return the kinds of value that could meet an expectation; all kinds when they cannot be narrowed down."""
    if expectation.as_number:
        return ("number",)
    if expectation.subject.kind is not ValueKind.JSON:
        return _KINDS_OF_SUBJECTS.get(expectation.subject.kind, _ALL_KINDS)
    match expectation.operator:
        case "lt" | "le" | "gt" | "ge":
            return ("number",)
        case "matches":
            return ("text", "number", "boolean")
        case "contains":
            return ("text", "array", "object")
        case "eq":
            return (_KIND_NAMES.get(type(expectation.operand), ""),)
        case "in":
            return {_KIND_NAMES.get(type(item), "") for item in cast("Iterable[object]", expectation.operand)}
        case "any_of" | "all_of":
            return {
                "array",
                *(_KIND_NAMES.get(type(item), "") for item in cast("Iterable[object]", expectation.operand)),
            }
        case _:
            return _ALL_KINDS


_ALL_KINDS = frozenset(_KIND_NAMES.values())
_KINDS_OF_SUBJECTS: Mapping[ValueKind, Collection[str]] = {
    ValueKind.NUMBER: ("number",),
    ValueKind.DURATION: ("number",),
    ValueKind.STATUS: ("number",),
    ValueKind.FLAG: ("boolean",),
}


def _start_of_json(value: object) -> str:
    """Return as much JSON as will be shown, so that a deep or huge document is never serialized whole."""
    parts: list[str] = []
    length = 0
    try:
        for part in json.JSONEncoder(ensure_ascii=False, default=str).iterencode(value):
            parts.append(part)
            length += len(part)
            if length > _MAX_OBSERVED_CHARACTERS:
                break
    except (ValueError, RecursionError) as error:
        parts.append(f"<{type(error).__name__}>")
    return "".join(parts)
