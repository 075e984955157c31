"""Writes a check as the keys of a checks.yml that produce it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel, SecretStr

from exporter.config.secrets import escaped
from exporter.config.yaml_dump import Quoted
from exporter.dialogue.template import Template
from exporter.expect import OPERATORS
from exporter.judging.pattern import Pattern
from exporter.model import SelectorKind, Severity, ValueKind
from exporter.settings import duration_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.model import Check, Expectation

_MIB = 1 << 20
_SUCCESS = ((200, 299),)
_DEFAULTS = {("status", "in", _SUCCESS), ("rcode", "in", ("NOERROR",))}
"""Default expectations of check types."""

_IN_MEMORY = "/proc/self/fd/"
"""Where the module contains a certificate or key."""

_GROUPS = {"any_of": "any", "all_of": "all"}


class CannotWriteError(ValueError):
    """Raised for a value that has no form in YAML; the message names it."""


def written_settings(settings: BaseModel, model: type[BaseModel] | None = None) -> dict[str, object]:
    """Return the keys of settings that differ from their defaults.

    Args:
        settings: The settings.
        model: The model whose keys a configuration has; that of the settings by default.

    Raises:
        CannotWriteError: When a value has no form in YAML.
    """
    written: dict[str, object] = {}
    for name, field in (model or type(settings)).model_fields.items():
        value = getattr(settings, name)
        if name not in settings.model_fields_set or value == field.get_default(call_default_factory=True):
            continue
        key = field.alias or field.validation_alias or name
        is_duration = name.endswith("_seconds")
        if is_duration and value is not None:
            written[str(key)] = duration_text(value)
        elif name == "body_size_limit":
            written[str(key)] = f"{value // _MIB}MiB" if value % _MIB == 0 else value
        else:
            written[str(key)] = _written(value, name)
    return written


def written_expectations(check: Check) -> list[dict[str, object]]:
    """Return the items of `expect`, without those that the type has by default."""
    return [
        _item(one)
        for one in check.expectations
        if one.parts or (one.subject.name, one.operator, one.operand) not in _DEFAULTS
    ]


def _item(expectation: Expectation) -> dict[str, object]:
    beside: dict[str, object] = {} if expectation.severity is Severity.ERROR else {"severity": "warning"}
    if expectation.parts:
        return {_GROUPS[expectation.operator]: [_item(part) for part in expectation.parts], **beside}
    subject = expectation.subject
    if expectation.operator not in OPERATORS[subject.kind]:
        raise CannotWriteError(f"the condition {expectation.label}")
    condition: dict[str, object] = {expectation.operator: _operand(expectation)}
    if expectation.missing_ok:
        beside["missing_ok"] = True
    if subject.selector is SelectorKind.NONE:
        is_short = expectation.operator == "in" and subject.kind in (ValueKind.STATUS, ValueKind.TEXT)
        return {subject.name: condition["in"] if is_short else condition, **beside}
    selector = escaped(str(getattr(expectation.selector, "text", expectation.selector)))
    is_implied = subject.selector is SelectorKind.CEL and condition == {"eq": True}
    return {subject.name: selector, **({} if is_implied else condition), **beside}


def _operand(expectation: Expectation) -> object:
    operand = expectation.operand
    if expectation.subject.kind is ValueKind.STATUS:
        ranges = cast("tuple[tuple[int, int], ...]", operand)
        return [low if low == high else f"{low}-{high}" for low, high in ranges]
    if isinstance(operand, Pattern) and not operand.text:
        return "()"  # matches every text as well, and is not rejected as forgotten
    return _written(operand, expectation.label)


def _written(value: Any, name: str) -> object:
    if isinstance(value, BaseModel):
        return written_settings(value)
    if isinstance(value, SecretStr):
        return escaped(value.get_secret_value())
    if isinstance(value, Pattern):
        return escaped(value.text)
    if isinstance(value, Template):
        return _template(value)
    if isinstance(value, bytes):
        return value.hex(" ")
    if isinstance(value, str):
        if value.startswith(_IN_MEMORY):
            raise CannotWriteError(f"the text of {name}, which stands in the module; write it to a file")
        return _line(escaped(value))
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {key: _written(one, name) for key, one in value.items()}
    if isinstance(value, tuple | list | frozenset):
        return [_written(one, name) for one in value]
    raise CannotWriteError(f"the value of {name}")


def _line(text: str) -> str:
    """Return a text in the form in which a person writes it: one with control characters in double quotes."""
    return text if text.isprintable() else Quoted(text)


def _template(template: Template) -> str:
    """Return a text with references to captures in the form of a dialogue."""
    parts = [escaped(template.texts[0])]
    for reference, text in zip(template.names, template.texts[1:], strict=True):
        parts += (f"${{{reference}}}", escaped(text))
    return _line("".join(parts))


def key_order(keys: Mapping[str, object]) -> dict[str, object]:
    """Return keys in the usual order."""
    first = ("name", "type", "target", "targets", "target_files", "each", "interval", "timeout", "labels")
    return {key: keys[key] for key in (*first, *keys) if key in keys}
