"""Sockets shared by many series of requests, in a network of the test's own."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

from exporter.addresses import parse_address
from exporter.icmp.packets import echo_request
from exporter.icmp.pool import EchoSockets
from exporter.icmp.series import EchoSeries
from exporter.net.readers import SharedReaders
from tests.servers.network_namespace import allow_ping_groups, in_own_network

if TYPE_CHECKING:
    from collections.abc import Iterator


def series_of(count: int, host: str = "127.0.0.1") -> EchoSeries:
    address = parse_address(host)
    assert address is not None
    return EchoSeries(address, count=count, payload_bytes=56)


async def use_many_sequence_numbers() -> None:
    sockets = EchoSockets(SharedReaders())
    try:
        first, second, third = (series_of(count) for count in (30000, 30000, 2000))
        one = sockets.obtain(first, dont_fragment=False)
        two = sockets.obtain(second, dont_fragment=False)
        assert one is not two
        assert sockets.obtain(third, dont_fragment=False) is two
        two.forget(second)
        assert sockets.obtain(series_of(30000), dont_fragment=False) is two
        assert sockets.obtain(series_of(1), dont_fragment=True) not in (one, two)
        assert sockets.obtain(series_of(1, "::1"), dont_fragment=False) not in (one, two)
    finally:
        sockets.close()


async def send_more_than_there_are_sequence_numbers() -> None:
    sockets = EchoSockets(SharedReaders())
    try:
        for _ in range(70):
            series = series_of(1000)
            shared = sockets.obtain(series, dont_fragment=False)
            for _ in range(series.count):
                await shared.send(series)
            with anyio.fail_after(10):
                while not series.is_settled:
                    await series.wait_for_change()
            shared.forget(series)
            assert series.round_trips().received == 1000
    finally:
        sockets.close()


async def ping_during_a_flood() -> None:
    sockets = EchoSockets(SharedReaders())
    try:
        series = series_of(1)
        shared = sockets.obtain(series, dont_fragment=False)
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as stranger:
            for number in range(200):  # whose replies have the identifier of the shared socket
                stranger.sendto(echo_request(4, shared._identifier, number, b"stranger"), ("127.0.0.1", 0))
        await anyio.sleep(0.01)
        await shared.send(series)
        with anyio.fail_after(10):
            while not series.is_settled:
                await series.wait_for_change()
        assert series.round_trips().received == 1
    finally:
        sockets.close()


@contextmanager
def running(scenario: object) -> Iterator[None]:
    allow_ping_groups("0 2147483647")
    anyio.run(scenario, backend_options={"use_uvloop": True})  # type: ignore[arg-type]
    yield


def test_a_socket_has_sequence_numbers_for_so_many_requests() -> None:
    """A series that would not fit gets another socket, until earlier ones are forgotten."""
    with in_own_network(lambda: running(use_many_sequence_numbers)):
        pass


def test_sequence_numbers_are_used_again() -> None:
    """After 65,536 requests the numbers start anew, and replies still find their requests."""
    with in_own_network(lambda: running(send_more_than_there_are_sequence_numbers)):
        pass


def test_a_reply_is_found_after_a_flood_of_other_packets() -> None:
    """Reading pauses while packets arrive that answer nothing, and then goes on."""
    with in_own_network(lambda: running(ping_during_a_flood)):
        pass
