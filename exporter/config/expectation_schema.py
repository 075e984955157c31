"""The JSON Schema of an expectation, by subject, for editors: what `exporter.config.expectations` reads."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from exporter.config.expectation_subjects import number_subject, shorthand_operator
from exporter.config.expectations import GROUPS, RETRY_REASONS
from exporter.expect import DURATION, OPERATORS
from exporter.model import PATTERN_OPERATORS, SelectorKind, Severity, ValueKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from exporter.checks.base import CheckType
    from exporter.model import Operator, Subject

Schema = dict[str, Any]

RETRY_REASON: Schema = {"enum": [str(reason) for reason in RETRY_REASONS]}
"""A reason in `retry_on`."""

_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_FLAG: Schema = {"type": "boolean"}
_STATUS: Schema = {"anyOf": [{"type": "integer"}, _TEXT]}
_ANY: Schema = {"not": {"type": "null"}}
_SCALARS: Mapping[ValueKind, Schema] = {
    ValueKind.NUMBER: _NUMBER,
    ValueKind.DAYS: {"type": ["number", "string"], "examples": [21, "48h"]},
    ValueKind.DURATION: {"type": ["string", "integer"], "examples": ["800ms"]},
    ValueKind.STATUS: _STATUS,
    ValueKind.TEXT: _TEXT,
    ValueKind.TEXTS: _TEXT,
    ValueKind.ADDRESS: {"type": "string", "examples": ["192.0.2.1", "2001:db8::/32"]},
    ValueKind.LINES: _TEXT,
    ValueKind.FLAG: _FLAG,
    ValueKind.JSON: _ANY,
}
_BESIDE: Schema = {
    "name": {"type": "string", "description": "Value of the label expectation", "minLength": 1, "maxLength": 100},
    "severity": {"enum": [str(severity) for severity in Severity], "default": str(Severity.ERROR)},
}
_MISSING_OK: Schema = {"type": "boolean", "default": False, "description": "Accept a missing value"}
_AS: Schema = {"enum": ["number"], "description": "Compare a text that is a number by its value"}
_GROUP_MEANINGS = {"any": "One of these must hold", "all": "All of these must hold"}
_MEANINGS: Mapping[Operator, str] = {
    "eq": "Equal; of several values, as a set",
    "ne": "Not equal",
    "lt": "Less than",
    "le": "At most",
    "gt": "More than",
    "ge": "At least",
    "in": "One of these; of several values, all of them",
    "contains": "Contains this text; a JSON array this element, an object this key",
    "matches": "Matches this regular expression (RE2) somewhere; of several values, one of them",
    "not_matches": "Does not match this regular expression (RE2); of several values, none of them",
    "all_match": "Each of the values matches this regular expression (RE2)",
    "not_all_match": "At least one of the values does not match this regular expression (RE2)",
    "exists": "Is there, or is not",
    "any_of": "At least one of these is among the values",
    "all_of": "All of these are among the values",
    "none_of": "None of these",
}


def expectation_schema(check_type: CheckType) -> Schema:
    """Return the schema of an item of `expect` for a check type."""
    subjects = (*check_type.subjects, DURATION)
    about = [_about(subject) for subject in subjects]
    return {"anyOf": [*about, *_about_numbers(subjects), *(_group(key, check_type.name) for key in GROUPS)]}


def _about_numbers(subjects: Iterable[Subject]) -> Iterator[Schema]:
    """Yield the schemas of items with `as: number`."""
    for subject in subjects:
        with suppress(ValueError):
            schema = _about(number_subject(subject))
            schema["required"].append("as")
            schema["properties"]["as"] = _AS
            yield schema


def _group(key: str, type_name: str) -> Schema:
    parts = {"type": "array", "minItems": 1, "items": {"$ref": f"#/$defs/expectations-{type_name}"}}
    return {
        "type": "object",
        "required": [key],
        "additionalProperties": False,
        "properties": {**_BESIDE, key: {"description": _GROUP_MEANINGS[key], **parts}},
    }


def _about(subject: Subject) -> Schema:
    operators: Schema = {operator: _operand(subject, operator) for operator in OPERATORS[subject.kind]}
    within: Schema = {
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "properties": operators,
    }
    properties = {**_BESIDE, "missing_ok": _MISSING_OK}
    if subject.selector is SelectorKind.NONE:
        short = shorthand_operator(subject.kind, "")
        shorthand = [] if short is None else [_choices(subject), _list_of(_choices(subject))]
        properties[subject.name] = {"anyOf": [*shorthand, within]}
    else:
        properties[subject.name] = {"type": "string"}
        properties |= operators
    properties[subject.name] = {"description": subject.description, **properties[subject.name]}
    return {
        "type": "object",
        "required": [subject.name],
        "additionalProperties": False,
        "properties": properties,
    }


def _operand(subject: Subject, operator: Operator) -> Schema:
    described: Schema = {"description": _MEANINGS[operator]}
    if operator == "exists":
        return described | _FLAG
    if operator in PATTERN_OPERATORS:
        return described | _TEXT | {"format": "regex"}
    if operator == "contains":
        return described | (_ANY if subject.kind is ValueKind.JSON else _TEXT)
    if operator in ("lt", "le", "gt", "ge"):
        return described | (_NUMBER if subject.kind is ValueKind.JSON else _SCALARS[subject.kind])
    several = operator in ("in", "any_of", "all_of", "none_of")
    if subject.kind in (ValueKind.TEXTS, ValueKind.STATUS):
        return described | {"anyOf": [_choices(subject), _list_of(_choices(subject))]}
    return described | (_list_of(_choices(subject)) if several else _choices(subject))


def _choices(subject: Subject) -> Schema:
    """Return the schema of one value; names are suggested, but read case-insensitively."""
    scalar = {"type": ["string", "number"]} if subject.choices else _SCALARS[subject.kind]
    return {"anyOf": [{"enum": list(subject.choices)}, scalar]} if subject.choices else scalar


def _list_of(item: Schema) -> Schema:
    return {"type": "array", "minItems": 1, "items": item}
