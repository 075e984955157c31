"""Parses YAML text into nodes with positions, within bounds that no document can evade.

Scalars follow the core schema of YAML 1.2 (section 10.3.2), so that `on`, `no`, `22:22` and `1:30` are text. Numbers
with leading zeros are text too, because parsers disagree on what they mean. Merge keys (`<<`) are YAML 1.1 but are
accepted because people are used to them; a merged value keeps the position where it was written.

PyYAML's C parser composes the nodes; the bounds on nesting, aliases and merged values keep a small file from becoming a
large document.
Source: YAML 1.1, "Merge Key Language-Independent Type".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from yaml.cyaml import CBaseLoader
from yaml.error import MarkedYAMLError, YAMLError
from yaml.nodes import MappingNode, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from exporter.config.yaml_faults import syntax_fault, unprintable_fault
from exporter.config.yaml_scalars import TAG, TEXT, scalar_tag
from exporter.config.yaml_tree import MAX_DEPTH, MAX_NODES, TOO_LARGE, Tree, is_merge

if TYPE_CHECKING:
    import yaml.nodes

    from exporter.config.problems import Node, Problems


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
    except ReaderError:
        fault = unprintable_fault(text)
        problems.add_at(file, fault.line, fault.column, "", fault.message)
    except MarkedYAMLError as error:
        fault = syntax_fault(text, error)
        problems.add_at(file, fault.line, fault.column, "", fault.message)
    except YAMLError as error:
        problems.add_at(file, 0, 0, "", f"is not valid YAML: {error}")
    else:
        if root is None:
            return None
        sizes: dict[int, tuple[int, yaml.nodes.Node]] = {}
        if "*" in text and _size(root, sizes, set()) > MAX_NODES:
            mark = next(node.start_mark for size, node in sizes.values() if size > MAX_NODES)
            problems.add_at(file, mark.line + 1, mark.column + 1, "", TOO_LARGE)
            return None
        return Tree(text, file, problems, is_of_go=is_of_go).grow(root)
    return None


def _size(node: yaml.nodes.Node, known: dict[int, tuple[int, yaml.nodes.Node]], above: set[int]) -> int:
    """Return how many nodes a node stands for, aliases written out, without writing them out.

    What is too deep, or contains itself, counts for nothing here: it is rejected when it is reached.

    Args:
        node: The node.
        known: Sizes and nodes by id, the innermost first, so that an aliased node is counted once.
        above: The ids of the nodes that it lies in.
    """
    if isinstance(node, ScalarNode):
        return 1
    size, _ = known.get(id(node), (0, None))
    if not size:
        if id(node) in above or len(above) >= MAX_DEPTH:
            return 0
        above.add(id(node))
        if isinstance(node, MappingNode):
            sizes = [_size(value, known, above) - _merged_away(key, value) for key, value in node.value]
        else:
            sizes = [_size(item, known, above) for item in node.value]
        size = 1 + sum(sizes)
        known[id(node)] = size, node
        above.discard(id(node))
    return size


def _merged_away(key: yaml.nodes.Node, value: yaml.nodes.Node) -> int:
    """Return how many nodes of a value do not appear in the document, because only what is in them is merged."""
    if not is_merge(key):
        return 0
    return 1 + (len(value.value) if isinstance(value, SequenceNode) else 0)
