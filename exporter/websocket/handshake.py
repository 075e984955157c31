"""The opening handshake of a WebSocket client: request and answer. Source: RFC 6455 section 4."""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.field_lines import shown
from exporter.net.lenient_head import LenientHead, begins_like_http

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEAD_LIMIT_BYTES = 1 << 16
_MAX_INFORMATIONAL = 10
_ACCEPT_SALT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # section 1.3
_SHOWN_BYTES = 40
SWITCHING_PROTOCOLS = 101
"""The status of a handshake that the server accepts."""


class HandshakeRequest:
    """The request of a check, encoded once for all its runs; immutable."""

    def __init__(
        self, path: bytes, host: bytes, fields: Sequence[tuple[bytes, bytes]], subprotocols: Sequence[str]
    ) -> None:
        """Encode everything but the key.

        Args:
            path: Path and query.
            host: Value of the Host header.
            fields: Further header fields, in order.
            subprotocols: What is offered, preferred ones first.
        """
        self.subprotocols = tuple(subprotocols)
        lines = [b"GET %b HTTP/1.1" % path, b"Host: %b" % host, b"Upgrade: websocket", b"Connection: Upgrade"]
        lines += [b"%b: %b" % field for field in fields]
        if subprotocols:
            lines.append(b"Sec-WebSocket-Protocol: " + ", ".join(subprotocols).encode())
        lines += [b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: "]
        self._head = b"\r\n".join(lines)

    def encoded(self, key: bytes) -> bytes:
        """Return the request as it is sent."""
        return self._head + key + b"\r\n\r\n"


def new_key() -> bytes:
    """Return a key that no earlier handshake had."""
    return base64.b64encode(secrets.token_bytes(16))


def accept_value(key: bytes) -> bytes:
    """Return the Sec-WebSocket-Accept that answers a key."""
    return base64.b64encode(hashlib.sha1(key + _ACCEPT_SALT, usedforsecurity=False).digest())


class HandshakeAnswer:
    """Reads the answer; lives until its head is complete.

    Attributes:
        status: The status; 0 before it has arrived.
        fields: Header fields, names in lower case.
        oddities: Violations of the HTTP grammar that clients tolerate.
        rest: What the server sent after the head.
        subprotocol: The subprotocol that the server chose; empty for none.
    """

    def __init__(self, request: HandshakeRequest, key: bytes) -> None:
        self.status = 0
        self.fields: list[tuple[bytes, bytes]] = []
        self.oddities: tuple[str, ...] = ()
        self.rest = b""
        self.subprotocol = ""
        self._request = request
        self._key = key
        self._head = LenientHead()
        self._start = b""
        self._bytes = 0
        self._informational = 0

    def feed(self, data: bytes) -> bool:
        """Read received data; return whether the head is complete.

        Raises:
            CheckFailed: With reason `protocol` when it is not an HTTP response or goes on too long.
        """
        while True:
            self._bytes += len(data)
            if self._bytes > _HEAD_LIMIT_BYTES:
                raise CheckFailed(Reason.PROTOCOL, f"the head of the response has more than {_HEAD_LIMIT_BYTES} bytes")
            if len(self._start) < _SHOWN_BYTES:
                self._start += data[:_SHOWN_BYTES]
                if not begins_like_http(self._start):
                    raise CheckFailed(
                        Reason.PROTOCOL, f"the response is not HTTP: it begins with '{shown(self._start)}'"
                    )
            if not self._head.feed(data):
                return False
            head = self._head
            if head.status >= 200 or head.status == SWITCHING_PROTOCOLS:
                break
            self._informational += 1
            if self._informational > _MAX_INFORMATIONAL:
                raise CheckFailed(Reason.PROTOCOL, f"more than {_MAX_INFORMATIONAL} informational responses came")
            data, self._head, self._start = head.rest, LenientHead(), b""
        self.status, self.fields, self.rest, self.oddities = head.status, head.fields, head.rest, head.oddities.found()
        return True

    def check(self) -> None:
        """Check that an answer with status 101 completes the handshake (section 4.1).

        Raises:
            CheckFailed: With reason `protocol` when a header field is missing or wrong.
        """
        if not self._has_token(b"upgrade", b"websocket") or not self._has_token(b"connection", b"upgrade"):
            raise _incomplete("it has no Upgrade: websocket with Connection: Upgrade")
        accepts = self._values(b"sec-websocket-accept")
        if accepts != [accept_value(self._key)]:
            found = f"'{shown(accepts[0])}'" if accepts else "missing"
            raise _incomplete(f"its Sec-WebSocket-Accept is {found}, not the value for the key that was sent")
        if extensions := self._values(b"sec-websocket-extensions"):
            raise _incomplete(f"it has the extension '{shown(extensions[0])}', which was not offered")
        chosen = self._values(b"sec-websocket-protocol")
        if len(chosen) > 1 or (chosen and chosen[0].decode("latin-1") not in self._request.subprotocols):
            raise _incomplete(f"it has the subprotocol '{shown(b', '.join(chosen))}', which was not offered")
        self.subprotocol = chosen[0].decode("ascii") if chosen else ""

    def location(self) -> str:
        """Return where a redirect leads to; empty when the answer is not a redirect."""
        values = self._values(b"location")
        return shown(values[0]) if values and 300 <= self.status < 400 else ""

    def _values(self, name: bytes) -> list[bytes]:
        return [value for known, value in self.fields if known == name]

    def _has_token(self, name: bytes, token: bytes) -> bool:
        return token in [item.strip().lower() for value in self._values(name) for item in value.split(b",")]


def _incomplete(why: str) -> CheckFailed:
    return CheckFailed(Reason.PROTOCOL, f"the response does not complete the WebSocket handshake: {why}")
