"""The text of a page, compared with prometheus_client's writers and parsers and with promtool."""

from __future__ import annotations

import gzip
import math
import zlib
from array import array
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from isal import isal_zlib

from exporter.exposition import page as page_module
from exporter.exposition.families import CHECK_DURATION, Family, Kind
from exporter.exposition.labels import NO_CHECK, CheckLabels, OwnLabels
from exporter.exposition.layout import bucket_labels
from exporter.exposition.page import Format, write_page
from exporter.exposition.series import Block, CheckColumn, Column, HistogramTable, Rows, Table, shown, single
from exporter.scrape.collector import metric_of
from tests.scraping import TEXT_FORMATS, Blocks, parsed, reference
from tests.servers.prometheus import check_metrics

if TYPE_CHECKING:
    from collections.abc import Callable

FORMATS = pytest.mark.parametrize("exposition_format", TEXT_FORMATS)
GAUGE = Family(name="probe_x_seconds", help='Says "x"\\\nand more.', labels=("phase",), about_checks=True)
COUNTER = Family(name="nyxmon_x_total", help="Counts x.", kind=Kind.COUNTER)

any_label = st.text(st.characters(), max_size=20) | st.text(st.sampled_from('\\"\n{}=, é😀\ud800'), max_size=20)
NOTABLE = (
    0.0, -0.0, math.nan, math.inf, -math.inf, 1.0, -1.0, 0.1, 1e6, 999999.9999999999, 1234567.0, 1e10, 1e15,
    9999999999999998.0, 1e16, 1e22, -1e7, 1e-4, 9.999999999999999e-05, 1e-5, 9.999999999999999e-06, 1e-9,
    9.999999999999999e-10, 1e-10, 1.7976931348623157e308, 5e-324, -2.5e-6,
)  # fmt: skip
"""Values at which one of the ways of writing numbers changes its mind about exponents."""

any_value = st.floats() | st.sampled_from(NOTABLE) | st.floats(1e-10, 1e17)


def written(*blocks: Block, exposition_format: Format = Format.TEXT, **options: Any) -> str:
    return write_page(blocks, exposition_format, **options).body.decode()


def histogram_block(*counts: list[int], sums: tuple[float, ...]) -> Block:
    check_column = CheckColumn([CheckLabels(f"check {number}", "http", "x") for number in range(len(counts))])
    buckets = bucket_labels(CHECK_DURATION, (), of_check=True)
    table = HistogramTable(check_column, OwnLabels(of_check=True), buckets, counts, array("d", sums))
    return Block(CHECK_DURATION, histograms=[table])


def rows_block(family: Family, *rows: tuple[CheckLabels, OwnLabels, float]) -> Block:
    filled = Rows()
    for labels, own, value in rows:
        filled.add(labels, own, value)
    return Block(family, rows=filled)


@FORMATS
@given(data=st.data())
def test_columns_are_written_as_prometheus_client_writes_them(exposition_format: Format, data: st.DataObject) -> None:
    """Any labels and values are written byte for byte like prometheus_client's."""
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
    block = Block(GAUGE, tables=[Table(check_column, columns)])
    assert written(block, exposition_format=exposition_format) == reference(Blocks(metric_of, block), exposition_format)


@pytest.mark.parametrize("values", [*((value,) * 250 for value in NOTABLE), (0.0, -0.0) * 125, NOTABLE * 10])
def test_columns_of_one_value_are_written_like_all_others(values: tuple[float, ...]) -> None:
    """The optimisation for values that all checks share changes no byte, in tables and in rows."""
    labels = [CheckLabels(f"check {number}", "http", "x") for number in range(len(values))]
    own = OwnLabels(of_check=True)
    table = Block(GAUGE, tables=[Table(CheckColumn(labels), [Column(own, array("d", values))])])
    rows = rows_block(GAUGE, *((each, own, value) for each, value in zip(labels, values, strict=True)))
    expected = reference(Blocks(metric_of, table), Format.TEXT)
    assert (written(table), written(rows)) == (expected, expected)


@FORMATS
@given(label=any_label, value=any_value)
@example(label="\n", value=math.nan)
@example(label="", value=math.inf)
def test_rows_are_written_as_prometheus_client_writes_them(exposition_format: Format, label: str, value: float) -> None:
    """This includes single series, with a check and without one."""
    block = rows_block(
        COUNTER,
        (CheckLabels(label, "x", "y"), OwnLabels([("reason", label)], of_check=True), value),
        (NO_CHECK, OwnLabels([("resource", label)], of_check=False), value),
        (NO_CHECK, OwnLabels(of_check=False), value),
    )
    assert written(block, exposition_format=exposition_format) == reference(Blocks(metric_of, block), exposition_format)


@FORMATS
@given(
    counts=st.lists(st.lists(st.integers(0, 10**18), min_size=12, max_size=12), min_size=1, max_size=3),
    total=any_value,
)
@example(counts=[[0] * 11 + [1_000_000]], total=999999.9)
def test_histograms_are_written_as_prometheus_client_writes_them(
    exposition_format: Format, counts: list[list[int]], total: float
) -> None:
    """This includes buckets, count and sum, however large."""
    block = histogram_block(*counts, sums=(total,) * len(counts))
    assert written(block, exposition_format=exposition_format) == reference(Blocks(metric_of, block), exposition_format)


@FORMATS
@given(label=any_label, value=any_value)
def test_labels_and_values_survive_a_parser(exposition_format: Format, label: str, value: float) -> None:
    """prometheus_client's parsers read what was written."""
    block = rows_block(GAUGE, (CheckLabels(label, "http", "x"), OwnLabels([("phase", label)], of_check=True), value))
    (family,) = parsed(written(block, exposition_format=exposition_format), exposition_format)
    (sample,) = family.samples
    (expected,) = metric_of(block).samples
    assert (sample.name, sample.labels, repr(sample.value)) == (expected.name, expected.labels, repr(float(value)))


def test_many_subjects_are_written_in_their_order() -> None:
    """A page about more checks than one piece holds has each of them once, in order."""
    number = 1234
    check_column = CheckColumn([CheckLabels(f"check {each}", "http", "x") for each in range(number)])
    plain = OwnLabels(of_check=True)
    rows = Rows()
    for labels in check_column.labels:
        rows.add(labels, plain, 0.5)
    tables = [Table(check_column, [Column(plain, array("d", range(number)))])]
    page = written(Block(GAUGE, tables=tables, rows=rows), histogram_block(*[[1] * 12] * 450, sums=(0.5,) * 450))
    assert page == reference(
        Blocks(
            metric_of,
            Block(GAUGE, tables=tables, rows=rows),
            histogram_block(*[[1] * 12] * 450, sums=(0.5,) * 450),
        ),
        Format.TEXT,
    )


def test_the_text_format_passes_promtool() -> None:
    """Promtool accepts every kind of family without a remark."""
    check_metrics(
        written(
            rows_block(GAUGE, (CheckLabels('a"b\\', "x", "é"), OwnLabels([("phase", "x")], of_check=True), math.nan)),
            single(COUNTER, 5.0),
            histogram_block([0] * 11 + [1], sums=(0.5,)),
        )
    )


def test_openmetrics_ends_and_names_counters_without_total() -> None:
    """In OpenMetrics, a counter's head has the bare name, there are no created samples, and a mark ends the page."""
    assert written(single(COUNTER, 5.0), exposition_format=Format.OPENMETRICS) == (
        "# HELP nyxmon_x Counts x.\n# TYPE nyxmon_x counter\nnyxmon_x_total 5.0\n# EOF\n"
    )


def test_an_empty_page_is_a_page() -> None:
    """An empty page is valid in either format."""
    assert (written(), written(exposition_format=Format.OPENMETRICS)) == ("", "# EOF\n")
    assert list(shown(GAUGE, tables=[Table(CheckColumn([]), [])])) == []


@pytest.mark.parametrize(
    ("names", "lines"),
    [
        ({"nyxmon_x_total"}, ["nyxmon_x_total 5.0"]),
        ({"nyxmon_x"}, ["nyxmon_x_total 5.0"]),
        ({"nyxmon_check_duration_seconds_count"}, ["nyxmon_check_duration_seconds_count{...} 1.0"]),
        (
            {"nyxmon_check_duration_seconds_sum", "nyxmon_x_total"},
            ["nyxmon_x_total 5.0", "nyxmon_check_duration_seconds_sum{...} 0.5"],
        ),
        ({"nothing"}, []),
    ],
)
def test_names_choose_what_is_shown(names: set[str], lines: list[str]) -> None:
    """A family's name shows all of it, and a sample's name only that sample."""
    page = written(single(COUNTER, 5.0), histogram_block([0] * 11 + [1], sums=(0.5,)), names=frozenset(names))
    shown_lines = [line for line in page.splitlines() if not line.startswith("#")]
    assert [line.replace('check="check 0",check_type="http",target="x"', "...") for line in shown_lines] == lines
    assert page.count("# HELP") == len(lines)


def test_a_family_by_name_is_shown_whole() -> None:
    """A histogram that is requested by its name has all of its samples."""
    page = written(histogram_block([0] * 11 + [1], sums=(0.5,)), names=frozenset({"nyxmon_check_duration_seconds"}))
    assert page.count("\n") == 2 + 14


@FORMATS
@pytest.mark.parametrize("compressobj", [isal_zlib.compressobj, zlib.compressobj])
def test_compression_changes_nothing_else(
    exposition_format: Format, compressobj: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compressed page has the same content and a header, and is always the same bytes, even without ISA-L."""
    monkeypatch.setattr(page_module, "compressobj", compressobj)
    block = histogram_block([0] * 11 + [1], sums=(0.5,))
    plain = write_page([block], exposition_format)
    compressed = write_page([block], exposition_format, compress=True)
    assert (plain.content_encoding, compressed.content_encoding) == ("", "gzip")
    assert gzip.decompress(compressed.body) == plain.body
    assert compressed.content_type == plain.content_type == exposition_format.value
    assert write_page([block], exposition_format, compress=True) == compressed
