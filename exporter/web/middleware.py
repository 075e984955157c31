"""Adds security headers to every response and rejects oversized queries and invalid Host headers."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import anyio
from starlette.responses import PlainTextResponse

from exporter.settings import parse_host_port

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_QUERY_BYTES = 8192
_HOSTS = 256

_HEADERS = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; "
            b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
"""The default headers of responses; most responses are valid only for a moment and meant for no other site."""


class Guard:
    """ASGI middleware around the whole app; lives as long as the app."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 414 to an overlong query and 400 to an invalid Host; pass on the rest, and add the headers.

        A request that is cancelled because shutdown has timed out gets a 503 rather than no response.
        """
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = message["headers"]
                own = {name for name, _ in headers}
                message["headers"] = [*headers, *(field for field in _HEADERS if field[0] not in own)]
            await send(message)

        app = self._app
        if len(scope["query_string"]) > MAX_QUERY_BYTES:
            app = PlainTextResponse(f"the query is longer than {MAX_QUERY_BYTES} bytes\n", status_code=414)
        elif not all(is_host(value.decode("latin-1")) for name, value in scope["headers"] if name == b"host"):
            app = PlainTextResponse("the header Host is not a host and a port\n", status_code=400)
        try:
            await app(scope, receive, send_with_headers)
        except anyio.get_cancelled_exc_class():
            if started:
                raise
            await PlainTextResponse("stopping\n", status_code=503)(scope, receive, send_with_headers)


@lru_cache(_HOSTS)
def is_host(text: str) -> bool:
    """Return whether a field value is `host`, `host:port` or `[v6]:port`, as Host must be (RFC 9112, section 3.2).

    Addresses are built from it, and an invalid Host may be an attempt to make them lead elsewhere. The port may be
    empty (RFC 3986, section 3.2.3).
    """
    address = text.removesuffix(":")
    if not address.isascii() or "%" in address or (address.count(":") > 1 and not address.startswith("[")):
        return False
    try:
        parse_host_port(address, default_port=80)
    except ValueError:
        return False
    return True
