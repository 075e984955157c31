"""States over HTTP: checks whose targets come and go, also during reloads."""

from __future__ import annotations

import re
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.scraping import samples
from tests.servers.exporter import run_exporter
from tests.servers.tcp import closed_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.exporter import Exporter

SINCE = "probe_state_since_timestamp_seconds"


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a target that refuses connections, unless it is `listening`; no other process can take it."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@contextmanager
def listening(port: int) -> Iterator[None]:
    """Let the target accept connections."""
    with socket.create_server(("127.0.0.1", port), reuse_port=True):
        yield


def config_of(port: int, *lines: str, name: str = "shop") -> str:
    keys = "".join(f"\n    {line}" for line in lines)
    return f"checks:\n  - name: {name}\n    type: tcp\n    target: 127.0.0.1:{port}{keys}\n"


def since(exporter: Exporter, path: str = "/metrics") -> float:
    (value,) = samples(exporter.get(path)[1], SINCE).values()
    return float(value)


def reload(exporter: Exporter, config: str) -> None:
    exporter.config_file.write_text(config, encoding="utf-8")
    assert httpx.post(f"http://{exporter.address}/-/reload", timeout=60, trust_env=False).status_code == 200


def test_a_state_begins_with_the_first_run_that_finds_it(tmp_path: Path, port: int) -> None:
    """All requests see the same start, and the log has the duration of the previous state."""
    before = time.time()
    with run_exporter(tmp_path, config_of(port)) as exporter:
        with listening(port):
            well = [since(exporter), since(exporter, "/probe?check=shop"), since(exporter)]
        failing = [since(exporter, "/probe?check=shop"), since(exporter), since(exporter)]
        with listening(port):
            again = since(exporter)
    assert well == [well[0]] * 3
    assert failing == [failing[0]] * 3
    assert before - 0.001 < well[0] < failing[0] < again < time.time() + 0.001
    told = re.findall(r'"?(check shop is .*? for) ', exporter.process.log())
    assert told == ["check shop is failing after being ok for", "check shop is ok again after failing for"]


def test_a_reload_keeps_the_state_of_a_check_that_stays(tmp_path: Path, port: int) -> None:
    """Its settings may change; with another target, it is another check, and a restart forgets everything."""
    with closed_port() as other, run_exporter(tmp_path, config_of(port)) as exporter:
        first = since(exporter)
        reload(exporter, config_of(port))
        same = since(exporter)
        reload(exporter, config_of(port, "timeout: 1s", "retries: 1", "labels: {team: web}"))
        changed = since(exporter)
        reload(exporter, config_of(other))
        moved = since(exporter)
        reload(exporter, config_of(other, name="blog"))
        renamed = since(exporter)
    with run_exporter(tmp_path, config_of(port)) as exporter:
        restarted = since(exporter)
    assert (same, changed) == (first, first)
    assert first < moved < renamed < restarted


@pytest.mark.parametrize("path", ["/metrics", "/probe?check=shop"])
def test_a_result_that_is_shown_again_has_the_same_state(tmp_path: Path, port: int, path: str) -> None:
    """Within `min_interval`, the target is not asked, so there is no new state."""
    with run_exporter(tmp_path, config_of(port, "min_interval: 1h")) as exporter:
        with listening(port):
            first = since(exporter, path)
        again = since(exporter, path)
    assert first == again
    assert "failing" not in exporter.process.log()


def test_a_probe_of_a_module_has_no_state(tmp_path: Path, port: int) -> None:
    """The page has blackbox_exporter's format, and a target of any request is not a check."""
    modules = tmp_path / "blackbox.yml"
    modules.write_text("modules: {tcp_connect: {prober: tcp}}\n", encoding="utf-8")
    with run_exporter(tmp_path, config_of(port), f"--blackbox.config.file={modules}") as exporter:
        page = exporter.get(f"/probe?module=tcp_connect&target=127.0.0.1:{port}")[1]
    assert "probe_success 0" in page
    assert SINCE not in page


def test_a_failed_run_is_on_the_page_of_its_check_after_many_good_ones(tmp_path: Path, port: int) -> None:
    """Its details can still be read after more later runs than are kept."""
    with run_exporter(tmp_path, config_of(port), "--history.limit=3") as exporter:
        exporter.get("/metrics")
        with listening(port):
            for _ in range(5):
                exporter.get("/metrics")
        page = exporter.get("/checks/shop")[1]
    assert f"connection refused while connecting to 127.0.0.1:{port}" in page
