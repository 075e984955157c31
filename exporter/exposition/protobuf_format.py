"""Writes blocks of series in Prometheus' protobuf format, the only one that has native histograms.

A page is a sequence of messages `io.prometheus.client.MetricFamily`, each with its length before it. The messages are
few and simple, and a page about ten thousand checks has several hundred thousand of them. They are therefore put
together from prepared pieces, column by column. The tests decode pages with Google's library.

Source: https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto
"""

from __future__ import annotations

import struct
from functools import lru_cache
from itertools import chain, repeat
from typing import TYPE_CHECKING

from exporter.exposition.families import Kind
from exporter.exposition.histograms import ZERO_THRESHOLD
from exporter.exposition.series import metric_start
from exporter.protobuf import (
    delimited,
    delimited_tag,
    double_tag,
    number_tag,
    packed,
    varint,
    zigzag,
)

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from exporter.exposition.families import Family
    from exporter.exposition.histograms import Buckets, ExponentialCounts
    from exporter.exposition.labels import CheckLabels, OwnLabels
    from exporter.exposition.series import CheckColumn, HistogramTable, Rows, ShownBlock, Table

_TYPES = {Kind.COUNTER: 0, Kind.GAUGE: 1, Kind.HISTOGRAM: 4}
"""The enumeration `MetricType`."""

_VALUE_FIELDS = {Kind.GAUGE: 2, Kind.COUNTER: 3}
"""The fields of the message `Metric` for gauges and counters."""

_VALUE = double_tag(1)
_DOUBLE_SIZE = 8
_COUNTER_CREATED, _HISTOGRAM_CREATED = 3, 15

_HISTOGRAM = 7
_COUNT, _SUM = number_tag(1), double_tag(2)
_BUCKET = 3
_UPPER_BOUND = double_tag(2)
_SCHEMA, _ZERO_COUNT = number_tag(5), number_tag(7)
_ZERO_THRESHOLD = double_tag(6) + struct.pack("<d", ZERO_THRESHOLD)
_NEGATIVE_SPAN, _NEGATIVE_DELTA = 9, 10
_POSITIVE_SPAN, _POSITIVE_DELTA = 12, 13
_OFFSET, _LENGTH = number_tag(1), number_tag(2)

_PIECE_ROWS = 200
"""Rows that are put together at once, so that their parts stay in the processor's cache; as in the text format."""

_WIDEST_FILLED_GAP = 2
"""Up to this many empty buckets are written as such, because a new span takes more bytes; so does client_golang."""


def protobuf_chunks(blocks: Iterable[ShownBlock]) -> Iterator[bytes]:
    """Yield a page piece by piece; a family is in memory as a whole, because its length comes first.

    Args:
        blocks: What to show, in this order; consumed one by one.
    """
    for block, _ in blocks:
        family, created = block.family, block.created or {}
        metrics: list[bytes] = []
        for table in block.tables:
            metrics += _table_metrics(family, table, created)
        metrics += _row_metrics(family, block.rows, created)
        for histograms in block.histograms:
            metrics.append(_histogram_metrics(family, histograms, created))
        head = delimited(1, family.name.encode()) + delimited(2, family.help.encode())
        head += number_tag(3) + varint(_TYPES[family.kind])
        yield varint(len(head) + sum(map(len, metrics))) + head
        yield from metrics


def _table_metrics(family: Family, table: Table, created: Mapping[CheckLabels, float]) -> Iterator[bytes]:
    check_column = table.check_column
    for own, values in table.columns:
        if created:
            ends = _counter_ends(check_column.labels, created)
            yield _metrics(family, check_column.labels, [own] * len(values), values, ends)
        else:
            yield _column(family, check_column, own, values)


def _row_metrics(family: Family, rows: Rows, created: Mapping[CheckLabels, float]) -> Iterator[bytes]:
    for start in range(0, len(rows.values), _PIECE_ROWS):
        part = slice(start, start + _PIECE_ROWS)
        labels = rows.labels[part]
        yield _metrics(family, labels, rows.own[part], rows.values[part], _counter_ends(labels, created))


def _column(family: Family, check_column: CheckColumn, own: OwnLabels, values: array[float]) -> bytes:
    """Return one metric per check; there is a shortcut for equal values, because most gauges have the same for all.

    Values are compared as bytes, because -0 equals 0 and NaN does not equal itself.
    """
    rest = own.encoded + _value_head(_VALUE_FIELDS[family.kind], 0)
    beginnings = check_column.encoded(len(rest) + _DOUBLE_SIZE)
    if values and values.tobytes() == values[:1].tobytes() * len(values):
        rest += _doubles(values[:1])[0]
        return rest.join(beginnings) + rest
    return b"".join(chain.from_iterable(zip(beginnings, repeat(rest), _doubles(values))))


def _metrics(
    family: Family,
    labels: Sequence[CheckLabels],
    own_labels: Sequence[OwnLabels],
    values: array[float],
    ends: Sequence[bytes],
) -> bytes:
    """Return gauges or counters: for each of them its labels, its value, and what follows that in the same message."""
    field = _VALUE_FIELDS[family.kind]
    all_labels = [each.encoded for each in labels]
    rests = [each.encoded for each in own_labels]
    by_size = {size: _value_head(field, size) for size in set(map(len, ends))}
    heads = [by_size[len(end)] for end in ends]
    starts = [
        metric_start(len(each) + len(rest) + len(head) + _DOUBLE_SIZE + len(end))
        for each, rest, head, end in zip(all_labels, rests, heads, ends, strict=True)
    ]
    parts = zip(starts, all_labels, rests, heads, _doubles(values), ends, strict=True)
    return b"".join(chain.from_iterable(parts))


@lru_cache
def _value_head(field: int, size_of_end: int) -> bytes:
    """Return the bytes before the value of a gauge or counter; they include the length of its message."""
    return delimited_tag(field) + varint(len(_VALUE) + _DOUBLE_SIZE + size_of_end) + _VALUE


def _counter_ends(labels: Sequence[CheckLabels], created: Mapping[CheckLabels, float]) -> list[bytes]:
    """Return the encoded creation time of each counter; empty where it is unknown, and for gauges."""
    if not created:
        return [b""] * len(labels)
    return [_created_field(_COUNTER_CREATED, created.get(each)) for each in labels]


def _doubles(values: array[float]) -> list[bytes]:
    octets = struct.pack(f"<{len(values)}d", *values)
    return [octets[start : start + 8] for start in range(0, len(octets), 8)]


@lru_cache(maxsize=1024)
def _created_field(field: int, timestamp_seconds: float | None) -> bytes:
    """Encode a message `google.protobuf.Timestamp`; nothing when the time is unknown."""
    if timestamp_seconds is None:
        return b""
    seconds, microseconds = divmod(round(timestamp_seconds * 1e6), 10**6)  # a float of that size holds no finer digits
    return delimited(field, number_tag(1) + varint(seconds) + number_tag(2) + varint(microseconds * 1000))


def _histogram_metrics(family: Family, table: HistogramTable, created: Mapping[CheckLabels, float]) -> bytes:
    labels = table.check_column.labels
    cumulative = list(zip(*table.counts, strict=True))
    columns: list[Iterable[bytes]] = [
        [_COUNT + varint(count) for count in cumulative[-1]],
        [_SUM + value for value in _doubles(table.sums)],
        *(_bucket_fields(bound, counts) for bound, counts in zip(family.buckets, cumulative[:-1], strict=True)),
        map(_exponential_fields, table.exponential) if table.exponential else repeat(b""),
        [_created_field(_HISTOGRAM_CREATED, created.get(each)) for each in labels],
    ]
    messages = [delimited(_HISTOGRAM, b"".join(parts)) for parts in zip(*columns, strict=False)]
    own = table.own.encoded
    contents = [each.encoded + own + message for each, message in zip(labels, messages, strict=True)]
    return b"".join([metric_start(len(content)) + content for content in contents])


def _bucket_fields(bound: float, counts: Sequence[int]) -> list[bytes]:
    """Return the fixed bucket of each histogram; that without a bound is left out, since its count is the total one."""
    rest = _UPPER_BOUND + struct.pack("<d", bound)
    by_count = {count: delimited(_BUCKET, _COUNT + varint(count) + rest) for count in set(counts)}
    return [by_count[count] for count in counts]


def _exponential_fields(counts: ExponentialCounts) -> bytes:
    """Return the fields of the exponential buckets.

    The zero threshold is always there. By it, Prometheus recognizes a native histogram that has no values yet.
    """
    return b"".join((
        _SCHEMA, varint(zigzag(counts.schema)), _ZERO_THRESHOLD, _ZERO_COUNT, varint(counts.zero_count),
        _spans_and_deltas(counts.negative, _NEGATIVE_SPAN, _NEGATIVE_DELTA) if counts.negative.indices else b"",
        _spans_and_deltas(counts.positive, _POSITIVE_SPAN, _POSITIVE_DELTA) if counts.positive.indices else b"",
    ))  # fmt: skip


def _spans_and_deltas(buckets: Buckets, span_field: int, delta_field: int) -> bytes:
    """Encode buckets: where there are some, and how much each count differs from the one before."""
    spans: list[tuple[int, int]] = []
    deltas: list[int] = []
    offset, length, last, expected = 0, 0, 0, 0
    for index, count in zip(buckets.indices, buckets.counts, strict=True):
        gap = index - expected
        if not deltas:
            offset = gap
        elif gap > _WIDEST_FILLED_GAP:
            spans.append((offset, length))
            offset, length = gap, 0
        elif gap:
            deltas += (-last, *(0,) * (gap - 1))
            length, last = length + gap, 0
        deltas.append(count - last)
        length, last, expected = length + 1, count, index + 1
    spans.append((offset, length))
    return b"".join([_span(span_field, *span) for span in spans]) + packed(delta_field, deltas)


@lru_cache(maxsize=4096)
def _span(field: int, offset: int, length: int) -> bytes:
    return delimited(field, _OFFSET + varint(zigzag(offset)) + _LENGTH + varint(length))
