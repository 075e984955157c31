"""Unary calls with answers byte by byte: valid ones, and every way in which a server breaks the rules."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PushPromiseFrame,
    RstStreamFrame,
    WindowUpdateFrame,
)
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import CheckFailed
from exporter.grpc.call import UnaryCall
from exporter.grpc.frames import written
from exporter.grpc.request import UnaryRequest
from tests.servers.http2 import data, frame, head, settings, trailers

if TYPE_CHECKING:
    from exporter.model import Reason

TYPE = ("content-type", "application/grpc")
SERVING = b"\0\0\0\0\x02\x08\x01"
OK = trailers([("grpc-status", "0")])
ANSWER = settings() + head(fields=[TYPE]) + data(SERVING, end=False) + OK


def heard(*pieces: bytes) -> UnaryCall:
    """The call after all pieces."""
    call = UnaryCall()
    for piece in pieces:
        call.receive(piece)
    return call


def refused(*pieces: bytes) -> tuple[Reason, str, int | None]:
    """Reason and detail of the failure, and the status known so far."""
    call = UnaryCall()
    try:
        for piece in pieces:
            call.receive(piece)
        call.message()
    except CheckFailed as failure:
        return failure.reason, failure.detail, call.code
    raise AssertionError("nothing was refused")


def request(**options: object) -> UnaryRequest:
    """A request with a few options changed."""
    defaults = {"scheme": "http", "authority": "a.test:80", "path": "/s/M", "user_agent": "us", "metadata": []}
    return UnaryRequest(**{**defaults, "message": b"hi", **options})  # type: ignore[arg-type]


def test_another_http2_library_reads_the_request() -> None:
    """Everything is sent at once: preface, settings, head with deadline and metadata, and the message."""
    server = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
    metadata = [(b"x-token", b"s3cret"), (b"big", b"x" * 20_000)]
    events = server.receive_data(request(metadata=metadata).opening(1.5))
    received = next(event for event in events if isinstance(event, RequestReceived))
    assert [(str(name), str(value)) for name, value in received.headers] == [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/s/M"),
        (":authority", "a.test:80"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "us"),
        ("x-token", "s3cret"),
        ("big", "x" * 20_000),
        ("grpc-timeout", "1500m"),
    ]
    assert [event.data for event in events if isinstance(event, DataReceived)] == [b"\0\0\0\0\x02hi"]


def test_a_call_without_a_limit_sends_no_deadline() -> None:
    """Without a time limit there is no grpc-timeout."""
    assert b"grpc-timeout" not in request().opening(None)


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_an_answer_may_arrive_in_any_pieces(size: int) -> None:
    """Head, message and trailers are understood however the bytes are cut."""
    call = heard(*(ANSWER[start : start + size] for start in range(0, len(ANSWER), size)))
    assert (call.ended, call.code, call.message()) == (True, 0, b"\x08\x01")


def test_a_status_may_come_without_a_message() -> None:
    """Trailers alone end the call with their status and its explanation, percent-decoded."""
    fields = [TYPE, ("grpc-status", "5"), ("grpc-message", "unbekannt %C3%BC%0a%zz")]
    call = heard(settings() + head(fields=fields, flags=["END_STREAM"]))
    assert (call.ended, call.code, call.text) == (True, 5, "unbekannt \u00fc\\n%zz")


def test_what_the_connection_needs_is_answered() -> None:
    """Settings and pings are acknowledged; windows, unknown frames and informational heads do not matter."""
    unknown = b"\0\0\x01\xfe\0\0\0\0\0x"
    window = frame(WindowUpdateFrame(0, window_increment=9))
    call = heard(settings(MAX_CONCURRENT_STREAMS=9), frame(PingFrame(0, b"12345678")), unknown, window, head("103"))
    assert bytes(call.outgoing) == b"\0\0\0\4\1\0\0\0\0" + b"\0\0\x08\6\1\0\0\0\0" + b"12345678"
    call.receive(ANSWER[len(settings()) :])
    assert call.code == 0


def test_padding_priority_and_continuations_are_understood() -> None:
    """Frames may be padded and a head may be spread over several frames."""
    block = Encoder().encode([(":status", "200"), TYPE])
    start = HeadersFrame(1, block[:4], pad_length=3, depends_on=0, stream_weight=9, flags=["PADDED", "PRIORITY"])
    body = DataFrame(1, SERVING, pad_length=200, flags=["PADDED"])
    rest = ContinuationFrame(1, block[4:], flags=["END_HEADERS"])
    call = heard(settings(), frame(start), frame(rest), frame(body), OK)
    assert call.message() == b"\x08\x01"


def test_a_server_that_stops_gracefully_still_answers() -> None:
    """GOAWAY without an error that includes the call does not end it."""
    going = frame(GoAwayFrame(0, last_stream_id=2**31 - 1))
    assert heard(settings() + going + ANSWER[len(settings()) :]).code == 0


HTML = ("content-type", "text/html")


@pytest.mark.parametrize(
    ("pieces", "reason", "detail", "code"),
    [
        ([b"HTTP/1.1 400 Bad Request\r\n"], "protocol", "the server speaks HTTP/1, and gRPC needs HTTP/2", None),
        ([b"220 mail ESMTP\r\n"], "protocol", "the server does not speak HTTP/2: it begins with '220 mail ESMTP\\r\\n'",
         None),
        ([b"\0\0\0\0\0\0\0\0\0"], "protocol",
         "the server does not speak HTTP/2: it begins with '\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00'", None),
        ([settings(), b"\xff\xff\xff\0\0\0\0\0\1"], "protocol",
         "the response breaks HTTP/2: a frame has 16777215 bytes; at most 16384 are allowed", None),
        ([settings(), head("502", [HTML])], "status", "the server answered with HTTP status 502, not with gRPC", 14),
        ([settings(), head("404", [HTML])], "status", "the server answered with HTTP status 404, not with gRPC", 12),
        ([settings(), head("200", [HTML])], "protocol",
         "the response is not gRPC: it has the content type 'text/html'", 2),
        ([settings(), head("200")], "protocol", "the response is not gRPC: it has no content type", 2),
        ([settings(), head("503", [TYPE])], "status", "the server answered with HTTP status 503, not with gRPC", 14),
        ([settings(), head("abc", [TYPE])], "protocol", "the response has the status 'abc', which does not exist",
         None),
        ([settings(), *[head("103")] * 11], "protocol", "more than 10 informational responses came", None),
        ([settings(), head(fields=[TYPE]), data(SERVING)], "protocol",
         "the server ended the call without trailers, so without a status", 13),
        ([settings(), head(fields=[TYPE]), data(SERVING, end=False), trailers([("x", "y")])], "protocol",
         "the server ended the call without a grpc-status", None),
        ([settings(), head(fields=[TYPE]), trailers([("grpc-status", "-1")])], "protocol",
         "the response has the grpc-status '-1', not a number", None),
        ([settings(), head(fields=[TYPE]), OK], "protocol", "the call ended with OK and without a message", 0),
        ([settings(), head(fields=[TYPE]), data(SERVING[:6], end=False), OK], "protocol",
         "the call ended after 6 bytes of an incomplete message", 0),
        ([settings(), head(fields=[TYPE]), data(SERVING * 2, end=False)], "protocol",
         "the answer to a unary call has more than one message", None),
        ([settings(), head(fields=[TYPE]), data(b"\1\0\0\0\2\x08\1", end=False)], "protocol",
         "the message is compressed, which was not offered", None),
        ([settings(), head(fields=[TYPE]), data(b"\x41", end=False)], "protocol", "the message has the flags 0x41",
         None),
        ([settings(), head(fields=[TYPE]), data(b"\0\xff\xff\xff\xff", end=False)], "too_large",
         "the message is announced with 4294967295 bytes; at most 16384 are read", None),
        ([settings(), head(fields=[TYPE]), head(fields=[TYPE])], "protocol",
         "the response breaks HTTP/2: a second head came", None),
        ([settings(), data(SERVING)], "protocol", "the response breaks HTTP/2: data came before the head", None),
        ([settings(), head(fields=[TYPE], stream=3)], "protocol",
         "the response breaks HTTP/2: a frame is for stream 3, which was not opened", None),
        ([settings(), frame(RstStreamFrame(1, 7))], "connection_reset", "the server reset the stream (REFUSED_STREAM)",
         14),
        ([settings(), frame(RstStreamFrame(1, 0x99))], "connection_reset",
         "the server reset the stream (error code 0x99)", 13),
        ([settings(), frame(GoAwayFrame(0, 0, 11))], "protocol",
         "the server ended the connection with GOAWAY (ENHANCE_YOUR_CALM)", None),
        ([settings(), frame(GoAwayFrame(0, 0, 0))], "protocol",
         "the server ended the connection with GOAWAY (NO_ERROR)", None),
        ([settings(), frame(PushPromiseFrame(1, 2, b"\x88", flags=["END_HEADERS"]))], "protocol",
         "the response breaks HTTP/2: the server pushed a response, which was not allowed", None),
        ([settings(), b"\0\0\1\6\0\0\0\0\0x"], "protocol", "the response breaks HTTP/2: a PING is malformed", None),
        ([settings(), b"\0\0\1\4\0\0\0\0\0x"], "protocol", "the response breaks HTTP/2: a SETTINGS frame is malformed",
         None),
        ([settings(), b"\0\0\1\3\0\0\0\0\1x"], "protocol", "the response breaks HTTP/2: a RST_STREAM is malformed",
         None),
        ([settings(), b"\0\0\1\0\x08\0\0\0\1\x09"], "protocol", "the response breaks HTTP/2: data came before the head",
         None),
        ([settings(), b"\0\0\1\1\x0c\0\0\0\1\x09"], "protocol",
         "the response breaks HTTP/2: a frame has more padding than payload", None),
        ([settings(), b"\0\0\0\1\x0c\0\0\0\1"], "protocol", "the response breaks HTTP/2: a padded frame is empty",
         None),
        ([settings(), b"\0\0\1\1\4\0\0\0\1\xff"], "protocol",
         "the response breaks HTTP/2: a header block cannot be decoded (HPACKDecodingError)", None),
        ([settings(), b"\0\0\1\x09\4\0\0\0\1\x88"], "protocol",
         "the response breaks HTTP/2: a header block is interrupted, or continued without having begun", None),
        ([settings(), b"\0\0\1\1\0\0\0\0\1\x88", settings()], "protocol",
         "the response breaks HTTP/2: a header block is interrupted, or continued without having begun", None),
    ],
)  # fmt: skip
def test_a_broken_answer_has_a_reason(pieces: list[bytes], reason: str, detail: str, code: int | None) -> None:
    """A response that is not an answer fails with its reason, and with the status that gRPC derives from it."""
    assert refused(*pieces) == (reason, detail, code)


def test_endless_answers_are_cut_off() -> None:
    """Frames, continuations and header fields without end are rejected after a bounded number of bytes."""
    assert refused(settings(), *[frame(PingFrame(0, b"12345678"))] * 1001)[1] == (
        "the server sent more than 1000 frames for one call"
    )
    unknown = b"\0\x40\0\xfe\0\0\0\0\0" + bytes(1 << 14)
    assert refused(settings(), *[unknown] * 17)[1] == "the server sent more than 262144 bytes for one call"
    start = b"\0\0\1\1\0\0\0\0\1\x88"
    more = b"\0\x20\0\x09\0\0\0\0\1" + bytes(1 << 13)
    assert refused(settings(), start, *[more] * 5)[1] == "a header block has more than 32768 bytes"
    # Each of the later fields repeats one long field of the header table.
    block = b"\x88" + Encoder().encode([("x", "y" * 3000)], huffman=False) + b"\xbe" * 1000
    bomb = (len(block)).to_bytes(3, "big") + b"\1\4\0\0\0\1" + block
    assert refused(settings(), bomb)[1] == (
        "the response breaks HTTP/2: a header block cannot be decoded (OversizedHeaderListError)"
    )


@given(st.lists(st.binary(max_size=40), max_size=6), st.integers(0, 10), st.integers(0, 255))
def test_random_frames_raise_nothing_else(payloads: list[bytes], kind: int, flags: int) -> None:
    """Whatever a server sends is an answer, the beginning of one, or a failure with a reason."""
    call = UnaryCall()
    call.receive(settings())
    with contextlib.suppress(CheckFailed):
        call.receive(b"".join(written((kind + place) % 11, flags, 1, data) for place, data in enumerate(payloads)))
