"""Reads the documents of a configuration: the main file and what it includes, split into their keys."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from exporter.config.files import MAX_DOCUMENT_BYTES, NotUtf8Error
from exporter.config.foreign_keys import meant_document_key
from exporter.config.problems import quoted
from exporter.config.yaml_nodes import load_document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.config.files import Files
    from exporter.config.problems import Node, Problems

MAX_DOCUMENTS = 1000
ANCHORS_PREFIX = "x-"
"""Prefix of top-level keys that are ignored: a place for anchors and values of merge keys."""

_LISTS = {"checks": '; begin each check with "- name: "', "include": ", such as [checks.d/*.yml]"}
"""How to write lists that are often written as something else."""

DOCUMENT_KEYS = {
    "include": "Further files, as globs relative to this file, with their own checks and defaults",
    "defaults": "Keys that every check of the file has unless it sets them itself; under the name of a check type,"
    " keys of the checks of this type",
    "plugins": "Check types from outside: names of entry points in the group nyxmon_exporter.check_types,"
    " or module:attribute; {plugin: NAME, replaces: TYPE} for one that takes the place of an existing type",
    "checks": "What is checked",
}
"""The top-level keys and their descriptions."""


class Document(NamedTuple):
    """One file: its checks, and the defaults that apply to them, the outermost file's first."""

    checks: tuple[Node, ...]
    defaults: tuple[Node, ...]


class Documents(NamedTuple):
    """The documents of one load; `plugins` are the items of the main file's list."""

    documents: tuple[Document, ...]
    plugins: tuple[Node, ...]


class DocumentReader:
    """Reads the main file and, depth first, what it includes; lives as long as a load."""

    def __init__(self, files: Files, problems: Problems) -> None:
        self._files = files
        self._problems = problems
        self._documents: list[Document] = []
        self._plugins: tuple[Node, ...] = ()
        self._open: list[Path] = []
        self._main_keys: dict[str, Node] = {}

    def read(self, path: Path, text: str | None = None) -> Documents:
        """Read everything, starting from the main file or from its text."""
        self._read(path, text, ())
        if not self._problems and not any(document.checks for document in self._documents):
            self._tell_no_checks(path)
        return Documents(tuple(self._documents), self._plugins)

    def _tell_no_checks(self, path: Path) -> None:
        """Report that there are no checks, at the key that should have led to some."""
        keys = self._main_keys
        if "checks" in keys:
            self._problems.add(keys["checks"], f"is empty{_LISTS['checks']}", on_key=True)
        elif "include" in keys:
            self._problems.add(keys["include"], "leads to no checks", on_key=True)
        else:
            self._problems.add_at(str(path), 1, 1, "", "has no checks; write the key checks")

    def _read(self, path: Path, text: str | None, defaults: tuple[Node, ...], included_by: Node | None = None) -> None:
        before = len(self._problems)
        if text is None:
            try:
                text = self._files.read_text(path, MAX_DOCUMENT_BYTES)
            except ValueError as error:
                if included_by is None or isinstance(error, NotUtf8Error):
                    self._problems.add_unreadable(path, error)
                else:
                    self._problems.add(included_by, f"{quoted(str(path))} {error}")
                return
        root = load_document(text, str(path), self._problems)
        if root is None or root.value is None:
            if len(self._problems) == before:
                self._problems.add_at(str(path), 0, 0, "", "is empty; it needs the key checks")
            return
        if not isinstance(root.value, dict):
            hint = '; write "checks:" above the list' if isinstance(root.value, list) else ""
            self._problems.add(root, f"must be a mapping with the keys {', '.join(DOCUMENT_KEYS)}{hint}")
            return
        self._read_keys(path, root.value, defaults)

    def _read_keys(self, path: Path, keys: dict[str, Node], defaults: tuple[Node, ...]) -> None:
        is_main = not self._open
        if is_main:
            self._main_keys = keys
        for key, node in keys.items():
            if key not in DOCUMENT_KEYS and not key.startswith(ANCHORS_PREFIX):
                message = f"is not a valid key; {meant_document_key(key, DOCUMENT_KEYS)}"
                self._problems.add(node, message, on_key=True)
        if "plugins" in keys and not is_main:
            self._problems.add(keys["plugins"], "belongs in the main file", on_key=True)
        elif "plugins" in keys:
            self._plugins = tuple(self._items(keys["plugins"]))
        if "defaults" in keys:
            if isinstance(keys["defaults"].value, dict):
                defaults = (*defaults, keys["defaults"])
            else:
                self._problems.add(keys["defaults"], "must be a mapping")
        checks = self._items(keys["checks"]) if "checks" in keys else []
        self._documents.append(Document(tuple(checks), defaults))
        if "include" in keys:
            self._open.append(Path(os.path.realpath(path)))
            for pattern in self._texts(keys["include"]):
                self._include(path.parent, pattern, defaults)
            self._open.pop()

    def _include(self, directory: Path, pattern: Node, defaults: tuple[Node, ...]) -> None:
        text = str(pattern.value)
        if "\0" in text:
            self._problems.add(pattern, "cannot be read")
            return
        found = self._files.find(directory, text)
        if not found:
            self._problems.warn(pattern, f"{quoted(text)} matches no file")
        for path in found:
            real = Path(os.path.realpath(path))
            if real in self._open:
                self._problems.add(pattern, f"includes {path}, which is already being read")
            elif len(self._documents) >= MAX_DOCUMENTS:
                self._problems.add(pattern, f"leads to more than {MAX_DOCUMENTS} files")
                return
            elif path.is_dir():
                self._problems.add(pattern, f"{quoted(text)} is a directory; write {text.rstrip('/')}/*.yml")
            elif path.exists():
                self._read(path, None, defaults, pattern)
            else:
                self._problems.add(pattern, f"{quoted(text)} does not exist")

    def _items(self, node: Node) -> list[Node]:
        if node.value is None:
            return []
        if not isinstance(node.value, list):
            self._problems.add(node, f"must be a list{_LISTS.get(node.path, '')}")
            return []
        return node.value

    def _texts(self, node: Node) -> Iterator[Node]:
        for item in self._items(node):
            if isinstance(item.value, str) and item.value:
                yield item
            else:
                self._problems.add(item, f"must be text, not {quoted(item.value)}")
