"""Runs the checks that `run` selects, once or repeatedly, and shows the progress on a terminal."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from exporter.errors import UnselectedError
from exporter.exposition.families import MetricFamilies
from exporter.exposition.page import Format, write_page
from exporter.model import Severity
from exporter.reports.finished import FinishedCheck, Round
from exporter.scrape.collector import CheckCollector
from exporter.scrape.selection import Selection, selected_checks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from exporter.cli.options import Options
    from exporter.cli.program import Program
    from exporter.config import Config
    from exporter.model import Batch, Check, Result
    from exporter.runner.runner import CheckRunner


@dataclass(frozen=True, slots=True, kw_only=True)
class PagedRound(Round):
    """A round with the page that Prometheus would have got.

    Attributes:
        page: Returns the page, in the text format.
    """

    page: Callable[[], bytes]


class Rounds:
    """Runs the same checks again and again; lives as long as the command."""

    def __init__(self, program: Program, options: Options) -> None:
        """Select the checks; nothing is run yet.

        Args:
            program: The program, whose configuration has the checks.
            options: Which checks to run, and in which time.

        Raises:
            UnknownCheckNameError: When a name is not a configured check that is enabled.
            UnselectedError: When no check is selected.
        """
        config = program.live_config.current
        self.checks = select(config, options)
        self._program = program
        self._budget_seconds = options.budget_seconds
        self._fail_on = Severity(options.fail_on)
        self._places = config.places
        self._families = MetricFamilies(program.registry.check_types, program.live_config.masks)

    def run_each_time(self, number: int) -> Iterator[PagedRound]:
        """Run every check in this many rounds, even before its minimum interval has passed."""
        with _progress(number * len(self.checks)) as advance:
            for _ in range(number):
                yield self._run(self._collector(advance))

    def run_when_due(self) -> Iterator[PagedRound]:
        """Run the checks whose minimum interval has passed; the others repeat their last result."""
        with _progress(len(self.checks)) as advance:
            collector = self._collector(advance)
            first = self._run(collector)
        yield first
        while True:
            yield self._run(collector)

    def _collector(self, advance: Callable[[], None]) -> CheckCollector:
        return CheckCollector(_WatchedRunner(self._program.runner, advance), self.checks, self._families)

    def _run(self, collector: CheckCollector) -> PagedRound:
        outcome = collector.run(self._budget_seconds)
        by_name = {
            result.check_name: (result, in_maintenance)
            for result, in_maintenance in zip(outcome.results, outcome.in_maintenance, strict=True)
        }
        return PagedRound(
            checks=[
                FinishedCheck(
                    check=check,
                    result=by_name[check.name][0],
                    in_maintenance=by_name[check.name][1],
                    place=self._places.get(check.name),
                )
                for check in self.checks
            ],
            duration_seconds=outcome.batch.duration_seconds,
            fail_on=self._fail_on,
            page=lambda: write_page(collector.blocks(outcome), Format.TEXT).body,
        )


def select(config: Config, options: Options) -> Sequence[Check]:
    """Return the checks that the command line selects; named ones are in the order in which they are named.

    Raises:
        UnknownCheckNameError: When a name is not a configured check.
        UnselectedError: When a named check is disabled, or no check has the types and labels.
    """
    names = options.check_names
    disabled = {check.name for check in config.disabled}
    if off := [name for name in names if name in disabled]:
        raise UnselectedError(f"check {off[0]!r} is disabled, so it does not run")
    selection = Selection(
        check_names=frozenset(names),
        check_types=frozenset(options.check_types),
        labels=frozenset(options.labels),
    )
    chosen = selected_checks(config.checks, selection)
    if not chosen and (names or options.check_types or options.labels):
        raise UnselectedError(f"no check matches the given names, types and labels; {_known(config, options)}")
    order = {name: position for position, name in enumerate(names)}
    return sorted(chosen, key=lambda check: order[check.name]) if names else chosen


def _known(config: Config, options: Options) -> str:
    """Return the types that the checks have, and the values of the given labels."""
    known = [f"types: {', '.join(sorted({check.check_type for check in config.checks}))}"]
    for name in sorted({name for name, _ in options.labels}):
        values = sorted({check.labels[name] for check in config.checks if name in check.labels})
        known.append(f"values of {name}: {', '.join(values[:20])}" if values else f"no check has {name}")
    return "; ".join(known)


class _WatchedRunner:
    """A CheckRunner that reports the progress of another one."""

    def __init__(self, runner: CheckRunner, advance: Callable[[], None]) -> None:
        self._runner = runner
        self._advance = advance

    def run_all(
        self,
        checks: Iterable[Check],
        result_received: Callable[[Result], object],
        *,
        budget_seconds: float | None = None,
        given_up: Future[None] | None = None,
    ) -> Batch:
        """Run all checks, and advance the progress with each result."""

        def received(result: Result) -> None:
            result_received(result)
            self._advance()

        return self._runner.run_all(checks, received, budget_seconds=budget_seconds, given_up=given_up)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """Show on a terminal how many runs are done; yield a function to call after each."""
    columns = (TextColumn("running checks"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("", total=total)
        yield lambda: progress.advance(task)
