"""What the tests of the dashboards share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.grafana.scene import Scene, run_scene

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Everything runs, and has been scraped often enough for rates."""
    with run_scene(tmp_path_factory.mktemp("scene")) as running:
        running.prometheus.wait_for("count_over_time(probe_status[1m]) >= 5", lambda found: len(found) == 26)
        running.prometheus.wait_for('ALERTS{alertstate="firing"}', lambda found: len(found) >= 4)
        yield running
