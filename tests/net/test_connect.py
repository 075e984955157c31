"""Plain connections: measurements, choices, and the texts of failures."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

import anyio
import pytest

from exporter.attempt import begin_attempt, current_attempt
from exporter.model import Reason
from exporter.net import ConnectionFacts, Network
from exporter.net.connection_facts import resolution_measurements
from exporter.net.errors import connection_failure
from exporter.settings import NetworkSettings
from tests.alone import alone
from tests.net.connecting import (
    LOOP_NAMES,
    LOOPS,
    Recorder,
    connect,
    connected,
    no_descriptors_left,
    open_descriptors,
    refused,
)
from tests.servers.tcp import black_hole, close, closed_port, echo, keep_silent, reset_when_spoken_to, say, serve
from tests.waiting import until


@pytest.fixture(params=LOOPS, ids=LOOP_NAMES)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


async def test_tells_address_and_durations_of_a_connection() -> None:
    """A connection's facts are its address, its phases, and the moment when it was ready."""
    with serve(keep_silent) as server:
        before = perf_counter()
        async with connected(server) as connection:
            facts = connection.facts
            assert (facts.address, facts.ip_protocol, facts.ip_addr_hash) == ("127.0.0.1", 4, 3668918509)
            assert before < facts.ready_at < perf_counter()
            assert (facts.tls, facts.tls_seconds) == (None, 0.0)
            assert facts.resolve_seconds == facts.lookup_seconds
            assert 0 < facts.connect_seconds < facts.ready_at - before - facts.resolve_seconds


async def test_measures_the_resolution_as_three_series() -> None:
    """Lookup time, IP version and address hash are the metrics of every type that resolves."""
    with serve(keep_silent, "::1") as server:
        async with connected(server) as connection:
            values = {one.spec.name: one.value for one in resolution_measurements(connection.facts)}
    assert values == {
        "probe_dns_lookup_time_seconds": connection.facts.lookup_seconds,
        "probe_ip_protocol": 6,
        "probe_ip_addr_hash": 1751717746,
    }


async def test_carries_data_both_ways() -> None:
    """The protocol gets the event loop's own transport, and every byte."""
    with serve(echo) as server:
        async with connected(server) as connection:
            connection.transport.write(b"to and fro" * 100_000)
            assert await connection.protocol.until(1_000_000) == b"to and fro" * 100_000
            assert connection.transport.get_protocol() is connection.protocol


async def test_loses_nothing_that_a_server_says_at_once() -> None:
    """Data that arrives together with the connection reaches the protocol."""
    with serve(say(b"220 hello\r\n")) as server:
        for _ in range(20):
            async with connected(server) as connection:
                assert await connection.protocol.until(11) == b"220 hello\r\n"


async def test_connects_from_the_source_address() -> None:
    """The peer sees the connection come from source_ip."""
    with serve(say(b"!")) as server:
        async with connected(server, source_ip="127.0.0.77") as connection:
            await connection.protocol.until(1)
    assert server.peers == ["127.0.0.77"]


async def test_source_address_decides_the_family() -> None:
    """The family of source_ip is used for a name, whatever family is preferred."""
    with serve(say(b"!"), "::1") as server:
        async with connected(server, host="localhost", source_ip="::1", ip_protocol="prefer_ip4") as connection:
            await connection.protocol.until(1)
    assert (server.peers, connection.facts.address) == (["::1"], "::1")


async def test_connects_to_the_address_given_instead_of_the_name() -> None:
    """With connect_to, nothing is looked up; its port is used if it has one."""
    with serve(say(b"!")) as server:
        for place in (server.target, server.host):
            async with connected(server, host="no-such-name.invalid", connect_to=place) as connection:
                assert await connection.protocol.until(1) == b"!"
    with serve(say(b"!")) as server, closed_port() as port:
        failure, facts = await refused(port, host="localhost", connect_to="127.0.0.9")
        assert (failure.reason, facts.address) == (Reason.CONNECT_REFUSED, "127.0.0.9")
        async with connected(server, network=Network(), connect_to=f"127.0.0.1:{server.port}") as connection:
            assert connection.facts.address == "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "settings", "reason", "detail"),
    [
        ("127.0.0.1", {"source_ip": "::1"}, Reason.LOCAL, "127.0.0.1 cannot be reached from source_ip ::1"),
        ("::1", {"source_ip": "127.0.0.1"}, Reason.LOCAL, "::1 cannot be reached from source_ip 127.0.0.1"),
        (
            "localhost",
            {"source_ip": "::1", "ip_protocol": "ip4"},
            Reason.LOCAL,
            "source_ip ::1 cannot be used with ip_protocol ip4",
        ),
        ("::1", {"ip_protocol": "ip4"}, Reason.RESOLVE, "::1 is not an IPv4 address"),
        ("127.0.0.1", {"ip_protocol": "ip6"}, Reason.RESOLVE, "127.0.0.1 is not an IPv6 address"),
        (
            "127.0.0.1",
            {"source_ip": "203.0.113.9"},
            Reason.LOCAL,
            "cannot assign requested address while connecting to 127.0.0.1:PORT",
        ),
        ("255.255.255.255", {}, Reason.UNREACHABLE, "network is unreachable while connecting to 255.255.255.255:PORT"),
        ("127.0.0.1", {}, Reason.CONNECT_REFUSED, "connection refused while connecting to 127.0.0.1:PORT"),
        ("::1", {}, Reason.CONNECT_REFUSED, "connection refused while connecting to [::1]:PORT"),
    ],
)
async def test_names_what_prevented_a_connection(host: str, settings: Any, reason: Reason, detail: str) -> None:
    """Each obstacle has its reason; local ones are never blamed on the target."""
    with closed_port(host if host in ("127.0.0.1", "::1") else "127.0.0.1") as port:
        failure, facts = await refused(port, host=host, **settings)
    assert (failure.reason, failure.detail) == (reason, detail.replace("PORT", str(port)))
    assert (facts.ready_at, facts.tls) == (0.0, None)


async def test_bounds_connecting_by_itself() -> None:
    """Without an answer, connecting ends with connect_timeout, and the time spent is measured."""
    with black_hole() as port:
        failure, facts = await refused(port, connect_timeout_seconds=0.2)
    assert (failure.reason, failure.detail) == (
        Reason.CONNECT_TIMEOUT,
        f"127.0.0.1:{port} did not answer within 0.2 s",
    )
    assert 0.195 < facts.connect_seconds < 10  # the system would try for two minutes
    assert facts.address == "127.0.0.1"


async def test_tells_the_runner_what_a_timeout_would_mean() -> None:
    """While connecting, a timeout of the check means connect_timeout; afterwards it means timeout."""
    attempt = begin_attempt()
    with black_hole() as port:
        facts = ConnectionFacts(current_attempt())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.4):
                await connect(Network(), Recorder(), ("127.0.0.1", port), NetworkSettings(), facts)
    assert attempt.timeout_reason is Reason.CONNECT_TIMEOUT
    assert 0.1 < facts.connect_seconds < 10
    attempt = begin_attempt()
    with serve(keep_silent) as server:
        async with connected(server):
            assert attempt.timeout_reason is Reason.TIMEOUT


@pytest.mark.parametrize("use_uvloop", [True, False], ids=LOOP_NAMES)
def test_cancelled_connections_leave_nothing_behind(*, use_uvloop: bool) -> None:
    """After 50 cancelled connections, there are as many descriptors and tasks as before."""
    before, after = alone(counts_around_cancelled_connections, use_uvloop)
    assert after == before


def counts_around_cancelled_connections(use_uvloop: bool) -> tuple[tuple[int, int], tuple[int, int]]:
    with black_hole() as port:
        return anyio.run(_cancel_connections, port, backend_options={"use_uvloop": use_uvloop})


async def _cancel_connections(port: int) -> tuple[tuple[int, int], tuple[int, int]]:
    first = await _counts_after(port, 1)  # libuv keeps a descriptor in reserve from its first connection on
    return first, await _counts_after(port, 50)


async def _counts_after(port: int, count: int) -> tuple[int, int]:
    """The numbers of tasks and descriptors after so many cancelled connections."""
    descriptors = open_descriptors()
    tries = [
        asyncio.create_task(
            connect(Network(), Recorder(), ("127.0.0.1", port), NetworkSettings(), ConnectionFacts(current_attempt()))
        )
        for _ in range(count)
    ]
    await until(lambda: open_descriptors() >= descriptors + count)
    for task in tries:
        task.cancel()
    await asyncio.gather(*tries, return_exceptions=True)
    await asyncio.sleep(0.1)
    return len(asyncio.all_tasks()), open_descriptors()


async def test_blames_this_host_when_it_has_no_descriptors() -> None:
    """Running out of file descriptors is a local failure; connecting works again afterwards."""
    with serve(keep_silent) as server:
        with no_descriptors_left():
            failure, _ = await refused(server.port)
        assert (failure.reason, failure.detail) == (
            Reason.LOCAL,
            f"too many open files while connecting to {server.target}",
        )
        async with connected(server) as connection:
            assert connection.facts.ready_at


async def test_tells_a_reset_from_a_close() -> None:
    """If a connection ends after it was made, the protocol judges it, with the error if there was one."""
    with serve(close) as closing, serve(reset_when_spoken_to) as resetting:
        async with connected(closing) as connection:
            await connection.protocol.until_lost()
            assert connection.protocol.events == ["made", "eof", "lost"]
        async with connected(resetting) as connection:
            connection.transport.write(b"hello")
            await connection.protocol.until_lost()
            assert connection.protocol.lost_because is not None
            failure = connection_failure(connection.protocol.lost_because, "reading")
            assert (failure.reason, failure.detail) == (
                Reason.CONNECTION_RESET,
                "connection reset by peer while reading",
            )
