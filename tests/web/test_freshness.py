"""A result is stale three intervals after its run; intervals are configured or learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from exporter.model import ResultStatus
from exporter.scrape.runs import Run
from exporter.web.pages.freshness import is_stale
from tests.scraping import check

if TYPE_CHECKING:
    from collections.abc import Sequence


def runs_at(*seconds: float) -> list[Run]:
    """Runs that were recorded at these times."""
    return [Run(ResultStatus.OK, None, "", each, each, 0.0, 1, 5.0) for each in seconds]


@pytest.mark.parametrize(
    ("settings", "recorded", "stale_after_seconds"),
    [
        ({"interval_seconds": 20.0}, [0.0], 60.0),
        ({"interval_seconds": 20.0, "min_interval_seconds": 3600.0}, [0.0], 10800.0),
        ({"interval_seconds": 20.0}, [-1000.0, 0.0], 60.0),
        ({}, [0.0], 180.0),
        ({}, [-300.0, 0.0], 900.0),
        ({}, [-90.0, -60.0, -30.0, 0.0], 90.0),
        ({}, [-7200.0, -60.0, -30.0, 0.0], 90.0),
        ({}, [-3.0, -2.0, -1.0, 0.0], 45.0),
    ],
    ids=["interval", "min_interval", "configured", "unknown", "two runs", "learned", "a pause", "a busy reader"],
)
def test_a_result_is_stale_after_three_intervals(
    settings: dict[str, Any], recorded: Sequence[float], stale_after_seconds: float
) -> None:
    """A configured interval overrides the usual one, which a pause or clicks on a page do not change."""
    subject, runs = check(**settings), runs_at(*recorded)
    assert not is_stale(subject, runs, stale_after_seconds - 0.5)
    assert is_stale(subject, runs, stale_after_seconds + 0.5)


def test_a_check_that_never_ran_is_not_stale() -> None:
    """It has no result that could be stale."""
    assert not is_stale(check(), (), 1e9)
