"""Reads scalars of the core schema of YAML 1.2 (section 10.3.2): null, flags, numbers and text."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exporter.config.problems import Value

TAG = "tag:yaml.org,2002:"
_NULL, _BOOL, _INT, _FLOAT, TEXT = (TAG + name for name in ("null", "bool", "int", "float", "str"))
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,39})|0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}")
_DECIMAL = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_MAYBE_NUMBER = frozenset("+-.0123456789")


def scalar_tag(text: str) -> str:
    """Return the tag of a plain scalar."""
    if text in _NULLS:
        return _NULL
    if text in _BOOLS:
        return _BOOL
    if text[0] in _MAYBE_NUMBER:
        if _INTEGER.fullmatch(text):
            return _INT
        if _DECIMAL.fullmatch(text):
            return _FLOAT
    return TEXT


def read_scalar(text: str) -> Value:
    """Return the value of a plain scalar by YAML 1.2; whatever is not null, a flag or a number is text.

    Raises:
        ValueError: When it is a number that is too large.
    """
    return scalar_of(scalar_tag(text), text)


def scalar_of(tag: str, text: str) -> Value:
    """Return the value of a scalar with a tag.

    Raises:
        ValueError: When the text is not a value of the tag, or a number that is too large.
    """
    if tag == TEXT:
        return text
    if tag == _NULL and text in _NULLS:
        return None
    if tag == _BOOL and text in _BOOLS:
        return _BOOLS[text]
    if tag == _INT and _INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
    if tag == _FLOAT and _DECIMAL.fullmatch(text):
        number = float(text)
        if math.isinf(number):
            raise ValueError("is too large a number")
        return number
    raise ValueError(f"is not a value of the tag {tag.removeprefix(TAG)}")
