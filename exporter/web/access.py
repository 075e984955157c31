"""Access control: the rate limit, client certificates and passwords of the web configuration."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse

from exporter.web.limits import CLIENT_CERTIFICATE
from exporter.web.passwords import Credentials, Passwords, TooManyWaitingError
from exporter.web.token_bucket import TokenBucket

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from starlette.types import ASGIApp, Receive, Scope, Send

    from exporter.web_config import RateLimit, WebConfig

IS_STRANGER = "is_stranger"
"""Key in the state of a request: whether it is answered only because the server's health is open to everybody."""

_CHALLENGE = 'Basic realm="nyxmon-exporter", charset="UTF-8"'


class Access:
    """ASGI middleware that rejects requests without access; lives as long as the app.

    Clients with a remembered password have a separate bucket under the rate limit, which strangers cannot use up.
    """

    def __init__(self, app: ASGIApp, current: Callable[[], WebConfig], open_paths: Collection[str]) -> None:
        """Start with full buckets and nothing remembered.

        Args:
            app: The application.
            current: Returns the configuration in force.
            open_paths: The paths that are open to everybody.
        """
        self._app = app
        self._current = current
        self._open_paths = open_paths
        self._config: WebConfig | None = None
        self._passwords = Passwords({})
        self._buckets: dict[bool, TokenBucket] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 401, 403 or 429."""
        refusal = await self._refusal(scope)
        await (refusal or self._app)(scope, receive, send)

    async def _refusal(self, scope: Scope) -> ASGIApp | None:
        """Return the response to a request that is rejected; None if it is allowed."""
        config = self._rules()
        credentials = _credentials(scope)
        lacks_certificate = (
            config.tls is not None and config.tls.requires_certificate and not scope["state"].get(CLIENT_CERTIFICATE)
        )
        if scope["path"] in self._open_paths and credentials is None:
            scope["state"][IS_STRANGER] = bool(config.users) or lacks_certificate
            return None
        if lacks_certificate:
            return PlainTextResponse("a client certificate is required\n", 403)
        is_known = not config.users or (credentials is not None and self._passwords.remembers(credentials))
        bucket = self._buckets.get(is_known)
        if bucket is not None and not bucket.take():
            return _too_many("requests", bucket.retry_after_seconds)
        if is_known:
            return None
        client = scope["client"][0] if scope["client"] else ""
        try:
            is_right = credentials is not None and await self._passwords.check(credentials, client)
        except TooManyWaitingError:
            return _too_many("passwords to check", 1)
        return None if is_right else PlainTextResponse("unauthorized\n", 401, {"WWW-Authenticate": _CHALLENGE})

    def _rules(self) -> WebConfig:
        """Return the configuration in force, with buckets and passwords that belong to it."""
        config, before = self._current(), self._config
        if config is not before:
            self._config = config
            if before is None or config.users != before.users:
                self._passwords = Passwords(config.users)
            if before is None or config.rate_limit != before.rate_limit:
                self._buckets = _buckets(config.rate_limit)
        return config


def _buckets(limit: RateLimit | None) -> dict[bool, TokenBucket]:
    """Return the bucket of remembered users, and that of all others."""
    return {} if limit is None else {is_known: TokenBucket(limit) for is_known in (True, False)}


def _credentials(scope: Scope) -> Credentials | None:
    """Return name and password of a request; None when it has none in the form of RFC 7617."""
    value = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    scheme, _, encoded = value.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        decoded = b64decode(encoded.strip(), validate=True)
    except binascii.Error:
        return None
    user, colon, password = decoded.partition(b":")
    return Credentials(user, password) if colon else None


def _too_many(what: str, retry_after_seconds: int) -> ASGIApp:
    headers = {"Retry-After": str(retry_after_seconds)}
    return PlainTextResponse(f"too many {what}; try again later\n", 429, headers)
