"""Builds the blocks of the exporter's own metrics: about checks over time, batches and the exporter itself."""

from __future__ import annotations

from array import array
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from exporter.exposition import families as catalogue
from exporter.exposition.histograms import NativeHistogram
from exporter.exposition.labels import NO_CHECK, OwnLabels
from exporter.exposition.layout import bucket_labels
from exporter.exposition.series import Block, CheckColumn, Column, HistogramTable, Rows, Table, shown, single

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from exporter.exposition.counters import BatchCounters, CheckCounters, Counters
    from exporter.exposition.families import Family
    from exporter.exposition.histograms import Histogram
    from exporter.exposition.labels import CheckLabels
    from exporter.exposition.layout import SeriesLayout
    from exporter.model import Batch, Reason

_WITHOUT_CHECK = CheckColumn([NO_CHECK])


class ExporterFacts(NamedTuple):
    """Facts about the exporter itself, for its metrics.

    Attributes:
        version: Its version.
        python_version: Version of the interpreter.
        last_reload_successful: Whether the configuration in force matches the file.
        last_reload_success_timestamp_seconds: Unix time when it was loaded.
        resolver_threads: Threads in which the system is resolving a name.
        check_threads: Threads in which checks of blocking types run.
        replaced_loops: Event loops of the checks that were given up.
        checks: Checks in the configuration.
    """

    version: str
    python_version: str
    last_reload_successful: bool
    last_reload_success_timestamp_seconds: float
    resolver_threads: int
    check_threads: int
    replaced_loops: int
    checks: int


def check_blocks(
    layout: SeriesLayout, counters: Counters, of_checks: Sequence[CheckCounters], stuck: Iterable[str]
) -> list[Block]:
    """Return the metrics about the checks over time.

    They are built in one go, because they are read under the lock of the counters.

    Args:
        layout: The page.
        counters: Holds the lock.
        of_checks: The counters of the checks of the page, in page order.
        stuck: Names of the checks that ignored their cancellation.
    """
    check_column, stuck_names = layout.check_column, frozenset(stuck)
    stuck_flags = [check.name in stuck_names for check in layout.checks]
    with counters.lock:
        durations = _histograms(catalogue.CHECK_DURATION, check_column, [each.duration for each in of_checks])
        phases = _phase_histograms(layout, of_checks)
        runs = [each.runs for each in of_checks]
        failures = _failures(layout, of_checks)
    created = None
    if counters.native_histograms:  # only for pages in protobuf
        created = dict(zip(check_column.labels, [each.created_timestamp_seconds for each in of_checks], strict=True))
    columns = [Column(layout.plain, array("d", runs))]
    return [
        *shown(catalogue.CHECK_INFO, rows=layout.info),
        *shown(catalogue.CHECK_DURATION, histograms=[durations], created=created),
        *shown(catalogue.PHASE_DURATION, histograms=phases, created=created),
        *shown(catalogue.CHECK_RUNS, tables=[Table(check_column, columns)], created=created),
        *shown(catalogue.CHECK_FAILURES, rows=failures, created=created),
        *shown(catalogue.CHECK_STUCK, tables=[Table(check_column, [Column(layout.plain, array("d", stuck_flags))])]),
    ]


def _failures(layout: SeriesLayout, of_checks: Sequence[CheckCounters]) -> Rows:
    """Return the failures, reason by reason: what checks have in common is then added and written at once."""
    by_reason: defaultdict[Reason, tuple[list[CheckLabels], list[float]]] = defaultdict(lambda: ([], []))
    for labels, counters in zip(layout.check_column.labels, of_checks, strict=True):
        for reason, count in counters.failures.items():
            of_reason = by_reason[reason]
            of_reason[0].append(labels)
            of_reason[1].append(count)
    rows = Rows()
    for reason, (all_labels, counts) in by_reason.items():
        rows.extend(all_labels, layout.reasons[reason], counts)
    return rows


def _histograms(
    family: Family,
    check_column: CheckColumn,
    histograms: Sequence[Histogram],
    pairs: tuple[tuple[str, str], ...] = (),
) -> HistogramTable:
    return HistogramTable(
        check_column,
        OwnLabels(pairs, of_check=family.about_checks),
        bucket_labels(family, pairs, of_check=family.about_checks),
        [histogram.cumulated() for histogram in histograms],
        array("d", [histogram.sum for histogram in histograms]),
        [histogram.exponential() for histogram in histograms if isinstance(histogram, NativeHistogram)],
    )


def _phase_histograms(layout: SeriesLayout, of_checks: Sequence[CheckCounters]) -> list[HistogramTable]:
    by_phase: dict[str, list[int]] = {}
    for number, counters in enumerate(of_checks):
        for phase in counters.phases:
            by_phase.setdefault(phase, []).append(number)
    return [
        _histograms(
            catalogue.PHASE_DURATION,
            CheckColumn([layout.check_column.labels[number] for number in numbers]),
            [of_checks[number].phases[phase] for number in numbers],
            (("phase", phase),),
        )
        for phase, numbers in by_phase.items()
    ]


def batch_blocks(batch: Batch, counters: Counters) -> list[Block]:
    """Return the metrics about running the checks: gauges about this batch, histograms and counters of all batches."""
    with counters.lock:
        counted = counters.batches
        created: Mapping[CheckLabels, float] = {NO_CHECK: counted.created_timestamp_seconds}
        return [
            single(catalogue.BATCH_CHECKS, batch.checks),
            single(catalogue.BATCH_DEADLINE_EXCEEDED, batch.deadline_exceeded),
            single(catalogue.BATCH_STREAM_HIGH_WATER, batch.stream_high_water),
            single(catalogue.BATCH_LOOP_LAG, batch.loop_lag_seconds),
            *_batch_histograms(counted, created),
            *(single(family, count, created=created) for family, count in counted.counters.items()),
            *_by_name(catalogue.BATCH_EXECUTORS, counted.executors, created),
            *_by_name(catalogue.BATCH_CLEANUP_ERRORS, counted.cleanup_errors, created),
        ]


def _batch_histograms(counted: BatchCounters, created: Mapping[CheckLabels, float]) -> Iterator[Block]:
    for family, histogram in (
        (catalogue.BATCH_DURATION, counted.duration),
        (catalogue.BATCH_START_WAIT, counted.start_wait),
    ):
        yield from shown(family, histograms=[_histograms(family, _WITHOUT_CHECK, [histogram])], created=created)
    family = catalogue.BATCH_CLEANUP_DURATION
    tables = [
        _histograms(family, _WITHOUT_CHECK, [histogram], (("resource", resource),))
        for resource, histogram in counted.cleanup.items()
    ]
    yield from shown(family, histograms=tables, created=created)


def exporter_blocks(facts: ExporterFacts) -> Iterator[Block]:
    """Yield the metrics about the exporter itself."""
    versions = (("python_version", facts.python_version), ("version", facts.version))
    yield single(catalogue.BUILD_INFO, 1.0, versions)
    yield single(catalogue.RELOAD_SUCCESSFUL, facts.last_reload_successful)
    yield single(catalogue.RELOAD_TIMESTAMP, facts.last_reload_success_timestamp_seconds)
    yield single(catalogue.RESOLVER_THREADS, facts.resolver_threads)
    yield single(catalogue.CHECK_THREADS, facts.check_threads)
    yield single(catalogue.LOOPS_REPLACED, facts.replaced_loops)
    yield single(catalogue.EXPORTER_CHECKS, facts.checks)


def _by_name(family: Family, values: Mapping[str, float], created: Mapping[CheckLabels, float]) -> Iterator[Block]:
    """Yield a block with one series for each value of the family's only label."""
    (label,) = family.labels
    rows = Rows()
    for name, value in values.items():
        rows.add(NO_CHECK, OwnLabels([(label, name)], of_check=False), value)
    yield from shown(family, rows=rows, created=created)
