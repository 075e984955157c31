"""Positions of values in a configuration, and the collection of everything wrong with it."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from exporter.config.files import NotUtf8Error
from exporter.errors import ConfigError, ConfigProblem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

Value = str | int | float | bool | None
"""A YAML scalar, by the core schema of YAML 1.2."""

Location = tuple[str | int, ...]
"""The path from a value to a part of it: keys and indices."""

_MAX_PROBLEMS = 1000
_MASK = "<secret>"
_USER = re.compile(r"(?<=://)[^/?#@\s:]+@")
_PASSWORD = re.compile(r"((?:(?<=://)|^)[^/?#@\s:\[]*):(?!//|[0-9]{1,5}[/?#])\S*@")


class Node(NamedTuple):
    """A value of a document and its position; immutable, lives as long as the load.

    Attributes:
        value: A scalar, a list of nodes, or nodes by key.
        text: A scalar as it was written, without quotes; empty for other values.
        file: The file it was read from, as the user named it.
        line: Line, from 1.
        column: Column, from 1.
        path: The path in the document, such as `checks[3].timeout`.
        key_line: Line of its key; 0 when it is not in a mapping.
        key_column: Column of its key.
    """

    value: Value | list[Node] | dict[str, Node]
    text: str
    file: str
    line: int
    column: int
    path: str
    key_line: int = 0
    key_column: int = 0


class Place(NamedTuple):
    """A position: the file as the user named it, the line and the column, both from 1."""

    file: str
    line: int
    column: int


class Fault(NamedTuple):
    """A fault in a part of a value.

    Attributes:
        location: The path to the part.
        message: What is wrong.
        on_key: Whether the key is at fault, not the value.
        hides_key: Whether the key may be a secret, so that the path ends before it.
    """

    location: Location
    message: str
    on_key: bool = False
    hides_key: bool = False


class Problems:
    """Collects the problems of a configuration; lives as long as a load, used by one thread.

    Attributes:
        secrets: Texts resolved from references, which no message shows, wherever the message comes from.
    """

    def __init__(self) -> None:
        self.secrets: set[str] = set()
        self._found: dict[tuple[str, int, int, str], ConfigProblem] = {}
        self._warnings: dict[tuple[str, int, int], ConfigProblem] = {}
        self._said: set[tuple[str, int, int, str, str]] = set()

    def __len__(self) -> int:
        return len(self._found)

    def add(self, node: Node, message: str, *, on_key: bool = False) -> None:
        """Record a problem with a value, or with its key."""
        if on_key and node.key_line:
            self.add_at(node.file, node.key_line, node.key_column, node.path, message)
        else:
            self.add_at(node.file, node.line, node.column, node.path, message)

    def add_at(self, file: str, line: int, column: int, path: str, message: str) -> None:
        """Record a problem at a position; line 0 means the whole file.

        Only the first problem of a value is kept: later ones mostly follow from it. The same applies to a value that
        aliases put in several places.
        """
        for secret in sorted(self.secrets, key=len, reverse=True):
            message = message.replace(secret, _MASK)
        said = (file, line, column, path.rpartition(".")[2], message)
        if line and said in self._said:
            return
        self._said.add(said)
        self._found.setdefault((file, line, column, path), ConfigProblem(file, line, column, path, message))

    def add_unreadable(self, file: Path, error: ValueError) -> None:
        """Record that a file could not be read, at the byte that is not UTF-8 if that is why."""
        if isinstance(error, NotUtf8Error):
            self.add_at(str(file), error.line, error.column, "", error.message)
        else:
            self.add_at(str(file), 0, 0, "", str(error))

    def warn(self, node: Node, message: str) -> None:
        """Record a warning about what is allowed but probably not intended; once per position."""
        problem = ConfigProblem(node.file, node.line, node.column, node.path, message)
        self._warnings.setdefault((node.file, node.line, node.column), problem)

    @property
    def warnings(self) -> tuple[ConfigProblem, ...]:
        """The warnings, in the order of files and lines."""
        return tuple(warning for _, warning in sorted(self._warnings.items(), key=lambda item: item[0]))

    def raise_if_any(self, files: Iterable[Path]) -> None:
        """Abort the load if there are problems.

        Raises:
            ConfigError: With all problems in the order of the files, lines and columns.
        """
        if self._found:
            ordered = [problem for _, problem in sorted(self._found.items(), key=lambda item: item[0][:3])]
            raise ConfigError(ordered[:_MAX_PROBLEMS], tuple(files))


def follow(entries: Mapping[str, Node], location: Location) -> tuple[Node | None, Location]:
    """Walk down from a mapping as far as there are nodes.

    Returns the last node reached, None when not even the first step has one, and the remaining steps.
    """
    node: Node | None = None
    value: object = entries
    for index, step in enumerate(location):
        is_item = isinstance(value, list) and isinstance(step, int) and step < len(value)
        if not is_item and not (isinstance(value, dict) and step in value):
            return node, location[index:]
        node = cast("Node", cast("Any", value)[step])
        value = node.value
    return node, ()


def suggest(word: str, known: Iterable[str], *, kind: str) -> str:
    """Return a suggestion, or else the known words: `did you mean "timeout"?`, `valid keys: a, b`."""
    names = sorted(known)
    close = difflib.get_close_matches(word.lower(), [name.lower() for name in names], n=1)
    if close:
        meant = next(name for name in names if name.lower() == close[0])
        return f'did you mean "{meant}"?'
    return f"{kind}: {', '.join(names)}" if names else f"there are no {kind}"


def quoted(value: object) -> str:
    """Return a value as a message may show it: text in quotes, cut, on one line; values with secrets masked."""
    shown = getattr(value, "shown", value)
    if isinstance(shown, bool) or shown is None:
        return {True: "true", False: "false", None: "null"}[shown]
    if isinstance(shown, dict | list | tuple):
        return "a mapping" if isinstance(shown, dict) else "a list"
    if not isinstance(shown, str):
        return str(shown)
    shown = without_credentials(shown)
    line = shown.encode("unicode_escape").decode("ascii") if not shown.isprintable() else shown
    return f'"{line if len(line) <= 80 else line[:79] + "…"}"'


def kind_of(value: object) -> str:
    """Return the kind of a value, for a message that must not quote it."""
    if isinstance(value, bool):
        return "true or false"
    kinds = {dict: "a mapping", list: "a list", type(None): "null", int: "a number", float: "a number"}
    return kinds.get(type(value), "text")


def without_credentials(text: str) -> str:
    """Return a text as a message may quote it: without the password of a URL, or a user name used as one.

    More is masked than in accepted URLs: the password may contain characters that a URL must escape, and the scheme may
    be missing.
    """
    return _USER.sub(f"{_MASK}@", _PASSWORD.sub(rf"\1:{_MASK}@", text))
