"""Two exporters behind one address, and two Prometheus servers that share their checks as grafana/README.md says."""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml

from tests.readme_blocks import blocks
from tests.servers.exporter import Exporter, run_exporter
from tests.servers.nginx import Nginx, run_nginx
from tests.servers.process import http_get
from tests.servers.prometheus import Prometheus, run_prometheus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INTERVAL_SECONDS = 5.0
REFRESH_SECONDS = 2.0
WINDOW_SECONDS = 2.5 * INTERVAL_SECONDS
"""Has two or three scrapes of each check, and half an interval to spare for a machine that is busy."""

SETTLING_SECONDS = 1.5
"""A sample has the time at which its scrape began, and is there when that has ended."""

NAMES = frozenset(f"check-{number}" for number in range(100))

FRONT = """
upstream exporters {{ {servers} }}
server {{
    listen {{port}} backlog=4096;
    location / {{ proxy_pass http://exporters; proxy_set_header Host $http_host; }}
}}
"""
"""The one address: each request goes to the exporter whose turn it is, and to the other when that one is gone."""


class Scene(NamedTuple):
    """The running exporters, and the servers that each have a part of their checks."""

    exporters: list[Exporter]
    servers: list[Prometheus]


def server_config(shard: int, front: Nginx, exporters: list[Exporter]) -> str:
    """The documented example for one of the servers, with the test's addresses and shorter times."""
    (block,) = (block for block in blocks("yaml", first_line="# prometheus.yml") if "__tmp_shard" in block.text)
    text = block.text.replace('"0"', f'"{shard}"').replace("nyxmon.example:10115", f"127.0.0.1:{front.port}")
    text = re.sub(r"exporter-([12])\.example:10115", lambda found: exporters[int(found[1]) - 1].address, text)
    config: dict[str, Any] = yaml.safe_load(text)
    config["global"] |= dict.fromkeys(("scrape_interval", "scrape_timeout"), f"{INTERVAL_SECONDS:g}s")
    config["scrape_configs"][0]["http_sd_configs"][0]["refresh_interval"] = f"{REFRESH_SECONDS:g}s"
    return yaml.safe_dump(config)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Everything runs, and each check has run."""
    with ExitStack() as stack:
        target = stack.enter_context(run_nginx(tmp_path / "target"))
        checks = [{"name": name, "type": "http", "target": target.url()} for name in sorted(NAMES)]
        config = yaml.safe_dump({"defaults": {"timeout": "4s"}, "checks": checks})
        exporters = [stack.enter_context(run_exporter(tmp_path / f"exporter-{number}", config)) for number in (1, 2)]
        upstream = " ".join(f"server {exporter.address};" for exporter in exporters)
        front = stack.enter_context(run_nginx(tmp_path / "front", FRONT.format(servers=upstream)))
        configs = [server_config(shard, front, exporters) for shard in (0, 1)]
        servers = [
            stack.enter_context(run_prometheus(tmp_path / f"prometheus-{shard}", config))
            for shard, config in enumerate(configs)
        ]
        running = Scene(exporters, servers)
        give_up = time.monotonic() + 120
        while counted(running).keys() != NAMES:
            assert time.monotonic() < give_up, sorted(NAMES - counted(running).keys())
            time.sleep(0.5)
        yield running


class Window(NamedTuple):
    """A past Unix time; what was scraped before it no longer changes."""

    begin: float
    end: float


def pass_window() -> Window:
    """Let a window pass and return it."""
    window = Window(time.time(), time.time() + WINDOW_SECONDS)
    time.sleep(WINDOW_SECONDS + SETTLING_SECONDS)
    return window


def samples(server: Prometheus, metric: str, window: Window) -> dict[str, list[tuple[float, str]]]:
    """What a server has of each check in a window: times and values of the scrapes."""
    query = f'{metric}{{check!=""}}[{round((window.end - window.begin) * 1000)}ms]'
    found = server.api("query", query=query, time=f"{window.end:.3f}")["result"]
    return {entry["metric"]["check"]: [(float(at), value) for at, value in entry["values"]] for entry in found}


def counted(scene: Scene) -> Counter[str]:
    """The number of results of each check at all servers so far."""
    always = Window(time.time() - 3600, time.time())
    found = [samples(server, "probe_success", always) for server in scene.servers]
    return sum((Counter({name: len(values) for name, values in each.items()}) for each in found), Counter())


def runs(exporter: Exporter) -> Counter[str]:
    """How often an exporter has run each check."""
    _, page = exporter.get("/metrics?run=none&name[]=nyxmon_check_runs_total")
    return Counter({name: int(float(count)) for name, count in re.findall(r'\{check="(.*?)".*\} (\S+)', page)})


def off_beat(times: list[float], window: Window) -> bool:
    """Whether scrapes are missing or duplicated: pauses of less than half or more than one and a half intervals."""
    pauses = [after - before for before, after in pairwise((window.begin, *times, window.end))]
    return max(pauses) > 1.5 * INTERVAL_SECONDS or min(pauses[1:-1]) < 0.5 * INTERVAL_SECONDS


def assert_each_is_scraped_once(scene: Scene, window: Window) -> None:
    """Assert that in the window each check has one success per interval, all on one server."""
    first, second = (samples(server, "probe_success", window) for server in scene.servers)
    assert first.keys() & second.keys() == set()
    assert first.keys() | second.keys() == NAMES
    found = first | second
    assert {name: values for name, values in found.items() if {value for _, value in values} != {"1"}} == {}
    times = {name: [at for at, _ in values] for name, values in found.items()}
    assert {name: each for name, each in times.items() if len(each) < 2 or off_beat(each, window)} == {}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_each_check_runs_once_even_when_an_exporter_is_killed(scene: Scene) -> None:
    """Each interval has one run, by one of two exporters for one of two servers, even after one exporter is killed."""
    assert_each_is_scraped_once(scene, pass_window())
    before = counted(scene)
    by_exporter = [runs(exporter) for exporter in scene.exporters]
    after = counted(scene)
    together = by_exporter[0] + by_exporter[1]
    assert [name for name in NAMES if not before[name] <= together[name] <= after[name] + 1] == []
    assert min(each.total() for each in by_exporter) > together.total() / 4

    killed, left = scene.exporters
    killed.process.send_signal(signal.SIGKILL)
    time.sleep(REFRESH_SECONDS)
    window = pass_window()
    assert_each_is_scraped_once(scene, window)
    for server in scene.servers:
        scraped = samples(server, "up", window)
        assert {value for values in scraped.values() for _, value in values} == {"1"}
        assert "\nprometheus_sd_http_failures_total 0\n" in http_get(server.port, "/metrics")[1]
    own = {found.labels["instance"]: found.value for server in scene.servers for found in server.query('up{check=""}')}
    assert own == {killed.address: 0.0, left.address: 1.0}
