"""Explains why text is not YAML: where the mistake was probably made, and what to write instead.

The parser reports where it had to give up and which of its rules failed. The mistake often lies before that place:
where a quote began that is not closed, or in a line without a space after its colon. No message quotes the text, which
may be a secret.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import yaml
from yaml.cyaml import CBaseLoader
from yaml.tokens import (
    FlowMappingEndToken,
    FlowMappingStartToken,
    FlowSequenceEndToken,
    FlowSequenceStartToken,
    ScalarToken,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yaml.error import Mark, MarkedYAMLError
    from yaml.tokens import Token

_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What YAML does not allow in a stream. Source: YAML 1.2, section 5.1."""

_CONFLICT = re.compile("<{7} |={7}$|>{7} ")
_ODD_SPACE = re.compile("[\xa0\u2000-\u200b\u202f\u3000\ufeff]")
_ODD_DASH = re.compile(r"\s*[\u2010-\u2015\u2022\u2212]\s")
_CLINGING_DASH = re.compile(r"\s*-[^\s-]")
_CLINGING_VALUE = re.compile(r"\s*(?:- +)*[\w.-]+:[^\s/]")
_SECOND_COLON = re.compile(r"\S:\s.*")

_QUOTE_WITHIN = {"'": "within single quotes, write '' for a quote", '"': 'within double quotes, write \\" for a quote'}
_CLOSING = {"[": "]", "{": "}"}
_BESIDE_VALUE = "text follows the end of the value; put the whole value in quotes"


class YamlFault(NamedTuple):
    """What is wrong, and where: line and column from 1, or 0 when they are not known."""

    line: int
    column: int
    message: str


def unprintable_fault(text: str) -> YamlFault:
    """Return the first character that YAML does not allow."""
    found = _UNPRINTABLE.search(text)
    if found is None:
        return YamlFault(0, 0, "has a character that YAML does not allow")
    *before, last = _BREAK.split(text[: found.start()])
    message = f"has the character U+{ord(found[0]):04X}, which YAML does not allow; in double quotes, write an escape"
    return YamlFault(len(before) + 1, len(last) + 1, message)


def syntax_fault(text: str, error: MarkedYAMLError) -> YamlFault:
    """Return the mistake that an error of the parser probably comes from."""
    place = error.problem_mark or error.context_mark
    if place is None:
        return YamlFault(0, 0, f"is not valid YAML: {error}")
    if str(error.context) == "expected a single document in the stream":
        return _at(place, "begins a second document; a file holds one", prefix="")
    fault = _open_quote(text, place, error) or _conflict(text, error) or _by_rule(text, place, error)
    return fault or _at(place, ", ".join(filter(None, (error.context, error.problem))))


def _at(mark: Mark, message: str, prefix: str = "is not valid YAML: ") -> YamlFault:
    return YamlFault(mark.line + 1, mark.column + 1, f"{prefix}{message}")


def _open_quote(text: str, place: Mark, error: MarkedYAMLError) -> YamlFault | None:
    """Return the fault of a quote that is not closed, or closed too early or too late."""
    if error.context == "while scanning a quoted scalar" and "unexpected" in str(error.problem):
        assert error.context_mark is not None  # noqa: S101 - the place of the context
        return _at(error.context_mark, "this quote is not closed")
    quoted = _last_quoted(text, place)
    if quoted is None or quoted.end_mark.line != place.line or error.context == "while scanning a quoted scalar":
        return None
    if quoted.start_mark.line < quoted.end_mark.line:
        message = f"this quote is not closed before line {place.line + 1}; is its closing quote missing?"
        return _at(quoted.start_mark, message)
    if quoted.end_mark.index == place.index and place.index < len(text):
        return _at(place, f"text follows the closing quote; {_QUOTE_WITHIN[text[quoted.start_mark.index]]}")
    return None


def _tokens(text: str, place: Mark) -> Iterator[Token]:
    """Yield the tokens that begin before a place, as far as there are any."""
    try:
        for token in yaml.scan(text, CBaseLoader):
            if token.start_mark.index >= place.index:
                break
            yield token
    except yaml.YAMLError:
        pass  # what was read before is enough


def _last_quoted(text: str, place: Mark) -> Token | None:
    """Return the last text in quotes that begins before a place."""
    last = None
    for token in _tokens(text, place):
        if isinstance(token, ScalarToken) and token.style in _QUOTE_WITHIN:
            last = token
    return last


def _open_brackets(text: str, place: Mark) -> list[Mark]:
    """Return where the brackets begin that are not closed before a place."""
    marks: list[Mark] = []
    for token in _tokens(text, place):
        if isinstance(token, FlowSequenceStartToken | FlowMappingStartToken):
            marks.append(token.start_mark)
        elif isinstance(token, FlowSequenceEndToken | FlowMappingEndToken):
            marks.pop()
    return marks


def _conflict(text: str, error: MarkedYAMLError) -> YamlFault | None:
    """Return the fault of a line that version control wrote where two versions conflict."""
    for mark in (error.context_mark, error.problem_mark):
        if mark is not None and _CONFLICT.match(_line(text, mark)):
            return _at(mark, "this line marks a merge conflict; resolve it")
    return None


def _by_rule(text: str, place: Mark, error: MarkedYAMLError) -> YamlFault | None:
    """Return the fault by the rule that the parser was following and the one that failed."""
    context, problem = str(error.context or ""), str(error.problem)
    start = error.context_mark or place
    letter = text[place.index : place.index + 1]
    if letter == "\t" and ("tab" in problem or "cannot start any token" in problem):
        return _at(place, "a tab cannot indent; use spaces")
    if "cannot start any token" in problem:
        return _at(place, f'text cannot begin with "{letter}"; put it in quotes')
    if "escape" in problem or "hexdecimal" in problem:
        return _at(place, "a backslash begins an escape in double quotes; double it, or use single quotes")
    if context.startswith("while parsing a flow "):
        return _open_bracket(text, start, place)
    if context in ("while parsing a block mapping", "while parsing a block collection"):
        return _misplaced(text, start, place, is_list=context.endswith("collection"))
    if context == "while scanning a simple key":
        line = _line(text, start)
        wants_space = _CLINGING_VALUE.match(line) or _CLINGING_DASH.match(line)
        return _at(start, _no_space(line) if wants_space else 'this line has no colon; a key is written "key: value"')
    if problem == "mapping values are not allowed in this context":
        return _second_value(text, place)
    if problem == "block sequence entries are not allowed in this context":
        return _at(place, "a list cannot begin beside its key; begin it on the next line")
    if problem == "did not find expected <document start>":
        return _at(place, "text follows the end of the document")
    return _of_indicator(place, start, error)


def _of_indicator(place: Mark, start: Mark, error: MarkedYAMLError) -> YamlFault | None:
    """Return the fault of text that begins with a character that means something else."""
    context, problem = str(error.context or ""), str(error.problem)
    if problem == "found undefined alias":
        return _at(place, "this alias refers to no anchor above it; put text that begins with * in quotes")
    if context.startswith("found duplicate anchor"):
        return _at(place, f"this anchor is already in line {start.line + 1}; give it another name")
    names = {"alias": "*", "anchor": "&", "tag": "!", "block scalar": "| or >"}
    for name, indicator in names.items():
        if context.endswith(f" {name}"):
            article = "an" if name.startswith("a") else "a"
            return _at(start, f"this begins {article} {name}; put text that begins with {indicator} in quotes")
    return None


def _open_bracket(text: str, start: Mark, place: Mark) -> YamlFault | None:
    at_end = not text[place.index :].strip()
    opening = text[start.index : start.index + 1]
    if opening not in _CLOSING:  # the parser was about to read a value
        opened = _open_brackets(text, place)
        if not opened or not at_end:
            return _at(place, "a value is missing here")
        start, opening = opened[-1], text[opened[-1].index]
    if at_end:
        return _at(start, f'this "{opening}" is not closed')
    if place.line > start.line:
        message = f'this "{opening}" is not closed, or a comma is missing, before line {place.line + 1}'
        return _at(start, f"{message}, column {place.column + 1}")
    return _at(place, f'"," or "{_CLOSING[opening]}" is missing here; the "{opening}" is in column {start.column + 1}')


def _misplaced(text: str, start: Mark, place: Mark, *, is_list: bool) -> YamlFault:
    line = _line(text, place)
    if line[: place.column].strip():
        return _at(place, _BESIDE_VALUE)
    number, above = _line_above(text, place)
    if wrong := _no_space(above):
        return YamlFault(number, len(above) - len(above.lstrip()) + 1, f"is not valid YAML: {wrong}")
    if is_list:
        item = f'an item ("- ") of the list in line {start.line + 1}'
        return _at(place, f"this line is neither {item} nor indented like the keys of one")
    if line[place.column :].startswith("- "):
        return _at(place, "a list item stands among keys; indent it below the key that it belongs to")
    return _at(place, "the indentation of this line matches no line above it")


def _second_value(text: str, place: Mark) -> YamlFault:
    """Return the fault of a colon where no key can be: after another one, or below a value."""
    if _SECOND_COLON.search(_line(text, place)[: place.column]):
        return _at(place, 'this is a second ": " in the line; put text that contains one in quotes')
    number, above = _line_above(text, place)
    if wrong := _no_space(above):
        return YamlFault(number, len(above) - len(above.lstrip()) + 1, f"is not valid YAML: {wrong}")
    if not number:
        return _at(place, _BESIDE_VALUE)
    return _at(place, f"this line is indented further than line {number}, which has a value")


def _line_above(text: str, place: Mark) -> tuple[int, str]:
    """Return the number and the text of the line before a place that is neither empty nor a comment; or 0."""
    lines = _BREAK.split(text)
    number = place.line
    while number and (not lines[number - 1].strip() or lines[number - 1].lstrip().startswith("#")):
        number -= 1
    return number, lines[number - 1] if number else ""


def _no_space(line: str) -> str:
    """Return what is wrong with the spaces or the dash of a line; empty when nothing is."""
    if _ODD_SPACE.search(line):
        return "this line has a no-break space or the like; write an ordinary space"
    if _ODD_DASH.match(line):
        return 'this line begins with a dash other than "-"; write "- "'
    if _CLINGING_DASH.match(line):
        return "write a space after the dash"
    if _CLINGING_VALUE.match(line):
        return "write a space after the colon"
    return ""


def _line(text: str, mark: Mark) -> str:
    """Return the line of a place."""
    start = mark.index - mark.column
    found = _BREAK.search(text, start)
    return text[start : found.start() if found else len(text)]
