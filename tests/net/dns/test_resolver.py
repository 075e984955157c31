"""From names to addresses: families, search domains, name servers in turn, and answers of every kind."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from tests.net.connecting import LOOP_NAMES, LOOPS
from tests.net.dns.naming import NamesServed, Place, questions, resolve, serving
from tests.servers.dns import run_dns_server
from tests.servers.sockets import sockets_to
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.dns import DnsServer


@pytest.fixture(params=LOOPS, ids=LOOP_NAMES)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


ZONE = {
    "A both.test": "192.0.2.1 192.0.2.2",
    "AAAA both.test": "2001:db8::1",
    "A four.test": "192.0.2.4",
    "AAAA four.test": "",
    "A six.test": "",
    "AAAA six.test": "2001:db8::6",
    "A none.test": "",
    "AAAA none.test": "",
    "A half.test": "SERVFAIL",
    "AAAA half.test": "2001:db8::5",
    "A only-six.test": "NXDOMAIN",
    "AAAA only-six.test": "2001:db8::7",
    "A only-four.test": "192.0.2.7",
    "AAAA only-four.test": "NXDOMAIN",
    "A mixed.test": "NXDOMAIN",
    "AAAA mixed.test": "",
    "A torn.test": "NXDOMAIN",
    "AAAA torn.test": "SERVFAIL",
}


@pytest.mark.parametrize(
    ("host", "ip_protocol", "result", "asked"),
    [
        ("both.test", "prefer_ip4", "192.0.2.1", "A"),
        ("both.test", "prefer_ip6", "2001:db8::1", "AAAA"),
        ("both.test", "ip4", "192.0.2.1", "A"),
        ("both.test", "ip6", "2001:db8::1", "AAAA"),
        ("four.test", "prefer_ip6", "192.0.2.4", "AAAA A"),
        ("four.test", "ip6", "resolve: four.test has no IPv6 address", "AAAA"),
        ("six.test", "prefer_ip4", "2001:db8::6", "A AAAA"),
        ("six.test", "ip4", "resolve: six.test has no IPv4 address", "A"),
        ("none.test", "prefer_ip6", "resolve: none.test has no IPv4 or IPv6 address", "AAAA A"),
        ("missing.test", "prefer_ip4", "resolve: missing.test does not exist", "A AAAA"),
        ("missing.test", "prefer_ip6", "resolve: missing.test does not exist", "AAAA A"),
        ("missing.test", "ip4", "resolve: missing.test does not exist", "A AAAA"),
        ("missing.test", "ip6", "resolve: missing.test does not exist", "AAAA A"),
        ("only-six.test", "prefer_ip4", "2001:db8::7", "A AAAA"),
        ("only-six.test", "prefer_ip6", "2001:db8::7", "AAAA"),
        ("only-six.test", "ip4", "resolve: only-six.test has no IPv4 address", "A AAAA"),
        ("only-four.test", "prefer_ip6", "192.0.2.7", "AAAA A"),
        ("only-four.test", "ip6", "resolve: only-four.test has no IPv6 address", "AAAA A"),
        ("mixed.test", "prefer_ip4", "resolve: mixed.test has no IPv4 or IPv6 address", "A AAAA"),
        ("mixed.test", "ip4", "resolve: mixed.test has no IPv4 address", "A AAAA"),
        (
            "torn.test",
            "prefer_ip4",
            "resolve: torn.test could not be looked up: SERVER answered SERVFAIL",
            "A AAAA",
        ),
        (
            "torn.test",
            "prefer_ip6",
            "resolve: torn.test could not be looked up: SERVER answered SERVFAIL",
            "AAAA A",
        ),
        ("torn.test", "ip4", "resolve: torn.test has no IPv4 address", "A AAAA"),
        ("half.test", "prefer_ip4", "2001:db8::5", "A AAAA"),
        ("half.test", "ip4", "resolve: half.test could not be looked up: SERVER answered SERVFAIL", "A"),
    ],
)
async def test_chooses_the_family(place: Place, host: str, ip_protocol: str, result: str, asked: str) -> None:
    """The first address of the preferred family is taken; the other is asked for only when that has none.

    That a name does not exist is said when both families say so, also where one of them could not be used.
    """
    async with serving(place, ZONE) as server:
        found = await resolve(place.lookups(), host, ip_protocol=ip_protocol)
    assert found == result.replace("SERVER", f"127.0.0.1:{place.port}")
    assert questions(server) == [f"{kind} {host}" for kind in asked.split()]


async def test_any_asks_for_both_families_at_once(place: Place) -> None:
    """With ip_protocol any, an IPv4 address is used if there is one, and IPv6 otherwise."""
    async with serving(place, ZONE) as server:
        assert await resolve(place.lookups(), "both.test", ip_protocol="any") == "192.0.2.1"
        assert await resolve(place.lookups(), "six.test", ip_protocol="any") == "2001:db8::6"
    assert {"A six.test", "AAAA six.test"} <= set(server.asked)


async def test_any_does_not_wait_for_the_other_family(place: Place) -> None:
    """With ip_protocol any, a silent lookup of one family does not delay the other's answer, and is cancelled."""
    place.resolv_conf.write_text("nameserver 127.0.0.1\noptions timeout:30\n", encoding="utf-8")
    async with serving(place, {"A x.test": "192.0.2.1", "AAAA x.test": "silence"}), asyncio.timeout(10):
        assert await resolve(place.lookups(), "x.test", ip_protocol="any") == "192.0.2.1"
        await until(lambda: sockets_to(place.port) == 0)


@pytest.mark.parametrize(
    ("host", "options", "asked"),
    [
        ("db", "", ["db.a.test", "db.b.test", "db"]),
        ("db.x", "", ["db.x", "db.x.a.test", "db.x.b.test"]),
        ("db.x", "options ndots:2", ["db.x.a.test", "db.x.b.test", "db.x"]),
        ("db.x.y.", "options ndots:5", ["db.x.y"]),
    ],
)
async def test_completes_names_with_search_domains(place: Place, host: str, options: str, asked: list[str]) -> None:
    """Names with fewer dots than ndots are completed first, others last; a final dot prevents completion."""
    place.resolv_conf.write_text(f"nameserver 127.0.0.1\nsearch a.test b.test\n{options}\n", encoding="utf-8")
    async with serving(place, {}) as server:
        assert await resolve(place.lookups(), host) == f"resolve: {host} does not exist"
    assert questions(server) == [f"{kind} {name}" for name in asked for kind in ("A", "AAAA")]


async def test_stops_searching_at_the_first_address(place: Place) -> None:
    """A failing search domain does not hide the address found in the next one."""
    place.resolv_conf.write_text("nameserver 127.0.0.1\nsearch bad.test good.test\n", encoding="utf-8")
    async with serving(place, {"A db.bad.test": "SERVFAIL", "A db.good.test": "192.0.2.9"}) as server:
        assert await resolve(place.lookups(), "db") == "192.0.2.9"
    assert questions(server) == ["A db.bad.test", "AAAA db.bad.test", "A db.good.test"]


@pytest.mark.parametrize("happy_eyeballs", [False, True])
@pytest.mark.parametrize("absent", ["", "NXDOMAIN"])
async def test_searches_by_name_and_not_by_family(place: Place, absent: str, *, happy_eyeballs: bool) -> None:
    """The first completed name with an address of any family is the host, not a later one with IPv4."""
    place.resolv_conf.write_text("nameserver 127.0.0.1\nsearch near.test far.test\n", encoding="utf-8")
    zone = {"A db.near.test": absent, "AAAA db.near.test": "2001:db8::1", "A db.far.test": "192.0.2.1"}
    async with serving(place, zone) as server:
        assert await resolve(place.lookups(), "db", happy_eyeballs=happy_eyeballs) == "2001:db8::1"
    assert sorted(questions(server)) == ["A db.near.test", "AAAA db.near.test"]


async def test_an_alias_of_nothing_exists(place: Place) -> None:
    """An alias to a name that does not exist has no address, but itself exists (RFC 6604 section 3)."""

    class Alias(NamesServed):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            query = dns.message.from_wire(data)
            response = dns.message.make_response(query)
            response.set_rcode(dns.rcode.NXDOMAIN)
            response.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "CNAME", "gone.test."))
            self._transport.sendto(response.to_wire(), addr)  # type: ignore[attr-defined] # a datagram transport

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Alias({}, []), local_addr=("127.0.0.1", place.port)
    )
    told = await resolve(place.lookups(), "alias.test")
    transport.close()
    assert told == "resolve: alias.test has no IPv4 or IPv6 address"


async def test_tries_the_name_servers_in_turn(place: Place) -> None:
    """A server that is closed or returns an error is skipped at once."""
    place.resolv_conf.write_text("nameserver 127.0.0.9\nnameserver 127.0.0.2\nnameserver 127.0.0.3\n", encoding="utf-8")
    async with (
        serving(place, {"*": "REFUSED"}, "127.0.0.2") as second,
        serving(place, {"A x.test": "192.0.2.3"}, "127.0.0.3"),
    ):
        durations = []
        for _ in range(5):
            started = perf_counter()
            assert await resolve(place.lookups(), "x.test") == "192.0.2.3"
            durations.append(perf_counter() - started)
        assert min(durations) < 0.5  # a server that is waited for costs a second
    assert second.asked == ["A x.test"] * 5


async def test_waits_only_shortly_for_a_silent_first_server(place: Place) -> None:
    """A dead first server costs a second, not the thirty of resolv.conf."""
    place.resolv_conf.write_text("nameserver 127.0.0.2\nnameserver 127.0.0.3\noptions timeout:30\n", encoding="utf-8")
    async with (
        serving(place, {"*": "silence"}, "127.0.0.2"),
        serving(place, {"A x.test": "192.0.2.3"}, "127.0.0.3"),
    ):
        started = perf_counter()
        assert await resolve(place.lookups(), "x.test") == "192.0.2.3"
        assert 0.995 < perf_counter() - started < 10


async def test_tells_what_each_server_did(place: Place) -> None:
    """If no server answers, the failure names every server and what it did."""
    place.resolv_conf.write_text(
        "nameserver 127.0.0.2\nnameserver 127.0.0.3\nnameserver 127.0.0.9\noptions timeout:1 attempts:1\n",
        encoding="utf-8",
    )
    async with serving(place, {"*": "silence"}, "127.0.0.2"), serving(place, {"*": "SERVFAIL"}, "127.0.0.3"):
        told = await resolve(place.lookups(), "x.test", ip_protocol="ip4")
    assert told == (
        f"resolve: x.test could not be looked up: 127.0.0.2:{place.port} did not answer within 1 s; "
        f"127.0.0.3:{place.port} answered SERVFAIL; "
        f"127.0.0.9:{place.port}: connection refused while waiting for the answer"
    )


LONG = "x" * 64


@pytest.fixture
def zoo() -> Iterator[DnsServer]:
    with run_dns_server() as server:
        yield server


@pytest.mark.parametrize(
    ("host", "result"),
    [
        ("www.test", "192.0.2.10"),
        ("alias.test", "192.0.2.10"),
        ("nodata.test", "resolve: nodata.test has no IPv4 address"),
        ("spoofed.test", "192.0.2.10"),
        ("many.test", "192.0.2.1"),
        ("tcp-drip.test", "192.0.2.10"),
        ("truncated.test", "192.0.2.10"),
        ("notimp.test", "UNTOLD answered NOTIMP"),
        (
            "tcp-closed.test",
            "UNTOLD: the server closed the connection without an answer",
        ),
        (
            "tcp-zero.test",
            "UNTOLD: what the server sent is not an answer: it is shorter than a header",
        ),
        (
            "tcp-wrong-id.test",
            "UNTOLD: what the server sent is not an answer: its id is a different one",
        ),
        ("bücher.test", "resolve: xn--bcher-kva.test does not exist"),
        ("straße.test", "resolve: xn--strae-oqa.test does not exist"),
        ("a..test", "resolve: 'a..test' is not a host name: it has an empty label"),
        (
            f"{LONG}.test",
            f"resolve: '{LONG}.test' is not a host name: its label {'x' * 20}… has 64 characters, and 63 are allowed",
        ),
        (
            "\ud800.test",
            "resolve: '\\ud800.test' is not a host name: it contains U+D800, which is not allowed in names",
        ),
    ],
    ids=ascii,
)
async def test_asks_the_checks_own_server(zoo: DnsServer, place: Place, host: str, result: str) -> None:
    """With `resolver`, only that server is asked, for the name as written, whatever it answers."""
    place.hosts.write_text("192.0.2.99 www.test\n", encoding="utf-8")
    place.resolv_conf.write_text("nameserver 127.0.0.9\nsearch other.test\n", encoding="utf-8")
    found = await resolve(place.lookups(), host, resolver=zoo.server, ip_protocol="ip4")
    assert found == result.replace("UNTOLD", f"resolve: {host} could not be looked up: {zoo.server}")


async def test_aliases_may_lead_nowhere(place: Place) -> None:
    """A loop of CNAME records means a name without address."""

    class Loop(NamesServed):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            query = dns.message.from_wire(data)
            response = dns.message.make_response(query)
            for alias, target in (("a.test.", "b.test."), ("b.test.", "a.test.")):
                response.answer.append(dns.rrset.from_text(alias, 60, "IN", "CNAME", target))
            self._transport.sendto(response.to_wire(), addr)  # type: ignore[attr-defined] # a datagram transport

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Loop({}, []), local_addr=("127.0.0.1", place.port)
    )
    told = await resolve(place.lookups(), "a.test", ip_protocol="ip4")
    transport.close()
    assert told == "resolve: a.test has no IPv4 address"
