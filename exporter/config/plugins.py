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
from exporter.exposition.declarations import kind_faults, metric_faults, subject_faults
from exporter.exposition.families import OWN_NAMES
from exporter.foreign import repr_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from exporter.config.problems import Node, Problems

GROUP = "nyxmon_exporter.check_types"
"""The entry point group in which packages register their check types."""

NO_TYPES: Mapping[str, CheckType] = MappingProxyType({})

_TYPE_NAME = re.compile(r"[a-z][a-z0-9_-]*")


def load_plugins(
    names: Iterable[Node], problems: Problems, known: Mapping[str, CheckType] = NO_TYPES
) -> tuple[CheckType, ...]:
    """Import the check types that a configuration names, by entry point or as `module:attribute`.

    Args:
        names: The items of `plugins`.
        known: The types that already exist, by name.
        problems: Receives what cannot be imported, and what is not a valid check type.
    """
    found: dict[str, CheckType] = {}
    for node in names:
        try:
            check_type = _load(str(node.value))
        except ValueError as error:
            problems.add(node, f"{quoted(node.value)} {error}")
            continue
        faults = contract_faults(check_type, {**known, **found}.values())
        if any(check_type.name == other for other in found):
            problems.add(node, f"{quoted(node.value)} provides the type {check_type.name}, as another plugin does")
        for fault in faults:
            problems.add(node, f"{quoted(node.value)} provides a check type that {fault}")
        if not faults or _can_be_configured(check_type):
            found[check_type.name] = check_type
    return tuple(found.values())


def _can_be_configured(check_type: CheckType) -> bool:
    """Return whether checks of a refused type can still be read, so that their own faults are reported too."""
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
    yield from subject_faults(check_type, (*ALL_OPERATORS, *BESIDE, *GROUPS, DURATION.name))
    yield from metric_faults(check_type, (other for other in others if other.name != check_type.name), OWN_NAMES)
