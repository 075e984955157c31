"""Runs any ASGI app in the exporter's web server, on a thread of the test and a free port."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from exporter.cli.listen import ListenAddress, listener_url, open_listeners
from exporter.web.limits import HEALTH_PATHS, ConnectionLimits
from exporter.web.server import WebServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp

    from exporter.web_config import TlsServer

USUAL_LIMITS = ConnectionLimits()


@contextmanager
def run_web_server(
    app: ASGIApp,
    limits: ConnectionLimits = USUAL_LIMITS,
    *,
    tls: Callable[[], TlsServer | None] = lambda: None,
    health_paths: frozenset[str] = HEALTH_PATHS,
) -> Iterator[str]:
    """Serve the app for the duration of the block; yield its URL without the trailing slash."""
    listeners = open_listeners((ListenAddress("127.0.0.1", 0),))
    url = listener_url(listeners[0], scheme="http" if tls() is None else "https").removesuffix("/")
    started = threading.Event()
    server = WebServer(app, started.set, limits, health_paths=health_paths, tls=tls)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=listeners)), daemon=True)
    thread.start()
    assert started.wait(20)
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()
