"""What is checked: the same healthy targets for both exporters, one kind for each type of check."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import dns.message
import trustme

from tests.servers.dnsmasq import run_dnsmasq
from tests.servers.grpc import run_grpc
from tests.servers.nginx import PLAIN_SERVER, TLS_SERVER, CertificateFiles, run_nginx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

HOSTS = tuple(f"127.0.1.{number}" for number in range(1, 201))
"""Two hundred addresses of one server: as many targets as the kernel is concerned."""

_NAME = "www.test"


class Targets(NamedTuple):
    """Targets of one type.

    Attributes:
        check_type: The type of our checks.
        defaults: What our checks have in common besides the type, as the keys of a flow mapping.
        module: The module of blackbox_exporter that checks the same; empty when it does not have the type.
        targets: Our targets.
        blackbox_targets: The same as blackbox_exporter names them.
    """

    check_type: str
    defaults: str
    module: str
    targets: list[str]
    blackbox_targets: list[str]

    def checks_yml(self) -> str:
        """Our configuration; with 10,000 checks it still fits into one file."""
        lines = [f'  - {{name: c{number}, target: "{target}", type: {self.check_type}}}'
                 for number, target in enumerate(self.targets)]  # fmt: skip
        return "\n".join([f"defaults: {{{self.check_type}: {{{self.defaults}}}}}", "checks:", *lines, ""])

    def share(self, number: int, count: int) -> Targets:
        """Return one of `count` equal shares, by its number from 0."""
        return self._replace(targets=self.targets[number::count], blackbox_targets=self.blackbox_targets[number::count])

    def blackbox_yml(self) -> str:
        """The configuration of blackbox_exporter."""
        return f"modules: {{bench: {self.module}}}\n"


@contextmanager
def http_targets(directory: Path, count: int) -> Iterator[Targets]:
    """Plain HTTP to nginx."""
    with run_nginx(directory, PLAIN_SERVER) as nginx:
        urls = [nginx.url(f"/{number}", host=HOSTS[number % len(HOSTS)]) for number in range(count)]
        yield Targets("http", "", "{prober: http, timeout: 10s, http: {preferred_ip_protocol: ip4}}", urls, urls)


@contextmanager
def https_targets(directory: Path, count: int, protocols: str = "TLSv1.2 TLSv1.3") -> Iterator[Targets]:
    """HTTPS to nginx, its certificate and that of an intermediate authority verified, as most have them.

    The protocols are those of Debian's `nginx.conf`; without that file, its nginx has nothing newer than TLS 1.2.
    """
    directory.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    files = CertificateFiles(directory / "cert.pem", directory / "key.pem")
    ca_file = directory / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    certificate = authority.create_child_ca().issue_cert(*HOSTS)
    for number, pem in enumerate(certificate.cert_chain_pems):
        pem.write_to_path(str(files.cert_file), append=number > 0)
    certificate.private_key_pem.write_to_path(str(files.key_file))
    tls = f'tls_config: {{ca_file: "{ca_file}"}}'
    with run_nginx(directory, f"ssl_protocols {protocols}; {TLS_SERVER}", certificate=files) as nginx:
        urls = [nginx.tls_url(f"/{number}", host=HOSTS[number % len(HOSTS)]) for number in range(count)]
        module = f"{{prober: http, timeout: 10s, http: {{preferred_ip_protocol: ip4, {tls}}}}}"
        yield Targets("http", tls, module, urls, urls)


@contextmanager
def tcp_targets(directory: Path, count: int) -> Iterator[Targets]:
    """TCP connections to nginx."""
    with run_nginx(directory, PLAIN_SERVER) as nginx:
        places = [f"{HOSTS[number % len(HOSTS)]}:{nginx.port}" for number in range(count)]
        module = "{prober: tcp, timeout: 10s, tcp: {preferred_ip_protocol: ip4}}"
        yield Targets("tcp", "", module, places, places)


@contextmanager
def dns_targets(directory: Path, count: int) -> Iterator[Targets]:
    """Queries for an address to dnsmasq."""
    with run_dnsmasq(directory, [f"--host-record={_NAME},192.0.2.1"]) as dnsmasq:
        query = f"query_name: {_NAME}, query_type: A, preferred_ip_protocol: ip4"
        yield Targets(
            "dns",
            f'server: "{dnsmasq.server}"',
            f"{{prober: dns, timeout: 10s, dns: {{{query}}}}}",
            [_NAME] * count,
            [dnsmasq.server] * count,
        )


@contextmanager
def grpc_targets(directory: Path, count: int) -> Iterator[Targets]:
    """Calls of the health service of a grpcio server, without TLS."""
    with run_grpc(host="0.0.0.0") as server:
        places = [f"{HOSTS[number % len(HOSTS)]}:{server.port}" for number in range(count)]
        module = "{prober: grpc, timeout: 10s, grpc: {preferred_ip_protocol: ip4}}"
        yield Targets("grpc", "", module, places, places)


@contextmanager
def icmp_targets(_directory: Path, count: int) -> Iterator[Targets]:
    """Pings of the loopback, which the kernel answers; both exporters need permission to send them."""
    hosts = [HOSTS[number % len(HOSTS)] for number in range(count)]
    yield Targets("icmp", "", "{prober: icmp, timeout: 10s, icmp: {preferred_ip_protocol: ip4}}", hosts, hosts)


@contextmanager
def udp_targets(directory: Path, count: int) -> Iterator[Targets]:
    """Queries for an address to dnsmasq, as a dialogue; blackbox_exporter has no such type."""
    with run_dnsmasq(directory, [f"--host-record={_NAME},192.0.2.1"]) as dnsmasq:
        question = dns.message.make_query(_NAME, "A", id=1).to_wire().hex()
        steps = f'[{{send_bytes: "{question}"}}, {{expect_bytes: "0001"}}]'
        yield Targets("udp", f"dialogue: {steps}", "", [dnsmasq.server] * count, [])


TYPES: dict[str, Callable[[Path, int], AbstractContextManager[Targets]]] = {
    "http": http_targets,
    "https": https_targets,
    "https-tls12": partial(https_targets, protocols="TLSv1.2"),
    "tcp": tcp_targets,
    "dns": dns_targets,
    "grpc": grpc_targets,
    "icmp": icmp_targets,
    "udp": udp_targets,
}
"""What `--type` can be."""
