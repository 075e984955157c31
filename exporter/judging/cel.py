"""CEL, the Common Expression Language: expressions about a JSON document, compiled at load, evaluated by judging.

The document is the variable `body`. Its numbers are doubles, as in Go programs, so that an expression means the same as
in blackbox_exporter. Evaluating even a short expression can take arbitrarily long, and the library cannot be
interrupted, so it happens in judging processes only. Source: the language definition of CEL (cel-spec).
"""

from __future__ import annotations

import json
import re
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, cast

from exporter.errors import CheckFailed
from exporter.judging.content import OfContent, parse_json
from exporter.model import Reason

if TYPE_CHECKING:
    import cel

    from exporter.model import Observed

MAX_CHARACTERS = 2000
FUNCTIONS = (
    "bytes", "contains", "double", "duration", "dyn", "endsWith", "getDate", "getDayOfMonth", "getDayOfWeek",
    "getDayOfYear", "getFullYear", "getHours", "getMilliseconds", "getMinutes", "getMonth", "getSeconds", "int",
    "matches", "size", "startsWith", "string", "timestamp", "type", "uint",
)  # fmt: skip
"""The functions of the language besides its operators and macros."""

_VARIABLE = "body"
_TYPES = ("bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint")
_BOUND = re.compile(r"\.\s*(?:all|exists|exists_one|existsOne|map|filter)\s*\(\s*([A-Za-z_]\w*)\s*,")
"""A macro with the variable that it introduces; within a text it does no more than allow a name."""

_FAULT = re.compile(r"ERROR: <input>:(\d+):(\d+): (?:Syntax error: )?(.*)")
_EXPECTING = re.compile(r" expecting (?:\{.*|<EOF>)")
_MAX_SAID_CHARACTERS = 200
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class CelExpression:
    """A compiled expression with its text; immutable and shared by threads; use `compile_cel`.

    Attributes:
        text: The expression as written.
    """

    __slots__ = ("_program", "text")

    def __init__(self, text: str, program: cel.Program) -> None:
        self.text = text
        self._program = program

    def value_of(self, document: object) -> Observed:
        """Return the value of the expression for a document.

        Raises:
            ValueError: When it has none: a member is missing, types do not fit, a number is too large.
        """
        try:
            value = self._program.execute({_VARIABLE: document})
        except KeyError as error:
            raise ValueError(f"there is no member {error}") from None
        except Exception as error:  # noqa: BLE001 - the library raises a different class for every kind of fault
            raise ValueError(_first_sentence(str(error))) from None
        if value is None or isinstance(value, bool | int | float | str | list | dict):
            return value
        return str(value)

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return compile_cel, (self.text,)

    def __repr__(self) -> str:
        return f"CelExpression({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CelExpression) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


class CelValue(OfContent):
    """The value that a CEL expression about the body has."""

    def __call__(self, expression: object) -> Observed:
        """Return the value of a compiled expression.

        Raises:
            CheckFailed: With reason `expectation` when the body is not JSON or the expression has no value.
        """
        wanted = cast("CelExpression", expression)
        try:
            return wanted.value_of(self._document)
        except ValueError as error:
            raise CheckFailed(Reason.EXPECTATION, f"the CEL expression {wanted.text} has no value: {error}") from None

    @cached_property
    def _document(self) -> object:
        body = self.content.body
        try:
            document = parse_json(body, numbers=_double)
        except ValueError as error:
            raise ValueError(f"the body is not JSON: {error}") from None
        return _with_valid_texts(document) if _SURROGATE.search(body) else document


@lru_cache(maxsize=4096)
def compile_cel(text: str) -> CelExpression:
    """Compile an expression, once for all checks that use it.

    Raises:
        ValueError: When it is not an expression about `body`, is too long, or the extra `cel` is missing; the message
            follows the expression.
    """
    try:
        import cel  # noqa: PLC0415 - an extra, and importing it takes as long as starting the exporter
    except ImportError as error:
        raise ValueError(f"needs an extra: pip install 'nyxmon-exporter[cel]' ({error})") from error
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"has {len(text)} characters; a CEL expression has at most {MAX_CHARACTERS}")
    try:
        program = cel.compile(text)
    except ValueError as error:
        raise ValueError(f"is not a CEL expression: {_fault(str(error))}") from None
    _refuse_unknown_names(program, text)
    return CelExpression(text, program)


def _refuse_unknown_names(program: cel.Program, text: str) -> None:
    """Reject variables and functions that do not exist, which the library would report only on evaluation."""
    known = {_VARIABLE, *_TYPES, *_BOUND.findall(text)}
    for name in program.variables():
        if name not in known:
            raise ValueError(f"is about {name}, which does not exist; the document is the variable {_VARIABLE}")
    for name in program.functions():
        if name.isidentifier() and not name.startswith("_") and name not in FUNCTIONS:
            raise ValueError(f"calls {name}, which is not a function here; functions: {', '.join(FUNCTIONS)}")


def _fault(said: str) -> str:
    """Return the first fault that the library found, and where."""
    match = _FAULT.search(said)
    if match is None:
        return _first_sentence(said)
    line, column, what = match.groups()
    what = _EXPECTING.sub("", what)
    if "mismatched input '<EOF>'" in what:
        what = "it ends too early"
    elif "OtherError" in what:
        what = "it is nested too deeply"
    return f"{what[:_MAX_SAID_CHARACTERS]} (line {line}, column {column})"


def _first_sentence(said: str) -> str:
    """Return the first sentence of a message of the library, which goes on with advice for programmers."""
    return said.partition("\n")[0].partition(". ")[0].rstrip(".")[:_MAX_SAID_CHARACTERS]


def _double(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("has a number that is too large for a double")
    return number


def _with_valid_texts(document: object) -> object:
    """Return a document in which U+FFFD stands for each lone surrogate, which JSON can contain and UTF-8 cannot."""
    written = json.dumps(document, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return cast("object", json.loads(written))
