"""Decode content codings step by step, within a limit, because a target may send a decompression bomb.

A body that does not match its declared coding is a failure. One in an unknown coding is kept undecoded, and only
expectations about its content fail: the label may be `none` or `utf-8`, which browsers ignore.

Source: RFC 9110 section 8.4.1 (codings), RFC 1950 to 1952, RFC 7932, RFC 9659.
"""

from __future__ import annotations

import zlib
from threading import Event
from typing import TYPE_CHECKING, Any, Protocol

import anyio.to_thread
import brotli  # type: ignore[import-untyped]  # it has no types
import zstandard

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.quantities import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_ALIASES = {"x-gzip": "gzip"}
_GZIP_WINDOW, _ZLIB_WINDOW, _RAW_WINDOW = 31, 15, -15
_MAX_GZIP_MEMBERS = 64  # each costs a copy of the rest
_BROTLI_STEP_BYTES = 1 << 16
_ZSTD_STEP_BYTES = 64  # four bytes can expand to a block of 128 KiB, and zstandard cannot limit its output
_ZSTD_WINDOW_BYTES = 8 << 20  # RFC 9659 section 3
_LATER_STEP_BYTES = 1 << 16


class Decoder(Protocol):
    """Decodes one coding of one body; lives as long as its answer."""

    def feed(self, data: bytes) -> bytes:
        """Decode the next piece.

        Raises:
            CheckFailed: `too_large` when the output exceeds the limit, `decode` when the data is corrupt.
        """

    def finish(self) -> None:
        """Check that the body was complete.

        Raises:
            CheckFailed: With reason `decode` when it was not.
        """


async def decoded_in_thread(decoder: Decoder, body: bytes) -> bytes:
    """Return a body decoded in a thread, which stops when its result is no longer awaited.

    Raises:
        CheckFailed: As `Decoder.feed` and `Decoder.finish` do.
    """
    stopped = Event()
    try:
        return await anyio.to_thread.run_sync(_decoded, decoder, body, stopped, abandon_on_cancel=True)
    finally:
        stopped.set()


def _decoded(decoder: Decoder, body: bytes, stopped: Event) -> bytes:
    parts: list[bytes] = []
    for start in range(0, len(body), _LATER_STEP_BYTES):
        if stopped.is_set():
            return b""
        parts.append(decoder.feed(body[start : start + _LATER_STEP_BYTES]))
    decoder.finish()
    return b"".join(parts)


def decoder_for(content_encodings: Iterable[str], limit_bytes: int) -> Decoder | None:
    """Return the decoder for a body; None when the body has no coding.

    Args:
        content_encodings: Values of the Content-Encoding fields.
        limit_bytes: Most bytes that may come out.

    Raises:
        CheckFailed: With reason `decode` for an unsupported coding, and for more than one, because each multiplies the
            work of the next.
    """
    listed = [coding.strip().lower() for value in content_encodings for coding in value.split(",")]
    codings = [coding for coding in listed if coding not in ("", "identity")]
    if not codings:
        return None
    if len(codings) > 1:
        raise CheckFailed(Reason.DECODE, f"the body has {len(codings)} content codings; at most one is supported")
    coding = _ALIASES.get(codings[0], codings[0])
    make = _DECODERS.get(coding)
    if make is None:
        raise CheckFailed(Reason.DECODE, f"the body has the unknown content coding {coding[:40]!r}")
    return make(limit_bytes)


def assumed_decoder(coding: str, limit_bytes: int) -> Decoder | None:
    """Return the decoder for a body that is taken to have a coding; `deflate` is the raw format then.

    Args:
        coding: `gzip`, `br`, `deflate` or `identity`, which has no decoder.
        limit_bytes: Most bytes that may come out.
    """
    if coding == "identity":
        return None
    return _NeverEmpty(coding, _RawDeflate(limit_bytes) if coding == "deflate" else _DECODERS[coding](limit_bytes))


class _NeverEmpty:
    """A decoder that rejects an empty body, which is not valid in any coding."""

    def __init__(self, coding: str, decoder: Decoder) -> None:
        self._coding = coding
        self._decoder = decoder
        self._is_empty = True

    def feed(self, data: bytes) -> bytes:
        self._is_empty = self._is_empty and not data
        return self._decoder.feed(data)

    def finish(self) -> None:
        if self._is_empty:
            raise _truncated(self._coding)
        self._decoder.finish()


class _RawDeflate:
    """Deflate without the zlib format (RFC 1951); what follows its end is ignored."""

    def __init__(self, limit_bytes: int) -> None:
        self._left_bytes = limit_bytes
        self._limit_bytes = limit_bytes
        self._stream = zlib.decompressobj(_RAW_WINDOW)

    def feed(self, data: bytes) -> bytes:
        try:
            decoded = self._stream.decompress(data, self._left_bytes + 1)
        except zlib.error as error:
            raise _corrupt("deflate", "it is corrupt") from error
        self._left_bytes -= len(decoded)
        if self._left_bytes < 0:
            raise _too_large(self._limit_bytes)
        return decoded

    def finish(self) -> None:
        if not self._stream.eof:
            raise _truncated("deflate")


class _Zlib:
    """gzip and deflate, the latter in both forms: RFC 9110 means the zlib format, many servers send raw deflate."""

    def __init__(self, coding: str, limit_bytes: int) -> None:
        self._coding = coding
        self._left_bytes = limit_bytes
        self._limit_bytes = limit_bytes
        self._members = 0
        self._undecided = b""
        self._stream: Any = None

    def feed(self, data: bytes) -> bytes:
        decoded = b""
        while True:
            if self._stream is None or self._stream.eof:
                data = self._begin_member(data)
                if not data:
                    return decoded
            decoded += self._step(data)
            if not self._stream.eof:
                return decoded
            data = self._stream.unused_data

    def finish(self) -> None:
        if self._undecided or (self._stream is not None and not self._stream.eof):
            raise _truncated(self._coding)

    def _begin_member(self, data: bytes) -> bytes:
        """Start decoding the next member, and return the data to feed to it; empty when more is needed.

        RFC 1952 section 2.2: members may be concatenated and form one body; zeros may pad the last.
        """
        if self._members:
            data = data.lstrip(b"\0")
            if not data:
                return b""
            if self._coding != "gzip" or self._members == _MAX_GZIP_MEMBERS:
                raise _corrupt(self._coding, "data follows its end")
        data = self._undecided + data
        if self._coding == "gzip":
            window = _GZIP_WINDOW
        elif len(data) < 2:
            self._undecided = data
            return b""
        else:
            self._undecided = b""
            window = _ZLIB_WINDOW if _is_zlib_header(data) else _RAW_WINDOW
        self._stream = zlib.decompressobj(window)
        self._members += 1
        return data

    def _step(self, data: bytes) -> bytes:
        try:
            decoded: bytes = self._stream.decompress(data, self._left_bytes + 1)
        except zlib.error as error:
            raise _corrupt(self._coding, "it is corrupt") from error
        self._left_bytes -= len(decoded)
        if self._left_bytes < 0:
            raise _too_large(self._limit_bytes)
        return decoded


def _is_zlib_header(data: bytes) -> bool:
    """Whether data is in zlib format, not raw deflate, by its first two bytes (RFC 1950 section 2.2)."""
    return data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0


class _Brotli:
    def __init__(self, limit_bytes: int) -> None:
        self._left_bytes = limit_bytes
        self._limit_bytes = limit_bytes
        self._started = False
        self._stream = brotli.Decompressor()

    def feed(self, data: bytes) -> bytes:
        self._started = self._started or bool(data)
        parts: list[bytes] = []
        try:
            while True:
                part = self._stream.process(data, output_buffer_limit=_BROTLI_STEP_BYTES)
                parts.append(part)
                self._left_bytes -= len(part)
                if self._left_bytes < 0:
                    raise _too_large(self._limit_bytes)
                if not part:  # a step ends at its size limit; only one without output means that there is no more
                    return b"".join(parts)
                data = b""
        except brotli.error as error:
            raise _corrupt("br", "it is corrupt") from error

    def finish(self) -> None:
        if self._started and not self._stream.is_finished():
            raise _truncated("br")


class _Zstd:
    def __init__(self, limit_bytes: int) -> None:
        self._left_bytes = limit_bytes
        self._limit_bytes = limit_bytes
        self._started = False
        self._stream = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).decompressobj()

    def feed(self, data: bytes) -> bytes:
        self._started = self._started or bool(data)
        parts: list[bytes] = []
        try:
            for start in range(0, len(data), _ZSTD_STEP_BYTES):
                part = self._stream.decompress(data[start : start + _ZSTD_STEP_BYTES])
                parts.append(part)
                self._left_bytes -= len(part)
                if self._left_bytes < 0:
                    raise _too_large(self._limit_bytes)
        except zstandard.ZstdError as error:
            raise _corrupt("zstd", "it is corrupt") from error
        return b"".join(parts)

    def finish(self) -> None:
        if self._started and not self._stream.eof:
            raise _truncated("zstd")
        if self._stream.unused_data:
            raise _corrupt("zstd", "data follows its end")


_DECODERS: Mapping[str, Callable[[int], Decoder]] = {
    "gzip": lambda limit_bytes: _Zlib("gzip", limit_bytes),
    "deflate": lambda limit_bytes: _Zlib("deflate", limit_bytes),
    "br": _Brotli,
    "zstd": _Zstd,
}


def _too_large(limit_bytes: int) -> CheckFailed:
    return CheckFailed(Reason.TOO_LARGE, f"the decoded body is larger than {counted(limit_bytes, 'byte')}")


def _corrupt(coding: str, why: str) -> CheckFailed:
    return CheckFailed(Reason.DECODE, f"the body cannot be decoded as {coding}: {why}")


def _truncated(coding: str) -> CheckFailed:
    return CheckFailed(Reason.DECODE, f"the body cannot be decoded as {coding}: it ends too early")
