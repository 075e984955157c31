"""Explains one run of a check in lines of text: the verdict, the expectations, the phases and the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.logs import escape_unprintable
from exporter.quantities import counted, seconds_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.masking import Mask
    from exporter.model import ExpectationOutcome, LogLine, Result
    from exporter.reports.finished import FinishedCheck

_INDENT = "  "


def explanation(finished: FinishedCheck, mask: Mask) -> list[str]:
    """Return a headline and the indented details of the run, with secrets masked."""
    return [escape_unprintable(line) for line in _lines(finished, mask)]


def _lines(finished: FinishedCheck, mask: Mask) -> Iterator[str]:
    check, result = finished.check, finished.result
    why = f": {finished.why}" if finished.why else ""
    yield f"{check.name} is {finished.state}{why}"
    took = f"{seconds_text(result.duration_seconds)}, {counted(result.attempts, 'attempt')}"
    place = f", {finished.place.file}:{finished.place.line}" if finished.place else ""
    yield f"{_INDENT}{check.check_type} {mask(check.shown_target)}, {took}{place}"
    for outcome in result.expectations:
        yield _INDENT + _expectation(outcome, mask)
    phases = [f"{name} {seconds_text(seconds)}" for name, seconds in phase_seconds(result).items()]
    if phases:
        yield f"{_INDENT}phases: {', '.join(phases)}"
    for line in result.log:
        yield _INDENT + _log_line(line, mask)


def phase_seconds(result: Result) -> dict[str, float]:
    """Return the duration of each phase that took time, in their order."""
    measured = {entry.labels[0]: entry.value for entry in result.measurements if entry.spec.labels == ("phase",)}
    return {name: seconds for name, seconds in measured.items() if seconds > 0}


def _expectation(outcome: ExpectationOutcome, mask: Mask) -> str:
    observed = f"; observed {mask(outcome.observed)}" if outcome.evaluated and outcome.observed else ""
    return f"{outcome.verdict}: {outcome.expectation.label} ({outcome.expectation.severity}){observed}"


def _log_line(line: LogLine, mask: Mask) -> str:
    fields = "".join(f" {name}={mask(text)}" for name, text in line.texts().items())
    return f"{line.offset_seconds * 1000:9.1f} ms  {mask(line.message)}{fields}"
