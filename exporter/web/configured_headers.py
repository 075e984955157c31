"""Adds the header fields of the web configuration to every response, in place of the exporter's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from exporter.web_config import WebConfig


class ConfiguredHeaders:
    """ASGI middleware around the whole app; lives as long as the app."""

    def __init__(self, app: ASGIApp, current: Callable[[], WebConfig]) -> None:
        """Wrap an application.

        Args:
            app: The application.
            current: Returns the configuration in force.
        """
        self._app = app
        self._current = current

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set the fields; one with an empty value is removed."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._current().headers.items():
                    if value:
                        headers[name] = value
                    else:
                        del headers[name]
            await send(message)

        await self._app(scope, receive, send_with_headers)
