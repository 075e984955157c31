"""Groups failing checks by cause: one cause for all checks that fail in the same way."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from exporter.model import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.scrape.runs import Run

_MOST_CAUSES = 8
_MOST_CHARACTERS = 80
_OBSERVED = frozenset((Reason.STATUS, Reason.RCODE))
"""Reasons whose observed value is short and the same for many checks."""


class CauseCount(NamedTuple):
    """A cause, and how many checks fail because of it."""

    text: str
    checks: int


def cause_of(run: Run) -> str:
    """Return why a run failed, in words that it shares with runs of other checks; empty when it did not fail.

    It is the observed status or response code, such as `status 503`, the expectation that was missed, or the reason.
    """
    if run.reason is None:
        return ""
    for outcome in run.expectations:
        expectation = outcome.expectation
        if outcome.evaluated and not outcome.ok and expectation.subject.reason is run.reason:
            is_short = run.reason in _OBSERVED and outcome.observed
            return (f"{run.reason} {outcome.observed}" if is_short else expectation.label)[:_MOST_CHARACTERS]
    return run.reason.value


def alike(run: Run, others: Iterable[Run]) -> CauseCount | None:
    """Return the cause of a run that failed, and how many others have the same; None when there are none."""
    cause = cause_of(run)
    count = sum(cause_of(other) == cause for other in others) if cause else 0
    return CauseCount(cause, count) if count else None


def sum_up(runs: Iterable[Run]) -> list[CauseCount]:
    """Return the most frequent causes of runs that failed, most frequent first."""
    counts = Counter(map(cause_of, runs))
    return [CauseCount(text, checks) for text, checks in counts.most_common(_MOST_CAUSES)]
