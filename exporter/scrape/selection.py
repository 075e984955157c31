"""Selects which checks a scrape runs, by name, type and label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.errors import UnknownCheckNameError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.model import Check


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which checks a scrape runs; an empty attribute selects all.

    Attributes:
        check_names: Names of checks.
        check_types: Types of checks.
        labels: User labels and their values; a check matches any of several values for the same name.
    """

    check_names: frozenset[str] = frozenset()
    check_types: frozenset[str] = frozenset()
    labels: frozenset[tuple[str, str]] = frozenset()

    def selects(self, check: Check) -> bool:
        """Return whether a check is selected."""
        if self.check_names and check.name not in self.check_names:
            return False
        if self.check_types and check.check_type not in self.check_types:
            return False
        wanted: dict[str, set[str]] = {}
        for name, value in self.labels:
            wanted.setdefault(name, set()).add(value)
        return all(check.labels.get(name) in values for name, values in wanted.items())


def selected_checks(checks: Sequence[Check], selection: Selection) -> list[Check]:
    """Return the checks that a selection selects, in their order.

    Raises:
        UnknownCheckNameError: When it names a check that is not among them.
    """
    names = [check.name for check in checks] if selection.check_names else []
    if unknown := selection.check_names.difference(names):
        raise UnknownCheckNameError(unknown, names)
    return [check for check in checks if selection.selects(check)]
