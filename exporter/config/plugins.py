"""Imports check types from outside the package: only those that the configuration names."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import threading
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from exporter.checks.base import CheckType
from exporter.config.common_keys import CHECK_KEYS
from exporter.config.expectations import ALL_OPERATORS, BESIDE, GROUPS
from exporter.config.model_fields import fields_of
from exporter.config.problems import quoted, suggest
from exporter.expect import DURATION
from exporter.exposition.declarations import kind_faults, metric_faults, phase_faults, subject_faults
from exporter.exposition.families import OWN_NAMES
from exporter.foreign import repr_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from exporter.config.problems import Node, Problems

GROUP = "nyxmon_exporter.check_types"
"""The entry point group in which packages register their check types."""

PLUGIN_KEYS = {
    "plugin": "Name of an entry point, or module:attribute",
    "replaces": "The existing type whose place it takes",
}
"""Keys of an item of `plugins` that is a mapping."""

NO_TYPES: Mapping[str, CheckType] = MappingProxyType({})

_TYPE_NAME = re.compile(r"[a-z][a-z0-9_-]*")


def load_plugins(
    items: Iterable[Node], problems: Problems, known: Mapping[str, CheckType] = NO_TYPES
) -> tuple[CheckType, ...]:
    """Import the check types that a configuration names, by entry point or as `module:attribute`.

    Args:
        items: The items of `plugins`.
        problems: Receives the faults: a failed import, an invalid check type, or one that would replace an existing
            type without `replaces`.
        known: The types that already exist, by name.
    """
    found: dict[str, CheckType] = {}
    for item in items:
        entry = _read_entry(item, problems)
        if entry is None:
            continue
        node, replaced = entry
        try:
            check_type = _load(str(node.value))
        except ValueError as error:
            problems.add(node, f"{quoted(node.value)} {error}")
            continue
        faults = contract_faults(check_type, {**known, **found}.values())
        for fault in faults:
            problems.add(node, f"{quoted(node.value)} provides a check type that {fault}")
        if faults and not _can_be_configured(check_type):
            continue
        if check_type.name in found:
            problems.add(node, f"{quoted(node.value)} provides the type {check_type.name}, as another plugin does")
        elif clash := _clash(node, check_type.name, replaced, known):
            problems.add(replaced or node, clash)
        found[check_type.name] = check_type
    return tuple(found.values())


def _read_entry(item: Node, problems: Problems) -> tuple[Node, Node | None] | None:
    """Return the name of a plugin and of the type it may replace; None when the item cannot be understood."""
    keys = item.value if isinstance(item.value, dict) else {"plugin": item}
    for key, node in keys.items():
        if key not in PLUGIN_KEYS:
            problems.add(node, f"is not a valid key; {suggest(key, PLUGIN_KEYS, kind='valid keys')}", on_key=True)
        elif not isinstance(node.value, str) or not node.value:
            problems.add(node, f"must be text, not {quoted(node.value)}")
            return None
    if "plugin" not in keys:
        problems.add(item._replace(path=f"{item.path}.plugin"), "is required")
        return None
    return keys["plugin"], keys.get("replaces")


def _clash(node: Node, name: str, replaced: Node | None, known: Mapping[str, CheckType]) -> str:
    """Return why a type cannot take its name; empty when it can."""
    if replaced is None:
        written = f"write {{plugin: {node.value}, replaces: {name}}} to let it replace that type"
        return (
            f"{quoted(node.value)} provides the type {name}, which exists already; {written}" if name in known else ""
        )
    if replaced.value != name:
        return f"{quoted(replaced.value)} is not the type that {quoted(node.value)} provides, which is {name}"
    return "" if name in known else f"{quoted(name)} is not a type that exists without the plugin; leave out replaces"


def _can_be_configured(check_type: CheckType) -> bool:
    """Return whether checks of a rejected type can still be read, so that their own faults are reported too."""
    return type(check_type) is CheckType and not contract_faults(replace(check_type, metrics=()))


def _load(name: str) -> CheckType:
    module, colon, attribute = name.partition(":")
    entry_points = importlib.metadata.entry_points(group=GROUP)
    if not colon and name not in entry_points.names:
        raise ValueError(f"is not an entry point; {suggest(name, entry_points.names, kind=f'plugins in {GROUP}')}")
    try:
        loaded = getattr(importlib.import_module(module), attribute) if colon else entry_points[name].load()
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
            raise  # someone pressed Ctrl-C during the start; in a reload it can only come from the module
        raise ValueError(f"cannot be imported: {type(error).__name__}: {text_of(error)}") from error
    if not isinstance(loaded, CheckType):
        raise ValueError(f"is not a CheckType but a {type(loaded).__name__}")  # noqa: TRY004 - a fault of the document
    return loaded


def contract_faults(check_type: CheckType, others: Iterable[CheckType] = ()) -> list[str]:
    """Return how a check type breaks the rules that keep its YAML unambiguous and its series valid.

    Args:
        check_type: The type.
        others: The types that it will be used with.

    Returns:
        Messages that follow its name.
    """
    try:
        return list(_contract_faults(check_type, others))
    except Exception as error:  # noqa: BLE001 - a plugin's class may raise from anything
        return [f"cannot be read: {repr_of(error)}"]


def _contract_faults(check_type: Any, others: Iterable[CheckType]) -> Iterator[str]:
    if not isinstance(check_type.name, str) or not _TYPE_NAME.fullmatch(check_type.name):
        yield "must have a name of small letters, digits, - and _"
    elif check_type.name in CHECK_KEYS:
        yield f"cannot be named {check_type.name}, as a key of every check is"
    kinds = list(kind_faults(check_type))
    yield from kinds
    if not kinds:
        for key in sorted(fields_of(check_type.settings).keys & CHECK_KEYS.keys()):
            yield f"has the setting {key}, as every check has"
    yield from phase_faults(check_type)
    yield from subject_faults(check_type, (*ALL_OPERATORS, *BESIDE, *GROUPS, DURATION.name))
    yield from metric_faults(check_type, (other for other in others if other.name != check_type.name), OWN_NAMES)
