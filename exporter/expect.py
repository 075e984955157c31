"""The expectation language: judges whether observed values are as expected. Pure; the same for every check type.

An expectation is a subject, an operator and an operand that was compiled when the configuration was loaded.
`OPERATORS` lists the operators for each kind of value. They mean:

- `eq ne lt le gt ge` compare; `in` holds when the value is one of the operand's, `none_of` when it is none of them.
- `contains` looks for a text within the text (JSON: for an element of an array, a key of an object).
- `matches`, `not_matches` search a text with an RE2 pattern, unanchored.
- `exists: true` holds when there is a value, `exists: false` when there is none.
- With several values (the answers of a name server, a JSON array), `eq` compares them as a set, `in` requires all of
  them to be among the operand's, `any_of` requires at least one of the operand's to be among them, `all_of` all of the
  operand's, `none_of` none; `contains` and `matches` hold when they hold for one value, `not_matches` when for none.
- With lines (what a server sends), `eq`, `in`, `contains` and `matches` hold when they hold for one of them, while
  `ne`, `none_of` and `not_matches` judge the first.
- `lt le gt ge` count days to the second; `eq ne in none_of` compare whole days, rounded down.

A missing value (None, JSON null, no answers) or one of the wrong kind fails every operator except `ne`, `not_matches`,
`none_of` and, when it is missing, `exists: false`: these exclude values, and none of those was observed.
NaN equals no number and has no order. A subject that the run did not reach fails as not evaluated.
"""

from __future__ import annotations

import json
import math
import operator
from typing import TYPE_CHECKING, Protocol, cast

from exporter.errors import CheckFailed
from exporter.model import ExpectationOutcome, Explained, Judged, Reason, Subject, ValueKind
from exporter.quantities import number_text, seconds_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from exporter.model import Expectation, Observation, Observed, Operator

DURATION = Subject(
    name="duration",
    kind=ValueKind.DURATION,
    description="How long the check took, further attempts and the pauses between them included",
)
"""The subject that every check type has; the runner observes it."""

OPERATORS: Mapping[ValueKind, tuple[Operator, ...]] = {
    ValueKind.NUMBER: ("eq", "ne", "lt", "le", "gt", "ge", "in", "none_of", "exists"),
    ValueKind.DAYS: ("eq", "ne", "lt", "le", "gt", "ge", "in", "none_of", "exists"),
    ValueKind.DURATION: ("eq", "ne", "lt", "le", "gt", "ge", "exists"),
    ValueKind.STATUS: ("eq", "ne", "lt", "le", "gt", "ge", "in", "none_of", "exists"),
    ValueKind.TEXT: ("eq", "ne", "in", "none_of", "contains", "matches", "not_matches", "exists"),
    ValueKind.TEXTS: ("eq", "ne", "in", "any_of", "all_of", "none_of", "contains", "matches", "not_matches", "exists"),
    ValueKind.LINES: ("eq", "ne", "in", "none_of", "contains", "matches", "not_matches", "exists"),
    ValueKind.FLAG: ("eq", "ne", "exists"),
    ValueKind.JSON: (
        "eq", "ne", "lt", "le", "gt", "ge", "in", "any_of", "all_of", "none_of", "contains", "matches", "not_matches",
        "exists",
    ),
}  # fmt: skip
"""The operators allowed for each kind of value."""

_HOLD_FOR_NOTHING = frozenset(("ne", "not_matches", "none_of"))
_MAX_OBSERVED_CHARACTERS = 200
_MAX_PLAIN_INTEGER = 10**15

_ORDER: Mapping[str, Callable[[float, float], bool]] = {
    "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
}  # fmt: skip


class TextPattern(Protocol):
    """What `matches` needs from its operand; `exporter.judging.pattern.Pattern` is one."""

    def found_in(self, text: str) -> bool:
        """Return whether the pattern matches anywhere in the text."""


def evaluate(
    expectations: Iterable[Expectation], observed: Mapping[str, Observation]
) -> tuple[ExpectationOutcome, ...]:
    """Judge each expectation on its own, in the order given. Never raises, whatever was observed.

    Args:
        expectations: The expectations.
        observed: Subject name to value; a missing subject was not observed and counts as not evaluated.
    """
    return tuple(_judge(expectation, observed) for expectation in expectations)


def _judge(expectation: Expectation, observed: Mapping[str, Observation]) -> ExpectationOutcome:
    subject = expectation.subject
    if subject.name not in observed:
        return ExpectationOutcome(expectation=expectation, ok=False, evaluated=False)
    try:
        observation = observed[subject.name]
        if isinstance(observation, Judged):
            return observation.outcomes[id(expectation)]
        value = observation(expectation.selector) if callable(observation) else observation
        why = ""
        if isinstance(value, Explained):
            why = f" ({value.why})"
            value = value.value
        holds = _holds(subject.kind, expectation.operator, value, expectation.operand)
        shown = _shown(subject.kind, value)
        if not holds and value is not None:
            shown = _with_kind(expectation, value, shown)
        return ExpectationOutcome(
            expectation=expectation,
            ok=holds,
            value=_number(value),
            observed=_cut(shown + why) if why else shown,
        )
    except CheckFailed as failure:
        return ExpectationOutcome(
            expectation=expectation, ok=False, evaluated=False, reason=failure.reason, detail=failure.detail
        )
    except MemoryError:
        return ExpectationOutcome(
            expectation=expectation,
            ok=False,
            evaluated=False,
            reason=Reason.TOO_LARGE,
            detail=f"judging {subject.name} takes more memory than it may",
        )
    except Exception as error:  # noqa: BLE001 - a plugin's failure to produce one value must not affect the others
        return ExpectationOutcome(
            expectation=expectation, ok=False, observed=f"<{type(error).__name__}>", evaluated=False
        )


def _holds(kind: ValueKind, operator_name: Operator, value: Observed, operand: object) -> bool:
    if operator_name == "exists":
        return _is_there(value) == operand
    usable = _USABLE[kind](value)
    if usable is None:
        return operator_name in _HOLD_FOR_NOTHING
    if operator_name in _ORDER:
        return _in_order(_ORDER[operator_name], usable, operand)
    return _COMPARE[kind](operator_name, usable, operand)


def _in_order(compare: Callable[[float, float], bool], value: object, operand: object) -> bool:
    """Compare numbers; JSON that is not a number has no order."""
    return _is_number(value) and compare(cast("float", value), cast("float", operand))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_there(value: object) -> bool:
    return value is not None and value != ()


def _usable_number(value: object) -> object:
    return value if _is_number(value) else None


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


def _compare_texts(operator_name: Operator, value: object, operand: object) -> bool:
    texts = cast("tuple[str, ...]", value)
    match operator_name:
        case "contains":
            return any(cast("str", operand) in text for text in texts)
        case "matches" | "not_matches":
            found = any(cast("TextPattern", operand).found_in(text) for text in texts)
            return found if operator_name == "matches" else not found
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
    ValueKind.LINES: _compare_lines,
    ValueKind.FLAG: _compare_plain,
    ValueKind.JSON: _compare_json,
}


def _number(value: object) -> float:
    """Return the value for `probe_expectation_value`: flags are 0 and 1, anything but a number is NaN."""
    if not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _shown(kind: ValueKind, value: object) -> str:
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
    return _cut(text)


def _cut(text: str) -> str:
    start = text[: _MAX_OBSERVED_CHARACTERS + 1].encode("utf-8", "backslashreplace").decode("utf-8")
    return start if len(start) <= _MAX_OBSERVED_CHARACTERS else start[: _MAX_OBSERVED_CHARACTERS - 1] + "…"


_KIND_NAMES: Mapping[type, str] = {
    bool: "boolean", int: "number", float: "number", str: "text", list: "array", tuple: "array", dict: "object",
}  # fmt: skip


def _with_kind(expectation: Expectation, value: object, shown: str) -> str:
    """Add the kind of a value where its kind is why the expectation does not hold: `"42" (text)`."""
    kind = _KIND_NAMES.get(type(value))
    if kind is None or kind in _wanted_kinds(expectation):
        return shown
    return f'"{shown}" (text)' if kind == "text" else f"{shown} ({kind})"


def _wanted_kinds(expectation: Expectation) -> Collection[str]:
    """Return the kinds of value that could meet an expectation; all kinds when they cannot be narrowed down."""
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
