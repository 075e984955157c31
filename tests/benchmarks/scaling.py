"""How much faster several exporters on one machine are: the same checks shared among 1, 2, ... processes.

    python -m tests.benchmarks.scaling --type https --checks 2000 --processes 1 2

All processes are scraped at the same moment, as Prometheus may do, and the wall time is that of the last page. The
targets and the client run on the same machine and take a part of its cores.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import uvloop

from tests.benchmarks.client import get_all
from tests.benchmarks.exporters import SCRAPE_HEADERS, SETTLE_SECONDS, Round, start_ours
from tests.benchmarks.figures import machine, print_alone, say
from tests.benchmarks.targets import TYPES

if TYPE_CHECKING:
    from tests.benchmarks.exporters import Exporter


def run_round(exporters: list[Exporter]) -> Round:
    """Scrape all exporters at once."""

    async def scrape_all() -> None:
        scrapes = [get_all(each.port, each.paths, concurrency=1, headers=SCRAPE_HEADERS) for each in exporters]
        for exporter, answered in zip(exporters, await asyncio.gather(*scrapes), strict=True):
            exporter.verify(answered.bodies)

    before = sum(each.cpu_seconds() for each in exporters)
    started = time.perf_counter()
    uvloop.run(scrape_all())
    wall_seconds = time.perf_counter() - started
    time.sleep(SETTLE_SECONDS)
    cpu_seconds = sum(each.cpu_seconds() for each in exporters) - before
    return Round(cpu_seconds * 1e6 / sum(each.expected_successes for each in exporters), wall_seconds)


def measure(check_type: str, checks: int, processes: list[int], rounds: int) -> None:
    """Measure each number of processes in turns, after one round that does not count, and print the figures."""
    with TemporaryDirectory() as temporary, ExitStack() as stack:
        directory = Path(temporary)
        targets = stack.enter_context(TYPES[check_type](directory / "targets", checks))
        teams = {
            count: [
                start_ours(stack, directory / f"{count}-{number}", targets.share(number, count))
                for number in range(count)
            ]
            for count in processes
        }
        for team in teams.values():
            run_round(team)
        all_rounds = [{count: run_round(team) for count, team in teams.items()} for _ in range(rounds)]
    say(f"\n{checks} {check_type} checks, {rounds} rounds, median (min to max)")
    for count in processes:
        say(f"{count} process{'es' if count > 1 else ''}")
        print_alone("  CPU per check, us", [each[count].cpu_us_per_check for each in all_rounds], "{:.0f}")
        print_alone("  wall time, s", [each[count].wall_seconds for each in all_rounds], "{:.2f}")
        ratios = [each[processes[0]].wall_seconds / each[count].wall_seconds for each in all_rounds]
        print_alone(f"  times as fast as {processes[0]}", ratios, "{:.2f}")


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description="Compare one exporter with several that share its checks.")
    parser.add_argument("--type", nargs="+", choices=list(TYPES), default=["http"], help="types of the checks")
    parser.add_argument("--checks", type=int, default=2000, help="number of checks")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2], help="numbers of processes")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count")
    arguments = parser.parse_args()
    say(f"{time.strftime('%Y-%m-%d')}, {machine()}")
    for check_type in arguments.type:
        measure(check_type, arguments.checks, arguments.processes, arguments.rounds)


if __name__ == "__main__":
    main()
