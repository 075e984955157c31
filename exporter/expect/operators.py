"""Which operators each kind of value has, and the subject that every check type has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.model import Subject, ValueKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.model import Operator

DURATION = Subject(
    name="duration",
    kind=ValueKind.DURATION,
    description="How long the check took, further attempts and the pauses between them included",
)
"""The subject that every check type has; the runner observes it."""

OPERATORS: Mapping[ValueKind, tuple[Operator, ...]] = {
    ValueKind.NUMBER: ("eq", "ne", "lt", "le", "gt", "ge", "in", "none_of", "exists"),
    ValueKind.DAYS: ("eq", "ne", "lt", "le", "gt", "ge", "in", "none_of", "exists"),
    ValueKind.DURATION: ("eq", "ne", "lt", "le", "gt", "ge", "exists"),
    ValueKind.STATUS: ("eq", "ne", "lt", "le", "gt", "ge", "in", "none_of", "exists"),
    ValueKind.TEXT: ("eq", "ne", "in", "none_of", "contains", "matches", "not_matches", "exists"),
    ValueKind.TEXTS: (
        "eq", "ne", "in", "any_of", "all_of", "none_of", "contains", "matches", "not_matches", "all_match",
        "not_all_match", "exists",
    ),
    ValueKind.ADDRESS: ("eq", "ne", "in", "any_of", "none_of", "matches", "not_matches", "exists"),
    ValueKind.LINES: ("eq", "ne", "in", "none_of", "contains", "matches", "not_matches", "exists"),
    ValueKind.FLAG: ("eq", "ne", "exists"),
    ValueKind.JSON: (
        "eq", "ne", "lt", "le", "gt", "ge", "in", "any_of", "all_of", "none_of", "contains", "matches", "not_matches",
        "exists",
    ),
}  # fmt: skip
"""The operators allowed for each kind of value."""
