"""The JSON Schema of `checks.yml`, for editors: every key with its description, expectations by check type.

The schema accepts every document that the loader accepts, and more: a schema cannot express everything that the loader
checks, such as which placeholder has a value or which file exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic.json_schema import models_json_schema

from exporter.config.alerts import AlertKeys
from exporter.config.common_keys import CHECK_KEYS, COMMON_DEFAULT_KEYS, CommonKeys
from exporter.config.documents import ANCHORS_PREFIX, DOCUMENT_KEYS
from exporter.config.expectation_schema import RETRY_REASON, expectation_schema
from exporter.config.model_fields import ModelFields, fields_of
from exporter.config.plugins import PLUGIN_KEYS
from exporter.config.values import FILE_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import BaseModel

    from exporter.checks.base import CheckType

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEXTS: Schema = {"type": "array", "items": {"type": "string"}}
_REPLACEMENT: Schema = {
    "type": "object",
    "additionalProperties": False,
    "required": list(PLUGIN_KEYS),
    "properties": {key: {"type": "string", "description": text} for key, text in PLUGIN_KEYS.items()},
}
"""An item of `plugins` that replaces an existing type."""

_REFERENCE: Schema = {"type": "string", "pattern": r"\$\{|\{[A-Za-z_][A-Za-z0-9_]*\}"}
"""A text with a reference or a placeholder, allowed where another type of value is expected."""


def json_schema(check_types: Mapping[str, CheckType]) -> Schema:
    """Return the schema of a document whose checks have these types (JSON Schema draft 2020-12)."""
    types = [check_types[name] for name in sorted(check_types)]
    models: list[type[BaseModel]] = [CommonKeys, AlertKeys, *dict.fromkeys(check_type.settings for check_type in types)]
    places, generated = models_json_schema([(model, "validation") for model in models], ref_template="#/$defs/{model}")
    definitions = {name: _as_written(definition) for name, definition in generated.get("$defs", {}).items()}
    own = {model: definitions[places[model, "validation"]["$ref"].rpartition("/")[2]] for model in models}
    for model in models:
        _add_secret_files(own[model], fields_of(model), definitions)
    for check_type in types:
        definitions[f"expectations-{check_type.name}"] = expectation_schema(check_type)
        definitions[f"keys-{check_type.name}"] = _keys_of_type(check_type, own[CommonKeys], own[check_type.settings])
        definitions[f"check-{check_type.name}"] = _check(definitions[f"keys-{check_type.name}"])
    top_level: Schema = {
        "include": _TEXTS,
        "defaults": _defaults(types, definitions),
        "plugins": {"type": "array", "items": {"anyOf": [{"type": "string"}, _REPLACEMENT]}},
        "checks": {"type": "array", "items": _one_of(types)},
    }
    return {
        "$schema": _DIALECT,
        "title": "Checks of nyxmon-exporter",
        "type": "object",
        "additionalProperties": False,
        "properties": {key: {"description": text, **top_level[key]} for key, text in DOCUMENT_KEYS.items()},
        "patternProperties": {f"^{ANCHORS_PREFIX}": {"description": "Not read: a place for anchors"}},
        "$defs": definitions,
    }


def _as_written(definition: Schema) -> Schema:
    """Turn the schema of a model into the schema of the YAML written for it."""
    described = {key: value for key, value in definition.items() if key != "title"}
    if "properties" in definition:
        described["properties"] = {key: _property(value) for key, value in definition["properties"].items()}
    return described


def _property(schema: Schema) -> Schema:
    """Allow a reference or a placeholder wherever a value other than text is expected."""
    outer = {key: schema[key] for key in ("description", "default") if schema.get(key) is not None}
    inner = {key: value for key, value in schema.items() if key not in ("description", "default", "title", "writeOnly")}
    if isinstance(outer.get("default"), float) and "pattern" in str(inner):
        outer["default"] = f"{outer['default']:g}s"
    if inner.get("type") == "string" and not {"pattern", "enum", "const"} & inner.keys():
        return outer | inner
    alternatives = inner["anyOf"] if inner.keys() == {"anyOf"} else [inner]
    return outer | {"anyOf": [*map(_below, alternatives), _REFERENCE]}


def _below(schema: Schema) -> Schema:
    """Allow references and placeholders within the elements of a list and the values of a mapping."""
    return {
        key: _property(value) if key in ("items", "additionalProperties") and isinstance(value, dict) else value
        for key, value in schema.items()
    }


def _add_secret_files(definition: Schema, fields: ModelFields, definitions: dict[str, Schema]) -> None:
    """Add the `*_file` keys that stand for secrets to a model and its nested models, in place."""
    properties = definition["properties"]
    for key in sorted(fields.single_secrets):
        file_key = f"{key}{FILE_SUFFIX}"
        if file_key in properties:
            continue
        properties[file_key] = {"type": "string", "description": f"File that holds {key}"}
        if key in definition.get("required", ()):
            definition["required"] = [name for name in definition["required"] if name != key]
            definition.setdefault("allOf", []).append({"anyOf": [{"required": [key]}, {"required": [file_key]}]})
    for below in fields.models.values():
        if below.model_name in definitions:  # not for a model that has a schema written by hand
            _add_secret_files(definitions[below.model_name], below, definitions)


def _keys_of_type(check_type: CheckType, common: Schema, settings: Schema) -> Schema:
    """Return the schema of every key that checks of a type may have, none of them required."""
    expectations = {"$ref": f"#/$defs/expectations-{check_type.name}"}
    read_apart: Schema = {
        "type": {"const": check_type.name},
        "targets": {**_TEXTS, "minItems": 1},
        "target_files": {**_TEXTS, "minItems": 1},
        "each": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"type": "array", "minItems": 1},
        },
        "expect": {"type": "array", "items": expectations},
        "alert": {"anyOf": [{"type": "boolean"}, {"$ref": f"#/$defs/{AlertKeys.__name__}"}]},
        "retry_on": {"type": "array", "minItems": 1, "items": {"anyOf": [RETRY_REASON, expectations]}},
    }
    described = {key: {"description": CHECK_KEYS[key], **schema} for key, schema in read_apart.items()}
    return {
        "description": check_type.description,
        "type": "object",
        "additionalProperties": False,
        "properties": {**common["properties"], **described, **settings["properties"]},
    }


def _check(keys: Schema) -> Schema:
    """Return the schema of a check: its keys, and which of them are required."""
    return {
        **keys,
        "required": ["name", "type"],
        "anyOf": [{"required": [key]} for key in ("target", "targets", "target_files", "each")],
    }


def _one_of(types: Sequence[CheckType]) -> Schema:
    """Select the schema of a check by its type, so that an editor mentions only that type."""
    names = [check_type.name for check_type in types]
    return {
        "type": "object",
        "required": ["name", "type"],
        "properties": {"type": {"enum": names, "description": CHECK_KEYS["type"]}},
        "allOf": [
            {"if": {"properties": {"type": {"const": name}}}, "then": {"$ref": f"#/$defs/check-{name}"}}
            for name in names
        ],
    }


def _defaults(types: Sequence[CheckType], definitions: Mapping[str, Schema]) -> Schema:
    properties: dict[str, list[Schema]] = {}
    by_type: dict[str, Schema] = {}
    for check_type in types:
        of_type = definitions[f"keys-{check_type.name}"]["properties"]
        own = {key: schema for key, schema in of_type.items() if key in COMMON_DEFAULT_KEYS or key not in CHECK_KEYS}
        for key, schema in own.items():
            if schema not in properties.setdefault(key, []):
                properties[key].append(schema)
        by_type[check_type.name] = {
            "description": f"Keys of every check of type {check_type.name}",
            "type": "object",
            "additionalProperties": False,
            "properties": own | {"expect": of_type["expect"]},
        }
    common = {key: schemas[0] if len(schemas) == 1 else {"anyOf": schemas} for key, schemas in properties.items()}
    return {"type": "object", "additionalProperties": False, "properties": common | by_type}
