"""The JSON Schema of checks.yml, for editors: generated from the same models and subjects that the loader works with.

The loader is stricter than the schema wherever JSON Schema cannot say what is meant; it is never laxer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exporter.config.expectations import RETRY_REASONS
from exporter.config.fields import fields_of
from exporter.config.schema import COMMON_DEFAULT_KEYS, READ_APART, CommonKeys
from exporter.expect import DURATION, OPERATORS
from exporter.model import SelectorKind, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import BaseModel

    from exporter.checks.base import CheckType
    from exporter.model import Subject

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = "#/$defs/{model}"


def json_schema(check_types: Mapping[str, CheckType]) -> Schema:
    """Give the JSON Schema (draft 2020-12) of a configuration with these check types."""
    definitions: Schema = {}
    common = _properties(CommonKeys, definitions)
    kinds = [_check(check_type, common, definitions) for check_type in check_types.values()]
    return {
        "$schema": DIALECT,
        "title": "nyxmon-exporter configuration",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "include": {
                "description": "Files, or patterns of files, whose checks belong to this configuration",
                "type": "array",
                "items": {"type": "string"},
            },
            "plugins": {
                "description": "Check types from outside: names of entry points, or module:attribute",
                "type": "array",
                "items": {"type": "string"},
            },
            "defaults": _defaults(check_types.values(), common, definitions),
            "checks": {"description": "The checks", "type": "array", "items": {"oneOf": kinds}},
        },
        "$defs": definitions,
    }


def _properties(model: type[BaseModel], definitions: Schema) -> Schema:
    """Give the properties of a model; what they refer to is put among the definitions."""
    schema = model.model_json_schema(by_alias=True, ref_template=_REFERENCE)
    definitions.update(schema.pop("$defs", {}))
    properties: Schema = schema.get("properties", {})
    for key in fields_of(model).single_secrets:
        properties[f"{key}_file"] = {"type": "string", "description": f"File that holds {key}"}
    return properties


def _check(check_type: CheckType, common: Schema, definitions: Schema) -> Schema:
    settings = _properties(check_type.settings, definitions)
    required = check_type.settings.model_json_schema(by_alias=True).get("required", [])
    subjects = (DURATION, *check_type.subjects)
    return {
        "title": check_type.name,
        "description": check_type.description,
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "type", *required],
        "anyOf": [{"required": [key]} for key in ("target", "targets", "each")],
        "properties": {**common, **settings, **_read_apart(check_type.name, subjects)},
    }


def _read_apart(type_name: str, subjects: Iterable[Subject]) -> Schema:
    expectations = [_expectation(subject) for subject in subjects]
    shapes: Schema = {
        "type": {"const": type_name},
        "targets": {"type": "array", "minItems": 1, "items": {"type": "string"}},
        "each": {"type": "object", "additionalProperties": {"type": "array", "minItems": 1}},
        "expect": {"type": "array", "items": {"anyOf": expectations}},
        "retry_on": {
            "type": "array",
            "minItems": 1,
            "items": {"anyOf": [{"enum": [str(reason) for reason in RETRY_REASONS]}, *expectations]},
        },
    }
    return {key: {"description": READ_APART[key], **shape} for key, shape in shapes.items()}


def _expectation(subject: Subject) -> Schema:
    operators: Schema = {operator: {} for operator in OPERATORS[subject.kind]}
    operators["exists"] = {"type": "boolean"}
    beside: Schema = {
        "name": {"type": "string", "description": "Label of the expectation instead of the derived one"},
        "severity": {"enum": [str(severity) for severity in Severity]},
    }
    by_mapping = {"type": "object", "minProperties": 1, "properties": operators, "additionalProperties": False}
    value = {"type": "string"} if subject.selector is not SelectorKind.NONE else {"anyOf": [by_mapping, _operand()]}
    return {
        "type": "object",
        "description": subject.description,
        "required": [subject.name],
        "properties": {subject.name: {"description": subject.description, **value}, **operators, **beside},
        "additionalProperties": False,
    }


def _operand() -> Schema:
    return {"type": ["string", "number", "boolean", "array"]}


def _defaults(check_types: Iterable[CheckType], common: Schema, definitions: Schema) -> Schema:
    shared = {key: common[key] for key in sorted(COMMON_DEFAULT_KEYS) if key in common}
    retry_on: Schema = {"description": READ_APART["retry_on"], "type": "array"}
    properties: Schema = {**shared, "retry_on": retry_on}
    for check_type in check_types:
        settings = _properties(check_type.settings, definitions)
        own = {**shared, **settings, "retry_on": retry_on, "expect": {"type": "array"}}
        for key, shape in settings.items():
            properties.setdefault(key, shape)
        properties[check_type.name] = {"type": "object", "additionalProperties": False, "properties": own}
    return {
        "description": "Values for every check that knows their key; under the name of a type, for its checks only",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }
