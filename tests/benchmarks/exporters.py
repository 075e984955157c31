"""The exporters under measurement, each a process of its own: how they are started, asked and accounted for."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import uvloop

from tests.benchmarks.client import PROMETHEUS_HEADERS, get_all
from tests.servers.blackbox import probe_path, run_blackbox
from tests.servers.process import ServerProcess, answers_http, free_port

if TYPE_CHECKING:
    from contextlib import ExitStack

    from tests.benchmarks.targets import Targets

ROOT = Path(__file__).parent.parent.parent
SETTLE_SECONDS = 0.3
"""What a process does after its answer, such as closing and collecting garbage, belongs to the answer's cost."""

SCRAPE_HEADERS = {**PROMETHEUS_HEADERS, "X-Prometheus-Scrape-Timeout-Seconds": "30"}
MODULE = "bench"
_SCHEDULED = 2
"""CPUCLOCK_SCHED of Linux: the kind of clock in the lowest bits of a process' clock id."""


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
        """User and system time of the process so far, all its threads.

        The clock of a process (clock_getcpuclockid(3)) counts nanoseconds; proc(5) has hundredths of a second, which
        are some percent of a round.
        """
        return time.clock_gettime(~self.process.pid << 3 | _SCHEDULED)

    def resident_mib(self) -> tuple[float, float]:
        """Resident memory now and at its highest."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        sizes = dict(line.split(":", 1) for line in status.splitlines())
        return int(sizes["VmRSS"].split()[0]) / 1024, int(sizes["VmHWM"].split()[0]) / 1024

    def run_round(self) -> Round:
        """Scrape once.

        Raises:
            AssertionError: When a check failed.
        """
        before = self.cpu_seconds()
        answered = uvloop.run(get_all(self.port, self.paths, concurrency=self.concurrency, headers=SCRAPE_HEADERS))
        time.sleep(SETTLE_SECONDS)
        self.verify(answered.bodies)
        return Round((self.cpu_seconds() - before) * 1e6 / self.expected_successes, answered.wall_seconds)

    def verify(self, bodies: list[str]) -> None:
        """Verify that every check on these pages succeeded.

        Raises:
            AssertionError: When one failed: figures of failures are worth nothing.
        """
        successes = sum(
            line.startswith("probe_success") and float(line.rsplit(" ", 1)[1]) == 1
            for body in bodies
            for line in body.splitlines()
        )
        assert successes == self.expected_successes, f"{self.name}: {successes} of {self.expected_successes} succeeded"


def start_ours(stack: ExitStack, directory: Path, targets: Targets) -> Exporter:
    """Start our exporter with the targets configured; it checks all of them in one scrape."""
    directory.mkdir(parents=True)
    (directory / "checks.yml").write_text(targets.checks_yml(), encoding="utf-8")
    process, port = _run(stack, directory, "--config.file=checks.yml")
    return Exporter("nyxmon-exporter", process, port, ["/metrics"], 1, len(targets.targets))


def start_our_probes(stack: ExitStack, directory: Path, targets: Targets, concurrency: int) -> Exporter:
    """Start our exporter with blackbox_exporter's module; it is asked for each target, as blackbox_exporter is."""
    directory.mkdir(parents=True)
    (directory / "blackbox.yml").write_text(targets.blackbox_yml(), encoding="utf-8")
    process, port = _run(stack, directory, "--blackbox.config.file=blackbox.yml", "--blackbox.strict")
    paths = [probe_path(target, MODULE) for target in targets.blackbox_targets]
    return Exporter("nyxmon-exporter", process, port, paths, concurrency, len(paths))


def start_theirs(stack: ExitStack, directory: Path, targets: Targets, concurrency: int) -> Exporter:
    """Start blackbox_exporter with a module for the targets."""
    blackbox = stack.enter_context(run_blackbox(directory, targets.blackbox_yml()))
    paths = [probe_path(target, MODULE) for target in targets.blackbox_targets]
    return Exporter("blackbox_exporter", blackbox.process, blackbox.port, paths, concurrency, len(paths))


def _run(stack: ExitStack, directory: Path, *flags: str) -> tuple[ServerProcess, int]:
    port = free_port()
    process = ServerProcess(
        [sys.executable, "-m", "exporter", *flags, f"--web.listen-address=127.0.0.1:{port}"],
        directory=directory,
        environment={"PYTHONPATH": str(ROOT)},
        is_ready=lambda: answers_http(port, "/-/ready"),
    )
    return stack.enter_context(process), port
