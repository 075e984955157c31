"""The data structure of a page before it becomes text: blocks of series, one block per metric family.

All renderings start from blocks: `exporter.exposition.text_format` writes them as text,
`exporter.exposition.protobuf_format` as protobuf, and `exporter.scrape.collector` converts them to prometheus_client's
objects. A block keeps the values of many checks in columns, because a page about ten thousand checks has several
hundred thousand values.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from exporter.exposition.labels import NO_CHECK, OwnLabels
from exporter.protobuf import delimited_tag, varint

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from exporter.exposition.families import Family
    from exporter.exposition.histograms import ExponentialCounts
    from exporter.exposition.labels import CheckLabels


class CheckColumn:
    """The checks of a column, one series each, in page order; immutable, lives with the configuration.

    Attributes:
        labels: The labels of the checks.
        heads: The text of their heads.
        tails: The text of their tails.
        wholes: The text of both.
    """

    __slots__ = ("_beginnings", "heads", "labels", "tails", "wholes")

    def __init__(self, labels: Sequence[CheckLabels]) -> None:
        self.labels = tuple(labels)
        self.heads = [each.head for each in labels]
        self.tails = [each.tail for each in labels]
        self.wholes = [each.whole for each in labels]
        self._beginnings: tuple[int, list[bytes]] = (-1, [])

    def encoded(self, rest_size: int) -> list[bytes]:
        """Return the beginnings of protobuf messages `Metric`, with the labels of the checks.

        Most messages of a page have the same size apart from these labels, so the last answer is kept.

        Args:
            rest_size: Number of bytes that follow in each message.
        """
        size, beginnings = self._beginnings
        if size != rest_size:
            all_labels = [each.encoded for each in self.labels]
            beginnings = [metric_start(len(each) + rest_size) + each for each in all_labels]
            self._beginnings = (rest_size, beginnings)
        return beginnings


class Column(NamedTuple):
    """One series per check: its labels besides those of the check, and the values."""

    own: OwnLabels
    values: array[float]


class Table(NamedTuple):
    """Columns about the same checks; written check by check."""

    check_column: CheckColumn
    columns: Sequence[Column]


class Rows:
    """Series that only some checks have; filled while a page is built.

    They are parallel lists: a tuple for each of a hundred thousand series would trigger the garbage collector.

    Attributes:
        labels: The labels of the check, for each series.
        own: The other labels, for each series.
        values: The value of each series.
    """

    __slots__ = ("labels", "own", "values")

    def __init__(self) -> None:
        self.labels: list[CheckLabels] = []
        self.own: list[OwnLabels] = []
        self.values: array[float] = array("d")

    @classmethod
    def without_check(cls, own: list[OwnLabels], values: Sequence[float]) -> Rows:
        """Return series that are about no check, or about the only one on the page, with these labels and values."""
        rows = cls.__new__(cls)
        rows.labels, rows.own, rows.values = [NO_CHECK] * len(own), own, array("d", values)
        return rows

    def add(self, labels: CheckLabels, own: OwnLabels, value: float) -> None:
        """Add a series."""
        self.labels.append(labels)
        self.own.append(own)
        self.values.append(value)

    def extend(self, labels: Sequence[CheckLabels], own: OwnLabels, values: Iterable[float]) -> None:
        """Add one series per check, which have the other labels in common."""
        self.labels += labels
        self.own += [own] * len(labels)
        self.values.extend(values)


class HistogramTable(NamedTuple):
    """One histogram per check.

    Attributes:
        check_column: The checks that the histograms are about.
        own: The labels besides those of the checks.
        buckets: The same labels with `le`, for each bucket and infinity.
        counts: For each check, the cumulative counts of the buckets; the last is the total count.
        sums: For each check, the sum of the observed values.
        exponential: For each check, its exponential buckets; empty unless they are kept.
    """

    check_column: CheckColumn
    own: OwnLabels
    buckets: Sequence[OwnLabels]
    counts: Sequence[Sequence[int]]
    sums: array[float]
    exponential: Sequence[ExponentialCounts] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """A metric family with its series; created for one page.

    Attributes:
        family: The family.
        tables: Series that all checks of a type have.
        rows: Series that only some checks have.
        histograms: Series of a histogram family.
        created: By the labels of the check, the Unix time since which a counter or histogram counts, in seconds; the
            text formats do not show it. None when it is unknown.
    """

    family: Family
    tables: Sequence[Table] = ()
    rows: Rows = field(default_factory=Rows)
    histograms: Sequence[HistogramTable] = ()
    created: Mapping[CheckLabels, float] | None = None


class ShownBlock(NamedTuple):
    """A block on a page that may be limited to some names.

    Attributes:
        block: The block.
        samples: The names of those of its samples to show; not empty.
    """

    block: Block
    samples: Collection[str]


def shown(
    family: Family,
    *,
    tables: Sequence[Table] = (),
    rows: Rows | None = None,
    histograms: Sequence[HistogramTable] = (),
    created: Mapping[CheckLabels, float] | None = None,
) -> Iterator[Block]:
    """Yield the block of a family, or nothing when it has no series."""
    tables = [table for table in tables if table.check_column.labels]
    histograms = [table for table in histograms if table.check_column.labels]
    rows = Rows() if rows is None else rows
    if tables or rows.labels or histograms:
        yield Block(family, tables, rows, histograms, created)


def single(
    family: Family,
    value: float,
    pairs: Iterable[tuple[str, str]] = (),
    *,
    created: Mapping[CheckLabels, float] | None = None,
) -> Block:
    """Return a block of one series that is about no check."""
    rows = Rows.without_check([OwnLabels(pairs, of_check=False)], (value,))
    return Block(family, rows=rows, created=created)


@lru_cache(maxsize=4096)
def metric_start(size: int) -> bytes:
    """Return what comes before the content of a message `Metric` of this size, in a message `MetricFamily`."""
    return delimited_tag(4) + varint(size)
