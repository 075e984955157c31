"""Cleans all label names and values, and renders label sets to text once.

prometheus_client prints labels sorted by name, and so must this module. The three labels of a check are therefore kept
as two pieces of text, and a family's own labels as the pieces that go before, between and after them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from exporter.protobuf import delimited

if TYPE_CHECKING:
    from collections.abc import Iterable

CHECK_LABELS = ("check", "check_type", "target")
"""The labels of every series about a check on a page about several checks."""

MAX_VALUE_CHARACTERS = 500
"""A longer label value is cut and ends in an ellipsis; long enough for the URLs that are usually checked."""

_HARMFUL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_NOT_IN_NAME = re.compile(r"[^a-zA-Z0-9_]")
_RESERVED = frozenset((*CHECK_LABELS, "le", "quantile"))


def clean_value(value: object) -> str:
    """Return a value as label text: control characters and lone surrogates replaced, the length bounded."""
    text = _HARMFUL.sub("\ufffd", value if isinstance(value, str) else str(value))
    return text if len(text) <= MAX_VALUE_CHARACTERS else text[: MAX_VALUE_CHARACTERS - 1] + "…"


def is_label_name(name: str) -> bool:
    """Return whether a series may have a label of this name: in Prometheus' classic characters and not reserved."""
    return bool(_NAME.fullmatch(name)) and not name.startswith("__") and name not in _RESERVED


def fits_beside_check(name: str) -> bool:
    """Return whether `OwnLabels` can print the label together with those of a check.

    It cannot between `check` and `check_type`, because it prints nothing there.
    """
    return not CHECK_LABELS[0] < name < CHECK_LABELS[1]


def is_free_label(name: str) -> bool:
    """Return whether a series about a check may have a label of this name besides those of the check."""
    return is_label_name(name) and fits_beside_check(name)


def clean_name(name: str) -> str:
    """Convert a user's label name to one that Prometheus accepts; an invalid result gets the prefix `label_`."""
    text = _NOT_IN_NAME.sub("_", name)
    return text if is_label_name(text) else f"label_{text}"


def pairs_text(pairs: Iterable[tuple[str, str]]) -> str:
    """Return labels as in Prometheus' text format, without braces; the pairs must be sorted and clean."""
    return ",".join(f'{name}="{_escape(value)}"' for name, value in pairs)


def _escape(value: str) -> str:
    """Escape a value for the text format; clean values contain no line feeds."""
    return value.replace("\\", r"\\").replace('"', r"\"")


class CheckLabels:
    """The labels of one check and their text; lives as long as the configuration, shared by threads.

    Attributes:
        head: Text of `check` and `check_type`.
        tail: Text of `target`, with the comma before it.
        whole: Both, for series that have no label between them.
    """

    __slots__ = ("_encoded", "_values", "head", "tail", "whole")

    def __init__(self, check: str, check_type: str, target: str) -> None:
        self._encoded: bytes | None = None
        self._values: tuple[str, ...] = (clean_value(check), clean_value(check_type), clean_value(target))
        pairs = self.pairs
        self.head = pairs_text(pairs[:2])
        self.tail = "," + pairs_text(pairs[2:])
        self.whole = self.head + self.tail

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Names and clean values; made when they are needed, which is rare, because all checks have the same names."""
        return tuple(zip(CHECK_LABELS, self._values, strict=False))

    @property
    def encoded(self) -> bytes:
        """The labels as fields of a protobuf message `Metric`, encoded on first use."""
        if self._encoded is None:
            self._encoded = label_pairs(self.pairs)
        return self._encoded


class _NoCheck(CheckLabels):
    """The empty labels of series that are not labelled with a check."""

    __slots__ = ()

    def __init__(self) -> None:
        self._encoded = None
        self._values = ()
        self.head = self.tail = self.whole = ""


NO_CHECK = _NoCheck()
"""The labels of series that are about no check, or about the only check on the page."""


class OwnLabels:
    """The labels a series has besides those of its check, as text in three pieces; immutable, shared by threads.

    A line is `name + before + head + between + tail + after + value`, with head and tail of the check.

    Attributes:
        before: Text that goes before the head, with the opening brace.
        between: Text between head and tail.
        after: Text that follows the tail, with the closing brace and the blank before the value.
        pairs: Names and clean values.
    """

    __slots__ = ("_encoded", "after", "before", "between", "pairs")

    def __init__(self, pairs: Iterable[tuple[str, str]] = (), *, of_check: bool) -> None:
        """Render the pieces.

        Args:
            pairs: Names and values; the values are cleaned here.
            of_check: Whether the labels of a check go between the pieces.
        """
        self._encoded: bytes | None = None
        self.pairs = tuple(sorted((name, clean_value(value)) for name, value in pairs))
        if not of_check:
            self.before = f"{{{pairs_text(self.pairs)}" if self.pairs else ""
            self.between = ""
            self.after = "} " if self.pairs else " "
            return
        first, last = CHECK_LABELS[0], CHECK_LABELS[-1]
        self.before = "{" + "".join(f"{pairs_text([pair])}," for pair in self.pairs if pair[0] < first)
        self.between = "".join(f",{pairs_text([pair])}" for pair in self.pairs if first < pair[0] < last)
        self.after = "".join(f",{pairs_text([pair])}" for pair in self.pairs if pair[0] > last) + "} "

    @property
    def encoded(self) -> bytes:
        """The labels as fields of a protobuf message `Metric`, encoded on first use."""
        if self._encoded is None:
            self._encoded = label_pairs(self.pairs)
        return self._encoded


def label_pairs(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Encode labels as the repeated field `label` of the message `Metric`."""
    return b"".join([delimited(1, delimited(1, name.encode()) + delimited(2, value.encode())) for name, value in pairs])
