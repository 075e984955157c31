"""Shared by the tests of connections: a protocol that records events, shorter calls, and both event loops."""

from __future__ import annotations

import asyncio
import os
import resource
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from exporter.attempt import current_attempt
from exporter.errors import CheckFailed
from exporter.net import ConnectionFacts, Endpoint, Network, connect_options
from exporter.settings import NetworkSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from exporter.settings import TlsConfig

LOOPS = [
    ("asyncio", {"use_uvloop": True}),
    ("asyncio", {"use_uvloop": False}),
]
LOOP_NAMES = ["uvloop", "asyncio"]


class Recorder(asyncio.Protocol):
    """Records what happens to it."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.events: list[str] = []
        self.lost_because: Exception | None = None
        self.changed = asyncio.Event()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment] # what a stream's protocol is given
        self._note("made")

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.changed.set()

    def eof_received(self) -> None:
        self._note("eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost_because = exc
        self._note("lost")

    async def until(self, size: int) -> bytes:
        """Wait until so many bytes have arrived, or the connection is lost."""
        while len(self.received) < size and "lost" not in self.events:
            self.changed.clear()
            await self.changed.wait()
        return bytes(self.received)

    async def until_lost(self) -> None:
        """Wait until the connection is lost."""
        await self.until(2**62)

    def _note(self, event: str) -> None:
        self.events.append(event)
        self.changed.set()


class Listening(Protocol):
    """The address of a server; TcpServer has one."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...


class Connection(NamedTuple):
    """An open connection and what is known about it."""

    transport: asyncio.Transport
    protocol: Recorder
    facts: ConnectionFacts


async def connect(
    network: Network, protocol: asyncio.Protocol, place: tuple[str, int], settings: NetworkSettings,
    facts: ConnectionFacts, **options: Any,
) -> asyncio.Transport:  # fmt: skip
    """Connect a protocol with options made for this one connection, as `connect_options` takes them."""
    endpoint = Endpoint(*place)
    return await network.connect(protocol, endpoint, connect_options(endpoint, settings, **options), facts)


@asynccontextmanager
async def connected(
    server: Listening, *, host: str | None = None, network: Network | None = None, **options: Any
) -> AsyncIterator[Connection]:
    """Connect to a server for the length of the block.

    Args:
        server: The server.
        host: Named instead of the server's address.
        network: The network; a fresh one by default.
        options: `tls`, `tls_timeout_seconds` and `alpn` as `connect_options` has them; others are NetworkSettings.
    """
    facts = ConnectionFacts(current_attempt())
    own = {name: options.pop(name) for name in ("tls", "tls_timeout_seconds", "alpn") if name in options}
    place, protocol = (host or server.host, server.port), Recorder()
    transport = await connect(network or Network(), protocol, place, NetworkSettings(**options), facts, **own)
    try:
        yield Connection(transport, protocol, facts)
    finally:
        transport.abort()


async def refused(
    port: int,
    *,
    host: str = "127.0.0.1",
    network: Network | None = None,
    tls: TlsConfig | None = None,
    tls_timeout_seconds: float | None = None,
    **settings: Any,
) -> tuple[CheckFailed, ConnectionFacts]:
    """Try to connect, and return the failure and the known facts."""
    facts = ConnectionFacts(current_attempt())
    own = {"tls": tls, "tls_timeout_seconds": tls_timeout_seconds}
    try:
        transport = await connect(
            network or Network(), Recorder(), (host, port), NetworkSettings(**settings), facts, **own
        )
    except CheckFailed as failure:
        return failure, facts
    transport.abort()
    raise AssertionError(f"connected to {facts.address}")


def open_descriptors() -> int:
    """The number of this process's file descriptors; only meaningful in a separate process."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the number alone


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    """Allow this process no further file descriptors."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))  # new numbers are below it, and those are taken
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
