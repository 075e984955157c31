"""All addresses of a name on request (RFC 8305): the order, the winner, and the cleanup of the rest."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from exporter.addresses import parse_address
from exporter.attempt import Attempt, begin_attempt, current_attempt
from exporter.checks.tcp import TCP
from exporter.config import parse_config
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net import ConnectionFacts, Network
from exporter.net.dns.address_queue import AddressQueue
from exporter.net.dns.stub import LookupAnswer
from exporter.net.happy_eyeballs import Race
from exporter.net.proxy.route import ProxyRoute
from exporter.settings import NetworkSettings, TlsConfig
from tests.net.connecting import LOOP_NAMES, LOOPS, Recorder, connect
from tests.net.dns.naming import Place, serving
from tests.servers.certificates import server_context, valid
from tests.servers.process import free_port
from tests.servers.proxy import run_proxy
from tests.servers.tcp import black_hole, keep_silent, over_tls, serve
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack
    from pathlib import Path

    import trustme

    from exporter.net.dns.address_queue import Outcome
    from tests.servers.tcp import Behaviour, TcpServer

BOTH = {"A x.test": "127.0.0.2", "AAAA x.test": "::1"}
DELAY_SECONDS = 0.25
"""Pause between attempts, RFC 8305 section 8; tests leave the timer 5 ms."""

_ESTABLISHED, _SYN_SENT = 1, 2  # include/net/tcp_states.h


@pytest.fixture(params=LOOPS, ids=LOOP_NAMES)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


class Site:
    """A name whose addresses share a port; each may listen, be silent, or refuse, which is the default."""

    def __init__(self, directory: Path, held: ExitStack) -> None:
        self.place = Place(directory)
        self.place.resolv_conf.write_text("nameserver 127.0.0.1\n", encoding="utf-8")
        self.port = free_port()
        self.attempt = Attempt()
        self.facts = ConnectionFacts(self.attempt)
        self._held = held

    def listen(self, host: str, behave: Behaviour = keep_silent) -> TcpServer:
        """Make an address accept connections."""
        return self._held.enter_context(serve(behave, host, self.port))

    def be_silent(self, *hosts: str) -> None:
        """Make addresses answer nothing."""
        for host in hosts:
            self._held.enter_context(black_hole(host, self.port))

    async def connect(
        self, zone: Mapping[str, str], *, host: str = "x.test", tls: TlsConfig | None = None, **options: Any
    ) -> str:
        """Connect to a host; return the address or the failure. Only the winner's socket remains."""
        self.attempt = begin_attempt()
        self.facts = ConnectionFacts(self.attempt)
        settings = NetworkSettings(**{"happy_eyeballs": True, "ip_protocol": "prefer_ip6", **options})
        network, before = Network(system_files=self.place.names), attempts_at(self.port)
        async with serving(self.place, zone):
            try:
                transport = await connect(network, Recorder(), (host, self.port), settings, self.facts, tls=tls)
            except CheckFailed as failure:
                await until(lambda: attempts_at(self.port) == before)
                return f"{failure.reason}: {failure.detail.replace(str(self.port), 'PORT')}"
            left = attempts_at(self.port) - before
            transport.abort()
            assert left == 1
            await until(lambda: attempts_at(self.port) == before)
        return self.facts.address

    def tried(self) -> list[str]:
        """The addresses that were tried, in order."""
        tried = [line.fields["address"] for line in self.attempt.log if line.message == "trying"]
        return [str(place).removesuffix(f":{self.port}").strip("[]") for place in tried]


def attempts_at(port: int) -> int:
    """The number of this process's sockets that are connected, or being connected, to a port."""
    return sum(_leads_to(port, int(name)) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208 - the numbers alone


def _leads_to(port: int, descriptor: int) -> bool:
    try:
        borrowed = socket.socket(fileno=descriptor)
    except OSError:
        return False  # no socket, or gone meanwhile
    try:
        if borrowed.type != socket.SOCK_STREAM or borrowed.family not in (socket.AF_INET, socket.AF_INET6):
            return False
        state = borrowed.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        return state == _SYN_SENT or (state == _ESTABLISHED and borrowed.getpeername()[1] == port)
    except OSError:
        return False  # its connection ended meanwhile
    finally:
        borrowed.detach()


@pytest.fixture
def site(tmp_path: Path, servers: ExitStack) -> Site:
    return Site(tmp_path, servers)


@pytest.mark.parametrize(
    ("ip_protocol", "winner"), [("prefer_ip6", "::1"), ("prefer_ip4", "127.0.0.2"), ("ip4", "127.0.0.2")]
)
async def test_the_preferred_family_wins_where_both_answer(site: Site, ip_protocol: str, winner: str) -> None:
    """An address that answers is the only one tried, and the facts are those of a plain connection."""
    listening = {host: site.listen(host) for host in ("127.0.0.2", "::1")}
    assert await site.connect(BOTH, ip_protocol=ip_protocol) == winner
    await until(lambda: listening[winner].peers)
    assert sum(len(server.peers) for server in listening.values()) == 1
    facts, address = site.facts, parse_address(winner)
    assert (facts.address, facts.ip_protocol, facts.ip_addr_hash) == address
    assert facts.ready_at > 0
    assert facts.lookup_seconds <= facts.resolve_seconds


async def test_a_silent_address_holds_up_the_next_for_a_quarter_second(site: Site) -> None:
    """If IPv6 is silent, IPv4 is tried beside it; connecting counts from the first attempt to the one that answered."""
    site.be_silent("::1")
    site.listen("127.0.0.2")
    assert await site.connect(BOTH) == "127.0.0.2"
    assert site.tried() == ["::1", "127.0.0.2"]
    assert DELAY_SECONDS - 0.005 < site.facts.connect_seconds < DELAY_SECONDS + 2
    assert (site.facts.ip_protocol, site.attempt.timeout_reason) == (4, Reason.TIMEOUT)


async def test_a_refusing_address_holds_up_nothing(site: Site) -> None:
    """The next of twenty refusing addresses is tried at once, by alternating families; the last one answers."""
    sixth = [f"127.0.0.{number}" for number in range(11, 30)]
    site.listen("127.0.0.29")
    assert await site.connect({"A x.test": " ".join(sixth), "AAAA x.test": "::1"}) == "127.0.0.29"
    assert site.tried() == ["::1", *sixth]
    assert site.facts.connect_seconds < len(sixth) * DELAY_SECONDS / 2


async def test_families_take_turns() -> None:
    """The preferred family begins; they alternate as long as both have addresses; none is tried twice."""
    texts = ["192.0.2.1", "192.0.2.2", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2"]
    addresses = [address for text in texts if (address := parse_address(text))]
    order = list(iter(AddressQueue.of(addresses).take, None))
    assert [address.text for address in order] == [
        "192.0.2.1", "2001:db8::1", "192.0.2.2", "2001:db8::2", "192.0.2.3"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("aaaa", "tried"),
    [
        ("::1 after 1", ["127.0.0.2"]),
        ("silence", ["127.0.0.2"]),
        ("", ["127.0.0.2"]),
        ("SERVFAIL", ["127.0.0.2"]),
        ("NXDOMAIN", ["127.0.0.2"]),
    ],
)
async def test_waits_shortly_for_the_preferred_family(site: Site, aaaa: str, tried: list[str]) -> None:
    """AAAA is awaited for 50 ms after A; then IPv4 goes first, and it does so at once if there is no IPv6."""
    for host in ("127.0.0.2", "::1"):
        site.listen(host)
    assert await site.connect({**BOTH, "AAAA x.test": aaaa}) == tried[0]
    assert (site.tried() or tried) == tried
    assert site.facts.resolve_seconds < 0.9
    if aaaa in ("::1 after 1", "silence"):
        assert site.facts.resolve_seconds > 0.045


async def test_addresses_of_the_preferred_family_may_come_shortly_later() -> None:
    """An AAAA answer within that time goes before A, whose addresses are kept."""
    loop = asyncio.get_running_loop()
    lookups: dict[int, asyncio.Future[Outcome]] = {version: loop.create_future() for version in (6, 4)}
    candidates = AddressQueue((6, 4), lookups)
    settling = asyncio.create_task(candidates.settle())
    four, six = parse_address("192.0.2.1"), parse_address("2001:db8::1")
    assert four is not None
    assert six is not None
    lookups[4].set_result(LookupAnswer((four,), exists=True, seconds=0.25))
    while candidates.next is None:  # noqa: ASYNC110 - in the passes of the loop in which it happens, and no later
        await asyncio.sleep(0)
    lookups[6].set_result(LookupAnswer((six,), exists=True, seconds=0.5))
    await settling
    assert list(iter(candidates.take, None)) == [six, four]
    assert (candidates.lookup_seconds, candidates.under_way) == (0.5, frozenset())


async def test_does_not_wait_for_the_other_family(site: Site) -> None:
    """If only the AAAA answer has arrived, its address is tried without waiting for A."""
    site.listen("::1")
    assert await site.connect({"A x.test": "silence", "AAAA x.test": "::1"}) == "::1"


async def test_addresses_that_come_late_join_the_race(site: Site) -> None:
    """While IPv4 is silent, or after it has refused, an address that arrives only then wins."""
    site.listen("::1")
    late = {"A x.test": "127.0.0.2", "AAAA x.test": "::1 after 0.4"}
    assert await site.connect(late) == "::1"
    assert site.tried() == ["127.0.0.2", "::1"]
    site.be_silent("127.0.0.2")
    assert await site.connect(late) == "::1"
    assert site.tried() == ["127.0.0.2", "::1"]
    assert site.facts.connect_seconds > 0.25


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        (
            BOTH,
            "connect_refused: REFUSED [::1]:PORT; REFUSED 127.0.0.2:PORT",
        ),
        (
            {"A x.test": "127.0.0.2", "AAAA x.test": "ff00::1"},
            "unreachable: network is unreachable while connecting to [ff00::1]:PORT; REFUSED 127.0.0.2:PORT",
        ),
        (
            {"A x.test": "127.0.0.2", "AAAA x.test": "SERVFAIL"},
            "connect_refused: REFUSED 127.0.0.2:PORT; x.test could not be looked up: SERVER answered SERVFAIL",
        ),
        ({"A x.test": "127.0.0.2"}, "connect_refused: REFUSED 127.0.0.2:PORT"),
        ({"A x.test": "", "AAAA x.test": ""}, "resolve: x.test has no IPv4 or IPv6 address"),
        (
            {"A x.test": "", "AAAA x.test": "SERVFAIL"},
            "resolve: x.test could not be looked up: SERVER answered SERVFAIL",
        ),
        ({}, "resolve: x.test does not exist"),
    ],
)
async def test_tells_of_every_address_when_all_fail(site: Site, zone: dict[str, str], told: str) -> None:
    """The reason and the facts are those of the first address tried; the detail has each address with its failure."""
    outcome = await site.connect(zone)
    told = told.replace("REFUSED", "connection refused while connecting to")
    assert outcome == told.replace("SERVER", f"127.0.0.1:{site.place.port}")
    assert [site.facts.address] == (site.tried()[:1] or [site.facts.address])
    assert site.facts.ready_at == 0


async def test_does_not_tell_of_thousands(site: Site) -> None:
    """The detail names some of very many addresses, and the number of others."""
    site.place.hosts.write_text("".join(f"127.0.1.{number} x.test\n" for number in range(1, 51)), encoding="utf-8")
    told = await site.connect({})
    assert told.endswith("connection refused while connecting to 127.0.1.32:PORT; 18 more addresses failed")
    assert len(site.tried()) == 50


async def test_connect_timeout_bounds_the_whole_race(site: Site) -> None:
    """Silent addresses share connect_timeout; the failure names the ones that were tried."""
    site.be_silent("::1", "127.0.0.2")
    told = await site.connect(BOTH, connect_timeout_seconds=1.2)
    assert told == (
        "connect_timeout: not connected within 1.2 s: [::1]:PORT did not answer; 127.0.0.2:PORT did not answer"
    )
    assert 1.195 < site.facts.connect_seconds < 4
    assert site.facts.address == "::1"


async def test_a_race_that_is_cut_off_leaves_nothing_behind(site: Site) -> None:
    """No socket, lookup or task outlives the check, and the detail says what was tried."""
    site.be_silent("127.0.0.2", "127.0.0.3")
    zone = {"A x.test": "127.0.0.2 127.0.0.3", "AAAA x.test": "silence"}
    before, tasks = attempts_at(site.port), len(asyncio.all_tasks())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.2):
            await site.connect(zone)
    assert len(asyncio.all_tasks()) == tasks
    await until(lambda: attempts_at(site.port) == before)
    assert site.attempt.timeout_reason is Reason.CONNECT_TIMEOUT
    place = f"127.0.0.%d:{site.port} did not answer"
    assert site.attempt.timeout_detail == f"{place % 2}; {place % 3}"


async def test_a_lookup_that_is_cut_off_leaves_nothing_behind(site: Site) -> None:
    """Both lookups end with the check that began them."""
    tasks = len(asyncio.all_tasks())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.4):
            await site.connect({"*": "silence"})
    await until(lambda: len(asyncio.all_tasks()) == tasks)
    assert site.attempt.timeout_reason is Reason.RESOLVE


async def test_the_second_to_arrive_is_closed(site: Site) -> None:
    """If two connections are established at the same moment, the first is used and the other is closed."""
    site.listen("127.0.0.2")
    protocol, address = Recorder(), parse_address("127.0.0.2")
    assert address is not None
    race = Race(protocol, AddressQueue.of([address]), site.port, None, site.attempt)
    connect = asyncio.get_running_loop().create_connection
    first, second = [(await connect(asyncio.Protocol, "127.0.0.2", site.port))[0] for _ in range(2)]
    race.established(address, first)
    race.established(address, second)
    assert race.winner is not None
    assert race.winner.transport is protocol.transport is first
    assert (protocol.events, first.is_closing(), second.is_closing()) == (["made"], False, True)
    first.abort()


async def test_source_address_decides_the_family(site: Site) -> None:
    """With source_ip, only addresses of its family are looked up and tried."""
    server = site.listen("127.0.0.2")
    assert await site.connect({"A x.test": "127.0.0.2"}, source_ip="127.0.0.77") == "127.0.0.2"
    await until(lambda: server.peers == ["127.0.0.77"])
    assert await site.connect(BOTH, source_ip="127.0.0.77", ip_protocol="ip6") == (
        "local: source_ip 127.0.0.77 cannot be used with ip_protocol ip6"
    )


async def test_takes_all_addresses_of_the_hosts_file(site: Site) -> None:
    """Lines of the hosts file are candidates like DNS records, and so are both addresses of localhost."""
    site.place.hosts.write_text("127.0.0.2 x.test\n::1 x.test\n127.0.0.3 x.test\n", encoding="utf-8")
    site.listen("127.0.0.3")
    assert await site.connect({}) == "127.0.0.3"
    assert site.tried() == ["::1", "127.0.0.2", "127.0.0.3"]
    site.listen("::1")
    assert await site.connect({}, host="localhost", ip_protocol="prefer_ip4") == "::1"
    assert site.tried() == ["127.0.0.1", "::1"]


async def test_an_ip_address_needs_no_race(site: Site) -> None:
    """Literal addresses, and connect_to, are connected to as usual."""
    site.listen("127.0.0.2")
    assert await site.connect({}, host="127.0.0.2") == "127.0.0.2"
    assert await site.connect({}, connect_to="127.0.0.2") == "127.0.0.2"
    assert await site.connect({}, connect_to="127.0.0.3") == (
        "connect_refused: connection refused while connecting to 127.0.0.3:PORT"
    )
    assert site.tried() == []


async def test_only_the_winner_shakes_hands(site: Site, ca: trustme.CA, ca_file: Path) -> None:
    """TLS begins on the first established connection, and is measured separately."""
    site.be_silent("::1")
    site.listen("127.0.0.2", over_tls(server_context(valid(ca, "x.test"))))
    assert await site.connect(BOTH, tls=TlsConfig(ca_file=str(ca_file))) == "127.0.0.2"
    assert site.facts.tls is not None
    assert site.facts.tls_seconds > 0
    assert site.facts.connect_seconds > DELAY_SECONDS - 0.005


async def test_proxies_are_reached_in_the_same_way(site: Site) -> None:
    """All addresses of a proxy's name are tried, too."""
    site.place.hosts.write_text("127.0.0.2 proxy.test\n127.0.0.1 proxy.test\n", encoding="utf-8")
    with run_proxy() as proxy, serve(keep_silent) as target:
        facts, route = ConnectionFacts(current_attempt()), ProxyRoute(kind="http", host="proxy.test", port=proxy.port)
        network, settings = Network(system_files=site.place.names), NetworkSettings(happy_eyeballs=True)
        place = ("127.0.0.1", target.port)
        transport = await connect(network, Recorder(), place, settings, facts, proxy=route)
        await until(lambda: target.peers == ["127.0.0.1"])
        transport.abort()
    assert facts.address == "127.0.0.1"


async def test_datagrams_go_to_one_address(site: Site) -> None:
    """The first address of the preferred family is used, and only that family is looked up."""
    settings = NetworkSettings(happy_eyeballs=True, ip_protocol="prefer_ip6")
    async with serving(site.place, BOTH) as server:
        address = await site.place.lookups().address("x.test", settings, site.facts)
    assert (address.text, site.facts.address, server.asked) == ("::1", "::1", ["AAAA x.test"])


def test_a_check_asks_for_it_with_one_word() -> None:
    """It is a key in YAML like any other; without it, one address is tried."""
    text = (
        "checks: [{name: a, type: tcp, target: 'x.test:1', happy_eyeballs: true}, {name: b, type: tcp, target: 'x:1'}]"
    )
    settings = [check.settings for check in parse_config(text, "checks.yml", {"tcp": TCP}).checks]
    assert [isinstance(one, NetworkSettings) and one.happy_eyeballs for one in settings] == [True, False]
