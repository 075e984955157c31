"""The web server: uvicorn on sockets that are open already, with bounds on connections and without its own signals."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from exporter.web.connections import MAX_HEAD_BYTES, BoundedProtocol

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp

GRACE_SECONDS = 5
"""How long running scrapes may still take once the server is being stopped."""

_IDLE_LIMIT_SECONDS = 5


class WebServer(uvicorn.Server):
    """One run of the server; `serve(sockets)` ends after `should_exit` was set and the running requests are done."""

    def __init__(
        self, app: ASGIApp, on_started: Callable[[], None], protocol: type[BoundedProtocol] = BoundedProtocol
    ) -> None:
        """Prepare to serve.

        Args:
            app: The application.
            on_started: Called when connections are accepted.
            protocol: What each connection is.
        """
        self._on_started = on_started
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=_IDLE_LIMIT_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
                h11_max_incomplete_event_size=MAX_HEAD_BYTES,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections, and say so."""
        await super().startup(sockets)
        self._on_started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `exporter.cli.serve`; uvicorn would end the process by the signal, not with 0."""
        yield
