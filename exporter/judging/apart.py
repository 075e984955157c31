"""Judge large observations in a separate process before expectations are evaluated."""

from __future__ import annotations

import pickle
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from exporter.attempt import current_attempt
from exporter.errors import CheckFailed
from exporter.judging.estimate import IN_PLACE_SECONDS
from exporter.judging.workers import WORKERS
from exporter.model import Expectation, ExpectationOutcome, Judged, Reason, Subject, leaves

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.judging.workers import Answer
    from exporter.model import Observation, Observed


class Unobservable:
    """An observation that is not available: every expectation about it fails with the same reason."""

    def __init__(self, reason: Reason, detail: str) -> None:
        self._reason = reason
        self._detail = detail

    def __call__(self, _selector: object = None) -> Observed:
        """Raise the reason.

        Raises:
            CheckFailed: Always.
        """
        raise CheckFailed(self._reason, self._detail)


def is_small(costs: Mapping[str, float], observed: Mapping[str, Observation]) -> bool:
    """Whether the observations can be judged in place, whatever they contain.

    Args:
        costs: What `byte_costs` returned for the expectations.
        observed: Subject to observation.
    """
    seconds = 0.0
    for subject, byte_seconds in costs.items():
        seconds += byte_seconds * _size_bytes(observed.get(subject))
    return seconds <= IN_PLACE_SECONDS


async def judged(
    expectations: Sequence[Expectation], costs: Mapping[str, float], observed: Mapping[str, Observation]
) -> Mapping[str, Observation]:
    """Return the observations, with those too large to be judged in place replaced by their outcomes.

    The time it takes is the exporter's own and is not part of any check's duration.

    Args:
        expectations: All expectations that will be evaluated.
        costs: What `byte_costs` returned for them.
        observed: Subject to observation; those with costs can be pickled.
    """
    if is_small(costs, observed):
        return observed
    apart = {subject: observed[subject] for subject in costs if subject in observed}
    asked = [one for one in leaves(expectations) if one.subject.name in apart]
    try:
        verdict = await _verdict(asked, apart)
    except (pickle.PicklingError, AttributeError, TypeError):
        return observed  # an embedder's operand that cannot be pickled
    return {**observed, **dict.fromkeys(apart, verdict)}


async def _verdict(asked: Sequence[Expectation], apart: Mapping[str, Observation]) -> Judged | Unobservable:
    """Return the outcomes of the expectations, or why they are unknown."""
    attempt, started = current_attempt(), perf_counter()
    size_bytes = max(map(_size_bytes, apart.values()))
    attempt.note("judging apart", size_bytes=size_bytes)
    timeout_detail, attempt.timeout_detail = (
        attempt.timeout_detail,
        f"its answer of {size_bytes} bytes was being judged",
    )
    question = ([_plain(one) for one in asked], apart)
    try:
        written = partial(pickle.dumps, question, pickle.HIGHEST_PROTOCOL)
        answer = await WORKERS.answer_to(written, key=id(asked[0]))
    except CheckFailed as failure:
        attempt.timeout_detail = timeout_detail
        return Unobservable(failure.reason, f"{failure.detail} ({size_bytes} bytes)")
    attempt.timeout_detail = timeout_detail
    attempt.held_seconds += perf_counter() - started
    for message, fields in answer["log"]:
        attempt.note(message, **fields)
    outcomes = _outcomes(asked, answer)
    if outcomes is None:
        detail = f"judging the answer takes more memory than it may ({size_bytes} bytes)"
        return Unobservable(Reason.TOO_LARGE, detail)
    return Judged(outcomes)


def _plain(expectation: Expectation) -> Expectation:
    """Return the parts of an expectation that judging needs, so that no process loads a check type's module."""
    subject = expectation.subject
    return Expectation(
        label="",
        subject=Subject(name=subject.name, kind=subject.kind, description="", selector=subject.selector),
        operator=expectation.operator,
        operand=expectation.operand,
        selector=expectation.selector,
        missing_ok=expectation.missing_ok,
        as_number=expectation.as_number,
    )


def _outcomes(asked: Sequence[Expectation], answer: Answer) -> dict[int, ExpectationOutcome] | None:
    if answer["outcomes"] is None:
        return None
    return {
        id(expectation): ExpectationOutcome(
            expectation=expectation,
            ok=ok,
            value=value,
            observed=observed,
            evaluated=evaluated,
            reason=None if reason is None else Reason(reason),
            detail=detail,
        )
        for expectation, (ok, value, observed, evaluated, reason, detail) in zip(asked, answer["outcomes"], strict=True)
    }


def _size_bytes(observation: object) -> int:
    """Return the size of what an expectation will examine; numbers and flags count as 0."""
    if isinstance(observation, str):
        return len(observation)
    if isinstance(observation, tuple):
        return sum(map(len, observation))
    size_bytes = getattr(observation, "size_bytes", 0)
    return size_bytes if isinstance(size_bytes, int) else 0
