"""Limits of connections that uvicorn does not have: their number and age, and the time to send and to read.

Without limits, a few silent or slow clients would hold connections, and the memory of their pages, for ever. When there
are too many connections, the one that has been idle longest is closed; when all are busy, a few spare ones remain for
health checks. The age is limited too: Prometheus would keep a connection, and thus stay with one of several exporters
behind an address, while exporters added later get no requests.
"""

from __future__ import annotations

import resource
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Collection, Iterable, MutableSet

    from starlette.types import ASGIApp, Receive, Scope, Send

MAX_HEAD_BYTES = 16 * 1024
"""Maximum bytes of a request's line and headers."""

HEALTH_PATHS = frozenset(("/-/healthy", "/-/ready"))
"""The paths that spare connections serve."""

CLIENT_CERTIFICATE = "client_certificate"
"""Key in the state of a request: whether the client has presented a certificate that was accepted."""

CLIENT_LEAVES = "client_leaves"
"""Key in the state of a request: a future that is done once the client does not wait for the response any more. Waiting
for the ASGI message that says so would take a task for each request, which costs as much as a page about one probe."""


class ConnectionLimits(NamedTuple):
    """How many connections there are, and how long they may take.

    Attributes:
        request_seconds: From the connection, or the first byte of a later request, until its head has arrived.
        response_seconds: From the end of a response until the client has read it.
        age_seconds: After this age, the next response is the last one of the connection.
        arriving_seconds: For this long a connection with a partial request is closed only after idle ones.
        connections: Most connections at once, and never more than half of the files that the process may open, so
            that enough remain for checks.
        spare_connections: Further connections, which only answer health checks.
    """

    request_seconds: float = 5.0
    response_seconds: float = 10.0
    age_seconds: float = 10.0
    arriving_seconds: float = 1.0
    connections: int = 500
    spare_connections: int = 20


class BoundedConnection(ABC):
    """One connection of the web server; lives as long as its socket, on the server's loop.

    Attributes:
        limits: Its limits.
        health_paths: The paths of health checks.
        app: The application that answers its requests.
        connections: All connections of the server.
        made_at: When the connection was accepted, in the time of the loop.
    """

    limits = ConnectionLimits()
    health_paths = HEALTH_PATHS
    app: ASGIApp
    connections: MutableSet[BoundedConnection]
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    made_at = 0.0
    _idle_since = 0.0
    _has_partial_request = False
    _head_timer: asyncio.TimerHandle | None = None

    @property
    @abstractmethod
    def is_idle(self) -> bool:
        """Whether no request is being answered; a partial request does not count."""

    @property
    @abstractmethod
    def is_new(self) -> bool:
        """Whether no request has arrived on it yet."""

    @property
    def idleness(self) -> tuple[bool, float]:
        """A sort key for idle connections: the least is the best one to close."""
        arrives = self._has_partial_request and self.loop.time() - self._idle_since < self.limits.arriving_seconds
        return arrives, self._idle_since

    def give_way(self) -> None:
        """Close this idle connection and stop counting it."""
        self.connections.discard(self)
        self.transport.close()

    def _begin(self) -> None:
        """Start waiting for a request; above the connection limit, close an idle connection or use a spare one."""
        self.made_at = self._idle_since = self.loop.time()
        most = min(self.limits.connections, _most_open_files() // 2)
        if len(self.connections) > most and not close_longest_idle(self.connections - {self}):
            if len(self.connections) > most + self.limits.spare_connections:
                self.transport.abort()
                return
            self.app = _OnlyHealth(self.app, self.health_paths)
        self._await_head()

    @property
    def _age_seconds(self) -> float:
        return self.loop.time() - self.made_at

    @property
    def _is_old(self) -> bool:
        return self._age_seconds > self.limits.age_seconds

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_at(self._idle_since + self.limits.request_seconds, self.transport.abort)

    def _cancel_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def close_longest_idle(connections: Iterable[object]) -> bool:
    """Close the idle connection that sorts first by `idleness`; return whether any was idle."""
    bounded = (each for each in connections if isinstance(each, BoundedConnection))
    idle = min((each for each in bounded if each.is_idle), key=lambda each: each.idleness, default=None)
    if idle is not None:
        idle.give_way()
    return idle is not None


class _OnlyHealth:
    """The app of a connection beyond the limit; it answers health checks, and 503 to everything else."""

    def __init__(self, app: ASGIApp, health_paths: Collection[str]) -> None:
        self._app = app
        self._health_paths = health_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in self._health_paths:
            await self._app(scope, receive, send)
        else:
            headers = {"Connection": "close", "Retry-After": "1"}
            await PlainTextResponse("too many connections\n", 503, headers)(scope, receive, send)


def _most_open_files() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 1 << 20
