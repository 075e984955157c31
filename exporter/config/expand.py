"""Expands the checks as written into the checks that run: `each`, `targets`, `defaults`. Nodes keep their place.

In a check with `each`, `targets` or `target_files`, `{key}` in any text stands for the value of that key, or for that
label of the target in its file; `each` wins. In other checks it is rejected in the texts that identify the check and
has no meaning elsewhere. A key of `each` that is also a key of the check sets it; a label never
does. The labels of a target become labels of the check; the check's own labels override them.
"""

from __future__ import annotations

import itertools
import math
import re
from typing import TYPE_CHECKING, NamedTuple

from exporter.config.placeholders import Substitution, Values, has_placeholder, refuse_placeholders
from exporter.config.problems import quoted
from exporter.config.secrets import references
from exporter.config.target_files import FileTarget

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from exporter.config.problems import Node, Problems
    from exporter.config.target_files import TargetFiles

MAX_COMBINATIONS = 10_000

_AXIS_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EXPANDING = ("each", "targets", "target_files")

_TELLING = {"name", "target", "labels"}
"""The keys of a check in which `{key}` is always a placeholder."""

Entries = dict[str, "Node"]
"""The keys of a check with their values."""


def merge_defaults(layers: Iterable[Mapping[str, Node]], own: Mapping[str, Node]) -> Entries:
    """Override the defaults with a check's own keys: labels are merged, everything else is replaced.

    Args:
        layers: Defaults, the most general first.
        own: The keys of the check.
    """
    merged: Entries = {}
    for layer in (*layers, own):
        for key, node in layer.items():
            below = merged.get(key)
            if key == "labels" and below and isinstance(below.value, dict) and isinstance(node.value, dict):
                merged[key] = node._replace(value={**below.value, **node.value})
            else:
                merged[key] = node
    return merged


class Expanded(NamedTuple):
    """The keys of one check, and the position of its target in a target file; None if it is not from one."""

    entries: Entries
    origin: Node | None = None


def expand_each(
    check: Node, own: Entries, known_keys: Collection[str], target_files: TargetFiles, problems: Problems
) -> Iterator[Expanded]:
    """Return the keys of each check that one item expands to.

    Args:
        check: The item, for its position.
        own: Its keys.
        known_keys: The keys that a value of `each` may set.
        target_files: Reads the files that `target_files` names.
        problems: Receives the faults in `each`, `targets`, `target_files` and the placeholders.
    """
    before = len(problems)
    axes = _axes(own, problems)
    targets = _targets(own, axes, target_files, problems)
    rest = {key: node for key, node in own.items() if key not in _EXPANDING}
    if len(problems) > before:
        return
    if not axes and targets is None:
        for key in _TELLING & rest.keys():
            refuse_placeholders(rest[key], problems)
        yield Expanded(rest)
        return
    choices: Sequence[Node | FileTarget | None] = [None] if targets is None else targets
    if math.prod(len(values) for values in (*axes.values(), choices)) > MAX_COMBINATIONS:
        problems.add(check, f"expands to more than {MAX_COMBINATIONS} checks")
        return
    labels = {label for choice in choices if isinstance(choice, FileTarget) for label in choice.labels}
    substitution = Substitution(problems, labels)
    for combination in itertools.product(*axes.values()):
        for choice in choices:
            values = _values_of(dict(zip(axes, combination, strict=True)), choice)
            entries = substitution.apply(rest, values)
            setting = {"target": "", **axes}.keys() & values.by_key.keys() & set(known_keys) - rest.keys()
            entries |= {key: values.by_key[key] for key in setting}
            yield _of_file(entries, choice) if isinstance(choice, FileTarget) else Expanded(entries)
    for key, axis in axes.items():
        if choices and key not in substitution.used and (key in rest or key not in known_keys):
            problems.add(axis[0], f"has no effect: no text of the check has {{{key}}} in it")


def _axes(own: Entries, problems: Problems) -> dict[str, list[Node]]:
    """Return the values of each key of `each`."""
    axes: dict[str, list[Node]] = {}
    each = own.get("each")
    if each is None:
        return axes
    if not isinstance(each.value, dict) or not each.value:
        problems.add(each, "must be a mapping of keys to lists of values")
        return axes
    for key, node in each.value.items():
        if not _AXIS_NAME.fullmatch(key) or key in ("name", "type", "expect", *_EXPANDING):
            problems.add(node, f"{quoted(key)} cannot be a key of each", on_key=True)
        axes[key] = _values(node, problems)
    return axes


def _targets(
    own: Entries, axes: Mapping[str, object], target_files: TargetFiles, problems: Problems
) -> list[Node | FileTarget] | None:
    """Return the targets of `targets` and `target_files`, possibly empty; None when the check has neither key."""
    written, files = own.get("targets"), own.get("target_files")
    for node in (written, files):
        if node and "target" in own and not has_placeholder(own["target"], "target"):
            problems.add(node, "cannot be used with target, unless that has {target} in it", on_key=True)
        elif node and "target" in axes:
            problems.add(node, "cannot be used with each.target", on_key=True)
    if written is None and files is None:
        return None
    return [
        *(_values(written, problems) if written is not None else ()),
        *(target_files.read(files) if files is not None else ()),
    ]


def _values_of(own: dict[str, Node], choice: Node | FileTarget | None) -> Values:
    """Return the values of the placeholders, from `each` and the target."""
    if choice is None:
        return Values(own)
    if not isinstance(choice, FileTarget):
        return Values({**own, "target": choice})
    foreign = (choice.labels.keys() - own.keys()) | {"target"}
    return Values({**choice.labels, **own, "target": choice.node}, frozenset(foreign), choice.node)


def _of_file(entries: Entries, target: FileTarget) -> Expanded:
    """Add the labels of a target's group, and report faults of the target where it is written."""
    own = entries.get("labels")
    if own is None and target.labels:
        entries["labels"] = target.node._replace(value=target.labels, text="")
    elif own is not None and isinstance(own.value, dict):
        entries["labels"] = own._replace(value={**target.labels, **own.value})
    written = entries["target"]
    if isinstance(written.value, str) and not references(written.value):  # those are relative to the file they are in
        entries["target"] = target.node._replace(value=written.value, text=written.text)
    return Expanded(entries, target.node)


def _values(node: Node, problems: Problems) -> list[Node]:
    if isinstance(node.value, list) and node.value:
        first: dict[tuple[type, object], Node] = {}
        for item in node.value:
            if not isinstance(item.value, dict | list):
                place = first.setdefault((type(item.value), item.value), item)
                if place is not item:
                    problems.add(item, f"is listed twice, first in line {place.line}")
        return node.value
    problems.add(node, "must be a list of at least one value")
    return []
