"""Pages of a few series without check labels, such as those of a probe.

Probes of the same module mostly show the same series, so everything but the values is written once and kept.
"""

from __future__ import annotations

from array import array
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING

from exporter.exposition.series import Block, Rows
from exporter.exposition.text_format import END_OF_OPENMETRICS, header_text, texts_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from exporter.exposition.families import Family
    from exporter.exposition.labels import OwnLabels

_MOST_KEPT = 2048


class FewSeries:
    """Series in the order of their page; created for one page.

    Attributes:
        families: The family of each series; equal ones are adjacent.
        own: The labels of each series.
        values: The value of each series.
    """

    __slots__ = ("_beginnings", "families", "own", "values")

    def __init__(self, beginnings: Beginnings) -> None:
        """Start without a series.

        Args:
            beginnings: The texts written for earlier pages of the same kind.
        """
        self._beginnings = beginnings
        self.families: list[Family] = []
        self.own: list[OwnLabels] = []
        self.values: array[float] = array("d")

    def add(self, family: Family, own: OwnLabels, value: float) -> None:
        """Add a series."""
        self.families.append(family)
        self.own.append(own)
        self.values.append(value)

    def blocks(self) -> Iterator[Block]:
        """Yield the series as blocks, for formats and selections that work family by family."""
        start = 0
        for family, group in groupby(self.families):
            end = start + len(list(group))
            yield Block(family, rows=Rows.without_check(self.own[start:end], self.values[start:end]))
            start = end

    def text(self, *, is_openmetrics: bool) -> str:
        """Write the series in the text format 0.0.4, or in OpenMetrics."""
        beginnings = self._beginnings.of(self.families, self.own, is_openmetrics=is_openmetrics)
        lines = [f"{before}{text}\n" for before, text in zip(beginnings, texts_of(self.values), strict=True)]
        return "".join(lines) + (END_OF_OPENMETRICS if is_openmetrics else "")


class Beginnings:
    """The text before each value on pages of the same kind; lives as long as their module or check, shared by threads.

    It is kept for each series, because some labels are measured and differ from page to page.
    """

    def __init__(self) -> None:
        self._beginning = lru_cache(_MOST_KEPT)(_written)

    def of(self, families: Iterable[Family], own: Iterable[OwnLabels], *, is_openmetrics: bool) -> list[str]:
        """Return the text before each value: its name and labels, preceded by the header for the first of a family."""
        before: Family | None = None
        beginnings = []
        for family, labels in zip(families, own, strict=True):
            beginnings.append(self._beginning(family, labels, family is not before, is_openmetrics))
            before = family
        return beginnings


def _written(family: Family, own: OwnLabels, is_first: bool, is_openmetrics: bool) -> str:  # noqa: FBT001 - a key
    header = header_text(family, is_openmetrics=is_openmetrics) if is_first else ""
    return f"{header}{family.name}{own.before}{own.between}{own.after}"
