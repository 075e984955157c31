"""Whether a result is stale: older than a few of the intervals in which its check usually runs."""

from __future__ import annotations

from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.model import Check
    from exporter.scrape.runs import Run

_INTERVALS = 3
_RUNS = 10
_DEFAULT_INTERVAL_SECONDS = 60.0
"""Prometheus' own default for `scrape_interval`."""

_LEAST_INTERVAL_SECONDS = 15.0
"""Manual runs between two scrapes do not make the interval shorter than this."""


def is_stale(check: Check, runs: Sequence[Run], now_seconds: float) -> bool:
    """Return whether the newest run of a check is older than three intervals; False when there is none.

    The interval is the one configured, else the usual one between the last runs.

    Args:
        check: The check.
        runs: Its recent runs, oldest first.
        now_seconds: The current Unix time.
    """
    return bool(runs) and now_seconds - runs[-1].recorded_timestamp_seconds > _INTERVALS * _interval(check, runs)


def configured_interval(check: Check) -> float:
    """Return the configured seconds between two runs; 0 when the configuration leaves that to Prometheus."""
    return max(check.interval_seconds, check.min_interval_seconds)


def _interval(check: Check, runs: Sequence[Run]) -> float:
    configured = configured_interval(check)
    if configured > 0:
        return configured
    times = [run.recorded_timestamp_seconds for run in runs[-_RUNS:]]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return max(_LEAST_INTERVAL_SECONDS, median(gaps)) if gaps else _DEFAULT_INTERVAL_SECONDS
