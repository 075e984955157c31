"""Fixtures for every test: real servers on demand, certificates, and detection of blocking calls on the event loop."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from blockbuster import BlockBuster
from hypothesis import HealthCheck, settings

import exporter
from tests.servers.blackbox import Blackbox, run_blackbox
from tests.servers.dnsmasq import Dnsmasq, run_dnsmasq
from tests.servers.nginx import CertificateFiles, Nginx, run_nginx
from tests.servers.prometheus import Prometheus, run_prometheus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

collect_ignore = ["example_plugin"]
"""A package with tests of its own, which run where it is installed."""

signal.signal(signal.SIGINT, signal.default_int_handler)
# A shell has what it runs in the background ignore Ctrl-C, and so would the programs that the tests start.

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")  # a busy machine must not fail a test


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the dashboards first: they share servers, which each worker that has any of them starts.

    The first tests stay with the first worker; later ones may be taken over by a worker that has no more to do.
    """
    items.sort(key=lambda item: "grafana" not in item.path.parts)


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run asynchronous tests as the product runs: asyncio on uvloop."""
    return ("asyncio", {"use_uvloop": True})


@pytest.fixture(scope="session")
def blocking_calls() -> BlockBuster:
    """What finds blocking calls on an event loop by code of the exporter.

    Loading a configuration blocks by design, and tests may do so anywhere.
    """
    watch = BlockBuster(scanned_modules=[exporter])
    watch.functions["io.BufferedReader.read"].can_block_in("exporter/config/check_builder.py", "_settings")
    return watch


@pytest.fixture(autouse=True)
def blockbuster(blocking_calls: BlockBuster) -> Iterator[None]:
    """Fail a test in which code of the exporter makes a blocking call on an event loop."""
    blocking_calls.activate()
    yield
    blocking_calls.deactivate()


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    """An authority that is trusted only by tests that name its file."""
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The authority's certificate, for `tls_config: {ca_file: ...}`."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="session")
def write_certificate(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., CertificateFiles]:
    """Make a certificate for the given names (and trustme keywords) and write it to files."""

    def write(*names: str, authority: trustme.CA = ca, **options: Any) -> CertificateFiles:
        directory = tmp_path_factory.mktemp("certificate")
        files = CertificateFiles(directory / "cert.pem", directory / "key.pem")
        certificate = authority.issue_cert(*names, **options)
        for number, pem in enumerate(certificate.cert_chain_pems):
            pem.write_to_path(str(files.cert_file), append=number > 0)
        certificate.private_key_pem.write_to_path(str(files.key_file))
        return files

    return write


@pytest.fixture(scope="session")
def certificate(write_certificate: Callable[..., CertificateFiles]) -> CertificateFiles:
    """A valid certificate for the names and addresses of this machine's loopback."""
    return write_certificate("localhost", "127.0.0.1", "::1", "good.test")


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    """Holds the servers that a test starts and stops them afterwards."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def start_nginx(servers: ExitStack, tmp_path: Path) -> Callable[..., Nginx]:
    """Start nginx for this test; arguments as for `run_nginx`, without the directory."""
    return _starter(servers, tmp_path, "nginx", run_nginx)


@pytest.fixture
def start_dnsmasq(servers: ExitStack, tmp_path: Path) -> Callable[..., Dnsmasq]:
    """Start dnsmasq for this test; arguments as for `run_dnsmasq`, without the directory."""
    return _starter(servers, tmp_path, "dnsmasq", run_dnsmasq)


@pytest.fixture
def start_prometheus(servers: ExitStack, tmp_path: Path) -> Callable[..., Prometheus]:
    """Start Prometheus for this test; arguments as for `run_prometheus`, without the directory."""
    return _starter(servers, tmp_path, "prometheus", run_prometheus)


@pytest.fixture
def start_blackbox(servers: ExitStack, tmp_path: Path) -> Callable[..., Blackbox]:
    """Start blackbox_exporter for this test; arguments as for `run_blackbox`, without the directory."""
    return _starter(servers, tmp_path, "blackbox", run_blackbox)


def _starter(servers: ExitStack, directory: Path, name: str, run: Callable[..., Any]) -> Callable[..., Any]:
    started = 0

    def start(*arguments: Any, **options: Any) -> Any:
        nonlocal started
        started += 1
        return servers.enter_context(run(directory / f"{name}-{started}", *arguments, **options))

    return start
