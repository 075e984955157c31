"""CheckCollector: a prometheus_client collector that runs the checks as one batch per collection.

`exporter.scrape.service` writes its pages directly from the blocks that a collector yields; `describe` and `collect`
are for programs that register the collector with prometheus_client. Both show the same series.
"""

from __future__ import annotations

from time import monotonic, time
from typing import TYPE_CHECKING

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from exporter.exposition import families as catalogue
from exporter.exposition.families import Family, Kind
from exporter.exposition.labels import NO_CHECK, OwnLabels
from exporter.exposition.layout import SeriesLayout
from exporter.exposition.probe_metrics import Outcome, probe_blocks
from exporter.exposition.self_metrics import batch_blocks, check_blocks
from exporter.exposition.series import Block, Rows
from exporter.masking import masked_result
from exporter.model import Reason, Result
from exporter.scrape.records import Records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from exporter.exposition.families import MetricFamilies
    from exporter.exposition.labels import CheckLabels
    from exporter.exposition.series import HistogramTable, Table
    from exporter.model import Batch, Check
    from exporter.runner.runner import CheckRunner


class CheckCollector(Collector):
    """Runs checks when their metrics are collected; lives with the configuration, shared by threads.

    Register it in a separate registry, `CollectorRegistry(auto_describe=False)`. Collections may overlap; each runs its
    own batch.

    Attributes:
        layout: The checks and their series.
    """

    def __init__(
        self,
        runner: CheckRunner,
        checks: Iterable[Check],
        families: MetricFamilies,
        *,
        records: Records | None = None,
        budget_seconds: float | None = 10.0,
        labelled: bool = True,
        runs_always: bool = False,
    ) -> None:
        """Prepare to collect some checks; nothing is run yet.

        Args:
            runner: Runs the checks.
            checks: The checks; their names must differ.
            families: The metric families.
            records: Where results are recorded; the collectors of one process share it.
            budget_seconds: Time for one collection; None for no limit.
            labelled: Whether series carry the labels of their check, and more than its gauges is shown; only a
                collector of one check can go without labels.
            runs_always: Whether checks run even within their minimum interval.

        Raises:
            ValueError: When two checks have the same name.
        """
        self.layout = SeriesLayout(checks, families, labelled=labelled)
        self._runner = runner
        self._families = families
        self._records = records if records is not None else Records()
        self._check_counters = self._records.counters.of_checks(self.layout.checks)
        self._check_states = self._records.states.of_checks(self.layout.checks)
        self._budget_seconds = budget_seconds
        self._runs_always = runs_always

    def describe(self) -> list[Metric]:
        """Return the families that `collect` may return; runs nothing."""
        families: Iterable[Family] = (*catalogue.UNIVERSAL, *self._families.of_types)
        if self.layout.labelled:
            families = (*families, *catalogue.CHECKS, *catalogue.BATCH)
        return [_metric(family) for family in families]

    def collect(self) -> list[Metric]:
        """Run the checks as one batch and return their metrics.

        Every outcome of a check is a metric, never an exception.

        Raises:
            UnknownCheckTypeError: When a type has no executor.
        """
        return [metric_of(block) for block in self.blocks(self.run(self._budget_seconds))]

    def run(self, budget_seconds: float | None, given_up: Future[None] | None = None) -> Outcome:
        """Run the checks that are due as one batch, and record the results.

        Args:
            budget_seconds: Time for all checks; None for no limit.
            given_up: When this future completes, nothing waits for the outcome any more: checks without a result are
                cancelled, and nothing is recorded for them.

        Raises:
            UnknownCheckTypeError: When a type has no executor; nothing has been run.
        """
        checks, started, mask = self.layout.checks, monotonic(), self._families.mask
        reused = {}
        if not self._runs_always:
            reused = {check.name: last for check in checks if (last := self._records.reusable(check)) is not None}
        received: dict[str, Result] = {}

        def receive(result: Result) -> None:
            if given_up is None or not given_up.done():
                received[result.check_name] = masked_result(result, mask)

        batch: Batch | None = None
        try:
            batch = self._runner.run_all(
                [check for check in checks if check.name not in reused],
                receive,
                budget_seconds=budget_seconds,
                given_up=given_up,
            )
        finally:
            finished = [
                (check, counters, states, received[check.name])
                for check, counters, states in zip(checks, self._check_counters, self._check_states, strict=True)
                if check.name in received
            ]
            self._records.record(finished, batch, started=started)
        now = monotonic()
        for name, last in reused.items():
            received[name] = last.result
        results = [received.get(check.name) or _no_result(check) for check in checks]
        ages = [now - reused[check.name].received if check.name in reused else 0.0 for check in checks]
        since = [states.since_timestamp_seconds for states in self._check_states]
        return Outcome(results, ages, batch, _in_maintenance(checks), since)

    def blocks(self, outcome: Outcome) -> Iterator[Block]:
        """Yield the series of an outcome, family by family, in the order of the catalogue."""
        yield from probe_blocks(self.layout, outcome, self._families)
        if self.layout.labelled:
            yield from self._counted_blocks(outcome.batch)

    def blocks_without_run(self) -> Iterator[Block]:
        """Yield the series counted so far without running anything; for a collector with labels."""
        counters = self._records.counters
        with counters.lock:
            batch = counters.batches.standing()
        yield from self._counted_blocks(batch)

    def _counted_blocks(self, batch: Batch) -> Iterator[Block]:
        counters = self._records.counters
        yield from check_blocks(self.layout, counters, self._check_counters, batch.stuck_checks)
        yield from batch_blocks(batch, counters)


def _in_maintenance(checks: Sequence[Check]) -> list[bool]:
    """Return whether each check is in maintenance now; windows that checks share are evaluated once."""
    now_seconds = time()
    known: dict[int, bool] = {}
    for check in checks:
        if check.maintenance and id(check.maintenance) not in known:
            known[id(check.maintenance)] = check.in_maintenance(now_seconds)
    return [bool(check.maintenance) and known[id(check.maintenance)] for check in checks]


def _no_result(check: Check) -> Result:
    """Return a substitute for a result that a third-party runner did not return."""
    return check.failed(Reason.RUNNER, "the runner returned no result")


def metric_of(block: Block) -> Metric:
    """Convert a block to prometheus_client's object, with its samples in the order in which they are written."""
    metric = _metric(block.family)
    name = block.family.name
    for table in block.tables:
        _add_table(metric, name, table)
    rows = block.rows
    for labels, own, value in zip(rows.labels, rows.own, rows.values, strict=True):
        metric.add_sample(name, _labels(labels, own), value)
    for histograms in block.histograms:
        _add_histograms(metric, histograms)
    return metric


def block_of(metric: Metric) -> Block:
    """Convert a gauge or counter of prometheus_client to a block."""
    kind = Kind(metric.type)
    name = f"{metric.name}_total" if kind is Kind.COUNTER else metric.name
    rows = Rows()
    for sample in metric.samples:
        if sample.name == name:
            rows.add(NO_CHECK, OwnLabels(sample.labels.items(), of_check=False), sample.value)
    return Block(Family(name=name, kind=kind, help=metric.documentation), rows=rows)


def _metric(family: Family) -> Metric:
    name = family.name.removesuffix("_total") if family.kind is Kind.COUNTER else family.name
    return Metric(name, family.help, family.kind.value)


def _add_table(metric: Metric, name: str, table: Table) -> None:
    for number, labels in enumerate(table.check_column.labels):
        for own, values in table.columns:
            metric.add_sample(name, _labels(labels, own), values[number])


def _add_histograms(metric: Metric, table: HistogramTable) -> None:
    for labels, counts, total in zip(table.check_column.labels, table.counts, table.sums, strict=True):
        for bucket, count in zip(table.buckets, counts, strict=True):
            metric.add_sample(f"{metric.name}_bucket", _labels(labels, bucket), count)
        metric.add_sample(f"{metric.name}_count", _labels(labels, table.own), counts[-1])
        metric.add_sample(f"{metric.name}_sum", _labels(labels, table.own), total)


def _labels(check: CheckLabels, own: OwnLabels) -> dict[str, str]:
    return dict((*check.pairs, *own.pairs))
