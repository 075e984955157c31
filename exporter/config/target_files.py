"""Reads targets from files in Prometheus' file_sd format: lists of groups of targets that share labels.

The author of such a file controls targets and labels, and nothing else: its texts are taken literally, so that a
reference in them cannot read the exporter's environment or files.
Source: Prometheus, "Configuration", `file_sd_config`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from exporter.config.files import MAX_TARGET_FILE_BYTES
from exporter.config.json_nodes import load_json
from exporter.config.problems import quoted, suggest
from exporter.config.secrets import escaped
from exporter.config.yaml_nodes import load_document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.config.files import Files
    from exporter.config.problems import Node, Problems

MAX_TARGET_FILES = 1000

_SUFFIXES = (".json", ".yml", ".yaml")
_GROUP_KEYS = ("targets", "labels")
_DROPPED_PREFIX = "__"
"""Prefix of the labels that Prometheus uses internally and drops."""


class FileTarget(NamedTuple):
    """A target from a file: the nodes of its text and of its group's labels, both free of references."""

    node: Node
    labels: dict[str, Node]


class TargetFiles:
    """Reads target files, each only once even if several checks name it; lives as long as a load."""

    def __init__(self, files: Files, problems: Problems) -> None:
        self._files = files
        self._problems = problems
        self._read: dict[Path, list[FileTarget]] = {}

    def read(self, patterns: Node) -> list[FileTarget]:
        """Return the targets of all files that match the patterns; duplicates with the same labels only once.

        Args:
            patterns: The value of `target_files`: globs relative to the file that contains it.
        """
        found: dict[tuple[object, ...], FileTarget] = {}
        for path in self._paths(patterns):
            if path not in self._read:
                self._read[path] = list(self._targets(path))
            for target in self._read[path]:
                labels = sorted((name, node.text) for name, node in target.labels.items())
                found.setdefault((target.node.text, *labels), target)
        return list(found.values())

    def _paths(self, patterns: Node) -> list[Path]:
        paths: dict[Path, None] = {}
        if not isinstance(patterns.value, list) or not patterns.value:
            self._problems.add(patterns, "must be a list of at least one file, as globs relative to this file")
            return []
        for pattern in patterns.value:
            name = pattern.value
            if not isinstance(name, str) or "\0" in name or Path(name).suffix.lower() not in _SUFFIXES:
                self._problems.add(pattern, f"must be a file that ends in .json, .yml or .yaml, not {quoted(name)}")
                continue
            for path in self._files.find(Path(pattern.file).parent, name):
                if path.exists():
                    paths[path] = None
                else:
                    self._problems.add(pattern, f"{quoted(name)} does not exist")
        if len(paths) > MAX_TARGET_FILES:
            self._problems.add(patterns, f"leads to more than {MAX_TARGET_FILES} files")
            return []
        return list(paths)

    def _targets(self, path: Path) -> Iterator[FileTarget]:
        root = self._document(path)
        if root is None:
            return
        if not isinstance(root.value, list):
            self._problems.add(root, "must be a list of groups with the keys targets and labels")
            return
        for group in root.value:
            yield from self._group(group)

    def _document(self, path: Path) -> Node | None:
        try:
            text = self._files.read_text(path, MAX_TARGET_FILE_BYTES)
        except ValueError as error:
            self._problems.add_unreadable(path, error)
            return None
        before = len(self._problems)
        if path.suffix.lower() == ".json" and text.strip():
            return load_json(text, str(path), self._problems)
        root = load_document(text, str(path), self._problems)
        if root is None and len(self._problems) == before:
            # it may be only half written, so an empty file does not mean that there are no targets
            self._problems.add_at(str(path), 0, 0, "", "is empty; a file without targets has the text []")
        return root

    def _group(self, group: Node) -> Iterator[FileTarget]:
        if not isinstance(group.value, dict):
            self._problems.add(group, f"must be a mapping with the keys targets and labels, not {quoted(group.value)}")
            return
        for key, node in group.value.items():
            if key not in _GROUP_KEYS:
                message = f"is not a valid key; {suggest(key, _GROUP_KEYS, kind='valid keys')}"
                self._problems.add(node, message, on_key=True)
        targets, labels = (group.value.get(key) for key in _GROUP_KEYS)
        given: dict[str, Node] = {}
        if labels is not None and isinstance(labels.value, dict):
            kept = {name: node for name, node in labels.value.items() if not name.startswith(_DROPPED_PREFIX)}
            given = {name: text for name, node in kept.items() if (text := self._text(node)) is not None}
        elif labels is not None and labels.value is not None:
            self._problems.add(labels, "must be a mapping of labels to texts")
        if targets is not None and isinstance(targets.value, list):
            for item in targets.value:
                target = self._text(item)
                if target is not None:
                    yield FileTarget(target, given)
        elif targets is not None and targets.value is not None:
            self._problems.add(targets, "must be a list of targets")

    def _text(self, node: Node) -> Node | None:
        """Return a scalar as the text that was written, as Prometheus does, with references escaped."""
        if node.value is None or isinstance(node.value, dict | list):
            self._problems.add(node, f"must be text, not {quoted(node.value)}")
            return None
        return node._replace(value=escaped(node.text))
