"""Content codings: decoding, faults, and the cost of a bomb."""

from __future__ import annotations

import gzip
import os
import time
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import brotli  # type: ignore[import-untyped]  # it has no types
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import CheckFailed
from exporter.http.content_coding import decoder_for
from exporter.model import Reason
from tests.servers.http import gzip_bomb

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20


def bare_deflate(data: bytes) -> bytes:
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    return deflate.compress(data) + deflate.flush()


CODINGS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "Deflate": bare_deflate,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}


def decoded(coding: str, data: bytes, *, limit_bytes: int = MIB, piece_bytes: int = 65536) -> bytes:
    """Decode data as it would arrive in pieces."""
    decoder = decoder_for([coding], limit_bytes)
    assert decoder is not None
    parts = [decoder.feed(data[start : start + piece_bytes]) for start in range(0, len(data), piece_bytes)]
    decoder.finish()
    return b"".join(parts)


def failure_of(coding: str, data: bytes, *, limit_bytes: int = MIB) -> tuple[Reason, str]:
    with pytest.raises(CheckFailed) as raised:
        decoded(coding, data, limit_bytes=limit_bytes)
    return raised.value.reason, raised.value.detail


@pytest.mark.parametrize("coding", CODINGS)
@given(data=st.binary(max_size=2000), piece_bytes=st.integers(1, 300))
def test_what_was_encoded_comes_out(coding: str, data: bytes, piece_bytes: int) -> None:
    """Every coding is decoded, in pieces of any size."""
    assert decoded(coding, CODINGS[coding](data), piece_bytes=piece_bytes) == data


@pytest.mark.parametrize("coding", CODINGS)
def test_the_limit_is_the_most_that_comes_out(coding: str) -> None:
    """A body of exactly the limit is decoded; one more byte is too large."""
    data = CODINGS[coding](bytes(100_000))
    assert decoded(coding, data, limit_bytes=100_000) == bytes(100_000)
    assert failure_of(coding, data, limit_bytes=99_999) == (
        Reason.TOO_LARGE,
        "the decoded body is larger than 99999 bytes",
    )


@pytest.mark.parametrize("coding", CODINGS)
def test_truncated_bodies_are_refused(coding: str) -> None:
    """A body that ends too early is not taken for a complete one."""
    data = CODINGS[coding](os.urandom(3000))
    name = {"x-gzip": "gzip"}.get(coding, coding.lower())
    assert failure_of(coding, data[:-3]) == (
        Reason.DECODE,
        f"the body cannot be decoded as {name}: it ends too early",
    )


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_corrupt_bodies_are_refused(coding: str) -> None:
    """A body in another coding is rejected."""
    assert failure_of(coding, b"\xff\xffno such thing" * 10) == (
        Reason.DECODE,
        f"the body cannot be decoded as {coding}: it is corrupt",
    )


@pytest.mark.parametrize("coding", ["deflate", "Deflate", "zstd"])
def test_data_behind_the_end_is_refused(coding: str) -> None:
    """Data after the end of a body that has only one part is rejected."""
    reason, _ = failure_of(coding, CODINGS[coding](b"hello") + b"junk")
    assert reason is Reason.DECODE


@given(parts=st.lists(st.binary(max_size=50), min_size=1, max_size=5), piece_bytes=st.integers(1, 64))
def test_gzip_may_have_members_and_padding(parts: list[bytes], piece_bytes: int) -> None:
    """The members of a gzip body are one body, and zeros may pad its end."""
    data = b"".join(map(gzip.compress, parts)) + bytes(100)
    assert decoded("gzip", data, piece_bytes=piece_bytes) == b"".join(parts)


def test_gzip_members_are_counted() -> None:
    """Hundreds of thousands of empty members would cost seconds, and mean nothing."""
    started = time.thread_time()
    assert failure_of("gzip", gzip.compress(b"") * 500_000) == (
        Reason.DECODE,
        "the body cannot be decoded as gzip: data follows its end",
    )
    assert time.thread_time() - started < 0.5


def test_one_coding_is_enough() -> None:
    """Stacked codings and unknown ones are rejected; no coding and `identity` need no decoder."""
    for listed, detail in (
        (["gzip, br"], "the body has 2 content codings; at most one is supported"),
        (["gzip", "gzip"], "the body has 2 content codings; at most one is supported"),
        (["compress"], "the body has the unknown content coding 'compress'"),
    ):
        with pytest.raises(CheckFailed) as raised:
            decoder_for(listed, MIB)
        assert (raised.value.reason, raised.value.detail) == (Reason.DECODE, detail)
    assert [decoder_for(listed, MIB) for listed in ([], [""], ["identity"])] == [None, None, None]


@pytest.mark.parametrize(
    ("coding", "make_bomb"),
    [
        ("gzip", gzip_bomb),
        ("br", lambda size: brotli.compress(bytes(size), quality=1)),
        ("zstd", lambda size: zstandard.compress(bytes(size))),
    ],
)
def test_a_bomb_costs_little(coding: str, make_bomb: Callable[[int], bytes]) -> None:
    """Decoding two hundred MiB of zeros stops after one MiB, within milliseconds and with little memory."""
    bomb = make_bomb(200 * MIB)
    tracemalloc.start()
    started = time.thread_time()
    reason, _ = failure_of(coding, bomb)
    took_seconds = time.thread_time() - started
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reason is Reason.TOO_LARGE
    assert peak_bytes < 8 * MIB
    assert took_seconds < 0.05
