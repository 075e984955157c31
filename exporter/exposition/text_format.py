"""Writes blocks of series in Prometheus' text format 0.0.4 or in OpenMetrics 1.0.0.

The output is byte for byte what prometheus_client would print for the same series; the tests compare the two. It is
written by hand because prometheus_client takes about seven microseconds per line, and a page about ten thousand checks
has several hundred thousand lines. Blocks are converted one at a time, so that a large page never exists twice.
"""

from __future__ import annotations

from array import array
from functools import lru_cache
from itertools import chain, groupby
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.utils import floatToGoString
from pydantic_core import to_json

from exporter.exposition.families import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from exporter.exposition.families import Family
    from exporter.exposition.labels import OwnLabels
    from exporter.exposition.series import Block, CheckColumn, HistogramTable, Rows, ShownBlock, Table

_PLAIN_FROM = 1e-4
"""Below this Python and Go write floats with an exponent, JSON does not yet."""

_PLAIN_BELOW = 1e6
"""From this value on Go writes floats with an exponent, Python and JSON do not yet."""

_ALL_DIGITS_BELOW = 1e16
"""From this value on all of them write an exponent."""

_ONE_DIGIT_FROM, _ONE_DIGIT_BELOW = 1.0000001e-9, 9.999999e-6
"""Between these values, exponents have one digit in JSON and two in Python and Go."""

_SMALL_COUNTS = tuple(f"{count}.0" for count in range(2000))

END_OF_OPENMETRICS = "# EOF\n"

_PIECE_CHECKS = 200
_FEW_ROWS = 16
_FAMILIES = 1000
"""Families whose headers are kept as text; a page about one probe has more headers than samples."""


def text_chunks(blocks: Iterable[ShownBlock], *, is_openmetrics: bool) -> Iterator[bytes]:
    """Yield a page piece by piece.

    Args:
        blocks: What to show, in this order; consumed one by one.
        is_openmetrics: Whether to write OpenMetrics instead of the text format.
    """
    for is_small, group in groupby(blocks, _is_small):
        if is_small:
            yield _small_blocks(group, is_openmetrics=is_openmetrics).encode()
            continue
        for block, samples in group:
            yield header_text(block.family, is_openmetrics=is_openmetrics).encode()
            for lines in _lines(block, samples):
                yield lines.encode()
    if is_openmetrics:
        yield END_OF_OPENMETRICS.encode()


@lru_cache(_FAMILIES)
def header_text(family: Family, *, is_openmetrics: bool) -> str:
    """Return the lines that go before the samples of a family."""
    name, text = family.name, family.help.replace("\\", r"\\").replace("\n", r"\n")
    if is_openmetrics:
        text = text.replace('"', r"\"")
        if family.kind is Kind.COUNTER:
            name = name.removesuffix("_total")
    return f"# HELP {name} {text}\n# TYPE {name} {family.kind}\n"


def _is_small(shown: ShownBlock) -> bool:
    block = shown.block
    return 0 < len(block.rows.values) <= _FEW_ROWS and not block.tables and not block.histograms


def _small_blocks(blocks: Iterable[ShownBlock], *, is_openmetrics: bool) -> str:
    """Write blocks of a few rows together: a page about one probe has no others, and a step costs more than a row."""
    beginnings: list[str] = []
    values = array("d")
    for block, _ in blocks:
        name, rows = block.family.name, block.rows
        before = len(beginnings)
        beginnings += [
            f"{name}{own.before}{labels.head}{own.between}{labels.tail}{own.after}"
            for labels, own in zip(rows.labels, rows.own, strict=True)
        ]
        beginnings[before] = header_text(block.family, is_openmetrics=is_openmetrics) + beginnings[before]
        values += rows.values
    return "".join([f"{beginning}{text}\n" for beginning, text in zip(beginnings, texts_of(values), strict=True)])


def _lines(block: Block, samples: Collection[str]) -> Iterator[str]:
    """Yield the samples of a block as text, a few hundred lines at a time."""
    name = block.family.name
    for table in block.tables:
        yield from _table_lines(name, table)
    yield from _row_lines(name, block.rows)
    for histograms in block.histograms:
        yield from _histogram_lines(name, histograms, samples)


class _Piece(NamedTuple):
    """A few hundred checks: their position among all, and the text of their labels.

    Pieces of this size stay in the processor's cache, which is a third faster (measured).
    """

    part: slice
    heads: list[str]
    tails: list[str]
    wholes: list[str]


def _pieces(check_column: CheckColumn) -> Iterator[_Piece]:
    for start in range(0, len(check_column.heads), _PIECE_CHECKS):
        part = slice(start, start + _PIECE_CHECKS)
        yield _Piece(part, check_column.heads[part], check_column.tails[part], check_column.wholes[part])


def _table_lines(name: str, table: Table) -> Iterator[str]:
    for piece in _pieces(table.check_column):
        if len(table.columns) == 1:
            own, values = table.columns[0]
            yield _column(name, own, piece, values[piece.part])
        else:
            columns = [_column_lines(name, own, piece, texts_of(values[piece.part])) for own, values in table.columns]
            yield "".join(chain.from_iterable(zip(*columns, strict=True)))


def _row_lines(name: str, rows: Rows) -> Iterator[str]:
    for start in range(0, len(rows.values), _PIECE_CHECKS):
        part = slice(start, start + _PIECE_CHECKS)
        all_labels, all_own, values = rows.labels[part], rows.own[part], rows.values[part]
        if all_own.count(all_own[0]) == len(all_own):
            columns = zip(*((labels.head, labels.tail, labels.whole) for labels in all_labels), strict=True)
            yield _column(name, all_own[0], _Piece(part, *map(list, columns)), values)
        else:
            yield "".join(
                [
                    f"{name}{own.before}{labels.head}{own.between}{labels.tail}{own.after}{text}\n"
                    for labels, own, text in zip(all_labels, all_own, texts_of(values), strict=True)
                ]
            )


def _histogram_lines(name: str, table: HistogramTable, samples: Collection[str]) -> Iterator[str]:
    for piece in _pieces(table.check_column):
        columns = []
        by_bucket = [_count_texts(counts) for counts in zip(*table.counts[piece.part], strict=True)]
        if f"{name}_bucket" in samples:
            columns = [
                _column_lines(f"{name}_bucket", bucket, piece, texts)
                for bucket, texts in zip(table.buckets, by_bucket, strict=True)
            ]
        if f"{name}_count" in samples:
            columns.append(_column_lines(f"{name}_count", table.own, piece, by_bucket[-1]))
        if f"{name}_sum" in samples:
            columns.append(_column_lines(f"{name}_sum", table.own, piece, texts_of(table.sums[piece.part])))
        yield "".join(chain.from_iterable(zip(*columns, strict=True)))


def _column(sample: str, own: OwnLabels, piece: _Piece, values: array[float]) -> str:
    """Return one line per check; there is a shortcut for equal values, because most gauges have the same for all.

    Values are compared as bytes, because -0 equals 0 and NaN does not equal itself.
    """
    if values.tobytes() != values[:1].tobytes() * len(values):
        return "".join(_column_lines(sample, own, piece, texts_of(values)))
    (text,) = texts_of(values[:1])
    if own.between:
        return "".join(_column_lines(sample, own, piece, [text] * len(values)))
    start, end = sample + own.before, f"{own.after}{text}\n"
    return f"{start}{(end + start).join(piece.wholes)}{end}"


def _column_lines(sample: str, own: OwnLabels, piece: _Piece, texts: list[str]) -> list[str]:
    start, between, after = sample + own.before, own.between, own.after
    if not between:
        return [f"{start}{whole}{after}{text}\n" for whole, text in zip(piece.wholes, texts, strict=True)]
    return [
        f"{start}{head}{between}{tail}{after}{text}\n"
        for head, tail, text in zip(piece.heads, piece.tails, texts, strict=True)
    ]


def texts_of(values: array[float]) -> list[str]:
    """Format values as Go does.

    pydantic's JSON writer is nine times as fast as `repr` and produces the same shortest digits; the formats differ
    only in when and how they use an exponent.
    """
    texts = to_json(values.tolist(), inf_nan_mode="constants").decode()[1:-1].split(",")
    return [
        text if _PLAIN_FROM <= value < _PLAIN_BELOW or not value else _text(value, text)
        for value, text in zip(values, texts, strict=True)
    ]


def _text(value: float, json_text: str) -> str:
    if _PLAIN_BELOW <= value < _ALL_DIGITS_BELOW:
        dot = json_text.index(".")
        digits = f"{json_text[0]}.{json_text[1:dot]}{json_text[dot + 1 :]}"
        return f"{digits.rstrip('0.')}e+{dot - 1:02d}"
    if _ONE_DIGIT_FROM <= value < _ONE_DIGIT_BELOW:
        return json_text.replace("e-", "e-0")
    text: str = floatToGoString(value)  # type: ignore[no-untyped-call] # prometheus_client left this one untyped
    return text


def _count_texts(counts: Iterable[int]) -> list[str]:
    return [
        _SMALL_COUNTS[count] if count < len(_SMALL_COUNTS) else texts_of(array("d", [count]))[0] for count in counts
    ]
