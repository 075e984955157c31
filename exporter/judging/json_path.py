"""JSONPath (RFC 9535) with linear-time regular expression functions, each path compiled once.

`match()` and `search()` in a filter run on what the target sent, so they use RE2 instead of a backtracking engine.
RE2's syntax includes that of RFC 9485 (I-Regexp), which RFC 9535 requires, except for Unicode blocks.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from jsonpath import JSONPath, JSONPathEnvironment, JSONPathError
from jsonpath.function_extensions import ExpressionType, FilterFunction

from exporter.judging.pattern import Pattern

if TYPE_CHECKING:
    from collections.abc import Callable

    from jsonpath import CompoundJSONPath

_NAME_OF_OTHERS = re.compile(r"\.([A-Za-z0-9_]*-[A-Za-z0-9_-]*|[0-9]+)(?=[.\[]|$)")
"""A name that other dialects write after a dot and RFC 9535 in brackets: one with a hyphen, or a number."""

_MAX_MEANT_CHARACTERS = 200


class _RegexFunction(FilterFunction):
    """A filter function that matches a text against a pattern; stateless except for a cache of patterns."""

    arg_types: ClassVar[list[ExpressionType]] = [ExpressionType.VALUE, ExpressionType.VALUE]
    return_type = ExpressionType.LOGICAL

    def __init__(self, frame: str) -> None:
        self._frame = frame

    def __call__(self, value: object, pattern: object) -> bool:
        if not isinstance(value, str) or not isinstance(pattern, str):
            return False
        try:
            return _pattern(self._frame.replace("%", pattern)).found_in(value)
        except ValueError:
            return False  # RFC 9535 section 2.4.6: what is not an I-Regexp matches nothing


@lru_cache(maxsize=256)
def _pattern(text: str) -> Pattern:
    return Pattern(text)


class _Environment(JSONPathEnvironment):
    """The language of RFC 9535 and nothing else."""

    def __init__(self) -> None:
        super().__init__(strict=True)

    def setup_function_extensions(self) -> None:
        """Replace the library's functions with the linear-time ones."""
        super().setup_function_extensions()
        self.function_extensions["match"] = _RegexFunction(r"\A(?:%)\z")
        self.function_extensions["search"] = _RegexFunction("%")


_ENVIRONMENT = _Environment()
_BRANCHING = re.compile(r"\.\.|\*|\?|:[-0-9]*:?|\b(?:match|search)\(")


_CALL = re.compile(r"(?P<name>[a-z]+)\((?P<arguments>.*)\)", re.DOTALL)
_PATTERN_ARGUMENT = re.compile(r"(?P<path>.*),\s*(?P<pattern>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")\s*", re.DOTALL)
_FRAMES = {"match": r"\A(?:%)\z", "search": "%"}
FUNCTIONS = ("count", "length", "match", "search", "value")
"""The functions of RFC 9535 section 2.4, which can also be applied to a whole path."""


def _applied(name: str, pattern: str, found: list[object]) -> list[object]:
    """Apply a function to what a path finds, and return its result; nothing where it has none."""
    if name == "count":
        return [len(found)]
    if name in _FRAMES:
        return [_RegexFunction(_FRAMES[name])(found[0] if len(found) == 1 else None, pattern)]
    if len(found) != 1:
        return []
    if name == "length":
        return [len(found[0])] if isinstance(found[0], str | list | dict) else []
    return found


class JsonPath:
    """A compiled path with its text; immutable, shared by checks and threads.

    Attributes:
        text: The path as written.
        function: The function applied to what it finds, with the pattern it takes; empty for none.
        branches: How many of its parts visit many values each; 0 for a path to a single value. The work can grow with
            the size of the document to this power.
    """

    __slots__ = ("_compiled", "branches", "function", "text")

    def __init__(self, text: str, compiled: JSONPath | CompoundJSONPath, function: tuple[str, str] = ("", "")) -> None:
        self.text = text
        self.function = function
        self._compiled = compiled
        is_singular = isinstance(compiled, JSONPath) and compiled.singular_query()
        self.branches = 0 if is_singular and function[0] not in _FRAMES else max(len(_BRANCHING.findall(text)), 1)

    def findall(self, data: Any) -> list[object]:
        """Return the values of all matches."""
        found = self._compiled.findall(data)
        return _applied(*self.function, found) if self.function[0] else found

    def __reduce__(self) -> tuple[Callable[[str], JsonPath], tuple[str]]:
        return compile_json_path, (self.text,)

    def __repr__(self) -> str:
        return f"JsonPath({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JsonPath) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


@lru_cache(maxsize=4096)
def compile_json_path(text: str) -> JsonPath:
    """Compile a path, once for all checks that use it; `count($.jobs[*])` is what a function makes of one.

    Raises:
        ValueError: When it is not a JSONPath, or not a function of one.
    """
    call = _CALL.fullmatch(text)
    if call is not None:
        return _compile_call(text, call["name"], call["arguments"])
    try:
        return JsonPath(text, _ENVIRONMENT.compile(text))
    except (JSONPathError, RecursionError) as error:
        meant = _meant(text)
        if meant:
            raise ValueError(f"is not a JSONPath (RFC 9535); write {meant}") from error
        if not text.startswith("$"):
            raise ValueError("is not a JSONPath (RFC 9535), which begins with $, such as $.status") from error
        said = error.message if isinstance(error, JSONPathError) else "nested too deeply"
        raise ValueError(f"is not a JSONPath (RFC 9535): {said}") from error


def _compile_call(text: str, name: str, arguments: str) -> JsonPath:
    if name not in FUNCTIONS:
        raise ValueError(f"is not a function of JSONPath (RFC 9535); functions: {', '.join(FUNCTIONS)}")
    path, pattern = arguments, ""
    if name in _FRAMES:
        parts = _PATTERN_ARGUMENT.fullmatch(arguments)
        if parts is None:
            raise ValueError(f"needs a path and a pattern in quotes, such as {name}($.state, 'ok|idle')")
        path, pattern = parts["path"], re.sub(r"\\(['\"\\])", r"\1", parts["pattern"][1:-1])
        _pattern(pattern)
    inner = compile_json_path(path.strip())
    if inner.function[0]:
        raise ValueError("has a function within a function; apply one to a path")
    return JsonPath(text, inner._compiled, (name, pattern))  # noqa: SLF001 - of the same class


def _meant(text: str) -> str:
    """Return the path that is probably meant (`$` missing, jq, JSON Pointer); empty when unclear."""
    if text.startswith("/"):
        text = text.replace("/", ".")
    rest = text.removeprefix("$").removeprefix("@")
    path = f"${rest}" if rest.startswith((".", "[")) else f"$.{rest}"
    meant = _NAME_OF_OTHERS.sub(lambda match: f"[{match[1]}]" if match[1].isdigit() else f"['{match[1]}']", path)
    if len(meant) > _MAX_MEANT_CHARACTERS:
        return ""
    try:
        _ENVIRONMENT.compile(meant)
    except (JSONPathError, RecursionError):
        return ""
    return meant
