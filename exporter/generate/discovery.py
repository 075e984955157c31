"""HTTP service discovery: lists every configured check as a separate Prometheus target.

Prometheus then scrapes `/probe?check=NAME` for each check at the interval it asks for, and distributes checks over
servers and shards like any other targets. Source: Prometheus, "HTTP SD": the whole list for each request, status 200,
JSON; an empty list when there are no targets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypedDict

from exporter.exposition.labels import clean_value
from exporter.settings import duration_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.model import Check

WAY_SECONDS = 0.5
"""Network time of a scrape, in addition to the checks and the offset that the exporter subtracts."""


class TargetGroup(TypedDict):
    """One element of the list that Prometheus reads."""

    targets: list[str]
    labels: dict[str, str]


class ExporterAsTarget(NamedTuple):
    """How Prometheus reaches this exporter: host and port, scheme, and the path that runs one check."""

    address: str
    scheme: str = "http"
    probe_path: str = "/probe"


def target_groups(
    checks: Iterable[Check], exporter: ExporterAsTarget, *, timeout_offset_seconds: float = 0.5
) -> list[TargetGroup]:
    """Return one target group per check.

    Args:
        checks: The checks.
        exporter: How Prometheus reaches this exporter.
        timeout_offset_seconds: Seconds that the exporter subtracts from the time that Prometheus allows.
    """
    margin = timeout_offset_seconds + WAY_SECONDS
    return [TargetGroup(targets=[exporter.address], labels=_labels(check, exporter, margin)) for check in checks]


def _labels(check: Check, exporter: ExporterAsTarget, margin_seconds: float) -> dict[str, str]:
    labels = {
        **{name: clean_value(value) for name, value in check.labels.items()},
        "check": clean_value(check.name),
        "check_type": check.check_type,
        "target": clean_value(check.shown_target),
        "__scheme__": exporter.scheme,
        "__metrics_path__": exporter.probe_path,
        "__param_check": check.name,
    }
    if check.interval_seconds:
        labels["__scrape_interval__"] = duration_text(check.interval_seconds)
        needed_seconds = check.longest_run_seconds + margin_seconds
        labels["__scrape_timeout__"] = duration_text(min(check.interval_seconds, needed_seconds))
    return labels
