"""Judges expectations by what was observed."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from exporter.errors import CheckFailed
from exporter.expect.comparing import as_number, holds, is_there
from exporter.expect.words import cut, shown_value, with_kind
from exporter.model import ExpectationOutcome, Explained, Judged, Reason, SelectorKind, ValueKind

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
    return tuple(map(partial(_judge, observed=observed), expectations))


def _judge(expectation: Expectation, observed: Mapping[str, Observation]) -> ExpectationOutcome:
    if expectation.parts:
        return _judge_group(expectation, observed)
    name = expectation.subject.name
    if name not in observed:
        return ExpectationOutcome(expectation=expectation, ok=False, evaluated=False)
    try:
        return _compare(expectation, observed[name])
    except CheckFailed as failure:
        return ExpectationOutcome(
            expectation=expectation, ok=False, evaluated=False, reason=failure.reason, detail=failure.detail
        )
    except MemoryError:
        detail = f"judging {name} exceeded its limit of memory"
        return ExpectationOutcome(
            expectation=expectation, ok=False, evaluated=False, reason=Reason.TOO_LARGE, detail=detail
        )
    except Exception as error:  # noqa: BLE001 - a plugin's failure to produce one value must not affect the others
        return ExpectationOutcome(
            expectation=expectation, ok=False, observed=f"<{type(error).__name__}>", evaluated=False
        )


def _compare(expectation: Expectation, observation: Observation) -> ExpectationOutcome:
    """Compare what was observed with what is expected. Raises whatever the observation raises."""
    if isinstance(observation, Judged):
        return observation.outcomes[id(expectation)]
    value = observation(expectation.selector) if callable(observation) else observation
    why = ""
    if isinstance(value, Explained):
        why = f" ({value.why})"
        value = value.value
    kind = expectation.subject.kind
    compared, compared_kind = (as_number(value), ValueKind.NUMBER) if expectation.as_number else (value, kind)
    ok = holds(compared_kind, expectation.operator, compared, expectation.operand)
    if not ok and expectation.missing_ok:
        ok = not is_there(value)
    shown = str(value) if kind is ValueKind.STATUS and type(value) is int else shown_value(kind, value)
    if not ok and value is not None:
        shown = with_kind(expectation, compared, shown)
    observed = cut(shown + why) if why else shown
    return ExpectationOutcome(expectation=expectation, ok=ok, value=_number(compared), observed=observed)


def _judge_group(group: Expectation, observed: Mapping[str, Observation]) -> ExpectationOutcome:
    """Judge the parts of a group; the group shows the observations of the parts that decided."""
    outcomes = [_judge(part, observed) for part in group.parts]
    is_any = group.operator == "any_of"
    ok = any(one.ok for one in outcomes) if is_any else all(one.ok for one in outcomes)
    deciding = [one for one in outcomes if one.ok is ok]
    unknown = [] if ok else [one for one in deciding if not one.evaluated]
    if unknown and (is_any or len(unknown) == len(deciding)):
        first = next((one for one in unknown if one.reason is not None), unknown[0])
        return ExpectationOutcome(
            expectation=group,
            ok=False,
            evaluated=False,
            observed=first.observed,
            reason=first.reason,
            detail=first.detail,
        )
    return ExpectationOutcome(
        expectation=group,
        ok=ok,
        observed=cut("; ".join(dict.fromkeys(map(_observed_text, (one for one in deciding if one.evaluated))))),
    )


def _observed_text(outcome: ExpectationOutcome) -> str:
    """Return the subject of a part with what was observed, such as `status: 404`."""
    expectation = outcome.expectation
    if expectation.parts:
        return outcome.observed
    selector = ""
    if expectation.subject.selector is not SelectorKind.NONE:
        selector = f" {getattr(expectation.selector, 'text', expectation.selector)}"
    return f"{expectation.subject.name}{selector}: {outcome.observed or 'nothing'}"


def _number(value: object) -> float:
    """Return the value for `probe_expectation_value`: flags are 0 and 1, anything but a number is NaN."""
    if not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
