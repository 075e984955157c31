"""The network as checks see it: one call from host and port to a measured connection."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from exporter.net.connect import connect_tcp, connect_tls
from exporter.net.resolve import Lookups
from exporter.net.tls_contexts import TlsContexts

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from exporter.net.phases import ConnectionFacts
    from exporter.settings import NetworkSettings, TlsConfig


@dataclass(slots=True)
class ConnectionCounts:
    """What a batch did with connections; counted by whoever does it.

    Attributes:
        requests: HTTP requests sent.
        opened: Connections opened for them.
        reused: Requests that went over a connection opened earlier.
    """

    requests: int = 0
    opened: int = 0
    reused: int = 0


class Network:
    """Resolver, TLS contexts and counts; `Network()` lives as long as the process, `for_batch()` gives one per batch.

    Attributes:
        tls: SSL contexts, shared by all batches.
        lookups: Lookups of this batch.
        counts: Connection counts of this batch.
    """

    def __init__(self, *, tls: TlsContexts | None = None) -> None:
        self.tls = tls or TlsContexts()
        self.lookups = Lookups()
        self.counts = ConnectionCounts()

    def for_batch(self) -> Network:
        """Give a network with lookups and counts of its own, for one batch."""
        return Network(tls=self.tls)

    async def connect(
        self,
        protocol_factory: Callable[[], asyncio.Protocol],
        host: str,
        port: int,
        settings: NetworkSettings,
        facts: ConnectionFacts,
        *,
        tls: TlsConfig | None = None,
        server_name: str | None = None,
        tls_timeout_seconds: float | None = None,
        alpn: tuple[str, ...] = (),
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """Resolve, connect and, with `tls`, shake hands.

        Raises:
            CheckFailed: When a step fails; `facts` has what was measured until then.
        """
        context = None if tls is None else self.tls.context(tls, alpn)
        started = perf_counter()
        try:
            address = await self.lookups.address(host, settings)
        finally:
            facts.resolve_seconds = facts.lookup_seconds = perf_counter() - started
        facts.set_address(address)
        if tls is None or context is None:
            return await connect_tcp(protocol_factory, address, port, settings, facts)
        return await connect_tls(
            protocol_factory,
            address,
            port,
            settings,
            facts,
            context=context,
            server_name=server_name or tls.server_name or host,
            timeout_seconds=tls_timeout_seconds,
        )
