"""Lookups are shared by the checks of a batch, survive the cancellation of some, and end with the last one."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest

from exporter.attempt import begin_attempt, current_attempt
from exporter.model import Reason
from exporter.net import ConnectionFacts
from exporter.settings import NetworkSettings
from tests.net.connecting import LOOP_NAMES, LOOPS, no_descriptors_left
from tests.net.dns.naming import Place, resolve, serving
from tests.servers.dns import SLOW_SECONDS, run_dns_server
from tests.servers.sockets import sockets_to
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=LOOPS, ids=LOOP_NAMES)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_a_batch_asks_once_for_a_name(place: Place) -> None:
    """Checks of one batch share lookups per name and family, both running and finished; the next batch asks again."""
    async with serving(place, {"A x.test": "192.0.2.1", "AAAA x.test": "2001:db8::1"}) as server:
        lookups = place.lookups()
        answers = await asyncio.gather(*(resolve(lookups, name) for name in ["x.test", "X.test"] * 100))
        assert set(answers) == {"192.0.2.1"}
        assert await resolve(lookups, "x.test") == "192.0.2.1"
        assert await resolve(lookups, "x.test", ip_protocol="ip6") == "2001:db8::1"
        assert server.asked == ["A x.test", "AAAA x.test"]
        await resolve(place.lookups(), "x.test")
        assert server.asked == ["A x.test", "AAAA x.test", "A x.test"]


async def test_late_askers_learn_how_long_the_lookup_took(place: Place) -> None:
    """A check that finds the lookup finished did not wait, but has its duration."""
    with run_dns_server() as server:
        lookups, settings = place.lookups(), NetworkSettings(resolver=server.server)
        first, second = ConnectionFacts(current_attempt()), ConnectionFacts(current_attempt())
        await lookups.address("slow.test", settings, first)
        started = perf_counter()
        await lookups.address("slow.test", settings, second)
        waited_seconds = perf_counter() - started
    assert first.resolve_seconds >= first.lookup_seconds == second.lookup_seconds > SLOW_SECONDS - 0.005
    assert 0 < second.resolve_seconds < waited_seconds
    assert len(server.asked) == 1


async def test_failures_are_shared_but_not_with_a_retry(place: Place) -> None:
    """All waiting checks get the failure of one query; an attempt that begins later asks again."""
    zone = {"A x.test": "SERVFAIL"}
    async with serving(place, zone) as server:
        lookups = place.lookups()
        begin_attempt()
        told = await asyncio.gather(*(resolve(lookups, "x.test", ip_protocol="ip4") for _ in range(50)))
        assert set(told) == {f"resolve: x.test could not be looked up: 127.0.0.1:{place.port} answered SERVFAIL"}
        await resolve(lookups, "x.test", ip_protocol="ip4")
        assert server.asked == ["A x.test"]
        zone["A x.test"] = "192.0.2.1"
        begin_attempt()
        assert await resolve(lookups, "x.test", ip_protocol="ip4") == "192.0.2.1"


async def test_a_cancelled_check_takes_no_lookup_from_others(place: Place) -> None:
    """If a check is cancelled, the lookup continues for the others, even if that check began it."""
    async with serving(place, {"A x.test": "silence"}) as server:
        lookups = place.lookups()
        tasks = [asyncio.create_task(resolve(lookups, "x.test")) for _ in range(3)]
        await until(lambda: server.asked)
        tasks[0].cancel()
        tasks[2].cancel()
        await asyncio.wait([tasks[0], tasks[2]])
        await asyncio.sleep(0.05)
        assert [task.done() for task in tasks] == [True, False, True]
        assert server.asked == ["A x.test"]
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_an_unwanted_lookup_is_cancelled(place: Place) -> None:
    """When the last check is cancelled, the lookup ends, leaves nothing, and can be started again."""
    zone = {"A x.test": "silence"}
    async with serving(place, zone) as server:
        lookups = place.lookups()
        tasks = len(asyncio.all_tasks())
        attempt = begin_attempt()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.4):
                await resolve(lookups, "x.test")
        assert (attempt.timeout_reason, server.asked) == (Reason.RESOLVE, ["A x.test"])
        await until(lambda: (sockets_to(place.port), len(asyncio.all_tasks())) == (0, tasks))
        zone["A x.test"] = "192.0.2.1"
        assert await resolve(lookups, "x.test") == "192.0.2.1"


async def test_hanging_names_do_not_delay_others(place: Place) -> None:
    """While 200 names hang, others are found as quickly as usual."""
    place.resolv_conf.write_text("nameserver 127.0.0.1\noptions timeout:30\n", encoding="utf-8")
    async with serving(place, {"A good.test": "192.0.2.1", "*": "silence"}) as server:
        lookups = place.lookups()
        hanging = [asyncio.create_task(resolve(lookups, f"hang-{number}.test")) for number in range(200)]
        await until(lambda: len(set(server.asked)) == len(hanging))  # a question that was lost is asked again
        assert await resolve(lookups, "good.test") == "192.0.2.1"
        assert not any(task.done() for task in hanging)
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)


async def test_blames_this_host_when_it_has_no_sockets(place: Place) -> None:
    """A lookup that lacks a file descriptor is a local failure."""
    lookups = place.lookups()
    await resolve(lookups, "localhost")
    with no_descriptors_left():
        told = await resolve(lookups, "x.test")
    assert told == f"local: too many open files while opening a socket to 127.0.0.1:{place.port}"
