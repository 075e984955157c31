"""The extra `http3`: not needed and not loaded for other checks; the error without it says what to install."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers.certificates import valid
from tests.servers.exporter import ROOT, run_command
from tests.servers.http import respond, run_http_server
from tests.servers.http3 import data, run_http3_server, say

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

CHECK = "checks: [{{name: it, type: http, target: '{}', {}}}]\n"


@pytest.fixture
def without_extra(tmp_path: Path) -> dict[str, str]:
    """Variables of an environment in which aioquic cannot be imported."""
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "aioquic.py").write_text("raise ModuleNotFoundError(\"No module named 'aioquic'\")\n")
    return {"PYTHONPATH": f"{tmp_path / 'path'}:{ROOT}"}


def test_it_is_asked_for_when_it_is_needed(tmp_path: Path, without_extra: dict[str, str]) -> None:
    """A configuration that uses HTTP/3 is rejected, with the command that installs the extra."""
    (tmp_path / "checks.yml").write_text(CHECK.format("https://shop.example/", "http3: true"))
    outcome = run_command("--config.check", "--config.file=checks.yml", directory=tmp_path, **without_extra)
    needed = "has http3, which needs an extra: pip install 'nyxmon-exporter[http3]' (No module named 'aioquic')"
    assert (outcome.status, outcome.stdout + outcome.stderr) == (2, f"checks.yml:1:10: checks[0]: {needed}\n")


def test_dns_over_quic_asks_for_it_too(tmp_path: Path, without_extra: dict[str, str]) -> None:
    """A configuration that asks a name server over QUIC, even in a comparison, is rejected with the same command."""
    keys = "type: dns, target: a.example, server: ns.example"
    (tmp_path / "checks.yml").write_text(
        f"checks:\n- {{name: own, {keys}, transport: quic}}\n"
        f"- {{name: other, {keys}, compare: [{{transport: quic}}]}}\n"
    )
    outcome = run_command("--config.check", "--config.file=checks.yml", directory=tmp_path, **without_extra)
    needed = (
        "has transport: quic, which needs an extra: pip install 'nyxmon-exporter[http3]' (No module named 'aioquic')"
    )
    told = f"checks.yml:2:3: checks[0]: {needed}\nchecks.yml:3:3: checks[1]: {needed}\n"
    assert (outcome.status, outcome.stdout + outcome.stderr) == (2, told)


def test_it_is_not_needed_otherwise(tmp_path: Path, without_extra: dict[str, str]) -> None:
    """Without it, all other checks run, and nothing tries to import it."""
    with run_http_server({"/": respond(200, b"hi")}) as server:
        (tmp_path / "checks.yml").write_text(CHECK.format(server.url(), "http3: false"))
        outcome = run_command("run", "--config.file=checks.yml", directory=tmp_path, **without_extra)
    assert (outcome.status, outcome.stderr) == (0, "")


def test_it_is_not_imported_unasked(tmp_path: Path) -> None:
    """If it is installed, only a configuration that uses HTTP/3 loads it."""
    loaded = []
    for wanted in ("false", "true"):
        (tmp_path / "checks.yml").write_text(CHECK.format("https://shop.example/", f"http3: {wanted}"))
        flags = ("--config.check", "--config.file=checks.yml")
        outcome = run_command(*flags, directory=tmp_path, PYTHONPROFILEIMPORTTIME="1")
        loaded.append("aioquic" in outcome.stderr)
    assert loaded == [False, True]


def test_a_target_that_breaks_the_rules_does_not_fill_the_log(tmp_path: Path, ca: trustme.CA, ca_file: Path) -> None:
    """A fault of a target is reported only by its check."""
    with run_http3_server(valid(ca, "127.0.0.1"), say(data(b"no head"))) as server:
        own = f"http3: true, tls_config: {{ca_file: {ca_file}}}"
        (tmp_path / "checks.yml").write_text(CHECK.format(server.url(), own))
        outcome = run_command("run", "--config.file=checks.yml", directory=tmp_path)
    assert (outcome.status, "H3_FRAME_UNEXPECTED" in outcome.stdout, outcome.stderr) == (1, True, "")
