"""Targets of requests that the flag --blackbox.allowed-targets does not include, sent to the program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers.exporter import Exporter, run_exporter

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULES = """
modules:
  http_2xx: {prober: http, timeout: 2s, http: {preferred_ip_protocol: ip4}}
  connect: {prober: tcp, timeout: 2s}
  ping: {prober: icmp, timeout: 2s}
  socket: {prober: unix, timeout: 2s}
"""


@pytest.fixture(scope="module")
def exporter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    directory = tmp_path_factory.mktemp("modules")
    (directory / "blackbox.yml").write_text(MODULES, encoding="utf-8")
    flags = (f"--blackbox.config.file={directory / 'blackbox.yml'}", "--blackbox.allowed-targets=192.0.2.0/24:443")
    with run_exporter(directory, None, *flags, "--blackbox.allowed-targets=unix:/run/app/*") as running:
        yield running


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("target=127.0.0.1:80", "127.0.0.1:80 is not among the allowed targets\n"),
        ("target=http://192.0.2.1/", "192.0.2.1:80 is not among the allowed targets\n"),
        ("target=https://[::1]/x", "[::1]:443 is not among the allowed targets\n"),
        ("target=[::1]:443&module=connect", "[::1]:443 is not among the allowed targets\n"),
        ("target=127.0.0.1&module=ping", "127.0.0.1 is not among the allowed targets\n"),
        ("target=/run/docker.sock&module=socket", "the socket /run/docker.sock is not among the allowed targets\n"),
    ],
)
def test_a_literal_target_that_is_not_allowed_is_forbidden(exporter: Exporter, query: str, text: str) -> None:
    """The answer is 403 with the reason, and nothing runs."""
    assert exporter.get(f"/probe?{query}") == (403, text)


def test_a_name_is_rejected_after_its_lookup(exporter: Exporter) -> None:
    """The probe fails with the reason `local`."""
    status, page = exporter.get("/probe?target=localhost:80")
    assert (status, "\nprobe_success 0" in page, 'reason="local"' in page) == (200, True, True)
