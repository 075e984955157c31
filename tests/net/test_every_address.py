"""Every address of a name: complete lookups, the order, and what may be connected to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from exporter.addresses import Endpoint
from exporter.allowed_targets import parse_allowed_targets
from exporter.attempt import Attempt
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net import ConnectionFacts
from exporter.net.every_address import every_address
from exporter.settings import NetworkSettings
from tests.net.dns.naming import Place, serving

if TYPE_CHECKING:
    from pathlib import Path

ZONE = {
    "A late.test": "192.0.2.2 192.0.2.1 after 0.2",
    "AAAA late.test": "2001:db8::1",
    "A twice.test": "192.0.2.10 192.0.2.9 192.0.2.10",
    "AAAA twice.test": "",
    "A torn.test": "192.0.2.1",
    "AAAA torn.test": "SERVFAIL",
    "A many.test": " ".join(f"192.0.2.{number}" for number in range(30, 0, -1)),
    "AAAA many.test": "2001:db8::1",
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A system without a hosts file that asks the name server of the test."""
    place = Place(tmp_path)
    place.resolv_conf.write_text("nameserver 127.0.0.1\n", encoding="utf-8")
    return place


async def find(place: Place, host: str, facts: ConnectionFacts | None = None, **settings: Any) -> tuple[list[str], str]:
    """The addresses of a host, and why some may be missing."""
    facts = facts or ConnectionFacts(Attempt())
    async with serving(place, ZONE):
        found = await every_address(place.lookups(), Endpoint(host, 443), NetworkSettings(**settings), facts)
    return [address.text for address in found.addresses], found.failure.detail if found.failure else ""


async def test_both_families_are_awaited(place: Place) -> None:
    """A family that answers late still comes first when it is preferred, and its lookup is part of the time."""
    facts = ConnectionFacts(Attempt())
    assert await find(place, "late.test", facts) == (["192.0.2.1", "192.0.2.2", "2001:db8::1"], "")
    assert facts.lookup_seconds > 0.19
    assert facts.resolve_seconds >= facts.lookup_seconds
    assert facts.address == "192.0.2.1"


async def test_addresses_are_in_the_order_of_their_numbers(place: Place) -> None:
    """They are no texts: 9 is before 10. One that is listed twice is one."""
    assert await find(place, "twice.test") == (["192.0.2.9", "192.0.2.10"], "")


async def test_all_addresses_are_found(place: Place) -> None:
    """Their number is not limited here, so that the check can tell it."""
    addresses, _ = await find(place, "many.test", ip_protocol="prefer_ip6")
    assert addresses == ["2001:db8::1", *(f"192.0.2.{number}" for number in range(1, 31))]


async def test_a_family_whose_lookup_failed_is_reported(place: Place) -> None:
    """The addresses of the other family are returned beside the failure; without any, the lookup has failed."""
    why = f"torn.test could not be looked up: 127.0.0.1:{place.port} answered SERVFAIL"
    assert await find(place, "torn.test") == (["192.0.2.1"], why)
    assert await find(place, "torn.test", ip_protocol="ip4") == (["192.0.2.1"], "")
    with pytest.raises(CheckFailed) as failure:
        await find(place, "torn.test", ip_protocol="ip6")
    assert (failure.value.reason, failure.value.detail) == (Reason.RESOLVE, why)


async def test_the_hosts_file_counts(place: Place) -> None:
    """Its addresses are used without asking DNS, and localhost has one of each family even without an entry."""
    place.hosts.write_text("2001:db8::7 www.test\n192.0.2.8 www.test\n192.0.2.7 www.test\n", encoding="utf-8")
    assert await find(place, "www.test") == (["192.0.2.7", "192.0.2.8", "2001:db8::7"], "")
    assert await find(place, "localhost", ip_protocol="prefer_ip6") == (["::1", "127.0.0.1"], "")


async def test_the_systems_resolver_counts(place: Place) -> None:
    """The system is asked for both families, and a zone stays part of an address."""
    addresses, _ = await find(place, "localhost", resolver="system", ip_protocol="any")
    assert set(addresses) <= {"127.0.0.1", "::1"}
    assert addresses == sorted(addresses)


async def test_an_address_is_itself(place: Place) -> None:
    """A literal address of another family than is allowed fails as it does for any check."""
    assert await find(place, "fe80::1%2") == (["fe80::1%2"], "")
    with pytest.raises(CheckFailed, match="is not an IPv6 address"):
        await find(place, "192.0.2.1", ip_protocol="ip6")


async def test_only_allowed_addresses_are_returned(place: Place) -> None:
    """An address that the allowed targets exclude is left out; without any, the reason says so."""
    facts = ConnectionFacts(Attempt())
    facts.allowed_targets = parse_allowed_targets(["192.0.2.9"])
    assert await find(place, "twice.test", facts) == (["192.0.2.9"], "")
    facts.allowed_targets = parse_allowed_targets(["192.0.2.1"])
    with pytest.raises(CheckFailed, match="is not among the allowed targets"):
        await find(place, "twice.test", facts)
