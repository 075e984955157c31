"""Writes PromQL that selects one check exactly, whatever characters its name and target contain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.exposition.labels import clean_value
from exporter.settings import duration_text

if TYPE_CHECKING:
    from exporter.model import Check

_LONGEST_PLAIN_INTERVAL_SECONDS = 120.0
"""A query sees a sample for five minutes (Prometheus, "Querying basics", staleness): two scrapes plus a delay."""

_DELAY_SECONDS = 60.0


def quote_label_value(value: str) -> str:
    """Return a label value as a PromQL string.

    Source: Prometheus, "Querying basics", string literals: escapes within double quotes are as in Go.
    """
    escaped = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{escaped}"'


def series_of_check(metric: str, check: Check, *, within_seconds: float = 0.0) -> str:
    """Return an expression for a metric of a check, by the labels it has however it is scraped.

    The expression matches type and target as well as the name, to exclude a check of another exporter that has the
    same name.

    Args:
        metric: The metric.
        check: The check; the expression for a rarely scraped check looks back over its last two scrapes.
        within_seconds: Minimum time that a sample counts; 0 for Prometheus' own lookback.
    """
    labels = {"check": check.name, "check_type": check.check_type, "target": check.shown_target}
    matchers = ",".join(f"{name}={quote_label_value(clean_value(value))}" for name, value in labels.items())
    series = f"{metric}{{{matchers}}}"
    seldom = check.interval_seconds > _LONGEST_PLAIN_INTERVAL_SECONDS
    window_seconds = max(within_seconds, 2 * check.interval_seconds + _DELAY_SECONDS if seldom else 0.0)
    return f"last_over_time({series}[{duration_text(window_seconds)}])" if window_seconds else series
