"""Evaluates relabelling as Prometheus does, on the labels of one target.

Source: Prometheus, "Configuration", `relabel_config`.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from exporter.judging.pattern import Pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Action = Literal[
    "replace", "keep", "drop", "keepequal", "dropequal", "hashmod", "labelmap", "labeldrop", "labelkeep", "lowercase",
    "uppercase",
]  # fmt: skip
_REFERENCE = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})")


class Rule(BaseModel):
    """One rule, with the defaults of Prometheus."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    source_labels: tuple[str, ...] = ()
    separator: str = ";"
    target_label: str = ""
    regex: str = "(.*)"
    modulus: int = Field(default=1, ge=1)
    replacement: str = "$1"
    action: Action = "replace"

    def captured(self, text: str) -> dict[str, str] | None:
        """Return what the regular expression captures of a text, which it must match whole; None without a match.

        Raises:
            ValueError: When it is not an RE2 regular expression.
        """
        return Pattern(f"^(?s:{self.regex})$").captured_in(text)


def relabelled(labels: Mapping[str, str], rules: Iterable[Rule]) -> dict[str, str] | None:
    """Return the labels after all rules; None when a rule drops the target.

    Raises:
        ValueError: When a regular expression cannot be compiled.
    """
    now = dict(labels)
    for rule in rules:
        after = _after(rule, now)
        if after is None:
            return None
        now = after
    return now


def _after(rule: Rule, labels: dict[str, str]) -> dict[str, str] | None:
    source = rule.separator.join(labels.get(name, "") for name in rule.source_labels)
    if rule.action in ("labelmap", "labeldrop", "labelkeep"):
        return _after_names(rule, labels)
    if rule.action in ("keepequal", "dropequal"):
        is_equal = source == labels.get(rule.target_label, "")
        return labels if is_equal is (rule.action == "keepequal") else None
    if rule.action in ("keep", "drop"):
        matches = rule.captured(source) is not None
        return labels if matches is (rule.action == "keep") else None
    name, value = rule.target_label, ""
    if rule.action == "replace":
        captured = rule.captured(source)
        if captured is None:
            return labels
        name, value = _expanded(name, captured), _expanded(rule.replacement, captured)
    elif rule.action == "hashmod":
        digest = hashlib.md5(source.encode(), usedforsecurity=False).digest()
        value = str(int.from_bytes(digest[8:]) % rule.modulus)
    else:
        value = source.lower() if rule.action == "lowercase" else source.upper()
    rest = {key: text for key, text in labels.items() if key != name}
    return {**rest, name: value} if value else rest


def _after_names(rule: Rule, labels: dict[str, str]) -> dict[str, str]:
    if rule.action == "labelmap":
        mapped = {
            _expanded(rule.replacement, captured): value
            for name, value in labels.items()
            if (captured := rule.captured(name)) is not None
        }
        return {**labels, **mapped}
    keeps = rule.action == "labelkeep"
    return {name: value for name, value in labels.items() if (rule.captured(name) is not None) is keeps}


def _expanded(text: str, captured: Mapping[str, str]) -> str:
    """Return a text with its references replaced, as Go's `regexp.Expand` does."""
    return _REFERENCE.sub(lambda match: "$" if match[1] else captured.get(match[2] or match[3], ""), text)
