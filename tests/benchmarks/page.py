"""What making a page costs, apart from running the checks: recording results, assembling, writing, compressing.

    python -m tests.benchmarks.page --checks 10000

The checks are HTTPS checks with two expectations, and everything their type declares has been measured. Every round
has new results, as every scrape has. prometheus_client's writers print the same series for comparison.
"""

from __future__ import annotations

import argparse
import random
import sys
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from exporter.checks.http import HTTP
from exporter.exposition.families import MetricFamilies
from exporter.exposition.page import Format, write_page
from exporter.model import Check, LogLine, Measurement
from exporter.scrape.collector import CheckCollector, metric_of
from exporter.scrape.records import Records
from tests.scraping import BODY_OK, STATUS_OK, Blocks, Prepared, measured, outcome_of, reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.exposition.page import Page
    from exporter.exposition.probe_metrics import Outcome
    from exporter.model import Result

EXPECTATIONS = (outcome_of(STATUS_OK, ok=True, value=200.0), outcome_of(BODY_OK, ok=True))


def check(number: int) -> Check:
    target = f"https://host{number:05d}.example/path"
    expectations = (STATUS_OK, BODY_OK)
    return Check(name=f"check-{number:05d}", check_type="http", target=target, expectations=expectations)


def result(subject: Check) -> Result:
    """A result in which everything was measured: durations are odd numbers, facts are the same for all checks."""
    found = []
    for spec in HTTP.metrics:
        for labels, default in spec.defaults or (((("a fact of some length",) * len(spec.labels)), 1.0),):
            found.append(Measurement(spec, random.random() if "seconds" in spec.name else default, labels))
    log = tuple(LogLine(0.1, "something happened", {"address": "192.0.2.1", "port": 443}) for _ in range(6))
    return measured(
        subject.name,
        measurements=tuple(found),
        expectations=EXPECTATIONS,
        duration_seconds=random.random(),
        log=log,
    )


def memory_megabytes() -> str:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    figures = dict(line.split(":", 1) for line in status.splitlines())
    return f"{int(figures['VmRSS'].split()[0]) // 1024} MB, at most {int(figures['VmHWM'].split()[0]) // 1024} MB"


def milliseconds(work: Callable[[], Any]) -> tuple[float, Any]:
    started = perf_counter()
    done = work()
    return (perf_counter() - started) * 1000.0, done


def page_of(collector: CheckCollector, outcome: Outcome, exposition_format: Format, *, compress: bool = False) -> Page:
    return write_page(collector.blocks(outcome), exposition_format, compress=compress)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--checks", type=int, default=10_000)
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    checks = [check(number) for number in range(options.checks)]
    runner = Prepared()
    records = Records(native_histograms=True)
    say(f"memory before: {memory_megabytes()}")
    families = MetricFamilies({"http": HTTP})
    spent, collector = milliseconds(lambda: CheckCollector(runner, checks, families, records=records))
    say(f"preparing once for a configuration: {spent:.0f} ms; memory: {memory_megabytes()}")
    outcome = collector.run(None)
    for _ in range(options.rounds):
        runner.results = {subject.name: result(subject) for subject in checks}
        recording, outcome = milliseconds(partial(collector.run, None))
        compressed, page = milliseconds(partial(page_of, collector, outcome, Format.OPENMETRICS, compress=True))
        sent = len(page.body)
        plain, page = milliseconds(partial(page_of, collector, outcome, Format.TEXT))
        lines, size = page.body.count(b"\n"), len(page.body)
        del page
        protobuf, page = milliseconds(partial(page_of, collector, outcome, Format.PROTOBUF, compress=True))
        sent_protobuf = len(page.body)
        del page
        say(
            f"recording {recording:.0f} ms; page {plain:.0f} ms, with gzip {compressed:.0f} ms; {lines} lines,"
            f" {size / 1e6:.1f} MB, {sent / 1e6:.1f} MB compressed; protobuf with gzip {protobuf:.0f} ms,"
            f" {sent_protobuf / 1e6:.1f} MB; memory: {memory_megabytes()}"
        )
    slow, _ = milliseconds(lambda: reference(Blocks(metric_of, *collector.blocks(outcome)), Format.TEXT))
    say(f"prometheus_client for the same: {slow:.0f} ms")


if __name__ == "__main__":
    main()
