"""What checks cost: our exporter's one scrape of N checks beside N probes of Debian's blackbox_exporter.

    python -m tests.benchmarks.scrape --checks 1000 --type http

Both check the same healthy targets from freshly started processes, in turns, after one round that does not count. CPU
is that of the whole exporter process, user and system; of the targets and of the client none is counted. Prometheus
would scrape blackbox_exporter in N requests; here fifty at a time keep it busy. With `--probes`, our exporter gets the
same N requests for the same module.
"""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from tests.benchmarks.exporters import start_our_probes, start_ours, start_theirs
from tests.benchmarks.figures import machine, print_alone, print_header, print_row, say
from tests.benchmarks.targets import TYPES

if TYPE_CHECKING:
    from tests.benchmarks.exporters import Exporter, Round


class Wanted(NamedTuple):
    """Highest ratios to blackbox_exporter that are good enough; None where none is promised."""

    cpu: float | None = None
    wall: float | None = None


WANTED = {
    "http": Wanted(0.45, 1.0),
    "https": Wanted(0.75, 0.9),
    "https-tls12": Wanted(0.75, 0.9),
    "tcp": Wanted(0.4, 1.0),
    "dns": Wanted(0.4, 1.0),
    "grpc": Wanted(0.5, 1.0),
    "icmp": Wanted(0.5, 1.0),
}
WANTED_OF_PROBES = {"http": Wanted(0.8, 1.0)}


def compare(check_type: str, count: int, rounds: int, concurrency: int, *, as_probes: bool) -> None:
    """Measure one type and print the table; ours alone when blackbox_exporter does not have the type."""
    with TemporaryDirectory() as temporary, ExitStack() as stack:
        directory = Path(temporary)
        targets = stack.enter_context(TYPES[check_type](directory / "targets", count))
        if as_probes and targets.module:
            ours = start_our_probes(stack, directory / "ours", targets, concurrency)
        else:
            ours = start_ours(stack, directory / "ours", targets)
        ours.run_round()
        if not targets.module:
            show_alone(check_type, count, ours, [ours.run_round() for _ in range(rounds)])
            return
        theirs = start_theirs(stack, directory / "theirs", targets, concurrency)
        theirs.run_round()
        pairs = [(ours.run_round(), theirs.run_round()) for _ in range(rounds)]
        wanted = (WANTED_OF_PROBES if as_probes else WANTED).get(check_type, Wanted())
        print_header(f"{count} {check_type} {'probes' if as_probes else 'checks'}, {rounds} rounds")
        cpu = [(a.cpu_us_per_check, b.cpu_us_per_check) for a, b in pairs]
        print_row("CPU per check, us", cpu, "{:.0f}", wanted=wanted.cpu)
        print_row("wall time, s", [(a.wall_seconds, b.wall_seconds) for a, b in pairs], "{:.2f}", wanted=wanted.wall)
        now, peak = zip(ours.resident_mib(), theirs.resident_mib(), strict=True)
        print_row("resident memory, MiB", [now], "{:.0f}")
        print_row("its peak, MiB", [peak], "{:.0f}")


def show_alone(check_type: str, count: int, ours: Exporter, rounds: list[Round]) -> None:
    """Print the figures of a type that blackbox_exporter does not have."""
    say(f"\n{count} {check_type} checks, {len(rounds)} rounds, median (min to max); blackbox_exporter has no such type")
    print_alone("CPU per check, us", [one.cpu_us_per_check for one in rounds], "{:.0f}")
    print_alone("wall time, s", [one.wall_seconds for one in rounds], "{:.2f}")
    for title, mebibytes in zip(("resident memory, MiB", "its peak, MiB"), ours.resident_mib(), strict=True):
        print_alone(title, [mebibytes], "{:.0f}")


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description="Compare the cost of checks with blackbox_exporter's.")
    parser.add_argument("--type", nargs="+", choices=[*TYPES, "all"], default=["http"], help="types of the checks")
    parser.add_argument("--checks", type=int, nargs="+", default=[1000], help="numbers of checks")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count")
    parser.add_argument("--concurrency", type=int, default=50, help="probes of blackbox_exporter at a time")
    parser.add_argument("--probes", action="store_true", help="ask both for each target, with the same module")
    arguments = parser.parse_args()
    say(f"{time.strftime('%Y-%m-%d')}, {machine()}")
    for check_type in TYPES if "all" in arguments.type else arguments.type:
        for count in arguments.checks:
            compare(check_type, count, arguments.rounds, arguments.concurrency, as_probes=arguments.probes)


if __name__ == "__main__":
    main()
