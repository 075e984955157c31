"""Connect to one address or the first that answers; TCP and TLS are measured and limited separately."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from time import perf_counter
from typing import TYPE_CHECKING

from exporter.attempt import current_attempt
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.addresses import endpoint
from exporter.net.errors import connection_failure
from exporter.net.happy_eyeballs import Race
from exporter.net.tls.transport import TlsTransport

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from exporter.net.connection_facts import ConnectionFacts
    from exporter.net.dns.address_queue import AddressQueue
    from exporter.net.tls.context import TlsContext
    from exporter.settings import NetworkSettings


async def connect_plain(
    protocol: asyncio.Protocol, candidates: AddressQueue, port: int, settings: NetworkSettings, facts: ConnectionFacts
) -> asyncio.Transport:
    """Connect a protocol to an address, or to the first of several that answers.

    Raises:
        CheckFailed: With the reason that the system's error maps to, or `connect_timeout` when `connect_timeout`
            has passed.
    """
    transport, facts.ready_at = await _connect(protocol, candidates, port, settings, facts)
    return transport


async def _connect(
    protocol: asyncio.Protocol, candidates: AddressQueue, port: int, settings: NetworkSettings, facts: ConnectionFacts
) -> tuple[asyncio.Transport, float]:
    """Return the connected transport, and when it was connected."""
    attempt = current_attempt()
    reason_before, attempt.timeout_reason = attempt.timeout_reason, Reason.CONNECT_TIMEOUT
    only = candidates.only
    arrived_at = None
    started = perf_counter()
    try:
        if only is None:
            transport, arrived_at = await _connect_to_first(protocol, candidates, port, settings, facts)
        else:
            transport, arrived_at = await _connect_to_one(protocol, only.text, port, settings)
    finally:
        facts.connect_seconds = (arrived_at or perf_counter()) - started
    attempt.timeout_reason = reason_before
    return transport, arrived_at


async def _connect_to_one(
    protocol: asyncio.Protocol, address: str, port: int, settings: NetworkSettings
) -> tuple[asyncio.Transport, float]:
    source = None if settings.source_ip is None else (settings.source_ip, 0)
    arrival = _Arrival(protocol)
    try:
        async with bounded(settings.connect_timeout_seconds):
            transport, _ = await asyncio.get_running_loop().create_connection(
                lambda: arrival, address, port, local_addr=source
            )
    except OSError as error:
        raise _failure(error, endpoint(address, port), settings.connect_timeout_seconds) from error
    return transport, arrival.arrived_at


async def _connect_to_first(
    protocol: asyncio.Protocol, candidates: AddressQueue, port: int, settings: NetworkSettings, facts: ConnectionFacts
) -> tuple[asyncio.Transport, float]:
    race, attempt = Race(protocol, candidates, port, settings.source_ip), current_attempt()
    try:
        async with bounded(settings.connect_timeout_seconds):
            winner = await race.run()
    except TimeoutError:
        limit = f"{settings.connect_timeout_seconds:g} s"
        raise CheckFailed(Reason.CONNECT_TIMEOUT, f"not connected within {limit}: {race.told()}") from None
    except asyncio.CancelledError:
        attempt.timeout_detail = race.told()
        raise
    facts.set_address(winner.address)
    return winner.transport, winner.arrived_at


def _failure(error: OSError, place: str, limit_seconds: float | None) -> CheckFailed:
    own_limit = isinstance(error, TimeoutError) and error.errno is None  # the system's own limit is ETIMEDOUT
    if own_limit and limit_seconds is not None:
        return CheckFailed(Reason.CONNECT_TIMEOUT, f"{place} did not answer within {limit_seconds:g} s")
    return connection_failure(error, f"connecting to {place}")


class _Arrival(asyncio.Protocol):
    """Records when TCP was established, then hands over to the real protocol.

    The event loop's `create_connection` returns later than that, and much later on a busy loop.
    """

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol
        self.arrived_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.arrived_at = perf_counter()
        transport.set_protocol(self._protocol)
        self._protocol.connection_made(transport)


async def connect_tls(
    protocol: asyncio.Protocol,
    candidates: AddressQueue,
    port: int,
    settings: NetworkSettings,
    facts: ConnectionFacts,
    *,
    context: TlsContext,
    server_name: str,
    timeout_seconds: float | None,
) -> TlsTransport:
    """Connect a protocol over TLS to an address, or to the first of several that answers.

    Args:
        protocol: The protocol that speaks over TLS.
        candidates: The addresses.
        port: Port.
        settings: Source address and connect timeout.
        facts: Filled as the connection progresses.
        context: TLS context.
        server_name: Name or IP address sent and verified.
        timeout_seconds: Limit of the handshake alone.

    Raises:
        CheckFailed: As `connect_plain` and `TlsTransport.shake_hands` do; also with reason `tls` when `timeout_seconds`
            has passed.
    """
    transport = TlsTransport(protocol, context, server_name, facts)
    try:
        await _connect(transport, candidates, port, settings, facts)
    except BaseException:
        transport.abort()
        raise
    await shake_hands(transport, server_name, timeout_seconds)
    return transport


async def shake_hands(transport: TlsTransport, server_name: str, timeout_seconds: float | None) -> None:
    """Wait for a handshake that has begun; close the connection if it fails.

    Raises:
        CheckFailed: As `TlsTransport.shake_hands` does, and with reason `tls` when `timeout_seconds` has passed.
    """
    try:
        async with bounded(timeout_seconds):
            await transport.shake_hands()
    except TimeoutError as error:
        transport.abort()
        raise CheckFailed(
            Reason.TLS, f"{server_name} did not complete the handshake in {timeout_seconds:g} s"
        ) from error
    except BaseException as error:
        transport.abort()
        if isinstance(error, asyncio.CancelledError):
            current_attempt().phase_name = "tls"
        raise


_unbounded: AbstractAsyncContextManager[None] = nullcontext()


def bounded(limit_seconds: float | None) -> AbstractAsyncContextManager[object]:
    """Return a context manager that raises TimeoutError after a limit in seconds; None for no limit."""
    return _unbounded if limit_seconds is None else asyncio.timeout(limit_seconds)
