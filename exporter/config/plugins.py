"""Check types from outside the package: only those that the configuration names are imported."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
from typing import TYPE_CHECKING

from exporter.checks.base import CheckType
from exporter.config.expectations import ALL_OPERATORS, BESIDE
from exporter.config.fields import fields_of
from exporter.config.problems import quoted, suggest
from exporter.config.schema import CHECK_KEYS
from exporter.expect import DURATION
from exporter.settings import CheckSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.config.problems import Node, Problems

GROUP = "nyxmon_exporter.check_types"
"""The entry point group in which packages announce their check types."""

_TYPE_NAME = re.compile(r"[a-z][a-z0-9_-]*")


def load_plugins(names: Iterable[Node], problems: Problems) -> tuple[CheckType, ...]:
    """Import the check types that a configuration names, by entry point or as `module:attribute`.

    Args:
        names: The items of `plugins`.
        problems: Takes what cannot be imported, and what is no proper check type.
    """
    found: dict[str, CheckType] = {}
    for node in names:
        try:
            check_type = _load(str(node.value))
        except ValueError as error:
            problems.add(node, f"{quoted(node.value)} {error}")
            continue
        if check_type.name in found:
            problems.add(node, f"{quoted(node.value)} gives the check type {check_type.name}, as another plugin does")
        for fault in contract_faults(check_type):
            problems.add(node, f"{quoted(node.value)} gives a check type that {fault}")
        found[check_type.name] = check_type
    return tuple(found.values())


def _load(name: str) -> CheckType:
    module, colon, attribute = name.partition(":")
    entry_points = importlib.metadata.entry_points(group=GROUP)
    if not colon and name not in entry_points.names:
        raise ValueError(f"is no entry point; {suggest(name, entry_points.names, kind=f'plugins in {GROUP}')}")
    try:
        loaded = getattr(importlib.import_module(module), attribute) if colon else entry_points[name].load()
    except (Exception, SystemExit) as error:
        raise ValueError(f"cannot be imported: {type(error).__name__}: {error}") from error
    if not isinstance(loaded, CheckType):
        raise ValueError(f"is no CheckType but a {type(loaded).__name__}")  # noqa: TRY004 - a fault of the document
    return loaded


def contract_faults(check_type: CheckType) -> list[str]:
    """Tell where a check type breaks the rules that keep its YAML unambiguous; sentences that follow its name."""
    faults = []
    if not _TYPE_NAME.fullmatch(check_type.name):
        faults.append("must have a name of small letters, digits, - and _")
    if check_type.name in CHECK_KEYS:
        faults.append(f"cannot be named {check_type.name}, as a key of every check is")
    if not issubclass(check_type.settings, CheckSettings):
        faults.append("has settings that do not derive from CheckSettings")
        return faults
    shared = sorted(fields_of(check_type.settings).keys & CHECK_KEYS.keys())
    faults += [f"has the setting {key}, as every check has" for key in shared]
    taken = {*ALL_OPERATORS, *BESIDE, DURATION.name}
    for subject in check_type.subjects:
        if subject.name in taken:
            faults.append(f"has the subject {subject.name}, a name that is taken")
        taken.add(subject.name)
    return faults
