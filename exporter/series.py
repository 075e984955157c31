"""What a page is made of before it is text: blocks of series, one block per metric family.

Both renderings start here: `exporter.exposition` writes the blocks as text, `exporter.collector` turns them into
prometheus_client's objects. A block keeps the values of many checks in columns, because a page about ten thousand
checks has several hundred thousand of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterator, Sequence

    from exporter.catalogue import Family
    from exporter.labels import CheckLabels, OwnLabels


class Subjects:
    """Checks that have a series each in a column, in the order of the page; immutable, lives with the configuration.

    Attributes:
        labels: The labels of the checks.
        heads: The text of their heads.
        tails: The text of their tails.
    """

    __slots__ = ("heads", "labels", "tails")

    def __init__(self, labels: Sequence[CheckLabels]) -> None:
        self.labels = tuple(labels)
        self.heads = [each.head for each in labels]
        self.tails = [each.tail for each in labels]


class Column(NamedTuple):
    """One series of every subject: the labels it has besides theirs, and a value for each."""

    own: OwnLabels
    values: array[float]


class Table(NamedTuple):
    """Columns about the same subjects; shown subject by subject."""

    subjects: Subjects
    columns: Sequence[Column]


class Row(NamedTuple):
    """A single series."""

    labels: CheckLabels
    own: OwnLabels
    value: float


class HistogramTable(NamedTuple):
    """One histogram of every subject.

    Attributes:
        subjects: What the histograms are about.
        own: The labels they have besides those of the subjects.
        buckets: The same with `le`, for each bucket and infinity.
        counts: For each subject the cumulated counts of the buckets; the last is the count of all.
        sums: For each subject the sum of what was observed.
    """

    subjects: Subjects
    own: OwnLabels
    buckets: Sequence[OwnLabels]
    counts: Sequence[Sequence[int]]
    sums: array[float]


@dataclass(frozen=True, slots=True)
class Block:
    """A metric family with its series; made for one page.

    Attributes:
        family: The family.
        tables: Series that all checks of a type have.
        rows: Series that only some checks have.
        histograms: Series of a histogram family.
    """

    family: Family
    tables: Sequence[Table] = ()
    rows: Sequence[Row] = ()
    histograms: Sequence[HistogramTable] = ()


def shown(
    family: Family,
    *,
    tables: Sequence[Table] = (),
    rows: Sequence[Row] = (),
    histograms: Sequence[HistogramTable] = (),
) -> Iterator[Block]:
    """Give the block of a family, or none when no series of it is there to be shown."""
    tables = [table for table in tables if table.subjects.labels]
    histograms = [table for table in histograms if table.subjects.labels]
    if tables or rows or histograms:
        yield Block(family, tables, rows, histograms)
