"""Labels of expectations: the name that the configuration gives one, or the expectation in words, unique in a check."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from exporter.config.problems import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.model import Expectation

_MAX_LABEL_CHARACTERS = 100
_UNPRINTABLE = re.compile(r"\s+|[^ -~\u00a1-\ud7ff\ue000-\U0010ffff]")


class ExpectationLabels:
    """The labels given so far to the expectations of one check."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def in_words(self, words: str) -> str:
        """Return the label of an expectation without a name: its words, cut and, if necessary, numbered."""
        text = _UNPRINTABLE.sub(" ", words)
        cut = text if len(text) <= _MAX_LABEL_CHARACTERS else text[: _MAX_LABEL_CHARACTERS - 1] + "…"
        label, number = cut, 1
        while label in self._taken:
            number += 1
            label = f"{cut} #{number}"
        self._taken.add(label)
        return label

    def named(self, name: object, suffix: str = "") -> str:
        """Return the label of an expectation with a name.

        Args:
            name: The name as written.
            suffix: What distinguishes it from the other expectations of its item; empty for the only one.

        Raises:
            ValueError: When the name is not one line of text of a bounded length, or is taken.
        """
        is_text = isinstance(name, str) and name.isprintable() and not hasattr(name, "shown")
        if not is_text or not 1 <= len(cast("str", name)) <= _MAX_LABEL_CHARACTERS:
            message = f"must be one line of text, at most {_MAX_LABEL_CHARACTERS} characters, without references"
            raise ValueError(f"{quoted(name)} {message}")
        label = f"{name} {suffix}" if suffix else str(name)
        if label in self._taken:
            raise ValueError(f"{quoted(label)} is taken by another expectation of the check")
        self._taken.add(label)
        return label


def group_words(operator: str, parts: Sequence[Expectation]) -> str:
    """Return a group of expectations in words: `status in 404 or (status in 2xx and body contains "ok")`."""
    texts = [f"({part.label})" if len(part.parts) > 1 else part.label for part in parts]
    return (" or " if operator == "any_of" else " and ").join(texts)


def operand_text(value: object) -> str:
    """Return an operand as a label shows it: as written, secrets masked."""
    if isinstance(value, list):
        return ", ".join(map(operand_text, value))
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {operand_text(item)}" for key, item in value.items()) + "}"
    return str(getattr(value, "shown", value)) if isinstance(value, str) else quoted(value)
