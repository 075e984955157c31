"""Messages of an open WebSocket: whole, in fragments, and in every way in which a server breaks the protocol."""

from __future__ import annotations

import pytest
from wsproto.frame_protocol import FrameProtocol, Opcode

from exporter.errors import CheckFailed
from exporter.websocket.messages import Closing, MessageReader


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """An unmasked frame, as servers send it."""
    size = len(payload)
    length = bytes((size,)) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
    return bytes((opcode | (0x80 if fin else 0),)) + length + payload


def heard(*pieces: bytes, limit_bytes: int = 1000) -> MessageReader:
    reader = MessageReader(limit_bytes)
    for piece in pieces:
        reader.receive(piece)
    return reader


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_messages_arrive_whole(size: int) -> None:
    """Text and bytes are put together from fragments, with a ping between them, however the bytes are cut."""
    whole = frame(1, b"h\xc3", fin=False) + frame(9, b"are you there") + frame(0, b"\xa9llo") + frame(2, b"\0\xff")
    reader = heard(*(whole[start : start + size] for start in range(0, len(whole), size)))
    assert list(reader.messages) == ["h\u00e9llo", b"\0\xff"]
    server = FrameProtocol(client=False, extensions=[])
    server.receive_bytes(bytes(reader.outgoing))
    assert [(sent.opcode, sent.payload) for sent in server.received_frames()] == [(Opcode.PONG, b"are you there")]


def test_what_is_sent_is_masked_and_read_by_a_server_library() -> None:
    """Text, bytes, pings and the closing handshake reach a server unchanged."""
    reader = heard()
    reader.send("hi")
    reader.send(b"\x01")
    reader.ping(b"p")
    reader.close()
    assert b"hi" not in reader.outgoing
    server = FrameProtocol(client=False, extensions=[])
    server.receive_bytes(bytes(reader.outgoing))
    assert [(sent.opcode, sent.payload) for sent in server.received_frames()] == [
        (Opcode.TEXT, "hi"),
        (Opcode.BINARY, b"\x01"),
        (Opcode.PING, b"p"),
        (Opcode.CLOSE, (1000, "")),
    ]


@pytest.mark.parametrize(
    ("payload", "closing", "shown"),
    [
        (b"", Closing(1005, ""), "1005"),
        (b"\x03\xe8", Closing(1000, ""), "1000"),
        (b"\x0f\xa1who\x1b are you", Closing(4001, "who\\x1b are you"), "4001 (who\\x1b are you)"),
    ],
)
def test_the_server_says_why_it_closes(payload: bytes, closing: Closing, shown: str) -> None:
    """The code and text of the server's closing handshake are kept, and later data is ignored."""
    reader = heard(frame(8, payload), b"garbage")
    assert (reader.closing, str(reader.closing)) == (closing, shown)


@pytest.mark.parametrize(
    ("pieces", "reason", "detail"),
    [
        ([b"HTTP/1.1 400"], "protocol",
         "the server breaks the WebSocket protocol: Invalid attempt to fragment control frame"),
        ([b"\xc1\x00"], "protocol", "the server breaks the WebSocket protocol: Reserved bit set unexpectedly"),
        ([b"\x83\x00"], "protocol", "the server breaks the WebSocket protocol: Invalid opcode 0x3"),
        ([b"\x81\x81\0\0\0\0a"], "protocol",
         "the server breaks the WebSocket protocol: client received unexpected masked frame"),
        ([frame(0, b"x")], "protocol", "the server breaks the WebSocket protocol: unexpected CONTINUATION"),
        ([frame(9, fin=False)], "protocol",
         "the server breaks the WebSocket protocol: Invalid attempt to fragment control frame"),
        ([frame(9, b"x" * 126)], "protocol",
         "the server breaks the WebSocket protocol: Control frame with payload len > 125"),
        ([frame(8, b"\x03")], "protocol", "the server breaks the WebSocket protocol: CLOSE with 1 byte payload"),
        ([frame(8, b"\x00\x01")], "protocol", "the server breaks the WebSocket protocol: CLOSE with invalid code"),
        ([b"\x82\x7f\xff" + bytes(7)], "protocol",
         "the server breaks the WebSocket protocol: 8-byte payload length with non-zero MSB"),
        ([b"\x82\x7f\0\0\1" + bytes(5), bytes(1001)], "too_large", "a message is larger than 1000 bytes"),
        ([frame(2, bytes(600), fin=False), frame(0, bytes(600), fin=False)], "too_large",
         "a message is larger than 1000 bytes"),
        ([frame(1, fin=False), frame(0, fin=False) * 3000], "protocol",
         "the server sent 2142 frames with hardly any content"),
        ([frame(9) * 3000], "protocol", "the server sent 2142 frames with hardly any content"),
    ],
)  # fmt: skip
def test_a_broken_protocol_has_a_reason(pieces: list[bytes], reason: str, detail: str) -> None:
    """Broken frames, huge messages, endless fragments and endless pings are rejected."""
    with pytest.raises(CheckFailed) as caught:
        heard(*pieces)
    assert (caught.value.reason, caught.value.detail) == (reason, detail)


def test_a_text_that_is_not_utf8_is_rejected() -> None:
    """Invalid UTF-8 breaks the protocol (RFC 6455 section 8.1)."""
    with pytest.raises(CheckFailed, match="the server breaks the WebSocket protocol: 'utf-8' codec"):
        heard(frame(1, b"\xff"))
