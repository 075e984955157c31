"""Judges expectations by what was observed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from exporter.errors import CheckFailed
from exporter.expect.comparing import holds
from exporter.expect.words import cut, shown_value, with_kind
from exporter.model import ExpectationOutcome, Explained, Judged, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exporter.model import Expectation, Observation


def evaluate(
    expectations: Iterable[Expectation], observed: Mapping[str, Observation]
) -> tuple[ExpectationOutcome, ...]:
    """Judge each expectation on its own, in the order given. Never raises, whatever was observed.

    Args:
        expectations: The expectations.
        observed: Subject name to value; a missing subject was not observed and counts as not evaluated.
    """
    return tuple(_judge(expectation, observed) for expectation in expectations)


def _judge(expectation: Expectation, observed: Mapping[str, Observation]) -> ExpectationOutcome:
    subject = expectation.subject
    if subject.name not in observed:
        return ExpectationOutcome(expectation=expectation, ok=False, evaluated=False)
    try:
        observation = observed[subject.name]
        if isinstance(observation, Judged):
            return observation.outcomes[id(expectation)]
        value = observation(expectation.selector) if callable(observation) else observation
        why = ""
        if isinstance(value, Explained):
            why = f" ({value.why})"
            value = value.value
        ok = holds(subject.kind, expectation.operator, value, expectation.operand)
        shown = shown_value(subject.kind, value)
        if not ok and value is not None:
            shown = with_kind(expectation, value, shown)
        return ExpectationOutcome(
            expectation=expectation,
            ok=ok,
            value=_number(value),
            observed=cut(shown + why) if why else shown,
        )
    except CheckFailed as failure:
        return ExpectationOutcome(
            expectation=expectation, ok=False, evaluated=False, reason=failure.reason, detail=failure.detail
        )
    except MemoryError:
        return ExpectationOutcome(
            expectation=expectation,
            ok=False,
            evaluated=False,
            reason=Reason.TOO_LARGE,
            detail=f"judging {subject.name} takes more memory than it may",
        )
    except Exception as error:  # noqa: BLE001 - a plugin's failure to produce one value must not affect the others
        return ExpectationOutcome(
            expectation=expectation, ok=False, observed=f"<{type(error).__name__}>", evaluated=False
        )


def _number(value: object) -> float:
    """Return the value for `probe_expectation_value`: flags are 0 and 1, anything but a number is NaN."""
    if not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
