"""Open a measured connection, or a measured exchange of datagrams, for one attempt."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from exporter.addresses import Endpoint
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.admission import refuse_path
from exporter.net.connect import bounded
from exporter.net.connect_options import ConnectOptions, connect_options
from exporter.net.connection_facts import ConnectionFacts
from exporter.net.connection_report import report_connection
from exporter.net.received import ReceivedBytes
from exporter.net.stream import Stream
from exporter.net.udp import Datagram, open_datagram_socket
from exporter.net.unix import connected_unix_socket
from exporter.settings import NetworkSettings

if TYPE_CHECKING:
    from exporter.attempt import Attempt
    from exporter.net.network import Network


async def open_stream(network: Network, attempt: Attempt, endpoint: Endpoint, options: ConnectOptions) -> Stream:
    """Connect to a target and record, whatever the outcome, what is known about the connection.

    Args:
        network: Connects.
        attempt: What the connection is made for.
        endpoint: The target.
        options: How to connect to it.

    Raises:
        CheckFailed: As `Network.connect`.
    """
    facts, received = ConnectionFacts(attempt), ReceivedBytes()
    try:
        await network.connect(received, endpoint, options, facts)
    finally:
        report_connection(facts)
    return Stream(network, endpoint, options, received, facts)


async def open_unix_stream(network: Network, attempt: Attempt, path: str, timeout_seconds: float | None) -> Stream:
    """Connect to a Unix socket and record how long that took.

    Args:
        network: Provides TLS.
        attempt: What the connection is made for.
        path: Path of the socket, or an abstract name that begins with @.
        timeout_seconds: Limit of connecting; None for no limit of its own.

    Raises:
        CheckFailed: As `connected_unix_socket`, with reason `connect_timeout` when the time limit has passed, and with
            `local` when the socket is not among the allowed targets.
    """
    refuse_path(attempt, path)
    with attempt.phase("connect", on_timeout=Reason.CONNECT_TIMEOUT):
        try:
            async with bounded(timeout_seconds):
                connected = await connected_unix_socket(path)
        except TimeoutError as error:
            detail = f"{path} did not answer within {timeout_seconds:g} s"
            raise CheckFailed(Reason.CONNECT_TIMEOUT, detail) from error
        loop = asyncio.get_running_loop()
        _, received = await loop.create_unix_connection(ReceivedBytes, sock=connected)
    attempt.note("connected", to=path)
    return Stream(network, _UNNAMED, _WITHOUT_ADDRESS, received, ConnectionFacts(attempt))


_UNNAMED = Endpoint("localhost", 0)
_WITHOUT_ADDRESS = ConnectOptions(settings=NetworkSettings())
"""A Unix socket has no address; TLS over it verifies a name only if its options set one."""


async def open_datagram(network: Network, attempt: Attempt, endpoint: Endpoint, settings: NetworkSettings) -> Datagram:
    """Resolve a target and open a socket for datagrams to it; record, whatever the outcome, what is known about it.

    Args:
        network: Resolves the name.
        attempt: What the exchange is made for.
        endpoint: The target.
        settings: How to resolve, and the address to send from.

    Raises:
        CheckFailed: As `Resolver.address` and `open_datagram_socket`.
    """
    options = connect_options(endpoint, settings)
    place = options.connect_to or endpoint
    facts = ConnectionFacts(attempt)
    try:
        address = await network.address(place, options, facts)
    finally:
        report_connection(facts)
    attempt.note("resolved", host=place.host, address=facts.address, seconds=facts.resolve_seconds)
    connected = open_datagram_socket(address, place.port, settings.source_ip)
    return Datagram(connected, str(Endpoint(address.text, place.port)), network.readers)
