"""HTTP service discovery: every configured check as a Prometheus target of its own.

Prometheus then scrapes `/probe?check=NAME` for each, at the interval that the check asks for, and spreads the checks
over servers and shards as it does with all targets. Source: Prometheus, "HTTP SD": the whole list at each request,
status 200, JSON; an empty list when there is nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from exporter.exposition.labels import clean_value
from exporter.settings import duration_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.model import Check

WAY_SECONDS = 0.5
"""What a scrape takes besides the checks and what the exporter keeps back: the way there and back."""


class TargetGroup(TypedDict):
    """One element of the list that Prometheus reads."""

    targets: list[str]
    labels: dict[str, str]


def target_groups(
    checks: Iterable[Check], address: str, *, scheme: str = "http", timeout_offset_seconds: float = 0.5
) -> list[TargetGroup]:
    """Return the target groups of checks, one for each.

    Args:
        checks: The checks.
        address: Host and port under which Prometheus reaches this exporter.
        scheme: How it reaches it.
        timeout_offset_seconds: What the exporter keeps back from the time that Prometheus allows.
    """
    margin_seconds = timeout_offset_seconds + WAY_SECONDS
    return [TargetGroup(targets=[address], labels=_labels(check, scheme, margin_seconds)) for check in checks]


def _labels(check: Check, scheme: str, margin_seconds: float) -> dict[str, str]:
    labels = {
        **{name: clean_value(value) for name, value in check.labels.items()},
        "check": clean_value(check.name),
        "check_type": check.check_type,
        "target": clean_value(check.shown_target),
        "__scheme__": scheme,
        "__metrics_path__": "/probe",
        "__param_check": check.name,
    }
    if check.interval_seconds:
        labels["__scrape_interval__"] = duration_text(check.interval_seconds)
        needed_seconds = check.longest_run_seconds + margin_seconds
        labels["__scrape_timeout__"] = duration_text(min(check.interval_seconds, needed_seconds))
    return labels
