"""Converts the results of a batch to gauges: the blocks of a page about the results of checks.

A check has the same series on every page: a value that could not be measured has the default that its type declares.
Only series declared without a default (such as facts about a certificate) and the failure reason come and go.
"""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, NamedTuple

from exporter.exposition import families as catalogue
from exporter.exposition.series import Column, Rows, Table, shown
from exporter.model import Reason, ResultStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from exporter.exposition.families import Family, MetricFamilies
    from exporter.exposition.labels import OwnLabels
    from exporter.exposition.layout import SeriesLayout, TypeLayout, TypeSeries
    from exporter.exposition.series import Block
    from exporter.model import Batch, Check, ExpectationOutcome, Measurement, MetricSpec, Result

    Extras = dict[MetricSpec, dict[OwnLabels, dict[int, float]]]

_RUBBISH = (AttributeError, KeyError, TypeError, ValueError, OverflowError)
"""What an invalid measurement raises: it is not declared, not a number, has the wrong labels, or is not a tuple."""


class Outcome(NamedTuple):
    """The outcome of running checks for a scrape; immutable, shared by the scrapes that joined it.

    Attributes:
        results: The result of each check, in the order of the layout.
        ages: The age of each result, in seconds.
        batch: The report on the batch.
        in_maintenance: Whether each check was in maintenance at its end.
        since: Unix time since when each check has had its verdict; NaN for a check of which no run is known.
    """

    results: Sequence[Result]
    ages: Sequence[float]
    batch: Batch
    in_maintenance: Sequence[bool]
    since: Sequence[float]


def probe_blocks(layout: SeriesLayout, outcome: Outcome, families: MetricFamilies) -> Iterator[Block]:
    """Yield the gauges about the results of the checks, family by family."""
    results = outcome.results
    columns = (
        (catalogue.SUCCESS, [result.status is not ResultStatus.ERROR for result in results]),
        (catalogue.DURATION, [result.duration_seconds for result in results]),
        (
            catalogue.TIMEOUT,
            [
                result.timeout_seconds or check.timeout_seconds
                for result, check in zip(results, layout.checks, strict=True)
            ],
        ),
        (catalogue.STATUS, [result.status.code for result in results]),
        (catalogue.ATTEMPTS, [result.attempts for result in results]),
        (catalogue.RESULT_AGE, outcome.ages),
        (catalogue.MAINTENANCE, outcome.in_maintenance),
    )
    for family, values in columns:
        yield from shown(family, tables=[Table(layout.check_column, [Column(layout.plain, array("d", values))])])
    yield from _since_blocks(layout, array("d", outcome.since))
    failures = Rows()
    for labels, result in zip(layout.check_column.labels, results, strict=True):
        if result.status is ResultStatus.ERROR:
            failures.add(labels, layout.reasons[result.reason or Reason.INTERNAL], 1.0)
    yield from shown(catalogue.FAILURE_INFO, rows=failures)
    yield from _expectation_blocks(layout, results)
    yield from _type_blocks(layout, results, families)


def _since_blocks(layout: SeriesLayout, since: array[float]) -> Iterator[Block]:
    if not any(map(math.isnan, since)):
        yield from shown(catalogue.STATE_SINCE, tables=[Table(layout.check_column, [Column(layout.plain, since)])])
        return
    known = Rows()
    for labels, value in zip(layout.check_column.labels, since, strict=True):
        if not math.isnan(value):
            known.add(labels, layout.plain, value)
    yield from shown(catalogue.STATE_SINCE, rows=known)


def _expectation_blocks(layout: SeriesLayout, results: Sequence[Result]) -> Iterator[Block]:
    met, judged = Rows(), Rows()
    for check, labels, own_labels, result in zip(
        layout.checks, layout.check_column.labels, layout.expectations, results, strict=True
    ):
        for own, outcome in zip(own_labels, _outcomes_of(check, result), strict=True):
            met.add(labels, own.ok, outcome is not None and outcome.ok)
            if own.value is not None:
                judged.add(labels, own.value, math.nan if outcome is None else outcome.value)
    yield from shown(catalogue.EXPECTATION_OK, rows=met)
    yield from shown(catalogue.EXPECTATION_VALUE, rows=judged)


def _outcomes_of(check: Check, result: Result) -> Sequence[ExpectationOutcome | None]:
    """Return the outcome of each expectation of the check; None for an expectation missing from the result."""
    if len(result.expectations) == len(check.expectations):
        return result.expectations
    outcomes = {id(outcome.expectation): outcome for outcome in result.expectations}
    return [outcomes.get(id(expectation)) for expectation in check.expectations]


def _type_blocks(layout: SeriesLayout, results: Sequence[Result], families: MetricFamilies) -> Iterator[Block]:
    tables: dict[Family, list[Table]] = {}
    rows: dict[Family, Rows] = {}
    for group in layout.types:
        columns, extras = _measured(group, results[group.start : group.stop])
        by_family: dict[Family, list[Column]] = {}
        for series, values in zip(group.series.standing, columns, strict=True):
            by_family.setdefault(series.family, []).append(Column(series.own, values))
        for family, family_columns in by_family.items():
            tables.setdefault(family, []).append(Table(group.check_column, family_columns))
        for spec, label_sets in extras.items():
            family_rows = rows.setdefault(families.by_spec[spec], Rows())
            for own, values_by_check in label_sets.items():
                for number, value in values_by_check.items():
                    family_rows.add(group.check_column.labels[number], own, value)
    for family in families.of_types:
        yield from shown(family, tables=tables.get(family, ()), rows=rows.get(family))


def _measured(group: TypeLayout, results: Sequence[Result]) -> tuple[list[array[float]], Extras]:
    """Sort the measurements into the columns that all checks of the type have, and the series that only some have."""
    series = group.series
    columns = [array("d", [standing.default]) * len(results) for standing in series.standing]
    by_spec = {
        spec: {labels: columns[index] for labels, index in indices.items()} for spec, indices in series.columns.items()
    }
    extras: Extras = {spec: {} for spec in series.columns}
    for number, result in enumerate(results):
        try:
            _sort_in(series, number, result.measurements, by_spec, extras)
        except _RUBBISH:
            for measurement in result.measurements:
                try:
                    _sort_in(series, number, (measurement,), by_spec, extras)
                except _RUBBISH as error:
                    name = getattr(getattr(measurement, "spec", None), "name", "something")
                    undeclared = isinstance(error, KeyError)
                    problem = "its type does not declare it" if undeclared else f"{type(error).__name__}: {error}"
                    series.complain(str(name), problem)
    return columns, extras


def _sort_in(
    series: TypeSeries,
    number: int,
    measurements: Iterable[Measurement],
    by_spec: Mapping[MetricSpec, Mapping[tuple[str, ...], array[float]]],
    extras: Extras,
) -> None:
    for spec, value, labels in measurements:
        column = by_spec[spec].get(labels)
        if column is not None:
            column[number] = value
        else:
            extras[spec].setdefault(series.own_labels(spec, labels), {})[number] = float(value)
