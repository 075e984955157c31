"""Metric families of requests in order: by step, and over all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.model import Measurement, MetricSpec, phase_durations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from exporter.http.message import Exchange
    from exporter.http.run import HttpRun
    from exporter.http_steps.settings import HttpStep

PHASES = ("resolve", "connect", "tls", "processing", "transfer")

DURATION = phase_durations(
    "http-steps",
    PHASES,
    "Seconds spent in each phase, summed over all steps; 0 for a phase that was not reached or not needed",
)
STEP_DURATION = MetricSpec(
    name="probe_http_steps_step_duration_seconds",
    help="Seconds that a step spent in each phase, redirects included; 0 for a phase that was not reached",
    labels=("step", "phase"),
)
STATUS_CODE = MetricSpec(
    name="probe_http_steps_status_code",
    help="Status of the last response of a step; 0 without one",
    labels=("step",),
)
STEP_SUCCESS = MetricSpec(
    name="probe_http_steps_step_success",
    help="1 when a step was done and no error was found in it; 0 also for a step that was not reached",
    labels=("step",),
)
STEPS_METRICS = (DURATION, STEP_DURATION, STATUS_CODE, STEP_SUCCESS)


def phase_seconds(exchanges: Iterable[Exchange]) -> Mapping[str, float]:
    """Return the seconds that exchanges have spent in each phase."""
    seconds = dict.fromkeys(PHASES, 0.0)
    for exchange in exchanges:
        connection = exchange.connection
        spent = (
            connection.resolve_seconds,
            connection.connect_seconds,
            connection.tls_seconds,
            exchange.processing_seconds,
            exchange.transfer_seconds,
        )
        for phase, one in zip(PHASES, spent, strict=True):
            seconds[phase] += one
    return seconds


def steps_measurements(
    steps: Sequence[HttpStep], runs: Mapping[str, HttpRun], passed: Iterable[str]
) -> Iterator[Measurement]:
    """Yield the values of STEPS_METRICS, which are there for every step.

    Args:
        steps: The steps, with those of `finally`.
        runs: The exchanges of those that were begun, by name.
        passed: The names of those that succeeded.
    """
    passed = frozenset(passed)
    total = phase_seconds(exchange for run in runs.values() for exchange in run.exchanges)
    yield from (Measurement(DURATION, seconds, (phase,)) for phase, seconds in total.items())
    for step in steps:
        exchanges = runs[step.name].exchanges if step.name in runs else []
        for phase, seconds in phase_seconds(exchanges).items():
            yield Measurement(STEP_DURATION, seconds, (step.name, phase))
        yield Measurement(STATUS_CODE, float(exchanges[-1].status if exchanges else 0), (step.name,))
        yield Measurement(STEP_SUCCESS, float(step.name in passed), (step.name,))
