"""Replaces `{key}` in the texts of a check by values; `{{key}}` stands for the text `{key}`.

Other braces are left alone: patterns, JSON and JSONPath are full of them. A text that is only a placeholder becomes the
value itself, whatever its type. A value from a target file never becomes part of a reference or a file name: otherwise
the author of the targets could choose which of the exporter's files are sent to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from exporter.config.problems import quoted, suggest
from exporter.config.secrets import references
from exporter.config.values import FILE_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from exporter.config.problems import Node, Problems

_PLACEHOLDER = re.compile(r"(?<!\$)(?:\{\{([A-Za-z_][A-Za-z0-9_]*)\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\})")
_SHELL_FORM = re.compile(r"(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Values(NamedTuple):
    """The values of the placeholders of one check.

    Attributes:
        by_key: The values.
        foreign: The keys whose values come from a target file.
        origin: Where the target is in a target file; None when it is not from one.
    """

    by_key: Mapping[str, Node]
    foreign: frozenset[str] = frozenset()
    origin: Node | None = None


def doubled_braces(text: str) -> str:
    """Return a text that stands for this one where placeholders are replaced."""
    return _PLACEHOLDER.sub(lambda match: f"{{{match[0]}}}", text)


def has_placeholder(node: Node, key: str) -> bool:
    """Return whether a node is a text with a placeholder for a key."""
    return isinstance(node.value, str) and any(match[2] == key for match in _PLACEHOLDER.finditer(node.value))


def has_placeholders(node: Node) -> bool:
    """Return whether there is a placeholder anywhere within a value."""
    if isinstance(node.value, str):
        return any(match[2] for match in _PLACEHOLDER.finditer(node.value))
    below = node.value.values() if isinstance(node.value, dict) else node.value
    return isinstance(below, Iterable) and any(map(has_placeholders, below))


def refuse_placeholders(node: Node, problems: Problems) -> None:
    """Report placeholders in a check that has no values for them."""
    if isinstance(node.value, dict):
        for item in node.value.values():
            refuse_placeholders(item, problems)
    elif isinstance(node.value, str) and "{" in node.value:
        for match in _PLACEHOLDER.finditer(node.value):
            if match[2]:
                problems.add(node, f"has {match[0]}, which has no value; add each, targets or target_files")


class Substitution:
    """Replaces placeholders by values; lives for one item of `checks`.

    Attributes:
        used: The keys that occurred.
    """

    def __init__(self, problems: Problems, labels: Collection[str] = ()) -> None:
        """Start with an item.

        Args:
            problems: Receives the faults in placeholders.
            labels: The labels that targets in its target files have.
        """
        self.used: set[str] = set()
        self._problems = problems
        self._labels = labels

    def apply(self, entries: Mapping[str, Node], values: Values) -> dict[str, Node]:
        """Return the keys of the item with their placeholders replaced."""
        return {key: self._apply(node, values, key) for key, node in entries.items()}

    def _apply(self, node: Node, values: Values, key: str) -> Node:
        """Return a value with its placeholders replaced; the same node when there are none."""
        if isinstance(node.value, str):
            return self._apply_to_text(node, node.value, values, key) if "{" in node.value else node
        if isinstance(node.value, list):
            return node._replace(value=[self._apply(item, values, key) for item in node.value])
        if isinstance(node.value, dict):
            return node._replace(value={inner: self._apply(item, values, inner) for inner, item in node.value.items()})
        return node

    def _apply_to_text(self, node: Node, text: str, values: Values, key: str) -> Node:
        if "${" in text:
            self._look_for_shell_form(node, text, values)
        whole = _PLACEHOLDER.fullmatch(text)
        if whole and whole[2] in values.by_key:
            self.used.add(whole[2])
            replaced = values.by_key[whole[2]]._replace(key_line=node.key_line, key_column=node.key_column)
        else:

            def replacement(match: re.Match[str]) -> str:
                return f"{{{match[1]}}}" if match[1] else self._text_of(match[2], node, values)

            composed = _PLACEHOLDER.sub(replacement, text)
            replaced = node._replace(value=composed, text=composed)
        return node if values.foreign and self._decides_what_is_read(node, text, replaced, values, key) else replaced

    def _look_for_shell_form(self, node: Node, text: str, values: Values) -> None:
        """Reject `${key}`, which could mean the value of the key or a variable."""
        for match in _SHELL_FORM.finditer(text):
            if match[1] in values.by_key or match[1] in self._labels:
                name = match[1]
                self.used.add(name)
                if name in values.foreign:
                    message = f"cannot have {{{name}}} in a reference, as it is from a target file"
                else:
                    message = f"has ${{{name}}}; write {{{name}}} for the value, ${{env:{name}}} for a variable"
                self._problems.add(node, message)

    def _decides_what_is_read(self, node: Node, text: str, replaced: Node, values: Values, key: str) -> bool:
        """Reject a target file's value as a file name or in a reference; return whether there was one."""
        foreign = [match[2] for match in _PLACEHOLDER.finditer(text) if match[2] in values.foreign]
        if foreign and key.endswith(FILE_SUFFIX):
            self._problems.add(node, f"cannot name a file by {{{foreign[0]}}}, which is from a target file")
            return True
        if foreign and isinstance(replaced.value, str) and "$" in replaced.value:

            def own(match: re.Match[str]) -> str:
                return match[0] if match[1] else "\0" if match[2] in foreign else self._text_of(match[2], node, values)

            if references(_PLACEHOLDER.sub(own, text)) != references(replaced.value):
                self._problems.add(node, f"cannot have {{{foreign[0]}}} in a reference, as it is from a target file")
                return True
        return False

    def _text_of(self, key: str, node: Node, values: Values) -> str:
        self.used.add(key)
        value = values.by_key.get(key)
        if value is None:
            self._report_missing(key, node, values)
        elif isinstance(value.value, dict | list):
            self._problems.add(value, f"cannot be part of a text, as {{{key}}} does")
        else:
            return value.value if isinstance(value.value, str) else value.text
        return ""

    def _report_missing(self, key: str, node: Node, values: Values) -> None:
        if values.origin is not None and key in self._labels:
            place = f"{node.file}:{node.line}:{node.column}"
            self._problems.add(values.origin, f"has no label {quoted(key)}, which {{{key}}} at {place} stands for")
            return
        kind = "keys of each" if values.origin is None else "keys of each and labels"
        no_key = "is not a key of each" if values.origin is None else "is neither a key of each nor a label of a target"
        meant = suggest(key, {*values.by_key, *self._labels}, kind=kind)
        so = " Write" if meant.endswith("?") else "; write"
        self._problems.add(node, f"{{{key}}} {no_key}; {meant}{so} {{{{{key}}}}} for the text {{{key}}}")
