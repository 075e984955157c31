"""Compiles what an expectation in YAML says about its subject: the selector, `as`, and an operator that is left out.

Every function raises ValueError with a message that follows the value: "is not the name of a header".
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from exporter.judging.cel import compile_cel
from exporter.judging.json_path import compile_json_path
from exporter.model import SelectorKind, ValueKind
from exporter.settings import refuse_control_characters

if TYPE_CHECKING:
    from exporter.model import Operator, Subject

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_SELECTOR_WORDS = {SelectorKind.JSON_PATH: "a JSONPath", SelectorKind.CEL: "a CEL expression"}


def compile_selector(subject: Subject, value: object) -> object:
    """Compile the selector of a subject: a JSONPath, a CEL expression or the name of a header.

    Raises:
        ValueError: When the value is not a valid selector.
    """
    if not isinstance(value, str) or not value:
        what = _SELECTOR_WORDS.get(subject.selector, "text")
        raise ValueError(f"must be {what}, with the operators beside it")
    if subject.selector is SelectorKind.JSON_PATH:
        return compile_json_path(str(value))
    if subject.selector is SelectorKind.CEL:
        return compile_cel(str(value))
    text = refuse_control_characters(str(value))
    if subject.selector is SelectorKind.HEADER_NAME and not _HEADER_NAME.fullmatch(text):
        raise ValueError("is not the name of a header, such as Content-Type")
    return text


def number_subject(subject: Subject) -> Subject:
    """Return a subject as expectations with `as: number` read it.

    Raises:
        ValueError: When its values are not texts that may be numbers.
    """
    if subject.kind not in (ValueKind.JSON, ValueKind.TEXT, ValueKind.TEXTS) or subject.choices:
        raise ValueError(f"is not for {subject.name}, which is not a text that may be a number")
    return replace(subject, kind=ValueKind.NUMBER, spelled=None, bounds=None)


def shorthand_operator(kind: ValueKind, value: object) -> Operator | None:
    """Return the operator implied by `subject: value`; None where it would be a guess."""
    match kind:
        case ValueKind.STATUS:
            return "in"
        case ValueKind.DURATION:
            return None
        case ValueKind.NUMBER | ValueKind.DAYS | ValueKind.TEXT | ValueKind.ADDRESS | ValueKind.LINES:
            return "in" if isinstance(value, list) else "eq"
        case _:
            return "eq"
