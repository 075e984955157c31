"""The system's files about names: the hosts file and the resolver configuration, and changes to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.net.dns.system_files import NameServer, ResolverConfig, parse_hosts, parse_resolv_conf
from tests.net.connecting import LOOP_NAMES, LOOPS
from tests.net.dns.naming import Place, questions, resolve, serving

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=LOOPS, ids=LOOP_NAMES)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_reads_hosts_files() -> None:
    """Comments, aliases and repeated names are read as hosts(5) has them; names are in lower case and ASCII."""
    text = "127.0.0.1 localhost\n# 9.9.9.9 not.test\n192.0.2.1\tA.test  b # c\n\n::1 a.test\n192.0.2.9\nbroken a.test\n"
    text += "192.0.2.7 Straße.test\n"
    assert parse_hosts(text) == {
        "localhost": ("127.0.0.1",),
        "a.test": ("192.0.2.1", "::1", "broken"),
        "b": ("192.0.2.1",),
        "xn--strae-oqa.test": ("192.0.2.7",),
    }


@pytest.mark.parametrize(
    ("text", "config"),
    [
        ("", ResolverConfig(servers=(NameServer("127.0.0.1"),))),
        (
            (
                "; comment\nnameserver 192.0.2.1 # first\nnameserver 2001:DB8::1\nnameserver nonsense\n"
                "nameserver 192.0.2.3\nnameserver 192.0.2.4\ndomain old.test\nsearch a.test. b.test\n"
                "options ndots:5 timeout:2 attempts:3 rotate\n"
            ),
            ResolverConfig(
                servers=(NameServer("192.0.2.1"), NameServer("2001:db8::1"), NameServer("192.0.2.3")),
                search=("a.test", "b.test"),
                ndots=5,
                timeout_seconds=2.0,
                attempts=3,
            ),
        ),
        (
            "nameserver\nsearch\noptions ndots:99 timeout:0 attempts:99 ndots timeout:x\n",
            ResolverConfig(servers=(NameServer("127.0.0.1"),), ndots=15, timeout_seconds=1.0, attempts=5),
        ),
    ],
)
def test_reads_resolver_configurations(text: str, config: ResolverConfig) -> None:
    """Servers, search domains and options follow resolv.conf(5), within its bounds."""
    assert parse_resolv_conf(text) == config


@given(st.text(), st.text())
def test_reads_whatever_the_files_hold(hosts: str, resolv_conf: str) -> None:
    """No content of the files causes an error."""
    assert isinstance(parse_hosts(hosts), dict)
    assert parse_resolv_conf(resolv_conf).servers


async def test_hosts_file_comes_first(place: Place) -> None:
    """A name in the hosts file is not looked up, even if the file has only the less preferred family."""
    place.hosts.write_text("192.0.2.1 Both.test\n2001:db8::1 both.test six.test\nbroken both.test\n", encoding="utf-8")
    place.resolv_conf.write_text("nameserver 127.0.0.1\n", encoding="utf-8")
    async with serving(place, {}) as server:
        lookups = place.lookups()
        assert await resolve(lookups, "both.test") == "192.0.2.1"
        assert await resolve(lookups, "BOTH.test.", ip_protocol="prefer_ip6") == "2001:db8::1"
        assert await resolve(lookups, "six.test") == "2001:db8::1"
        assert server.asked == []
        assert await resolve(lookups, "six.test", ip_protocol="ip4") == "resolve: six.test does not exist"
    assert questions(server) == ["A six.test", "AAAA six.test"]


async def test_notices_changed_files_with_the_next_batch(place: Place) -> None:
    """Both files may be missing, and are read again when they change."""
    async with serving(place, {"A new.test": "192.0.2.7"}, "127.0.0.2") as server:
        assert (await resolve(place.lookups(), "new.test")).startswith("resolve: new.test could not be looked up")
        place.resolv_conf.write_text("nameserver 127.0.0.2\n", encoding="utf-8")
        assert await resolve(place.lookups(), "new.test") == "192.0.2.7"
        place.hosts.write_text("192.0.2.8 new.test\n", encoding="utf-8")
        assert await resolve(place.lookups(), "new.test") == "192.0.2.8"
    assert questions(server) == ["A new.test"]


async def test_localhost_is_this_host(place: Place) -> None:
    """Localhost and its subdomains need neither a file nor a server."""
    lookups = place.lookups()
    assert await resolve(lookups, "localhost") == "127.0.0.1"
    assert await resolve(lookups, "a.LOCALHOST.", ip_protocol="prefer_ip6") == "::1"
