"""Shared by the tests of the dashboards while they run; its threads would disturb tests that measure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.grafana.demo_scene import run_demo_scene
from tests.grafana.scene import Scene, run_scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.prometheus import Prometheus


@pytest.fixture(scope="package")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Everything runs, and has been scraped often enough for rates."""
    with run_scene(tmp_path_factory.mktemp("scene")) as running:
        running.prometheus.wait_for("count_over_time(probe_status[1m]) >= 5", lambda found: len(found) == 26)
        running.prometheus.wait_for('ALERTS{alertstate="firing"}', lambda found: len(found) >= 4)
        yield running


@pytest.fixture(scope="package")
def demo_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has scraped checks of every type often enough for rates."""
    with run_demo_scene(tmp_path_factory.mktemp("demo")) as prometheus:
        prometheus.wait_for("count_over_time(probe_status[1m]) >= 5", lambda found: len(found) >= 40)
        yield prometheus
