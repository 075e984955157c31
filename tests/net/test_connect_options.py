"""Connection options that are computed when the configuration is loaded."""

from __future__ import annotations

import pytest

from exporter.addresses import parse_address
from exporter.errors import CheckFailed
from exporter.net import Endpoint, connect_options
from exporter.net.proxy.route import ProxyRoute
from exporter.settings import NetworkSettings, TlsConfig


@pytest.mark.parametrize(
    ("host", "in_tls", "beside", "name"),
    [
        ("a.test", None, None, "a.test"),
        ("A.test.", None, None, "a.test"),
        ("a.test", None, "b.test", "b.test"),
        ("a.test", "c.test", "b.test", "c.test"),
        ("fe80::1%eth0", None, None, "fe80::1"),
    ],
)
def test_the_name_to_verify_is_decided_once(host: str, in_tls: str | None, beside: str | None, name: str) -> None:
    """The name of `tls_config` comes first, then the one that the request asks for, then the host."""
    options = connect_options(
        Endpoint(host, 443), NetworkSettings(), tls=TlsConfig(server_name=in_tls), server_name=beside
    )
    assert options.server_name == name


def test_an_invalid_name_is_rejected_only_where_it_would_be_verified() -> None:
    """Without TLS nothing is verified."""
    assert connect_options(Endpoint("a b", 80), NetworkSettings()).server_name == ""
    with pytest.raises(CheckFailed, match="is not a host name"):
        connect_options(Endpoint("a b", 443), NetworkSettings(), tls=TlsConfig())


def test_a_proxy_is_verified_under_its_own_name() -> None:
    """The TLS options of the target do not apply to the proxy."""
    proxy = ProxyRoute(kind="https", host="proxy.test", port=3128, tls=TlsConfig(insecure_skip_verify=True))
    options = connect_options(
        Endpoint("a.test", 443), NetworkSettings(), tls=TlsConfig(), server_name="b.test", proxy=proxy
    )
    assert options.proxy is not None
    to_proxy = options.proxy.connect
    assert to_proxy.tls is not None
    assert (options.server_name, to_proxy.server_name, to_proxy.tls.verifying) == ("b.test", "proxy.test", False)


@pytest.mark.parametrize(
    ("host", "settings", "address"),
    [
        ("192.0.2.1", {}, "192.0.2.1"),
        ("a.test", {}, None),
        ("a.test", {"connect_to": "192.0.2.2"}, "192.0.2.2"),
        ("192.0.2.1", {"ip_protocol": "ip6"}, None),
        ("2001:db8::1", {"source_ip": "192.0.2.9"}, None),
    ],
)
def test_an_address_needs_no_lookup(host: str, settings: dict[str, str], address: str | None) -> None:
    """A literal address that is allowed is known in advance; one that is not is rejected by each run."""
    options = connect_options(Endpoint(host, 80), NetworkSettings.model_validate(settings))
    assert options.address == (None if address is None else parse_address(address))
