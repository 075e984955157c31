"""Validates the plain values of a document with pydantic and translates its errors, each located at its value."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from exporter.config.foreign_keys import is_misspelled, is_understood, meant_key
from exporter.config.model_fields import fields_of
from exporter.config.problems import Fault, kind_of, quoted
from exporter.config.secrets import shown_key
from exporter.config.yaml_scalars import read_scalar
from exporter.quantities import counted
from exporter.secrecy import MASK, SECRET_TEXTS, SecretText, is_credential_name, secret_texts
from exporter.settings import SettingsModel

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydantic_core import ErrorDetails

    from exporter.config.model_fields import ModelFields
    from exporter.config.problems import Location

Model = TypeVar("Model", bound=SettingsModel)

_WANTED = {
    "string_type": "text",
    "string_sub_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "none_required": "null",
    "finite_number": "a finite number",
}
_FLAG_WORDS = {
    **dict.fromkeys(("yes", "on", "y", "1", "true", "enabled"), "true"),
    **dict.fromkeys(("no", "off", "n", "0", "false", "disabled"), "false"),
}
_MOST_DIGITS = 20
_WANTS_MAPPING = frozenset(("dict_type", "model_type", "model_attributes_type"))
_SCALAR_TYPES = frozenset(("int_type", "float_type", "bool_type"))


def validate(
    model: type[Model], data: dict[str, object], known_keys: Collection[str] = ()
) -> tuple[Model | None, list[Fault]]:
    """Make a model from plain values, strictly: a text is not a number and 1 is not true.

    Only text from a reference is read as the expected number or flag, because references always yield text.

    Args:
        model: The model.
        data: Its values by YAML key.
        known_keys: Further keys to suggest for unknown ones.

    Returns:
        The model and no faults, or None and the faults.
    """
    errors: list[ErrorDetails] = []
    for _ in range(2):
        try:
            text, context = json.dumps(data), {SECRET_TEXTS: secret_texts(data)}
            return model.model_validate_json(text, strict=True, context=context, by_alias=True, by_name=False), []
        except ValidationError as error:
            errors = error.errors(include_url=False)
        if not _read_referenced_scalars(data, errors):
            break
    return None, _faults(model, data, errors, known_keys)


def _read_referenced_scalars(data: dict[str, object], errors: list[ErrorDetails]) -> bool:
    """Turn texts from references into the expected scalars, in place; return whether there were any."""
    changed = False
    for error in errors:
        location, value = _reach(data, error["loc"])
        if error["type"] in _SCALAR_TYPES and isinstance(value, SecretText):
            try:
                scalar = read_scalar(str(value))
            except ValueError:
                continue
            if not isinstance(scalar, str):
                holder: Any = _reach(data, location[:-1])[1]
                holder[location[-1]] = scalar
                changed = True
    return changed


def _reach(data: object, location: Location) -> tuple[Location, Any]:
    """Walk down as far as there are values; pydantic's locations also contain the names of union members."""
    walked: list[str | int] = []
    value: Any = data
    for step in location:
        is_item = isinstance(value, list) and isinstance(step, int) and step < len(value)
        if is_item or (isinstance(value, dict) and step in value):
            walked.append(step)
            value = value[step]
    return tuple(walked), value


def _faults(
    model: type[SettingsModel], data: dict[str, object], errors: list[ErrorDetails], known_keys: Collection[str]
) -> list[Fault]:
    """Translate errors; those of a union's members become one fault that lists what is allowed."""
    fields = fields_of(model)
    messages: dict[tuple[Location, bool], list[str]] = {}
    lists: set[Location] = set()
    is_unclear = partial(_may_be_secret, fields, known_keys)
    for error in errors:
        location, value = _reach(data, error["loc"])
        on_key = error["type"] == "extra_forbidden" or error["loc"][-1:] == ("[key]",)
        if error["type"] == "too_short" and len(value) >= error["ctx"]["min_length"]:
            continue  # it only seems so without the items that have faults
        if error["type"] == "missing":
            known = _known(fields, (*location, ""), known_keys)
            if isinstance(value, dict) and is_misspelled(str(error["loc"][-1]), value, known):
                continue  # the message about that key is enough
            location, message = (*location, error["loc"][-1]), "is required"
        elif error["type"] == "extra_forbidden":
            message = f"is not a valid key; {meant_key(str(location[-1]), _known(fields, location, known_keys))}"
        elif on_key:
            message = _message(error, quoted(shown_key(str(location[-1]))), "")
        elif isinstance(value, list) and not fields.takes_list(location):
            wanted, hint = _WANTED.get(error["type"], "one value"), _as_mapping(error["type"])
            message = f"must be {wanted}, not a list{hint and f'{hint}, without a dash'}"
            if error["type"] not in _WANTS_MAPPING:
                lists.add(location)
        else:
            message = _message(error, _shown(value, fields, location, error["type"]), value)
        found = messages.setdefault((location, on_key), [])
        if message not in found:
            found.append(message)
    return [
        Fault(location, "; or ".join(found) + _several(location, lists), on_key, on_key and is_unclear(location))
        for (location, on_key), found in messages.items()
    ]


def _known(fields: ModelFields, location: Location, known_keys: Collection[str]) -> frozenset[str]:
    """Return the keys that are allowed in place of an unknown one."""
    here = fields.at(location[:-1])
    return (here.keys if here else frozenset()) | (frozenset(known_keys) if len(location) == 1 else frozenset())


def _may_be_secret(fields: ModelFields, known_keys: Collection[str], location: Location) -> bool:
    """Return whether an unknown key may itself be a credential, as in `basic_auth: {me, geheim}`."""
    is_within = len(location) > 1 and fields.holds_secret(location[:-1])
    return is_within and not is_understood(str(location[-1]), _known(fields, location, known_keys))


def _shown(value: object, fields: ModelFields, location: Location, kind: str) -> str:
    """Return a value as a message may show it; empty if it may be a secret, of which a message shows only the kind."""
    if fields.is_secret(location) or any(is_credential_name(str(step)) for step in location):
        return ""
    if isinstance(value, str) and (kind in _WANTS_MAPPING or (fields.holds_secret(location) and "@" in value)):
        return ""
    return quoted(value)


def _several(location: Location, lists: Collection[Location]) -> str:
    """Return how to make several checks from a list, where that may be what was meant."""
    if location not in lists or len(location) > 1 or location == ("name",):
        return ""
    return (
        f"; {'targets: [..]' if location == ('target',) else f'each: {{{location[0]}: [..]}}'} makes a check for each"
    )


def _as_mapping(kind: str) -> str:
    """Return how a mapping with any keys is written."""
    return "; write NAME: VALUE" if kind == "dict_type" else ""


def _as_scalar(kind: str, value: object) -> str:
    """Return how to write a value that is nearly one of the wanted kind; empty when it is not."""
    if kind == "string_type":
        return "; put it in quotes" if isinstance(value, int | float) else ""
    written = str(value).lower()
    if kind.startswith("bool") and written in _FLAG_WORDS:
        return f"; write {_FLAG_WORDS[written]}"
    if not kind.startswith(("int", "float")) or not isinstance(value, str):
        return ""
    plain = value.replace("_", "").lstrip("0") or "0"
    if not (plain.isascii() and plain.isdigit()) or len(plain) > _MOST_DIGITS:
        return ""
    return "; remove the quotes" if plain == value else f"; write {plain}"


def _message(error: ErrorDetails, shown: str, value: object) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in ("value_error", "assertion_error"):
        said = str(context.get("error", error["msg"]))
        return said if isinstance(value, dict | list) else f"{shown or MASK} {said}"
    shown = shown or kind_of(value)
    if kind in _WANTED:
        return f"must be {_WANTED[kind]}, not {shown}{_as_mapping(kind) or _as_scalar(kind, value)}"
    match kind:
        case "literal_error" | "enum":
            expected = context["expected"].replace(" or ", ", ").replace("'", "")
            known = [name.strip() for name in expected.split(",")]
            return f"must be one of {', '.join(known)}, not {shown}"
        case "string_too_short" | "too_short":
            return "must not be empty"
        case "string_too_long":
            return f"must have at most {counted(context['max_length'], 'character')}"
        case "too_long":
            return f"must have at most {context['max_length']} {'characters' if isinstance(value, str) else 'values'}"
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            bound = next(iter(context.values()))
            words = {"greater_than": "more than", "greater_than_equal": "at least", "less_than": "less than"}
            return f"must be {words.get(kind, 'at most')} {bound}, not {shown}"
        case _:
            return f"{error['msg'].replace('Input should', 'must')}, not {shown}"
