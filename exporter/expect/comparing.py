"""Compares a value with an operand, by the kind of the value."""

from __future__ import annotations

import ipaddress
import json
import math
import operator
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

from exporter.model import ValueKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from exporter.model import Observed, Operator

_HOLD_FOR_NOTHING = frozenset(("ne", "not_matches", "not_all_match", "none_of"))

_ORDER: Mapping[str, Callable[[float, float], bool]] = {
    "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
}  # fmt: skip


IpNetwork: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"
"""An operand for addresses; a single address is a network of one."""

_NUMBER_TEXT = re.compile(r"\s*(-?[0-9]{1,300}(?:\.[0-9]{1,300})?(?:[eE][+-]?[0-9]{1,3})?)\s*")
"""A number as JSON writes it (RFC 8259 section 6), with leading zeros and surrounding whitespace."""


class TextPattern(Protocol):
    """What `matches` needs from its operand; `exporter.judging.pattern.Pattern` is one."""

    def found_in(self, text: str) -> bool:
        """Return whether the pattern matches anywhere in the text."""


def holds(kind: ValueKind, operator_name: Operator, value: Observed, operand: object) -> bool:
    """Return whether a value is as the operator and its operand demand."""
    if operator_name == "exists":
        return is_there(value) == operand
    usable = _USABLE[kind](value)
    if usable is None:
        return operator_name in _HOLD_FOR_NOTHING
    if operator_name in _ORDER:
        return _in_order(_ORDER[operator_name], usable, operand)
    return _COMPARE[kind](operator_name, usable, operand)


def _in_order(compare: Callable[[float, float], bool], value: object, operand: object) -> bool:
    """Compare numbers; JSON that is not a number has no order."""
    return _usable_number(value) is not None and compare(cast("float", value), cast("float", operand))


def is_there(value: object) -> bool:
    """Return whether there is a value: not None, JSON null or no values at all."""
    return value is not None and value != ()


def as_number(value: Observed) -> Observed:
    """Return a text that is a number as that number, and any other value unchanged.

    Of several texts, only a single one is a number.
    """
    text = value[0] if isinstance(value, tuple | list) and len(value) == 1 else value
    match = _NUMBER_TEXT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return value
    number = float(match[1])
    if not math.isfinite(number):
        return value
    return int(match[1]) if match[1].lstrip("-").isdigit() else number


def _usable_number(value: object) -> object:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _usable_text(value: object) -> object:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) if value else None
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return value if isinstance(value, str) else None


def _usable_texts(value: object) -> object:
    if isinstance(value, str):
        return (value,)
    return tuple(map(str, value)) if isinstance(value, tuple | list) and value else None


def _usable_flag(value: object) -> object:
    return value if isinstance(value, bool) else None


_USABLE: Mapping[ValueKind, Callable[[object], object]] = {
    ValueKind.NUMBER: _usable_number,
    ValueKind.DAYS: _usable_number,
    ValueKind.DURATION: _usable_number,
    ValueKind.STATUS: _usable_number,
    ValueKind.TEXT: _usable_text,
    ValueKind.TEXTS: _usable_texts,
    ValueKind.ADDRESS: _usable_text,
    ValueKind.LINES: _usable_texts,
    ValueKind.FLAG: _usable_flag,
    ValueKind.JSON: lambda value: list(value) if isinstance(value, tuple) else value,
}


def _compare_plain(operator_name: Operator, value: object, operand: object) -> bool:
    match operator_name:
        case "eq":
            return value == operand
        case "ne":
            return value != operand
        case "in":
            return value in cast("Sequence[object]", operand)
        case _:
            return value not in cast("Sequence[object]", operand)


def _compare_days(operator_name: Operator, value: object, operand: object) -> bool:
    days = cast("float", value)
    return _compare_plain(operator_name, math.floor(days) if math.isfinite(days) else days, operand)


def _compare_status(operator_name: Operator, value: object, operand: object) -> bool:
    if operator_name in ("eq", "ne"):
        return _compare_plain(operator_name, value, operand)
    status = cast("int", value)
    for low, high in cast("Sequence[tuple[int, int]]", operand):
        if low <= status <= high:
            return operator_name == "in"
    return operator_name != "in"


def _compare_text(operator_name: Operator, value: object, operand: object) -> bool:
    text = cast("str", value)
    match operator_name:
        case "contains":
            return cast("str", operand) in text
        case "matches":
            return cast("TextPattern", operand).found_in(text)
        case "not_matches":
            return not cast("TextPattern", operand).found_in(text)
        case _:
            return _compare_plain(operator_name, value, operand)


def _compare_address(operator_name: Operator, value: object, operand: object) -> bool:
    if operator_name in ("matches", "not_matches"):
        return _compare_text(operator_name, value, operand)
    is_within = any(_contains(network, cast("str", value)) for network in cast("Sequence[IpNetwork]", operand))
    return is_within != (operator_name in _HOLD_FOR_NOTHING)


@lru_cache(maxsize=4096)
def _contains(network: IpNetwork, address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return found in network or (mapped is not None and mapped in network)


def _compare_texts(operator_name: Operator, value: object, operand: object) -> bool:
    texts = cast("tuple[str, ...]", value)
    match operator_name:
        case "contains":
            return any(cast("str", operand) in text for text in texts)
        case "matches" | "not_matches":
            found = any(cast("TextPattern", operand).found_in(text) for text in texts)
            return found if operator_name == "matches" else not found
        case "all_match" | "not_all_match":
            found = all(cast("TextPattern", operand).found_in(text) for text in texts)
            return found if operator_name == "all_match" else not found
    observed, wanted = set(texts), set(cast("Sequence[str]", operand))
    match operator_name:
        case "in":
            return observed <= wanted
        case "any_of":
            return bool(observed & wanted)
        case "all_of":
            return wanted <= observed
        case "none_of":
            return not observed & wanted
        case _:
            return _compare_plain(operator_name, observed, wanted)


def _compare_lines(operator_name: Operator, value: object, operand: object) -> bool:
    lines = cast("tuple[str, ...]", value)
    if operator_name in _HOLD_FOR_NOTHING:
        return _compare_text(operator_name, lines[0], operand)
    return any(_compare_text(operator_name, line, operand) for line in lines)


def _compare_json(operator_name: Operator, value: object, operand: object) -> bool:
    match operator_name:
        case "eq":
            return _same_json(value, operand)
        case "ne":
            return not _same_json(value, operand)
        case "in":
            return _has_element(cast("list[object]", operand), value)
        case "contains":
            return _json_contains(value, operand)
        case "matches" | "not_matches":
            text = _usable_text(value)
            found = text is not None and cast("TextPattern", operand).found_in(cast("str", text))
            return found if operator_name == "matches" else not found
    elements = cast("list[object]", value if isinstance(value, list) else [value])
    found_elements = (_has_element(elements, wanted) for wanted in cast("list[object]", operand))
    match operator_name:
        case "all_of":
            return all(found_elements)
        case "any_of":
            return any(found_elements)
        case _:
            return not any(found_elements)


def _json_contains(value: object, operand: object) -> bool:
    if isinstance(value, list):
        return _has_element(value, operand)
    return isinstance(value, str | dict) and isinstance(operand, str) and operand in value


def _has_element(elements: Iterable[object], wanted: object) -> bool:
    return any(_same_json(element, wanted) for element in elements)


def _same_json(left: object, right: object) -> bool:
    """Compare as JSON does: true is not 1, but 1 is 1.0. The shallower side, the operand, bounds the recursion."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same_json(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same_json, left, right))
    if isinstance(left, dict | list) or isinstance(right, dict | list):
        return False
    return isinstance(left, bool) == isinstance(right, bool) and left == right


_COMPARE: Mapping[ValueKind, Callable[[Operator, object, object], bool]] = {
    ValueKind.NUMBER: _compare_plain,
    ValueKind.DAYS: _compare_days,
    ValueKind.DURATION: _compare_plain,
    ValueKind.STATUS: _compare_status,
    ValueKind.TEXT: _compare_text,
    ValueKind.TEXTS: _compare_texts,
    ValueKind.ADDRESS: _compare_address,
    ValueKind.LINES: _compare_lines,
    ValueKind.FLAG: _compare_plain,
    ValueKind.JSON: _compare_json,
}
