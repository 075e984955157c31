"""Summarizes several rounds of the same checks: the spread of the durations and the share of failures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from exporter.quantities import counted, seconds_text
from exporter.reports.finished import WORST_FIRST, State
from exporter.reports.table import ColumnHead, Row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.model import Check, Reason
    from exporter.reports.finished import Round

REPETITION_COLUMNS = (
    ColumnHead("state"),
    ColumnHead("check", is_long=True),
    ColumnHead("type"),
    ColumnHead("target", is_long=True),
    ColumnHead("runs", is_number=True),
    ColumnHead("failed", is_number=True),
    *(ColumnHead(name, is_number=True) for name in ("min", "median", "p95", "max")),
    ColumnHead("reasons", is_long=True),
)


class Spread(NamedTuple):
    """The spread of durations, in seconds; the 95th percentile is the least that 95 % of them do not exceed."""

    min: float
    median: float
    p95: float
    max: float


class _Run(NamedTuple):
    """The data kept of one run."""

    state: State
    is_missed: bool
    reason: Reason | None
    duration_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """Several runs of one check.

    Attributes:
        check: The check.
        state: The worst state of a run.
        runs: How many there were.
        failures: How many were failing, or degraded if that counts as failed; in maintenance or not.
        reasons: Reason to number of runs, of all that were not ok; the most frequent first.
        spread: The durations of all runs.
    """

    check: Check
    state: State
    runs: int
    failures: int
    reasons: Mapping[str, int]
    spread: Spread

    @property
    def failure_share(self) -> float:
        """The failures as a share of the runs, from 0 to 1."""
        return self.failures / self.runs


class Repetitions:
    """Collects rounds of the same checks; keeps little of each run, so that there can be many.

    Attributes:
        rounds: How many rounds there were.
        failed: Whether a check failed in one of them, outside maintenance.
        duration_seconds: How long they took together.
    """

    def __init__(self) -> None:
        self.rounds = 0
        self.failed = False
        self.duration_seconds = 0.0
        self._runs: dict[str, list[_Run]] = {}
        self._checks: Sequence[Check] = ()

    def add(self, finished: Round) -> None:
        """Add a round."""
        self.rounds += 1
        self.failed = self.failed or finished.failed
        self.duration_seconds += finished.duration_seconds
        self._checks = [each.check for each in finished.checks]
        for each in finished.checks:
            result = each.result
            run = _Run(each.state, each.misses(finished.fail_on), result.reason, result.duration_seconds)
            self._runs.setdefault(each.check.name, []).append(run)

    def of_checks(self) -> list[Repetition]:
        """Return the summary of the runs of each check."""
        return [_repetition(check, self._runs[check.name]) for check in self._checks]

    @property
    def summary(self) -> str:
        """How many rounds there were, and how long they took."""
        checks = counted(len(self._checks), "check")
        return f"{counted(self.rounds, 'round')} of {checks} in {seconds_text(self.duration_seconds)}"


def spread_of(durations: Sequence[float]) -> Spread:
    """Return the spread of at least one duration."""
    ordered = sorted(durations)
    return Spread(ordered[0], median(ordered), ordered[ceil(0.95 * len(ordered)) - 1], ordered[-1])


def repetition_rows(repetitions: Sequence[Repetition]) -> list[Row]:
    """Return a row for each check, with the columns of `REPETITION_COLUMNS`."""
    return [
        Row(
            each.state,
            (
                each.state,
                each.check.name,
                each.check.check_type,
                each.check.shown_target,
                str(each.runs),
                f"{each.failures} ({each.failure_share:.0%})",
                *(f"{seconds:.3f}" for seconds in each.spread),
                ", ".join(f"{reason} {number}" for reason, number in each.reasons.items()),
            ),
        )
        for each in repetitions
    ]


def _repetition(check: Check, runs: Sequence[_Run]) -> Repetition:
    reasons = Counter(run.reason.value for run in runs if run.reason)
    return Repetition(
        check=check,
        state=min((run.state for run in runs), key=WORST_FIRST.index),
        runs=len(runs),
        failures=sum(run.is_missed for run in runs),
        reasons=dict(reasons.most_common()),
        spread=spread_of([run.duration_seconds for run in runs]),
    )
