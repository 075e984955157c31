"""Compiles the YAML values of an expectation into operands, checked against the kind of the subject.

Every function returns the compiled form that `exporter.expect` uses, or raises ValueError with a message that
follows the value: "is not a duration; ...".
"""

from __future__ import annotations

import ipaddress
import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from exporter.config.problems import quoted, suggest
from exporter.expect import evaluate
from exporter.judging.pattern import Pattern
from exporter.model import PATTERN_OPERATORS, Expectation, ValueKind
from exporter.settings import parse_duration, parse_network

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.model import Operator, Subject

_STATUS_RANGE = re.compile(r"(?P<low>[0-9]{3})-(?P<high>[0-9]{3})|(?P<class>[0-9])xx|(?P<one>[0-9]{3})", re.IGNORECASE)
_BOUND = re.compile(r"[0-9]{3}")
_STATUSES = (100, 599)
_STATUSES_TEXT = "a status is a number from 100 to 599 (RFC 9110)"
_SECONDS_PER_DAY = 86400
_ORDER = ("lt", "le", "gt", "ge")
_SETS = ("in", "any_of", "all_of", "none_of")


def compile_operand(subject: Subject, operator: Operator, value: object) -> object:
    """Compile the operand of an operator that fits the subject.

    Raises:
        ValueError: When the value is not valid for this operator and kind of subject.
    """
    if operator == "exists":
        return _flag(value)
    if operator in PATTERN_OPERATORS:
        operand: object = _pattern(_nonempty(value))
    else:
        operand = _COMPILE[subject.kind](subject, operator, value)
    if subject.choices:
        _reject_impossible_operand(subject, operator, operand)
    return operand


def _reject_impossible_operand(subject: Subject, operator: Operator, operand: object) -> None:
    """Reject an expectation that no possible value can meet.

    Raises:
        ValueError: When no value can meet it.
    """
    expectation = Expectation(label="", subject=subject, operator=operator, operand=operand)
    if not any(evaluate((expectation,), {subject.name: choice})[0].ok for choice in subject.choices):
        raise ValueError(f"can never hold; {subject.name} is one of {', '.join(subject.choices)}")


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 - a fault of the document, not of a caller
    return value


@lru_cache(maxsize=4096)
def _pattern(text: str) -> Pattern:
    return Pattern(text)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text" + ("" if isinstance(value, dict | list) else "; put it in quotes"))  # noqa: TRY004
    return value


def _nonempty(value: object) -> str:
    text = str(_text(value))
    if not text:
        raise ValueError("is found in every text; write exists: true or exists: false")
    return text


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")  # noqa: TRY004 - a fault of the document, not of a caller
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list) or not value:
        raise ValueError("must be a list of at least one value")
    return value


def _compile_number(subject: Subject, operator: Operator, value: object) -> object:
    numbers = tuple(map(_number, _list(value) if operator in _SETS else [value]))
    if subject.bounds is not None and not all(_can_hold(operator, number, *subject.bounds) for number in numbers):
        least, most = subject.bounds
        most_text = "" if math.isinf(most) else f" and at most {most:.0f}"
        raise ValueError(f"can never hold; {subject.name} is a whole number, at least {least:.0f}{most_text}")
    return numbers if operator in _SETS else numbers[0]


def _can_hold(operator: Operator, number: float, least: float, most: float) -> bool:
    """Return whether some whole number within the bounds satisfies the operator for `number`."""
    match operator:
        case "lt":
            return number > least
        case "le":
            return number >= least
        case "gt":
            return number < most
        case "ge":
            return number <= most
        case _:
            return least <= number <= most and number == int(number)


def _compile_duration(_subject: Subject, _operator: Operator, value: object) -> object:
    return parse_duration(value)


def _compile_days(_subject: Subject, operator: Operator, value: object) -> object:
    """Compile days, written as a number or a duration; equality and sets take whole days only."""
    days = tuple([_days(item) for item in (_list(value) if operator in _SETS else [value])])
    if operator not in _ORDER and not all(one.is_integer() for one in days):
        raise ValueError("is not a number of whole days; compare with lt, le, gt or ge")
    return days if operator in _SETS else days[0]


def _days(value: object) -> float:
    if isinstance(value, str):
        try:
            return parse_duration(value) / _SECONDS_PER_DAY
        except ValueError:
            raise ValueError("must be a number of days, or a duration such as 48h") from None
    return float(_number(value))


def _compile_status(_subject: Subject, operator: Operator, value: object) -> object:
    if operator in _SETS:
        return tuple(map(_status_range, value if isinstance(value, list) and value else [value]))
    if operator in _ORDER:
        match = _BOUND.fullmatch(str(value))
        if isinstance(value, bool) or match is None:
            raise ValueError("is not a status; write one such as 500")
        if not _can_hold(operator, int(match[0]), *_STATUSES):
            raise ValueError(f"can never hold; {_STATUSES_TEXT}")
        return int(match[0])
    low, high = _status_range(value)
    if low != high:
        raise ValueError("is a range; write it with in or none_of")
    return low


def _status_range(value: object) -> tuple[int, int]:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    match = _STATUS_RANGE.fullmatch(text)
    if match is None:
        raise ValueError("is not a status; write 200, 2xx, 200-299 or a list of them")
    if match["one"]:
        low = high = int(match["one"])
    elif match["class"]:
        low, high = int(match["class"]) * 100, int(match["class"]) * 100 + 99
    else:
        low, high = int(match["low"]), int(match["high"])
    if low > high:
        raise ValueError("is a range whose end comes before its start")
    if low < _STATUSES[0] or high > _STATUSES[1]:
        raise ValueError(f"can never be observed; {_STATUSES_TEXT}")
    return low, high


def _compile_text(subject: Subject, operator: Operator, value: object) -> object:
    if operator in _SETS:
        return tuple(_choice(subject, item) for item in _list(value))
    return _nonempty(value) if operator == "contains" else _choice(subject, value)


def _choice(subject: Subject, value: object) -> str:
    """Return a text as it would be observed: in the spelling of the subject's choices, if it has any."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    text = str(value) if subject.choices and is_number else str(_text(value))
    if subject.spelled is not None:
        text = subject.spelled(text)
    if not subject.choices:
        return text
    for choice in subject.choices:
        if choice.lower() == text.lower():
            return choice
    raise ValueError(f"is not a known {subject.name}; {suggest(text, subject.choices, kind='known')}")


def _compile_texts(subject: Subject, operator: Operator, value: object) -> object:
    if operator == "contains":
        return str(_text(value))
    items = value if isinstance(value, list) else [value]
    return tuple(_canonical(_choice(subject, item)) for item in _list(items))


def _compile_address(_subject: Subject, operator: Operator, value: object) -> object:
    """Compile addresses and networks; every address is a network of one."""
    items = value if isinstance(value, list) else [value]
    if len(items) != 1 and operator in ("eq", "ne"):
        raise ValueError("must be one address or network; several are written with in or none_of")
    networks = []
    for item in _list(items):
        try:
            networks.append(parse_network(_text(item)))
        except ValueError as error:
            raise ValueError(f"has {quoted(item)}, which {error}" if isinstance(value, list) else str(error)) from None
    return tuple(networks)


def _canonical(text: str) -> str:
    """Return an IP address in canonical form (RFC 5952), as in observed DNS answers; other texts unchanged."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def _compile_flag(_subject: Subject, _operator: Operator, value: object) -> object:
    return _flag(value)


def _compile_json(_subject: Subject, operator: Operator, value: object) -> object:
    if operator in _ORDER:
        return _number(value)
    if operator in _SETS:
        return [_plain(item) for item in _list(value)]
    if value is None:
        raise ValueError("cannot be compared with; write exists: false for what is not there")
    return _plain(value)


def _plain(value: object) -> object:
    """Return a JSON value with `SecretText` replaced by plain text."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


_COMPILE: Mapping[ValueKind, Callable[[Subject, Operator, object], object]] = {
    ValueKind.NUMBER: _compile_number,
    ValueKind.DAYS: _compile_days,
    ValueKind.DURATION: _compile_duration,
    ValueKind.STATUS: _compile_status,
    ValueKind.TEXT: _compile_text,
    ValueKind.TEXTS: _compile_texts,
    ValueKind.ADDRESS: _compile_address,
    ValueKind.LINES: _compile_text,
    ValueKind.FLAG: _compile_flag,
    ValueKind.JSON: _compile_json,
}
