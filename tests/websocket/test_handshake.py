"""The opening handshake: requests that a server library accepts, and answers that do not complete it."""

from __future__ import annotations

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.websocket.handshake import HandshakeAnswer, HandshakeRequest, accept_value, new_key

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
UPGRADE = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"


def request(*subprotocols: str) -> HandshakeRequest:
    return HandshakeRequest(b"/chat?x=1", b"a.test:81", [(b"Origin", b"https://a.test")], subprotocols)


def answered(*pieces: bytes, subprotocols: tuple[str, ...] = ()) -> HandshakeAnswer:
    """The answer after all pieces; the last one completes it."""
    answer = HandshakeAnswer(request(*subprotocols), KEY)
    assert [answer.feed(piece) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    return answer


def test_the_key_is_answered_as_in_the_rfc() -> None:
    """The example of RFC 6455 section 1.3 holds, and keys differ."""
    assert accept_value(KEY) == ACCEPT
    assert new_key() != new_key()


def test_a_server_library_accepts_the_handshake() -> None:
    """Wsproto reads the request and its answer completes the handshake, with the subprotocol it chose."""
    server = WSConnection(ConnectionType.SERVER)
    server.receive_data(request("chat.v2", "chat.v1").encoded(KEY))
    (received,) = server.events()
    assert isinstance(received, Request)
    assert (received.target, received.host, received.subprotocols) == ("/chat?x=1", "a.test:81", ["chat.v2", "chat.v1"])
    assert (b"origin", b"https://a.test") in received.extra_headers
    answer = answered(server.send(AcceptConnection(subprotocol="chat.v1")), subprotocols=("chat.v2", "chat.v1"))
    answer.check()
    assert (answer.status, answer.subprotocol, answer.rest) == (101, "chat.v1", b"")


@pytest.mark.parametrize("size", [1, 10, 10_000])
def test_an_answer_may_arrive_in_any_pieces(size: int) -> None:
    """Informational responses are skipped, and what follows the head is kept."""
    whole = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + UPGRADE + b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n"
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
    pieces[-1] += b"\x81\x01a"
    answer = answered(*pieces)
    answer.check()
    assert (answer.status, answer.rest) == (101, b"\x81\x01a")


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (UPGRADE, "its Sec-WebSocket-Accept is missing, not the value for the key that was sent"),
        (UPGRADE + b"Sec-WebSocket-Accept: " + ACCEPT.lower() + b"\r\n",
         "its Sec-WebSocket-Accept is 's3pplmbitxaq9kygzzhzrbk+xoo=', not the value for the key that was sent"),
        (b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + ACCEPT + b"\r\n",
         "it has no Upgrade: websocket with Connection: Upgrade"),
        (b"HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + ACCEPT + b"\r\n",
         "it has no Upgrade: websocket with Connection: Upgrade"),
        (UPGRADE + b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
         "it has the extension 'permessage-deflate', which was not offered"),
        (UPGRADE + b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\nSec-WebSocket-Protocol: mqtt\r\n",
         "it has the subprotocol 'mqtt', which was not offered"),
    ],
)  # fmt: skip
def test_an_answer_that_does_not_complete_the_handshake_is_rejected(head: bytes, why: str) -> None:
    """Each requirement on the answer is checked (RFC 6455 section 4.1)."""
    answer = answered(head + b"\r\n", subprotocols=("chat",))
    with pytest.raises(CheckFailed) as caught:
        answer.check()
    assert caught.value.reason is Reason.PROTOCOL
    assert caught.value.detail == f"the response does not complete the WebSocket handshake: {why}"


def test_other_statuses_are_answers_too() -> None:
    """A refusal and a redirect are complete heads; only a redirect leads somewhere."""
    assert answered(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").status == 403
    redirect = answered(b"HTTP/1.1 301 Moved\r\nLocation: https://b.test/\r\n\r\n")
    assert (redirect.status, redirect.location()) == (301, "https://b.test/")


@pytest.mark.parametrize(
    ("received", "why"),
    [
        (b"SSH-2.0-OpenSSH_9\r\n", "the response is not HTTP: it begins with 'SSH-2.0-OpenSSH_9\\r\\n'"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, "the head of the response has more than 65536 bytes"),
        (b"HTTP/1.1 103 X\r\n\r\n" * 11, "more than 10 informational responses came"),
        (
            b"HTTP/1.1 200 OK\r\n" + b"a:b\r\n" * 1001,
            "the response is malformed: more than 1000 lines of header fields",
        ),
    ],
)  # fmt: skip
def test_what_is_not_a_head_is_rejected(received: bytes, why: str) -> None:
    """Garbage and endless heads fail with reason protocol after a bounded number of bytes."""
    with pytest.raises(CheckFailed) as caught:
        HandshakeAnswer(request(), KEY).feed(received)
    assert (caught.value.reason, caught.value.detail) == (Reason.PROTOCOL, why)
