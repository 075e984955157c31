"""Where a value stands in a configuration, and everything that is found wrong on the way through it."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from exporter.errors import ConfigError, ConfigProblem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

Value = str | int | float | bool | None
"""A YAML scalar, by the core schema of YAML 1.2."""

Location = tuple[str | int, ...]
"""The way from a value down to a part of it: keys and indices."""

_MAX_PROBLEMS = 1000
_MASK = "<secret>"
_USER = re.compile(r"(?<=://)[^/?#@\s:]+@")
_PASSWORD = re.compile(r"((?:(?<=://)|^)[^/?#@\s:\[]*):(?!//|[0-9]{1,5}[/?#])\S*@")


class Node(NamedTuple):
    """A value of a document and where it stands; immutable, lives as long as the load.

    Attributes:
        value: A scalar, a list of nodes, or nodes by key.
        text: A scalar as it was written, without quotes; empty for the others.
        file: The file it was read from, as it was named.
        line: Line, from 1.
        column: Column, from 1.
        path: Where in the document, such as `checks[3].timeout`.
        key_line: Line of its key; 0 for what is not a value of a mapping.
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


class Fault(NamedTuple):
    """Something wrong with a part of a value.

    Attributes:
        location: The way down to the part.
        message: What is wrong.
        on_key: Whether its key is meant.
        hides_key: Whether its key may be a secret, so that the path ends before it.
    """

    location: Location
    message: str
    on_key: bool = False
    hides_key: bool = False


class Problems:
    """Collects what is wrong, all of it; lives as long as a load, used by one thread.

    Attributes:
        secrets: Texts that came out of references: no message shows them, whoever wrote it.
    """

    def __init__(self) -> None:
        self.secrets: set[str] = set()
        self._found: dict[tuple[str, int, int, str], ConfigProblem] = {}
        self._warnings: dict[tuple[str, int, int], ConfigProblem] = {}
        self._said: set[tuple[str, int, int, str, str]] = set()

    def __len__(self) -> int:
        return len(self._found)

    def add(self, node: Node, message: str, *, on_key: bool = False) -> None:
        """Record what is wrong with a value, or with its key."""
        if on_key and node.key_line:
            self.add_at(node.file, node.key_line, node.key_column, node.path, message)
        else:
            self.add_at(node.file, node.line, node.column, node.path, message)

    def add_at(self, file: str, line: int, column: int, path: str, message: str) -> None:
        """Record what is wrong at a place; line 0 means the whole file.

        Only the first problem of a value is kept: what is found later mostly follows from it. So is only the first of
        a value that stands in several places through aliases.
        """
        for secret in sorted(self.secrets, key=len, reverse=True):
            message = message.replace(secret, _MASK)
        said = (file, line, column, path.rpartition(".")[2], message)
        if line and said in self._said:
            return
        self._said.add(said)
        self._found.setdefault((file, line, column, path), ConfigProblem(file, line, column, path, message))

    def warn(self, node: Node, message: str) -> None:
        """Record what is allowed and probably not meant; once for a place."""
        problem = ConfigProblem(node.file, node.line, node.column, node.path, message)
        self._warnings.setdefault((node.file, node.line, node.column), problem)

    @property
    def warnings(self) -> tuple[ConfigProblem, ...]:
        """What is allowed and probably not meant, in the order of the files and lines."""
        return tuple(warning for _, warning in sorted(self._warnings.items(), key=lambda item: item[0]))

    def raise_if_any(self, files: Iterable[Path]) -> None:
        """End the load when anything was found.

        Raises:
            ConfigError: With all problems in the order of the files, lines and columns.
        """
        if self._found:
            ordered = [problem for _, problem in sorted(self._found.items(), key=lambda item: item[0][:3])]
            raise ConfigError(ordered[:_MAX_PROBLEMS], tuple(files))


def follow(entries: Mapping[str, Node], location: Location) -> tuple[Node | None, Location]:
    """Walk down from a mapping as far as nodes go.

    Gives the last node reached, None when not even the first step has one, and the steps that are left.
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
    """Say what was probably meant, or else what there is: `did you mean "timeout"?`, `known keys: a, b`."""
    names = sorted(known)
    close = difflib.get_close_matches(word.lower(), [name.lower() for name in names], n=1)
    if close:
        meant = next(name for name in names if name.lower() == close[0])
        return f'did you mean "{meant}"?'
    return f"{kind}: {', '.join(names)}" if names else f"there are no {kind}"


def quoted(value: object) -> str:
    """Return a value as a message may show it: text in quotes, cut, on one line; what holds a secret, masked."""
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
    """Say what kind of value something is, for a message that must not quote it."""
    if isinstance(value, bool):
        return "true or false"
    kinds = {dict: "a mapping", list: "a list", type(None): "null", int: "a number", float: "a number"}
    return kinds.get(type(value), "text")


def without_credentials(text: str) -> str:
    """Return a text as a message may quote it: without the password of a URL, or the user name that stands for one.

    More is masked than where a URL is shown that was accepted: a password may hold what no URL has unescaped, and the
    scheme may be missing.
    """
    return _USER.sub(f"{_MASK}@", _PASSWORD.sub(rf"\1:{_MASK}@", text))
