"""Reads the series of a page in the text format, as Prometheus would."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterable


class SeriesName(NamedTuple):
    """The name of a metric, and its labels.

    Attributes:
        metric: The name of the metric.
        labels: Names and values of the labels.
    """

    metric: str
    labels: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def of(cls, metric: str, labels: Iterable[tuple[str, str]]) -> SeriesName:
        """Return the name of a series with these labels."""
        return cls(metric, frozenset(labels))

    def __str__(self) -> str:
        labels = ",".join(f'{name}="{value}"' for name, value in sorted(self.labels))
        return f"{self.metric}{{{labels}}}" if labels else self.metric


def read_series(page: str) -> dict[SeriesName, float]:
    """Return the values of all series of a page.

    Raises:
        ValueError: When it is not in the text format.
    """
    return {
        SeriesName.of(sample.name, sample.labels.items()): float(sample.value)
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
