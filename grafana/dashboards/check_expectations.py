"""Panels of the check dashboard about what is expected of a check and what was observed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter import ExecutorRegistry
from exporter.model import ValueKind
from grafana import scales
from grafana.columns import availability_column
from grafana.panels import Look, Query, curves, states
from grafana.queries import highest, lowest, lowest_missing_none, selected
from grafana.tables import Column, table

if TYPE_CHECKING:
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.models.dashboard import Panel

_UNITS = {ValueKind.DURATION: scales.SECONDS, ValueKind.DAYS: scales.DAYS}
_SUFFIXES = {"seconds": scales.SECONDS, "bytes": scales.BYTES, "ratio": scales.SHARE}
"""The base units that Prometheus' naming conventions put at the end of a name."""


def expectations() -> list[Builder[Panel]]:
    """Return the panels, one line."""
    queries, units = _by_unit("probe_expectation_value", "expectation", _patterns())
    return [
        states(
            "Expectations",
            "When each expectation was met. One that could not be judged counts as not met.",
            [Query(lowest_missing_none("probe_expectation_ok", "expectation"), "{{expectation}}")],
            (6, 9),
            Look(words=scales.MET),
        ),
        _observed(),
        curves(
            "Observed numbers",
            "The numbers that expectations were judged by, durations in seconds; gaps where none was observed.",
            queries,
            (6, 9),
            Look(),
            units=units,
        ),
    ]


def values(size: tuple[int, int]) -> Builder[Panel]:
    """Return the panel of the numbers that a check names."""
    patterns = {unit: f".*_{suffix}" for suffix, unit in _SUFFIXES.items()}
    queries, units = _by_unit("probe_value", "value", patterns)
    return curves(
        "Values",
        "The numbers that the check names with `values`, takes from a dialogue or from a program's performance data;"
        " gaps where none was found. Names that end in _seconds, _bytes or _ratio have that unit.",
        queries,
        size,
        Look(),
        units=units,
    )


def _by_unit(metric: str, label: str, patterns: dict[str, str]) -> tuple[list[Query], dict[str, str]]:
    """Return a query for each unit and one for all else, and the unit by the letter of the query."""

    def query(matcher: str) -> Query:
        return Query(f"max by ({label}) ({selected(metric, matcher)})", f"{{{{{label}}}}}")

    queries = [query(f'{label}!~"{"|".join(patterns.values())}"')]
    queries += [query(f'{label}=~"{pattern}"') for pattern in patterns.values()]
    return queries, dict(zip("BCDE", patterns, strict=False))


def _patterns() -> dict[str, str]:
    """Return a regular expression for the expectations of each unit."""
    return {unit: _subjects(kind) for kind, unit in _UNITS.items()}


def _subjects(kind: ValueKind) -> str:
    """Return a regular expression for expectations on subjects of a kind, those of steps included."""
    types = ExecutorRegistry.with_builtins().check_types.values()
    names = {subject.name for check_type in types for subject in check_type.subjects if subject.kind is kind}
    names |= {"duration"} if kind is ValueKind.DURATION else set()
    return f"(.* )?({'|'.join(sorted(names))}) (eq|ne|lt|le|gt|ge|in) .*"


def _observed() -> Builder[Panel]:
    by = "expectation, severity"
    met = f"avg by ({by}) (avg_over_time({selected('probe_expectation_ok')}[$__range]))"
    judged = highest("probe_expectation_ok", by)
    queries, units = _by_unit("probe_expectation_value", "expectation", _patterns())
    titles = {scales.SECONDS: "Duration", scales.DAYS: "Days", "": "Number"}
    observed = [
        Column(
            title=titles[unit],
            expression=f"{judged} * 0 + on (expectation) group_left () {query.expression}",
            look=Look(unit=unit),
            width=75,
        )
        for query, unit in zip(queries, ("", *units.values()), strict=True)
    ]
    return table(
        "Expectations and what was observed",
        "Each expectation with the latest result, the number, duration or days it was judged by (none where it is about"
        " text), and the share of the runs in the time range that met it.",
        [
            Column(title="Expectation", label="expectation"),
            Column(title="Severity", label="severity", width=70),
            Column(
                title="Now",
                expression=lowest("probe_expectation_ok", by),
                look=Look(words=scales.MET),
                filled=True,
                width=70,
            ),
            *observed,
            availability_column(met, title="Met", width=80),
        ],
        (12, 9),
        sort="Expectation",
    )
