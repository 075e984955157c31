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
from exporter.exposition.wire import delimited, delimited_tag, double_tag, number_tag, packed, varint, zigzag

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from exporter.exposition.families import Family
    from exporter.exposition.histograms import Buckets, ExponentialCounts
    from exporter.exposition.labels import CheckLabels, OwnLabels
    from exporter.exposition.series import HistogramTable, Rows, ShownBlock, Table

_TYPES = {Kind.COUNTER: 0, Kind.GAUGE: 1, Kind.HISTOGRAM: 4}
"""The enumeration `MetricType`."""

_METRIC = delimited_tag(4)
_VALUE_FIELDS = {Kind.GAUGE: 2, Kind.COUNTER: 3}
"""The fields of the message `Metric` for gauges and counters."""

_VALUE = double_tag(1)
_VALUE_SIZE = 9
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
            metrics += _histogram_metrics(family, histograms, created)
        head = delimited(1, family.name.encode()) + delimited(2, family.help.encode())
        head += number_tag(3) + varint(_TYPES[family.kind])
        yield varint(len(head) + sum(map(len, metrics))) + head
        yield from metrics


def _table_metrics(family: Family, table: Table, created: Mapping[CheckLabels, float]) -> Iterator[bytes]:
    labels = table.subjects.labels
    for own, values in table.columns:
        if created:
            yield _metrics(labels, repeat(own), _value_fields(family, labels, values, created))
        else:
            yield _column(family, table.subjects.encoded, own, values)


def _row_metrics(family: Family, rows: Rows, created: Mapping[CheckLabels, float]) -> Iterator[bytes]:
    if rows.labels:
        yield _metrics(rows.labels, rows.own, _value_fields(family, rows.labels, rows.values, created))


def _column(family: Family, labels: Sequence[bytes], own: OwnLabels, values: array[float]) -> bytes:
    """Return one metric per subject, all of whose fields but the labels are equally long."""
    rest = own.encoded + delimited_tag(_VALUE_FIELDS[family.kind]) + varint(_VALUE_SIZE) + _VALUE
    size = len(rest) + _VALUE_SIZE - 1
    starts = [_start(len(each) + size) for each in labels]
    return b"".join(chain.from_iterable(zip(starts, labels, repeat(rest), _doubles(values))))


def _metrics(labels: Iterable[CheckLabels], own_labels: Iterable[OwnLabels], fields: Iterable[bytes]) -> bytes:
    """Return metrics with these labels, and the field that has the value."""
    contents = [
        each.encoded + own.encoded + field for each, own, field in zip(labels, own_labels, fields, strict=False)
    ]
    return b"".join([_start(len(content)) + content for content in contents])


@lru_cache(maxsize=4096)
def _start(length: int) -> bytes:
    """Return what comes before the content of a metric."""
    return _METRIC + varint(length)


def _value_fields(
    family: Family, labels: Iterable[CheckLabels], values: array[float], created: Mapping[CheckLabels, float]
) -> Iterator[bytes]:
    field = _VALUE_FIELDS[family.kind]
    for each, value in zip(labels, _doubles(values), strict=True):
        yield delimited(field, _VALUE + value + _created_field(_COUNTER_CREATED, created.get(each)))


def _doubles(values: array[float]) -> list[bytes]:
    octets = struct.pack(f"<{len(values)}d", *values)
    return [octets[start : start + 8] for start in range(0, len(octets), 8)]


@lru_cache(maxsize=1024)
def _created_field(field: int, timestamp_seconds: float | None) -> bytes:
    """Encode a message `google.protobuf.Timestamp`; nothing when the time is unknown."""
    if timestamp_seconds is None:
        return b""
    seconds, microseconds = divmod(round(timestamp_seconds * 1e6), 10**6)  # a float of today has no finer digits
    return delimited(field, number_tag(1) + varint(seconds) + number_tag(2) + varint(microseconds * 1000))


def _histogram_metrics(family: Family, table: HistogramTable, created: Mapping[CheckLabels, float]) -> Iterator[bytes]:
    labels = table.subjects.labels
    cumulative = list(zip(*table.counts, strict=True))
    columns: list[Iterable[bytes]] = [
        [_COUNT + varint(count) for count in cumulative[-1]],
        [_SUM + value for value in _doubles(table.sums)],
        *(_bucket_fields(bound, counts) for bound, counts in zip(family.buckets, cumulative[:-1], strict=True)),
        map(_exponential_fields, table.exponential) if table.exponential else repeat(b""),
        [_created_field(_HISTOGRAM_CREATED, created.get(each)) for each in labels],
    ]
    fields = [delimited(_HISTOGRAM, b"".join(parts)) for parts in zip(*columns, strict=False)]
    yield _metrics(labels, repeat(table.own), fields)


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
    encoded_spans = [
        delimited(span_field, _OFFSET + varint(zigzag(offset)) + _LENGTH + varint(length)) for offset, length in spans
    ]
    return b"".join(encoded_spans) + packed(delta_field, deltas)
