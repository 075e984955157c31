"""What a scrape costs: our exporter's one scrape of N checks beside N probes of Debian's blackbox_exporter.

    python -m tests.benchmarks.scrape --checks 1000 --type http

Both check the same healthy targets from freshly started processes, in turns, after one round that does not count. CPU
is that of the whole exporter process, user and system; of the targets and of the client none is counted. Prometheus
would scrape blackbox_exporter in N requests; here fifty at a time keep it busy.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import uvloop

from tests.benchmarks.client import PROMETHEUS_HEADERS, get_all
from tests.benchmarks.targets import TYPES, Targets
from tests.servers.blackbox import Blackbox, run_blackbox
from tests.servers.process import ServerProcess, answers_http, free_port

ROOT = Path(__file__).parent.parent.parent
SETTLE_SECONDS = 0.3
"""What a process does after its answer, such as closing and collecting garbage, belongs to the answer's cost."""

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Round(NamedTuple):
    """One round of one exporter."""

    cpu_us_per_check: float
    wall_seconds: float


class Exporter(NamedTuple):
    """An exporter under measurement: its process, and the requests of one round."""

    name: str
    process: ServerProcess
    port: int
    paths: list[str]
    concurrency: int
    expected_successes: int

    def cpu_seconds(self) -> float:
        """User and system time of the process so far, all its threads (proc(5), fields 14 and 15)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND

    def resident_mib(self) -> tuple[float, float]:
        """Resident memory now and at its highest."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        sizes = dict(line.split(":", 1) for line in status.splitlines())
        return int(sizes["VmRSS"].split()[0]) / 1024, int(sizes["VmHWM"].split()[0]) / 1024

    def run_round(self) -> Round:
        """Scrape once.

        Raises:
            AssertionError: When a check failed that should not: figures of failures are worth nothing.
        """
        before = self.cpu_seconds()
        headers = {**PROMETHEUS_HEADERS, "X-Prometheus-Scrape-Timeout-Seconds": "30"}
        answered = uvloop.run(get_all(self.port, self.paths, concurrency=self.concurrency, headers=headers))
        time.sleep(SETTLE_SECONDS)
        successes = sum(
            line.startswith("probe_success") and float(line.rsplit(" ", 1)[1]) == 1
            for body in answered.bodies
            for line in body.splitlines()
        )
        assert successes == self.expected_successes, f"{self.name}: {successes} of {self.expected_successes} succeeded"
        return Round((self.cpu_seconds() - before) * 1e6 / self.expected_successes, answered.wall_seconds)


def start_ours(stack: ExitStack, directory: Path, targets: Targets) -> Exporter:
    """Start our exporter with the targets configured."""
    port = free_port()
    directory.mkdir(parents=True)
    (directory / "checks.yml").write_text(targets.checks_yml(), encoding="utf-8")
    process = ServerProcess(
        [
            sys.executable,
            "-m",
            "exporter",
            f"--config.file={directory / 'checks.yml'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        directory=directory,
        environment={"PYTHONPATH": str(ROOT)},
        is_ready=lambda: answers_http(port, "/-/ready"),
    )
    count = len(targets.targets)
    return Exporter("nyxmon-exporter", stack.enter_context(process), port, ["/metrics"], 1, count)


def start_theirs(stack: ExitStack, directory: Path, targets: Targets, concurrency: int) -> Exporter:
    """Start blackbox_exporter with a module for the targets."""
    blackbox: Blackbox = stack.enter_context(run_blackbox(directory, targets.blackbox_yml()))
    paths = [blackbox.probe_path(target, "bench") for target in targets.blackbox_targets]
    return Exporter("blackbox_exporter", blackbox.process, blackbox.port, paths, concurrency, len(paths))


def compare(check_type: str, count: int, rounds: int, concurrency: int) -> None:
    """Measure one type and print the table; ours alone when blackbox_exporter does not have the type."""
    with TemporaryDirectory() as temporary, ExitStack() as stack:
        directory = Path(temporary)
        targets = stack.enter_context(TYPES[check_type](directory / "targets", count))
        ours = start_ours(stack, directory / "ours", targets)
        ours.run_round()
        if not targets.module:
            print_alone(check_type, count, ours, [ours.run_round() for _ in range(rounds)])
            return
        theirs = start_theirs(stack, directory / "theirs", targets, concurrency)
        theirs.run_round()
        pairs = [(ours.run_round(), theirs.run_round()) for _ in range(rounds)]
        say(f"\n{count} {check_type} checks, {rounds} rounds, median (min to max)")
        say(f"{'':24}{'ours':>24}{'blackbox_exporter':>24}{'ratio':>24}")
        print_row("CPU per check, us", [(a.cpu_us_per_check, b.cpu_us_per_check) for a, b in pairs], "{:.0f}")
        print_row("wall of the scrape, s", [(a.wall_seconds, b.wall_seconds) for a, b in pairs], "{:.2f}")
        now, peak = zip(ours.resident_mib(), theirs.resident_mib(), strict=True)
        print_row("resident memory, MiB", [now], "{:.0f}")
        print_row("its peak, MiB", [peak], "{:.0f}")


def print_alone(check_type: str, count: int, ours: Exporter, rounds: list[Round]) -> None:
    """Print the figures of a type that blackbox_exporter does not have."""
    say(f"\n{count} {check_type} checks, {len(rounds)} rounds, median (min to max); blackbox_exporter has no such type")
    say(f"{'CPU per check, us':24}{spread([one.cpu_us_per_check for one in rounds], '{:.0f}'):>24}")
    say(f"{'wall of the scrape, s':24}{spread([one.wall_seconds for one in rounds], '{:.2f}'):>24}")
    for title, mebibytes in zip(("resident memory, MiB", "its peak, MiB"), ours.resident_mib(), strict=True):
        say(f"{title:24}{mebibytes:>24.0f}")


def say(line: str) -> None:
    """Print a line at once, also when standard output is a file."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def print_row(title: str, pairs: list[tuple[float, float]], form: str) -> None:
    """Print one quantity of both and its ratio."""
    columns = [[ours for ours, _ in pairs], [theirs for _, theirs in pairs]]
    cells = [spread(column, form) for column in columns]
    ratio = spread([ours / theirs for ours, theirs in pairs], "{:.2f}")
    say(f"{title:24}{cells[0]:>24}{cells[1]:>24}{ratio:>24}")


def spread(values: list[float], form: str) -> str:
    """Write the median and, of more than one value, the extremes."""
    middle = form.format(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({form.format(min(values))} to {form.format(max(values))})"


def machine() -> str:
    """Name what the figures were measured on."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = next((line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")), "?")
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description="Compare the cost of a scrape with blackbox_exporter's.")
    parser.add_argument("--type", choices=[*TYPES, "all"], default="http", help="type of the checks")
    parser.add_argument("--checks", type=int, default=1000, help="number of checks")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count")
    parser.add_argument("--concurrency", type=int, default=50, help="probes of blackbox_exporter at a time")
    arguments = parser.parse_args()
    say(machine())
    for check_type in TYPES if arguments.type == "all" else [arguments.type]:
        compare(check_type, arguments.checks, arguments.rounds, arguments.concurrency)


if __name__ == "__main__":
    main()
