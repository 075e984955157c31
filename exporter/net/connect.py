"""Connect to one address or the first that answers, and close; TCP and TLS are measured and limited separately."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from exporter.addresses import Address, endpoint
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.errors import connection_failure
from exporter.net.happy_eyeballs import Race
from exporter.net.tls.transport import TlsTransport

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from exporter.net.connect_options import ConnectOptions
    from exporter.net.connection_facts import ConnectionFacts
    from exporter.net.dns.address_queue import AddressQueue
    from exporter.net.tls.context import TlsContext
    from exporter.settings import NetworkSettings


async def connect_plain(
    protocol: asyncio.Protocol,
    addresses: Address | AddressQueue,
    port: int,
    settings: NetworkSettings,
    facts: ConnectionFacts,
) -> tuple[asyncio.Transport, float]:
    """Connect a protocol to an address, or to the first of several that answers.

    Returns:
        The transport, and `perf_counter()` when it was connected.

    Raises:
        CheckFailed: With the reason that the system's error maps to, or `connect_timeout` when `connect_timeout`
            has passed.
    """
    arrived_at = None
    with facts.attempt.phase("connect", on_timeout=Reason.CONNECT_TIMEOUT, is_measured=False):
        started = perf_counter()
        try:
            if isinstance(addresses, Address):
                transport, arrived_at = await _connect_to_one(protocol, addresses.text, port, settings)
            else:
                transport, arrived_at = await _connect_to_first(protocol, addresses, port, settings, facts)
        finally:
            facts.connect_seconds = (arrived_at or perf_counter()) - started
    return transport, arrived_at


async def _connect_to_one(
    protocol: asyncio.Protocol, address: str, port: int, settings: NetworkSettings
) -> tuple[asyncio.Transport, float]:
    source = None if settings.source_ip is None else (settings.source_ip, 0)
    try:
        async with bounded(settings.connect_timeout_seconds):
            transport, arrival = await asyncio.get_running_loop().create_connection(
                partial(_Arrival, protocol), address, port, local_addr=source
            )
    except OSError as error:
        raise _failure(error, endpoint(address, port), settings.connect_timeout_seconds) from error
    return transport, arrival.arrived_at


async def _connect_to_first(
    protocol: asyncio.Protocol, candidates: AddressQueue, port: int, settings: NetworkSettings, facts: ConnectionFacts
) -> tuple[asyncio.Transport, float]:
    race = Race(protocol, candidates, port, settings.source_ip, facts.attempt)
    try:
        async with bounded(settings.connect_timeout_seconds):
            winner = await race.run()
    except TimeoutError:
        limit = f"{settings.connect_timeout_seconds:g} s"
        raise CheckFailed(Reason.CONNECT_TIMEOUT, f"not connected within {limit}: {race.describe_outcomes()}") from None
    except asyncio.CancelledError:
        facts.attempt.timeout_detail = race.describe_outcomes()
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
    addresses: Address | AddressQueue,
    port: int,
    options: ConnectOptions,
    context: TlsContext,
    facts: ConnectionFacts,
) -> TlsTransport:
    """Connect a protocol over TLS to an address, or to the first of several that answers.

    Args:
        protocol: The protocol that speaks over TLS.
        addresses: Where to connect.
        port: Port.
        options: How to connect, and the name to verify.
        context: TLS context.
        facts: Filled as the connection progresses.

    Raises:
        CheckFailed: As `connect_plain` and `shake_hands` do.
    """
    transport = TlsTransport(protocol, context, options.server_name, facts)
    try:
        await connect_plain(transport, addresses, port, options.settings, facts)
    except BaseException:
        transport.abort()
        raise
    await shake_hands(transport, options, facts)
    return transport


async def shake_hands(transport: TlsTransport, options: ConnectOptions, facts: ConnectionFacts) -> None:
    """Wait for a handshake that has begun; close the connection if it fails.

    Raises:
        CheckFailed: As `TlsTransport.shake_hands` does, and with reason `tls` when the time limit of the handshake has
            passed.
    """
    with facts.attempt.phase("tls", is_measured=False):
        try:
            async with bounded(options.tls_timeout_seconds):
                await transport.shake_hands()
        except TimeoutError as error:
            transport.abort()
            raise CheckFailed(
                Reason.TLS, f"{options.server_name} did not complete the handshake in {options.tls_timeout_seconds:g} s"
            ) from error
        except BaseException:
            transport.abort()
            raise


_unbounded: AbstractAsyncContextManager[None] = nullcontext()


def bounded(limit_seconds: float | None) -> AbstractAsyncContextManager[object]:
    """Return a context manager that raises TimeoutError after a limit in seconds; None for no limit."""
    return _unbounded if limit_seconds is None else asyncio.timeout(limit_seconds)


def close_without_waiting(transport: asyncio.Transport) -> None:
    """Close a connection; abort it when the peer has not read everything that was sent, and may never do so."""
    if transport.get_write_buffer_size():
        transport.abort()
    else:
        transport.close()
