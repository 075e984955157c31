"""Turns the nodes that the YAML parser composed into nodes with positions: aliases written out, merges merged."""

from __future__ import annotations

from base64 import b64decode
from sys import intern
from typing import TYPE_CHECKING

from yaml.nodes import MappingNode, ScalarNode, SequenceNode

from exporter.config.problems import Node, quoted
from exporter.config.secrets import is_credential_path, shown_key
from exporter.config.yaml_hints import clinging_value, has_clinging_dash, has_typographic_quotes, why_empty
from exporter.config.yaml_scalars import TAG, TEXT, scalar_of, scalar_tag
from exporter.secrecy import MASK

if TYPE_CHECKING:
    import yaml.nodes

    from exporter.config.problems import Problems, Value

MAX_DEPTH = 64
MAX_ALIASES = 100
MAX_NODES = 200_000
"""Maximum nodes of one file, aliases written out: more than the checks of a file of the allowed size need."""

TOO_LARGE = f"has more than {MAX_NODES} values, aliases written out; split it into several files"

_BINARY = TAG + "binary"


def is_merge(key: yaml.nodes.Node) -> bool:
    """Return whether a key is the merge key; in quotes it is ordinary text."""
    return isinstance(key, ScalarNode) and key.value == "<<" and key.style not in ("'", '"')


def _binary_text(text: str) -> str:
    """Return the text of a `!!binary` scalar.

    Raises:
        ValueError: When it is not base64.
    """
    try:
        return b64decode("".join(text.split()), validate=True).decode("utf-8", "surrogateescape")
    except ValueError:
        raise ValueError("is not base64") from None


class _TooLargeError(Exception):
    """Raised when a document has more nodes or aliases than allowed; its arguments are those of `Problems.add_at`."""


class Tree:
    """Turns composed nodes into `Node`s, aliases written out; lives for one document.

    Args:
        text: The document.
        file: The file name in its problems.
        problems: Receives what is wrong with it.
        is_of_go: Whether it was written for Go's YAML decoder, as `load_document` says.
    """

    def __init__(self, text: str, file: str, problems: Problems, *, is_of_go: bool) -> None:
        self._text = text
        self._file = file
        self._is_of_go = is_of_go
        self._problems = problems
        self._seen: set[int] = set()
        self._open: set[int] = set()
        self._in_alias = False
        self._aliases = 0
        self._nodes = 0

    def grow(self, root: yaml.nodes.Node) -> Node | None:
        """Return the root with everything in it; None when it is too large, which is reported."""
        try:
            return self._node(root, "")
        except _TooLargeError as error:
            self._problems.add_at(self._file, *error.args)
            return None

    def _node(self, node: yaml.nodes.Node, path: str, key_line: int = 0, key_column: int = 0) -> Node:
        mark = node.start_mark
        line, column = mark.line + 1, mark.column + 1
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _TooLargeError(line, column, path, TOO_LARGE)
        if id(node) in self._seen and not self._in_alias:
            return self._aliased(node, path, key_line, key_column)
        self._seen.add(id(node))
        value: Value | list[Node] | dict[str, Node]
        text = ""
        if isinstance(node, ScalarNode):
            value = self._scalar(node, line, column, path)
            text = str(value) if node.tag == _BINARY else node.value
        else:
            value = self._collection(node, path)
        return Node(value, text, self._file, line, column, path, key_line, key_column)

    def _aliased(self, node: yaml.nodes.Node, path: str, key_line: int, key_column: int) -> Node:
        """Return a copy of a node that was met before, through an alias, with everything in it."""
        self._aliases += 1
        if self._aliases > MAX_ALIASES and not self._is_of_go:
            mark = node.start_mark
            place = (key_line, key_column) if key_line else (mark.line + 1, mark.column + 1)
            message = f"is one alias too many; a file has at most {MAX_ALIASES}, and any number of merges (<<)"
            raise _TooLargeError(*place, path, message)
        self._in_alias = True
        grown = self._node(node, path, key_line, key_column)
        self._in_alias = False
        return grown

    def _collection(self, node: yaml.nodes.Node, path: str) -> list[Node] | dict[str, Node]:
        place = node.start_mark.line + 1, node.start_mark.column + 1, path
        if id(node) in self._open:
            raise _TooLargeError(*place, "contains itself, by an alias")
        if len(self._open) >= MAX_DEPTH:
            raise _TooLargeError(*place, f"is nested more than {MAX_DEPTH} levels deep, aliases written out")
        self._open.add(id(node))
        value = self._mapping(node, path) if isinstance(node, MappingNode) else self._list(node, path)
        self._open.discard(id(node))
        return value

    def _scalar(self, node: ScalarNode, line: int, column: int, path: str) -> Value:
        try:
            if node.tag == _BINARY and self._is_of_go:
                return _binary_text(node.value)
            self._hint(node, line, column, path)
            return scalar_of(node.tag, node.value)
        except ValueError as error:
            message = f"{quoted(node.value)} {error}"
            if is_credential_path(path):  # the tag may be part of it, if a password begins with !
                message = f"{MASK} is not what its tag says, or too large a number"
            self._problems.add_at(self._file, line, column, path, message)
            return str(node.value)

    def _hint(self, node: ScalarNode, line: int, column: int, path: str) -> None:
        """Report text that a comment or an anchor swallowed, and warn of quotes that are none.

        In files of Go programs, an empty value is a valid one.
        """
        place = Node(None, "", self._file, line, column, path)
        if "." in path and not path.startswith("x-") and (why := why_empty(self._text, node)):
            (self._problems.warn if self._is_of_go else self._problems.add)(place, why)
        elif has_typographic_quotes(node):
            self._problems.warn(place, "has typographic quotes, which are part of the text; write \" or '")

    def _list(self, node: yaml.nodes.Node, path: str) -> list[Node]:
        self._check_tag(node, path, "seq")
        return [self._node(item, f"{path}[{index}]") for index, item in enumerate(node.value)]

    def _mapping(self, node: yaml.nodes.Node, path: str) -> dict[str, Node]:
        self._check_tag(node, path, "map")
        entries: dict[str, Node] = {}
        merged: tuple[yaml.nodes.Node, yaml.nodes.Node] | None = None
        for key_node, value_node in node.value:
            line, column = key_node.start_mark.line + 1, key_node.start_mark.column + 1
            key = key_node.value
            if fault := self._fault_of_key(key_node, path):
                self._problems.add_at(self._file, line, column, path, fault)
                continue
            clinging = None if self._is_of_go else clinging_value(key_node, value_node)
            if clinging:
                key, value_node.value = clinging
                value_node.tag = scalar_tag(value_node.value)
            step = shown_key(key)
            inner = f"{path}.{step}" if path else step
            if clinging:
                self._problems.add_at(self._file, line, column, inner, "has no space after its colon; write one")
            if is_merge(key_node):
                if merged is not None:
                    message = "is a duplicate key; merge several mappings as a list: <<: [*a, *b]"
                    self._problems.add_at(self._file, line, column, inner, message)
                merged = merged or (key_node, value_node)
            elif key in entries:
                first = entries[key].key_line
                self._problems.add_at(self._file, line, column, inner, f"is a duplicate key, first in line {first}")
            else:
                entries[intern(key)] = self._node(value_node, inner, line, column)
        return entries if merged is None else {**self._merged(*merged, path), **entries}

    def _fault_of_key(self, key: yaml.nodes.Node, path: str) -> str:
        """Return what is wrong with a key; empty when it can be one."""
        if not isinstance(key, ScalarNode) or (key.tag != TEXT and not self._is_of_go):
            shown = key.value if isinstance(key.value, str) else "a collection"
            shown = MASK if is_credential_path(path) else shown
            ends_as_item = self._text[key.end_mark.index :].lstrip()[:1] in (",", "}")
            hint = "a list is written [a, b]" if ends_as_item else "a key is text, in quotes if necessary"
            return f"{shown} is not a key; {hint}"
        if has_clinging_dash(key) and not self._is_of_go:
            return "must be a list; write a space after the dash"
        return ""

    def _merged(self, key_node: yaml.nodes.Node, value_node: yaml.nodes.Node, path: str) -> dict[str, Node]:
        """Return what a merge key merges; with several mappings, the first wins."""
        sources = value_node.value if isinstance(value_node, SequenceNode) else [value_node]
        entries: dict[str, Node] = {}
        for source in sources:
            if not isinstance(source, MappingNode):
                mark = key_node.start_mark
                message = "must be a mapping or a list of mappings, such as <<: *name"
                self._problems.add_at(
                    self._file, mark.line + 1, mark.column + 1, f"{path}.<<" if path else "<<", message
                )
                continue
            # The limit on aliases does not apply to merges: a hundred checks may share a base. The one on values does.
            was_in_alias, self._in_alias = self._in_alias, self._in_alias or id(source) in self._seen
            self._seen.add(id(source))
            entries = {**self._merge_source(source, path), **entries}
            self._in_alias = was_in_alias
        return entries

    def _merge_source(self, source: yaml.nodes.Node, path: str) -> dict[str, Node]:
        grown = self._collection(source, path)
        assert isinstance(grown, dict)  # noqa: S101 - a mapping grows into one
        return grown

    def _check_tag(self, node: yaml.nodes.Node, path: str, wanted: str) -> None:
        if node.tag != TAG + wanted:
            mark = node.start_mark
            shown = MASK if is_credential_path(path) else quoted(node.tag)
            self._problems.add_at(
                self._file, mark.line + 1, mark.column + 1, path, f"has the tag {shown}, which is not known"
            )
