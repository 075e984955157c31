"""Connections kept open through proxies: tunnels of HTTP and SOCKS, and a proxy that is handed requests."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest

from exporter.attempt import current_attempt
from exporter.http.client import ProbeTransport
from exporter.http.message import Exchange, RequestOptions
from exporter.http.shared import HttpShared
from exporter.http.wire import wire_request
from exporter.net.proxy.route import Proxies, parse_proxy_url
from exporter.settings import NetworkSettings, TlsConfig
from tests.servers.certificates import server_context, valid
from tests.servers.nginx import PLAIN_SERVER, TLS_SERVER
from tests.servers.proxy import run_proxy
from tests.servers.sockets import sockets_to
from tests.servers.squid import run_squid
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme

    from exporter.net.proxy.route import ProxyRoute
    from tests.servers.nginx import CertificateFiles, Nginx

HOSTS = {"localhost": "127.0.0.1"}
PASSWORD = "s3cr3t-CANARY"
SERVERS = {
    "http": PLAIN_SERVER,
    "https": TLS_SERVER,
    "http2": TLS_SERVER.replace("ssl backlog", "ssl http2 backlog"),
}
VERSIONS = {"http": "1.1", "https": "1.1", "http2": "2"}


async def ask(shared: HttpShared, url: str, ca_file: Path, proxy: ProxyRoute) -> Exchange:
    """Make one exchange through a proxy, and keep its connection."""
    options = RequestOptions(
        network=NetworkSettings(),
        tls=TlsConfig(ca_file=str(ca_file)),
        proxies=Proxies(proxy, proxy),
        keep_alive=True,
    )
    exchange = Exchange(current_attempt(), secure=url.startswith("https"))
    await ProbeTransport(shared).exchange(wire_request(httpx.Request("GET", url), options), exchange)
    return exchange


def counted(shared: HttpShared) -> tuple[int, int]:
    """Connections opened, and requests over those opened earlier."""
    return shared.counts.opened, shared.counts.reused


@pytest.fixture
def url_of(start_nginx: Callable[..., Nginx], certificate: CertificateFiles) -> Callable[[str], str]:
    """Start nginx for one of SERVERS, and yield its URL with a name in it."""

    def start(server: str) -> str:
        nginx = start_nginx(SERVERS[server], certificate=certificate)
        return nginx.url(host="localhost") if server == "http" else nginx.tls_url()

    return start


@pytest.fixture(scope="module")
def squid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a squid."""
    with run_squid(tmp_path_factory.mktemp("squid")) as port:
        yield port


@pytest.mark.parametrize("kind", ["http", "https", "socks5"])
@pytest.mark.parametrize("server", SERVERS)
async def test_a_connection_through_a_proxy_is_used_again(
    ca: trustme.CA, ca_file: Path, url_of: Callable[[str], str], kind: str, server: str
) -> None:
    """One connection to the proxy, with its credentials and one request for the target, serves several requests."""
    context = server_context(valid(ca, "127.0.0.1")) if kind == "https" else None
    with run_proxy(HOSTS, PASSWORD, context) as proxy:
        port = proxy.socks_port if kind == "socks5" else proxy.port
        route = replace(parse_proxy_url(f"{kind}://127.0.0.1:{port}"), username="me", password=PASSWORD)
        route = replace(route, tls=TlsConfig(ca_file=str(ca_file)))
        shared, url = HttpShared(), url_of(server)
        got = [await ask(shared, url, ca_file, route) for _ in range(3)]
        assert [(one.body, one.http_version) for one in got] == [(b"hello\n", VERSIONS[server])] * 3
        assert (counted(shared), len(proxy.heads) + len(proxy.targets)) == ((1, 2), 1)


@pytest.mark.parametrize("server", SERVERS)
async def test_squid_serves_request_after_request(
    squid: int, ca_file: Path, url_of: Callable[[str], str], server: str
) -> None:
    """With squid, both a tunnel and the connection for plain requests are reused."""
    shared, url = HttpShared(), url_of(server)
    route = parse_proxy_url(f"http://127.0.0.1:{squid}")
    got = [await ask(shared, url, ca_file, route) for _ in range(3)]
    assert [(one.status, one.body, one.http_version) for one in got] == [(200, b"hello\n", VERSIONS[server])] * 3
    assert counted(shared) == (1, 2)
    facts = got[1].connection
    assert (facts.address, facts.connect_seconds, facts.tls_seconds) == (got[0].connection.address, 0.0, 0.0)


async def test_targets_share_no_connection_to_a_proxy(
    squid: int, ca_file: Path, start_nginx: Callable[..., Nginx]
) -> None:
    """Requests for another target, or without a proxy, use another connection."""
    shared, nginx, route = HttpShared(), start_nginx(), parse_proxy_url(f"http://127.0.0.1:{squid}")
    await ask(shared, nginx.url(host="localhost"), ca_file, route)
    await ask(shared, nginx.url(host="127.0.0.1"), ca_file, route)
    await ask(shared, nginx.url(host="localhost"), ca_file, replace(route, username="me", password=PASSWORD))
    assert counted(shared) == (3, 0)


async def test_a_tunnel_that_the_target_closes_is_noticed(
    squid: int, ca_file: Path, start_nginx: Callable[..., Nginx], certificate: CertificateFiles
) -> None:
    """When the target's timeout ends the tunnel, so does the proxy's connection, and the next request has a new one."""
    nginx = start_nginx(TLS_SERVER.replace("location", "keepalive_timeout 1s; location"), certificate=certificate)
    shared, route = HttpShared(), parse_proxy_url(f"http://127.0.0.1:{squid}")
    await ask(shared, nginx.tls_url(), ca_file, route)
    await until(lambda: sockets_to(squid) == 0)
    assert (await ask(shared, nginx.tls_url(), ca_file, route)).status == 200
    assert counted(shared) == (2, 0)
