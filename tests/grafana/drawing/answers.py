"""Prometheus' answers to the queries of a panel."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.grafana.reading import fill

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.servers.prometheus import Prometheus

_STEPS = 240
_LEGEND = re.compile(r"\{\{(\w+)\}\}")


class Span(NamedTuple):
    """A time range in Unix seconds, and the seconds between two points of a curve."""

    start: float
    end: float
    step: float

    @property
    def duration(self) -> float:
        """Its duration in seconds."""
        return self.end - self.start


class Series(NamedTuple):
    """One series of an answer; `points` are times and values, without NaN."""

    letter: str
    name: str
    labels: Mapping[str, str]
    points: list[tuple[float, float]]

    @property
    def latest(self) -> float:
        """The last value."""
        return self.points[-1][1]


def span_of(end: float, duration: float) -> Span:
    """The time range of so many seconds, in steps of whole seconds."""
    step = max(1.0, math.ceil(duration / _STEPS))
    return Span(end - duration, end, step)


def times(span: Span, scrape_seconds: float) -> dict[str, str]:
    """The values of Grafana's own variables."""
    rate = max(span.step + scrape_seconds, 4 * scrape_seconds)
    return {
        "__interval": f"{span.step:.0f}s",
        "__rate_interval": f"{rate:.0f}s",
        "__range": f"{span.duration:.0f}s",
    }


def ask(prometheus: Prometheus, panel: Mapping[str, Any], values: Mapping[str, str], span: Span) -> list[Series]:
    """The answers to all queries of a panel, in their order."""
    found: list[Series] = []
    for target in panel["targets"]:
        query = fill(target["expr"], values)
        if target["instant"]:
            vector = prometheus.api("query", query=query, time=f"{span.end}")["result"]
            answers = [(one["metric"], [one["value"]]) for one in vector]
        else:
            matrix = prometheus.api(
                "query_range", query=query, start=f"{span.start}", end=f"{span.end}", step=f"{span.step}"
            )["result"]
            answers = [(one["metric"], one["values"]) for one in matrix]
        for labels, samples in answers:
            points = [(float(time), float(value)) for time, value in samples if value not in ("NaN", "+Inf", "-Inf")]
            if points:
                found.append(Series(target["refId"], _name(target.get("legendFormat", ""), labels), labels, points))
    return found


def _name(legend: str, labels: Mapping[str, str]) -> str:
    return _LEGEND.sub(lambda found: labels.get(found[1], ""), legend)
