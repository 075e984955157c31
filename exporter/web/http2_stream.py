"""One request over HTTP/2 and its response: the ASGI side of a stream. Source: RFC 9113, section 8."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

from h2.errors import ErrorCodes
from starlette.responses import PlainTextResponse

from exporter.web.limits import CLIENT_LEAVES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from h2.connection import H2Connection
    from starlette.types import ASGIApp, Message, Scope

    Fields = Iterable[tuple[bytes, bytes]]

logger = logging.getLogger(__name__)

_WITHOUT_BODY = (204, 304)
_OF_THE_CONNECTION = (b"connection", b"keep-alive", b"transfer-encoding", b"upgrade")
_METHOD, _PATH = re.compile(rb"[A-Z-]{1,20}"), re.compile(rb"/[!-\"$-~]*")


class _Connection(Protocol):
    """The part of a connection that its streams use."""

    @property
    def h2(self) -> H2Connection: ...

    def send_bodies(self) -> None: ...

    def give_up_later(self) -> asyncio.TimerHandle: ...

    def end(self, stream: Http2Stream) -> None: ...


def request_scope(head: Fields, common: Mapping[str, Any]) -> Scope | None:
    """Return the ASGI scope of a request; None if its head is not that of a request to this server.

    Args:
        head: The fields, pseudo-header fields included.
        common: The entries of the scope that all requests of the connection share.
    """
    pseudo = {name: value for name, value in head if name.startswith(b":")}
    fields = [(name, value) for name, value in head if not name.startswith(b":")]
    method, path = pseudo.get(b":method", b""), pseudo.get(b":path", b"")
    if not any(name == b"host" for name, _ in fields):
        fields.append((b"host", pseudo.get(b":authority", b"")))
    if not _METHOD.fullmatch(method) or not _PATH.fullmatch(path) or (b"host", b"") in fields:
        return None
    raw_path, _, query = path.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "2",
        "scheme": "https",
        "root_path": "",
        "method": method.decode("ascii"),
        "path": unquote(raw_path.decode("ascii")),
        "raw_path": raw_path,
        "query_string": query,
        "headers": fields,
        **common,
    }


class Http2Stream:
    """One request and its response; lives as long as both, on the server's loop.

    Attributes:
        number: Number of the stream.
        is_last: Whether the response requests the end of the connection.
    """

    def __init__(self, connection: _Connection, number: int, scope: Scope | None, fields: Fields) -> None:
        """Prepare to answer.

        Args:
            connection: The connection.
            number: Number of the stream.
            scope: The request; None if it is answered with 400.
            fields: Header fields of every response.
        """
        self.number = number
        self.is_last = False
        self._connection = connection
        self._leaving: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._scope = scope or {"type": "http", "method": "GET", "state": {}}
        self._scope["state"][CLIENT_LEAVES] = self._leaving
        self._is_valid = scope is not None
        self._fields = fields
        self._body, self._unacknowledged = bytearray(), 0
        self._request_ended = self._has_told_end = False
        self._arrival, self._departure = asyncio.Event(), asyncio.Event()
        self._unsent = memoryview(b"")
        self._patience: asyncio.TimerHandle | None = None
        self._has_begun = self._is_complete = False

    async def run(self, app: ASGIApp) -> None:
        """Answer the request; the stream is reset if the application does not, which answers its own errors."""
        try:
            await (app if self._is_valid else _NOT_UNDERSTOOD)(self._scope, self.receive, self.send)
        except Exception:
            logger.exception("the application failed")
        finally:
            if not self._is_complete:
                self._reset()

    async def receive(self) -> Message:
        """Return the next part of the request's body; `http.disconnect` once nobody waits for a response."""
        while not self._is_over and not self._body and (self._has_told_end or not self._request_ended):
            await self._arrival.wait()
            self._arrival.clear()
        if self._is_over:
            return {"type": "http.disconnect"}
        body, self._body, self._has_told_end = bytes(self._body), bytearray(), self._request_ended
        self._acknowledge()
        self._connection.send_bodies()
        return {"type": "http.request", "body": body, "more_body": not self._request_ended}

    async def send(self, message: Message) -> None:
        """Send a part of the response; after the client has left, drop it."""
        if self._is_over:
            return
        if message["type"] == "http.response.start":
            self._send_head(message["status"], message.get("headers", ()))
            return
        self._unsent = memoryview(message.get("body", b""))
        self._is_complete = not message.get("more_body", False)
        self._departure.clear()
        self._connection.send_bodies()
        if self._unsent:
            self._patience = self._connection.give_up_later()
            if not self._is_complete:
                await self._departure.wait()

    # Called by the connection.

    def receive_body(self, data: bytes, flow_controlled_bytes: int) -> None:
        """Keep a part of the request's body until the application reads it; the window limits its size."""
        self._unacknowledged += flow_controlled_bytes
        self._body += data
        self._arrival.set()

    def receive_end(self) -> None:
        """Note that the request is complete."""
        self._request_ended = True
        self._arrival.set()

    def leave(self) -> None:
        """Cancel what is done for the client, which does not wait for the response any more."""
        if not self._leaving.done():
            self._leaving.set_result(None)
        self._arrival.set()
        self._let_continue()

    def send_frame(self) -> bool:
        """Send a part of the body if the window has room; return whether there may be more to send."""
        h2 = self._connection.h2
        room = min(h2.local_flow_control_window(self.number), h2.max_outbound_frame_size)
        part = self._unsent[: max(room, 0)]
        is_end = self._is_complete and len(part) == len(self._unsent)
        if not self._has_begun or not (part or is_end):
            return False
        h2.send_data(self.number, bytes(part), end_stream=is_end)
        self._unsent = self._unsent[len(part) :] or memoryview(b"")  # which does not keep the whole page
        if not self._unsent:
            self._let_continue()
        if is_end:
            self._end()
        return bool(self._unsent)

    def _let_continue(self) -> None:
        """End the wait of the application for its last part to be sent."""
        self._departure.set()
        if self._patience is not None:
            self._patience.cancel()

    # The response.

    @property
    def _is_over(self) -> bool:
        return self._is_complete or self._leaving.done()

    def _send_head(self, status: int, fields: Fields) -> None:
        sent = [(b":status", b"%d" % status)]
        for name, value in (*self._fields, *fields):
            if name.lower() not in _OF_THE_CONNECTION:
                sent.append((name.lower(), value))
            elif value.lower() == b"close":
                self.is_last = True
        self._has_begun = True
        self._is_complete = self._scope["method"] == "HEAD" or status in _WITHOUT_BODY
        self._connection.h2.send_headers(self.number, sent, end_stream=self._is_complete)
        if self._is_complete:
            self._end()
            self._connection.send_bodies()

    def _end(self) -> None:
        """End the stream after its response; a body that is still arriving is of no use (section 8.1)."""
        self._arrival.set()
        self._acknowledge()
        if not self._request_ended:
            self._connection.h2.reset_stream(self.number)
        self._connection.end(self)

    def _reset(self) -> None:
        """Give up the response of an application that does not complete it."""
        if not self._leaving.done():
            self._connection.h2.reset_stream(self.number, ErrorCodes.INTERNAL_ERROR)
            self.leave()
            self._connection.end(self)
            self._connection.send_bodies()

    def _acknowledge(self) -> None:
        """Let the client send more."""
        self._connection.h2.acknowledge_received_data(self._unacknowledged, self.number)
        self._unacknowledged = 0


_NOT_UNDERSTOOD = PlainTextResponse("the request is not understood\n", 400)
