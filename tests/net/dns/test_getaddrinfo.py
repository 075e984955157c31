"""The system's own resolver: its results, the texts of its failures, and the cost of names that hang."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections import Counter
from time import perf_counter
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import pytest
from anyio.from_thread import BlockingPortalProvider

from exporter.addresses import parse_address
from exporter.attempt import begin_attempt, current_attempt
from exporter.checks.tcp import TCP
from exporter.config import parse_config
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net import ConnectionFacts, Network
from exporter.net.dns.getaddrinfo import MAX_RESOLVER_THREADS, ResolverThreads, address_of, system_failure
from exporter.net.dns.resolver import Resolver
from exporter.net.dns.system_files import SystemFiles
from exporter.runner.registry import ExecutorRegistry
from exporter.runner.runner import AsyncCheckRunner
from exporter.settings import NetworkSettings
from tests.net.connecting import Recorder, connect, no_descriptors_left
from tests.net.dns.naming import resolve
from tests.net.dns.own_system import in_own_system
from tests.servers.tcp import keep_silent, serve
from tests.threads import no_new_threads
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.model import Result
    from tests.servers.dns import DnsServer

SHORT = "timeout:1 attempts:1"
LONG = "timeout:30 attempts:1"
"""Longer than anything here lasts: the system goes on asking the silent server, and nothing can stop it."""

FOR_NOW = "could not be looked up by the system: no name server answered, or one failed for now (EAI_AGAIN)"
FOUND = [
    ("localhost", "ip4", "127.0.0.1"),
    ("localhost", "prefer_ip6", "127.0.0.1"),
    ("localhost", "ip6", "resolve: localhost has no IPv6 address"),
    ("six.hosts", "prefer_ip4", "2001:db8::6"),
    ("WWW.test", "prefer_ip4", "192.0.2.10"),
    ("www.test", "prefer_ip6", "2001:db8::10"),
    ("www.test", "any", "192.0.2.10"),
    ("only-six.test", "prefer_ip4", "2001:db8::66"),
    ("only-six.test", "any", "2001:db8::66"),
    ("nodata.test", "prefer_ip4", "resolve: nodata.test has no IPv4 or IPv6 address"),
    ("nxdomain.test", "prefer_ip4", "resolve: nxdomain.test does not exist"),
    ("nxdomain.test", "ip4", "resolve: nxdomain.test has no IPv4 address"),
    ("bücher.test", "any", "resolve: xn--bcher-kva.test does not exist"),
    ("servfail.test", "prefer_ip4", f"resolve: servfail.test {FOR_NOW}"),
    ("silent.test", "ip4", f"resolve: silent.test {FOR_NOW}"),
]


async def find(_: DnsServer) -> list[str]:
    lookups = Resolver(SystemFiles(), ResolverThreads())
    return [await resolve(lookups, name, resolver="system", ip_protocol=family) for name, family, _ in FOUND]


def test_finds_what_the_system_finds(tmp_path: Path) -> None:
    """Names of the hosts file and of DNS have addresses by family; a failure has the text of its code."""
    hosts = "127.0.0.1 localhost\n2001:db8::6 six.hosts\n"
    assert in_own_system(find, tmp_path, options=SHORT, hosts=hosts) == [told for *_, told in FOUND]


async def find_without_descriptors(_: DnsServer) -> list[str]:
    lookups = Resolver(SystemFiles(), ResolverThreads())
    with no_descriptors_left():
        refused = await resolve(lookups, "www.test", resolver="system", ip_protocol="ip4")
    begin_attempt()
    return [refused, await resolve(lookups, "www.test", resolver="system", ip_protocol="ip4")]


def test_blames_this_host_when_the_system_has_no_descriptors(tmp_path: Path) -> None:
    """A lookup that lacks a file descriptor is a local failure, and a retry asks again."""
    told = in_own_system(find_without_descriptors, tmp_path, options=SHORT)
    assert told == ["local: www.test could not be looked up by the system: too many open files", "192.0.2.10"]


async def find_without_threads(_: DnsServer) -> list[object]:
    threads = ResolverThreads()
    with no_new_threads():
        refused = await resolve(Resolver(SystemFiles(), threads), "www.test", resolver="system", ip_protocol="ip4")
    return [refused, threads.busy, await resolve(Resolver(SystemFiles(), threads), "www.test", resolver="system")]


def test_blames_this_host_when_it_has_no_thread(tmp_path: Path) -> None:
    """A thread that cannot be started is a local failure, and is not counted."""
    told = in_own_system(find_without_threads, tmp_path, options=SHORT)
    assert told == ["local: www.test could not be looked up: there is no thread for it", 0, "192.0.2.10"]


async def share(server: DnsServer) -> dict[str, Any]:
    threads = ResolverThreads()
    lookups, other_batch = Resolver(SystemFiles(), threads), Resolver(SystemFiles(), threads)
    facts = [ConnectionFacts(current_attempt()) for _ in range(20)]
    settings = NetworkSettings(resolver="system", ip_protocol="ip4")
    waiting = [asyncio.create_task(lookups.address("slow.test", settings, each)) for each in facts[:10]]
    await until(lambda: threads.busy)
    late = [asyncio.create_task(other_batch.address("slow.test", settings, each)) for each in facts[10:]]
    busy = threads.busy
    found = {address.text for address in await asyncio.gather(*waiting, *late)}
    await lookups.address("slow.test", settings, facts[0])
    return {
        "found": list(found),
        "busy": [busy, threads.busy],
        "queries": len(server.asked),
        "lookups": len({each.lookup_seconds for each in facts}),
        "took": facts[0].lookup_seconds,
    }


def test_simultaneous_lookups_of_a_name_share_a_thread(tmp_path: Path) -> None:
    """One lookup serves a batch, and other batches meanwhile; all have its duration."""
    told = in_own_system(share, tmp_path, options=SHORT)
    assert told.pop("took") > 0.195
    assert told == {"found": ["192.0.2.10"], "busy": [1, 0], "queries": 1, "lookups": 1}


def run_hanging(server: DnsServer) -> dict[str, Any]:
    """Run a batch twice that has more hanging names than threads, beside checks without names."""
    hanging = [f"silent.n{number}.test" for number in range(MAX_RESOLVER_THREADS + 8)]
    checks = [
        f"{{name: {name}, type: tcp, target: '{name}:1', resolver: system, ip_protocol: ip4}}" for name in hanging
    ]
    checks += ["{name: address, type: tcp, target: '127.0.0.1:1'}"]
    checks += ["{name: name, type: tcp, target: 'www.test:1', resolver: 127.0.0.1}"]
    text = f"defaults: {{timeout: 2s}}\nchecks: [{', '.join(checks)}]"
    registry, network = ExecutorRegistry(), Network()
    registry.register_type(TCP)
    told, others, busy = [], [], []
    with (provider := BlockingPortalProvider("asyncio", {"use_uvloop": True})):
        runner = AsyncCheckRunner(provider, registry, network=network)
        for _ in range(2):
            results: list[Result] = []
            runner.run_all(parse_config(text, "checks.yml", {"tcp": TCP}).checks, results.append)
            told.append(Counter(one.detail for one in results if one.reason is Reason.RESOLVE))
            others.append({one.check_name: one.reason for one in results if one.duration_seconds < 1})
            busy.append(network.resolver_threads.busy)
    threads = sum(thread.name == "nyxmon-resolver" for thread in threading.enumerate())
    return {"told": told, "others": others, "busy": busy, "threads": threads}


async def hang(server: DnsServer) -> dict[str, Any]:
    return await anyio.to_thread.run_sync(run_hanging, server)


def test_names_that_hang_take_only_threads_of_their_own(tmp_path: Path) -> None:
    """They fail in time, keep one thread each over batches, and delay neither other checks nor the process's end."""
    started = perf_counter()
    told = in_own_system(hang, tmp_path, options=LONG)
    assert perf_counter() - started < 25
    late = "not done within the timeout of 2 s, in the phase resolve"
    assert told == {
        "told": [{late: MAX_RESOLVER_THREADS, f"{late}: all 32 resolver threads are busy": 8}] * 2,
        "others": [{"address": "connect_refused", "name": "unreachable"}] * 2,
        "busy": [MAX_RESOLVER_THREADS] * 2,
        "threads": MAX_RESOLVER_THREADS,
    }


async def wait_in_vain(server: DnsServer) -> list[str]:
    threads = ResolverThreads(limit=1)
    first = asyncio.create_task(threads.look_up("slow.test", 4))
    await until(lambda: threads.busy)
    given_up, kept = (asyncio.create_task(threads.look_up(name, 4)) for name in ("two.test", "www.test"))
    await asyncio.sleep(0)
    given_up.cancel()
    answers = await asyncio.gather(first, kept)
    return [
        *(address.text for answer in answers for address in answer.addresses),
        *(asked.query.question[0].name.to_text() for asked in server.asked),
    ]


def test_an_unwanted_lookup_is_not_started(tmp_path: Path) -> None:
    """Names get a thread in the order of asking; a name whose check was cancelled gets none."""
    assert in_own_system(wait_in_vain, tmp_path) == ["192.0.2.10", "192.0.2.10", "slow.test.", "www.test."]


async def race(_: DnsServer) -> dict[str, Any]:
    with serve(keep_silent, "127.0.0.2") as server:
        facts = ConnectionFacts(current_attempt())
        settings = NetworkSettings(resolver="system", happy_eyeballs=True, ip_protocol="prefer_ip6")
        transport = await connect(Network(), Recorder(), ("both.hosts", server.port), settings, facts)
        transport.abort()
    return {"address": facts.address, "lookup": 0 < facts.lookup_seconds <= facts.resolve_seconds}


def test_all_addresses_of_the_system_can_be_tried(tmp_path: Path) -> None:
    """With happy_eyeballs, the system is asked for both families."""
    hosts = "::1 both.hosts\n127.0.0.2 both.hosts\n"
    assert in_own_system(race, tmp_path, hosts=hosts) == {"address": "127.0.0.2", "lookup": True}


@pytest.mark.parametrize("name", ["a..test", "x" * 64 + ".test", "a\0.test", "a b\n.test", "bücher.test"])
async def test_asks_the_system_for_no_nonsense(name: str) -> None:
    """A text that is not a domain name is rejected without taking a thread."""
    threads = ResolverThreads()
    with pytest.raises(CheckFailed, match="is not a domain name"):
        await threads.look_up(name, 4)
    assert threads.busy == 0


@pytest.mark.parametrize(
    ("error", "reason", "detail"),
    [
        (
            socket.gaierror(socket.EAI_AGAIN, ""),
            Reason.RESOLVE,
            "no name server answered, or one failed for now (EAI_AGAIN)",
        ),
        (socket.gaierror(socket.EAI_FAIL, ""), Reason.RESOLVE, "a name server refused or failed for good (EAI_FAIL)"),
        (socket.gaierror(socket.EAI_MEMORY, ""), Reason.LOCAL, "there was no memory for it (EAI_MEMORY)"),
        (socket.gaierror(socket.EAI_BADFLAGS, ""), Reason.RESOLVE, f"its error code is {socket.EAI_BADFLAGS}"),
        (OSError(errno.EMFILE, ""), Reason.LOCAL, "too many open files"),
        (OSError(errno.ECONNREFUSED, ""), Reason.RESOLVE, "connection refused"),
    ],
)
def test_tells_failures_apart_by_their_codes(error: OSError, reason: Reason, detail: str) -> None:
    """Each code of getaddrinfo has its text; system errors are distinguished from those of name servers."""
    failure = system_failure("x.test", error)
    assert (failure.reason, failure.detail) == (reason, f"x.test could not be looked up by the system: {detail}")


@pytest.mark.parametrize(
    ("place", "address"),
    [(("127.0.0.1", 0), "127.0.0.1"), (("fe80::1", 0, 0, 2), "fe80::1%2"), (("::1", 0, 0, 0), "::1")],
)
def test_link_local_addresses_keep_their_zone(place: tuple[Any, ...], address: str) -> None:
    """An address that is valid only on one interface, as found by multicast DNS, includes the interface."""
    assert address_of(place) == parse_address(address)
