"""The worked example of a check type: a package that is installed, configured and scraped, and shown in the README."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.readme_blocks import TEXTS
from tests.servers.exporter import ENVIRONMENT, ROOT, run_command, run_exporter
from tests.servers.prometheus import check_metrics
from tests.servers.tcp import serve

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from pathlib import Path

PACKAGE = ROOT / "tests" / "example_plugin"
PASSWORD = "correct-horse-battery"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Variables with which Python finds the package, installed by pip without a network."""
    directory = tmp_path_factory.mktemp("site")
    offline = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    subprocess.run([sys.executable, "-m", "pip", "install", *offline, "--target", directory, PACKAGE], check=True)
    return {"PYTHONPATH": f"{directory}:{ROOT}"}


def memcached(connection: socket.socket) -> None:
    """Answer as memcached does, to clients that have logged in."""
    lines = connection.makefile("rb")
    while line := lines.readline():
        match line.split():
            case [b"set", _, _, _, size]:
                credentials = lines.read(int(size) + 2).rstrip()
                right = credentials == f"nyxmon {PASSWORD}".encode()
                connection.sendall(b"STORED\r\n" if right else b"CLIENT_ERROR authentication failure\r\n")
            case [b"version"]:
                connection.sendall(b"VERSION 1.6.40\r\n")
            case [b"stats"]:
                connection.sendall(b"STAT pid 1\r\nSTAT curr_items 12\r\nEND\r\n")


def configure(directory: Path, target: str, password: str) -> str:
    """The package's own example of a configuration, for another target."""
    (directory / "secrets").mkdir()
    (directory / "secrets" / "memcached").write_text(password, encoding="utf-8")
    return (PACKAGE / "checks.yml").read_text(encoding="utf-8").replace("cache.example:11211", target)


def test_the_installed_package_is_scraped(environment: Mapping[str, str], tmp_path: Path) -> None:
    """Metrics, phases and expectations of the plugin's check are on the page, and its password is on none."""
    with serve(memcached) as server:
        config = configure(tmp_path, server.target, PASSWORD)
        with run_exporter(tmp_path, config, environment=environment) as exporter:
            _, page = exporter.get("/metrics")
            pages = [page, *(exporter.get(path)[1] for path in ("/", "/checks/sessions", "/config"))]
    check_metrics(page)
    check = 'check="sessions",check_type="memcached"'
    target = f'target="{server.target}"'
    assert f"probe_success{{{check},{target}}} 1.0\n" in page
    assert f"probe_memcached_items{{{check},{target}}} 12.0\n" in page
    for phase in ("resolve", "connect", "tls", "login", "version", "stats"):
        assert f'probe_memcached_duration_seconds{{{check},phase="{phase}",{target}}} ' in page
    assert page.count("probe_expectation_ok{") == 2
    assert not any(PASSWORD in each for each in pages)


def test_a_wrong_password_has_its_reason(environment: Mapping[str, str], tmp_path: Path) -> None:
    """The failure that the plugin raises is the reason of the check."""
    with serve(memcached) as server:
        (tmp_path / "checks.yml").write_text(configure(tmp_path, server.target, "wrong"), encoding="utf-8")
        outcome = run_command("run", "--config.file=checks.yml", directory=tmp_path, **environment)
    assert outcome.status == 1
    assert "auth" in outcome.stdout
    assert "the server rejected the user name or password" in outcome.stdout


def test_the_package_tests_itself(environment: Mapping[str, str], tmp_path: Path) -> None:
    """The tests that the package has for its type pass where it is installed."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:cloudcoil",
            "-c",
            "/dev/null",
            PACKAGE,
        ],
        cwd=tmp_path,
        env={**ENVIRONMENT, **environment, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_readme_shows_the_package() -> None:
    """The blocks of the section are the files of the package, word for word."""
    section = TEXTS["exporter/README.md"].partition("\n## Add a check type\n")[2].partition("\n## ")[0]
    for name, language in (
        ("nyxmon_memcached.py", "python"),
        ("pyproject.toml", "toml"),
        ("checks.yml", "yaml"),
        ("test_memcached.py", "python"),
    ):
        assert f"```{language}\n{(PACKAGE / name).read_text(encoding='utf-8')}```\n" in section
