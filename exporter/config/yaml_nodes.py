"""Parses YAML text into nodes with positions, within bounds that no document can evade.

Scalars follow the core schema of YAML 1.2 (section 10.3.2), so that `on`, `no`, `22:22` and `1:30` are text. Numbers
with leading zeros are text too, because parsers disagree on what they mean. Merge keys (`<<`) are YAML 1.1 but are
accepted because people are used to them; a merged value keeps the position where it was written.

PyYAML's C parser composes the nodes; the bounds on nesting, aliases and merged values keep a small file from becoming a
large document.
Source: YAML 1.1, "Merge Key Language-Independent Type".
"""

from __future__ import annotations

from base64 import b64decode
from sys import intern
from typing import TYPE_CHECKING

from yaml.cyaml import CBaseLoader
from yaml.error import MarkedYAMLError, YAMLError
from yaml.nodes import MappingNode, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from exporter.config.problems import Node, quoted
from exporter.config.secrets import is_credential_path, shown_key
from exporter.config.yaml_scalars import TAG, TEXT, scalar_of, scalar_tag
from exporter.secrecy import MASK

if TYPE_CHECKING:
    import yaml.nodes

    from exporter.config.problems import Problems, Value

MAX_DEPTH = 64
MAX_ALIASES = 100
MAX_NODES = 200_000
"""Maximum nodes of one file, aliases written out: more than the checks of a file of the allowed size need."""

_BINARY = TAG + "binary"
_TOO_LARGE = f"has more than {MAX_NODES} values, aliases written out; split it into several files"


class _TooDeepError(Exception):
    """Raised to stop the parser before it recurses further; its argument is the node that is too deep."""


class _Composer(CBaseLoader):
    """The parser, with the scalars of YAML 1.2 instead of 1.1 and a bound on nesting."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def descend_resolver(self, parent: yaml.nodes.Node | None, _index: object) -> None:
        """Enter a level; the parser calls this for each node."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _TooDeepError(parent)

    def ascend_resolver(self) -> None:
        """Leave a level."""
        self._depth -= 1

    def resolve(self, kind: type[yaml.nodes.Node], value: str, implicit: tuple[bool, bool]) -> str:
        """Return the tag of a node without an explicit one; called by the parser."""
        if kind is ScalarNode:
            return scalar_tag(value) if implicit[0] else TEXT
        return TAG + ("seq" if kind is SequenceNode else "map")


def load_document(text: str, file: str, problems: Problems, *, is_of_go: bool = False) -> Node | None:
    """Read one YAML document.

    Args:
        text: The document.
        file: The file name in its problems.
        problems: Receives everything that is wrong with it as YAML.
        is_of_go: Whether it was written for Go's YAML decoder: `!!binary` is text, whose bytes that are not UTF-8
            become surrogates (PEP 383), keys need not be text, and aliases are limited only in what they amount to.

    Returns:
        The root; None when there is none, or when the text is not YAML.
    """
    try:
        root = _Composer(text).get_single_node()
    except _TooDeepError as error:
        mark = error.args[0].start_mark
        problems.add_at(file, mark.line + 1, mark.column + 1, "", f"is nested more than {MAX_DEPTH} levels deep")
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problems.add_at(file, line, 1, "", f"is not valid YAML: {error.reason}")
    except MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark
        line, column = (place.line + 1, place.column + 1) if place else (0, 0)
        problems.add_at(file, line, column, "", f"is not valid YAML: {_fault(text, line, column, error)}")
    except YAMLError as error:
        problems.add_at(file, 0, 0, "", f"is not valid YAML: {error}")
    else:
        if root is None:
            return None
        if "*" in text and _size(root, {}, set()) > MAX_NODES:
            problems.add_at(file, 0, 0, "", _TOO_LARGE)
            return None
        return _Tree(file, problems, is_of_go=is_of_go).grow(root)
    return None


def _size(node: yaml.nodes.Node, known: dict[int, int], above: set[int]) -> int:
    """Return how many nodes a node stands for, aliases written out, without writing them out.

    What is too deep, or contains itself, counts for nothing here: it is rejected when it is reached.

    Args:
        node: The node.
        known: Sizes by id, so that an aliased node is counted once.
        above: The ids of the nodes that it lies in.
    """
    if isinstance(node, ScalarNode):
        return 1
    size = known.get(id(node))
    if size is None:
        if id(node) in above or len(above) >= MAX_DEPTH:
            return 0
        above.add(id(node))
        if isinstance(node, MappingNode):
            sizes = [_size(value, known, above) - _merged_away(key, value) for key, value in node.value]
        else:
            sizes = [_size(item, known, above) for item in node.value]
        size = known[id(node)] = 1 + sum(sizes)
        above.discard(id(node))
    return size


def _merged_away(key: yaml.nodes.Node, value: yaml.nodes.Node) -> int:
    """Return how many nodes of a value do not appear in the document, because only what is in them is merged."""
    if not _is_merge(key):
        return 0
    return 1 + (len(value.value) if isinstance(value, SequenceNode) else 0)


def _fault(text: str, line: int, column: int, error: MarkedYAMLError) -> str:
    """Return what is wrong; for tabs, the parser only reports which of its rules they break."""
    # a file that ends too soon is reported at the line after its last one
    is_tab = any(each[column - 1 : column] == "\t" for each in text.split("\n")[line - 1 : line])
    if is_tab and ("tab" in str(error.problem) or "cannot start any token" in str(error.problem)):
        return "a tab cannot indent; use spaces"
    return f"{error.context}, {error.problem}" if error.context else str(error.problem)


def _is_merge(key: yaml.nodes.Node) -> bool:
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
    """Raised when a document has more nodes or aliases than allowed."""


class _Tree:
    """Turns composed nodes into `Node`s, aliases written out; lives for one document."""

    def __init__(self, file: str, problems: Problems, *, is_of_go: bool) -> None:
        self._file = file
        self._is_of_go = is_of_go
        self._problems = problems
        self._seen: set[int] = set()
        self._open: set[int] = set()
        self._in_alias = False
        self._aliases = 0
        self._nodes = 0

    def grow(self, root: yaml.nodes.Node) -> Node | None:
        try:
            return self._node(root, "")
        except _TooLargeError as error:
            self._problems.add_at(self._file, 0, 0, "", str(error))
            return None

    def _node(self, node: yaml.nodes.Node, path: str, key_line: int = 0, key_column: int = 0) -> Node:
        mark = node.start_mark
        line, column = mark.line + 1, mark.column + 1
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _TooLargeError(_TOO_LARGE)
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
            raise _TooLargeError(f"has more than {MAX_ALIASES} aliases")
        self._in_alias = True
        grown = self._node(node, path, key_line, key_column)
        self._in_alias = False
        return grown

    def _collection(self, node: yaml.nodes.Node, path: str) -> list[Node] | dict[str, Node]:
        if id(node) in self._open or len(self._open) >= MAX_DEPTH:
            raise _TooLargeError(f"is nested more than {MAX_DEPTH} levels deep, aliases written out")
        self._open.add(id(node))
        value = self._mapping(node, path) if isinstance(node, MappingNode) else self._list(node, path)
        self._open.discard(id(node))
        return value

    def _scalar(self, node: ScalarNode, line: int, column: int, path: str) -> Value:
        try:
            if node.tag == _BINARY and self._is_of_go:
                return _binary_text(node.value)
            return scalar_of(node.tag, node.value)
        except ValueError as error:
            message = f"{quoted(node.value)} {error}"
            if is_credential_path(path):  # the tag may be part of it, if a password begins with !
                message = f"{MASK} is not what its tag says, or too large a number"
            self._problems.add_at(self._file, line, column, path, message)
            return str(node.value)

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
            if not isinstance(key_node, ScalarNode) or (key_node.tag != TEXT and not self._is_of_go):
                shown = key if isinstance(key, str) else "a collection"
                shown = MASK if is_credential_path(path) else shown
                self._problems.add_at(
                    self._file, line, column, path, f"{shown} is not a key; a key is text, in quotes if necessary"
                )
                continue
            step = shown_key(key)
            inner = f"{path}.{step}" if path else step
            if _is_merge(key_node):
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
