"""Converts objects of plugins to text and enum members: bounded, printable, and without ever raising.

An object of a check type may raise from `__str__`, `__repr__` or a property, and its text may have any length and any
characters. All code that writes such an object to a result, a log or a page uses this module.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from enum import StrEnum

_Member = TypeVar("_Member", bound="StrEnum")

MAX_TEXT_CHARACTERS = 1000
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def text_of(value: object) -> str:
    """Return `str(value)`, bounded and without lone surrogates; a placeholder when it raises."""
    try:
        text = value if value.__class__ is str else str(value)
        return clean_text(str.__str__(text))
    except BaseException:  # noqa: BLE001 - whatever a plugin's object raises, only its text is lost
        return f"<{_class_name(value)} that cannot be shown>"


def repr_of(value: object) -> str:
    """Return `repr(value)`, bounded and without lone surrogates; a placeholder when it raises."""
    try:
        return clean_text(str.__str__(repr(value)))
    except BaseException:  # noqa: BLE001 - as above
        return f"<{_class_name(value)} that cannot be shown>"


def clean_text(text: str) -> str:
    """Return the text cut to a bounded length, with lone surrogates replaced."""
    cut = text if len(text) <= MAX_TEXT_CHARACTERS else text[: MAX_TEXT_CHARACTERS - 1] + "…"
    return cut if cut.isascii() else _SURROGATE.sub("\ufffd", cut)


def member_of(members: type[_Member], value: object) -> _Member | None:
    """Return the enum member that a value is or, as plain text, names; None when there is none."""
    if type(value) is members:
        return value
    try:
        return members(value) if isinstance(value, str) else None
    except Exception:  # noqa: BLE001 - not a member, or a text of a plugin's class
        return None


def _class_name(value: object) -> str:
    return clean_text(type(value).__name__)
