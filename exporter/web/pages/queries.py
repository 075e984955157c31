"""PromQL queries about one check, for people who investigate in Prometheus or Grafana."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from exporter.exposition.labels import clean_value
from exporter.generate.promql import quote_label_value

if TYPE_CHECKING:
    from exporter.model import Check


class Query(NamedTuple):
    """A query: the question that it answers, and its text."""

    question: str
    text: str


def queries_about(check: Check) -> list[Query]:
    """Return queries about a check; they select it by its name, so that they are short."""
    selector = f"{{check={quote_label_value(clean_value(check.name))}}}"
    return [
        Query("Does it succeed?", f"probe_success{selector}"),
        Query("How long does it take?", f"probe_duration_seconds{selector}"),
        Query("How often did it fail in a day, and why?", f"increase(nyxmon_check_failures_total{selector}[1d])"),
        Query("How much of the last 30 days was it available?", f"avg_over_time(probe_success{selector}[30d])"),
    ]
