"""The command `healthcheck`, which the image runs: exit status and one line, whatever listens there."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.servers.exporter import Outcome, run_command, run_exporter
from tests.servers.http import raw, respond, run_http_server
from tests.servers.process import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.nginx import CertificateFiles


def test_a_server_that_runs_is_healthy(tmp_path: Path) -> None:
    """Its answer is shown; the address may come from the environment, as in an image."""
    with run_exporter(tmp_path) as exporter:
        address = f"127.0.0.1:{exporter.port}"
        assert run_command("healthcheck", f"--web.listen-address={address}") == Outcome(0, "healthy\n", "")
        assert run_command("healthcheck", NYXMON_EXPORTER_WEB_LISTEN_ADDRESS=address).status == 0


@pytest.mark.parametrize("address", [":{port}", "0.0.0.0:{port}", "[::]:{port}"])
def test_a_server_on_every_address_is_asked_on_loopback(address: str) -> None:
    """The address of the server can be passed to the health check unchanged."""
    host = "::1" if "::" in address else "127.0.0.1"
    with run_http_server({"/-/healthy": respond(200, b"healthy\n")}, host) as server:
        done = run_command("healthcheck", f"--web.listen-address={address.format(port=server.port)}")
    assert done == Outcome(0, "healthy\n", "")


def test_a_server_that_answers_so_is_not_healthy() -> None:
    """Its answer is shown, with unprintable characters escaped."""
    with run_http_server({"/-/healthy": respond(503, b"the loop\x1b[31m does not answer\n")}) as server:
        done = run_command("healthcheck", f"--web.listen-address=127.0.0.1:{server.port}")
    assert done == Outcome(1, "the loop\\x1b[31m does not answer\n", "")


def test_a_closed_port_is_not_healthy() -> None:
    """The connection is refused."""
    port = free_port()
    done = run_command("healthcheck", f"--web.listen-address=127.0.0.1:{port}")
    assert done == Outcome(1, "", f"nyxmon-exporter: 127.0.0.1:{port}: Connection refused\n")


def test_something_else_is_not_healthy() -> None:
    """An answer that is not HTTP is reported as such."""
    with run_http_server({"/-/healthy": raw(b"220 mail.example ESMTP\r\n")}) as server:
        done = run_command("healthcheck", f"--web.listen-address=127.0.0.1:{server.port}")
    assert done == Outcome(1, "", f"nyxmon-exporter: 127.0.0.1:{server.port}: not HTTP: 220 mail.example ESMTP\\r\\n\n")


def test_a_server_that_hangs_is_not_healthy(tmp_path: Path) -> None:
    """A stopped process accepts connections and never answers; the command ends nevertheless."""
    with run_exporter(tmp_path) as exporter:
        exporter.process.send_signal(signal.SIGSTOP)
        done = run_command("healthcheck", f"--web.listen-address=127.0.0.1:{exporter.port}")
    assert done == Outcome(1, "", f"nyxmon-exporter: 127.0.0.1:{exporter.port}: timed out\n")


def web_config(directory: Path, certificate: CertificateFiles, *more: str) -> str:
    """The flag for a web configuration with TLS and further lines."""
    lines = ("tls_server_config:", f"  cert_file: {certificate.cert_file}", f"  key_file: {certificate.key_file}")
    (directory / "web.yml").write_text("\n".join((*lines, *more)), "utf-8")
    return f"--web.config.file={directory / 'web.yml'}"


PASSWORD = "basic_auth_users: {alice: $2b$04$hLqFl9jSjoAAy95Z/zw8Ye8wkdMBM8c5Bn1ptYqP/AXyV0.oy0S8m}"


@pytest.mark.parametrize("needs", ["nothing", "a password", "a client certificate"])
def test_a_server_with_tls_is_asked_by_https(
    tmp_path: Path, certificate: CertificateFiles, ca_file: Path, needs: str
) -> None:
    """With --web.open-health it only needs the address, although other requests are rejected."""
    verified = ("  client_auth_type: RequireAndVerifyClientCert", f"  client_ca_file: {ca_file}")
    lines = {"nothing": (), "a password": (PASSWORD,), "a client certificate": verified}[needs]
    flag = web_config(tmp_path, certificate, *lines)
    with run_exporter(tmp_path, None, flag, "--web.open-health", is_protected=True) as exporter:
        done = run_command("healthcheck", f"--web.listen-address=127.0.0.1:{exporter.port}")
    assert done == Outcome(0, "healthy\n", "")


def test_the_error_of_a_server_with_passwords_names_the_missing_flag(tmp_path: Path) -> None:
    """The command has no password, and should not need one."""
    (tmp_path / "web.yml").write_text(PASSWORD, "utf-8")
    with run_exporter(tmp_path, None, f"--web.config.file={tmp_path / 'web.yml'}", is_protected=True) as exporter:
        done = run_command("healthcheck", f"--web.listen-address=127.0.0.1:{exporter.port}")
    advice = "the server requires credentials; start it with --web.open-health"
    assert done == Outcome(1, f"unauthorized: {advice}\n", "")


def test_it_imports_nothing_that_serves_or_runs_checks() -> None:
    """A container asks every few seconds, so the command must not load what only other commands need."""
    program = "import sys; from exporter.cli import main; main(['healthcheck']); print(*sys.modules)"
    asked = [sys.executable, "-c", program]
    loaded = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    others = ("exporter.blackbox", "exporter.checks", "exporter.demo", "exporter.migration", "exporter.web", "uvicorn")
    assert "exporter.cli.healthcheck" in loaded
    assert [name for name in others if name in loaded] == []
