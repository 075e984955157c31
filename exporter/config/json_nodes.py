"""Parses JSON text into nodes with positions, within the same bounds as YAML.

JSON is almost a subset of YAML, but the differences occur in practice: tabs before a value, characters beyond U+FFFF as
pairs of escapes, line breaks before a colon. The output of a JSON writer is therefore read as JSON.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from typing import TYPE_CHECKING

from exporter.config.problems import Node, quoted
from exporter.config.yaml_scalars import read_scalar
from exporter.config.yaml_tree import MAX_DEPTH, MAX_NODES
from exporter.judging.json_faults import json_fault

if TYPE_CHECKING:
    from exporter.config.problems import Problems, Value

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_HALF_OF_PAIR = re.compile(r"[\ud800-\udfff]")
"""Lone surrogates, which JSON can escape but no encoding can represent (RFC 8259 section 8.2)."""


class _BeyondBoundsError(Exception):
    """Raised when a document is nested too deeply or has too many values."""


def load_json(text: str, file: str, problems: Problems) -> Node | None:
    """Read one JSON document (RFC 8259).

    Args:
        text: The document.
        file: The file name in its problems.
        problems: Receives everything that is wrong with it as JSON.

    Returns:
        The root; None when the text is not JSON or exceeds the bounds.
    """
    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=_refuse_constant)
        return _Tree(text, file, problems).grow()
    except json.JSONDecodeError as error:
        fault = json_fault(error)
        problems.add_at(file, fault.line, fault.column, "", f"is not valid JSON: {fault.what}")
    except ValueError as error:
        problems.add_at(file, 0, 0, "", f"is not valid JSON: {error}")
    except RecursionError:
        problems.add_at(file, 0, 0, "", f"is nested more than {MAX_DEPTH} levels deep")
    except _BeyondBoundsError as error:
        problems.add_at(file, 0, 0, "", str(error))
    return None


def _refuse_constant(name: str) -> None:
    """Reject NaN and the infinities, which Python writes but JSON does not have."""
    raise ValueError(f"{name} is not a value")


class _Tree:
    """Turns the tokens of valid JSON into nodes; lives for one document."""

    def __init__(self, text: str, file: str, problems: Problems) -> None:
        self._tokens = _TOKEN.finditer(text)
        self._line_ends = [match.start() for match in re.finditer("\n", text)]
        self._file = file
        self._problems = problems
        self._nodes = 0
        self._depth = 0

    def grow(self) -> Node:
        return self._node(next(self._tokens), "")

    def _node(self, token: re.Match[str], path: str, key_place: tuple[int, int] = (0, 0)) -> Node:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _BeyondBoundsError(f"has more than {MAX_NODES} values; split it into several files")
        line, column = self._place(token)
        written, text = token[0], ""
        value: Value | list[Node] | dict[str, Node]
        if written in "{[":
            value = self._collection(written, path)
        elif written[0] == '"':
            value = text = self._text(token, path)
        else:
            text = written
            value = self._scalar(text, line, column, path)
        return Node(value, text, self._file, line, column, path, *key_place)

    def _scalar(self, text: str, line: int, column: int, path: str) -> Value:
        try:
            return read_scalar(text)
        except ValueError as error:
            self._problems.add_at(self._file, line, column, path, f"{quoted(text)} {error}")
            return text

    def _collection(self, opening: str, path: str) -> list[Node] | dict[str, Node]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _BeyondBoundsError(f"is nested more than {MAX_DEPTH} levels deep")
        value = self._mapping(path) if opening == "{" else self._list(path)
        self._depth -= 1
        return value

    def _list(self, path: str) -> list[Node]:
        items: list[Node] = []
        for token in self._tokens:
            if token[0] == "]":
                break
            if token[0] != ",":
                items.append(self._node(token, f"{path}[{len(items)}]"))
        return items

    def _mapping(self, path: str) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        for token in self._tokens:
            if token[0] == "}":
                break
            if token[0] == ",":
                continue
            key, place = self._text(token, path), self._place(token)
            next(self._tokens)  # the colon
            inner = f"{path}.{key}" if path else key
            node = self._node(next(self._tokens), inner, place)
            if key in entries:
                first = entries[key].key_line
                self._problems.add_at(self._file, *place, inner, f"is a duplicate key, first in line {first}")
            else:
                entries[key] = node
        return entries

    def _text(self, token: re.Match[str], path: str) -> str:
        written = token[0]
        text = str(json.loads(written)) if "\\" in written else written[1:-1]
        if _HALF_OF_PAIR.search(text):
            self._problems.add_at(
                self._file, *self._place(token), path, f"{quoted(text)} has half a surrogate pair in it"
            )
        return text

    def _place(self, token: re.Match[str]) -> tuple[int, int]:
        """Return line and column of a token, from 1."""
        start = token.start()
        line = bisect_left(self._line_ends, start)
        return line + 1, start - (self._line_ends[line - 1] if line else -1)
