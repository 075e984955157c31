"""Establish one connection to one address, TCP and TLS timed apart."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING

from exporter.attempt import current_attempt
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.failures import connection_failure
from exporter.net.tls import TlsTransport

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from exporter.net.phases import ConnectionFacts
    from exporter.settings import NetworkSettings

ProtocolFactory = "Callable[[], asyncio.Protocol]"


class _Arrival(asyncio.Protocol):
    """Notes when TCP was established and steps aside for the real protocol; the event loop tells us only later."""

    def __init__(self, protocol_factory: Callable[[], asyncio.Protocol], facts: ConnectionFacts, started: float) -> None:
        self._protocol_factory = protocol_factory
        self._facts = facts
        self._started = started
        self.protocol: asyncio.Protocol | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._facts.ready_at = perf_counter()
        self._facts.connect_seconds = self._facts.ready_at - self._started
        self.protocol = self._protocol_factory()
        transport.set_protocol(self.protocol)
        self.protocol.connection_made(transport)


async def connect_tcp(
    protocol_factory: Callable[[], asyncio.Protocol],
    address: str,
    port: int,
    settings: NetworkSettings,
    facts: ConnectionFacts,
) -> tuple[asyncio.Transport, asyncio.Protocol]:
    """Connect to an address.

    Raises:
        CheckFailed: When the connection cannot be established or takes longer than `connect_timeout`.
    """
    attempt = current_attempt()
    place = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    before = attempt.timeout_reason
    attempt.timeout_reason = Reason.CONNECT_TIMEOUT
    local = None if settings.source_ip is None else (settings.source_ip, 0)
    started = perf_counter()
    arrival = _Arrival(protocol_factory, facts, started)
    try:
        async with asyncio.timeout(settings.connect_timeout_seconds):
            transport, _ = await asyncio.get_running_loop().create_connection(
                lambda: arrival, address, port, local_addr=local
            )
    except TimeoutError as error:
        facts.connect_seconds = perf_counter() - started
        raise CheckFailed(
            Reason.CONNECT_TIMEOUT, f"{place} did not answer within {settings.connect_timeout_seconds} s"
        ) from error
    except OSError as error:
        facts.connect_seconds = perf_counter() - started
        raise connection_failure(error, f"connecting to {place}") from error
    attempt.timeout_reason = before
    assert arrival.protocol is not None
    return transport, arrival.protocol


async def connect_tls(
    protocol_factory: Callable[[], asyncio.Protocol],
    address: str,
    port: int,
    settings: NetworkSettings,
    facts: ConnectionFacts,
    *,
    context: ssl.SSLContext,
    server_name: str,
    timeout_seconds: float | None,
) -> tuple[asyncio.Transport, asyncio.Protocol]:
    """Connect to an address and shake hands.

    Raises:
        CheckFailed: When either fails.
    """
    doing = f"shaking hands with {server_name}"
    tls = TlsTransport(protocol_factory, context, server_name, facts, doing)
    await connect_tcp(lambda: tls, address, port, settings, facts)
    try:
        async with asyncio.timeout(timeout_seconds):
            protocol = await tls.handshaken
    except TimeoutError as error:
        tls.abort()
        raise CheckFailed(Reason.TLS, f"timed out after {timeout_seconds} s while {doing}") from error
    except BaseException:
        tls.abort()
        raise
    return tls, protocol
