"""The web server: uvicorn on sockets that are already open, with TLS and connection limits, without signal handlers."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import uvicorn

from exporter.web.http1 import Http1Protocol
from exporter.web.http2 import Http2Protocol
from exporter.web.limits import HEALTH_PATHS, BoundedConnection, ConnectionLimits, close_longest_idle
from exporter.web.tls_transport import ServerTlsTransport

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp

    from exporter.web_config import TlsServer

logger = logging.getLogger(__name__)

GRACE_SECONDS = 5
"""How long running scrapes may take to finish during shutdown."""

_LIMITS = ConnectionLimits()
_IDLE_LIMIT_SECONDS = 5
_SHORTAGE_PAUSE_SECONDS = 0.1
_FIRST_REQUEST_SECONDS = 0.1
_POLL_SECONDS = 0.005

_LAST_RESPONSES_SECONDS = 0.5
"""How long cancelled requests may take to answer 503."""


class WebServer(uvicorn.Server):
    """One run of the server; `serve(sockets)` returns after `should_exit` was set and running requests are done."""

    def __init__(
        self,
        app: ASGIApp,
        on_started: Callable[[], None],
        limits: ConnectionLimits = _LIMITS,
        *,
        health_paths: frozenset[str] = HEALTH_PATHS,
        tls: Callable[[], TlsServer | None] = lambda: None,
    ) -> None:
        """Prepare to serve.

        Args:
            app: The application.
            on_started: Called once connections are accepted.
            limits: The limits of connections.
            health_paths: The paths that are answered even when there are too many connections.
            tls: Called for each connection: how it speaks TLS, or None for plain HTTP.
        """
        self._on_started = on_started
        self._tls = tls
        self._limits = limits
        self._health_paths = health_paths
        self._accepting: list[asyncio.Task[None]] = []
        super().__init__(
            uvicorn.Config(
                app,
                http=Http1Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=_IDLE_LIMIT_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start accepting connections, and call `on_started`.

        Connections are accepted here rather than by the loop: uvloop stops listening for good when it runs out of
        file descriptors.
        """
        await self.lifespan.startup()
        self.servers = []
        self._accepting = [asyncio.create_task(self._accept(listener)) for listener in sockets or ()]
        self.started = True
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting connections, and let the open ones finish.

        Whoever has connected by now is answered: connections that the system has queued are accepted, and the first
        request of each new one is awaited for a moment. uvicorn cancels requests that take too long, but does not wait
        for their responses.
        """
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        for listener in sockets or ():
            await self._accept_waiting(listener)
        give_up = time.monotonic() + _FIRST_REQUEST_SECONDS
        while any(each.is_new for each in self._connections()) and time.monotonic() < give_up:  # noqa: ASYNC110 - brief
            await asyncio.sleep(_POLL_SECONDS)
        await super().shutdown(sockets)
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=_LAST_RESPONSES_SECONDS)

    async def _accept_waiting(self, listener: socket.socket) -> None:
        """Accept the connections that the system has queued, and close the listener."""
        with suppress(OSError):  # there are no more
            while True:
                connection, _ = listener.accept()
                connection.setblocking(False)  # noqa: FBT003 - the signature of the standard library
                await self._open(connection)
        listener.close()

    def _connections(self) -> Iterator[BoundedConnection]:
        connections: set[object] = {*self.server_state.connections}  # uvicorn knows only protocols of its own
        return (each for each in connections if isinstance(each, BoundedConnection))

    async def _accept(self, listener: socket.socket) -> None:
        """Accept connections; when the system cannot open any more, close an idle one and wait briefly."""
        loop = asyncio.get_running_loop()
        is_short = False
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except ConnectionAbortedError:
                continue
            except OSError as error:
                if not is_short:
                    logger.warning("connections cannot be accepted for now: %s", error.strerror or error)
                is_short = True
                close_longest_idle(self._connections())
                await asyncio.sleep(_SHORTAGE_PAUSE_SECONDS)
                continue
            is_short = False
            opening = asyncio.create_task(self._open(connection))
            try:
                await asyncio.shield(opening)
            finally:
                await opening  # shutdown closes the existing connections, so none may be added after it

    async def _open(self, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._new_protocol, connection)
        except OSError:
            connection.close()

    def _new_protocol(self) -> Http1Protocol | ServerTlsTransport:
        connection = Http1Protocol(self.config, self.server_state, self.lifespan.state)
        connection.limits, connection.health_paths = self._limits, self._health_paths
        tls = self._tls()
        return connection if tls is None else ServerTlsTransport(connection, tls, partial(Http2Protocol, connection))

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `exporter.cli.serve`; uvicorn would end the process by the signal, not with status 0."""
        yield
