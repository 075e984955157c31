"""Reads one mapping of a file that Go programs read, such as blackbox.yml, and reports each fault at its position.

It is as strict about keys and types as Go's YAML decoder.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from exporter.config.go_values import parse_go_duration, parse_go_flag, parse_go_integer, parse_go_size
from exporter.config.problems import kind_of, quoted, suggest
from exporter.config.secrets import is_credential_path, shown_key
from exporter.judging.pattern import Pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from exporter.config.problems import Node, Problems

T = TypeVar("T")


class Block:
    """A mapping of the file; lives as long as the load.

    A key whose value is null counts as absent, as it does for Go's YAML decoder.

    Args:
        node: The mapping; null, and anything that is not a mapping (which is reported), is read as an empty one.
        keys: The keys that it may have.
        problems: Receives the faults.
    """

    def __init__(self, node: Node, keys: Collection[str], problems: Problems) -> None:
        self.node = node
        self.problems = problems
        entries = node.value
        if not isinstance(entries, dict):
            if entries is not None:
                problems.add(node, f"must be a mapping, not {shown(node)}")
            entries = {}
        self.entries: dict[str, Node] = {}
        for key, value in entries.items():
            if key not in keys:
                message = f"is not a valid key; {suggest(shown_key(key), keys, kind='valid keys')}"
                problems.add(value, message, on_key=True)
            elif value.value is not None:
                self.entries[key] = value

    def __contains__(self, key: str) -> bool:
        return key in self.entries

    def at(self, key: str) -> Node:
        """Return the node of a key, or the mapping itself when it does not have the key."""
        return self.entries.get(key, self.node)

    def refuse(self, key: str, message: str, *, on_key: bool = False) -> None:
        """Report what is wrong with the value of a key."""
        self.problems.add(self.at(key), message, on_key=on_key)

    def require(self, key: str) -> None:
        """Report that the mapping lacks a key, or has it without a value."""
        if not self.text(key):
            self.problems.add(self.node._replace(path=f"{self.node.path}.{key}"), "is required")

    def warn(self, key: str, message: str) -> None:
        """Warn that the value of a key does not have its obvious effect here."""
        self.problems.warn(self.at(key), message)

    def text(self, key: str, default: str = "") -> str:
        """Return a text; numbers and flags are texts as they were written."""
        return self._read(key, _as_text, default)

    def source(self, item: str) -> str:
        """Return the key that provides an item, `ITEM` or `ITEM_file`; empty for none. An `ITEM_ref` is reported."""
        sources = [key for key in (item, f"{item}_file", f"{item}_ref") if self.text(key)]
        if len(sources) > 1:
            self.refuse(sources[1], f"cannot be used with {sources[0]}; write one of {item}, {item}_file", on_key=True)
        if sources and sources[0].endswith("_ref"):
            message = f"refers to a secret manager, which is not supported; write {item}_file"
            self.refuse(sources[0], message, on_key=True)
            return ""
        return sources[0] if sources else ""

    def flag(self, key: str, *, default: bool) -> bool:
        """Return a flag."""
        return self._read(key, _as_flag, default)

    def integer(self, key: str, default: int) -> int:
        """Return a whole number."""
        return self._read(key, _as_integer, default)

    def parsed(self, key: str, parse: Callable[[str], T], default: T) -> T:
        """Return a text parsed by a function, whose ValueError is reported at the value."""
        return self._read(key, partial(_as_parsed, parse=parse), default)

    def duration(self, key: str) -> float:
        """Return the seconds of a duration; 0 without one."""
        return self.parsed(key, parse_go_duration, 0.0)

    def size(self, key: str) -> int:
        """Return the bytes of a size; 0 without one."""
        return self.parsed(key, parse_go_size, 0)

    def items(self, key: str) -> list[Node]:
        """Return the items of a list; empty without one."""
        return self._read(key, _as_list, [])

    def texts(self, key: str) -> list[tuple[str, Node]]:
        """Return the texts of a list, each with its node."""
        return list(self._each(self.items(key), _as_text))

    def integers(self, key: str) -> list[int]:
        """Return the whole numbers of a list."""
        return [number for number, _ in self._each(self.items(key), _as_integer)]

    def regexps(self, key: str) -> list[tuple[Pattern, Node]]:
        """Return the regular expressions of a list, each with its node."""
        return list(self._each(self.items(key), partial(_as_parsed, parse=Pattern)))

    def mapping(self, key: str) -> dict[str, Node]:
        """Return the values of a mapping with any keys; empty without one."""
        return self._read(key, _as_mapping, {})

    def text_mapping(self, key: str) -> dict[str, str]:
        """Return the texts of a mapping with any keys."""
        nodes = self.mapping(key)
        names = {id(node): name for name, node in nodes.items()}
        return {names[id(node)]: text for text, node in self._each(list(nodes.values()), _as_text)}

    def block(self, key: str, keys: Collection[str]) -> Block:
        """Return a mapping within this one; an empty one when it is absent."""
        node = self.entries.get(key)
        absent = self.node._replace(value={}, path=f"{self.node.path}.{key}")
        return Block(absent if node is None else node, keys, self.problems)

    def blocks(self, key: str, keys: Collection[str]) -> list[Block]:
        """Return the mappings of a list."""
        return [Block(item, keys, self.problems) for item in self.items(key)]

    def _read(self, key: str, read: Callable[[Node], T], default: T) -> T:
        node = self.entries.get(key)
        if node is None:
            return default
        return next((value for value, _ in self._each([node], read)), default)

    def _each(self, nodes: list[Node], read: Callable[[Node], T]) -> Iterator[tuple[T, Node]]:
        for node in nodes:
            try:
                yield read(node), node
            except ValueError as error:
                self.problems.add(node, str(error))


def shown(node: Node) -> str:
    """Return a value as a message may show it."""
    if isinstance(node.value, dict | list):
        return "a mapping" if isinstance(node.value, dict) else "a list"
    return "<secret>" if is_credential_path(node.path) else quoted(node.value)


def _as_text(node: Node) -> str:
    if isinstance(node.value, dict | list):
        raise ValueError(f"must be text, not {shown(node)}")  # noqa: TRY004 - a fault of the document
    return "" if node.value is None else node.text


def _as_flag(node: Node) -> bool:
    if isinstance(node.value, bool):
        return node.value
    try:
        return parse_go_flag(node.value if isinstance(node.value, str) else "")
    except ValueError as error:
        raise ValueError(f"{error}, not {shown(node)}") from None


def _as_integer(node: Node) -> int:
    if isinstance(node.value, int) and not isinstance(node.value, bool):
        return node.value
    if isinstance(node.value, float) and node.value.is_integer():
        return int(node.value)
    try:
        return parse_go_integer(node.value if isinstance(node.value, str) else "")
    except ValueError as error:
        raise ValueError(f"{error}, not {shown(node)}") from None


def _as_parsed(node: Node, parse: Callable[[str], T]) -> T:
    text = _as_text(node)
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError(f"{shown(node._replace(value=text))} {error}") from None


def _as_list(node: Node) -> list[Node]:
    if not isinstance(node.value, list):
        raise ValueError(f"must be a list, not {shown(node)}")  # noqa: TRY004 - a fault of the document
    return node.value


def _as_mapping(node: Node) -> dict[str, Node]:
    if not isinstance(node.value, dict):
        hint = ", without a dash" if isinstance(node.value, list) else ""
        # the text may be a secret: a user with a password, without the space between them
        kind = kind_of(node.value)
        raise ValueError(f"must be a mapping, not {kind}; write NAME: VALUE{hint}")  # noqa: TRY004 - of the document
    return node.value
