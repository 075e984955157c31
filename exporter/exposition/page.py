"""Writes the page of a scrape: chooses the families to show, has them written in a format, and compresses them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from io import BytesIO
from typing import TYPE_CHECKING

from exporter.exposition.protobuf_format import protobuf_chunks
from exporter.exposition.series import ShownBlock
from exporter.exposition.text_format import text_chunks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from exporter.exposition.families import Family
    from exporter.exposition.few_series import FewSeries
    from exporter.exposition.series import Block

try:
    from isal.isal_zlib import compress as compress_at_once
    from isal.isal_zlib import compressobj
except ImportError:  # there is no ISA-L for this processor; everything works without it, only compression takes longer
    from zlib import compress as compress_at_once
    from zlib import compressobj  # type: ignore[assignment] # the same interface, with another name of its result

_GZIP_LEVEL = 1
"""Other levels of ISA-L save neither bytes nor time on such pages. zlib takes more than twice the time at any level."""

_GZIP_WINDOW = 31


class Format(Enum):
    """An exposition format; the value is its content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The response to a scrape.

    Attributes:
        body: The bytes to send.
        content_type: Value of the header Content-Type.
        content_encoding: Value of the header Content-Encoding; empty for none.
    """

    body: bytes
    content_type: str
    content_encoding: str = ""


def write_page(
    blocks: Iterable[Block], exposition_format: Format, *, compress: bool = False, names: frozenset[str] = frozenset()
) -> Page:
    """Write the blocks as a page.

    Args:
        blocks: What to show, in this order; consumed one by one.
        exposition_format: The format.
        compress: Whether to compress the body with gzip.
        names: Families or samples to show; empty for all. In protobuf, where the samples of a histogram are one
            message, the name of one of them shows all.
    """
    return _page(_chunks(_chosen(blocks, names), exposition_format), exposition_format, compress=compress)


def write_few(
    series: FewSeries, exposition_format: Format, *, compress: bool = False, names: frozenset[str] = frozenset()
) -> Page:
    """Write a few series as a page; the arguments mean what they mean for `write_page`."""
    if names or exposition_format is Format.PROTOBUF:
        return write_page(series.blocks(), exposition_format, compress=compress, names=names)
    text = series.text(is_openmetrics=exposition_format is Format.OPENMETRICS)
    body = text.encode()
    if not compress:
        return Page(body=body, content_type=exposition_format.value)
    # In one call, which takes half the time of a compressor: most of that is preparing the compressor.
    body = compress_at_once(body, _GZIP_LEVEL, _GZIP_WINDOW)
    return Page(body=body, content_type=exposition_format.value, content_encoding="gzip")


def _page(chunks: Iterable[bytes], exposition_format: Format, *, compress: bool) -> Page:
    if not compress:
        whole = BytesIO()  # joining a list of chunks would take twice the memory
        whole.writelines(chunks)
        return Page(body=whole.getvalue(), content_type=exposition_format.value)
    compressor = compressobj(_GZIP_LEVEL, wbits=_GZIP_WINDOW)
    compressed = [compressor.compress(chunk) for chunk in chunks]
    body = b"".join((*compressed, compressor.flush()))
    return Page(body=body, content_type=exposition_format.value, content_encoding="gzip")


def _chunks(blocks: Iterable[ShownBlock], exposition_format: Format) -> Iterator[bytes]:
    if exposition_format is Format.PROTOBUF:
        return protobuf_chunks(blocks)
    return text_chunks(blocks, is_openmetrics=exposition_format is Format.OPENMETRICS)


def _chosen(blocks: Iterable[Block], names: frozenset[str]) -> Iterator[ShownBlock]:
    if not names:
        return (ShownBlock(block, block.family.sample_names) for block in blocks)
    chosen = (ShownBlock(block, _wanted(block.family, names)) for block in blocks)
    return (shown for shown in chosen if shown.samples)


def _wanted(family: Family, names: frozenset[str]) -> Collection[str]:
    """Return the sample names of the family to show."""
    if family.name in names or family.name.removesuffix("_total") in names:
        return family.sample_names
    return names.intersection(family.sample_names)
