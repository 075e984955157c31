"""The command `run`: runs checks once and prints the results; the exit status says whether one failed."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from exporter.cli.report import json_report, print_table
from exporter.errors import UnknownCheckNameError
from exporter.exposition.families import MetricFamilies
from exporter.exposition.text_format import Format, write_page
from exporter.model import ResultStatus
from exporter.scrape.collector import CheckCollector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from exporter.cli.arguments import Options
    from exporter.cli.program import Program
    from exporter.model import Batch, Check, Result
    from exporter.runner.runner import CheckRunner


def run_once(program: Program, options: Options) -> int:
    """Run the checks and print their results; return 1 when one failed outside maintenance, 0 otherwise.

    Raises:
        UnknownCheckNameError: When a name is not a configured check; nothing is run then.
    """
    mask = program.live_config.masks
    checks = _select(program.live_config.current.checks, options.check_names)
    with _progress(len(checks)) as advance:
        runner = _WatchedRunner(program.runner, advance)
        collector = CheckCollector(runner, checks, MetricFamilies(program.registry.check_types, mask))
        outcome = collector.run(options.budget_seconds)
    by_name = {result.check_name: result for result in outcome.results}
    results = [by_name[check.name] for check in checks]
    if options.output == "prometheus":
        # The format is UTF-8, whatever the locale says that the terminal shows
        sys.stdout.buffer.write(write_page(collector.blocks(outcome), Format.TEXT).body)
    elif options.output == "json":
        sys.stdout.write(json_report(checks, results, outcome.batch, outcome.in_maintenance, mask))
    else:
        print_table(checks, results, outcome.batch, outcome.in_maintenance)
    failed = (result.status is ResultStatus.ERROR for result in results)
    return int(any(bad and not expected for bad, expected in zip(failed, outcome.in_maintenance, strict=True)))


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


def _select(checks: tuple[Check, ...], names: tuple[str, ...]) -> tuple[Check, ...]:
    by_name = {check.name: check for check in checks}
    unknown = set(names) - by_name.keys()
    if unknown:
        raise UnknownCheckNameError(unknown, by_name)
    return tuple(by_name[name] for name in names) or checks


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """Show on a terminal how many checks are done; yield a function to call after each."""
    console = Console(stderr=True)
    columns = (TextColumn("running checks"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)
        yield lambda: progress.advance(task)
