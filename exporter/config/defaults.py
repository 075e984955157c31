"""The key `defaults`: values for every check that has the key, or, under the name of a type, for its checks only.

A file's defaults override those of the file that includes it; within a file, those of the type override the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from exporter.config.common_keys import CHECK_KEYS, COMMON_DEFAULT_KEYS
from exporter.config.foreign_keys import meant_key
from exporter.config.model_fields import fields_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.checks.base import CheckType
    from exporter.config.problems import Node, Problems


class Defaults(NamedTuple):
    """One `defaults` mapping, split into general and typed keys."""

    common: dict[str, Node]
    by_type: dict[str, dict[str, Node]]

    def layers(self, check_type: CheckType) -> tuple[dict[str, Node], ...]:
        """Return the defaults that apply to checks of a type, the more general first."""
        known = COMMON_DEFAULT_KEYS | fields_of(check_type.settings).keys
        return (
            {key: node for key, node in self.common.items() if _without_suffix(key, known) in known},
            self.by_type.get(check_type.name, {}),
        )


def split_defaults(node: Node, check_types: Mapping[str, CheckType], problems: Problems) -> Defaults:
    """Split the keys of `defaults` and reject those that no check type has."""
    keys = node.value if isinstance(node.value, dict) else {}
    common: dict[str, Node] = {}
    by_type: dict[str, dict[str, Node]] = {}
    known = {key for check_type in check_types.values() for key in fields_of(check_type.settings).keys}
    known |= COMMON_DEFAULT_KEYS
    for key, value in keys.items():
        if key in check_types:
            by_type[key] = _of_type(value, check_types[key], problems)
        elif _without_suffix(key, known) in known:
            common[key] = value
        else:
            problems.add(value, f"cannot be a default; {_meant(key, known | check_types.keys())}", on_key=True)
    return Defaults(common, by_type)


def _of_type(node: Node, check_type: CheckType, problems: Problems) -> dict[str, Node]:
    if not isinstance(node.value, dict):
        problems.add(node, f"must be a mapping of keys of type {check_type.name}")
        return {}
    known = COMMON_DEFAULT_KEYS | fields_of(check_type.settings).keys | {"expect"}
    for key, value in node.value.items():
        if _without_suffix(key, known) not in known:
            message = f"cannot be a default of type {check_type.name}; {_meant(key, known)}"
            problems.add(value, message, on_key=True)
    return {key: value for key, value in node.value.items() if _without_suffix(key, known) in known}


def _meant(key: str, known: set[str] | frozenset[str]) -> str:
    """Return what to write instead of a key that cannot be a default."""
    if key == "expect":
        return "what can be expected depends on the type: write it under the name of one, such as http: {expect: [..]}"
    return "it belongs to a check" if key in CHECK_KEYS else meant_key(key, known)


def _without_suffix(key: str, known: set[str] | frozenset[str]) -> str:
    """Return the key that a `*_file` key stands for."""
    return key if key in known else key.removesuffix("_file")
