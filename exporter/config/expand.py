"""From the checks as written to the checks that run: `each`, `targets`, `defaults`. Works on nodes, so places stay.

In a check with `each` or `targets`, `{key}` in any text stands for the value of that key; `{{key}}` stands for the
text `{key}`. Other braces are left alone: patterns, JSON and JSONPath are full of them. A text that is nothing but a
placeholder becomes the value itself, whatever its kind. A key of `each` that is a key of the check as well sets it.
"""

from __future__ import annotations

import itertools
import math
import re
from typing import TYPE_CHECKING

from exporter.config.problems import quoted, suggest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from exporter.config.problems import Node, Problems

MAX_COMBINATIONS = 10_000

_PLACEHOLDER = re.compile(r"\{\{([A-Za-z_][A-Za-z0-9_]*)\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}")
_AXIS_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Entries = dict[str, "Node"]
"""The keys of a check with their values."""


def merge_defaults(layers: Iterable[Mapping[str, Node]], own: Mapping[str, Node]) -> Entries:
    """Lay a check's own keys over the defaults: labels are merged, everything else is replaced.

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


def expand_each(check: Node, own: Entries, known_keys: Collection[str], problems: Problems) -> Iterator[Entries]:
    """Give the keys of each check that one item stands for.

    Args:
        check: The item, for its place.
        own: Its keys.
        known_keys: The keys that a value of `each` may set.
        problems: Takes what is wrong with `each`, `targets` and the placeholders.
    """
    axes = _axes(own, problems)
    rest = {key: node for key, node in own.items() if key not in ("each", "targets")}
    if axes is None:
        return
    if not axes:
        yield rest
        return
    if math.prod(len(values) for values in axes.values()) > MAX_COMBINATIONS:
        problems.add(check, f"stands for more than {MAX_COMBINATIONS} checks")
        return
    substitution = _Substitution(problems)
    for combination in itertools.product(*axes.values()):
        values = dict(zip(axes, combination, strict=True))
        entries = {key: substitution.apply(node, values) for key, node in rest.items()}
        yield entries | {key: value for key, value in values.items() if key in known_keys and key not in rest}
    for key, axis in axes.items():
        if key not in substitution.used and (key in rest or key not in known_keys):
            problems.add(axis[0], f"has no effect: no text of the check has {{{key}}} in it")


def _axes(own: Entries, problems: Problems) -> dict[str, list[Node]] | None:
    """Give the values of each key of `each`; None when they cannot be told."""
    axes: dict[str, list[Node]] = {}
    each, targets = own.get("each"), own.get("targets")
    before = len(problems)
    if each is not None:
        if not isinstance(each.value, dict) or not each.value:
            problems.add(each, "must be a mapping of keys to lists of values")
            return None
        for key, node in each.value.items():
            if not _AXIS_NAME.fullmatch(key) or key in ("name", "type", "expect", "each", "targets"):
                problems.add(node, f"{quoted(key)} cannot be a key of each", on_key=True)
            axes[key] = _values(node, problems)
    if targets is not None:
        for rival in ("target" if "target" in own else "", "each.target" if "target" in axes else ""):
            if rival:
                problems.add(targets, f"cannot stand beside {rival}", on_key=True)
        axes["target"] = _values(targets, problems)
    return axes if len(problems) == before else None


def _values(node: Node, problems: Problems) -> list[Node]:
    if isinstance(node.value, list) and node.value:
        return node.value
    problems.add(node, "must be a list of at least one value")
    return []


class _Substitution:
    """Puts values in the place of placeholders; lives for one item of `checks`.

    Attributes:
        used: The keys that were met.
    """

    def __init__(self, problems: Problems) -> None:
        self.used: set[str] = set()
        self._problems = problems

    def apply(self, node: Node, values: Mapping[str, Node]) -> Node:
        """Give the node with its placeholders replaced; the same node when there are none."""
        if isinstance(node.value, str):
            return self._apply_to_text(node, node.value, values) if "{" in node.value else node
        if isinstance(node.value, list):
            return node._replace(value=[self.apply(item, values) for item in node.value])
        if isinstance(node.value, dict):
            return node._replace(value={key: self.apply(item, values) for key, item in node.value.items()})
        return node

    def _apply_to_text(self, node: Node, text: str, values: Mapping[str, Node]) -> Node:
        whole = _PLACEHOLDER.fullmatch(text)
        if whole and whole[2] in values:
            self.used.add(whole[2])
            return values[whole[2]]._replace(key_line=node.key_line, key_column=node.key_column)

        def replacement(match: re.Match[str]) -> str:
            return f"{{{match[1]}}}" if match[1] else self._text_of(match[2], node, values)

        replaced = _PLACEHOLDER.sub(replacement, text)
        return node._replace(value=replaced, text=replaced)

    def _text_of(self, key: str, node: Node, values: Mapping[str, Node]) -> str:
        self.used.add(key)
        value = values.get(key)
        if value is None:
            meant = suggest(key, values, kind="keys of each")
            self._problems.add(node, f"{{{key}}} is no key of each; {meant} Write {{{{{key}}}}} for the text {{{key}}}")
        elif isinstance(value.value, dict | list):
            self._problems.add(value, f"cannot stand within a text, as {{{key}}} does")
        else:
            return value.value if isinstance(value.value, str) else value.text
        return ""
