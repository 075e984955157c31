"""The protobuf page, decoded by Google's library and compared with the text page of the same series."""

from __future__ import annotations

import gzip
import math
from array import array
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.exposition.counters import Counters
from exporter.exposition.families import CHECK_DURATION, Family, Kind, MetricFamilies
from exporter.exposition.histograms import NativeHistogram
from exporter.exposition.labels import NO_CHECK, CheckLabels, OwnLabels
from exporter.exposition.layout import SeriesLayout, bucket_labels
from exporter.exposition.page import Format, write_page
from exporter.exposition.self_metrics import check_blocks
from exporter.exposition.series import Block, CheckColumn, Column, HistogramTable, Rows, Table, single
from exporter.scrape.collector import metric_of
from tests.protobuf import absolute_counts, families_of, labels_of
from tests.scraping import TYPES, check, measured

GAUGE = Family(name="probe_x_seconds", help='Says "x"\\\nand more: é.', labels=("phase",), about_checks=True)
COUNTER = Family(name="nyxmon_x_total", help="Counts x.", kind=Kind.COUNTER)
PLAIN = OwnLabels(of_check=True)

any_label = st.text(st.characters(), max_size=20) | st.integers(120, 600).map(lambda length: "é" * length)
any_value = st.floats() | st.sampled_from([-0.0, math.nan, math.inf, -math.inf, 5e-324])


def written(*blocks: Block, **options: Any) -> dict[str, Any]:
    return families_of(write_page(blocks, Format.PROTOBUF, **options).body)


def histogram_block(*histograms: NativeHistogram, created: float | None = None) -> Block:
    check_column = CheckColumn([CheckLabels(f"check {number}", "http", "x") for number in range(len(histograms))])
    table = HistogramTable(
        check_column,
        PLAIN,
        bucket_labels(CHECK_DURATION, (), of_check=True),
        [histogram.cumulated() for histogram in histograms],
        array("d", [histogram.sum for histogram in histograms]),
        [histogram.exponential() for histogram in histograms],
    )
    times = None if created is None else dict.fromkeys(check_column.labels, created)
    return Block(CHECK_DURATION, histograms=[table], created=times)


def native(*values: float) -> NativeHistogram:
    histogram = NativeHistogram(CHECK_DURATION.buckets)
    for value in values:
        histogram.observe(value)
    return histogram


def series_of(block: Block) -> list[tuple[list[tuple[str, str]], str]]:
    """The labels and values of the other formats, in any order."""
    return sorted((sorted(sample.labels.items()), repr(float(sample.value))) for sample in metric_of(block).samples)


def values_of(family: Any, field: str) -> list[tuple[list[tuple[str, str]], str]]:
    return sorted((sorted(labels_of(metric).items()), repr(getattr(metric, field).value)) for metric in family.metric)


@given(data=st.data())
def test_every_series_is_there_with_its_labels_and_its_value(data: st.DataObject) -> None:
    """Columns and rows with any labels and values appear as in the text formats."""
    names = data.draw(st.lists(any_label, max_size=4))
    check_column = CheckColumn([CheckLabels(name, data.draw(any_label), data.draw(any_label)) for name in names])
    own_names = data.draw(st.lists(st.sampled_from(["alpha", "phase", "version"]), max_size=3, unique=True))
    columns = [
        Column(
            OwnLabels([(name, data.draw(any_label)) for name in own_names], of_check=True),
            array("d", data.draw(st.lists(any_value, min_size=len(names), max_size=len(names)))),
        )
        for _ in range(data.draw(st.integers(1, 3)))
    ]
    rows = Rows()
    for labels in (*check_column.labels, NO_CHECK):
        rows.add(labels, OwnLabels([("phase", data.draw(any_label))], of_check=True), data.draw(any_value))
    block = Block(GAUGE, tables=[Table(check_column, columns)], rows=rows)
    family = written(block)["probe_x_seconds"]
    assert (family.help, family.type, family.unit) == (GAUGE.help, 1, "")
    assert values_of(family, "gauge") == series_of(block)


def test_counters_keep_their_name_and_have_the_time_of_their_start() -> None:
    """Unlike in OpenMetrics, the name ends in `_total`; the start time is included if it is known."""
    known, unknown = CheckLabels("known", "x", "y"), CheckLabels("unknown", "x", "y")
    rows = Rows()
    for labels in (known, unknown):
        rows.add(labels, PLAIN, 5.0)
    check_column = CheckColumn([known, unknown])
    for block in (
        Block(COUNTER, rows=rows, created={known: 1700000000.25}),
        Block(COUNTER, tables=[Table(check_column, [Column(PLAIN, rows.values)])], created={known: 1700000000.25}),
    ):
        family = written(block)["nyxmon_x_total"]
        assert (family.type, values_of(family, "counter")) == (0, series_of(block))
        first, second = (metric.counter for metric in family.metric)
        created = first.created_timestamp
        assert (created.seconds, created.nanos) == (1700000000, 250000000)
        assert not second.HasField("created_timestamp")
    (metric,) = written(single(COUNTER, 5.0))["nyxmon_x_total"].metric
    assert (metric.counter.value, metric.counter.HasField("created_timestamp")) == (5.0, False)


@given(values=st.lists(st.lists(st.floats(allow_nan=False), max_size=100), min_size=1, max_size=3))
@example(values=[[], [0.0], [-1.0, 0.003, 0.0031, 0.004, 1.0, 1e300]])
@example(values=[[0.25] * 20_000])
def test_a_histogram_has_fixed_and_exponential_buckets(values: list[list[float]]) -> None:
    """Both contain the observed values; the last fixed bucket is omitted, since it equals the count."""
    histograms = [native(*each) for each in values]
    family = written(histogram_block(*histograms, created=1700000000.0))[CHECK_DURATION.name]
    assert family.type == 4
    for number, (metric, histogram) in enumerate(zip(family.metric, histograms, strict=True)):
        assert labels_of(metric) == {"check": f"check {number}", "check_type": "http", "target": "x"}
        message, expected = metric.histogram, histogram.exponential()
        assert (message.sample_count, repr(message.sample_sum)) == (len(values[number]), repr(histogram.sum))
        assert [(bucket.upper_bound, bucket.cumulative_count) for bucket in message.bucket] == list(
            zip(CHECK_DURATION.buckets, histogram.cumulated()[:-1], strict=True)
        )
        assert (message.schema, message.zero_count) == (expected.schema, expected.zero_count)
        assert message.zero_threshold == 2.0**-128
        for spans, deltas, buckets in (
            (message.positive_span, message.positive_delta, expected.positive),
            (message.negative_span, message.negative_delta, expected.negative),
        ):
            assert absolute_counts(spans, deltas) == dict(zip(buckets.indices, buckets.counts, strict=True))
        assert message.created_timestamp.seconds == 1700000000


def test_small_gaps_between_buckets_are_filled() -> None:
    """Up to two empty buckets are written as empty; a wider gap starts a new span."""
    (metric,) = written(histogram_block(native(1.0, 1.0, 1.25, 8.0)))[CHECK_DURATION.name].metric
    spans = [(span.offset, span.length) for span in metric.histogram.positive_span]
    assert (spans, list(metric.histogram.positive_delta)) == ([(0, 4), (20, 1)], [2, -2, 0, 1, 0])


def test_a_histogram_without_values_is_a_native_one_too() -> None:
    """Prometheus recognizes it by its zero threshold, so it is never stored as a classic one at first."""
    (metric,) = written(histogram_block(native()))[CHECK_DURATION.name].metric
    message = metric.histogram
    assert (message.zero_threshold > 0, message.HasField("schema"), message.HasField("zero_count")) == (True,) * 3
    assert not message.positive_span


def test_a_histogram_that_has_no_exponential_buckets_is_a_classic_one() -> None:
    """It has no field of a native one."""
    table = histogram_block(native(0.5)).histograms[0]._replace(exponential=())
    (metric,) = written(Block(CHECK_DURATION, histograms=[table]))[CHECK_DURATION.name].metric
    message = metric.histogram
    assert (message.sample_count, len(message.bucket)) == (1, 11)
    assert not any(message.HasField(name) for name in ("schema", "zero_threshold", "zero_count", "created_timestamp"))


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ((), [COUNTER.name, CHECK_DURATION.name]),
        ((COUNTER.name,), [COUNTER.name]),
        (("nyxmon_x",), [COUNTER.name]),
        ((CHECK_DURATION.name,), [CHECK_DURATION.name]),
        ((f"{CHECK_DURATION.name}_count",), [CHECK_DURATION.name]),
        (("nothing",), []),
    ],
)
def test_names_choose_what_is_shown(names: tuple[str, ...], shown: list[str]) -> None:
    """A histogram is one message, so the name of one of its samples shows the whole histogram."""
    families = written(single(COUNTER, 5.0), histogram_block(native(0.5)), names=frozenset(names))
    assert list(families) == shown
    if CHECK_DURATION.name in families:
        (metric,) = families[CHECK_DURATION.name].metric
        assert (len(metric.histogram.bucket), metric.histogram.sample_count) == (11, 1)


def test_compression_changes_nothing_else() -> None:
    """A compressed page is the same page, and its type is the one that client_golang sends."""
    block = histogram_block(native(0.5))
    plain = write_page([block], Format.PROTOBUF)
    compressed = write_page([block], Format.PROTOBUF, compress=True)
    assert gzip.decompress(compressed.body) == plain.body
    assert (plain.content_encoding, compressed.content_encoding) == ("", "gzip")
    assert (
        plain.content_type
        == compressed.content_type
        == ("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited")
    )


def test_an_empty_page_is_a_page() -> None:
    """An empty page is valid."""
    assert write_page([], Format.PROTOBUF).body == b""


def test_what_is_counted_about_checks_is_the_same_in_all_formats() -> None:
    """Runs, failures, durations and phases have the time since which they are counted."""
    checks = [check(name, phase_histograms=True) for name in ("one", "two")]
    totals, layout = Counters(native_histograms=True), SeriesLayout(checks, MetricFamilies(TYPES))
    of_checks = totals.of_checks(layout.checks)
    totals.count([(each, measured()) for each in of_checks], None)
    blocks = check_blocks(layout, totals, of_checks, ())
    families = written(*blocks)
    assert list(families) == [block.family.name for block in blocks]
    for block in blocks:
        field = str(block.family.kind)
        if block.family.kind is not Kind.HISTOGRAM:
            assert values_of(families[block.family.name], field) == series_of(block)
        if block.family.kind is not Kind.GAUGE:
            for metric in families[block.family.name].metric:
                created = getattr(metric, field).created_timestamp.ToMicroseconds() / 1e6
                assert created == pytest.approx(of_checks[0].created_timestamp_seconds, abs=1e-6)
    phases = families["nyxmon_check_phase_duration_seconds"].metric
    assert sorted((labels_of(metric)["phase"], metric.histogram.sample_sum) for metric in phases) == [
        ("answer", 0.125), ("answer", 0.125), ("connect", 0.25), ("connect", 0.25),
    ]  # fmt: skip
